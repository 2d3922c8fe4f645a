//! The spikes of one population in one trial, and its trace.

/// Spikes of one population in one trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spikes {
    /// Steps of the trial.
    pub steps: usize,
    /// Cells of the population.
    pub cells: usize,
    /// (step, cell), ascending.
    pub at: Vec<(u32, u32)>,
}

impl Spikes {
    /// Spikes of the whole population at each step.
    pub fn trace(&self) -> Vec<u32> {
        let mut trace = vec![0; self.steps];
        for &(step, _) in &self.at {
            trace[step as usize] += 1;
        }
        trace
    }
}

/// Whole steps that come nearest to a time, at least one.
pub(super) fn steps_of(time_ms: f64, dt_ms: f64) -> usize {
    ((time_ms / dt_ms).round() as usize).max(1)
}

/// `values` under a Gaussian of `sigma` samples, cut at four of them. At the ends the kernel is
/// renormalised to what it covers.
pub fn gaussian(values: &[f64], sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma).ceil() as usize;
    let kernel: Vec<f64> = (0..=reach)
        .map(|lag| libm::exp(-0.5 * (lag as f64 / sigma) * (lag as f64 / sigma)))
        .collect();
    (0..values.len())
        .map(|at| {
            let covered = at.saturating_sub(reach)..(at + reach + 1).min(values.len());
            let (mut sum, mut weight) = (0.0, 0.0);
            for other in covered {
                let k = kernel[at.abs_diff(other)];
                sum += k * values[other];
                weight += k;
            }
            sum / weight
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_counts_the_spikes_of_each_step() {
        let spikes = Spikes {
            steps: 4,
            cells: 3,
            at: vec![(0, 2), (2, 0), (2, 1)],
        };
        assert_eq!(spikes.trace(), [1, 0, 2, 0]);
        assert!(Spikes::default().trace().is_empty());
    }

    #[test]
    fn smoothing_keeps_a_constant_and_the_area_of_a_pulse() {
        assert!(
            gaussian(&[3.0; 9], 2.0)
                .iter()
                .all(|x| (x - 3.0).abs() < 1e-12)
        );
        let mut pulse = [0.0; 101];
        pulse[50] = 1.0;
        let smooth = gaussian(&pulse, 5.0);
        assert!((smooth.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // Standard deviation of the result, and its height 1/(σ √2π).
        let variance: f64 = (0..101)
            .map(|t| smooth[t] * (t as f64 - 50.0).powi(2))
            .sum();
        assert!((variance.sqrt() - 5.0).abs() < 0.02);
        assert!((smooth[50] - 0.0798).abs() < 1e-4);
    }

    #[test]
    fn a_time_shorter_than_a_step_is_one_step() {
        assert_eq!((steps_of(1.0, 0.1), steps_of(0.01, 0.1)), (10, 1));
    }
}
