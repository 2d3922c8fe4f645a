//! Answers, tuning and synapses of a trained network, in words.

use std::path::Path;

use super::analysis::{BlockWeights, RunAnalysis};
use super::experiment::{Experiment, ExperimentError, Subject, analysis_json, write_analysis};
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

/// Measures a checkpoint of a run on all its test trials; `data` is where a file of them is now. That of the last
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
    let now = experiment.learnt_of(&checkpoint)?;
    let initial = experiment.learnt_of(&run.checkpoint(WhichCheckpoint::Initial)?)?;
    let (mut network, device) = experiment.open_network(&now, 0)?;
    let trials = experiment.stimuli.split.test.len();
    note(format!(
        "analysing {}\u{2026}",
        count(trials, "test trial", "test trials")
    ));
    let subject = Subject {
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
    Ok(Summary {
        facts: facts(&analysis, &checkpoint.path),
        listings: vec![blocks(&analysis)],
        json: analysis_json(&analysis)?,
    })
}

fn facts(analysis: &RunAnalysis, path: &Path) -> Vec<(&'static str, String)> {
    let test = &analysis.test;
    let trials = test.labels.len();
    let accuracy = |answers: &[u32]| {
        let pairs = test.labels.iter().zip(answers);
        let correct = pairs.filter(|(label, answer)| label == answer).count() as u64;
        let [low, high] = wilson_percent(correct, trials as u64);
        let percent = 100.0 * correct as f64 / trials as f64;
        format!("{percent:.2} % (95 % interval {low:.1} to {high:.1}), {correct} of {trials}")
    };
    let mut facts = vec![
        checkpoint_fact(path, analysis.epoch),
        ("device", analysis.device.clone()),
        ("accuracy", accuracy(&test.predicted)),
    ];
    if !test.assigned.is_empty() {
        facts.push(("by assigned classes", accuracy(&test.assigned)));
    }
    if test.read_out_accuracy_percent.is_finite() {
        facts.push((
            "logistic read-out",
            format!("{} %", fixed(test.read_out_accuracy_percent, 2)),
        ));
    }
    facts.push((
        "output cells",
        format!(
            "{} Hz in trials of their class, {} Hz in others",
            fixed(test.own_rate_hz, 2),
            fixed(test.other_rate_hz, 2)
        ),
    ));
    if let Some(tuning) = &analysis.tuning {
        facts.push((
            "tuning",
            format!(
                "F1/F0 {}, range {} Hz (means over output cells); mean correlation of curves {}",
                fixed(tuning.mean_of(|cell| cell.f1_over_f0), 2),
                fixed(tuning.mean_of(|cell| cell.range_hz), 2),
                fixed(tuning.mean_correlation, 2)
            ),
        ));
    }
    facts
}

fn blocks(analysis: &RunAnalysis) -> Listing {
    let row = |block: &BlockWeights| {
        vec![
            block.name.clone(),
            format!("{} × {}", block.shape[0], block.shape[1]),
            block.synapses.to_string(),
            format!("{} → {}", number(block.mean_at_start), number(block.mean)),
            number(block.sd),
            format!("{} %", fixed(100.0 * block.share_at_zero, 1)),
            String::new(),
        ]
    };
    let head = [
        "block",
        "pre × post",
        "synapses",
        "mean weight",
        "sd",
        "at 0",
        "",
    ];
    Listing::new(head, analysis.blocks.iter().map(row))
}
