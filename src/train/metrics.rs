//! What is measured once an epoch: one table says what each number is called, on disk, on screen and on
//! pages, and what it means.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::{Index, IndexMut};

use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// What the values of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number; `null` in the file where it is not finite, since JSON has no NaN.
    Number,
    /// A whole number.
    Count,
    /// True or false.
    Flag,
    /// A number for each weight matrix, by its short name.
    ByMatrix,
    /// The mark of the run.
    Mark,
}

/// How a number stands in the line of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InLine {
    /// Its place there, from the left.
    pub place: u8,
    /// The word before it.
    pub word: &'static str,
    /// Its decimals.
    pub decimals: usize,
}

/// Places in the line of an epoch of what is measured on the test set.
pub const OF_TEST_SET: std::ops::Range<u8> = 3..6;

/// A row of the table of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The key in `metrics.jsonl`.
    pub name: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// The unit; `1` for a pure number.
    pub unit: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// What its values are.
    pub kind: MetricKind,
    /// How it stands in the line of an epoch; none: it does not.
    pub in_line: Option<InLine>,
    /// Runs of older versions lack it; it is NaN or empty there.
    may_lack: bool,
}

impl Metric {
    const fn of(
        kind: MetricKind,
        name: &'static str,
        label: &'static str,
        unit: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            label,
            unit,
            meaning,
            kind,
            in_line: None,
            may_lack: false,
        }
    }

    pub(crate) const fn number(
        name: &'static str,
        label: &'static str,
        unit: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self::of(MetricKind::Number, name, label, unit, meaning)
    }

    pub(crate) const fn in_line(self, place: u8, word: &'static str, decimals: usize) -> Self {
        Self {
            in_line: Some(InLine {
                place,
                word,
                decimals,
            }),
            ..self
        }
    }

    pub(crate) const fn lacking_in_older_runs(self) -> Self {
        Self {
            may_lack: true,
            ..self
        }
    }
}

