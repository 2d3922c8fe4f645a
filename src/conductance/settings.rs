//! What the user writes to describe a network of this family, its data and its training: every key optional, every key
//! with its unit in its name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{Data, Requirements, Seeds, Settings, Subset, fill_in_subset};
use crate::optim::{Adam, Optimiser, Parametrisation, Rule};

/// Most time steps of a trial.
const MAX_STEPS: usize = 10_000_000;

/// What the defaults describe.
pub const DEFAULTS: &str = "the canonical PING network";

/// A complete description of one experiment; `dalenet config FILE` prints it resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the run; it begins the name of the default run folder.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub name: String,
    /// Model family.
    pub family: FamilyName,
    /// Seeds of the four independent random streams.
    pub seeds: Seeds,
    /// Which samples are trained on and tested on.
    pub data: Data,
    /// How an image becomes input spikes.
    pub encoding: Encoding,
    /// Cells, time constants and numerics of the network.
    pub network: Network,
    /// Distribution of the initial weights.
    pub weights: Weights,
    /// Optimiser, Dale's law, epochs and batches.
    pub training: Training,
}

/// Model families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Family")]
pub enum FamilyName {
    /// Conductance-based excitatory/inhibitory spiking network (PING, COBA).
    Conductance,
}

/// How an image becomes input spikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Encoding {
    /// Mean spike rate of a white pixel, Hz: a Bernoulli draw in each time step.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub rate_hz: f64,
}

/// Cells, time constants and numerics. Subscripts: `_e` excitatory, `_i` inhibitory cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Excitatory cells.
    #[schemars(range(min = 1, max = 65_536))]
    pub n_e: usize,
    /// Inhibitory cells.
    #[schemars(range(min = 1, max = 65_536))]
    pub n_i: usize,
    /// Time step, ms.
    #[schemars(range(min = 0.0001, max = 10.0))]
    pub dt_ms: f64,
    /// Duration of a trial, ms; rounded to whole steps.
    #[schemars(range(min = 0.0001, max = 1_000_000.0))]
    pub duration_ms: f64,
    /// Decay time constant of excitatory conductances, ms.
    #[schemars(range(min = 0.000_001, max = 1e30))]
    pub tau_ampa_ms: f64,
    /// Decay time constant of inhibitory conductances, ms.
    #[schemars(range(min = 0.000_001, max = 1e30))]
    pub tau_gaba_ms: f64,
    /// Decay time constant of the read-out voltage, ms.
    #[schemars(range(min = 0.000_001, max = 1e30))]
    pub tau_out_ms: f64,
    /// Membrane capacitance of E cells, nF.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub c_m_e_nf: f64,
    /// Membrane capacitance of I cells, nF.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub c_m_i_nf: f64,
    /// Leak conductance of E cells, µS.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub g_l_e_us: f64,
    /// Leak conductance of I cells, µS.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub g_l_i_us: f64,
    /// Leak reversal potential, mV.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub e_l_mv: f64,
    /// Reversal potential of excitation, mV.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub e_exc_mv: f64,
    /// Reversal potential of inhibition, mV.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub e_inh_mv: f64,
    /// Spike threshold, mV: a cell fires at v ≥ threshold.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub v_th_mv: f64,
    /// Voltage after a spike and while refractory, mV.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub v_reset_mv: f64,
    /// Lower bound of membrane voltages, mV.
    #[schemars(range(min = -1_000_000.0, max = 1000.0))]
    pub v_floor_mv: f64,
    /// Refractory time of E cells, ms.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub ref_e_ms: f64,
    /// Refractory time of I cells, ms.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub ref_i_ms: f64,
    /// Membrane integration scheme.
    pub integrator: Integrator,
    /// Slope k of the surrogate derivative k / (1 + k·|v − V_th|)², 1/mV.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub surrogate_slope: f64,
    /// Damping of the gradient: in the backward pass, the gradient through each voltage update of a membrane is divided by it.
    #[schemars(range(min = 0.000_001, max = 1e12))]
    pub grad_dampen: f64,
    /// How output spikes become class scores.
    pub readout: Readout,
    /// What happens to a read-out voltage at threshold (`mem_mean` only).
    pub readout_reset: ReadoutReset,
    /// Threshold of the read-out voltage.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub readout_threshold: f64,
    /// Slope of the surrogate derivative of the read-out's reset; left out or null: `surrogate_slope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    pub readout_slope: Option<f64>,
    /// How a recurrent spike reaches a conductance; left out: `decayed`.
    #[serde(skip_serializing_if = "SynapseKick::is_default")]
    pub synapse_kick: SynapseKick,
    /// When the refractory time is counted down; left out: `preceding`.
    #[serde(skip_serializing_if = "RefractoryTiming::is_default")]
    pub refractory_timing: RefractoryTiming,
}

