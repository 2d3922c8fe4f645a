//! What is collected of every cell: one number a measure.

use std::sync::LazyLock;

use crate::analysis::convergence::{self, Slope, slope_with_error};
use crate::record::RunRecord;
use crate::train::metrics::EpochMetrics;

/// Rate below which the I population counts as silent, Hz.
pub const SILENT_I_HZ: f64 = 1.0;

mod analysed;
mod labels;
mod of_loop;

type Value = Box<dyn Fn(&RunRecord) -> f64 + Send + Sync>;

/// A column of the collected table.
pub struct Measure {
    /// Name, with the unit at its end where there is one.
    pub name: String,
    /// What people call it, without its unit.
    pub label: String,
    /// Unit; `1` for a pure number.
    pub unit: &'static str,
    /// What it is, and of which epoch, rate and weights.
    pub meaning: String,
    /// Heading of the measures that it belongs to.
    pub group: &'static str,
    /// Depends on the clock: kept out of tables that must be equal for equal runs.
    pub is_timing: bool,
    value: Value,
}

impl Measure {
    /// Whether it is of a rhythm, which an analysed run need not have.
    pub fn is_of_rhythm(&self) -> bool {
        ["f_gamma_hz", "rhythm_hz"].contains(&&self.name[..])
    }

    /// The measure of a run; NaN where the run has none.
    pub fn of(&self, run: &RunRecord) -> f64 {
        (self.value)(run)
    }
}

static MEASURES: LazyLock<Vec<Measure>> = LazyLock::new(|| {
    let mut all = epoch_measures();
    all.extend(analysed::rhythm());
    for (short, name) in [
        ("in", "W_in"),
        ("out", "W_out"),
        ("ei", "W_EI"),
        ("ie", "W_IE"),
    ] {
        all.extend(analysed::matrix(short, name));
    }
    all.extend(of_loop::silencing_and_slopes());
    all.extend(of_loop::grid());
    let mut seconds = measure(
        "seconds",
        "s",
        "Time spent training and evaluating, all epochs.",
        |run| {
            let of = |epoch: &EpochMetrics| epoch.train_seconds + epoch.eval_seconds;
            run.epochs.iter().map(of).filter(|s| s.is_finite()).sum()
        },
    );
    seconds.is_timing = true;
    all.push(seconds);
    all
});

/// Every measure, in the order of the table's columns.
pub fn measures() -> &'static [Measure] {
    &MEASURES
}

/// Every measure, those of a heading together.
pub fn by_group() -> Vec<&'static Measure> {
    let mut all: Vec<&Measure> = MEASURES.iter().collect();
    all.sort_by_key(|measure| labels::place(measure.group));
    all
}

/// The measure of this name.
pub fn find(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|measure| measure.name == name)
}

fn measure(
    name: &str,
    unit: &'static str,
    meaning: &str,
    value: impl Fn(&RunRecord) -> f64 + Send + Sync + 'static,
) -> Measure {
    Measure {
        name: name.to_owned(),
        label: labels::label(name),
        unit,
        group: labels::group(name),
        meaning: meaning.to_owned(),
        is_timing: false,
        value: Box::new(value),
    }
}

/// Trained epochs; the untrained network is none.
fn trained(run: &RunRecord) -> &[EpochMetrics] {
    let first = run.epochs.iter().position(|epoch| epoch.epoch > 0);
    first.map_or(&[], |first| &run.epochs[first..])
}

fn last(run: &RunRecord, of: impl Fn(&EpochMetrics) -> f64) -> f64 {
    run.last().map_or(f64::NAN, of)
}

/// Slope over the newest [`convergence::EPOCHS`] with its error; none for shorter runs.
pub fn late_slope(run: &RunRecord, of: impl Fn(&EpochMetrics) -> f64) -> Option<Slope> {
    let epochs = trained(run);
    if epochs.len() < convergence::EPOCHS {
        return None;
    }
    let values: Vec<f64> = epochs.iter().map(of).collect();
    Some(slope_with_error(&values, convergence::EPOCHS))
}

fn slope_value(slope: Option<Slope>) -> f64 {
    slope.map_or(f64::NAN, |slope| slope.value)
}

/// 1 or 0; NaN without a slope, and where its error leaves it open.
fn is_below(slope: Option<Slope>, limit: f64) -> f64 {
    let is_below = slope.and_then(|slope| slope.is_below(limit));
    is_below.map_or(f64::NAN, |is_below| f64::from(u8::from(is_below)))
}

