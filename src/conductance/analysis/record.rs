//! What is measured once on a trained network: the content of a run's `analysis.json`.
//!
//! Every number here is the outcome of a function of this module on the spikes, scores and weights of
//! one checkpoint over the whole test set. Numbers that do not exist are NaN in memory and `null` in
//! the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analysis::float::{nan_array, nan_list, nan_number};
use crate::analysis::rhythm::PopulationRhythm;

/// Version of the layout of an analysis. Since 2 the correlogram of different cells decides on rhythm.
pub const FORMAT: u64 = 2;
/// Version of the layout of a sweep.
pub const SWEEP_FORMAT: u64 = 1;

/// The analysis of one checkpoint.
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
    /// Answers and rates over the test set.
    pub test: TestResult,
    /// Mean rate of every E cell over the test set, Hz.
    #[serde(with = "nan_list")]
    pub e_cell_rate_hz: Vec<f64>,
    /// Mean rate of every I cell over the test set, Hz.
    #[serde(with = "nan_list")]
    pub i_cell_rate_hz: Vec<f64>,
    /// Rhythm of the populations.
    pub rhythm: Rhythm,
    /// Spikes by cycle of the rhythm; none without a rhythm.
    pub participation: Option<Participation>,
    /// Every matrix by its short name (`in`, `out`, `ei`, `ie`, …).
    pub weights: BTreeMap<String, MatrixAnalysis>,
    /// Σ over E cells of W_EI into each I cell as the forward pass uses it (max(w, 0), or w itself
    /// where the loop is signed), µS, at the start and now; empty without W_EI.
    pub i_cell_input_us: [Vec<f64>; 2],
    /// Slope of the loss along the loop's gains, measured and by the surrogate gradient.
    pub loop_slopes: Vec<LoopSlope>,
    /// Spikes of one test trial.
    pub raster: ExampleTrial,
}

/// Answers and rates over the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Class of each test trial.
    pub labels: Vec<u32>,
    /// Class answered in each test trial.
    pub predicted: Vec<u32>,
    /// Accuracy, %.
    #[serde(with = "nan_number")]
    pub accuracy_percent: f64,
    /// Mean cross-entropy, nats.
    #[serde(with = "nan_number")]
    pub loss_nats: f64,
    /// Mean rate of E cells, Hz.
    #[serde(with = "nan_number")]
    pub e_rate_hz: f64,
    /// Mean rate of I cells, Hz.
    #[serde(with = "nan_number")]
    pub i_rate_hz: f64,
    /// E cells with a spike in a trial, mean over trials, %.
    #[serde(with = "nan_number")]
    pub active_e_percent: f64,
    /// E cells silent over the whole test set, %.
    #[serde(with = "nan_number")]
    pub silent_e_percent: f64,
    /// Mean E rate in the trials of each class, Hz.
    #[serde(with = "nan_list")]
    pub class_e_rate_hz: Vec<f64>,
}

/// Rhythm over the test set: that of the E population decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rhythm {
    /// Whether the E population has one.
    pub is_rhythmic: bool,
    /// Its frequency, Hz; NaN without a rhythm.
    #[serde(with = "nan_number")]
    pub f_hz: f64,
    /// Its frequency where it is a gamma rhythm, Hz; NaN otherwise.
    #[serde(with = "nan_number")]
    pub f_gamma_hz: f64,
    /// Frequencies that are called gamma, Hz, ends included.
    pub gamma_hz: [f64; 2],
    /// What was left out at the beginning of each trial, ms.
    pub onset_ms: f64,
    /// Frequency below which trials of this length tell nothing, Hz.
    #[serde(with = "nan_number")]
    pub lowest_hz: f64,
    /// Of E cells.
    pub e: PopulationRhythm,
    /// Of I cells.
    pub i: PopulationRhythm,
    /// For the eye: power density of the E population rate.
    pub spectrum: SpectrumRecord,
    /// Left edges of the inter-spike-interval histogram of E cells, ms.
    pub interval_ms: Vec<f64>,
    /// Intervals in each bin.
    pub interval_count: Vec<u64>,
    /// Coefficient of variation of the inter-spike intervals: mean over E cells with at least three.
    #[serde(with = "nan_number")]
    pub cv: f64,
}

/// Spectrum of the E population rate; it decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpectrumRecord {
    /// Centres of the bins, Hz.
    pub frequency_hz: Vec<f64>,
    /// Mean one-sided power density of the population rate (mean rate of a cell), Hz²/Hz.
    #[serde(with = "nan_list")]
    pub power: Vec<f64>,
    /// Width of a bin, Hz.
    #[serde(with = "nan_number")]
    pub resolution_hz: f64,
    /// Density of independent Poisson cells of the same rate, Hz²/Hz.
    #[serde(with = "nan_number")]
    pub white_power: f64,
    /// Bin of the largest power in 5–150 Hz, Hz, rhythm or not.
    #[serde(with = "nan_number")]
    pub peak_hz: f64,
    /// Vertex of the parabola through the peak and its neighbours (logarithmic power), Hz.
    #[serde(with = "nan_number")]
    pub peak_interpolated_hz: f64,
}

/// Spikes of cells by cycle of the rhythm. Cycles are cut at the minima between the volleys of one
/// population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Participation {
    /// Population whose volleys cut the cycles, `I` or `E`.
    pub cut_by: String,
    /// Whole cycles over all test trials.
    pub cycles: u64,
    /// Whole cycles of a trial, mean.
    #[serde(with = "nan_number")]
    pub cycles_per_trial: f64,
    /// Mean length of a cycle, ms.
    #[serde(with = "nan_number")]
    pub period_ms: f64,
    /// Share of (cell, cycle) pairs with 0, 1, 2 and 3 or more spikes, %.
    pub e_share_percent: [f64; 4],
    /// The same of I cells.
    pub i_share_percent: [f64; 4],
    /// Mean spikes of an E cell in a cycle.
    #[serde(with = "nan_number")]
    pub e_spikes_per_cycle: f64,
    /// Mean spikes of an I cell in a cycle.
    #[serde(with = "nan_number")]
    pub i_spikes_per_cycle: f64,
}

