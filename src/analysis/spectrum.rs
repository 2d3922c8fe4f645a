//! Power spectrum of a population's rate, and whether its peak is a rhythm.
//!
//! Welch's estimate with one segment a trial: r(t) is the mean rate of a cell in step t, its mean over
//! the trial is taken off, a Hann window laid on, and the densities of all trials averaged. A bin is
//! 1/T wide (5 Hz at 200 ms). With X_k = Σ_t r(t) exp(−2πi k t/n) and X_0 = 0, the window is a
//! combination of neighbours, H_k = X_k/2 − (X_{k−1} + X_{k+1})/4, and the one-sided density is
//! P_k = 2 |H_k|² / (f_s Σ w²), with Σ w² = 3n/8. Only the bins that are shown are computed, each as a
//! plain sum: for some fifty of them that is less work than to simulate the trial was, and the same on
//! every machine.
//!
//! The null hypothesis is that every spike falls anywhere in its trial. The X_k of N such spikes have
//! mean 0 and variance N for every k > 0, are uncorrelated, and normal for many spikes; so a shuffled
//! trial is drawn as its X_k, whatever the number of its spikes.
//!
//! Cells that share their input fire together without any rhythm: their spectrum lies above that of
//! shuffled spikes at every frequency (some thirty times in a network without loop) and its largest
//! bin is the luck of the draw. So the null is raised by the level of the data, the ratio of the medians
//! in the band, wherever that is above 1, before a peak is compared with it.

use crate::random::{Purpose, Stream};

/// Where a peak is looked for, Hz.
pub const BAND_HZ: [f64; 2] = [5.0, 150.0];
/// Up to where the spectrum is computed, Hz: the band and the first harmonic of gamma.
pub const SHOWN_HZ: f64 = 250.0;
/// Shuffled data sets of the null; the quantile of 95 % is then the 95th of 99.
pub const SHUFFLES: usize = 99;
/// Share of shuffles whose largest power a rhythm must exceed.
const QUANTILE: f64 = 0.95;

/// Mean spectrum of trials.
#[derive(Clone, Debug)]
pub struct Spectrum {
    steps: usize,
    cells: usize,
    step_s: f64,
    /// cos and sin of 2πt/n.
    circle: Vec<(f64, f64)>,
    /// Σ over trials of |H_k|² of the spike counts, k from 1.
    power: Vec<f64>,
    /// Spikes of each trial.
    spikes: Vec<u64>,
}

/// The largest power in [`BAND_HZ`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Centre of its bin, Hz.
    pub hz: f64,
    /// Vertex of the parabola through the logarithms of it and its neighbours, Hz.
    pub interpolated_hz: f64,
    /// Its density, Hz²/Hz.
    pub power: f64,
}

/// Spectra of shuffled trains, and how far above them the data lies as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Null {
    /// Mean over shuffles, Hz²/Hz.
    pub power: Vec<f64>,
    /// 95 % quantile of the largest power in [`BAND_HZ`], Hz²/Hz; NaN without a bin in it.
    pub peak_power: f64,
    /// Median power of the data in the band over that of the null: 1 for independent cells; NaN where
    /// nothing fires.
    pub level: f64,
}

impl Null {
    /// Whether a peak is a rhythm: above the quantile, raised to the level of the data.
    pub fn is_exceeded_by(&self, peak: &Peak) -> bool {
        peak.power > self.peak_power * self.level.max(1.0)
    }
}

impl Spectrum {
    /// No trials yet, of `steps` each, of a population of `cells`; bins up to `highest_hz`.
    pub fn new(steps: usize, dt_ms: f64, cells: usize, highest_hz: f64) -> Self {
        let step_s = dt_ms / 1000.0;
        let duration_s = steps as f64 * step_s;
        // A last bin that lies at the limit but for rounding counts.
        let wanted = (highest_hz * duration_s + 1e-9).floor().max(0.0) as usize;
        let bins = wanted.min(steps.saturating_sub(1) / 2);
        let circle = (0..steps).map(|t| {
            let angle = std::f64::consts::TAU * t as f64 / steps as f64;
            (libm::cos(angle), libm::sin(angle))
        });
        Self {
            steps,
            cells,
            step_s,
            circle: circle.collect(),
            power: vec![0.0; bins],
            spikes: Vec::new(),
        }
    }

