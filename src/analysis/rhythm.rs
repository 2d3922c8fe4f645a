//! Rhythm in time: autocorrelogram of a population and intervals between the spikes of its cells.

use super::spikes::{Spikes, gaussian, steps_of};

/// Width of bins and lags, ms.
const BIN_MS: f64 = 1.0;
/// Longest lag, ms; at most half the trial.
const LONGEST_LAG_MS: f64 = 100.0;
/// Standard deviation of the Gaussian under which trough and side peak are looked for, ms.
const SMOOTHING_MS: f64 = 1.0;
/// Longest interval in the histogram, ms.
const LONGEST_INTERVAL_MS: f64 = 200.0;
/// Intervals that a cell must have to enter the mean coefficient of variation.
const FEWEST_INTERVALS: u64 = 3;

/// Mean autocorrelogram of the trials of a population, its spikes counted in bins of 1 ms.
#[derive(Clone, Debug)]
pub struct Autocorrelogram {
    bin_steps: usize,
    bin_ms: f64,
    trials: f64,
    /// Σ over trials of the mean product of two bins, those of a spike with itself left out.
    raw: Vec<f64>,
    /// Trials whose trace varies.
    varying: f64,
    /// Σ over them of the autocorrelation coefficients.
    coefficient: Vec<f64>,
}

impl Autocorrelogram {
    /// No trials yet, of `steps` each.
    pub fn new(steps: usize, dt_ms: f64) -> Self {
        let bin_steps = steps_of(BIN_MS, dt_ms);
        let bin_ms = bin_steps as f64 * dt_ms;
        let longest = (LONGEST_LAG_MS / bin_ms).round() as usize;
        let lags = longest.min(steps / bin_steps / 2) + 1;
        Self {
            bin_steps,
            bin_ms,
            trials: 0.0,
            raw: vec![0.0; lags],
            varying: 0.0,
            coefficient: vec![0.0; lags],
        }
    }

    /// Adds a trial: spikes of the population at each step. Steps that fill no whole bin at the end
    /// are left out.
    pub fn add(&mut self, trace: &[u32]) {
        let bins = trace.chunks_exact(self.bin_steps);
        let bins: Vec<f64> = bins.map(|bin| f64::from(bin.iter().sum::<u32>())).collect();
        if bins.len() < self.raw.len() {
            return;
        }
        let mean = bins.iter().sum::<f64>() / bins.len() as f64;
        let product = |lag: usize, from: f64| -> f64 {
            let pairs = bins.iter().zip(&bins[lag..]);
            pairs.map(|(a, b)| (a - from) * (b - from)).sum()
        };
        self.trials += 1.0;
        let with_itself: f64 = bins.iter().sum();
        for (lag, raw) in self.raw.iter_mut().enumerate() {
            let itself = if lag == 0 { with_itself } else { 0.0 };
            *raw += (product(lag, 0.0) - itself) / (bins.len() - lag) as f64;
        }
        let variance = product(0, mean);
        if variance > 0.0 {
            self.varying += 1.0;
            for (lag, sum) in self.coefficient.iter_mut().enumerate() {
                *sum += product(lag, mean) / variance;
            }
        }
    }

    /// Lags, ms, from 0.
    pub fn lag_ms(&self) -> Vec<f64> {
        (0..self.raw.len())
            .map(|lag| lag as f64 * self.bin_ms)
            .collect()
    }

    /// Autocorrelation coefficient Σ (x_t − x̄)(x_{t+l} − x̄) / Σ (x_t − x̄)² at each lag, mean over
    /// the trials in which the trace varies; NaN where there are none.
    pub fn coefficient(&self) -> Vec<f64> {
        self.coefficient.iter().map(|x| x / self.varying).collect()
    }

    /// (first side peak − first trough) / (first side peak + first trough) of the mean product of
    /// two bins. 0 where the autocorrelogram has no side peak, 1 where nothing fires between bursts,
    /// NaN where nothing fires.
    pub fn contrast(&self) -> f64 {
        if !self.raw.iter().any(|&x| x > 0.0) {
            return f64::NAN;
        }
        // Both sides, so that the smoothing sees no end at lag 0.
        let lags = self.raw.len();
        let mirrored = self.raw.iter().skip(1).rev().chain(&self.raw);
        let mirrored: Vec<f64> = mirrored.copied().collect();
        let smooth = &gaussian(&mirrored, SMOOTHING_MS / self.bin_ms)[lags - 1..];
        let inner = |lag: &usize| (1..lags.saturating_sub(1)).contains(lag);
        // A plateau counts from its first lag, or a trough of zeros would have none.
        let is_trough = |&l: &usize| smooth[l - 1] > smooth[l] && smooth[l] <= smooth[l + 1];
        let is_peak = |&l: &usize| smooth[l - 1] < smooth[l] && smooth[l] >= smooth[l + 1];
        let trough = (1..lags).filter(inner).find(is_trough);
        let peak = trough.and_then(|trough| (trough + 1..lags).filter(inner).find(is_peak));
        match (trough, peak) {
            (Some(trough), Some(peak)) => {
                (smooth[peak] - smooth[trough]) / (smooth[peak] + smooth[trough])
            }
            _ => 0.0,
        }
    }
}

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

    /// Ten spikes in each step of a burst of 3 ms every 25 ms, `between` in other steps.
    fn bursts(between: u32) -> Vec<u32> {
        let in_burst = |t: &u32| t % 250 < 30;
        (0..2000)
            .map(|t| if in_burst(&t) { 10 } else { between })
            .collect()
    }

    #[test]
    fn bursts_with_silence_between_them_have_contrast_one() {
        let mut autocorrelogram = Autocorrelogram::new(2000, 0.1);
        autocorrelogram.add(&bursts(0));
        let contrast = autocorrelogram.contrast();
        assert!((contrast - 1.0).abs() < 1e-12, "{contrast}");
        let coefficient = autocorrelogram.coefficient();
        assert!((coefficient[0] - 1.0).abs() < 1e-12);
        assert!(coefficient[25] > 0.8 && coefficient[12] < 0.0);
        assert_eq!(autocorrelogram.lag_ms()[25], 25.0);
        assert_eq!(coefficient.len(), 101);
    }

    #[test]
    fn contrast_falls_with_what_fires_between_bursts_and_vanishes_without_rhythm() {
        let contrast = |between| {
            let mut autocorrelogram = Autocorrelogram::new(2000, 0.1);
            autocorrelogram.add(&bursts(between));
            autocorrelogram.contrast()
        };
        let falling: Vec<f64> = [0, 1, 3, 9, 10].map(contrast).into();
        assert!(
            falling.windows(2).all(|pair| pair[0] > pair[1] + 1e-6),
            "{falling:?}"
        );
        assert!(contrast(10) < 1e-12);

        let mut noise = Autocorrelogram::new(2000, 0.1);
        let mut stream = Stream::new(Purpose::ShuffledSpikes, 1, 0, 0);
        for _ in 0..100 {
            noise.add(
                &(0..2000)
                    .map(|_| stream.below(5) as u32)
                    .collect::<Vec<_>>(),
            );
        }
        assert!(noise.contrast() < 0.01, "{}", noise.contrast());
        let flat = noise.coefficient()[1..].iter().all(|c| c.abs() < 0.05);
        assert!(flat, "{:?}", noise.coefficient());

        let mut silent = Autocorrelogram::new(2000, 0.1);
        silent.add(&[0; 2000]);
        assert!(silent.contrast().is_nan() && silent.coefficient()[0].is_nan());
    }

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
