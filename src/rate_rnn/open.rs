//! Which engine runs, and the one place that builds it.

use std::sync::Arc;

use super::cpu::CpuEngine;
use super::engine::{Engine, EngineError};
use super::gpu::GpuEngine;
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

/// Builds the engine of a network on a selected device; `weights` as [`Layout::flatten`](super::weights::Layout)
/// gives them, `shape` steps and trials of its usual batch.
///
/// # Errors
/// Too little memory on the device, or a failure of it.
pub fn open_selected(
    selection: Selection,
    params: Params,
    weights: &[f32],
    options: &DeviceOptions,
    shape: [usize; 2],
) -> Result<OpenedEngine, EngineError> {
    let threads = options.threads();
    let device = DeviceInfo::of(&selection, threads);
    let (engine, reason): (Box<dyn Engine>, String) = match selection {
        Selection::CpuEngine { reason } => (
            Box::new(CpuEngine::<f32>::new(params, weights, threads)?),
            reason,
        ),
        Selection::Adapter { adapter, reason } => {
            let gpu = Arc::new(Gpu::open(&adapter)?);
            (
                Box::new(GpuEngine::new(gpu, params, weights, options.memory, shape)?),
                reason,
            )
        }
    };
    Ok(OpenedEngine {
        engine,
        device,
        reason,
    })
}
