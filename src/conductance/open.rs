//! Which engine runs, and the one place that builds it.

use std::sync::Arc;

use crate::conductance::cpu::CpuEngine;
use crate::conductance::engine::{Engine, EngineError};
use crate::conductance::gpu::{BackwardForm, GpuEngine, GpuOptions};
use crate::conductance::params::Params;
use crate::conductance::plan::default_segment_steps;
use crate::conductance::weights::Weights;
use crate::gpu::{Adapter, DeviceChoice, Gpu, Selection, select};
use crate::train::manifest::DeviceInfo;

/// What the user says about the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which device.
    pub device: DeviceChoice,
    /// Worker threads of the CPU engine; 0: all cores.
    pub threads: usize,
    /// Most memory the engine may take, bytes.
    pub memory: Option<u64>,
    /// Distance of the states kept by the CPU engine; `None`: the usual one. Changes time and
    /// memory, never results.
    pub segment_steps: Option<usize>,
    /// Form of the GPU engine's backward pass; changes time, never results.
    pub backward: BackwardForm,
}

impl DeviceOptions {
    /// Worker threads, resolved.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

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
    match selection {
        Selection::CpuEngine { reason } => {
            let segment = options
                .segment_steps
                .unwrap_or_else(|| default_segment_steps(params.steps));
            let engine =
                CpuEngine::<f32>::new(params.clone(), weights, options.threads(), segment)?;
            Ok(OpenedEngine {
                engine: Box::new(engine),
                device: DeviceInfo {
                    name: processor_name(),
                    driver: None,
                    backend: "cpu".to_owned(),
                    threads: options.threads(),
                },
                reason,
            })
        }
        Selection::Adapter { adapter, reason } => {
            let info = adapter.info().clone();
            Ok(OpenedEngine {
                engine: gpu_engine(&adapter, params, weights, options, batch)?,
                device: DeviceInfo {
                    name: info.name,
                    driver: Some(info.driver),
                    backend: info.backend,
                    threads: options.threads(),
                },
                reason,
            })
        }
    }
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
        backward: options.backward,
    };
    Ok(Box::new(GpuEngine::new(
        gpu,
        params.clone(),
        weights,
        options,
        batch,
    )?))
}

/// The processor's name where the system tells it, else its architecture.
pub fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name");
    named.map_or_else(
        || format!("{} processor", std::env::consts::ARCH),
        |(_, name)| name.trim().to_owned(),
    )
}