/// How a recurrent spike reaches a conductance in the step after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SynapseKick {
    /// g ← β (g + s W): it has decayed for a step.
    #[default]
    Decayed,
    /// g ← β g + s W.
    Full,
}

impl SynapseKick {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When the refractory time is counted down in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefractoryTiming {
    /// Before it is asked whether the cell may fire.
    #[default]
    Preceding,
    /// Afterwards: it lasts one step longer.
    Following,
}

impl RefractoryTiming {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Membrane integration schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Integrator {
    /// Exponential Euler: exact for conductances that are constant within a step.
    ExpEuler,
    /// Forward Euler.
    Euler,
}

/// Read-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readout {
    /// Mean voltage of a leaky integrate-and-fire output, taken before its reset.
    MemMean,
    /// Weighted number of E spikes.
    SpikeCount,
    /// Weighted number of E spikes per time step.
    Rate,
    /// Largest voltage over time of a leaky integrator that does not spike.
    Li,
}

/// Resets of the read-out voltage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadoutReset {
    /// The threshold is subtracted.
    Subtract,
    /// No reset.
    None,
}

/// Initial weights: max(N(mean, std), 0), randomly masked, divided by the fraction kept
/// and by the number of presynaptic cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Mean of W_in before division by the number of inputs, µS.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub in_mean_us: f64,
    /// Standard deviation of W_in, relative to its mean.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub in_relative_std: f64,
    /// Share of W_in that starts at zero.
    #[schemars(range(min = 0.0, max = 0.999_999))]
    pub in_sparsity: f64,
    /// Mean of W_EI before division by the number of E cells, µS; 0 turns the loop off (COBA).
    #[schemars(range(min = 0.0, max = 1e9))]
    pub ei_strength: f64,
    /// Mean of W_IE over `ei_strength`.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub ie_to_ei_ratio: f64,
    /// Standard deviation of the recurrent matrices (W_EE, W_EI, W_IE, W_II), relative to their means.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub loop_relative_std: f64,
    /// Mean of W_EE before division by the number of E cells, µS; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub ee_mean_us: f64,
    /// Mean of W_II before division by the number of I cells, µS; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub ii_mean_us: f64,
    /// Share of the recurrent matrices that starts at zero.
    #[schemars(range(min = 0.0, max = 0.999_999))]
    pub loop_sparsity: f64,
    /// Mean of the read-out before scaling and division by the number of E cells.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub out_mean: f64,
    /// Standard deviation of the read-out before scaling.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub out_std: f64,
    /// Factor of the read-out.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub out_scale: f64,
}

/// Optimiser, Dale's law, epochs and batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Passes over the training samples.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u64,
    /// Trials in a batch, for which one optimiser step is taken.
    #[schemars(range(min = 1, max = 65_536))]
    pub batch_size: usize,
    /// Adam's learning rate.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub learning_rate: f64,
    /// Adam's decay of the first moment.
    #[schemars(range(min = 0.0, max = 0.999_999_999))]
    pub adam_beta1: f64,
    /// Adam's decay of the second moment.
    #[schemars(range(min = 0.0, max = 0.999_999_999))]
    pub adam_beta2: f64,
    /// Adam's ε.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub adam_epsilon: f64,
    /// Gradient clipping: largest norm of the whole gradient.
    #[schemars(range(min = 1e-12, max = 1e30))]
    pub clip_norm: f64,
    /// How Dale's law is kept.
    pub dale: Dale,
    /// Leave the recurrent matrices (W_EE, W_EI, W_IE, W_II) unconstrained under `clamp` and `project`: their weights
    /// may have either sign.
    pub signed_loop: bool,
    /// Matrices that are trained; the others stay as they start.
    pub trainable: Vec<MatrixName>,
    /// How trained recurrent matrices (W_EE, W_EI, W_IE, W_II) learn; left out or null: as the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_rule: Option<LoopRule>,
    /// Rate above which an E cell is penalised, Hz.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub rate_theta_hz: f64,
    /// Strength of the penalty: strength · Σ max(0, rate − theta)² over E cells, nats/Hz²; 0 turns it off.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub rate_strength: f64,
    /// The last checkpoint is written every so many epochs.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub checkpoint_every_epochs: u64,
    /// A checkpoint is kept for good every so many epochs, beside the last and the best: for analyses along training.
    /// null: none.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every_epochs: Option<u64>,
}

