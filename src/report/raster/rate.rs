//! Population rates for the panel under a raster.

/// Bins of the rate, and the standard deviation of the Gaussian they are smoothed with, ms.
const BIN_MS: f32 = 1.0;
const SMOOTHING_MS: f32 = 1.5;
/// More bins than pixels across show nothing more.
const MOST_BINS: f32 = 4000.0;

/// Rate of a population in bins of about 1 ms over the trial, smoothed by a Gaussian, Hz. At the
/// ends, the Gaussian is normalised to what of it lies within the trial.
pub fn population_rate_hz(spikes: &[(f32, u32)], cells: u32, duration_ms: f32) -> Vec<f32> {
    let bins = (duration_ms / BIN_MS).round().clamp(1.0, MOST_BINS) as usize;
    let bin_ms = duration_ms / bins as f32;
    let mut counts = vec![0.0_f32; bins];
    for (time_ms, _) in spikes {
        counts[((time_ms / bin_ms) as usize).min(bins - 1)] += 1.0;
    }
    let spread = (SMOOTHING_MS / bin_ms).max(0.5);
    let reach = (4.0 * spread).ceil() as usize;
    let to_hz = 1000.0 / (bin_ms * cells as f32);
    (0..bins)
        .map(|bin| {
            let (mut sum, mut weights) = (0.0, 0.0);
            let first = bin.saturating_sub(reach);
            for (other, count) in (first..=bin + reach).zip(&counts[first..]) {
                let offset = bin.abs_diff(other) as f32 / spread;
                let weight = (-0.5 * offset * offset).exp();
                sum += weight * count;
                weights += weight;
            }
            to_hz * sum / weights
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_population_has_its_rate_in_every_bin() {
        // Two of five cells spike once a millisecond: 400 Hz.
        let spikes: Vec<_> = (0..50)
            .flat_map(|bin| [0, 3].map(|cell| (bin as f32 + 0.5, cell)))
            .collect();
        let rate_hz = population_rate_hz(&spikes, 5, 50.0);
        assert_eq!(rate_hz.len(), 50);
        assert!(
            rate_hz.iter().all(|rate| (rate - 400.0).abs() < 0.01),
            "{rate_hz:?}"
        );
        // A burst keeps its area: 100 spikes of 10 cells in 50 ms are 200 Hz in the mean.
        let rate_hz = population_rate_hz(&[(25.0, 1); 100], 10, 50.0);
        let mean = rate_hz.iter().sum::<f32>() / 50.0;
        assert!((mean - 200.0).abs() < 0.1, "{mean}");
    }
}
