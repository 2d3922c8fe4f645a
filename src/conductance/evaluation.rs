//! What a network does on a set of trials: accuracy, rates, activity, class by class.

use serde::Serialize;

use crate::analysis::answers::predicted;
use crate::conductance::batch::{Batch, Forward};
use crate::conductance::loss::{Scores, cross_entropy};
use crate::conductance::metrics::{ACTIVE_E, CONFIDENCE, E_RATE, I_RATE, MARGIN, SILENT_E};
use crate::conductance::params::Params;
use crate::train::metrics::{TEST_ACCURACY, TEST_LOSS};
use crate::train::model::Measured;

/// What an evaluation says of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Mean loss, nats.
    pub loss_nats: f64,
    /// Accuracy, %.
    pub accuracy_percent: f64,
    /// Mean rate of E cells, Hz.
    pub e_rate_hz: f64,
    /// Mean rate of I cells, Hz.
    pub i_rate_hz: f64,
    /// E cells with a spike in a trial, %.
    pub active_e_percent: f64,
    /// E cells silent in all trials, %.
    pub silent_e_percent: f64,
    /// True logit minus the largest other one.
    pub margin: f64,
    /// Softmax probability of the true class.
    pub confidence: f64,
}

impl Measures {
    /// By the metrics of an epoch.
    pub fn by_metric(&self) -> Measured {
        vec![
            (TEST_LOSS, self.loss_nats),
            (TEST_ACCURACY, self.accuracy_percent),
            (E_RATE, self.e_rate_hz),
            (I_RATE, self.i_rate_hz),
            (ACTIVE_E, self.active_e_percent),
            (SILENT_E, self.silent_e_percent),
            (MARGIN, self.margin),
            (CONFIDENCE, self.confidence),
        ]
    }
}

/// Trials of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClassScores {
    /// Trials.
    pub trials: usize,
    /// Those classified correctly.
    pub correct: usize,
    /// Spikes of all E cells in them.
    pub spikes_e: u64,
}

/// Sums over the trials evaluated so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Loss and scores.
    pub scores: Scores,
    /// Spikes of E cells.
    pub spikes_e: u64,
    /// Spikes of I cells.
    pub spikes_i: u64,
    /// (trial, E cell) pairs with a spike.
    pub active_e: u64,
    /// Which E cells have fired at all.
    pub fired_e: Vec<bool>,
    /// By class.
    pub classes: Vec<ClassScores>,
    /// The class answered in each trial.
    pub predicted: Vec<usize>,
    n_i: usize,
    duration_s: f64,
}

impl Evaluation {
    /// Nothing evaluated yet.
    pub fn new(params: &Params) -> Self {
        Self {
            scores: Scores::default(),
            spikes_e: 0,
            spikes_i: 0,
            active_e: 0,
            fired_e: vec![false; params.n_e()],
            classes: vec![ClassScores::default(); params.n_out],
            predicted: Vec::new(),
            n_i: params.n_i(),
            duration_s: params.duration_s(),
        }
    }

    /// Adds a batch and what the network made of it.
    pub fn add(&mut self, batch: &Batch, forward: &Forward) {
        let classes = self.classes.len();
        let (scores, _) = cross_entropy(&forward.logits, &batch.labels, classes);
        self.scores.add(&scores);
        let counts = forward.counts_e.chunks_exact(self.fired_e.len());
        let logits = forward.logits.chunks_exact(classes);
        for ((counts, logits), &label) in counts.zip(logits).zip(&batch.labels) {
            let mut spikes = 0;
            for (fired, &n) in self.fired_e.iter_mut().zip(counts) {
                spikes += u64::from(n);
                self.active_e += u64::from(n > 0);
                *fired |= n > 0;
            }
            self.spikes_e += spikes;
            let answer = predicted(logits);
            self.predicted.push(answer);
            let class = &mut self.classes[label as usize];
            class.trials += 1;
            class.correct += usize::from(answer == label as usize);
            class.spikes_e += spikes;
        }
        self.spikes_i += forward.counts_i.iter().map(|&n| u64::from(n)).sum::<u64>();
    }

    /// The measures of the trials so far; NaN where there are none.
    pub fn measures(&self) -> Measures {
        let trials = self.scores.trials as f64;
        let n_e = self.fired_e.len() as f64;
        let silent = self.fired_e.iter().filter(|&&fired| !fired).count();
        Measures {
            loss_nats: self.scores.cross_entropy_sum / trials,
            accuracy_percent: 100.0 * self.scores.correct as f64 / trials,
            e_rate_hz: self.spikes_e as f64 / (trials * n_e * self.duration_s),
            i_rate_hz: self.spikes_i as f64 / (trials * self.n_i as f64 * self.duration_s),
            active_e_percent: 100.0 * self.active_e as f64 / (trials * n_e),
            silent_e_percent: 100.0 * silent as f64 / n_e,
            margin: self.scores.margin_sum / trials,
            confidence: self.scores.confidence_sum / trials,
        }
    }

    /// Standard error of the accuracy (binomial), %.
    pub fn accuracy_standard_error_percent(&self) -> f64 {
        let trials = self.scores.trials as f64;
        let p = self.scores.correct as f64 / trials;
        100.0 * (p * (1.0 - p) / trials).sqrt()
    }

    /// Mean rate of E cells in the trials of `class`, Hz.
    pub fn class_rate_hz(&self, class: usize) -> f64 {
        let ClassScores {
            trials, spikes_e, ..
        } = self.classes[class];
        spikes_e as f64 / (trials as f64 * self.fired_e.len() as f64 * self.duration_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::settings::Config;

    #[test]
    fn rates_activity_and_classes_are_counted() {
        let mut config = Config::default();
        (config.network.n_e, config.network.n_i) = (4, 2);
        let params = Params::new(&config, 3, 2);
        let batch = Batch::new([(&[][..], 0), (&[][..], 1)]);
        let forward = Forward {
            logits: vec![1.0, 0.0, 3.0, 1.0],
            counts_e: vec![2, 0, 0, 0, 1, 1, 0, 0],
            counts_i: vec![1, 0, 0, 3],
            ..Forward::default()
        };
        let mut evaluation = Evaluation::new(&params);
        evaluation.add(&batch, &forward);
        let m = evaluation.measures();
        assert_eq!(m.accuracy_percent, 50.0);
        // 4 spikes of 4 cells in 2 trials of 0.2 s.
        assert!((m.e_rate_hz - 2.5).abs() < 1e-12 && (m.i_rate_hz - 5.0).abs() < 1e-12);
        assert_eq!((m.active_e_percent, m.silent_e_percent), (37.5, 50.0));
        assert_eq!(m.margin, -0.5);
        assert_eq!(evaluation.predicted, [0, 0]);
        assert_eq!(evaluation.classes[1].correct, 0);
        assert!((evaluation.class_rate_hz(1) - 2.5).abs() < 1e-12);
        assert!((evaluation.accuracy_standard_error_percent() - 35.355).abs() < 1e-3);
    }
}