/// How the trained recurrent matrices (W_EE, W_EI, W_IE, W_II) learn. Clipping and Dale's law are those of
/// all matrices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoopRule {
    /// Optimiser of these matrices.
    pub optimiser: Optimiser,
    /// Learning rate of the recurrent matrices; null: `training.learning_rate`.
    #[schemars(range(min = 0.0, max = 1e12))]
    pub learning_rate: Option<f64>,
    /// What the optimiser updates: the weight or its logarithm.
    pub parametrisation: Parametrisation,
}

/// Ways to keep weights of one sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dale {
    /// The forward pass uses max(w, 0); stored weights may become negative.
    Clamp,
    /// As `clamp`, and stored weights are set to max(w, 0) after every optimiser step.
    Project,
    /// Nothing is constrained.
    Signed,
}

/// The weight matrices; arrays are `[pre, post]`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MatrixName {
    /// Input to E.
    WIn,
    /// E to read-out.
    WOut,
    /// E to E.
    WEe,
    /// E to I.
    WEi,
    /// I to E.
    WIe,
    /// I to I.
    WIi,
}

impl Network {
    /// Steps of a trial: `duration_ms / dt_ms` to the nearest whole number, at least 1.
    pub fn steps(&self) -> usize {
        ((self.duration_ms / self.dt_ms).round() as usize).max(1)
    }
}

impl Training {
    /// The rule by which a matrix learns.
    pub fn rule(&self, is_loop: bool) -> Rule {
        let own = self.loop_rule.clone().filter(|_| is_loop);
        let rule = own.unwrap_or_default();
        Rule {
            optimiser: rule.optimiser,
            learning_rate: rule.learning_rate.unwrap_or(self.learning_rate),
            parametrisation: rule.parametrisation,
        }
    }

    /// What the rules of all matrices share.
    pub fn adam(&self) -> Adam {
        Adam {
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            epsilon: self.adam_epsilon,
            clip_norm: self.clip_norm,
        }
    }
}

