//! Answers and spectra of a trained network, in words.

use std::path::Path;

use super::analysis::{MatrixAnalysis, RunAnalysis};
use super::experiment::{
    AnalysedWeights, Experiment, ExperimentError, analysis_json, write_analysis,
};
use super::settings::Config;
use crate::analysis::compare::wilson_percent;
use crate::device::DeviceOptions;
use crate::summary::{Listing, Summary};
use crate::text::{count, fixed, number};
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

/// Measures a checkpoint of a run on all its test sequences; `data` is where a file of them is now. That of the last
/// checkpoint becomes the run's `analysis.json`. `note` is told what goes on.
///
/// # Errors
/// A checkpoint of another run, data that cannot be used, a device that fails, or a file that cannot be written.
pub fn of_run(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    data: Option<&Path>,
    device: DeviceOptions,
    _: &Options,
    note: &mut dyn FnMut(String),
) -> Result<Summary, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let experiment = Experiment::of_run(run, data, device)?;
    let now = experiment.weights_of(&checkpoint)?;
    let initial = experiment.weights_of(&run.checkpoint(WhichCheckpoint::Initial)?)?;
    let (mut network, device) = experiment.open_network(&now)?;
    let trials = experiment.sequences.split.test.len();
    note(format!(
        "analysing {}\u{2026}",
        count(trials, "test trial", "test trials")
    ));
    let subject = AnalysedWeights {
        checkpoint: checkpoint.which.name(),
        epoch: checkpoint.content.progress.epochs_done,
        initial: &initial,
        now: &now,
        device: &device.info.name,
    };
    let Some(analysis) = experiment.analyse(&mut network, &subject, &mut || true)? else {
        return Ok(Summary::default());
    };
    if which == WhichCheckpoint::Last {
        write_analysis(&run.files, &analysis)?;
    }
    let (facts, matrices) = in_words(&analysis, &checkpoint.path);
    Ok(Summary {
        facts,
        listings: vec![matrices],
        json: analysis_json(&analysis)?,
    })
}

fn in_words(analysis: &RunAnalysis, path: &Path) -> (Vec<(&'static str, String)>, Listing) {
    let test = &analysis.test;
    let mut facts = vec![
        checkpoint_fact(path, analysis.epoch),
        ("device", analysis.device.clone()),
    ];
    if !test.labels.is_empty() {
        let pairs = test.labels.iter().zip(&test.predicted);
        let correct = pairs.filter(|(label, answer)| label == answer).count() as u64;
        let [low, high] = wilson_percent(correct, test.labels.len() as u64);
        facts.push((
            "accuracy",
            format!(
                "{:.2} % (95 % interval {low:.1} to {high:.1}), {correct} of {} test trials",
                test.accuracy_percent,
                test.labels.len()
            ),
        ));
    } else if test.accuracy_percent.is_finite() {
        facts.push(("accuracy", format!("{:.2} %", test.accuracy_percent)));
    }
    facts.push(match test.targets.is_empty() {
        true => ("loss", format!("{} nats", fixed(test.loss, 4))),
        false => (
            "error",
            format!("{} (mean squared error)", fixed(test.loss, 6)),
        ),
    });
    let row = |(name, matrix): (&String, &MatrixAnalysis)| {
        let of_both = |a: f64, b: f64| match a.is_finite() || b.is_finite() {
            true => format!("{} → {}", number(a), number(b)),
            false => "-".to_owned(),
        };
        let (start, now) = (&matrix.initial, &matrix.now);
        let largest = |values: &[f64]| values.first().copied().unwrap_or(f64::NAN);
        vec![
            name.clone(),
            format!("{} × {}", matrix.shape[0], matrix.shape[1]),
            of_both(start.norm, now.norm),
            of_both(
                largest(&start.singular_values),
                largest(&now.singular_values),
            ),
            of_both(start.entropy, now.entropy),
            of_both(start.radius, now.radius),
            String::new(),
        ]
    };
    let head = [
        "matrix",
        "post × pre",
        "norm",
        "largest singular value",
        "entropy of singular values",
        "spectral radius",
        "",
    ];
    (facts, Listing::new(head, analysis.matrices.iter().map(row)))
}
