//! What is measured once an epoch, and the one table that says what each number means.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::analysis::float::{nan_map, nan_number};

/// A row of the table of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The key in `metrics.jsonl`.
    pub name: &'static str,
    /// The unit; `1` for a pure number.
    pub unit: &'static str,
    /// What it is.
    pub meaning: &'static str,
}

const fn metric(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        unit,
        meaning,
    }
}

/// Every key of a line of `metrics.jsonl`, in their order.
pub const METRICS: &[Metric] = &[
    metric(
        "epoch",
        "1",
        "Epoch just completed, from 1; 0 is the untrained network.",
    ),
    metric(
        "train_loss_nats",
        "nats",
        "Mean cross-entropy of training over the epoch, while the weights change.",
    ),
    metric(
        "train_penalty_nats",
        "nats",
        "What the rate penalty adds to it in the loss; 0 without one.",
    ),
    metric(
        "test_loss_nats",
        "nats",
        "Mean cross-entropy over the test set after the epoch.",
    ),
    metric(
        "train_accuracy_percent",
        "%",
        "Share of training samples answered correctly during the epoch.",
    ),
    metric(
        "test_accuracy_percent",
        "%",
        "Share of test samples answered correctly after the epoch.",
    ),
    metric(
        "validation_accuracy_percent",
        "%",
        "The same for the validation share; null where none is set.",
    ),
    metric(
        "e_rate_hz",
        "Hz",
        "Mean rate of E cells over cells, whole test trials and samples.",
    ),
    metric("i_rate_hz", "Hz", "The same for I cells."),
    metric(
        "active_e_percent",
        "%",
        "Share of E cells with a spike in a trial, mean over test trials.",
    ),
    metric(
        "silent_e_percent",
        "%",
        "Share of E cells without any spike over the whole test set.",
    ),
    metric(
        "margin",
        "1",
        "True logit minus the largest other one, mean over test samples.",
    ),
    metric(
        "confidence",
        "1",
        "Softmax probability of the true class, mean over test samples.",
    ),
    metric(
        "gradient_norm",
        "1",
        "Global gradient norm before clipping, mean over the epoch's steps that were taken.",
    ),
    metric("gradient_norm_max", "1", "The largest of these norms."),
    metric(
        "clipped_steps",
        "1",
        "Steps of the epoch whose gradient was clipped.",
    ),
    metric(
        "skipped_steps",
        "1",
        "Steps of the epoch left out because the gradient was not finite.",
    ),
    metric(
        "optimiser_steps",
        "1",
        "Steps taken since the start of the run.",
    ),
    metric(
        "weight_norm",
        "weight",
        "Frobenius norm of each stored weight matrix after the epoch.",
    ),
    metric(
        "gradient_norm_of",
        "1",
        "Gradient norm of each matrix before clipping, mean over the epoch's steps.",
    ),
    metric(
        "gradient_to_weight_ratio",
        "1",
        "Gradient norm of each matrix over its weight norm before the step, mean over the epoch's steps.",
    ),
    metric(
        "samples_per_second",
        "1/s",
        "Training samples per second of training time.",
    ),
    metric("train_seconds", "s", "Time spent training in the epoch."),
    metric(
        "eval_seconds",
        "s",
        "Time spent evaluating after the epoch.",
    ),
    metric(
        "best",
        "1",
        "Whether this is the best epoch so far (true or false).",
    ),
    metric(
        "run",
        "1",
        "First digits of the run's hash, the same in all of its files.",
    ),
];

/// What is measured once an epoch; [`METRICS`] has units and definitions. What does not exist for a
/// model, or is not finite, is NaN here and `null` in the file: JSON has no NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epoch just completed, from 1; 0 untrained.
    pub epoch: u64,
    /// Mean cross-entropy of training, nats.
    #[serde(with = "nan_number")]
    pub train_loss_nats: f64,
    /// What the rate penalty adds to it, nats.
    #[serde(with = "nan_number", default)]
    pub train_penalty_nats: f64,
    /// Mean test loss, nats.
    #[serde(with = "nan_number")]
    pub test_loss_nats: f64,
    /// Training accuracy, %.
    #[serde(with = "nan_number")]
    pub train_accuracy_percent: f64,
    /// Test accuracy, %.
    #[serde(with = "nan_number")]
    pub test_accuracy_percent: f64,
    /// Validation accuracy, %, where a validation share is set.
    pub validation_accuracy_percent: Option<f64>,
    /// Mean rate of E cells in the test, Hz.
    #[serde(with = "nan_number")]
    pub e_rate_hz: f64,
    /// Mean rate of I cells in the test, Hz.
    #[serde(with = "nan_number")]
    pub i_rate_hz: f64,
    /// E cells with a spike in a trial, %.
    #[serde(with = "nan_number")]
    pub active_e_percent: f64,
    /// E cells silent over the whole test set, %.
    #[serde(with = "nan_number")]
    pub silent_e_percent: f64,
    /// True logit minus the largest other one.
    #[serde(with = "nan_number")]
    pub margin: f64,
    /// Softmax probability of the true class.
    #[serde(with = "nan_number")]
    pub confidence: f64,
    /// Mean global gradient norm before clipping.
    #[serde(with = "nan_number")]
    pub gradient_norm: f64,
    /// Largest global gradient norm before clipping.
    #[serde(with = "nan_number")]
    pub gradient_norm_max: f64,
    /// Steps clipped in the epoch.
    pub clipped_steps: u64,
    /// Steps skipped in the epoch.
    pub skipped_steps: u64,
    /// Steps taken since the start of the run.
    pub optimiser_steps: u64,
    /// Frobenius norm of each stored matrix.
    #[serde(with = "nan_map")]
    pub weight_norm: BTreeMap<String, f64>,
    /// Mean gradient norm of each matrix before clipping.
    #[serde(with = "nan_map")]
    pub gradient_norm_of: BTreeMap<String, f64>,
    /// Gradient norm over weight norm of each matrix before a step, mean over the epoch's steps.
    #[serde(with = "nan_map")]
    pub gradient_to_weight_ratio: BTreeMap<String, f64>,
    /// Training samples per second.
    #[serde(with = "nan_number")]
    pub samples_per_second: f64,
    /// Time spent training, s.
    #[serde(with = "nan_number")]
    pub train_seconds: f64,
    /// Time spent evaluating, s.
    #[serde(with = "nan_number")]
    pub eval_seconds: f64,
    /// Whether this is the best epoch so far.
    pub best: bool,
    /// First digits of the run's hash; empty in runs of older versions.
    #[serde(default)]
    pub run: String,
}

