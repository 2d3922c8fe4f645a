//! Adam, global-norm clipping and the Dale projection on flat vectors. The GPU kernels are
//! `shaders/optim/*.wgsl`.

use crate::config::Training;
use crate::real::Real;

/// Settings of an optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
    /// Largest norm of the whole gradient.
    pub clip_norm: f64,
}

impl Adam {
    /// The optimiser of a recipe.
    pub fn new(training: &Training) -> Self {
        Self {
            learning_rate: training.learning_rate,
            beta1: training.adam_beta1,
            beta2: training.adam_beta2,
            epsilon: training.adam_epsilon,
            clip_norm: training.clip_norm,
        }
    }

    /// Factor of a gradient of norm `norm`: `min(1, clip / (norm + 1e-6))`.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        (self.clip_norm / (norm + 1e-6)).min(1.0)
    }

    /// Learning rate over 1 − β₁ᵗ, and 1/√(1 − β₂ᵗ), of step `t` (from 1).
    pub fn corrections(&self, t: u64) -> (f64, f64) {
        let power = |beta: f64| libm::pow(beta, t as f64);
        (
            self.learning_rate / (1.0 - power(self.beta1)),
            1.0 / (1.0 - power(self.beta2)).sqrt(),
        )
    }

    /// One step (Kingma & Ba 2015, algorithm 1) over a slice of a flat vector, with the gradient
    /// multiplied by `clip_factor`; with `project`, weights are set to max(w, 0) afterwards.
    pub fn update<R: Real>(
        &self,
        t: u64,
        clip_factor: f64,
        project: bool,
        gradient: &[R],
        m: &mut [R],
        v: &mut [R],
        weights: &mut [R],
    ) {
        let (rate, root) = self.corrections(t);
        let [rate, root, clip] = [rate, root, clip_factor].map(R::from_f64);
        let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(R::from_f64);
        let (keep1, keep2) = (R::from_f64(1.0 - self.beta1), R::from_f64(1.0 - self.beta2));
        for (((&g, m), v), w) in gradient.iter().zip(m).zip(v).zip(weights) {
            let g = g * clip;
            *m = beta1 * *m + keep1 * g;
            *v = beta2 * *v + keep2 * (g * g);
            *w -= rate * *m / (v.sqrt() * root + epsilon);
            if project {
                *w = w.at_least(R::ZERO);
            }
        }
    }
}

/// Σ x², in double precision.
pub fn sum_of_squares<R: Real>(x: &[R]) -> f64 {
    x.iter().map(|x| x.to_f64() * x.to_f64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adam() -> Adam {
        Adam::new(&Training::default())
    }

    #[test]
    fn first_step_moves_by_the_learning_rate() {
        let (mut m, mut v, mut w) = ([0.0], [0.0], [1.0]);
        adam().update::<f64>(1, 1.0, false, &[3.0], &mut m, &mut v, &mut w);
        assert!((1.0 - w[0] - 4e-4).abs() < 1e-11, "moved by {}", 1.0 - w[0]);
    }

    #[test]
    fn projection_keeps_weights_at_zero_or_above() {
        let (mut m, mut v, mut w) = ([0.0; 2], [0.0; 2], [1e-5, 1e-5]);
        adam().update::<f64>(1, 1.0, true, &[1.0, -1.0], &mut m, &mut v, &mut w);
        assert_eq!(w[0], 0.0);
        assert!(w[1] > 1e-5);
    }

    #[test]
    fn clipping_rescales_only_large_gradients() {
        assert_eq!(adam().clip_factor(0.5), 1.0);
        assert!((adam().clip_factor(4.0) - 0.25).abs() < 1e-6);
    }
}
