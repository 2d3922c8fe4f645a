//! How numbers of a run read in a line of text.

use super::{BatchDone, Schedule};
use crate::train::metrics::EpochMetrics;

/// The line of an epoch: what a person wants to follow, and nothing a model does not have.
pub fn epoch_line(metrics: &EpochMetrics, epochs: u64, left_seconds: Option<f64>) -> String {
    let width = epochs.to_string().len();
    let mut line = format!("epoch {:>width$}/{epochs}", metrics.epoch);
    let mut add = |label: &str, value: f64, decimals: usize, unit: &str| {
        // What was not measured is NaN; what diverged is infinite and worth seeing.
        if !value.is_nan() {
            line += &format!("  {label} {}{unit}", number(value, decimals));
        }
    };
    add("loss", metrics.train_loss_nats, 3, "");
    add("train", metrics.train_accuracy_percent, 1, " %");
    add(
        "validation",
        metrics.validation_accuracy_percent.unwrap_or(f64::NAN),
        1,
        " %",
    );
    add("test", metrics.test_accuracy_percent, 1, " %");
    add("E", metrics.e_rate_hz, 1, " Hz");
    add("I", metrics.i_rate_hz, 1, " Hz");
    add("gradient", metrics.gradient_norm, 2, "");
    if metrics.skipped_steps > 0 {
        line += &format!("  skipped {} steps", metrics.skipped_steps);
    }
    if metrics.samples_per_second.is_finite() {
        line += &format!("  {} samples/s", number(metrics.samples_per_second, 0));
    }
    if let Some(left) = left_seconds.filter(|left| *left >= 0.05) {
        line += &format!("  left {}", format_duration(left));
    }
    if metrics.best {
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
        loss_nats,
        ..
    } = batch;
    let Schedule {
        epochs,
        batches_per_epoch,
        ..
    } = schedule;
    let left = left_seconds.map_or_else(String::new, |left| {
        format!("  left {}", format_duration(left))
    });
    format!(
        "epoch {epoch}/{epochs}  batch {batches_done}/{batches_per_epoch}  loss {}{left}",
        number(*loss_nats, 3)
    )
}

/// A number with fixed decimals, or with an exponent where those would show nothing of it.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let size = value.abs();
    let smallest = 0.5 * 10_f64.powi(-i32::try_from(decimals).unwrap_or(i32::MAX));
    if size != 0.0 && size.is_finite() && (size >= 1e6 || size < smallest) {
        format!("{value:.1e}")
    } else {
        format!("{value:.decimals$}")
    }
}

/// A duration as a person says it: `0.4 s`, `48 s`, `16 min 38 s`, `1 h 02 min`, `3 d 04 h`.
pub fn format_duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    // Rounded first, so that no part shows as 60.
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", whole % 60),
        (0, _, _) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_line_has_what_was_measured_and_nothing_else() {
        let metrics = EpochMetrics {
            train_loss_nats: 0.51234,
            test_accuracy_percent: 79.0,
            e_rate_hz: 4.04,
            gradient_norm: 1e16,
            samples_per_second: 1520.4,
            best: true,
            ..EpochMetrics::unmeasured(3)
        };
        assert_eq!(
            epoch_line(&metrics, 100, Some(3720.0)),
            "epoch   3/100  loss 0.512  test 79.0 %  E 4.0 Hz  gradient 1.0e16  1520 samples/s  left 1 h 02 min  best"
        );
        let diverged = EpochMetrics {
            train_loss_nats: f64::INFINITY,
            skipped_steps: 2,
            ..EpochMetrics::unmeasured(1)
        };
        assert_eq!(
            epoch_line(&diverged, 4, Some(0.0)),
            "epoch 1/4  loss inf  skipped 2 steps"
        );
    }

    #[test]
    fn numbers_stay_readable() {
        for (value, decimals, expected) in [
            (0.0, 2, "0.00"),
            (0.004, 2, "4.0e-3"),
            (0.005, 2, "0.01"),
            (-1.5, 1, "-1.5"),
            (2e6, 2, "2.0e6"),
        ] {
            assert_eq!(number(value, decimals), expected);
        }
    }

    #[test]
    fn durations_read_well() {
        for (seconds, expected) in [
            (0.0, "0.0 s"),
            (0.44, "0.4 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (998.0, "16 min 38 s"),
            (3599.7, "1 h 00 min"),
            (3720.0, "1 h 02 min"),
            (86_400.0 * 3.0 + 4.0 * 3600.0, "3 d 04 h"),
            (f64::NAN, "unknown"),
            (-1.0, "unknown"),
        ] {
            assert_eq!(format_duration(seconds), expected);
        }
    }
}
