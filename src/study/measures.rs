//! What is collected of every cell: one number per measure. Here is what measures are and those that every family
//! has; which a family collects, and in which order, stands in its folder.

use crate::analysis::convergence::{self, Slope, slope_with_error};
use crate::record::RunRecord;
use crate::train::metrics::{
    EPOCH, EVAL_SECONDS, EpochMetrics, Metric, SKIPPED_STEPS, TEST_ACCURACY, TRAIN_SECONDS,
};

/// Heading of what is asked first.
pub const ACCURACY: &str = "Accuracy and loss";
/// Heading of slopes over epochs.
pub const CONVERGENCE: &str = "Convergence";

type Value = Box<dyn Fn(&RunRecord) -> f64 + Send + Sync>;

/// A column of the collected table.
pub struct Measure {
    /// Name, with the unit at its end where there is one.
    pub name: String,
    /// What people call it, without its unit.
    pub label: String,
    /// Unit; `1` for a pure number.
    pub unit: &'static str,
    /// What it is, and of which epoch and weights.
    pub meaning: String,
    /// Heading of the measures that it belongs to.
    pub group: &'static str,
    /// Depends on the clock: kept out of tables that must be equal for equal runs.
    pub is_timing: bool,
    /// A network that was analysed need not have it, as a rhythm.
    pub may_be_none: bool,
    /// The metric that it is the slope of over epochs.
    pub slope_of: Option<Metric>,
    value: Value,
}

impl Measure {
    /// The measure of a run; NaN where the run has none.
    pub fn of(&self, run: &RunRecord) -> f64 {
        (self.value)(run)
    }

    /// The same as one that a network which was analysed need not have.
    pub fn that_may_be_none(self) -> Self {
        Self {
            may_be_none: true,
            ..self
        }
    }
}

/// The measures of a family: which a page shows where, and what it says of them.
pub struct Measures {
    /// All of them, in the order of the table's columns.
    pub all: fn() -> &'static [Measure],
    /// Headings of measures in their order on a page.
    pub groups: &'static [&'static str],
    /// What is true of them where they do not say otherwise, as a sentence; may be empty.
    pub words: &'static str,
    /// What a reader wants to know first of every condition.
    pub key: &'static [&'static str],
    /// Those of [`key`](Self::key) that are shown only where a source reports them.
    pub only_reported: &'static [&'static str],
    /// What stands above the key measures, after what is common to all families.
    pub key_intro: &'static str,
    /// What stands below them.
    pub key_note: Option<&'static str>,
    /// Measures of the table by cell, in its order.
    pub by_cell: &'static [&'static str],
    /// Metrics whose slopes over the last epochs are tabled, and the slope of one that has settled.
    pub settling: &'static [(Metric, Option<f64>)],
    /// What is said of those limits.
    pub settling_words: &'static str,
    /// How conditions are compared in figures.
    pub compared: Compared,
}

impl Measures {
    /// The measure of this name.
    pub fn find(&self, name: &str) -> Option<&'static Measure> {
        (self.all)().iter().find(|measure| measure.name == name)
    }

    /// The measures of these names.
    pub fn named(&self, names: &'static [&'static str]) -> impl Iterator<Item = &'static Measure> {
        names.iter().filter_map(|name| self.find(name))
    }

    /// All of them, those of a heading together.
    pub fn by_group(&self) -> Vec<&'static Measure> {
        let mut all: Vec<&Measure> = (self.all)().iter().collect();
        all.sort_by_key(|measure| self.groups.iter().position(|group| *group == measure.group));
        all
    }
}

/// How conditions are compared in figures.
pub struct Compared {
    /// Measures, a panel each.
    pub measures: &'static [&'static str],
    /// What they are, as a sentence's subject.
    pub words: &'static str,
    /// What they are, in short.
    pub short: &'static str,
    /// What else is to be said, as a sentence; may be empty.
    pub note: &'static str,
}

/// A measure.
pub fn measure(
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
        may_be_none: false,
        slope_of: None,
        value: Box::new(value),
    }
}

/// Epochs trained.
pub fn epochs_done() -> Measure {
    measure(
        ACCURACY,
        "epochs_done",
        "epochs trained",
        "1",
        "Epochs trained.",
        |run| last(run, |epoch| epoch[EPOCH]),
    )
}

