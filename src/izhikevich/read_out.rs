//! Logistic regression on rates: what a linear observer of the output cells could tell.

use crate::analysis::answers::{predicted, softmax};

/// Steps of gradient descent.
const STEPS: usize = 400;
/// Learning rate, on features of unit variance.
const RATE: f64 = 0.5;
/// Weight decay, which keeps separable classes from growing for ever.
const DECAY: f64 = 1e-3;

/// A fitted regression.
#[derive(Clone, Debug)]
pub struct ReadOut {
    mean: Vec<f64>,
    per_sd: Vec<f64>,
    /// `[class][feature and bias]`.
    weights: Vec<Vec<f64>>,
}

impl ReadOut {
    /// Fits it to samples of known classes; none where there are none.
    pub fn fit(samples: &[Vec<f64>], labels: &[u32], classes: usize) -> Option<Self> {
        let features = samples.first()?.len();
        let count = samples.len() as f64;
        let moment = |j: usize, about: f64, power: i32| {
            let values = samples.iter().map(|x| (x[j] - about).powi(power));
            values.sum::<f64>() / count
        };
        let mean: Vec<f64> = (0..features).map(|j| moment(j, 0.0, 1)).collect();
        let sd = (0..features).map(|j| moment(j, mean[j], 2).sqrt());
        let per_sd = sd.map(|sd| if sd > 0.0 { 1.0 / sd } else { 0.0 }).collect();
        let mut fitted = Self {
            mean,
            per_sd,
            weights: vec![vec![0.0; features + 1]; classes],
        };
        let scaled: Vec<Vec<f64>> = samples.iter().map(|x| fitted.scaled(x)).collect();
        for _ in 0..STEPS {
            let mut gradient = vec![vec![0.0; features + 1]; classes];
            for (x, &label) in scaled.iter().zip(labels) {
                for (class, p) in softmax(&fitted.logits(x)).into_iter().enumerate() {
                    let error = p - f64::from(u8::from(class == label as usize));
                    for (g, x) in gradient[class].iter_mut().zip(x) {
                        *g += error * x / count;
                    }
                }
            }
            for (row, gradient) in fitted.weights.iter_mut().zip(gradient) {
                for (w, g) in row.iter_mut().zip(gradient) {
                    *w -= RATE * (g + DECAY * *w);
                }
            }
        }
        Some(fitted)
    }

    fn scaled(&self, sample: &[f64]) -> Vec<f64> {
        let moments = self.mean.iter().zip(&self.per_sd);
        let scaled = sample
            .iter()
            .zip(moments)
            .map(|(x, (mean, per_sd))| (x - mean) * per_sd);
        scaled.chain([1.0]).collect()
    }

    fn logits(&self, scaled: &[f64]) -> Vec<f64> {
        let dot = |row: &Vec<f64>| row.iter().zip(scaled).map(|(w, x)| w * x).sum();
        self.weights.iter().map(dot).collect()
    }

    /// The class of a sample.
    pub fn answer(&self, sample: &[f64]) -> u32 {
        predicted(&self.logits(&self.scaled(sample))) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_tells_apart_is_told_apart_and_exclusive_or_is_not() {
        let corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]].map(Vec::from);
        let right = |labels: [u32; 4]| {
            let fitted = ReadOut::fit(&corners, &labels, 2).unwrap();
            let answers = corners.iter().zip(labels);
            answers
                .filter(|(x, label)| fitted.answer(x) == *label)
                .count()
        };
        assert_eq!(right([0, 0, 0, 1]), 4);
        assert_eq!(right([1, 0, 1, 0]), 4);
        assert!(right([0, 1, 1, 0]) < 4);
        assert!(ReadOut::fit(&[], &[], 2).is_none());
    }
}
