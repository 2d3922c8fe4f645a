//! What a trained network does on the test trials of its run.

use std::path::Path;

use serde_json::json;

use super::experiment::{Experiment, ExperimentError};
use super::settings::Config;
use crate::analysis::compare::wilson_percent;
use crate::device::DeviceOptions;
use crate::summary::Summary;
use crate::text::{count, fixed};
use crate::train::metrics::TEST_ACCURACY;
use crate::train::model::{Model, Part};
use crate::train::stored::{StoredRun, WhichCheckpoint, checkpoint_fact};

/// What only networks of this family can be asked: nothing.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)] // families' options go by one name
pub struct Options {}

impl Options {
    /// One that was given.
    pub fn given(&self) -> Option<&'static str> {
        None
    }
}

/// An evaluation, and nothing that was to be recorded.
pub type Evaluated = (Summary, Result<Option<String>, ExperimentError>);

/// Measures a checkpoint of a run on its test trials; `data` is where a file of them is now.
///
/// # Errors
/// A checkpoint of another run, data that cannot be used, or a device that fails.
pub fn evaluate(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    data: Option<&Path>,
    device: DeviceOptions,
    _: &Options,
    _: &mut dyn FnMut(String),
) -> Result<Evaluated, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let experiment = Experiment::of_run(run, data, device)?;
    let learnt = experiment.learnt_of(&checkpoint)?;
    let (mut network, device) = experiment.open_network(&learnt, 0)?;
    let measured = network.evaluate(Part::Test, &mut || true);
    let measured = measured
        .map_err(ExperimentError::Model)?
        .unwrap_or_default();
    let epoch = checkpoint.content.progress.epochs_done;
    let trials = experiment.stimuli.split.test.len();
    let mut facts = vec![
        checkpoint_fact(&checkpoint.path, epoch),
        ("device", device.to_string()),
    ];
    let mut json = json!({
        "checkpoint": checkpoint.path,
        "epoch": epoch,
        "device": device.info.name,
        "trials": trials,
    });
    for (metric, value) in measured {
        if metric == TEST_ACCURACY {
            let correct = (value / 100.0 * trials as f64).round() as u64;
            let [low, high] = wilson_percent(correct, trials as u64);
            facts.push((
                "accuracy",
                format!(
                    "{value:.2} % (95 % interval {low:.1} to {high:.1}), {correct} of {}",
                    count(trials, "test trial", "test trials")
                ),
            ));
            json["correct"] = correct.into();
            json["accuracy_percent"] = value.into();
        } else if value.is_finite() {
            facts.push((metric.label, format!("{} {}", fixed(value, 2), metric.unit)));
            json[metric.name] = value.into();
        }
    }
    let summary = Summary {
        facts,
        listings: Vec::new(),
        json: json.to_string(),
    };
    Ok((summary, Ok(None)))
}