impl EpochMetrics {
    /// Nothing measured yet: every measure NaN, every count zero. A model fills in what it has.
    pub fn unmeasured(epoch: u64) -> Self {
        Self {
            epoch,
            train_loss_nats: f64::NAN,
            train_penalty_nats: f64::NAN,
            test_loss_nats: f64::NAN,
            train_accuracy_percent: f64::NAN,
            test_accuracy_percent: f64::NAN,
            validation_accuracy_percent: None,
            e_rate_hz: f64::NAN,
            i_rate_hz: f64::NAN,
            active_e_percent: f64::NAN,
            silent_e_percent: f64::NAN,
            margin: f64::NAN,
            confidence: f64::NAN,
            gradient_norm: f64::NAN,
            gradient_norm_max: f64::NAN,
            clipped_steps: 0,
            skipped_steps: 0,
            optimiser_steps: 0,
            weight_norm: BTreeMap::new(),
            gradient_norm_of: BTreeMap::new(),
            gradient_to_weight_ratio: BTreeMap::new(),
            samples_per_second: f64::NAN,
            train_seconds: f64::NAN,
            eval_seconds: f64::NAN,
            best: false,
            run: String::new(),
        }
    }

    /// The line for `metrics.jsonl`, without line end.
    ///
    /// # Errors
    /// None in practice: every field can be written as JSON.
    pub fn to_json_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The table of metrics in Markdown, for the documentation.
pub fn metrics_table_markdown() -> String {
    let mut table = String::from("| name | unit | meaning |\n|---|---|---|\n");
    for Metric {
        name,
        unit,
        meaning,
    } in METRICS
    {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| `{name}` | {unit} | {meaning} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the table that a serialised line lacks, and the other way round.
    fn differences(table: &[Metric], metrics: &EpochMetrics) -> Vec<String> {
        let line: serde_json::Value =
            serde_json::from_str(&metrics.to_json_line().unwrap()).unwrap();
        let keys = line.as_object().unwrap();
        let missing = table
            .iter()
            .map(|row| row.name)
            .filter(|name| !keys.contains_key(*name));
        let unknown = keys
            .keys()
            .map(String::as_str)
            .filter(|key| !table.iter().any(|row| row.name == *key));
        missing.chain(unknown).map(str::to_owned).collect()
    }

    #[test]
    fn the_table_lists_every_key_once_and_no_other() {
        let metrics = EpochMetrics::unmeasured(1);
        assert_eq!(differences(METRICS, &metrics), [""; 0]);
        assert_eq!(METRICS.len(), 26);
        // Planted: a row too few and a row too many must both be seen.
        assert_eq!(differences(&METRICS[1..], &metrics), ["epoch"]);
        let extra: Vec<_> = METRICS
            .iter()
            .copied()
            .chain([metric("speed", "m/s", "")])
            .collect();
        assert_eq!(differences(&extra, &metrics), ["speed"]);
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
        let mut metrics = EpochMetrics::unmeasured(3);
        metrics.gradient_norm_max = f64::INFINITY;
        metrics.margin = 0.25;
        metrics.weight_norm.insert("in".into(), f64::NAN);
        let line = metrics.to_json_line().unwrap();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(value["gradient_norm_max"].is_null() && value["weight_norm"]["in"].is_null());
        assert!(value["validation_accuracy_percent"].is_null());
        assert_eq!(value["margin"], 0.25);
    }

    #[test]
    fn the_markdown_table_has_a_row_a_metric() {
        let table = metrics_table_markdown();
        assert_eq!(table.lines().count(), 2 + METRICS.len());
        assert!(table.contains("| `e_rate_hz` | Hz |"));
    }
}
