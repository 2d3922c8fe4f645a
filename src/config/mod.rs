//! What the user writes: one JSON file, every key optional, every key with its unit in its name.
//!
//! The types here are the single source of the keys, their defaults, their documentation and their
//! allowed ranges: the JSON Schema is derived from them, and [`load`] checks a file against that
//! schema before anything is built from it.

mod check;
mod defaults;
mod error;
mod json;
mod load;

pub use check::schema;
pub(crate) use error::shown;
pub use error::{ConfigError, Problem};
pub(crate) use json::read_json;
pub use load::{BUILTINS, Override, SET, builtin, load, parse, parse_with, sha256, to_pretty_json};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A complete description of one experiment; `dalenet config FILE` prints it resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the run; it begins the name of the default run folder.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub name: String,
    /// Model family.
    pub family: Family,
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
pub enum Family {
    /// Conductance-based excitatory/inhibitory spiking network (PING, COBA).
    Conductance,
}

/// Seeds of the four independent random streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Seeds {
    /// Initial weights.
    pub weights: u64,
    /// Subset, split and synthetic digits.
    pub data: u64,
    /// Order of the training samples in each epoch.
    pub shuffle: u64,
    /// Input spikes.
    pub noise: u64,
}

/// Where samples come from and which of them are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Source of the samples.
    pub dataset: Dataset,
    /// The user's file for `images` (.npz, or the IDX image file) and `events` (.npz).
    pub path: Option<String>,
    /// The IDX label file that belongs to an IDX image file in `path`.
    pub labels_path: Option<String>,
    /// Which samples are used; left out: `studies` of MNIST, `stratified` of digits, else `full`.
    pub subset: Subset,
    /// Training samples (with those held out for validation) of a stratified subset.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub train_samples: usize,
    /// Test samples of a stratified subset.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub test_samples: usize,
    /// Share of the training samples held out to choose the best epoch, in percent.
    #[schemars(range(min = 0, max = 90))]
    pub validation_percent: f64,
}

/// Sources of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// The MNIST files, from `--data`, `DALENET_DATA` or the user's data folder.
    Mnist,
    /// Built-in synthetic 28×28 digits; needs no file.
    Digits,
    /// The user's own images with labels, as IDX or .npz.
    Images,
    /// The user's own input spikes with labels, as .npz.
    Events,
}

/// Which samples of a source are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subset {
    /// The published 1600/400 split of MNIST, by index.
    Studies,
    /// `train_samples` and `test_samples` drawn by `seeds.data` with equal class shares.
    Stratified,
    /// Everything: the source's own train and test parts, or a stratified 80/20 split.
    Full,
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