    /// Adds a trial: spikes of the population at each step.
    pub fn add(&mut self, trace: &[u32]) {
        self.spikes.push(trace.iter().map(|&n| u64::from(n)).sum());
        let spiking: Vec<(usize, f64)> = (trace.iter().enumerate())
            .filter(|&(_, &n)| n > 0)
            .map(|(t, &n)| (t, f64::from(n)))
            .collect();
        let mut x = vec![(0.0, 0.0); self.power.len() + 2];
        // The mean is the coefficient 0 alone, which stays 0.
        for (k, x) in x.iter_mut().enumerate().skip(1) {
            for &(t, n) in &spiking {
                let (cos, sin) = self.circle[k * t % self.steps];
                x.0 += n * cos;
                x.1 -= n * sin;
            }
        }
        add_windowed(&mut self.power, &x);
    }

    /// Trials so far.
    pub fn trials(&self) -> usize {
        self.spikes.len()
    }

    /// Centres of the bins, Hz.
    pub fn frequency_hz(&self) -> Vec<f64> {
        (1..=self.power.len()).map(|k| self.hz(k)).collect()
    }

    /// Mean density in each bin, Hz²/Hz; NaN without trials.
    pub fn power(&self) -> Vec<f64> {
        self.density(&self.power)
    }

    /// The peak; none where there is no power in the band.
    pub fn peak(&self) -> Option<Peak> {
        let power = self.power();
        let at = self.largest(&power)?;
        if power[at].is_nan() || power[at] <= 0.0 {
            return None;
        }
        let offset = match at
            .checked_sub(1)
            .map(|left| (power[left], power.get(at + 1)))
        {
            Some((left, Some(&right))) => vertex([left, power[at], right]),
            _ => 0.0,
        };
        Some(Peak {
            hz: self.hz(at + 1),
            interpolated_hz: self.hz(at + 1) + offset / self.duration_s(),
            power: power[at],
        })
    }

    /// The same trials with every spike anywhere in its trial, [`SHUFFLES`] times.
    pub fn null(&self, seed: u64) -> Null {
        let mut mean = vec![0.0; self.power.len()];
        let mut largest: Vec<f64> = Vec::with_capacity(SHUFFLES);
        for shuffle in 0..SHUFFLES {
            let mut stream = Stream::new(Purpose::ShuffledSpikes, seed, shuffle as u64, 0);
            let mut power = vec![0.0; self.power.len()];
            let mut x = vec![(0.0, 0.0); self.power.len() + 2];
            for &spikes in &self.spikes {
                let scale = (spikes as f64 / 2.0).sqrt();
                for x in &mut x[1..] {
                    *x = (scale * stream.normal(), scale * stream.normal());
                }
                add_windowed(&mut power, &x);
            }
            let power = self.density(&power);
            largest.extend(self.largest(&power).map(|at| power[at]));
            let parts = mean.iter_mut().zip(power);
            parts.for_each(|(mean, power)| *mean += power / SHUFFLES as f64);
        }
        largest.sort_by(f64::total_cmp);
        let rank = (QUANTILE * (largest.len() + 1) as f64).round() as usize;
        let quantile = rank.checked_sub(1).and_then(|at| largest.get(at));
        Null {
            peak_power: quantile.copied().unwrap_or(f64::NAN),
            level: self.median(&self.power()) / self.median(&mean),
            power: mean,
        }
    }

    fn duration_s(&self) -> f64 {
        self.steps as f64 * self.step_s
    }

    fn hz(&self, k: usize) -> f64 {
        k as f64 / self.duration_s()
    }

    /// Places of the bins in the band.
    fn band(&self) -> impl Iterator<Item = usize> {
        let in_band = |&at: &usize| (BAND_HZ[0]..=BAND_HZ[1]).contains(&self.hz(at + 1));
        (0..self.power.len()).filter(in_band)
    }

    /// Place of the largest power in the band.
    fn largest(&self, power: &[f64]) -> Option<usize> {
        self.band().max_by(|&a, &b| power[a].total_cmp(&power[b]))
    }

