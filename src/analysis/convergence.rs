//! Whether a curve over epochs has come to rest: its slope over the last of them.

/// Epochs over which the slope is taken.
pub const EPOCHS: usize = 10;
/// Steepest slope of a converged accuracy, percentage points an epoch.
pub const ACCURACY_PERCENT_PER_EPOCH: f64 = 0.1;
/// Steepest slope of a converged rate, Hz an epoch.
pub const RATE_HZ_PER_EPOCH: f64 = 0.05;

/// Least-squares slope over the last `epochs` of `values`, one an epoch in order. Epochs that are NaN
/// are left out; NaN where fewer than two remain.
pub fn slope(values: &[f64], epochs: usize) -> f64 {
    let last = &values[values.len().saturating_sub(epochs)..];
    let points = last.iter().enumerate().filter(|(_, y)| y.is_finite());
    let points: Vec<(f64, f64)> = points.map(|(x, &y)| (x as f64, y)).collect();
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x0, y0) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - x0) * (y - y0)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - x0) * (x - x0)).sum();
    covariance / variance
}

/// Whether an accuracy (%, one an epoch) has converged: |slope| over the last [`EPOCHS`] below
/// [`ACCURACY_PERCENT_PER_EPOCH`]. Not where there is no slope or there are fewer epochs.
pub fn accuracy_converged(accuracy_percent: &[f64]) -> bool {
    converged(accuracy_percent, ACCURACY_PERCENT_PER_EPOCH)
}

/// Whether a rate (Hz, one an epoch) has converged, likewise with [`RATE_HZ_PER_EPOCH`].
pub fn rate_converged(rate_hz: &[f64]) -> bool {
    converged(rate_hz, RATE_HZ_PER_EPOCH)
}

fn converged(values: &[f64], steepest: f64) -> bool {
    values.len() >= EPOCHS && slope(values, EPOCHS).abs() < steepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_epochs_count() {
        let mut values: Vec<f64> = vec![900.0, -700.0];
        values.extend((0..10).map(|k| 3.0 + 0.07 * f64::from(k)));
        assert!((slope(&values, 10) - 0.07).abs() < 1e-12);
        assert!((slope(&values, 11) - 0.07).abs() > 1.0);
        assert!(accuracy_converged(&values) && !rate_converged(&values));
    }

    #[test]
    fn nan_epochs_are_left_out_where_they_are() {
        let line = [1.0, f64::NAN, 3.0, f64::NAN, 5.0];
        assert!((slope(&line, 5) - 1.0).abs() < 1e-12);
        assert!(slope(&[1.0, f64::NAN], 10).is_nan() && slope(&[], 10).is_nan());
        assert!(!rate_converged(&[f64::NAN; 20]) && !rate_converged(&[1.0; 9]));
        assert!(rate_converged(&[1.0; 10]));
    }
}
