//! Whether a curve over epochs has come to rest: its slope over the last of them.

/// Epochs over which the slope is taken.
pub const EPOCHS: usize = 10;
/// Steepest slope of a converged accuracy, percentage points per epoch.
pub const ACCURACY_PERCENT_PER_EPOCH: f64 = 0.1;

/// A slope and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// Least-squares slope, units an epoch.
    pub value: f64,
    /// Its standard error by the residuals; NaN for fewer than three points.
    pub error: f64,
}

impl Slope {
    /// Whether it lies below `steepest` even where two standard errors are added, `Some(false)` where
    /// above it even where they are taken off, and none where that cannot be told.
    pub fn is_below(&self, steepest: f64) -> Option<bool> {
        let (size, error) = (self.value.abs(), 2.0 * self.error);
        if size + error < steepest {
            Some(true)
        } else if size - error > steepest {
            Some(false)
        } else {
            None
        }
    }
}

/// Least-squares slope over the last `epochs` of `values`, one an epoch in order. Epochs that are NaN
/// are left out; NaN where fewer than two remain.
pub fn slope(values: &[f64], epochs: usize) -> f64 {
    slope_with_error(values, epochs).value
}

/// As [`slope`], with its standard error.
pub fn slope_with_error(values: &[f64], epochs: usize) -> Slope {
    let last = &values[values.len().saturating_sub(epochs)..];
    let points = last.iter().enumerate().filter(|(_, y)| y.is_finite());
    let points: Vec<(f64, f64)> = points.map(|(x, &y)| (x as f64, y)).collect();
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x0, y0) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - x0) * (y - y0)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - x0) * (x - x0)).sum();
    let value = covariance / variance;
    let residual = |(x, y): &(f64, f64)| (y - y0 - value * (x - x0)).powi(2);
    let squares: f64 = points.iter().map(residual).sum();
    let error = if points.len() < 3 {
        f64::NAN
    } else {
        (squares / (n - 2.0) / variance).sqrt()
    };
    Slope { value, error }
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
    }

    #[test]
    fn nan_epochs_are_left_out_where_they_are() {
        let line = [1.0, f64::NAN, 3.0, f64::NAN, 5.0];
        assert!((slope(&line, 5) - 1.0).abs() < 1e-12);
        assert!(slope(&[1.0, f64::NAN], 10).is_nan() && slope(&[], 10).is_nan());
    }

    #[test]
    fn the_error_is_that_of_the_residuals() {
        // y = x + (1, -2, 1): slope 1; residuals of sum of squares 6 over one degree of freedom and 2.
        let found = slope_with_error(&[1.0, -1.0, 3.0], 3);
        assert!((found.value - 1.0).abs() < 1e-12 && (found.error - 3.0f64.sqrt()).abs() < 1e-12);
        assert!(slope_with_error(&[1.0, 2.0], 2).error.is_nan());
    }

    #[test]
    fn a_slope_within_its_error_of_the_limit_is_undecided() {
        let slope = |value, error| Slope { value, error };
        assert_eq!(slope(0.01, 0.01).is_below(0.05), Some(true));
        assert_eq!(slope(-0.2, 0.01).is_below(0.05), Some(false));
        assert_eq!(slope(0.04, 0.01).is_below(0.05), None);
        assert_eq!(slope(0.0, f64::NAN).is_below(0.05), None);
    }
}
