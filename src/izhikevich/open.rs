//! Which engine runs, and the one place that builds it.

use std::sync::Arc;

use super::cpu::CpuEngine;
use super::engine::{Engine, EngineError};
use super::gpu::GpuEngine;
use super::network::Network;
use super::params::Params;
use crate::device::DeviceOptions;
use crate::gpu::{Gpu, Selection};
use crate::train::manifest::DeviceInfo;

/// An engine and what it runs on.
pub struct OpenedEngine {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// What it runs on.
    pub device: DeviceInfo,
    /// Why this device.
    pub reason: String,
}

/// Builds the engine of networks of one shape on a selected device.
///
/// # Errors
/// Too little memory on the device, a rule that it cannot compute, or a failure of it.
pub fn open_selected(
    selection: Selection,
    params: &Params,
    networks: &[Network],
    options: &DeviceOptions,
) -> Result<OpenedEngine, EngineError> {
    let threads = options.threads();
    let device = DeviceInfo::of(&selection, threads);
    let (engine, reason): (Box<dyn Engine>, String) = match selection {
        Selection::CpuEngine { reason } => {
            (Box::new(CpuEngine::new(params, networks, threads)?), reason)
        }
        Selection::Adapter { adapter, reason } => {
            let gpu = Arc::new(Gpu::open(&adapter)?);
            let engine = GpuEngine::new(gpu, params, networks, options.memory)?;
            (Box::new(engine), reason)
        }
    };
    Ok(OpenedEngine {
        engine,
        device,
        reason,
    })
}
