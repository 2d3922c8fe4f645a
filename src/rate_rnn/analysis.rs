//! A trained network measured on the whole test set: the content of a run's `analysis.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::batch::Targets;
use super::cpu::effective_matrix;
use super::experiment::{Experiment, ExperimentError};
use super::loss::Scores;
use super::model::NetworkModel;
use super::weights::{Layout, Link};
use crate::analysis::answers::predicted;
use crate::analysis::float::{nan_list, nan_number};
use crate::files::write_atomic;
use crate::spectra::{singular_values, spectral_radius, svd_entropy};
use crate::train::manifest::program;
use crate::train::run_folder::RunFiles;
use crate::train::session::{TrainError, run_sha256};

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

/// What is analysed; weights as [`Layout::flatten`] gives them.
#[derive(Clone, Copy, Debug)]
pub struct AnalysedWeights<'a> {
    /// `last`, `best` or `initial`.
    pub checkpoint: &'a str,
    /// Epochs trained.
    pub epoch: u64,
    /// Weights at the start of the run.
    pub initial: &'a [f32],
    /// Weights of the checkpoint.
    pub now: &'a [f32],
    /// Name of the device that computes.
    pub device: &'a str,
}

impl Experiment {
    /// Runs `subject` on all test sequences and measures its answers and matrices. `network` is one of this experiment
    /// whatever its weights; it ends with those of `subject`. None where `go_on`, asked between batches, said no.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn analyse(
        &self,
        network: &mut NetworkModel,
        subject: &AnalysedWeights<'_>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<RunAnalysis>, ExperimentError> {
        network.engine().load(subject.now)?;
        let mut test = TestResult::default();
        let mut scores = Scores::default();
        for samples in self
            .sequences
            .split
            .test
            .chunks(self.config.training.batch_size)
        {
            if !go_on() {
                return Ok(None);
            }
            let batch = self.sequences.batch(samples);
            let forward = network.engine().forward(&batch, false)?;
            scores.add(&forward.scores);
            match &batch.targets {
                Targets::Values(values) => {
                    test.targets.extend(values.iter().copied().map(f64::from));
                    test.outputs.extend(forward.outputs);
                }
                Targets::Classes(classes) if !self.params.loss.is_of_every_step() => {
                    test.labels.extend(classes);
                    let answers = forward.outputs.chunks_exact(self.params.n_out);
                    test.predicted
                        .extend(answers.map(|outputs| predicted(outputs) as u32));
                }
                // Answers of every step are too many to keep.
                Targets::Classes(_) => {}
            }
        }
        test.loss = scores.mean_loss();
        test.accuracy_percent = match self.sequences.has_classes() {
            true => 100.0 * scores.correct as f64 / scores.outputs as f64,
            false => f64::NAN,
        };
        Ok(Some(RunAnalysis {
            format: FORMAT,
            checkpoint: subject.checkpoint.to_owned(),
            epoch: subject.epoch,
            config_sha256: run_sha256(&self.config),
            data_sha256: self.sequences.sha256.clone(),
            program: program(),
            device: subject.device.to_owned(),
            test,
            matrices: self.matrices(subject),
        }))
    }

    fn matrices(&self, subject: &AnalysedWeights<'_>) -> BTreeMap<String, MatrixAnalysis> {
        let layout = Layout::new(&self.params);
        let wide = |flat: &[f32]| flat.iter().copied().map(f64::from).collect::<Vec<_>>();
        let [initial, now] = [wide(subject.initial), wide(subject.now)];
        let of = |link: &Link| {
            let spectrum = |stored| Spectrum::of(&effective_matrix(&layout, link, stored), link);
            let analysis = MatrixAnalysis {
                shape: [link.post, link.pre],
                initial: spectrum(&initial),
                now: spectrum(&now),
            };
            (link.name.clone(), analysis)
        };
        layout.links.iter().map(of).collect()
    }
}

impl Spectrum {
    /// Of the effective matrix of a link.
    fn of(matrix: &[f64], link: &Link) -> Self {
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

impl RunAnalysis {
    /// The text of its file.
    ///
    /// # Errors
    /// None that is known: every number that JSON lacks is written as `null`.
    pub fn json(&self) -> Result<String, ExperimentError> {
        let json = serde_json::to_string(self).map_err(ExperimentError::AnalysisJson)?;
        Ok(json + "\n")
    }

    /// Writes the `analysis.json` of a run folder, all or nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, files: &RunFiles) -> Result<(), ExperimentError> {
        let json = self.json()?;
        Ok(write_atomic(&files.analysis(), json.as_bytes()).map_err(TrainError::File)?)
    }
}
