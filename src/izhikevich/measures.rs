//! What is collected of every cell of this family, and what pages show of it.

use std::sync::LazyLock;

use super::analysis::RunAnalysis;
use super::metrics::{OTHER_RATE, OWN_RATE, THETA};
use super::record;
use crate::analysis::convergence::ACCURACY_PERCENT_PER_EPOCH;
use crate::study::measures::{
    ACCURACY, CONVERGENCE, Compared, Measure, Measures, best_accuracy, best_epoch, epochs_done,
    last_epoch, measure, seconds, settled, slope,
};
use crate::train::metrics::{TEST_ACCURACY, TRAIN_ACCURACY};

const TUNING: &str = "Tuning";
const WEIGHTS: &str = "Synapses";
/// Name of the accuracy by assigned classes.
pub const ASSIGNED: &str = "assigned_accuracy_percent";
/// Name of the accuracy of a logistic read-out.
pub const READ_OUT: &str = "read_out_accuracy_percent";

/// The measures, and what pages show of them.
pub const MEASURES: Measures = Measures {
    all: measures,
    groups: &[ACCURACY, CONVERGENCE, TUNING, WEIGHTS],
    words: "",
    key: &[
        TEST_ACCURACY.name,
        ASSIGNED,
        READ_OUT,
        "range_hz",
        "f1_over_f0",
    ],
    only_reported: &[],
    key_intro: "",
    key_note: None,
    by_cell: &[
        TEST_ACCURACY.name,
        "best_accuracy_percent",
        "best_epoch",
        ASSIGNED,
        READ_OUT,
        OWN_RATE.name,
        OTHER_RATE.name,
        "f1_over_f0",
        "mean_correlation",
    ],
    settling: &[(TEST_ACCURACY, Some(ACCURACY_PERCENT_PER_EPOCH))],
    settling_words: "Accuracy is called converged if the absolute slope is below 0.1 percentage points per epoch",
    compared: Compared {
        measures: &[TEST_ACCURACY.name, ASSIGNED, READ_OUT],
        words: "Accuracy by the numbers of the output cells, by the classes assigned to them and by a logistic read-out",
        short: "accuracy",
        note: "",
    },
};

/// Every measure, in the order of the table's columns.
fn measures() -> &'static [Measure] {
    static ALL: LazyLock<Vec<Measure>> = LazyLock::new(all);
    &ALL
}

fn all() -> Vec<Measure> {
    let unit = "%/epoch";
    let analysed =
        |group, name: &str, label: &str, unit, meaning: &str, of: fn(&RunAnalysis) -> f64| {
            let meaning = format!("{meaning}, analysed checkpoint.");
            measure(group, name, label, unit, &meaning, move |run| {
                record::analysis(run).map_or(f64::NAN, of)
            })
        };
    vec![
        epochs_done(),
        last_epoch(ACCURACY, TEST_ACCURACY),
        best_accuracy(),
        best_epoch(),
        slope(
            TEST_ACCURACY,
            "accuracy_slope_percent_per_epoch",
            unit,
            "accuracy",
        ),
        settled(
            TEST_ACCURACY,
            "accuracy_converged",
            unit,
            "accuracy",
            ACCURACY_PERCENT_PER_EPOCH,
        ),
        last_epoch(ACCURACY, TRAIN_ACCURACY),
        seconds(),
        analysed(
            ACCURACY,
            ASSIGNED,
            "accuracy by assigned classes",
            "%",
            "Share of test trials in which the output cells of the right class, as assigned by separate trials, fire most",
            |a| a.test.assigned_accuracy_percent,
        ),
        analysed(
            ACCURACY,
            READ_OUT,
            "accuracy of a logistic read-out",
            "%",
            "Share of test trials that a logistic regression on the rates of the output cells tells rightly",
            |a| a.test.read_out_accuracy_percent,
        ),
        last_epoch(TUNING, OWN_RATE),
        last_epoch(TUNING, OTHER_RATE),
        last_epoch(TUNING, THETA),
        analysed(
            TUNING,
            "range_hz",
            "range of the tuning curve",
            "Hz",
            "Largest less smallest rate over orientations, averaged over offsets, mean over output cells",
            |a| tuning_mean(a, |cell| cell.range_hz),
        ),
        analysed(
            TUNING,
            "f1_over_f0",
            "F1/F0",
            "1",
            "Modulation of the rate by the offset over the mean rate at the best orientation, mean over output cells",
            |a| tuning_mean(a, |cell| cell.f1_over_f0),
        ),
        analysed(
            TUNING,
            "selectivity",
            "1 − circular variance",
            "1",
            "Selectivity of the curve averaged over offsets, mean over output cells",
            |a| tuning_mean(a, |cell| cell.selectivity),
        ),
        analysed(
            TUNING,
            "half_width_deg",
            "half-width",
            "deg",
            "Half of the width of the curve averaged over offsets at half its range, mean over output cells",
            |a| tuning_mean(a, |cell| cell.half_width_deg),
        ),
        analysed(
            TUNING,
            "mean_correlation",
            "correlation of curves",
            "1",
            "Mean correlation of the curves of two output cells, averaged over offsets",
            |a| a.tuning.as_ref().map_or(f64::NAN, |t| t.mean_correlation),
        ),
        analysed(
            WEIGHTS,
            "inhibitory_weight_ratio",
            "inhibitory weight over that at the start",
            "1",
            "Mean weight of the synapses from lateral to output cells over that at the start",
            |a| {
                let mut blocks = a.blocks.iter();
                let block = blocks.find(|block| block.name == "lateral_output");
                block.map_or(f64::NAN, |block| block.mean / block.mean_at_start)
            },
        ),
    ]
}

fn tuning_mean(analysis: &RunAnalysis, of: fn(&super::analysis::CellTuning) -> f64) -> f64 {
    let tuning = analysis.tuning.as_ref();
    tuning.map_or(f64::NAN, |tuning| tuning.mean_of(of))
}
