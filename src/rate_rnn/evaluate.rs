//! What a trained network does on the test samples of its run.

use std::path::Path;

use serde_json::json;

use super::experiment::{Experiment, ExperimentError};
use super::settings::Config;
use crate::device::DeviceOptions;
use crate::summary::Summary;
use crate::text::fixed;
use crate::train::model::Part;
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

/// Measures a checkpoint of a run on its test samples; `data` is where a file of them is now.
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
    let weights = experiment.weights_of(&checkpoint)?;
    let (mut network, device) = experiment.open_network(&weights)?;
    let scores = network
        .scores(Part::Test, &mut || true)?
        .unwrap_or_default();
    let epoch = checkpoint.content.progress.epochs_done;
    let mut facts = vec![
        checkpoint_fact(&checkpoint.path, epoch),
        ("device", device.to_string()),
    ];
    let mut json = json!({
        "checkpoint": checkpoint.path,
        "epoch": epoch,
        "device": device.info.name,
        "trials": experiment.sequences.split.test.len(),
    });
    let (outputs, loss) = (scores.outputs as f64, scores.mean_loss());
    if experiment.sequences.has_classes() {
        let share = scores.correct as f64 / outputs;
        let error = 100.0 * (share * (1.0 - share) / outputs).sqrt();
        facts.push((
            "accuracy",
            format!(
                "{:.2} % ± {error:.2} (standard error), {} of {}",
                100.0 * share,
                scores.correct,
                scores.outputs
            ),
        ));
        facts.push(("loss", format!("{} nats", fixed(loss, 4))));
        if experiment.params.loss.is_of_every_step() {
            let perplexity = libm::exp(loss);
            facts.push(("perplexity", fixed(perplexity, 2)));
            json["perplexity"] = perplexity.into();
        }
        json["correct"] = scores.correct.into();
        json["accuracy_percent"] = (100.0 * share).into();
        json["accuracy_standard_error_percent"] = error.into();
        json["loss_nats"] = loss.into();
    } else {
        facts.push(("error", format!("{} (mean squared error)", fixed(loss, 6))));
        json["squared_error"] = loss.into();
    }
    let summary = Summary {
        facts,
        listings: Vec::new(),
        json: json.to_string(),
    };
    Ok((summary, Ok(None)))
}
