//! A trained network measured on the whole test set: the content of a run's `analysis.json`.

use std::collections::BTreeMap;

use sums::{Sums, spikes_of};

use super::{Experiment, ExperimentError};
use crate::analysis::rhythm::Settings;
use crate::conductance::analysis::record::{
    FORMAT, MatrixAnalysis, Participation, Rhythm, RunAnalysis,
};
use crate::conductance::analysis::weights::{self, input_of_cells};
use crate::conductance::batch::{Batch, Forward, Request, SpikeBits};
use crate::conductance::engine::Engine;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Weights};
use crate::files::write_atomic;
use crate::train::manifest::program;
use crate::train::run_folder::RunFiles;
use crate::train::session::{TrainError, run_sha256};

mod loop_slopes;
mod sums;

/// Most bytes of spikes that are in memory at once.
const RASTER_BYTES: usize = 64 << 20;

/// What is analysed.
#[derive(Clone, Copy, Debug)]
pub struct AnalysedWeights<'a> {
    /// `last`, `best` or `initial`.
    pub checkpoint: &'a str,
    /// Epochs trained.
    pub epoch: u64,
    /// Weights at the start of the run.
    pub initial: &'a Weights,
    /// Weights of the checkpoint.
    pub now: &'a Weights,
    /// Name of the device that computes.
    pub device: &'a str,
    /// What counts as a rhythm.
    pub settings: Settings,
}

impl Experiment {
    /// Runs `subject` on all test trials and measures its answers, spikes and weights, and the slope
    /// of the loss along the gains of its loop. `engine` is one of this network whatever its weights;
    /// it ends with those of `subject`. None where `go_on`, asked between batches, said no.
    ///
    /// # Errors
    /// Weights that do not fit the engine, samples that cannot be encoded, or a device that fails.
    pub fn analyse(
        &self,
        engine: &mut dyn Engine,
        subject: &AnalysedWeights<'_>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<RunAnalysis>, ExperimentError> {
        engine.load(subject.now)?;
        let mut sums = Sums::new(&self.params, subject.settings);
        let mut add = |samples: &[usize], batch: &Batch, forward: &Forward| {
            sums.add(samples, batch, forward);
        };
        if !self.run_test_trials(engine, go_on, &mut add)? {
            return Ok(None);
        }
        let rhythm = sums.rhythm(self.config.seeds.noise);
        let Some(participation) = self.participation(engine, &sums, &rhythm, go_on)? else {
            return Ok(None);
        };
        let Some(loop_slopes) = loop_slopes::measure(self, engine, subject.now, go_on)? else {
            return Ok(None);
        };
        Ok(Some(RunAnalysis {
            format: FORMAT,
            checkpoint: subject.checkpoint.to_owned(),
            epoch: subject.epoch,
            config_sha256: run_sha256(&self.config),
            data_sha256: self.data_sha256.clone(),
            program: program(),
            device: subject.device.to_owned(),
            test: sums.test(),
            e_cell_rate_hz: sums.e_cell_rate_hz(),
            i_cell_rate_hz: sums.i_cell_rate_hz(),
            rhythm,
            participation,
            weights: self.matrices(subject),
            i_cell_input_us: self.i_cell_input_us(subject)?,
            loop_slopes,
            raster: sums.into_example(),
        }))
    }

    /// Runs all test trials, some at a time, and hands on what they give; `false` where `go_on` said no.
    fn run_test_trials(
        &self,
        engine: &mut dyn Engine,
        go_on: &mut dyn FnMut() -> bool,
        take: &mut dyn FnMut(&[usize], &Batch, &Forward),
    ) -> Result<bool, ExperimentError> {
        let request = Request {
            raster: true,
            ..Request::default()
        };
        for samples in self.split.test.chunks(self.trials_with_raster()) {
            if !go_on() {
                return Ok(false);
            }
            let batch = self.trials.evaluation_batch(samples)?;
            let forward = engine.forward(&batch, request)?;
            take(samples, &batch, &forward);
        }
        Ok(true)
    }

    /// Spikes by cycle, which takes the same trials once more: only all of them tell the period. The
    /// outer none stands where `go_on` said no, the inner one where there is no rhythm.
    fn participation(
        &self,
        engine: &mut dyn Engine,
        sums: &Sums,
        rhythm: &Rhythm,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Option<Participation>>, ExperimentError> {
        let Some(mut cycles) = sums.cycles(rhythm) else {
            return Ok(Some(None));
        };
        let mut add = |_: &[usize], _: &Batch, forward: &Forward| {
            let Some(raster) = &forward.raster else {
                return;
            };
            for trial in 0..raster.trials {
                let [e, i] = spikes_of(raster, trial);
                cycles.add(&e, &i);
            }
        };
        let is_whole = self.run_test_trials(engine, go_on, &mut add)?;
        Ok(is_whole.then(|| cycles.participation()))
    }

    /// Trials whose raster takes at most [`RASTER_BYTES`]. A matter of the network alone, so that no
    /// device or memory option changes what is summed together.
    fn trials_with_raster(&self) -> usize {
        let p = &self.params;
        let row = SpikeBits::silent(0, p.steps, [p.n_e(), p.n_i(), p.n_out]).row_words();
        let most = self.config.training.batch_size.max(1);
        (RASTER_BYTES / (4 * row * p.steps).max(1)).clamp(1, most)
    }

    /// W_EI into each I cell as the forward pass uses it, µS, at the start and now.
    fn i_cell_input_us(
        &self,
        subject: &AnalysedWeights<'_>,
    ) -> Result<[Vec<f64>; 2], ExperimentError> {
        let layout = Layout::new(&self.params, subject.now)?;
        let slot = layout.slots.iter().find(|s| s.name == MatrixName::WEi);
        Ok([subject.initial, subject.now].map(|weights| {
            let Some((slot, ei)) = slot.zip(weights.get(&MatrixName::WEi)) else {
                return Vec::new();
            };
            input_of_cells(&ei.data, ei.post, slot.clamped)
        }))
    }

    fn matrices(&self, subject: &AnalysedWeights<'_>) -> BTreeMap<String, MatrixAnalysis> {
        let both = subject.now.iter().filter_map(|(&name, now)| {
            let initial = subject.initial.get(&name)?;
            let trained = self.params.is_trained(name);
            let analysis = weights::analyse(&initial.data, &now.data, trained);
            Some((name.short().to_owned(), analysis))
        });
        both.collect()
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