/// Test accuracy of the best epoch.
pub fn best_accuracy() -> Measure {
    measure(
        ACCURACY,
        "best_accuracy_percent",
        "best test accuracy",
        "%",
        "Test accuracy, best epoch.",
        |run| best(run, TEST_ACCURACY),
    )
}

/// The best epoch.
pub fn best_epoch() -> Measure {
    measure(
        ACCURACY,
        "best_epoch",
        "best epoch",
        "1",
        "Best epoch.",
        |run| best(run, EPOCH),
    )
}

/// Optimiser steps without effect.
pub fn skipped_steps() -> Measure {
    measure(
        ACCURACY,
        SKIPPED_STEPS.name,
        SKIPPED_STEPS.label,
        "1",
        "Optimiser steps left out because the gradient was not finite, all epochs.",
        |run| {
            let of = |epoch: &EpochMetrics| epoch[SKIPPED_STEPS];
            run.epochs.iter().map(of).fold(0.0, |all, n| all + n)
        },
    )
}

/// How long it took.
pub fn seconds() -> Measure {
    let of = |epoch: &EpochMetrics| epoch[TRAIN_SECONDS] + epoch[EVAL_SECONDS];
    let seconds = measure(
        ACCURACY,
        "seconds",
        "computing time",
        "s",
        "Time spent training and evaluating, all epochs.",
        move |run| {
            let seconds = run.epochs.iter().map(of).filter(|s| s.is_finite());
            seconds.fold(0.0, |all, s| all + s)
        },
    );
    Measure {
        is_timing: true,
        ..seconds
    }
}

/// A metric of the last epoch.
pub fn last_epoch(group: &'static str, metric: Metric) -> Measure {
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

/// Slope of a metric over the newest epochs.
pub fn slope(metric: Metric, name: &str, unit: &'static str, short: &str) -> Measure {
    let measure = measure(
        CONVERGENCE,
        name,
        &format!("{short} slope"),
        unit,
        &format!(
            "Least-squares slope of the {} over the last 10 epochs.",
            metric.label
        ),
        move |run| late_slope(run, metric).map_or(f64::NAN, |slope| slope.value),
    );
    Measure {
        slope_of: Some(metric),
        ..measure
    }
}

/// Whether the slope of a metric is small enough to call it settled.
pub fn settled(
    metric: Metric,
    name: &str,
    slope_unit: &'static str,
    short: &str,
    limit: f64,
) -> Measure {
    measure(
        CONVERGENCE,
        name,
        &format!("{short} converged"),
        "1",
        &format!(
            "1 where the slope of the {} is within {limit} {slope_unit} by two standard errors, 0 where it is beyond by \
             two, else nothing.",
            metric.label
        ),
        move |run| {
            let is_below = late_slope(run, metric).and_then(|slope| slope.is_below(limit));
            is_below.map_or(f64::NAN, |is_below| f64::from(u8::from(is_below)))
        },
    )
}

/// Trained epochs; the untrained network is none.
pub fn trained(run: &RunRecord) -> &[EpochMetrics] {
    let first = run.epochs.iter().position(|epoch| epoch.epoch() > 0);
    first.map_or(&[], |first| &run.epochs[first..])
}

/// Of the newest epoch; NaN before the first.
pub fn last(run: &RunRecord, of: impl Fn(&EpochMetrics) -> f64) -> f64 {
    run.last().map_or(f64::NAN, of)
}

/// A metric of the best epoch; NaN where there is none.
pub fn best(run: &RunRecord, metric: Metric) -> f64 {
    run.best().map_or(f64::NAN, |epoch| epoch[metric])
}

/// Slope over the newest [`convergence::EPOCHS`] with its error; none for shorter runs.
pub fn late_slope(run: &RunRecord, metric: Metric) -> Option<Slope> {
    let epochs = trained(run);
    if epochs.len() < convergence::EPOCHS {
        return None;
    }
    let values: Vec<f64> = epochs.iter().map(|epoch| epoch[metric]).collect();
    Some(slope_with_error(&values, convergence::EPOCHS))
}
