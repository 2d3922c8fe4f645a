//! Training curves of rate RNNs.

use super::{Curves, curves};
use crate::rate_rnn::metrics::{TEST_ERROR, TRAIN_ERROR};
use crate::report::figures::draw::svg::{Colour, Dash};
use crate::report::figures::groups::{BLUE, CellRun, VERMILION};
use crate::report::figures::sheet::{Missing, Sheet};
use crate::train::metrics::{
    GRADIENT_NORM, GRADIENT_NORM_MAX, TEST_ACCURACY, TEST_LOSS, TRAIN_ACCURACY, TRAIN_LOSS,
};

const GRADIENT: Curves<2> = (
    "Gradient norm",
    "norm before clipping",
    [
        ("mean", GRADIENT_NORM, Colour::Ink, Dash::Solid),
        ("largest", GRADIENT_NORM_MAX, VERMILION, Dash::Dotted),
    ],
);

const OF_CLASSES: [Curves<2>; 3] = [
    (
        "Accuracy",
        "accuracy (%)",
        [
            ("train", TRAIN_ACCURACY, BLUE, Dash::Dashed),
            ("test", TEST_ACCURACY, Colour::Ink, Dash::Solid),
        ],
    ),
    (
        "Cross-entropy",
        "loss (nats)",
        [
            ("train", TRAIN_LOSS, BLUE, Dash::Dashed),
            ("test", TEST_LOSS, Colour::Ink, Dash::Solid),
        ],
    ),
    GRADIENT,
];

const OF_VALUES: [Curves<2>; 2] = [
    (
        "Squared error",
        "mean squared error",
        [
            ("train", TRAIN_ERROR, BLUE, Dash::Dashed),
            ("test", TEST_ERROR, Colour::Ink, Dash::Solid),
        ],
    ),
    GRADIENT,
];

const CAPTION: &str = "Test metrics are taken after each epoch, training metrics are means over the epoch while the \
    weights change; epoch 0 is the untrained network. Gradient norm: mean and largest over the steps of the epoch, \
    corrected (dann) and before clipping.";

/// Accuracy and loss, or the squared error, and the gradient.
pub(super) fn curves_of(run: &CellRun) -> Result<Sheet, Missing> {
    let newest = run.record.last();
    if newest.is_some_and(|epoch| epoch[TEST_ACCURACY].is_nan()) {
        let alt = "Squared error and gradient norm against the epoch.";
        return curves(run, &OF_VALUES, CAPTION, alt);
    }
    let alt = "Accuracy, loss and gradient norm against the epoch.";
    curves(run, &OF_CLASSES, CAPTION, alt)
}
