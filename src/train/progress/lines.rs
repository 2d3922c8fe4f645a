//! How numbers of a run read in a line of text.

use super::{BatchDone, Schedule};
use crate::text::{count, duration, fixed};
use crate::train::metrics::{EpochMetrics, InLine, SKIPPED_STEPS, SPEED};

/// The line of an epoch: what a person wants to follow, and nothing a model does not have.
pub fn epoch_line(metrics: &EpochMetrics, epochs: u64, left_seconds: Option<f64>) -> String {
    let width = epochs.to_string().len();
    let mut line = format!("epoch {:>width$}/{epochs}", metrics.epoch());
    for (metric, InLine { word, decimals, .. }) in metrics.in_line() {
        // What was not measured is NaN; what diverged is infinite and worth seeing.
        if !metrics[metric].is_nan() {
            let unit = Some(metric.unit).filter(|unit| ["%", "Hz"].contains(unit));
            let unit = unit.map_or_else(String::new, |unit| format!(" {unit}"));
            line += &format!("  {word} {}{unit}", fixed(metrics[metric], decimals));
        }
    }
    if metrics[SKIPPED_STEPS] > 0.0 {
        let steps = metrics[SKIPPED_STEPS] as usize;
        line += &format!(
            "  skipped {}",
            count(steps, "optimiser step", "optimiser steps")
        );
    }
    if metrics[SPEED].is_finite() {
        line += &format!("  {} samples/s", fixed(metrics[SPEED], 0));
    }
    if let Some(left) = left_seconds.filter(|left| *left >= 0.05) {
        line += &format!("  left {}", duration(left));
    }
    if metrics.is_best() {
        line += "  best";
    }
    line
}

pub(super) fn batch_line(
    batch: &BatchDone,
    schedule: Schedule,
    left_seconds: Option<f64>,
) -> String {
    let BatchDone {
        epoch,
        batches_done,
        loss,
        ..
    } = batch;
    let Schedule {
        epochs,
        batches_per_epoch,
        ..
    } = schedule;
    let left = left_seconds.map_or_else(String::new, |left| format!("  left {}", duration(left)));
    format!(
        "epoch {epoch}/{epochs}  batch {batches_done}/{batches_per_epoch}  {} {}{left}",
        batch.loss_word(),
        fixed(*loss, 3)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::metrics::{E_RATE, METRICS};
    use crate::train::metrics::{BEST, GRADIENT_NORM, TEST_ACCURACY, TRAIN_LOSS};

    #[test]
    fn an_epoch_line_has_what_was_measured_and_nothing_else() {
        let mut metrics = EpochMetrics::unmeasured(METRICS, 3);
        metrics[TRAIN_LOSS] = 0.51234;
        metrics[TEST_ACCURACY] = 79.0;
        metrics[E_RATE] = 4.04;
        metrics[GRADIENT_NORM] = 1e16;
        metrics[SPEED] = 1520.4;
        metrics[BEST] = 1.0;
        assert_eq!(
            epoch_line(&metrics, 100, Some(3720.0)),
            "epoch   3/100  loss 0.512  test 79.0 %  E 4.0 Hz  gradient 1.0e16  1520 samples/s  left 1 h 02 min  best"
        );
        let mut diverged = EpochMetrics::unmeasured(METRICS, 1);
        diverged[TRAIN_LOSS] = f64::INFINITY;
        diverged[SKIPPED_STEPS] = 2.0;
        assert_eq!(
            epoch_line(&diverged, 4, Some(0.0)),
            "epoch 1/4  loss inf  skipped 2 optimiser steps"
        );
    }
}
