//! Which engine runs, and the one place that builds it.

use std::sync::Arc;

use super::cpu::{CpuEngine, Workers};
use super::engine::{Engine, EngineError};
use super::gpu::{GpuEngine, LaneStart};
use super::lanes::Ticket;
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
    let weights = weights.to_vec();
    open_shared(
        selection,
        LaneStart { params, weights },
        options,
        shape,
        None,
    )
}

/// The same, or a lane of an engine that runs share where there is a ticket for it.
///
/// # Errors
/// Too little memory on the device, or a failure of it.
pub fn open_shared(
    selection: Selection,
    start: LaneStart,
    options: &DeviceOptions,
    shape: [usize; 2],
    ticket: Option<Ticket>,
) -> Result<OpenedEngine, EngineError> {
    let threads = options.threads();
    let device = DeviceInfo::of(&selection, threads);
    let (engine, reason): (Box<dyn Engine>, String) = match selection {
        Selection::CpuEngine { reason } => (
            {
                let workers = match ticket {
                    Some(ticket) => ticket.workers(threads)?,
                    None => Arc::new(Workers::new(threads)?),
                };
                let LaneStart { params, weights } = start;
                Box::new(CpuEngine::<f32>::with_workers(params, &weights, workers))
            },
            reason,
        ),
        Selection::Adapter { adapter, reason } => {
            let build = |starts: &[LaneStart]| {
                let gpu = Arc::new(Gpu::open(&adapter)?);
                GpuEngine::of_lanes(gpu, starts, options.memory, shape)
            };
            let engine: Box<dyn Engine> = match ticket {
                Some(ticket) => Box::new(ticket.lane(start, build)?),
                None => Box::new(build(&[start])?),
            };
            (engine, reason)
        }
    };
    Ok(OpenedEngine {
        engine,
        device,
        reason,
    })
}