fn accuracy_slope(run: &RunRecord) -> Option<Slope> {
    late_slope(run, |epoch| epoch.test_accuracy_percent)
}

fn e_rate_slope(run: &RunRecord) -> Option<Slope> {
    late_slope(run, |epoch| epoch.e_rate_hz)
}

fn epoch_measures() -> Vec<Measure> {
    vec![
        measure("epochs_done", "1", "Epochs trained.", |run| {
            last(run, |epoch| epoch.epoch as f64)
        }),
        measure(
            "test_accuracy_percent",
            "%",
            "Test accuracy, last epoch.",
            |run| last(run, |epoch| epoch.test_accuracy_percent),
        ),
        measure(
            "best_accuracy_percent",
            "%",
            "Test accuracy, best epoch.",
            |run| {
                run.best()
                    .map_or(f64::NAN, |epoch| epoch.test_accuracy_percent)
            },
        ),
        measure("best_epoch", "1", "Best epoch.", |run| {
            run.best().map_or(f64::NAN, |epoch| epoch.epoch as f64)
        }),
        measure(
            "e_rate_hz",
            "Hz",
            "Mean E rate over the test set, last epoch.",
            |run| last(run, |epoch| epoch.e_rate_hz),
        ),
        measure(
            "i_rate_hz",
            "Hz",
            "Mean I rate over the test set, last epoch.",
            |run| last(run, |epoch| epoch.i_rate_hz),
        ),
        measure(
            "total_rate_hz",
            "Hz",
            "E rate + I rate (not weighted by cells), last epoch.",
            |run| last(run, |epoch| epoch.e_rate_hz + epoch.i_rate_hz),
        ),
        measure(
            "accuracy_slope_percent_per_epoch",
            "%/epoch",
            "Least-squares slope of the test accuracy over the last 10 epochs.",
            |run| slope_value(accuracy_slope(run)),
        ),
        measure(
            "e_rate_slope_hz_per_epoch",
            "Hz/epoch",
            "Least-squares slope of the E rate over the last 10 epochs.",
            |run| slope_value(e_rate_slope(run)),
        ),
        measure(
            "i_rate_slope_hz_per_epoch",
            "Hz/epoch",
            "Least-squares slope of the I rate over the last 10 epochs.",
            |run| slope_value(late_slope(run, |epoch| epoch.i_rate_hz)),
        ),
        measure(
            "accuracy_converged",
            "1",
            "1 where the accuracy's slope is within 0.1 %/epoch, 0 where beyond, by two standard errors; else nothing.",
            |run| is_below(accuracy_slope(run), convergence::ACCURACY_PERCENT_PER_EPOCH),
        ),
        measure(
            "e_rate_converged",
            "1",
            "1 where the E rate's slope is within 0.05 Hz/epoch, 0 where beyond, by two standard errors; else nothing.",
            |run| is_below(e_rate_slope(run), convergence::RATE_HZ_PER_EPOCH),
        ),
        measure(
            "test_loss_nats",
            "nats",
            "Test cross-entropy, last epoch.",
            |run| last(run, |epoch| epoch.test_loss_nats),
        ),
        measure(
            "train_loss_nats",
            "nats",
            "Training loss, last epoch.",
            |run| last(run, |epoch| epoch.train_loss_nats),
        ),
        measure(
            "active_e_percent",
            "%",
            "E cells with a spike in a trial, mean over test trials, last epoch.",
            |run| last(run, |epoch| epoch.active_e_percent),
        ),
        measure(
            "silent_e_percent",
            "%",
            "E cells silent over the whole test set, last epoch.",
            |run| last(run, |epoch| epoch.silent_e_percent),
        ),
        measure(
            "margin",
            "1",
            "True logit − best other, mean over the test set, last epoch.",
            |run| last(run, |epoch| epoch.margin),
        ),
        measure(
            "confidence",
            "1",
            "Probability of the true class, mean over the test set, last epoch.",
            |run| last(run, |epoch| epoch.confidence),
        ),
        measure(
            "skipped_steps",
            "1",
            "Optimiser steps left out for a gradient that was not finite.",
            |run| {
                run.epochs
                    .iter()
                    .map(|epoch| epoch.skipped_steps as f64)
                    .sum()
            },
        ),
    ]
}