/// Epoch.
pub const EPOCH: Metric = Metric::of(
    MetricKind::Count,
    "epoch",
    "epoch",
    "1",
    "Epoch just completed, from 1; 0 is the untrained network.",
);
/// Training loss.
pub const TRAIN_LOSS: Metric = Metric::number(
    "train_loss_nats",
    "training loss",
    "nats",
    "Mean cross-entropy of training over the epoch, while the weights change.",
)
.in_line(0, "loss", 3);
/// Test loss.
pub const TEST_LOSS: Metric = Metric::number(
    "test_loss_nats",
    "test loss",
    "nats",
    "Mean cross-entropy over the test set after the epoch.",
);
/// Training accuracy.
pub const TRAIN_ACCURACY: Metric = Metric::number(
    "train_accuracy_percent",
    "training accuracy",
    "%",
    "Share of training samples classified correctly during the epoch.",
)
.in_line(1, "train", 1);
/// Test accuracy.
pub const TEST_ACCURACY: Metric = Metric::number(
    "test_accuracy_percent",
    "test accuracy",
    "%",
    "Share of test samples classified correctly after the epoch.",
)
.in_line(3, "test", 1);
/// Validation accuracy.
pub const VALIDATION_ACCURACY: Metric = Metric::number(
    "validation_accuracy_percent",
    "validation accuracy",
    "%",
    "Share of validation samples classified correctly after the epoch; null where none are held out.",
)
.in_line(2, "validation", 1);
/// Gradient norm.
pub const GRADIENT_NORM: Metric = Metric::number(
    "gradient_norm",
    "gradient norm",
    "1",
    "Global gradient norm before clipping, mean over the epoch's optimiser steps that were taken.",
)
.in_line(6, "gradient", 2);
/// Largest gradient norm.
pub const GRADIENT_NORM_MAX: Metric = Metric::number(
    "gradient_norm_max",
    "largest gradient norm",
    "1",
    "Largest global gradient norm of an optimiser step of the epoch, before clipping.",
);
/// Clipped steps.
pub const CLIPPED_STEPS: Metric = Metric::of(
    MetricKind::Count,
    "clipped_steps",
    "clipped steps",
    "1",
    "Optimiser steps of the epoch whose gradient was clipped.",
);
/// Skipped steps.
pub const SKIPPED_STEPS: Metric = Metric::of(
    MetricKind::Count,
    "skipped_steps",
    "skipped steps",
    "1",
    "Optimiser steps of the epoch left out because the gradient was not finite.",
);
/// Optimiser steps.
pub const OPTIMISER_STEPS: Metric = Metric::of(
    MetricKind::Count,
    "optimiser_steps",
    "optimiser steps",
    "1",
    "Optimiser steps taken since the start of the run.",
);
/// Norms of the matrices.
pub const WEIGHT_NORM: Metric = Metric::of(
    MetricKind::ByMatrix,
    "weight_norm",
    "norm",
    "weight",
    "Frobenius norm of each stored weight matrix after the epoch.",
);
/// Gradient norms of the matrices.
pub const GRADIENT_NORM_OF: Metric = Metric::of(
    MetricKind::ByMatrix,
    "gradient_norm_of",
    "gradient norm of a matrix",
    "1",
    "Gradient norm of each matrix before clipping, mean over the epoch's optimiser steps.",
);
/// Relative gradients of the matrices.
pub const GRADIENT_RATIO: Metric = Metric::of(
    MetricKind::ByMatrix,
    "gradient_to_weight_ratio",
    "relative gradient",
    "1",
    "Gradient norm of each matrix over its weight norm before the optimiser step, mean over the epoch's steps.",
);
/// Speed.
pub const SPEED: Metric = Metric::number(
    "samples_per_second",
    "speed",
    "1/s",
    "Training samples per second of training time.",
);
/// Time of training.
pub const TRAIN_SECONDS: Metric = Metric::number(
    "train_seconds",
    "training time",
    "s",
    "Time spent training in the epoch.",
);
/// Time of evaluation.
pub const EVAL_SECONDS: Metric = Metric::number(
    "eval_seconds",
    "evaluation time",
    "s",
    "Time spent evaluating after the epoch.",
);
/// Best epoch.
pub const BEST: Metric = Metric::of(
    MetricKind::Flag,
    "best",
    "best epoch so far",
    "1",
    "Whether this is the best epoch so far (true or false).",
);
/// Mark of the run.
pub const RUN: Metric = Metric::of(
    MetricKind::Mark,
    "run",
    "run",
    "1",
    "First digits of the run's hash, the same in all of its files.",
)
.lacking_in_older_runs();

/// What is measured once an epoch: `metrics[TEST_LOSS]` is a number, NaN where a model has none.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochMetrics {
    /// Every key of a line of `metrics.jsonl`, in their order.
    table: &'static [Metric],
    /// Numbers, counts and flags (1 or 0) by name.
    numbers: BTreeMap<&'static str, f64>,
    /// Numbers of each matrix by name and matrix.
    matrices: BTreeMap<&'static str, BTreeMap<String, f64>>,
    /// First digits of the run's hash; empty in runs of older versions.
    pub run: String,
}

impl EpochMetrics {
    /// Nothing measured yet: every number NaN, every count zero. A model fills in what it has.
    pub fn unmeasured(table: &'static [Metric], epoch: u64) -> Self {
        let mut metrics = Self {
            table,
            numbers: BTreeMap::new(),
            matrices: BTreeMap::new(),
            run: String::new(),
        };
        for metric in table {
            match metric.kind {
                MetricKind::Number => _ = metrics.numbers.insert(metric.name, f64::NAN),
                MetricKind::Count | MetricKind::Flag => {
                    _ = metrics.numbers.insert(metric.name, 0.0)
                }
                MetricKind::ByMatrix => _ = metrics.matrices.insert(metric.name, BTreeMap::new()),
                MetricKind::Mark => {}
            }
        }
        metrics[EPOCH] = epoch as f64;
        metrics
    }

    /// Epoch just completed; 0 untrained.
    pub fn epoch(&self) -> u64 {
        self[EPOCH] as u64
    }

    /// Whether this is the best epoch so far.
    pub fn is_best(&self) -> bool {
        self[BEST] == 1.0
    }

    /// The numbers of the matrices by their short names.
    pub fn by_matrix(&self, metric: Metric) -> &BTreeMap<String, f64> {
        &self.matrices[metric.name]
    }

