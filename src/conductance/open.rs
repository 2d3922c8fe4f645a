//! Which engine runs, and the one place that builds it.

use std::sync::Arc;

use crate::conductance::cpu::CpuEngine;
use crate::conductance::engine::{Engine, EngineError};
use crate::conductance::gpu::{GpuEngine, GpuOptions};
use crate::conductance::params::Params;
use crate::conductance::plan::default_segment_steps;
use crate::conductance::weights::Weights;
use crate::device::DeviceOptions;
use crate::gpu::{Adapter, Gpu, Selection, select};
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

/// Selects a device and builds the engine of a network on it. `batch` is the largest number of
/// trials it will be given at once.
///
/// # Errors
/// No such device, too little memory on it, or weights that do not fit the network.
pub fn open_engine(
    params: &Params,
    weights: &Weights,
    options: &DeviceOptions,
    batch: usize,
) -> Result<OpenedEngine, EngineError> {
    open_selected(select(options.device)?, params, weights, options, batch)
}

/// As [`open_engine`], on a device already selected.
///
/// # Errors
/// As [`open_engine`].
pub fn open_selected(
    selection: Selection,
    params: &Params,
    weights: &Weights,
    options: &DeviceOptions,
    batch: usize,
) -> Result<OpenedEngine, EngineError> {
    let device = DeviceInfo::of(&selection, options.threads());
    let (engine, reason): (Box<dyn Engine>, String) = match selection {
        Selection::CpuEngine { reason } => {
            let segment = options
                .segment_steps
                .unwrap_or_else(|| default_segment_steps(params.steps));
            let engine =
                CpuEngine::<f32>::new(params.clone(), weights, options.threads(), segment)?;
            (Box::new(engine), reason)
        }
        Selection::Adapter { adapter, reason } => (
            gpu_engine(&adapter, params, weights, options, batch)?,
            reason,
        ),
    };
    Ok(OpenedEngine {
        engine,
        device,
        reason,
    })
}

/// The GPU engine on an adapter.
fn gpu_engine(
    adapter: &Adapter,
    params: &Params,
    weights: &Weights,
    options: &DeviceOptions,
    batch: usize,
) -> Result<Box<dyn Engine>, EngineError> {
    let gpu = Arc::new(Gpu::open(adapter)?);
    let options = GpuOptions {
        memory: options.memory,
        backward: options.backward.untimed(adapter.info().kind.is_software()),
    };
    Ok(Box::new(GpuEngine::new(
        gpu,
        params.clone(),
        weights,
        options,
        batch,
    )?))
}