    /// Median power in the band (the upper one of two); NaN without a bin in it.
    fn median(&self, power: &[f64]) -> f64 {
        let mut band: Vec<f64> = self.band().map(|at| power[at]).collect();
        band.sort_by(f64::total_cmp);
        band.get(band.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Sums of |H_k|² of spike counts as the density of rates, mean over trials.
    fn density(&self, sums: &[f64]) -> Vec<f64> {
        let hz_per_spike = 1.0 / (self.cells as f64 * self.step_s);
        let window = 3.0 / 8.0 * self.steps as f64;
        let factor =
            2.0 * hz_per_spike * hz_per_spike * self.step_s / (window * self.spikes.len() as f64);
        sums.iter().map(|sum| factor * sum).collect()
    }
}

/// Adds |H_k|², k from 1, of the coefficients `x`, k from 0 to one more.
fn add_windowed(power: &mut [f64], x: &[(f64, f64)]) {
    for (power, near) in power.iter_mut().zip(x.windows(3)) {
        let hann = |part: fn(&(f64, f64)) -> f64| {
            part(&near[1]) / 2.0 - (part(&near[0]) + part(&near[2])) / 4.0
        };
        let (re, im) = (hann(|x| x.0), hann(|x| x.1));
        *power += re * re + im * im;
    }
}

/// Where the parabola through the logarithms of three neighbours is largest, in bins from the middle.
fn vertex(power: [f64; 3]) -> f64 {
    let [left, middle, right] = power.map(libm::log);
    let offset = 0.5 * (left - right) / (left - 2.0 * middle + right);
    if offset.is_finite() {
        offset.clamp(-0.5, 0.5)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: usize = 2000;
    const DT_MS: f64 = 0.1;
    const CELLS: usize = 100;

    fn stream(a: u64, b: u64) -> Stream {
        Stream::new(Purpose::ShuffledSpikes, 777, a, b)
    }

    /// Spikes of a population whose mean rate is `mean_hz (1 + depth cos 2πft)`.
    fn trials(count: u64, mean_hz: f64, depth: f64, f_hz: f64, seed: u64) -> Spectrum {
        let mut spectrum = Spectrum::new(STEPS, DT_MS, CELLS, SHOWN_HZ);
        let top = mean_hz * (1.0 + depth) * DT_MS / 1000.0;
        for trial in 0..count {
            let mut stream = stream(seed, trial);
            let phase = stream.uniform_f64_open();
            let mut trace = vec![0; STEPS];
            for _ in 0..CELLS {
                let candidates: Vec<u32> = stream.bernoulli_gaps(top, STEPS as u32).collect();
                for t in candidates {
                    let turns = f_hz * f64::from(t) * DT_MS / 1000.0 + phase;
                    let share =
                        (1.0 + depth * (std::f64::consts::TAU * turns).cos()) / (1.0 + depth);
                    trace[t as usize] += u32::from(stream.uniform_f64_open() <= share);
                }
            }
            spectrum.add(&trace);
        }
        spectrum
    }

    #[test]
    fn a_modulated_rate_has_its_peak_where_it_is_modulated() {
        for f_hz in [40.0, 38.7, 43.1] {
            let spectrum = trials(60, 20.0, 0.8, f_hz, 1);
            let (peak, null) = (spectrum.peak().unwrap(), spectrum.null(0));
            assert_eq!(peak.hz, (f_hz / 5.0).round() * 5.0);
            assert!((peak.interpolated_hz - f_hz).abs() < 1.0, "{peak:?}");
            assert!(null.is_exceeded_by(&peak));
        }
        // Power of the line over all bins: (r m)²/2, of which the noise adds its density in three.
        let spectrum = trials(200, 20.0, 0.8, 40.0, 2);
        let noise = 2.0 * 20.0 / CELLS as f64;
        let line: f64 = spectrum.power()[6..9]
            .iter()
            .map(|p| (p - noise) * 5.0)
            .sum();
        assert!((line / 128.0 - 1.0).abs() < 0.1, "{line}");
    }

    #[test]
    fn unmodulated_trains_are_called_rhythmic_as_often_as_the_quantile_says() {
        let rhythmic = |depth, seed| {
            let spectrum = trials(10, 20.0, depth, 40.0, seed);
            let null = spectrum.null(seed);
            assert!((null.level - 1.0).abs() < 0.6, "{}", null.level);
            null.is_exceeded_by(&spectrum.peak().unwrap())
        };
        let wrong = (0..200).filter(|&seed| rhythmic(0.0, seed)).count();
        // 5 % of 200, three standard errors.
        assert!((1..=19).contains(&wrong), "{wrong} of 200 called rhythmic");
        assert!(
            (0..20).all(|seed| rhythmic(0.8, seed)),
            "a rhythm must be noticed"
        );
    }

    /// Every spike of these populations is one of twenty cells at once.
    #[test]
    fn shared_input_is_no_rhythm_but_hides_none() {
        let shared = |depth, seed| {
            let mut spectrum = trials(10, 20.0, depth, 40.0, seed);
            // Twenty times the spikes: 400 times the power, where shuffles have twenty times.
            spectrum.power.iter_mut().for_each(|power| *power *= 400.0);
            spectrum.spikes.iter_mut().for_each(|spikes| *spikes *= 20);
            let (peak, null) = (spectrum.peak().unwrap(), spectrum.null(seed));
            assert!((12.0..32.0).contains(&null.level), "{}", null.level);
            assert!(peak.power > 5.0 * null.peak_power);
            null.is_exceeded_by(&peak)
        };
        let wrong = (0..60).filter(|&seed| shared(0.0, seed)).count();
        assert!(wrong <= 9, "{wrong} of 60 called rhythmic");
        assert!((0..10).all(|seed| shared(0.8, seed)));
    }

    #[test]
    fn the_null_is_that_of_spikes_drawn_again_one_by_one() {
        let data = trials(12, 5.0, 0.9, 40.0, 3);
        let null = data.null(9);
        let mut largest = Vec::new();
        let mut mean = vec![0.0; data.power.len()];
        for shuffle in 0..99 {
            let mut again = Spectrum::new(STEPS, DT_MS, CELLS, SHOWN_HZ);
            let mut stream = stream(1000, shuffle);
            for &spikes in &data.spikes {
                let mut trace = vec![0; STEPS];
                (0..spikes).for_each(|_| trace[stream.below(STEPS as u64) as usize] += 1);
                again.add(&trace);
            }
            largest.push(again.peak().unwrap().power);
            (mean.iter_mut().zip(again.power())).for_each(|(m, p)| *m += p / 99.0);
        }
        largest.sort_by(f64::total_cmp);
        let sum = |x: &[f64]| x[1..].iter().sum::<f64>();
        assert!((sum(&null.power) / sum(&mean) - 1.0).abs() < 0.03);
        // First bin: its lower neighbour is the mean, which is off.
        assert!((null.power[0] / mean[0] - 1.0).abs() < 0.15);
        assert!(
            (null.peak_power / largest[94] - 1.0).abs() < 0.15,
            "{} {}",
            null.peak_power,
            largest[94]
        );
        // A Poisson train of rate r and C cells has the density 2r/C.
        let rate = data.spikes.iter().sum::<u64>() as f64 / (12.0 * 0.2 * CELLS as f64);
        let expected = 2.0 * rate / CELLS as f64;
        let mean = sum(&null.power) / (null.power.len() - 1) as f64;
        assert!((mean / expected - 1.0).abs() < 0.03);
    }

    /// Σ P_k Δf is the mean square of the windowed rate over that of the window.
    #[test]
    fn the_density_integrates_to_the_variance() {
        let steps = 501;
        let mut stream = stream(4, 0);
        let trace: Vec<u32> = (0..steps).map(|_| stream.below(7) as u32).collect();
        let mut spectrum = Spectrum::new(steps, 1.0, 3, f64::INFINITY);
        spectrum.add(&trace);
        assert_eq!(spectrum.power().len(), 250);
        let total: f64 = spectrum.power().iter().sum::<f64>() / (steps as f64 / 1000.0);

        let rate: Vec<f64> = trace.iter().map(|&n| f64::from(n) * 1000.0 / 3.0).collect();
        let mean = rate.iter().sum::<f64>() / steps as f64;
        let windowed = |t: usize| {
            let turn = std::f64::consts::TAU * t as f64 / steps as f64;
            (rate[t] - mean) * (0.5 - 0.5 * turn.cos())
        };
        let square: f64 = (0..steps).map(|t| windowed(t).powi(2)).sum();
        let constant = (0..steps).map(windowed).sum::<f64>().powi(2) / steps as f64;
        let expected = (square - constant) / (3.0 / 8.0 * steps as f64);
        assert!((total / expected - 1.0).abs() < 1e-9, "{total} {expected}");
    }

    #[test]
    fn silence_and_trials_too_short_for_the_band_have_no_peak() {
        let mut silent = Spectrum::new(STEPS, DT_MS, CELLS, SHOWN_HZ);
        assert!(silent.peak().is_none() && silent.power()[0].is_nan());
        silent.add(&[0; STEPS]);
        assert!(silent.peak().is_none());
        let null = silent.null(0);
        assert!(null.peak_power == 0.0 && null.level.is_nan());
        let mut short = Spectrum::new(40, 0.1, CELLS, SHOWN_HZ);
        short.add(&[1; 40]);
        assert!(short.peak().is_none() && short.null(0).peak_power.is_nan());
        assert!(Spectrum::new(1, 0.1, 0, SHOWN_HZ).peak().is_none());
    }
}
