//! What is collected of every cell of this family, and what pages show of it.

use std::sync::LazyLock;

use super::analysis::MatrixAnalysis;
use super::metrics::{TEST_ERROR, TEST_PERPLEXITY, TRAIN_ERROR};
use super::record;
use crate::analysis::convergence::ACCURACY_PERCENT_PER_EPOCH;
use crate::record::RunRecord;
use crate::study::measures::{
    ACCURACY, CONVERGENCE, Compared, Measure, Measures, best, best_accuracy, best_epoch,
    epochs_done, last, last_epoch, measure, seconds, settled, skipped_steps, slope,
};
use crate::train::metrics::{TEST_ACCURACY, TEST_LOSS, TRAIN_LOSS};

/// Wrong answers, %.
pub const ERROR: &str = "test_error_percent";

/// The same at the best epoch.
pub const LEAST_ERROR: &str = "best_test_error_percent";

const SPECTRA: &str = "Spectra";
const ENTROPY: &str = "Entropy of the singular values divided by that of equal ones";
const RADIUS: &str = "Largest size of an eigenvalue";

/// Measures that conditions are told apart by.
const MAIN: &[&str] = &[
    TEST_ACCURACY.name,
    "best_accuracy_percent",
    ERROR,
    LEAST_ERROR,
    TEST_PERPLEXITY.name,
    TEST_ERROR.name,
    "best_squared_error",
];

/// The measures, and what pages show of them.
pub const MEASURES: Measures = Measures {
    all: measures,
    groups: &[ACCURACY, CONVERGENCE, SPECTRA],
    words: "",
    key: MAIN,
    only_reported: &[],
    key_intro: "",
    key_note: None,
    by_cell: &[
        TEST_ACCURACY.name,
        "best_accuracy_percent",
        "best_epoch",
        TEST_LOSS.name,
        TEST_PERPLEXITY.name,
        TEST_ERROR.name,
        "best_squared_error",
    ],
    settling: &[(TEST_ACCURACY, Some(ACCURACY_PERCENT_PER_EPOCH))],
    settling_words: "Accuracy is called converged if the absolute slope is below 0.1 percentage points per epoch",
    compared: Compared {
        measures: MAIN,
        words: "What the task measures on the test set",
        short: "what the task measures",
        note: "",
    },
};

/// Every measure, in the order of the table's columns.
fn measures() -> &'static [Measure] {
    static ALL: LazyLock<Vec<Measure>> = LazyLock::new(all);
    &ALL
}

fn all() -> Vec<Measure> {
    let best_error = measure(
        ACCURACY,
        "best_squared_error",
        "best test error",
        "1",
        "Mean squared error over the test set, best epoch.",
        |run| best(run, TEST_ERROR),
    );
    let error = measure(
        ACCURACY,
        ERROR,
        "test error rate",
        "%",
        "Wrong answers to the test set, last epoch.",
        |run| 100.0 - last(run, |epoch| epoch[TEST_ACCURACY]),
    );
    let least_error = measure(
        ACCURACY,
        LEAST_ERROR,
        "test error rate of the best epoch",
        "%",
        "Wrong answers to the test set, best epoch.",
        |run| 100.0 - best(run, TEST_ACCURACY),
    );
    let unit = "%/epoch";
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
        last_epoch(ACCURACY, TEST_LOSS),
        last_epoch(ACCURACY, TRAIN_LOSS),
        skipped_steps(),
        seconds(),
        last_epoch(ACCURACY, TEST_PERPLEXITY),
        last_epoch(ACCURACY, TEST_ERROR),
        best_error,
        last_epoch(ACCURACY, TRAIN_ERROR),
        error,
        least_error,
        of_recurrent("w_entropy_at_start", "H of W at the start", ENTROPY, |m| {
            m.initial.entropy
        }),
        of_recurrent("w_entropy", "H of W", ENTROPY, |m| m.now.entropy),
        of_recurrent(
            "w_radius_at_start",
            "spectral radius of W at the start",
            RADIUS,
            |m| m.initial.radius,
        ),
        of_recurrent("w_radius", "spectral radius of W", RADIUS, |m| m.now.radius),
    ]
}

/// The error of a run after its last epoch, and what it is.
pub fn error(run: &RunRecord) -> Option<(&'static str, f64)> {
    let last = run.last()?;
    let wrong = 100.0 - last[TEST_ACCURACY];
    let all = [
        ("test error (%)", wrong),
        ("mean squared error", last[TEST_ERROR]),
    ];
    all.into_iter().find(|(_, error)| error.is_finite())
}

/// What the error of an analysed run is, the entropy of its recurrent matrix at the start, and the error.
pub fn entropy_and_error(run: &RunRecord) -> Option<(&'static str, [f64; 2])> {
    let entropy = record::analysis(run)?.matrices.get("l0.w")?.initial.entropy;
    let (what, error) = error(run)?;
    entropy.is_finite().then_some((what, [entropy, error]))
}

/// A measure of the recurrent matrix of the first layer.
fn of_recurrent(name: &str, label: &str, what: &str, of: fn(&MatrixAnalysis) -> f64) -> Measure {
    let when = match name.ends_with("_at_start") {
        true => "before training",
        false => "analysed checkpoint",
    };
    let meaning =
        format!("{what}: recurrent matrix of the first layer as the forward pass uses it, {when}.");
    measure(SPECTRA, name, label, "1", &meaning, move |run| {
        let analysis = record::analysis(run);
        let matrix = analysis.and_then(|analysis| analysis.matrices.get("l0.w"));
        matrix.map_or(f64::NAN, of)
    })
}
