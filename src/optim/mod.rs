//! Steps of the optimisers, global-norm clipping and the Dale projection on flat vectors. The GPU
//! kernels are `shaders/optim/*.wgsl`.

pub(crate) mod gpu;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::real::Real;

/// Optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Adam.
    Adam,
    /// Gradient descent without momentum, after clipping.
    Sgd,
}

/// What an optimiser updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parametrisation {
    /// The weight itself.
    Linear,
    /// u = ln |w|, so that a weight keeps its sign and a zero stays zero. Norms,
    /// clipping and steps use the gradient with respect to u, w · ∂loss/∂w.
    Log,
}

/// What weights are held to after each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Nothing.
    Free,
    /// max(w, 0).
    NonNegative,
    /// The sign they had: one that would change it becomes a zero of its old sign. Of zeros, too, the sign counts.
    KeepSign,
}

impl Constraint {
    /// `new`, which was `old` before the step, or the nearest that is allowed.
    #[inline(always)]
    fn hold<R: Real>(self, old: R, new: R) -> R {
        match self {
            Self::Free => new,
            Self::NonNegative => new.at_least(R::ZERO),
            // A NaN stays one.
            Self::KeepSign if old.is_sign_negative() => {
                if new >= R::ZERO {
                    -R::ZERO
                } else {
                    new
                }
            }
            Self::KeepSign => {
                if new <= R::ZERO {
                    R::ZERO
                } else {
                    new
                }
            }
        }
    }
}

/// How the weights of one matrix learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What makes a step of a gradient.
    pub optimiser: Optimiser,
    /// Learning rate.
    pub learning_rate: f64,
    /// What the step is taken in.
    pub parametrisation: Parametrisation,
}

impl Rule {
    /// The gradient with respect to what the step is taken in, where the weight is `w` and the gradient by the
    /// weight `g`: that itself, or w g for u = ln |w|.
    #[inline(always)]
    pub fn gradient<R: Real>(&self, w: R, g: R) -> R {
        match self.parametrisation {
            Parametrisation::Linear => g,
            Parametrisation::Log => w * g,
        }
    }
}

/// Settings of an optimiser step that all matrices share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
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
    /// Factor of a gradient of norm `norm`: `min(1, clip / (norm + 1e-6))`.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        (self.clip_norm / (norm + 1e-6)).min(1.0)
    }

    /// The factors of a step's size at step `t` (from 1): for Adam the learning rate over 1 − β₁ᵗ, and
    /// 1/√(1 − β₂ᵗ); for descent the learning rate, and 1.
    pub fn rates(&self, rule: &Rule, t: u64) -> (f64, f64) {
        let power = |beta: f64| libm::pow(beta, t as f64);
        match rule.optimiser {
            Optimiser::Adam => (
                rule.learning_rate / (1.0 - power(self.beta1)),
                1.0 / (1.0 - power(self.beta2)).sqrt(),
            ),
            Optimiser::Sgd => (rule.learning_rate, 1.0),
        }
    }

    /// One step over a slice of a matrix, with its gradient multiplied by `clip_factor`: Adam's (Kingma
    /// & Ba 2015, algorithm 1) or plain descent, which leaves the moments alone. The step Δ is
    /// subtracted from w, or from u = ln |w|: w ← w exp(−Δ). Then weights are held to `constraint`.
    pub fn update<R: Real>(
        &self,
        rule: &Rule,
        t: u64,
        clip_factor: f64,
        constraint: Constraint,
        gradient: &[R],
        m: &mut [R],
        v: &mut [R],
        weights: &mut [R],
    ) {
        let (rate, root) = self.rates(rule, t);
        let [rate, root, clip] = [rate, root, clip_factor].map(R::from_f64);
        let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(R::from_f64);
        let (keep1, keep2) = (R::from_f64(1.0 - self.beta1), R::from_f64(1.0 - self.beta2));
        let adam = |g: R, m: &mut R, v: &mut R| {
            *m = beta1 * *m + keep1 * g;
            *v = beta2 * *v + keep2 * (g * g);
            rate * *m / (v.sqrt() * root + epsilon)
        };
        let descent = |g: R, _: &mut R, _: &mut R| rate * g;
        let linear = |w: R, step: R| w - step;
        // Short steps add what they change, with one rounding; long ones must not end at zero.
        let log = |w: R, step: R| {
            if step.abs() <= R::ONE {
                w + w * (-step).expm1()
            } else {
                w * (-step).exp()
            }
        };
        let slices = (gradient, m, v, weights);
        let each = (*rule, clip, constraint);
        match (rule.optimiser, rule.parametrisation) {
            (Optimiser::Adam, Parametrisation::Linear) => update_each(each, slices, adam, linear),
            (Optimiser::Adam, Parametrisation::Log) => update_each(each, slices, adam, log),
            (Optimiser::Sgd, Parametrisation::Linear) => {
                update_each(each, slices, descent, linear);
            }
            (Optimiser::Sgd, Parametrisation::Log) => update_each(each, slices, descent, log),
        }
    }
}

