//! What is measured once an epoch on networks of this family.

use crate::train::metrics::{
    BEST, CLIPPED_STEPS, EPOCH, EVAL_SECONDS, GRADIENT_NORM, GRADIENT_NORM_MAX, GRADIENT_NORM_OF,
    GRADIENT_RATIO, Metric, OPTIMISER_STEPS, RUN, SKIPPED_STEPS, SPEED, TEST_ACCURACY, TEST_LOSS,
    TRAIN_ACCURACY, TRAIN_LOSS, TRAIN_SECONDS, VALIDATION_ACCURACY, WEIGHT_NORM,
};
use crate::train::model::EpochMean;

/// Squared error of training.
pub const TRAIN_ERROR: Metric = Metric::number(
    "train_squared_error",
    "training error",
    "1",
    "Mean squared error of training over the epoch, while the weights change; null for classes.",
)
.in_line(0, "error", 4);
/// Squared error of the test set.
pub const TEST_ERROR: Metric = Metric::number(
    "test_squared_error",
    "test error",
    "1",
    "Mean squared error over the test set after the epoch; null for classes.",
)
.in_line(3, "test error", 4);
/// Squared error of the validation samples.
pub const VALIDATION_ERROR: Metric = Metric::number(
    "validation_squared_error",
    "validation error",
    "1",
    "Mean squared error over the validation samples after the epoch; null for classes, or where none are held out.",
)
.in_line(2, "validation error", 4);

/// Perplexity of the test set.
pub const TEST_PERPLEXITY: Metric = Metric::number(
    "test_perplexity",
    "test perplexity",
    "1",
    "Exponential of the mean cross-entropy over the test set after the epoch; null but for text.",
)
.in_line(4, "perplexity", 2);
/// Loss of the validation samples.
pub const VALIDATION_LOSS: Metric = Metric::number(
    "validation_loss_nats",
    "validation loss",
    "nats",
    "Mean cross-entropy over the validation samples after the epoch; null where none are held out.",
);

/// Every key of a line of `metrics.jsonl`, in their order.
pub const METRICS: &[Metric] = &[
    EPOCH,
    TRAIN_LOSS,
    TEST_LOSS,
    TRAIN_ACCURACY,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    VALIDATION_LOSS,
    TEST_PERPLEXITY,
    TRAIN_ERROR,
    TEST_ERROR,
    VALIDATION_ERROR,
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

/// Metrics of training on classes that are means over the trials of an epoch.
pub const OF_CLASSES: &[EpochMean] = &[
    EpochMean {
        key: "loss_nats",
        metric: TRAIN_LOSS,
        factor: 1.0,
    },
    EpochMean {
        key: "correct",
        metric: TRAIN_ACCURACY,
        factor: 100.0,
    },
];

/// Metrics of training on values that are means over the trials of an epoch.
pub const OF_VALUES: &[EpochMean] = &[EpochMean {
    key: "squared_error",
    metric: TRAIN_ERROR,
    factor: 1.0,
}];
