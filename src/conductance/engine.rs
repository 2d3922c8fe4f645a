//! What every engine of the family can do; the training loop and the comparison know only this.

use std::collections::BTreeMap;

use crate::conductance::batch::{Batch, Forward, Request};
use crate::conductance::loss::Scores;
use crate::conductance::params::Params;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Slot, Weights, WeightsError};
use crate::fault::{Blame, Fault};
use crate::gpu::GpuError;

/// Why an engine cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Weights do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Optimiser state does not fit the network.
    #[error(
        "optimiser state has no usable matrix `{0}`; the checkpoint belongs to another network"
    )]
    Moment(&'static str),
    /// A batch without trials.
    #[error("a batch needs at least one trial")]
    Empty,
    /// A batch names an input, step or class that the network does not have.
    #[error("trial {trial}: {what} {value} is outside 0..{limit}")]
    Batch {
        /// Trial in the batch.
        trial: usize,
        /// What is out of range.
        what: &'static str,
        /// Its value.
        value: usize,
        /// Number of allowed values.
        limit: usize,
    },
    /// The imposed spikes have another shape than the batch.
    #[error("the imposed spikes have another number of trials, steps or cells than the batch")]
    Imposed,
    /// Threads cannot be started.
    #[error("cannot start worker threads: {0}; lower --threads")]
    Threads(String),
    /// The network does not fit into memory.
    #[error("{0}")]
    Memory(String),
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

impl Blame for EngineError {
    fn fault(&self) -> Fault {
        match self {
            Self::Weights(error) => error.fault(),
            Self::Gpu(error) => error.fault(),
            Self::Memory(_) | Self::Threads(_) => Fault::Device,
            _ => Fault::Program,
        }
    }
}

/// Loss of a batch whose gradient the engine now holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradient {
    /// The forward pass; without spike counts, which only [`Engine::forward`] returns.
    pub forward: Forward,
    /// Scores of the batch.
    pub scores: Scores,
    /// Mean cross-entropy plus the rate penalty, nats.
    pub loss: f64,
    /// Spikes of all E cells over the batch.
    pub spikes_e: u64,
    /// Spikes of all I cells over the batch.
    pub spikes_i: u64,
}

/// What an optimiser step did. Norms are Frobenius norms before the step and before clipping; where
/// a matrix learns in u = ln |w|, its gradient is that with respect to u.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Norm of the whole gradient.
    pub gradient_norm: f64,
    /// Norm of each trained matrix's gradient.
    pub gradient_norm_of: BTreeMap<MatrixName, f64>,
    /// Norm of each trained matrix.
    pub weight_norm_of: BTreeMap<MatrixName, f64>,
    /// Factor of the gradient.
    pub clip_factor: f64,
    /// The norm was not finite: nothing was changed.
    pub skipped: bool,
}

/// Flat vectors an engine can hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Stored weights of all matrices.
    Weights,
    /// Gradient by the trained matrices' weights, before clipping.
    Gradient,
    /// Adam's first moment.
    AdamM,
    /// Adam's second moment.
    AdamV,
}

/// How long one stage of a batch took.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTime {
    /// `forward`, `loss`, `replay`, `backward`, `weight gradients` or `optimiser`.
    pub stage: String,
    /// Seconds: device time on a GPU, wall-clock time on the CPU.
    pub seconds: f64,
}

/// What an engine has taken of its device since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Most bytes held at once: device memory on a GPU, resident memory of the whole process on the
    /// CPU; none where the system does not tell.
    pub peak_bytes: Option<u64>,
    /// Bytes held now, likewise.
    pub allocated_bytes: Option<u64>,
    /// Kernels dispatched.
    pub dispatches: u64,
    /// Command lists submitted.
    pub submissions: u64,
    /// Bytes copied from the device.
    pub bytes_read: u64,
    /// Bytes copied to the device.
    pub bytes_written: u64,
}

/// One network with its weights and optimiser state on one device.
pub trait Engine: Send {
    /// Sizes and settings.
    fn params(&self) -> &Params;

    /// Runs trials without learning.
    ///
    /// # Errors
    /// A batch that does not fit the network, or a failure of the device.
    fn forward(&mut self, batch: &Batch, request: Request<'_>) -> Result<Forward, EngineError>;

    /// Runs trials and leaves the gradient of their mean loss in the engine.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn gradient(&mut self, batch: &Batch, request: Request<'_>) -> Result<Gradient, EngineError>;

    /// Clips the gradient, takes one optimiser step and keeps Dale's law; skipped where the norm of
    /// the gradient is not finite.
    ///
    /// # Errors
    /// A failure of the device.
    fn step(&mut self) -> Result<StepReport, EngineError>;

    /// The same engine, where it can go ahead of its host.
    fn ahead(&mut self) -> Option<&mut dyn Ahead> {
        None
    }

    /// Copies a quantity to the host.
    ///
    /// # Errors
    /// A failure of the device.
    fn read(&mut self, quantity: Quantity) -> Result<BTreeMap<MatrixName, Vec<f64>>, EngineError>;

    /// Optimiser steps taken (Adam's t).
    fn optimiser_steps(&self) -> u64;

    /// Replaces the stored weights by others of the same names and shapes and leaves the optimiser
    /// state as it is. A gradient still held belongs to the weights before.
    ///
    /// A matrix may become zero, but one that was absent or all zeros when the engine was built is
    /// not computed by it and must stay so.
    ///
    /// # Errors
    /// Weights that do not fit this engine ([`WeightsError::NotBuilt`] among them: build a new one),
    /// or a failure of the device.
    fn load(&mut self, weights: &Weights) -> Result<(), EngineError>;

    /// Takes over optimiser state from a checkpoint.
    ///
    /// # Errors
    /// State that does not fit the network, or a failure of the device.
    fn restore(&mut self, m: &Weights, v: &Weights, steps: u64) -> Result<(), EngineError>;

    /// Device and numerics in a few words.
    fn describe(&self) -> String;

    /// Times the stages of batches from now on, or no longer. Timing may cost a little time itself.
    fn time_stages(&mut self, on: bool);

    /// Times of the stages since the last call, in the order in which they ran; a stage may occur
    /// many times. Empty while timing is off, and on devices without timestamps.
    ///
    /// # Errors
    /// A failure of the device.
    fn stage_times(&mut self) -> Result<Vec<StageTime>, EngineError>;

    /// What the engine has taken of its device so far.
    fn usage(&self) -> Usage;
}

/// An engine that computes apart from its host: a batch is begun while the one before is under way. At most two are.
pub trait Ahead {
    /// Begins a batch: [`Engine::gradient`] and [`Engine::step`].
    ///
    /// # Errors
    /// A batch that does not fit the network, or a failure of the device.
    fn begin(&mut self, batch: &Batch) -> Result<(), EngineError>;

    /// Waits for the oldest batch under way; none where there is none.
    ///
    /// # Errors
    /// A failure of the device.
    fn finish(&mut self) -> Result<Option<(Gradient, StepReport)>, EngineError>;
}

/// The values of a trained matrix in restored optimiser state.
pub(super) fn moment<'a>(slot: &Slot, from: &'a Weights) -> Result<&'a [f32], EngineError> {
    match from.get(&slot.name) {
        Some(m) if m.data.len() == slot.len() => Ok(&m.data),
        _ => Err(EngineError::Moment(slot.name.short())),
    }
}
