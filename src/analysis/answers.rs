//! What a network answered to the test samples, beside their classes.

use super::compare::wilson_percent;

/// The classes of the test samples and what was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// SHA-256 of the data.
    pub data_sha256: &'a str,
    /// Class of each sample.
    pub labels: &'a [u32],
    /// Class answered to each sample.
    pub predicted: &'a [u32],
}

impl<'a> Answers<'a> {
    /// Class and answer of each sample.
    pub fn pairs(self) -> impl Iterator<Item = (u32, u32)> + 'a {
        let predicted = self.predicted.iter().copied();
        self.labels.iter().copied().zip(predicted)
    }

    /// Whether each answer is right.
    pub fn are_correct(self) -> impl Iterator<Item = bool> + 'a {
        self.pairs().map(|(label, answer)| label == answer)
    }

    /// Right answers.
    pub fn correct(self) -> u64 {
        self.are_correct().filter(|correct| *correct).count() as u64
    }

    /// Samples of a class, and how many of them were answered rightly.
    pub fn of_class(self, class: u32) -> (u64, u64) {
        let mine = self.pairs().filter(|(label, _)| *label == class);
        mine.fold((0, 0), |(samples, correct), (label, answer)| {
            (samples + 1, correct + u64::from(label == answer))
        })
    }

    /// Share of right answers, %; NaN without samples.
    pub fn accuracy_percent(self) -> f64 {
        100.0 * self.correct() as f64 / self.labels.len() as f64
    }

    /// 95 % interval of the accuracy (Wilson), %.
    pub fn interval_percent(self) -> [f64; 2] {
        wilson_percent(self.correct(), self.labels.len() as u64)
    }
}

/// Class with the largest logit, the first where several are equal.
pub fn predicted(logits: &[f64]) -> usize {
    let mut best = 0;
    for (class, &x) in logits.iter().enumerate() {
        if x > logits[best] {
            best = class;
        }
    }
    best
}

/// Softmax probabilities of one trial.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = logits.iter().map(|x| libm::exp(x - top)).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|x| x / sum).collect()
}
