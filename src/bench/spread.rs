//! Repeated measurements and what is said of them.

use serde::Serialize;

/// Median and range of repeated measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MedianSpread {
    /// Middle value; the mean of the two middle ones of an even number.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl MedianSpread {
    /// The spread of `values`; zeros where there are none.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        match (sorted.first(), sorted.last()) {
            (Some(&min), Some(&max)) => Self {
                median: 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]),
                min,
                max,
            },
            _ => Self::default(),
        }
    }

    /// All values times `factor`, which is positive: in another unit.
    pub fn times(self, factor: f64) -> Self {
        Self {
            median: factor * self.median,
            min: factor * self.min,
            max: factor * self.max,
        }
    }

    /// The spread of `amount / value`: of rates from times, where all are positive.
    pub fn rate(self, amount: f64) -> Self {
        Self {
            median: amount / self.median,
            min: amount / self.max,
            max: amount / self.min,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MedianSpread;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        let spread = MedianSpread::of(&[5.0, 1.0, 3.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 3.0, 5.0));
        assert_eq!(MedianSpread::of(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(MedianSpread::of(&[7.0]).median, 7.0);
        assert_eq!(MedianSpread::of(&[]), MedianSpread::default());
    }

    #[test]
    fn the_fastest_time_gives_the_largest_rate() {
        let rate = MedianSpread::of(&[2.0, 4.0, 8.0]).rate(16.0);
        assert_eq!((rate.min, rate.median, rate.max), (2.0, 4.0, 8.0));
    }
}
