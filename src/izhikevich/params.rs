//! Sizes of a network, its integration and its rules.

use schemars::JsonSchema;
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
    /// How weights change.
    pub plasticity: Plasticity,
    /// What synapses pass on of a spike.
    pub redistribution: Redistribution,
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

/// How weights change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plasticity {
    /// Rule of excitatory synapses.
    pub rule: ExcitatoryRule,
    /// Unit of rates in the rules, Hz.
    #[schemars(range(min = 0.001, max = 10_000))]
    pub r0_hz: f64,
    /// Learning rate of excitatory synapses.
    #[schemars(range(min = 0, max = 1000))]
    pub eta: f64,
    /// Time constant of the sliding threshold, trials.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub tau_theta_trials: f64,
    /// The sliding threshold before the first trial, Hz.
    #[schemars(range(min = 0, max = 10_000))]
    pub theta0_hz: f64,
    /// Over what weights are averaged to decay.
    pub decay: Decay,
    /// λ of the decay.
    #[schemars(range(min = 0, max = 1))]
    pub lambda: f64,
    /// Rule of inhibitory synapses.
    pub inhibitory_rule: InhibitoryRule,
    /// Learning rate of inhibitory synapses.
    #[schemars(range(min = 0, max = 1000))]
    pub eta_inhibitory: f64,
    /// Rate that the rule `vogels` holds cells at, Hz.
    #[schemars(range(min = 0, max = 10_000))]
    pub rho0_hz: f64,
    /// Largest excitatory weight, in default weights.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub w_max_factor: f64,
    /// Largest inhibitory weight, in default weights.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub w_max_factor_inhibitory: f64,
    /// Share of its rate that an output cell of another class than the trial's learns from; 1: cells are told nothing.
    #[schemars(range(min = 0, max = 1))]
    pub mask: f64,
    /// Time constant of the rates that `bcm_per_step` learns from, ms.
    #[schemars(range(min = 0.1, max = 1_000_000))]
    pub tau_rate_ms: f64,
    /// What pairs of spikes change in the rule `stdp`.
    pub pairs: Pairs,
}

impl Default for Plasticity {
    fn default() -> Self {
        Self {
            rule: ExcitatoryRule::Bcm,
            r0_hz: 20.0,
            eta: 0.02,
            tau_theta_trials: 20.0,
            theta0_hz: 20.0,
            decay: Decay::Neuron,
            lambda: 0.05,
            inhibitory_rule: InhibitoryRule::Post,
            eta_inhibitory: 0.01,
            rho0_hz: 10.0,
            w_max_factor: 4.0,
            w_max_factor_inhibitory: 10.0,
            mask: 0.5,
            tau_rate_ms: 100.0,
            pairs: Pairs::default(),
        }
    }
}

/// What every pair of a pre and a post spike adds to a weight: w₀ a₊ e^(−Δ/τ₊) where the post spike comes Δ later, and
/// −w₀ a₋ e^(−Δ/τ₋) where the pre spike does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairs {
    /// a₊.
    #[schemars(range(min = 0, max = 1000))]
    pub a_plus: f64,
    /// a₋.
    #[schemars(range(min = 0, max = 1000))]
    pub a_minus: f64,
    /// τ₊, ms.
    #[schemars(range(min = 0.1, max = 10_000))]
    pub tau_plus_ms: f64,
    /// τ₋, ms.
    #[schemars(range(min = 0.1, max = 10_000))]
    pub tau_minus_ms: f64,
}

impl Default for Pairs {
    fn default() -> Self {
        Self {
            a_plus: 0.01,
            a_minus: 0.0105,
            tau_plus_ms: 20.0,
            tau_minus_ms: 20.0,
        }
    }
}

/// Rule of excitatory synapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExcitatoryRule {
    /// Bienenstock, Cooper and Munro, once a trial from its mean rates.
    Bcm,
    /// The same in every step, with all other rules, from filtered rates; a trial's steps add up to what rates that
    /// stay as they are change at its end.
    BcmPerStep,
    /// Pairs of spikes, once a trial: the control.
    Stdp,
    /// Nothing.
    Fixed,
}

/// Over what weights are averaged to decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Each synapse by itself.
    Synapse,
    /// The excitatory inputs of a cell, and its inhibitory ones.
    Neuron,
    /// The whole network, excitatory and inhibitory together.
    Network,
    /// The excitatory synapses of the network, and its inhibitory ones.
    NetworkBySign,
    /// As `neuron`, each weight in proportion to itself.
    Multiplicative,
    /// Nothing decays.
    None,
}

/// What inhibitory synapses grow by, as a factor of the learning rate and the default weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InhibitoryRule {
    /// Nothing.
    Fixed,
    /// y/r₀ of the post cell.
    Post,
    /// (y/r₀)² of the post cell.
    PostSquared,
    /// y/r₀ of the post cell times r/r₀ of the pre cell.
    PrePost,
    /// r/r₀ of the pre cell times (y − ρ₀)/r₀ of the post cell (Vogels et al. 2011).
    Vogels,
}

/// What synapses pass on of a spike, of its weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redistribution {
    /// How.
    pub kind: RedistributionKind,
    /// U: share of its resources that a synapse uses, or the chance that it releases.
    #[schemars(range(min = 0.001, max = 1))]
    pub release_probability: f64,
    /// Time in which resources recover, ms.
    #[schemars(range(min = 0.1, max = 1_000_000))]
    pub tau_recovery_ms: f64,
    /// Time in which facilitation fades, ms, of `deterministic`; 0: there is none.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub tau_facilitation_ms: f64,
}

impl Default for Redistribution {
    fn default() -> Self {
        Self {
            kind: RedistributionKind::None,
            release_probability: 0.5,
            tau_recovery_ms: 200.0,
            tau_facilitation_ms: 0.0,
        }
    }
}

/// How synapses tire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedistributionKind {
    /// They do not: every spike passes on the whole weight.
    None,
    /// Resources of each pre cell (Tsodyks & Markram 1997).
    Deterministic,
    /// One site a synapse, that is full or empty: released with probability U, filled again with 1 − e^(−Δ/τ).
    Stochastic,
}
