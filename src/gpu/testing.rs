//! Support for tests that need an adapter.

use super::device::Gpu;
use super::error::GpuError;
use super::selection::{DeviceChoice, Selection, select};

/// Set to 1, this environment variable makes tests fail where there is no adapter.
pub const REQUIRE_VARIABLE: &str = "DALENET_REQUIRE_GPU";

/// The best adapter for tests, a software one if need be. Without one, the running test is named
/// on standard error as not run.
///
/// # Panics
/// If there is no adapter and [`REQUIRE_VARIABLE`] is 1, or if the adapter cannot be opened.
#[allow(clippy::panic)] // it runs in tests alone
pub fn test_gpu() -> Option<Gpu> {
    let opened = match select(DeviceChoice::Gpu) {
        Ok(Selection::Adapter { adapter, .. }) => Gpu::open(&adapter),
        Ok(Selection::CpuEngine { reason }) => {
            unreachable!("asked for a GPU, got: {reason}")
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok(gpu) => Some(gpu),
        Err(error @ GpuError::NoAdapter { .. }) => {
            let required = std::env::var_os(REQUIRE_VARIABLE).is_some_and(|value| value == "1");
            assert!(!required, "{REQUIRE_VARIABLE}=1, but {error}");
            let thread = std::thread::current();
            eprintln!("NOT RUN: {} ({error})", thread.name().unwrap_or("a test"));
            None
        }
        Err(error) => panic!("the test adapter cannot be opened: {error}"),
    }
}
