//! Running sums of an epoch. They go into a checkpoint made in the middle of it, so that the epoch's
//! metrics come out the same whether it was interrupted or not.

use std::collections::BTreeMap;

use super::metrics::{
    CLIPPED_STEPS, EpochMetrics, GRADIENT_NORM, GRADIENT_NORM_MAX, GRADIENT_NORM_OF,
    GRADIENT_RATIO, SKIPPED_STEPS, SPEED, TRAIN_SECONDS,
};
use super::model::{EpochMean, TrainedBatch};

const TRIALS: &str = "trials";
const STEPS: &str = "steps";
const GRADIENT: &str = "gradient_norm";
const GRADIENT_MAX: &str = "gradient_norm_max";
const GRADIENT_OF: &str = "gradient_norm_of.";
const RATIO_OF: &str = "gradient_to_weight_ratio.";
const CLIPPED: &str = "clipped_steps";
const SKIPPED: &str = "skipped_steps";
const SECONDS: &str = "train_seconds";

/// Sums over the batches done in an epoch, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochSums(BTreeMap<String, f64>);

impl EpochSums {
    /// The sums of a checkpoint.
    pub fn from_map(sums: BTreeMap<String, f64>) -> Self {
        Self(sums)
    }

    /// The sums for a checkpoint.
    pub fn to_map(&self) -> BTreeMap<String, f64> {
        self.0.clone()
    }

    /// Adds a batch that took `seconds`.
    pub fn add(&mut self, batch: &TrainedBatch, seconds: f64) {
        let trials = batch.trials as f64;
        self.sum(TRIALS, trials);
        for (key, value) in &batch.sums {
            self.sum(key, *value);
        }
        self.sum(SECONDS, seconds);
        if batch.skipped {
            self.sum(SKIPPED, 1.0);
            return;
        }
        self.sum(STEPS, 1.0);
        self.sum(CLIPPED, f64::from(u8::from(batch.clipped)));
        self.sum(GRADIENT, batch.gradient_norm);
        let largest = self.get(GRADIENT_MAX).max(batch.gradient_norm);
        self.0.insert(GRADIENT_MAX.to_owned(), largest);
        for (name, norm) in &batch.gradient_norm_of {
            self.sum(&format!("{GRADIENT_OF}{name}"), *norm);
            if let Some(weight) = batch.weight_norm_of.get(name) {
                self.sum(&format!("{RATIO_OF}{name}"), norm / weight);
            }
        }
    }

    /// Writes what the sums say into the metrics of the epoch.
    pub fn fill(&self, means: &[EpochMean], into: &mut EpochMetrics) {
        let (trials, steps) = (self.get(TRIALS), self.get(STEPS));
        for mean in means {
            into[mean.metric] = mean.factor * self.get(mean.key) / trials;
        }
        into[GRADIENT_NORM] = self.get(GRADIENT) / steps;
        into[GRADIENT_NORM_MAX] = if steps > 0.0 {
            self.get(GRADIENT_MAX)
        } else {
            f64::NAN
        };
        into[CLIPPED_STEPS] = self.get(CLIPPED);
        into[SKIPPED_STEPS] = self.get(SKIPPED);
        into[TRAIN_SECONDS] = self.get(SECONDS);
        into[SPEED] = trials / self.get(SECONDS);
        let means = |prefix: &str| {
            let sums = self.0.iter();
            let named = sums.filter_map(|(key, sum)| Some((key.strip_prefix(prefix)?, sum)));
            named
                .map(|(name, sum)| (name.to_owned(), sum / steps))
                .collect()
        };
        into.set_by_matrix(GRADIENT_NORM_OF, means(GRADIENT_OF));
        into.set_by_matrix(GRADIENT_RATIO, means(RATIO_OF));
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.get(STEPS) as u64
    }

    /// Steps skipped so far.
    pub fn skipped_steps(&self) -> u64 {
        self.get(SKIPPED) as u64
    }

    fn sum(&mut self, key: &str, value: f64) {
        match self.0.get_mut(key) {
            Some(sum) => *sum += value,
            None => {
                self.0.insert(key.to_owned(), value);
            }
        }
    }

    fn get(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::metrics::{EPOCH_MEANS, METRICS, TRAIN_PENALTY};
    use crate::train::metrics::{TRAIN_ACCURACY, TRAIN_LOSS};

    fn batch(trials: usize, loss_nats: f64, gradient_norm: f64) -> TrainedBatch {
        TrainedBatch {
            trials,
            sums: vec![
                ("loss_nats", loss_nats * trials as f64),
                ("penalty_nats", loss_nats / 4.0 * trials as f64),
                ("correct", (trials / 2) as f64),
            ],
            gradient_norm,
            gradient_norm_of: BTreeMap::from([("in".to_owned(), gradient_norm / 2.0)]),
            weight_norm_of: BTreeMap::from([("in".to_owned(), gradient_norm)]),
            clipped: gradient_norm > 1.0,
            skipped: !gradient_norm.is_finite(),
            ..TrainedBatch::default()
        }
    }

    #[test]
    fn means_are_over_trials_and_over_steps_taken() {
        let mut sums = EpochSums::default();
        sums.add(&batch(30, 1.0, 0.5), 1.0);
        sums.add(&batch(10, 5.0, 3.5), 1.0);
        sums.add(&batch(10, 5.0, f64::INFINITY), 0.5);
        let mut metrics = EpochMetrics::unmeasured(METRICS, 1);
        EpochSums::from_map(sums.to_map()).fill(EPOCH_MEANS, &mut metrics);
        assert_eq!((metrics[TRAIN_LOSS], metrics[TRAIN_ACCURACY]), (2.6, 50.0));
        assert_eq!(metrics[TRAIN_PENALTY], 0.65);
        assert_eq!(
            (metrics[GRADIENT_NORM], metrics[GRADIENT_NORM_MAX]),
            (2.0, 3.5)
        );
        assert_eq!((metrics[CLIPPED_STEPS], metrics[SKIPPED_STEPS]), (1.0, 1.0));
        assert_eq!(metrics.by_matrix(GRADIENT_RATIO)["in"], 0.5);
        assert_eq!(metrics[SPEED], 20.0);
    }

    #[test]
    fn an_epoch_without_any_step_has_no_gradient() {
        let mut sums = EpochSums::default();
        sums.add(&batch(4, f64::NAN, f64::NAN), 1.0);
        let mut metrics = EpochMetrics::unmeasured(METRICS, 1);
        sums.fill(EPOCH_MEANS, &mut metrics);
        assert!(metrics[GRADIENT_NORM].is_nan() && metrics[GRADIENT_NORM_MAX].is_nan());
        assert!(metrics[TRAIN_LOSS].is_nan());
        assert_eq!(metrics[SKIPPED_STEPS], 1.0);
    }
}