/// One matrix at the start and at the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixAnalysis {
    /// Entries.
    pub entries: u64,
    /// Whether the configuration trains it.
    pub trained: bool,
    /// Every bit is as it was at the start.
    pub unchanged: bool,
    /// Statistics at the start.
    pub initial: MatrixStatistics,
    /// Statistics at the checkpoint.
    pub now: MatrixStatistics,
    /// Entries that started above 0 and are now at or below it, % of those that started above 0:
    /// really pruned.
    #[serde(with = "nan_number")]
    pub really_pruned_percent: f64,
    /// Edges of the histogram's bins of effective weights (one more than bins), in the matrix's unit.
    pub edges: Vec<f64>,
    /// Entries a bin at the start.
    pub initial_count: Vec<u64>,
    /// Entries a bin at the checkpoint.
    pub now_count: Vec<u64>,
}

/// Statistics of a matrix. Stored and effective (max(w, 0)) weights are never mixed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MatrixStatistics {
    /// Frobenius norm of the stored entries.
    #[serde(with = "nan_number")]
    pub norm: f64,
    /// Mean of the stored entries.
    #[serde(with = "nan_number")]
    pub stored_mean: f64,
    /// Mean of |stored|.
    #[serde(with = "nan_number")]
    pub stored_mean_abs: f64,
    /// Mean of max(w, 0).
    #[serde(with = "nan_number")]
    pub effective_mean: f64,
    /// Mean of the entries above 0; NaN where there are none.
    #[serde(with = "nan_number")]
    pub survivor_mean: f64,
    /// Entries at or below 0, % (the source's "pruned").
    #[serde(with = "nan_number")]
    pub not_positive_percent: f64,
    /// Entries below 0, %.
    #[serde(with = "nan_number")]
    pub negative_percent: f64,
    /// Smallest stored entry.
    #[serde(with = "nan_number")]
    pub min: f64,
    /// Largest stored entry.
    #[serde(with = "nan_number")]
    pub max: f64,
}

/// Slope of the test loss along the gain of one loop matrix, around gain 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoopSlope {
    /// Short name of the matrix.
    pub matrix: String,
    /// Gains compared are 1 − step and 1 + step.
    pub step: f64,
    /// Mean loss at the lower and the higher gain, nats; same images and noise.
    #[serde(with = "nan_array")]
    pub loss_nats: [f64; 2],
    /// Central difference d loss / d gain, nats.
    #[serde(with = "nan_number")]
    pub measured: f64,
    /// Standard error of `measured` over trials (paired), nats.
    #[serde(with = "nan_number")]
    pub measured_error: f64,
    /// Σ w · ∂loss/∂w by the surrogate gradient, nats.
    #[serde(with = "nan_number")]
    pub surrogate: f64,
}

/// Spikes of one test trial, of some cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExampleTrial {
    /// Index of the sample in its source.
    pub sample: u64,
    /// Its class.
    pub label: u32,
    /// Length, ms.
    pub duration_ms: f64,
    /// Time step, ms.
    pub dt_ms: f64,
    /// E cells of the network.
    pub n_e: u32,
    /// I cells of the network.
    pub n_i: u32,
    /// Mean rate of all E cells in this trial, Hz.
    pub e_rate_hz: f64,
    /// Mean rate of all I cells in this trial, Hz.
    pub i_rate_hz: f64,
    /// E cells shown: the first ones.
    pub e_cells: u32,
    /// I cells shown: the first ones.
    pub i_cells: u32,
    /// (time ms, cell) of E spikes.
    pub e: Vec<(f64, u32)>,
    /// (time ms, cell) of I spikes.
    pub i: Vec<(f64, u32)>,
}

/// What a trained network does at one pair of loop multipliers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Multiplier of W_EI.
    pub ei: f64,
    /// Multiplier of W_IE.
    pub ie: f64,
    /// Accuracy over the test set, %.
    #[serde(with = "nan_number")]
    pub accuracy_percent: f64,
    /// Correct answers.
    pub correct: u64,
    /// Mean cross-entropy, nats.
    #[serde(with = "nan_number")]
    pub loss_nats: f64,
    /// Mean rate of E cells, Hz.
    #[serde(with = "nan_number")]
    pub e_rate_hz: f64,
    /// Mean rate of I cells, Hz.
    #[serde(with = "nan_number")]
    pub i_rate_hz: f64,
}

/// A grid of loop multipliers on one checkpoint: the content of a run's `sweep.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoopSweep {
    /// [`SWEEP_FORMAT`] at the time of writing.
    pub format: u64,
    /// `last`, `best` or `initial`.
    pub checkpoint: String,
    /// Epochs trained.
    pub epoch: u64,
    /// SHA-256 of the run's configuration.
    pub config_sha256: String,
    /// SHA-256 of the data.
    pub data_sha256: String,
    /// Version and commit of the program.
    pub program: String,
    /// What computed.
    pub device: String,
    /// Test trials of each point.
    pub trials: u64,
    /// Multipliers of W_EI, ascending (columns).
    pub ei: Vec<f64>,
    /// Multipliers of W_IE, ascending (rows).
    pub ie: Vec<f64>,
    /// Row after row.
    pub points: Vec<SweepPoint>,
}
