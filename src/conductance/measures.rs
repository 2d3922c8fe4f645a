//! What is collected of every cell of this family, and what pages show of it.

mod analysed;
mod of_loop;

use std::sync::LazyLock;

use super::metrics::{ACTIVE_E, CONFIDENCE, E_RATE, I_RATE, MARGIN, SILENT_E};
use crate::analysis::convergence::ACCURACY_PERCENT_PER_EPOCH;
use crate::study::measures::{
    ACCURACY, CONVERGENCE, Compared, Measure, Measures, best_accuracy, best_epoch, epochs_done,
    last, last_epoch, measure, seconds, settled, skipped_steps, slope,
};
use crate::train::metrics::{TEST_ACCURACY, TEST_LOSS, TRAIN_LOSS};

/// Rate below which the I population counts as silent, Hz.
pub const SILENT_I_HZ: f64 = 1.0;
/// Steepest slope of a converged rate, Hz per epoch.
pub const RATE_HZ_PER_EPOCH: f64 = 0.05;

const RATES: &str = "Rates";
const RHYTHM: &str = "Rhythm";
const LOOP: &str = "Loop";

/// The measures, and what pages show of them.
pub const MEASURES: Measures = Measures {
    all: measures,
    groups: &[
        ACCURACY,
        RATES,
        CONVERGENCE,
        RHYTHM,
        LOOP,
        "W_in",
        "W_out",
        "W_EI",
        "W_IE",
    ],
    words: "Rates are means over the test set unless a measure says otherwise.",
    key: &[
        "test_accuracy_percent",
        "e_rate_hz",
        "i_rate_hz",
        "f_gamma_hz",
        "spectrum_peak_hz",
        "ei_not_positive_percent",
        "ie_not_positive_percent",
        "ei_effective_mean",
        "ie_effective_mean",
    ],
    // A peak need not be a rhythm.
    only_reported: &["spectrum_peak_hz"],
    key_intro: "“Not positive” is the share of stored entries at or below 0, the effective mean the mean of \
        max(w, 0).",
    key_note: Some(
        "f_γ is the frequency at which pairs of different E cells fire together, where they do so above chance and it \
         is gamma (20–120 Hz); “none” where they do not.",
    ),
    by_cell: &[
        "test_accuracy_percent",
        "best_accuracy_percent",
        "best_epoch",
        "test_loss_nats",
        "e_rate_hz",
        "i_rate_hz",
        "total_rate_hz",
        "silent_e_percent",
        "f_gamma_hz",
        "in_norm",
        "out_norm",
    ],
    settling: &[
        (TEST_ACCURACY, Some(ACCURACY_PERCENT_PER_EPOCH)),
        (E_RATE, Some(RATE_HZ_PER_EPOCH)),
        (I_RATE, None),
    ],
    settling_words: "Accuracy is called converged if the absolute slope is below 0.1 percentage points per epoch, the \
        E rate if it is below 0.05 Hz per epoch",
    compared: Compared {
        measures: &[TEST_ACCURACY.name, E_RATE.name, I_RATE.name, "f_gamma_hz"],
        words: "Test accuracy, mean rates over the test set and gamma frequency",
        short: "accuracy, rates and gamma frequency",
        note: " Cells without a gamma rhythm have no point in that panel.",
    },
};

/// Every measure, in the order of the table's columns.
fn measures() -> &'static [Measure] {
    static ALL: LazyLock<Vec<Measure>> = LazyLock::new(all);
    &ALL
}

fn all() -> Vec<Measure> {
    let mut all = of_epochs();
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
    all.push(seconds());
    all
}

fn of_epochs() -> Vec<Measure> {
    let total_rate = measure(
        RATES,
        "total_rate_hz",
        "E + I rate",
        "Hz",
        "E rate + I rate (not weighted by cells), last epoch.",
        |run| last(run, |epoch| epoch[E_RATE] + epoch[I_RATE]),
    );
    let (accuracy, rate) = ("%/epoch", "Hz/epoch");
    vec![
        epochs_done(),
        last_epoch(ACCURACY, TEST_ACCURACY),
        best_accuracy(),
        best_epoch(),
        last_epoch(RATES, E_RATE),
        last_epoch(RATES, I_RATE),
        total_rate,
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
            ACCURACY_PERCENT_PER_EPOCH,
        ),
        settled(
            E_RATE,
            "e_rate_converged",
            rate,
            "E rate",
            RATE_HZ_PER_EPOCH,
        ),
        last_epoch(ACCURACY, TEST_LOSS),
        last_epoch(ACCURACY, TRAIN_LOSS),
        last_epoch(RATES, ACTIVE_E),
        last_epoch(RATES, SILENT_E),
        last_epoch(ACCURACY, MARGIN),
        last_epoch(ACCURACY, CONFIDENCE),
        skipped_steps(),
    ]
}
