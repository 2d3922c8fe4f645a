//! What the epoch loop asks of a model, whatever its family.

use std::collections::BTreeMap;

use super::checkpoint::Tensor;
use super::metrics::Metric;
use crate::fault::Blame;

/// A failure inside a model: its engine, its data.
pub type ModelError = Box<dyn Blame>;

/// Makes batches from sample indices. Another thread calls it while the model computes, so it is
/// apart from the model.
pub trait Encoder: Sync {
    /// A batch ready to be computed.
    type Batch: Send;

    /// The training batch of `samples` in `epoch` (from 0). Must depend on nothing else.
    ///
    /// # Errors
    /// Samples that cannot be encoded.
    fn training_batch(&self, epoch: u64, samples: &[usize]) -> Result<Self::Batch, ModelError>;
}

/// A model that learns batch by batch.
pub trait Model {
    /// The metrics that are means over the trials of an epoch.
    fn epoch_means(&self) -> &'static [EpochMean];

    /// A batch ready to be computed.
    type Batch: Send;

    /// What is measured once an epoch.
    fn metrics(&self) -> &'static [Metric];

    /// What chooses the best epoch.
    fn score(&self) -> Score;

    /// Begins to compute the gradient of a batch and the optimiser step after it.
    ///
    /// # Errors
    /// A failure of the device.
    fn begin(&mut self, batch: &Self::Batch) -> Result<(), ModelError>;

    /// Waits for the oldest batch that is begun and not finished; none where there is none.
    ///
    /// # Errors
    /// A failure of the device.
    fn finish(&mut self) -> Result<Option<TrainedBatch>, ModelError>;

    /// Batches that are begun before the first is waited for.
    fn most_begun(&self) -> usize {
        1
    }

    /// Measures a part of the data with noise that is the same every time. `go_on` is asked
    /// between batches; where it says no, the result is `None`.
    ///
    /// # Errors
    /// A failure of the device, or samples that cannot be encoded.
    fn evaluate(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Measured>, ModelError>;

    /// Everything that a checkpoint keeps.
    ///
    /// # Errors
    /// A failure of the device.
    fn state(&mut self) -> Result<ModelState, ModelError>;
}

/// A part of the data that is not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Chooses the best epoch, where there is such a part.
    Validation,
    /// Results are reported on it.
    Test,
}

/// One optimiser step and the batch it was made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainedBatch {
    /// Trials of the batch.
    pub trials: usize,
    /// Their mean loss.
    pub loss: f64,
    /// What is told of the batch in `steps.jsonl`, by name.
    pub numbers: Vec<(&'static str, f64)>,
    /// What is summed over an epoch's batches, by the keys of [`Model::epoch_means`].
    pub sums: Vec<(&'static str, f64)>,
    /// Norm of the whole gradient before clipping.
    pub gradient_norm: f64,
    /// Norm of each trained matrix's gradient before clipping.
    pub gradient_norm_of: BTreeMap<String, f64>,
    /// Norm of each trained matrix before the step.
    pub weight_norm_of: BTreeMap<String, f64>,
    /// The gradient was made shorter.
    pub clipped: bool,
    /// The gradient was not finite, and nothing was changed.
    pub skipped: bool,
}

impl TrainedBatch {
    /// What the loss is called in logs: the first of the numbers that are told.
    pub fn loss_name(&self) -> &'static str {
        self.numbers.first().map_or("loss", |(name, _)| name)
    }
}

/// A metric of training that is a mean over the trials of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochMean {
    /// What checkpoints call the sum.
    pub key: &'static str,
    /// The metric.
    pub metric: Metric,
    /// Factor of the sum over trials.
    pub factor: f64,
}

/// The metric that chooses the best epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Of the test part.
    pub test: Metric,
    /// Of the validation part.
    pub validation: Metric,
    /// More is better.
    pub more_is_better: bool,
}

/// Result of an evaluation, by the metrics of the test part; NaN where a model has no such thing.
pub type Measured = Vec<(Metric, f64)>;

/// Weights and optimiser state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelState {
    /// Stored weights by name.
    pub weights: BTreeMap<String, Tensor>,
    /// First moments of the trained weights.
    pub adam_m: BTreeMap<String, Tensor>,
    /// Second moments of the trained weights.
    pub adam_v: BTreeMap<String, Tensor>,
    /// Optimiser steps taken.
    pub optimiser_steps: u64,
}

impl ModelState {
    /// Frobenius norm of each weight matrix.
    pub fn weight_norms(&self) -> BTreeMap<String, f64> {
        let norm = |tensor: &Tensor| {
            let squares = tensor.data.iter().map(|&w| f64::from(w) * f64::from(w));
            squares.sum::<f64>().sqrt()
        };
        let norms = self.weights.iter().map(|(name, w)| (name.clone(), norm(w)));
        norms.collect()
    }
}
