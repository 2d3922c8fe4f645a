//! What is measured at every optimiser step: a line of `steps.jsonl`. Small enough to be kept for
//! every run, and the only place where changes within an epoch can be seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::TrainedBatch;
use crate::analysis::float::{nan_map, nan_number};

/// One optimiser step and the batch it was made of; `null` in the file is NaN here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Epoch under way, from 1.
    pub epoch: u64,
    /// Batch of the epoch, from 1.
    pub batch: u64,
    /// Mean cross-entropy of the batch, nats.
    #[serde(with = "nan_number")]
    pub loss_nats: f64,
    /// What the rate penalty adds to it, nats.
    #[serde(with = "nan_number", default)]
    pub penalty_nats: f64,
    /// Trials classified correctly, %.
    #[serde(with = "nan_number")]
    pub accuracy_percent: f64,
    /// Mean rate of E cells over the batch, Hz.
    #[serde(with = "nan_number")]
    pub e_rate_hz: f64,
    /// Mean rate of I cells over the batch, Hz.
    #[serde(with = "nan_number")]
    pub i_rate_hz: f64,
    /// Norm of the whole gradient before clipping.
    #[serde(with = "nan_number")]
    pub gradient_norm: f64,
    /// Norm of each trained matrix's gradient before clipping.
    #[serde(with = "nan_map")]
    pub gradient_norm_of: BTreeMap<String, f64>,
    /// Norm of each trained matrix before the step.
    #[serde(with = "nan_map")]
    pub weight_norm_of: BTreeMap<String, f64>,
    /// The gradient was made shorter.
    pub clipped: bool,
    /// The gradient was not finite, and nothing was changed.
    pub skipped: bool,
    /// First digits of the run's hash; empty in runs of older versions.
    #[serde(default)]
    pub run: String,
}

impl StepRecord {
    /// The record of a batch of the run whose hash begins with `run`; `epoch` and `batch` from 1.
    pub fn new(run: &str, epoch: u64, batch: u64, trained: &TrainedBatch) -> Self {
        Self {
            epoch,
            batch,
            loss_nats: trained.loss_nats,
            penalty_nats: trained.penalty_nats,
            accuracy_percent: 100.0 * trained.correct as f64 / trained.trials as f64,
            e_rate_hz: trained.e_rate_hz,
            i_rate_hz: trained.i_rate_hz,
            gradient_norm: trained.gradient_norm,
            gradient_norm_of: trained.gradient_norm_of.clone(),
            weight_norm_of: trained.weight_norm_of.clone(),
            clipped: trained.clipped,
            skipped: trained.skipped,
            run: run.to_owned(),
        }
    }
}
