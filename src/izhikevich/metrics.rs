//! What is measured once an epoch on networks of this family.

use crate::train::metrics::{
    BEST, EPOCH, EVAL_SECONDS, Metric, RUN, SPEED, TEST_ACCURACY, TRAIN_ACCURACY, TRAIN_SECONDS,
    VALIDATION_ACCURACY, WEIGHT_NORM,
};
use crate::train::model::EpochMean;

/// Rate of the output cells of a trial's class.
pub const OWN_RATE: Metric = Metric::number(
    "own_class_rate_hz",
    "rate of the right output cells",
    "Hz",
    "Mean rate of output cells in test trials of the class that they stand for.",
)
.in_line(4, "right cells", 1);
/// Rate of the other output cells.
pub const OTHER_RATE: Metric = Metric::number(
    "other_class_rate_hz",
    "rate of the wrong output cells",
    "Hz",
    "Mean rate of output cells in test trials of other classes than the one that they stand for.",
)
.in_line(5, "wrong cells", 1);
/// Rate of the hidden cells.
pub const HIDDEN_RATE: Metric = Metric::number(
    "hidden_rate_hz",
    "rate of the hidden cells",
    "Hz",
    "Mean rate of hidden cells in test trials; null where there are none.",
);
/// Rate of the lateral cells.
pub const LATERAL_RATE: Metric = Metric::number(
    "lateral_rate_hz",
    "rate of the lateral cells",
    "Hz",
    "Mean rate of lateral cells in test trials; null where there are none.",
);
/// Mean sliding threshold of the output cells.
pub const THETA: Metric = Metric::number(
    "output_theta_hz",
    "threshold of the output cells",
    "Hz",
    "Mean sliding threshold of output cells after the epoch.",
);
/// Training rate of the output cells.
pub const TRAIN_RATE: Metric = Metric::number(
    "train_output_rate_hz",
    "rate of the output cells in training",
    "Hz",
    "Mean rate of output cells in the training trials of the epoch.",
);

/// Every key of a line of `metrics.jsonl`, in their order.
pub const METRICS: &[Metric] = &[
    EPOCH,
    TRAIN_ACCURACY,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    TRAIN_RATE,
    OWN_RATE,
    OTHER_RATE,
    HIDDEN_RATE,
    LATERAL_RATE,
    THETA,
    WEIGHT_NORM,
    SPEED,
    TRAIN_SECONDS,
    EVAL_SECONDS,
    BEST,
    RUN,
];

/// Metrics of training that are means over the trials of an epoch.
pub const EPOCH_MEANS: &[EpochMean] = &[
    EpochMean {
        key: "correct",
        metric: TRAIN_ACCURACY,
        factor: 100.0,
    },
    EpochMean {
        key: "output_rate_hz",
        metric: TRAIN_RATE,
        factor: 1.0,
    },
];
