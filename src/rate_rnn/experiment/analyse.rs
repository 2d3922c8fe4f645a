//! A trained network measured on the whole test set.

use std::collections::BTreeMap;

use super::{Experiment, ExperimentError};
use crate::analysis::answers::predicted;
use crate::files::write_atomic;
use crate::rate_rnn::analysis::{FORMAT, MatrixAnalysis, RunAnalysis, Spectrum, TestResult};
use crate::rate_rnn::batch::Targets;
use crate::rate_rnn::cpu::effective_matrix;
use crate::rate_rnn::loss::Scores;
use crate::rate_rnn::model::NetworkModel;
use crate::rate_rnn::weights::{Layout, Link};
use crate::train::manifest::program;
use crate::train::run_folder::RunFiles;
use crate::train::session::{TrainError, run_sha256};

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

/// An analysis as the text of its file.
///
/// # Errors
/// None that is known: every number that JSON lacks is written as `null`.
pub fn analysis_json(analysis: &RunAnalysis) -> Result<String, ExperimentError> {
    let json = serde_json::to_string(analysis).map_err(ExperimentError::AnalysisJson)?;
    Ok(json + "\n")
}

/// Writes the `analysis.json` of a run folder, all or nothing.
///
/// # Errors
/// The file cannot be written.
pub fn write_analysis(files: &RunFiles, analysis: &RunAnalysis) -> Result<(), ExperimentError> {
    let json = analysis_json(analysis)?;
    Ok(write_atomic(&files.analysis(), json.as_bytes()).map_err(TrainError::File)?)
}
