//! What is measured once an epoch on networks of this family.

use crate::train::metrics::{
    BEST, CLIPPED_STEPS, EPOCH, EVAL_SECONDS, GRADIENT_NORM, GRADIENT_NORM_MAX, GRADIENT_NORM_OF,
    GRADIENT_RATIO, Metric, OPTIMISER_STEPS, RUN, SKIPPED_STEPS, SPEED, TEST_ACCURACY, TEST_LOSS,
    TRAIN_ACCURACY, TRAIN_LOSS, TRAIN_SECONDS, VALIDATION_ACCURACY, WEIGHT_NORM,
};
use crate::train::model::EpochMean;

/// Penalty.
pub const TRAIN_PENALTY: Metric = Metric::number(
    "train_penalty_nats",
    "rate penalty",
    "nats",
    "What the rate penalty adds to the training loss; 0 without one.",
)
.lacking_in_older_runs();

/// Rate of E cells.
pub const E_RATE: Metric = Metric::number(
    "e_rate_hz",
    "E rate",
    "Hz",
    "Mean rate of E cells over cells, whole test trials and samples.",
)
.in_line(4, "E", 1);

/// Rate of I cells.
pub const I_RATE: Metric = Metric::number(
    "i_rate_hz",
    "I rate",
    "Hz",
    "Mean rate of I cells over cells, whole test trials and samples.",
)
.in_line(5, "I", 1);

/// Active E cells.
pub const ACTIVE_E: Metric = Metric::number(
    "active_e_percent",
    "active E cells",
    "%",
    "Share of E cells with a spike in a trial, mean over test trials.",
);

/// Silent E cells.
pub const SILENT_E: Metric = Metric::number(
    "silent_e_percent",
    "silent E cells",
    "%",
    "Share of E cells without any spike over the whole test set.",
);

/// Margin.
pub const MARGIN: Metric = Metric::number(
    "margin",
    "margin",
    "1",
    "True logit minus the largest other one, mean over test samples.",
);

/// Confidence.
pub const CONFIDENCE: Metric = Metric::number(
    "confidence",
    "confidence",
    "1",
    "Softmax probability of the true class, mean over test samples.",
);

/// Every key of a line of `metrics.jsonl`, in their order.
pub const METRICS: &[Metric] = &[
    EPOCH,
    TRAIN_LOSS,
    TRAIN_PENALTY,
    TEST_LOSS,
    TRAIN_ACCURACY,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    E_RATE,
    I_RATE,
    ACTIVE_E,
    SILENT_E,
    MARGIN,
    CONFIDENCE,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    CLIPPED_STEPS,
    SKIPPED_STEPS,
    OPTIMISER_STEPS,
    WEIGHT_NORM,
    GRADIENT_NORM_OF,
    GRADIENT_RATIO,
    SPEED,
    TRAIN_SECONDS,
    EVAL_SECONDS,
    BEST,
    RUN,
];

/// Metrics of training that are means over the trials of an epoch.
pub const EPOCH_MEANS: &[EpochMean] = &[
    EpochMean {
        key: "loss_nats",
        metric: TRAIN_LOSS,
        factor: 1.0,
    },
    EpochMean {
        key: "penalty_nats",
        metric: TRAIN_PENALTY,
        factor: 1.0,
    },
    EpochMean {
        key: "correct",
        metric: TRAIN_ACCURACY,
        factor: 100.0,
    },
];