impl Settings for Config {
    fn schema() -> &'static Value {
        static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Config).to_value());
        &SCHEMA
    }

    fn complete(tree: &mut Value) {
        fill_in_subset(tree, "data");
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn seeds(&self) -> BTreeMap<String, u64> {
        self.seeds.by_name()
    }

    fn epochs(&self) -> u64 {
        self.training.epochs
    }

    fn test_samples(&self) -> Option<usize> {
        (self.data.subset != Subset::Full).then_some(self.data.test_samples)
    }

    fn has_validation(&self) -> bool {
        self.data.validation_percent > 0.0
    }

    fn set_epochs(&mut self, epochs: u64) {
        self.training.epochs = epochs;
    }

    fn check(&self, rules: &mut Requirements<'_>) {
        rules.name(&self.name);
        let net = &self.network;
        rules.require(
            net.v_reset_mv < net.v_th_mv,
            "network.v_reset_mv",
            json!(net.v_reset_mv),
            format!("must be below network.v_th_mv ({})", net.v_th_mv),
        );
        rules.require(
            net.v_floor_mv <= net.v_reset_mv && net.v_floor_mv <= net.e_l_mv,
            "network.v_floor_mv",
            json!(net.v_floor_mv),
            format!(
                "must not be above network.v_reset_mv ({}) or network.e_l_mv ({})",
                net.v_reset_mv, net.e_l_mv
            ),
        );
        rules.require(
            net.duration_ms >= net.dt_ms && net.steps() <= MAX_STEPS,
            "network.duration_ms",
            json!(net.duration_ms),
            format!(
                "must be from 1 to {MAX_STEPS} steps of network.dt_ms ({})",
                net.dt_ms
            ),
        );
        rules.require(
            self.encoding.rate_hz * net.dt_ms / 1000.0 <= 1.0,
            "encoding.rate_hz",
            json!(self.encoding.rate_hz),
            format!(
                "must be at most one spike a step of network.dt_ms ({}), so up to {}",
                net.dt_ms,
                1000.0 / net.dt_ms
            ),
        );

        rules.data("data", &self.data);

        let trainable = &self.training.trainable;
        rules.require(
            (1..trainable.len()).all(|i| !trainable[..i].contains(&trainable[i])),
            "training.trainable",
            json!(trainable),
            "must name each matrix once".into(),
        );
        rules.require(
            self.training.loop_rule.is_none() || trainable.iter().any(|name| name.is_loop()),
            "training.loop_rule",
            json!(self.training.loop_rule),
            "must be left out unless training.trainable names w_ee, w_ei, w_ie or w_ii".into(),
        );
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "ping".into(),
            family: FamilyName::Conductance,
            seeds: Seeds::default(),
            data: Data::default(),
            encoding: Encoding::default(),
            network: Network::default(),
            weights: Weights::default(),
            training: Training::default(),
        }
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self { rate_hz: 25.0 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            n_e: 1024,
            n_i: 256,
            dt_ms: 0.1,
            duration_ms: 200.0,
            tau_ampa_ms: 2.0,
            tau_gaba_ms: 9.0,
            tau_out_ms: 2.0,
            c_m_e_nf: 1.0,
            c_m_i_nf: 0.5,
            g_l_e_us: 0.05,
            g_l_i_us: 0.1,
            e_l_mv: -65.0,
            e_exc_mv: 0.0,
            e_inh_mv: -80.0,
            v_th_mv: -50.0,
            v_reset_mv: -65.0,
            v_floor_mv: -200.0,
            ref_e_ms: 3.0,
            ref_i_ms: 1.5,
            integrator: Integrator::ExpEuler,
            surrogate_slope: 1.0,
            grad_dampen: 1000.0,
            readout: Readout::MemMean,
            readout_reset: ReadoutReset::Subtract,
            readout_threshold: 1.0,
            readout_slope: None,
            synapse_kick: SynapseKick::default(),
            refractory_timing: RefractoryTiming::default(),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            in_mean_us: 1.2,
            in_relative_std: 0.1,
            in_sparsity: 0.95,
            ei_strength: 1.0,
            ie_to_ei_ratio: 2.0,
            loop_relative_std: 0.1,
            ee_mean_us: 0.0,
            ii_mean_us: 0.0,
            loop_sparsity: 0.0,
            out_mean: 5.1,
            out_std: 3.8,
            out_scale: 500.0,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch_size: 256,
            learning_rate: 4e-4,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            clip_norm: 1.0,
            dale: Dale::Project,
            signed_loop: false,
            trainable: vec![MatrixName::WIn, MatrixName::WOut],
            loop_rule: None,
            rate_theta_hz: 0.0,
            rate_strength: 0.0,
            checkpoint_every_epochs: 1,
            keep_every_epochs: None,
        }
    }
}

impl Default for LoopRule {
    fn default() -> Self {
        Self {
            optimiser: Optimiser::Adam,
            learning_rate: None,
            parametrisation: Parametrisation::Linear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loop_matrices_have_a_rule_of_their_own() {
        let usual = Training::default().rule(true);
        assert_eq!(usual, Training::default().rule(false));
        assert_eq!(usual.learning_rate, 4e-4);
        let mut training = Training {
            loop_rule: Some(LoopRule::default()),
            ..Training::default()
        };
        assert_eq!(training.rule(true), usual, "the default changes nothing");
        training.loop_rule = Some(LoopRule {
            optimiser: Optimiser::Sgd,
            ..LoopRule::default()
        });
        assert_eq!(training.rule(false), usual);
        let own = training.rule(true);
        assert_eq!((own.optimiser, own.learning_rate), (Optimiser::Sgd, 4e-4));
    }
}
