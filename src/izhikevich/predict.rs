//! The answers of a trained network to new images.

use super::experiment::{Experiment, ExperimentError};
use super::model::pool_rates;
use super::settings::{Config, Task};
use crate::data::Samples;
use crate::device::DeviceOptions;
use crate::train::stored::{StoredRun, WhichCheckpoint};

/// The mean rates of the output cells of each class, Hz, at the first `count` of `samples`, a row a sample, of a
/// checkpoint of a run.
///
/// # Errors
/// A run of another task, a checkpoint that is damaged, or a device that fails.
pub fn predict(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    samples: Samples,
    count: usize,
    device: DeviceOptions,
) -> Result<Vec<Vec<f64>>, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let (Samples::Images(set), Task::Images) = (samples, run.config.data.task) else {
        let problem = "only images can be answered, by a network that was trained on images";
        return Err(ExperimentError::Samples(problem.into()));
    };
    let experiment = Experiment::of_run(run, None, device)?;
    let learnt = experiment.learnt_of(&checkpoint)?;
    let (mut network, _) = experiment.open_network(&learnt, 0)?;
    let stimuli = experiment.stimuli.with_images(&set);
    let trials = (0..count).map(|sample| stimuli.frozen_trial(sample));
    let rates = network
        .frozen_rates(trials, &mut || true)?
        .unwrap_or_default();
    let classes = &experiment.network.classes;
    let answers = rates.iter();
    Ok(answers
        .map(|rates| pool_rates(rates, classes, stimuli.classes))
        .collect())
}
