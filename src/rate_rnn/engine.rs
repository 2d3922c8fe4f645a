//! What every engine of the family can do; training and comparison know only this.

use std::collections::BTreeMap;

use super::batch::{Batch, BatchError};
use super::loss::Scores;
use super::params::Params;
use super::weights::{Layout, WeightsError};
use crate::fault::{Blame, Fault};
use crate::gpu::GpuError;
use crate::optim::{Adam, Rule};

/// Why an engine cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Weights do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A batch does not fit the network.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Threads cannot be started.
    #[error("cannot start worker threads: {0}; lower --threads")]
    Threads(String),
    /// The network does not fit into memory.
    #[error("{0}")]
    Memory(String),
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The engine that several runs share failed.
    #[error("{0}")]
    Lanes(String),
}

impl Blame for EngineError {
    fn fault(&self) -> Fault {
        match self {
            Self::Weights(error) => error.fault(),
            Self::Gpu(error) => error.fault(),
            Self::Threads(_) | Self::Memory(_) | Self::Lanes(_) => Fault::Device,
            Self::Batch(_) => Fault::Program,
        }
    }
}

/// What comes out of a forward pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forward {
    /// Outputs, `[step, trial, output]`: of every step, or of the last one alone.
    pub outputs: Vec<f64>,
    /// Loss and right answers.
    pub scores: Scores,
}

/// What an optimiser step did. Norms are those of corrected gradients before clipping.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Norm of the whole gradient.
    pub gradient_norm: f64,
    /// Norm of each tensor's gradient.
    pub gradient_norm_of: BTreeMap<String, f64>,
    /// Norm of each tensor before the step.
    pub weight_norm_of: BTreeMap<String, f64>,
    /// A gradient was made shorter.
    pub clipped: bool,
    /// The norm was not finite: nothing was changed.
    pub skipped: bool,
}

/// Flat vectors an engine can hand out; all in the order of [`Layout::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Stored weights.
    Weights,
    /// Gradient by the stored weights, before correction and clipping.
    Gradient,
    /// Adam's first moment.
    AdamM,
    /// Adam's second moment.
    AdamV,
}

/// One network with its weights and optimiser state on one device.
pub trait Engine: Send {
    /// Sizes and recipe.
    fn params(&self) -> &Params;

    /// Where the tensors lie.
    fn layout(&self) -> &Layout;

    /// Runs trials without learning; the outputs of all steps, where wanted.
    ///
    /// # Errors
    /// A batch that does not fit the network, or a failure of the device.
    fn forward(&mut self, batch: &Batch, every_step: bool) -> Result<Forward, EngineError>;

    /// Runs trials and leaves the gradient of their loss in the engine.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn gradient(&mut self, batch: &Batch) -> Result<Scores, EngineError>;

    /// Corrects and clips the gradient, takes one optimiser step and keeps Dale's law; skipped where the norm of
    /// the gradient is not finite.
    ///
    /// # Errors
    /// A failure of the device.
    fn step(&mut self) -> Result<StepReport, EngineError>;

    /// [`gradient`](Self::gradient), then [`step`](Self::step).
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn train(&mut self, batch: &Batch) -> Result<(Scores, StepReport), EngineError> {
        Ok((self.gradient(batch)?, self.step()?))
    }

    /// Copies a quantity to the host.
    ///
    /// # Errors
    /// A failure of the device.
    fn read(&mut self, quantity: Quantity) -> Result<Vec<f64>, EngineError>;

    /// Optimiser steps taken.
    fn optimiser_steps(&self) -> u64;

    /// Replaces the stored weights and leaves the optimiser state as it is.
    ///
    /// # Errors
    /// A failure of the device.
    fn load(&mut self, weights: &[f32]) -> Result<(), EngineError>;

    /// Takes over optimiser state from a checkpoint.
    ///
    /// # Errors
    /// A failure of the device.
    fn restore(&mut self, m: &[f32], v: &[f32], steps: u64) -> Result<(), EngineError>;

    /// Device and numerics in a few words.
    fn describe(&self) -> String;
}

/// What an optimiser step is to do with each tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StepPlan {
    /// What to report.
    pub(super) report: StepReport,
    /// The factor of each tensor's gradient, correction and clipping together.
    pub(super) factors: Vec<f64>,
}

impl StepPlan {
    /// From the norms of each tensor's raw gradient and of its weights.
    pub(super) fn new(
        params: &Params,
        layout: &Layout,
        gradients: &[f64],
        weights: &[f64],
    ) -> Self {
        let corrected = layout.tensors.iter().zip(gradients);
        let norms: Vec<f64> = corrected.map(|(t, norm)| t.correction * norm).collect();
        let mut group_squares = BTreeMap::<usize, f64>::new();
        for (tensor, norm) in layout.tensors.iter().zip(&norms) {
            *group_squares.entry(tensor.clip_group).or_default() += norm * norm;
        }
        let clip = |group: &usize| params.recipe.clip_factor(group_squares[group].sqrt());
        let tensors = layout.tensors.iter();
        let factors = tensors
            .map(|t| t.correction * clip(&t.clip_group))
            .collect();
        let gradient_norm = group_squares.values().sum::<f64>().sqrt();
        let named = |norms: &[f64]| {
            let names = layout.tensors.iter().map(|t| t.name.clone());
            names.zip(norms.iter().copied()).collect()
        };
        Self {
            report: StepReport {
                gradient_norm,
                gradient_norm_of: named(&norms),
                weight_norm_of: named(weights),
                clipped: group_squares.keys().any(|group| clip(group) < 1.0),
                skipped: !gradient_norm.is_finite(),
            },
            factors,
        }
    }
}

/// The rule of optimiser step `t`, from 1, as the common optimiser takes it.
pub(super) fn rule_at(params: &Params, t: u64) -> (Rule, Adam) {
    let recipe = params.recipe;
    let rule = Rule {
        optimiser: recipe.optimiser,
        learning_rate: recipe.learning_rate_at(t),
        parametrisation: crate::optim::Parametrisation::Linear,
    };
    let adam = Adam {
        beta1: recipe.adam_beta1,
        beta2: recipe.adam_beta2,
        epsilon: recipe.adam_epsilon,
        clip_norm: f64::INFINITY,
    };
    (rule, adam)
}
