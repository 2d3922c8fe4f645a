//! Losses, their derivatives by the outputs, and scores.

use super::batch::Targets;
use crate::real::Real;

/// Sums over outputs that were compared with a target; a trial has one, or one a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Outputs compared.
    pub outputs: usize,
    /// Sum of the losses: cross-entropies, nats, or squared errors, mean over the outputs' entries.
    pub loss_sum: f64,
    /// Outputs whose largest entry is the true class (the first one where several are equal).
    pub correct: usize,
}

impl Scores {
    /// Adds those of other outputs.
    pub fn add(&mut self, other: &Self) {
        self.outputs += other.outputs;
        self.loss_sum += other.loss_sum;
        self.correct += other.correct;
    }

    /// Mean loss.
    pub fn mean_loss(&self) -> f64 {
        self.loss_sum / self.outputs as f64
    }
}

/// Scores one output against entry `at` of the targets, and puts `factor` times the derivative of its loss
/// into `derivative`.
pub fn score<R: Real>(
    output: &[R],
    targets: &Targets,
    at: usize,
    factor: f64,
    derivative: &mut [R],
) -> Scores {
    match targets {
        Targets::Classes(classes) => {
            cross_entropy(output, classes[at] as usize, factor, derivative)
        }
        Targets::Values(values) => {
            let target = &values[at * output.len()..][..output.len()];
            squared_error(output, target, factor, derivative)
        }
    }
}

fn cross_entropy<R: Real>(output: &[R], class: usize, factor: f64, derivative: &mut [R]) -> Scores {
    let largest = |best: (usize, R), (i, &x): (usize, &R)| if x > best.1 { (i, x) } else { best };
    let (answer, top) = output.iter().enumerate().fold((0, output[0]), largest);
    let mut sum = 0.0;
    for (to, &x) in derivative.iter_mut().zip(output) {
        *to = (x - top).exp();
        sum += to.to_f64();
    }
    let scale = R::from_f64(factor / sum);
    for to in derivative.iter_mut() {
        *to *= scale;
    }
    derivative[class] -= R::from_f64(factor);
    Scores {
        outputs: 1,
        loss_sum: top.to_f64() + libm::log(sum) - output[class].to_f64(),
        correct: usize::from(answer == class),
    }
}

fn squared_error<R: Real>(
    output: &[R],
    target: &[f32],
    factor: f64,
    derivative: &mut [R],
) -> Scores {
    let entries = output.len() as f64;
    let mut loss_sum = 0.0;
    for ((to, &x), &target) in derivative.iter_mut().zip(output).zip(target) {
        let error = x.to_f64() - f64::from(target);
        loss_sum += error * error / entries;
        *to = R::from_f64(factor * 2.0 * error / entries);
    }
    Scores {
        outputs: 1,
        loss_sum,
        correct: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Derivatives against central differences.
    fn agrees(targets: &Targets) {
        let output = [0.3, -1.2, 2.0, 0.3];
        let loss = |output: &[f64]| score(output, targets, 1, 1.0, &mut [0.0; 4]).loss_sum;
        let mut derivative = [0.0; 4];
        score(&output, targets, 1, 0.5, &mut derivative);
        for (i, found) in derivative.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = output;
                moved[i] += step;
                loss(&moved)
            };
            let expected = 0.5 * (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-9, "{i}: {found} {expected}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_losses() {
        agrees(&Targets::Classes(vec![0, 3]));
        agrees(&Targets::Values(vec![
            9.0, 9.0, 9.0, 9.0, 0.5, -1.0, 2.0, 1.0,
        ]));
    }

    #[test]
    fn the_first_of_equal_outputs_is_the_answer_and_far_ones_do_not_overflow() {
        let answer = |output: &[f32], class| {
            let targets = Targets::Classes(vec![class]);
            score(output, &targets, 0, 1.0, &mut vec![0.0; output.len()])
        };
        assert_eq!(answer(&[1.0, 1.0], 0).correct, 1);
        assert_eq!(answer(&[1.0, 1.0], 1).correct, 0);
        let far = answer(&[-3e38, 3e38], 1);
        assert!((far.loss_sum, far.correct) == (0.0, 1), "{far:?}");
    }
}
