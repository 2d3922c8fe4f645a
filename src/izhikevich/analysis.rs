//! A trained network measured once: the content of a run's `analysis.json`.

use serde::{Deserialize, Serialize};

use crate::analysis::float::{nan_list, nan_number};

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
    /// Test trials.
    pub test: TestResult,
    /// Output cells.
    pub cells: Vec<Cell>,
    /// Tuning to the orientation, of gratings.
    pub tuning: Option<Tuning>,
    /// Synapses by block.
    pub blocks: Vec<BlockWeights>,
}

/// What a network answers to the test trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Class of each trial.
    pub labels: Vec<u32>,
    /// Class whose output cells, by their numbers, fire most.
    pub predicted: Vec<u32>,
    /// Class whose output cells, by the classes assigned to them, fire most.
    pub assigned: Vec<u32>,
    /// Offset of each trial's grating, radians; empty of images.
    pub phases: Vec<f64>,
    /// Right answers by the cells' numbers, %.
    #[serde(with = "nan_number")]
    pub accuracy_percent: f64,
    /// Right answers by the classes assigned to the cells, %; NaN without trials to assign by.
    #[serde(with = "nan_number")]
    pub assigned_accuracy_percent: f64,
    /// Right answers of a logistic regression on the rates of the output cells, fitted to the trials that classes are
    /// assigned by, %.
    #[serde(with = "nan_number")]
    pub read_out_accuracy_percent: f64,
    /// Mean rate of output cells in trials of their own class, Hz.
    #[serde(with = "nan_number")]
    pub own_rate_hz: f64,
    /// Mean rate of output cells in trials of other classes, Hz.
    #[serde(with = "nan_number")]
    pub other_rate_hz: f64,
}

/// An output cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The class of its number.
    pub class: u32,
    /// The class that it fires most to, where trials were run to find it.
    pub assigned: Option<u32>,
    /// Mean rate in test trials of each class, Hz.
    #[serde(with = "nan_list")]
    pub by_class_hz: Vec<f64>,
}

/// How the output cells fire at gratings of every orientation and offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Frequency of the gratings, cycles an image.
    pub frequency: f64,
    /// Orientations, degrees.
    pub angles_deg: Vec<f64>,
    /// Offsets, radians.
    pub phases: Vec<f64>,
    /// What each output cell does.
    pub cells: Vec<CellTuning>,
    /// Mean correlation of the phase-averaged curves of two output cells.
    #[serde(with = "nan_number")]
    pub mean_correlation: f64,
}

impl Tuning {
    /// Mean of a number over the cells that have it.
    pub fn mean_of(&self, of: impl Fn(&CellTuning) -> f64) -> f64 {
        let numbers: Vec<f64> = self
            .cells
            .iter()
            .map(of)
            .filter(|x| x.is_finite())
            .collect();
        numbers.iter().sum::<f64>() / numbers.len() as f64
    }
}

/// Tuning of an output cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellTuning {
    /// Rate, `[angle][phase]`, Hz.
    pub rates_hz: Vec<Vec<f64>>,
    /// Current by the inputs' rates and the direct synapses, `[angle][phase]`.
    pub input: Vec<Vec<f64>>,
    /// Amplitude of the modulation by the offset over the mean rate, at the angle of the highest mean.
    #[serde(with = "nan_number")]
    pub f1_over_f0: f64,
    /// Largest less smallest phase-averaged rate, Hz.
    #[serde(with = "nan_number")]
    pub range_hz: f64,
    /// 1 − circular variance of the phase-averaged curve: 0 where all orientations are equal.
    #[serde(with = "nan_number")]
    pub selectivity: f64,
    /// Width of the phase-averaged curve at half its range above its lowest rate, degrees.
    #[serde(with = "nan_number")]
    pub half_width_deg: f64,
}

impl CellTuning {
    /// Rate at each angle, averaged over all offsets, Hz.
    pub fn curve(&self) -> Vec<f64> {
        averages(&self.rates_hz)
    }
}

/// Mean of each row.
pub fn averages(rows: &[Vec<f64>]) -> Vec<f64> {
    let mean = |row: &Vec<f64>| row.iter().sum::<f64>() / row.len() as f64;
    rows.iter().map(mean).collect()
}

/// The synapses of a block at the start and now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockWeights {
    /// `input_output`, …
    pub name: String,
    /// Pre and post cells.
    pub shape: [usize; 2],
    /// Synapses.
    pub synapses: usize,
    /// Mean weight at the start.
    #[serde(with = "nan_number")]
    pub mean_at_start: f64,
    /// Mean weight now.
    #[serde(with = "nan_number")]
    pub mean: f64,
    /// Standard deviation now.
    #[serde(with = "nan_number")]
    pub sd: f64,
    /// Share of synapses that are at 0 now.
    #[serde(with = "nan_number")]
    pub share_at_zero: f64,
    /// Weights now as a picture, `[row][column]`: means of so many pre and post cells that neither has more than 64.
    pub picture: Vec<Vec<f64>>,
}
