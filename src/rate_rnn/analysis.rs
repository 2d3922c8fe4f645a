//! A trained network measured on the whole test set: the content of a run's `analysis.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::weights::Link;
use crate::analysis::float::{nan_list, nan_number};
use crate::spectra::{singular_values, spectral_radius, svd_entropy};

/// Version of the layout of an analysis.
pub const FORMAT: u64 = 1;

/// The analysis of one checkpoint. Numbers that do not exist are NaN in memory and `null` in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunAnalysis {
    /// [`FORMAT`] at the time of writing.
    pub format: u64,
    /// `last`, `best` or `initial`.
    pub checkpoint: String,
    /// Epochs trained.
    pub epoch: u64,
    /// SHA-256 of the run's configuration.
    pub config_sha256: String,
    /// SHA-256 of the data.
    pub data_sha256: String,
    /// Version and commit of the program that analysed.
    pub program: String,
    /// What computed.
    pub device: String,
    /// What it answers to the test sequences.
    pub test: TestResult,
    /// Every effective matrix by its name (`l0.u`, `l0.w`, …, `out.w`).
    pub matrices: BTreeMap<String, MatrixAnalysis>,
}

/// What a network answers to the test sequences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Class of each sequence; empty where targets are values, or classes of every step.
    pub labels: Vec<u32>,
    /// Class answered to each sequence.
    pub predicted: Vec<u32>,
    /// Target of each sequence, value after value; empty where targets are classes.
    #[serde(with = "nan_list")]
    pub targets: Vec<f64>,
    /// What was answered, in the same order.
    #[serde(with = "nan_list")]
    pub outputs: Vec<f64>,
    /// Mean loss of an output: cross-entropy (nats) or squared error.
    #[serde(with = "nan_number")]
    pub loss: f64,
    /// Right answers, % of outputs; NaN where targets are values.
    #[serde(with = "nan_number")]
    pub accuracy_percent: f64,
}

/// An effective matrix at the start and at the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixAnalysis {
    /// `[post, pre]`.
    pub shape: [usize; 2],
    /// At the start.
    pub initial: Spectrum,
    /// At the checkpoint.
    pub now: Spectrum,
}

/// Singular values of a matrix and what is told by them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// Frobenius norm.
    #[serde(with = "nan_number")]
    pub norm: f64,
    /// Largest first; empty where they did not converge.
    #[serde(with = "nan_list")]
    pub singular_values: Vec<f64>,
    /// Their normalised entropy: 1 where all are equal, 0 where one is alone.
    #[serde(with = "nan_number")]
    pub entropy: f64,
    /// Largest size of an eigenvalue of a square matrix.
    #[serde(with = "nan_number")]
    pub radius: f64,
}

impl Spectrum {
    /// Of the effective matrix of a link.
    pub fn of(matrix: &[f64], link: &Link) -> Self {
        // A diverged network has no spectrum, and that is no failure.
        let singular_values = singular_values(matrix, [link.post, link.pre]).unwrap_or_default();
        let radius = match link.post == link.pre {
            true => spectral_radius(matrix, link.post).unwrap_or(f64::NAN),
            false => f64::NAN,
        };
        Self {
            norm: matrix.iter().map(|w| w * w).sum::<f64>().sqrt(),
            entropy: svd_entropy(&singular_values),
            singular_values,
            radius,
        }
    }
}
