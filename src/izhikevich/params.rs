//! Sizes of a network, its integration and its rules.

use serde::{Deserialize, Serialize};

/// Everything that is a number or a choice; cells and synapses are in [`super::network::Network`].
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Input channels.
    pub n_in: usize,
    /// Neurons.
    pub neurons: usize,
    /// Steps of a trial.
    pub steps: usize,
    /// Time step, ms.
    pub dt_ms: f64,
    /// Decay time of excitatory conductances, ms.
    pub tau_exc_ms: f64,
    /// Decay time of inhibitory conductances, ms.
    pub tau_inh_ms: f64,
    /// How weights change after a trial.
    pub plasticity: Plasticity,
}

impl Params {
    /// Duration of a trial, seconds.
    pub fn duration_s(&self) -> f64 {
        self.steps as f64 * self.dt_ms / 1000.0
    }

    /// Inputs and neurons.
    pub fn pre_cells(&self) -> usize {
        self.n_in + self.neurons
    }
}

/// How weights change after a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Plasticity {
    /// Unit of rates in the rules, Hz.
    pub r0_hz: f64,
    /// Learning rate of excitatory synapses.
    pub eta: f64,
    /// Time constant of the sliding threshold, trials.
    pub tau_theta_trials: f64,
    /// The sliding threshold before the first trial, Hz.
    pub theta0_hz: f64,
    /// Over what weights are averaged to decay.
    pub decay: Decay,
    /// λ of the decay.
    pub lambda: f64,
    /// Rule of inhibitory synapses.
    pub inhibitory_rule: InhibitoryRule,
    /// Learning rate of inhibitory synapses.
    pub eta_inhibitory: f64,
    /// Largest excitatory weight, in default weights.
    pub w_max_factor: f64,
    /// Largest inhibitory weight, in default weights.
    pub w_max_factor_inhibitory: f64,
}

/// The set of synapses over which the distance of weights from their defaults is averaged; each of the set loses λ of
/// that mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// The synapse itself.
    Synapse,
    /// The excitatory synapses of its post cell, or the inhibitory ones.
    Neuron,
    /// All synapses.
    Network,
    /// All excitatory synapses, or all inhibitory ones.
    NetworkBySign,
    /// No decay.
    None,
}

/// What an inhibitory synapse grows by, times η_I w₀.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InhibitoryRule {
    /// Nothing.
    Fixed,
    /// y_j/r₀.
    Post,
    /// (y_j/r₀)².
    PostSquared,
    /// (r_i/r₀)(y_j/r₀).
    PrePost,
}