    /// The number of one matrix; NaN where there is none.
    pub fn of_matrix(&self, metric: Metric, short: &str) -> f64 {
        let number = self.by_matrix(metric).get(short);
        number.copied().unwrap_or(f64::NAN)
    }

    /// Sets the numbers of all matrices.
    pub fn set_by_matrix(&mut self, metric: Metric, numbers: BTreeMap<String, f64>) {
        self.matrices.insert(metric.name, numbers);
    }

    /// The line for `metrics.jsonl`, without line end.
    ///
    /// # Errors
    /// None in practice: every number can be written as JSON.
    pub fn to_json_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl Index<Metric> for EpochMetrics {
    type Output = f64;

    fn index(&self, metric: Metric) -> &f64 {
        self.numbers.get(metric.name).unwrap_or(&f64::NAN)
    }
}

impl IndexMut<Metric> for EpochMetrics {
    fn index_mut(&mut self, metric: Metric) -> &mut f64 {
        self.numbers.entry(metric.name).or_insert(f64::NAN)
    }
}

impl Serialize for EpochMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |number: f64| number.is_finite().then_some(number);
        let mut map = serializer.serialize_map(Some(self.table.len()))?;
        for metric in self.table {
            let (name, number) = (metric.name, self[*metric]);
            match metric.kind {
                MetricKind::Number => map.serialize_entry(name, &finite(number))?,
                MetricKind::Count => map.serialize_entry(name, &(number as u64))?,
                MetricKind::Flag => map.serialize_entry(name, &(number == 1.0))?,
                MetricKind::ByMatrix => {
                    let numbers = self.by_matrix(*metric).iter();
                    let numbers: BTreeMap<_, _> = numbers.map(|(m, x)| (m, finite(*x))).collect();
                    map.serialize_entry(name, &numbers)?;
                }
                MetricKind::Mark => map.serialize_entry(name, &self.run)?,
            }
        }
        map.end()
    }
}

impl EpochMetrics {
    /// The metrics of a line of `metrics.jsonl` of a family with this table.
    ///
    /// # Errors
    /// A key that is missing, or a value that is not of its kind.
    pub fn from_json(line: &Value, table: &'static [Metric]) -> serde_json::Result<Self> {
        let mut metrics = Self::unmeasured(table, 0);
        for metric in table {
            match line.get(metric.name) {
                Some(value) => metrics
                    .read(*metric, value)
                    .ok_or_else(|| Error::custom(unreadable(*metric, value)))?,
                // A model or an older version may lack a number, but no line is without its epoch.
                None if metric.may_lack => {}
                None => return Err(Error::missing_field(metric.name)),
            }
        }
        Ok(metrics)
    }

    /// The metrics in the line of an epoch, in their order there.
    pub fn in_line(&self) -> Vec<(Metric, InLine)> {
        let mut shown: Vec<_> = (self.table.iter().copied())
            .filter_map(|metric| Some((metric, metric.in_line?)))
            .collect();
        shown.sort_by_key(|(_, in_line)| in_line.place);
        shown
    }

    /// Takes a value of the file; none where it is not of the metric's kind.
    fn read(&mut self, metric: Metric, value: &Value) -> Option<()> {
        let number = |value: &Value| match value {
            Value::Null => Some(f64::NAN),
            value => value.as_f64(),
        };
        match metric.kind {
            MetricKind::Number => self[metric] = number(value)?,
            MetricKind::Count => self[metric] = value.as_u64()? as f64,
            MetricKind::Flag => self[metric] = f64::from(u8::from(value.as_bool()?)),
            MetricKind::ByMatrix => {
                let numbers = value.as_object()?.iter();
                let numbers = numbers.map(|(matrix, x)| Some((matrix.clone(), number(x)?)));
                self.set_by_matrix(metric, numbers.collect::<Option<_>>()?);
            }
            MetricKind::Mark => self.run = value.as_str()?.to_owned(),
        }
        Some(())
    }
}

fn unreadable(metric: Metric, value: &Value) -> String {
    let wanted = match metric.kind {
        MetricKind::Number => "a number or null",
        MetricKind::Count => "a whole number",
        MetricKind::Flag => "true or false",
        MetricKind::ByMatrix => "numbers by matrix",
        MetricKind::Mark => "a text",
    };
    format!("`{}` is {value}; expected {wanted}", metric.name)
}

