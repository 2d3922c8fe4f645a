//! What is collected of every cell: one number per measure.

use std::sync::LazyLock;

use crate::analysis::convergence::{self, Slope, slope_with_error};
use crate::conductance::metrics::{ACTIVE_E, CONFIDENCE, E_RATE, I_RATE, MARGIN, SILENT_E};
use crate::families::Family;
use crate::rate_rnn::metrics::{TEST_ERROR, TEST_PERPLEXITY, TRAIN_ERROR};
use crate::record::RunRecord;
use crate::train::metrics::{
    EPOCH, EVAL_SECONDS, EpochMetrics, Metric, SKIPPED_STEPS, TEST_ACCURACY, TEST_LOSS, TRAIN_LOSS,
    TRAIN_SECONDS,
};

/// Rate below which the I population counts as silent, Hz.
pub const SILENT_I_HZ: f64 = 1.0;

mod analysed;
mod of_loop;

/// Headings of measures in their order on a page: what is asked first stands first.
pub const GROUPS: [&str; 9] = [
    ACCURACY,
    RATES,
    CONVERGENCE,
    RHYTHM,
    LOOP,
    "W_in",
    "W_out",
    "W_EI",
    "W_IE",
];
const ACCURACY: &str = "Accuracy and loss";
const RATES: &str = "Rates";
const CONVERGENCE: &str = "Convergence";
const RHYTHM: &str = "Rhythm";
const LOOP: &str = "Loop";

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
    /// Heading of the measures that it belongs to, one of [`GROUPS`].
    pub group: &'static str,
    /// The one family whose runs have it; none: those of all families.
    pub only_of: Option<Family>,
    /// Depends on the clock: kept out of tables that must be equal for equal runs.
    pub is_timing: bool,
    value: Value,
}

impl Measure {
    /// Whether runs of a family have it.
    pub fn is_of(&self, family: Family) -> bool {
        self.only_of.is_none_or(|only| only == family)
    }

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
        ACCURACY,
        "seconds",
        "computing time",
        "s",
        "Time spent training and evaluating, all epochs.",
        |run| {
            let of = |epoch: &EpochMetrics| epoch[TRAIN_SECONDS] + epoch[EVAL_SECONDS];
            let seconds = run.epochs.iter().map(of).filter(|s| s.is_finite());
            seconds.fold(0.0, |all, s| all + s)
        },
    );
    seconds.is_timing = true;
    all.push(seconds);
    for measure in &mut all {
        let is_common = COMMON.contains(&&measure.name[..]);
        measure.only_of = (!is_common).then_some(Family::Conductance);
    }
    all.extend(errors_of_values());
    all
});

/// Measures of the runs of every family.
const COMMON: [&str; 10] = [
    "epochs_done",
    "test_accuracy_percent",
    "best_accuracy_percent",
    "best_epoch",
    "accuracy_slope_percent_per_epoch",
    "accuracy_converged",
    "test_loss_nats",
    "train_loss_nats",
    "skipped_steps",
    "seconds",
];

/// Errors of networks whose targets are values.
fn errors_of_values() -> Vec<Measure> {
    let best = measure(
        ACCURACY,
        "best_squared_error",
        "best test error",
        "1",
        "Mean squared error over the test set, best epoch.",
        |run| run.best().map_or(f64::NAN, |epoch| epoch[TEST_ERROR]),
    );
    let mut all = vec![
        last_epoch(ACCURACY, TEST_PERPLEXITY),
        last_epoch(ACCURACY, TEST_ERROR),
        best,
        last_epoch(ACCURACY, TRAIN_ERROR),
    ];
    for measure in &mut all {
        measure.only_of = Some(Family::RateRnn);
    }
    all
}

/// The measures of a family, in the order of the table's columns.
pub fn of_family(family: Family) -> impl Iterator<Item = &'static Measure> {
    MEASURES.iter().filter(move |measure| measure.is_of(family))
}

/// Every measure, in the order of the table's columns.
pub fn measures() -> &'static [Measure] {
    &MEASURES
}

/// Every measure, those of a heading together.
pub fn by_group() -> Vec<&'static Measure> {
    let mut all: Vec<&Measure> = MEASURES.iter().collect();
    all.sort_by_key(|measure| GROUPS.iter().position(|group| *group == measure.group));
    all
}

/// The measure of this name.
pub fn find(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|measure| measure.name == name)
}

fn measure(
    group: &'static str,
    name: &str,
    label: &str,
    unit: &'static str,
    meaning: &str,
    value: impl Fn(&RunRecord) -> f64 + Send + Sync + 'static,
) -> Measure {
    Measure {
        name: name.to_owned(),
        label: label.to_owned(),
        unit,
        group,
        meaning: meaning.to_owned(),
        is_timing: false,
        only_of: None,
        value: Box::new(value),
    }
}

