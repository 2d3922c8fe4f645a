//! Sizes of a network and the recipe it learns by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::optim::Optimiser;

/// How a network obeys Dale's law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Not at all.
    Standard,
    /// Each column of a matrix has one sign: column E/I.
    ColEi,
    /// Excitatory units, and linear inhibitory ones between layers and steps: Dale's ANN.
    Dann,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Cross-entropy of the last step's outputs, mean over the batch.
    CrossEntropyLast,
    /// Cross-entropy of every step's outputs, mean over steps and batch.
    CrossEntropyAll,
    /// Squared error of the last step's outputs, mean over batch and outputs.
    MseLast,
}

impl Loss {
    /// Whether every step's outputs enter, or only those of the last.
    pub fn is_of_every_step(self) -> bool {
        self == Self::CrossEntropyAll
    }

    /// Whether targets are classes rather than values.
    pub fn has_classes(self) -> bool {
        self != Self::MseLast
    }
}

/// How weights learn. All tensors by the same rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Optimiser.
    pub optimiser: Optimiser,
    /// Learning rate of the first step.
    pub learning_rate: f64,
    /// The learning rate is multiplied by this after every `decay_every_steps` optimiser steps.
    pub decay: f64,
    /// Optimiser steps between two changes of the learning rate; 0: it stays.
    pub decay_every_steps: u64,
    /// Largest norm of a clipped tensor or layer; none: nothing is clipped.
    pub clip_norm: Option<f64>,
    /// Adam's decay of the first moment.
    pub adam_beta1: f64,
    /// Adam's decay of the second moment.
    pub adam_beta2: f64,
    /// Adam's ε.
    pub adam_epsilon: f64,
    /// Entries of the matrices of a `standard` network keep the signs they start with.
    pub frozen_signs: bool,
}

impl Recipe {
    /// Plain descent at a fixed rate.
    pub fn descent(learning_rate: f64, clip_norm: Option<f64>) -> Self {
        Self {
            optimiser: Optimiser::Sgd,
            learning_rate,
            decay: 1.0,
            decay_every_steps: 0,
            clip_norm,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            frozen_signs: false,
        }
    }

    /// Learning rate of optimiser step `t`, from 1.
    pub fn learning_rate_at(&self, t: u64) -> f64 {
        let changes = t.saturating_sub(1).checked_div(self.decay_every_steps);
        let factor = changes.map_or(1.0, |n| libm::pow(self.decay, n as f64));
        self.learning_rate * factor
    }

    /// Factor of a gradient of norm `norm`: `min(1, clip / norm)`.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        match self.clip_norm {
            Some(clip) if norm > clip => clip / norm,
            _ => 1.0,
        }
    }
}

/// Sizes of a network and the recipe it learns by.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Kind.
    pub kind: Kind,
    /// Input channels.
    pub n_in: usize,
    /// Units of each layer, from the input up.
    pub layers: Vec<usize>,
    /// Outputs.
    pub n_out: usize,
    /// Share of inhibitory units.
    pub inhibitory_fraction: f64,
    /// What is minimised.
    pub loss: Loss,
    /// How weights learn.
    pub recipe: Recipe,
}

impl Params {
    /// Inhibitory units of a layer of `units`: those among them (`col_ei`), or those beside them (`dann`).
    pub fn inhibitory(&self, units: usize) -> usize {
        let share = self.inhibitory_fraction * units as f64;
        let nearest = share.round();
        // 0.29 · 100 is 28.999999999999996.
        let is_whole = (share - nearest).abs() < 1e-9;
        let or = |rounded: f64| (if is_whole { nearest } else { rounded }) as usize;
        match self.kind {
            Kind::Standard => 0,
            Kind::ColEi => or(share.ceil()).min(units),
            Kind::Dann => or(share.floor()).max(1),
        }
    }

    /// Inhibitory units of the read-out of a `dann`.
    pub fn inhibitory_of_read_out(&self) -> usize {
        (self.n_out / 10).max(1)
    }

    /// Units of the last layer.
    pub fn last_units(&self) -> usize {
        self.layers.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(kind: Kind, inhibitory_fraction: f64) -> Params {
        Params {
            kind,
            n_in: 1,
            layers: vec![1],
            n_out: 10,
            inhibitory_fraction,
            loss: Loss::CrossEntropyLast,
            recipe: Recipe::descent(0.1, None),
        }
    }

    #[test]
    fn inhibitory_units_are_rounded_up_in_columns_and_down_in_dann() {
        for (fraction, units, columns, dann) in [
            (0.1, 100, 10, 10),
            (0.1, 30, 3, 3),
            (0.1, 15, 2, 1),
            (0.25, 10, 3, 2),
            (0.01, 100, 1, 1),
            (0.29, 100, 29, 29),
            (0.0, 5, 0, 1),
            (1.0, 5, 5, 5),
        ] {
            let of = |kind| params(kind, fraction).inhibitory(units);
            let expected = [0, columns, dann];
            let found = [Kind::Standard, Kind::ColEi, Kind::Dann].map(of);
            assert_eq!(found, expected, "{fraction} of {units}");
        }
    }

    #[test]
    fn the_learning_rate_falls_in_steps() {
        let recipe = Recipe {
            decay: 0.5,
            decay_every_steps: 20,
            ..Recipe::descent(0.1, None)
        };
        for (t, rate) in [(1, 0.1), (20, 0.1), (21, 0.05), (41, 0.025)] {
            assert!((recipe.learning_rate_at(t) - rate).abs() < 1e-15, "{t}");
        }
        let fixed = Recipe::descent(0.1, None);
        assert_eq!(fixed.learning_rate_at(1000), 0.1);
    }

    #[test]
    fn clipping_shortens_only_what_is_longer() {
        let recipe = Recipe::descent(0.1, Some(2.0));
        assert_eq!(
            [1.0, 2.0, 4.0].map(|n| recipe.clip_factor(n)),
            [1.0, 1.0, 0.5]
        );
        assert_eq!(Recipe::descent(0.1, None).clip_factor(1e30), 1.0);
    }
}
