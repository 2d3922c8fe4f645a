//! Intervals between the spikes of the cells of a population.

use super::spikes::{Spikes, steps_of};

/// Width of bins, ms.
const BIN_MS: f64 = 1.0;
/// Longest interval in the histogram, ms.
const LONGEST_INTERVAL_MS: f64 = 200.0;
/// Intervals that a cell must have to enter the mean coefficient of variation.
const FEWEST_INTERVALS: u64 = 3;

/// Intervals between the spikes of each cell within a trial.
#[derive(Clone, Debug)]
pub struct Intervals {
    bin_steps: usize,
    bin_ms: f64,
    histogram: Vec<u64>,
    /// Number, sum and sum of squares of each cell's intervals; steps.
    cells: Vec<[u64; 3]>,
}

impl Intervals {
    /// No trials yet, of `steps` each, of a population of `cells`.
    pub fn new(steps: usize, dt_ms: f64, cells: usize) -> Self {
        let bin_steps = steps_of(BIN_MS, dt_ms);
        let bin_ms = bin_steps as f64 * dt_ms;
        let most = (LONGEST_INTERVAL_MS / bin_ms).round() as usize;
        Self {
            bin_steps,
            bin_ms,
            histogram: vec![0; steps.div_ceil(bin_steps).min(most)],
            cells: vec![[0; 3]; cells],
        }
    }

    /// Adds a trial.
    pub fn add(&mut self, spikes: &Spikes) {
        let mut before: Vec<Option<u32>> = vec![None; self.cells.len()];
        for &(step, cell) in &spikes.at {
            let cell = cell as usize;
            if let Some(before) = before[cell].replace(step) {
                let interval = u64::from(step - before);
                let [number, sum, squares] = &mut self.cells[cell];
                *number += 1;
                *sum += interval;
                *squares += interval * interval;
                let bin = (interval / self.bin_steps as u64) as usize;
                if let Some(count) = self.histogram.get_mut(bin) {
                    *count += 1;
                }
            }
        }
    }

    /// Left edges of the bins, ms.
    pub fn edge_ms(&self) -> Vec<f64> {
        (0..self.histogram.len())
            .map(|bin| bin as f64 * self.bin_ms)
            .collect()
    }

    /// Intervals in each bin; those of 200 ms and more are in none.
    pub fn histogram(&self) -> &[u64] {
        &self.histogram
    }

    /// Standard deviation over mean of a cell's intervals in all trials, mean over the cells with at
    /// least three; NaN where there are none.
    pub fn cv(&self) -> f64 {
        let of_cells = self.cells.iter().filter(|cell| cell[0] >= FEWEST_INTERVALS);
        let (mut sum, mut number) = (0.0, 0.0);
        for cell in of_cells {
            let [n, total, squares] = cell.map(|x| x as f64);
            let mean = total / n;
            let variance = (squares - n * mean * mean).max(0.0) / (n - 1.0);
            sum += variance.sqrt() / mean;
            number += 1.0;
        }
        sum / number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn intervals_stay_within_their_cell_and_trial() {
        let spikes = |at: &[(u32, u32)]| Spikes {
            steps: 2000,
            cells: 3,
            at: at.to_vec(),
        };
        let mut intervals = Intervals::new(2000, 0.1, 3);
        // Cell 0: 10, 10 ms, then 30 ms in another trial; cell 1: a single spike in each.
        intervals.add(&spikes(&[(0, 0), (50, 1), (100, 0), (200, 0)]));
        intervals.add(&spikes(&[(5, 1), (1000, 0), (1300, 0)]));
        let histogram = intervals.histogram();
        assert_eq!((histogram[10], histogram[30]), (2, 1));
        assert_eq!(histogram.iter().sum::<u64>(), 3);
        assert_eq!(intervals.edge_ms()[10], 10.0);
        // Mean 50/3 ms, sample variance 400/3 ms².
        let expected = (400.0f64 / 3.0).sqrt() / (50.0 / 3.0);
        assert!((intervals.cv() - expected).abs() < 1e-12);
    }

    #[test]
    fn a_clock_has_cv_zero_a_poisson_train_one_and_no_spikes_none() {
        let spikes = |at: Vec<(u32, u32)>| Spikes {
            steps: 200_000,
            cells: 1,
            at,
        };
        let cv = |at| {
            let mut intervals = Intervals::new(200_000, 0.1, 1);
            intervals.add(&spikes(at));
            intervals.cv()
        };
        assert_eq!(cv((0..100).map(|k| (250 * k, 0)).collect()), 0.0);
        let mut stream = Stream::new(Purpose::ShuffledSpikes, 2, 0, 0);
        let poisson = stream.bernoulli_gaps(0.02, 200_000).map(|t| (t, 0));
        let cv_of_poisson = cv(poisson.collect());
        assert!((cv_of_poisson - 1.0).abs() < 0.06, "{cv_of_poisson}");
        assert!(cv(Vec::new()).is_nan() && cv(vec![(1, 0), (2, 0), (3, 0)]).is_nan());
    }
}