/// A loop of its own for each rule, so that each vectorises.
#[inline(always)]
fn update_each<R: Real>(
    (rule, clip, constraint): (Rule, R, Constraint),
    (gradient, m, v, weights): (&[R], &mut [R], &mut [R], &mut [R]),
    step: impl Fn(R, &mut R, &mut R) -> R,
    moved: impl Fn(R, R) -> R,
) {
    for (((&g, m), v), w) in gradient.iter().zip(m).zip(v).zip(weights) {
        let g = rule.gradient(*w, g) * clip;
        *w = constraint.hold(*w, moved(*w, step(g, m, v)));
    }
}

/// Σ x², in double precision.
pub fn sum_of_squares<R: Real>(x: &[R]) -> f64 {
    x.iter().map(|x| x.to_f64() * x.to_f64()).sum()
}

/// Σ of the squared gradients by what the steps are taken in, in double precision.
pub fn sum_of_gradient_squares<R: Real>(rule: &Rule, weights: &[R], gradient: &[R]) -> f64 {
    let both = weights.iter().zip(gradient);
    both.map(|(&w, &g)| rule.gradient(w, g).to_f64())
        .map(|g| g * g)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adam() -> Adam {
        Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
        }
    }

    fn rule(optimiser: Optimiser, parametrisation: Parametrisation, learning_rate: f64) -> Rule {
        Rule {
            optimiser,
            learning_rate,
            parametrisation,
        }
    }

    /// Adam on the weights themselves.
    fn usual() -> Rule {
        rule(Optimiser::Adam, Parametrisation::Linear, 4e-4)
    }

    /// One first step from `w` under `gradient`, clipped by a half.
    fn step(rule: Rule, w: f64, gradient: f64, constraint: Constraint) -> (f64, f64, f64) {
        let (mut m, mut v, mut w) = ([0.0], [0.0], [w]);
        adam().update::<f64>(
            &rule,
            1,
            0.5,
            constraint,
            &[gradient],
            &mut m,
            &mut v,
            &mut w,
        );
        (w[0], m[0], v[0])
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn first_step_moves_by_the_learning_rate() {
        let rule = usual();
        let (w, ..) = step(rule, 1.0, 3.0, Constraint::Free);
        assert!((1.0 - w - 4e-4).abs() < 1e-11, "moved by {}", 1.0 - w);
    }

    #[test]
    fn descent_moves_along_the_clipped_gradient_and_keeps_no_moments() {
        let rule = rule(Optimiser::Sgd, Parametrisation::Linear, 0.1);
        let (w, m, v) = step(rule, 1.0, 3.0, Constraint::Free);
        close(w, 1.0 - 0.1 * 0.5 * 3.0);
        assert_eq!((m, v), (0.0, 0.0));
        assert_eq!(step(rule, 0.1, 30.0, Constraint::NonNegative).0, 0.0);
    }

    #[test]
    fn logarithmic_weights_are_multiplied_and_keep_their_sign() {
        let descent = rule(Optimiser::Sgd, Parametrisation::Log, 0.1);
        for w in [2.0f64, -2.0] {
            let u = w.abs().ln() - 0.1 * 0.5 * (w * 3.0);
            close(
                step(descent, w, 3.0, Constraint::Free).0,
                w.signum() * u.exp(),
            );
        }
        let adam = rule(Optimiser::Adam, Parametrisation::Log, 0.1);
        let (w, m, _) = step(adam, 2.0, 3.0, Constraint::Free);
        close(m, 0.1 * 0.5 * 6.0);
        assert!((w - 2.0 * (-0.1f64).exp()).abs() < 1e-8, "{w}");
        for rule in [descent, adam] {
            assert_eq!(step(rule, 0.0, 3.0, Constraint::Free).0, 0.0);
            assert!(
                step(rule, 1e-3, 1e6, Constraint::NonNegative).0 > 0.0,
                "not after a step of 50 either"
            );
        }
        assert_eq!(
            step(descent, -2.0, 3.0, Constraint::NonNegative).0,
            0.0,
            "projected"
        );
        let squares = sum_of_gradient_squares(&adam, &[2.0, -1.0], &[3.0, 4.0]);
        assert_eq!(squares, 36.0 + 16.0);
    }

    #[test]
    fn projection_keeps_weights_at_zero_or_above() {
        let rule = usual();
        assert_eq!(step(rule, 1e-5, 2.0, Constraint::NonNegative).0, 0.0);
        assert!(step(rule, 1e-5, -2.0, Constraint::NonNegative).0 > 1e-5);
    }

    #[test]
    fn a_weight_that_keeps_its_sign_ends_at_a_zero_of_that_sign_and_may_leave_it_again() {
        let descent = rule(Optimiser::Sgd, Parametrisation::Linear, 1.0);
        let of = |w: f64, gradient: f64| step(descent, w, 2.0 * gradient, Constraint::KeepSign).0;
        for sign in [1.0, -1.0] {
            assert_eq!(of(2.0 * sign, sign), sign);
            for gradient in [2.0, 3.0] {
                let zero = of(2.0 * sign, gradient * sign);
                assert_eq!((zero, zero.signum()), (0.0, sign));
                assert_eq!(of(zero, -sign), sign);
                assert_eq!(of(zero, sign).signum(), sign);
            }
        }
        assert!(of(1.0, f64::NAN).is_nan());
    }

    #[test]
    fn clipping_rescales_only_large_gradients() {
        assert_eq!(adam().clip_factor(0.5), 1.0);
        assert!((adam().clip_factor(4.0) - 0.25).abs() < 1e-6);
    }
}