/// A metric of the last epoch.
fn last_epoch(group: &'static str, metric: Metric) -> Measure {
    let meaning = format!("{} Last epoch.", metric.meaning);
    measure(
        group,
        metric.name,
        metric.label,
        metric.unit,
        &meaning,
        move |run| last(run, |epoch| epoch[metric]),
    )
}

/// Trained epochs; the untrained network is none.
fn trained(run: &RunRecord) -> &[EpochMetrics] {
    let first = run.epochs.iter().position(|epoch| epoch.epoch() > 0);
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

/// Slope of a metric over the newest epochs, and whether it is small enough to call it settled.
fn convergence_measures() -> Vec<Measure> {
    let slope = |metric: Metric, name: &str, unit, short: &str| {
        measure(
            CONVERGENCE,
            name,
            &format!("{short} slope"),
            unit,
            &format!(
                "Least-squares slope of the {} over the last 10 epochs.",
                metric.label
            ),
            move |run| slope_value(late_slope(run, |epoch| epoch[metric])),
        )
    };
    let settled = |metric: Metric, name: &str, unit: &str, short: &str, limit: f64| {
        measure(
            CONVERGENCE,
            name,
            &format!("{short} converged"),
            "1",
            &format!(
                "1 where the slope of the {} is within {limit} {unit} by two standard errors, 0 where it is beyond by \
                 two, else nothing.",
                metric.label
            ),
            move |run| is_below(late_slope(run, |epoch| epoch[metric]), limit),
        )
    };
    let accuracy_limit = convergence::ACCURACY_PERCENT_PER_EPOCH;
    let rate_limit = convergence::RATE_HZ_PER_EPOCH;
    let (accuracy, rate) = ("%/epoch", "Hz/epoch");
    vec![
        slope(
            TEST_ACCURACY,
            "accuracy_slope_percent_per_epoch",
            accuracy,
            "accuracy",
        ),
        slope(E_RATE, "e_rate_slope_hz_per_epoch", rate, "E rate"),
        slope(I_RATE, "i_rate_slope_hz_per_epoch", rate, "I rate"),
        settled(
            TEST_ACCURACY,
            "accuracy_converged",
            accuracy,
            "accuracy",
            accuracy_limit,
        ),
        settled(E_RATE, "e_rate_converged", rate, "E rate", rate_limit),
    ]
}

fn epoch_measures() -> Vec<Measure> {
    let mut all = vec![
        measure(
            ACCURACY,
            "epochs_done",
            "epochs trained",
            "1",
            "Epochs trained.",
            |run| last(run, |epoch| epoch[EPOCH]),
        ),
        last_epoch(ACCURACY, TEST_ACCURACY),
        measure(
            ACCURACY,
            "best_accuracy_percent",
            "best test accuracy",
            "%",
            "Test accuracy, best epoch.",
            |run| run.best().map_or(f64::NAN, |epoch| epoch[TEST_ACCURACY]),
        ),
        measure(
            ACCURACY,
            "best_epoch",
            "best epoch",
            "1",
            "Best epoch.",
            |run| run.best().map_or(f64::NAN, |epoch| epoch[EPOCH]),
        ),
        last_epoch(RATES, E_RATE),
        last_epoch(RATES, I_RATE),
        measure(
            RATES,
            "total_rate_hz",
            "E + I rate",
            "Hz",
            "E rate + I rate (not weighted by cells), last epoch.",
            |run| last(run, |epoch| epoch[E_RATE] + epoch[I_RATE]),
        ),
    ];
    all.extend(convergence_measures());
    all.extend([
        last_epoch(ACCURACY, TEST_LOSS),
        last_epoch(ACCURACY, TRAIN_LOSS),
        last_epoch(RATES, ACTIVE_E),
        last_epoch(RATES, SILENT_E),
        last_epoch(ACCURACY, MARGIN),
        last_epoch(ACCURACY, CONFIDENCE),
        measure(
            ACCURACY,
            SKIPPED_STEPS.name,
            SKIPPED_STEPS.label,
            "1",
            "Optimiser steps left out because the gradient was not finite, all epochs.",
            |run| {
                run.epochs
                    .iter()
                    .fold(0.0, |all, epoch| all + epoch[SKIPPED_STEPS])
            },
        ),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_a_name_a_label_and_a_heading() {
        for field in [|m: &Measure| m.name.clone(), |m: &Measure| m.label.clone()] {
            let distinct: std::collections::BTreeSet<_> = measures().iter().map(field).collect();
            assert_eq!(distinct.len(), measures().len());
        }
        for measure in measures() {
            assert!(GROUPS.contains(&measure.group), "{}", measure.name);
            assert!(measure.meaning.ends_with('.'), "{}", measure.meaning);
        }
        assert_eq!(by_group()[0].group, ACCURACY);
        assert_eq!(by_group()[measures().len() - 1].group, "W_IE");
    }
}
