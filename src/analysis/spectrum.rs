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
//! Independent Poisson cells of rate r make a flat density, 2 r / cells: the white level. It and the
//! spectrum are drawn for the eye; whether there is a rhythm is decided elsewhere
//! ([`rhythm`](super::rhythm)), since regular cells and shared noise rise above any such level, too.

/// Where the largest power is looked for, Hz.
pub const BAND_HZ: [f64; 2] = [5.0, 150.0];
/// Up to where the spectrum is computed, Hz: gamma and its first harmonic.
pub const SHOWN_HZ: f64 = 250.0;
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
    trials: usize,
    spikes: u64,
}

/// The largest power in [`BAND_HZ`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Centre of its bin, Hz.
    pub hz: f64,
    /// Vertex of the parabola through the logarithms of it and its neighbours, Hz.
    pub interpolated_hz: f64,
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
            trials: 0,
            spikes: 0,
        }
    }

    /// Adds a trial: spikes of the population at each step.
    pub fn add(&mut self, trace: &[u32]) {
        self.trials += 1;
        self.spikes += trace.iter().map(|&n| u64::from(n)).sum::<u64>();
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
        })
    }

    /// Density of independent Poisson cells of the same rate, Hz²/Hz; NaN without trials.
    pub fn white_power(&self) -> f64 {
        let spikes = self.spikes as f64 / self.trials as f64;
        let rate_hz = spikes / (self.cells as f64 * self.duration_s());
        2.0 * rate_hz / self.cells as f64
    }

    /// Width of a bin, Hz.
    pub fn resolution_hz(&self) -> f64 {
        1.0 / self.duration_s()
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

    /// Sums of |H_k|² of spike counts as the density of rates, mean over trials.
    fn density(&self, sums: &[f64]) -> Vec<f64> {
        let hz_per_spike = 1.0 / (self.cells as f64 * self.step_s);
        let window = 3.0 / 8.0 * self.steps as f64;
        let factor =
            2.0 * hz_per_spike * hz_per_spike * self.step_s / (window * self.trials as f64);
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
    use crate::random::{Purpose, Stream};

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
            let peak = spectrum.peak().unwrap();
            assert_eq!(peak.hz, (f_hz / 5.0).round() * 5.0);
            assert!((peak.interpolated_hz - f_hz).abs() < 1.0, "{peak:?}");
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
    fn independent_poisson_cells_lie_at_the_white_level() {
        let spectrum = trials(300, 20.0, 0.0, 40.0, 3);
        // The first bin has the mean, which is off, for a neighbour.
        let power = &spectrum.power()[1..];
        let mean = power.iter().sum::<f64>() / power.len() as f64;
        assert!((mean / spectrum.white_power() - 1.0).abs() < 0.03);
        assert!((spectrum.white_power() - 2.0 * 20.0 / CELLS as f64).abs() < 0.01);
        assert_eq!(spectrum.resolution_hz(), 5.0);
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
        assert_eq!(silent.white_power(), 0.0);
        let mut short = Spectrum::new(40, 0.1, CELLS, SHOWN_HZ);
        short.add(&[1; 40]);
        assert!(short.peak().is_none());
        assert!(Spectrum::new(1, 0.1, 0, SHOWN_HZ).peak().is_none());
    }
}