/// The table of metrics in Markdown, for the documentation.
pub fn metrics_table_markdown(table_of: &[Metric]) -> String {
    let mut table = String::from("| name | unit | meaning |\n|---|---|---|\n");
    for Metric {
        name,
        unit,
        meaning,
        ..
    } in table_of
    {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| `{name}` | {unit} | {meaning} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::metrics::{E_RATE, MARGIN, METRICS};
    use serde_json::Map;

    #[test]
    fn a_line_has_every_key_of_the_table_once_and_in_its_order() {
        let mut metrics = EpochMetrics::unmeasured(METRICS, 1);
        metrics[E_RATE] = 0.1;
        metrics[BEST] = 1.0;
        metrics[CLIPPED_STEPS] = 3.0;
        metrics.run = "0123".into();
        metrics.set_by_matrix(WEIGHT_NORM, BTreeMap::from([("in".into(), 2.0)]));
        let line = metrics.to_json_line().unwrap();
        let value: Map<String, Value> = serde_json::from_str(&line).unwrap();
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(value.keys().collect::<Vec<_>>(), names);
        let distinct: std::collections::BTreeSet<_> = METRICS.iter().map(|m| m.label).collect();
        assert_eq!(distinct.len(), METRICS.len());
        assert!(
            line.starts_with(r#"{"epoch":1,"train_loss_nats":null,"#),
            "{line}"
        );
        assert!(line.contains(r#""clipped_steps":3,"#) && line.contains(r#""best":true"#));

        let again =
            EpochMetrics::from_json(&serde_json::from_str(&line).unwrap(), METRICS).unwrap();
        assert_eq!(again.to_json_line().unwrap(), line);
        assert_eq!(
            (again[E_RATE], again.epoch(), again.is_best()),
            (0.1, 1, true)
        );
        assert_eq!(again.of_matrix(WEIGHT_NORM, "in"), 2.0);
        assert!(again.of_matrix(WEIGHT_NORM, "out").is_nan() && again[MARGIN].is_nan());
    }

    #[test]
    fn a_line_that_lacks_a_key_or_has_another_kind_of_value_is_refused_by_name() {
        let line = serde_json::to_value(EpochMetrics::unmeasured(METRICS, 1)).unwrap();
        let parse = |line: &Value| EpochMetrics::from_json(line, METRICS);
        for (name, value) in [
            ("epoch", "-1"),
            ("e_rate_hz", "\"fast\""),
            ("best", "null"),
            ("weight_norm", r#"{"in": "x"}"#),
            ("run", "7"),
        ] {
            let mut wrong = line.clone();
            wrong[name] = serde_json::from_str(value).unwrap();
            let message = parse(&wrong).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        for metric in METRICS {
            let mut without = line.clone();
            without.as_object_mut().unwrap().remove(metric.name);
            assert_eq!(parse(&without).is_ok(), metric.may_lack, "{}", metric.name);
        }
    }

    #[test]
    fn units_in_names_and_table_agree() {
        for (suffix, unit) in [
            ("_nats", "nats"),
            ("_percent", "%"),
            ("_hz", "Hz"),
            ("_seconds", "s"),
        ] {
            for row in METRICS {
                assert_eq!(row.name.ends_with(suffix), row.unit == unit, "{}", row.name);
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_null() {
        let mut metrics = EpochMetrics::unmeasured(METRICS, 3);
        metrics[GRADIENT_NORM_MAX] = f64::INFINITY;
        metrics[MARGIN] = 0.25;
        metrics.set_by_matrix(WEIGHT_NORM, BTreeMap::from([("in".into(), f64::NAN)]));
        let line = metrics.to_json_line().unwrap();
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(value["gradient_norm_max"].is_null() && value["weight_norm"]["in"].is_null());
        assert!(value["validation_accuracy_percent"].is_null());
        assert_eq!(value["margin"], 0.25);
    }

    #[test]
    fn the_markdown_table_has_a_row_a_metric() {
        let table = metrics_table_markdown(METRICS);
        assert_eq!(table.lines().count(), 2 + METRICS.len());
        assert!(table.contains("| `e_rate_hz` | Hz |"));
    }
}
