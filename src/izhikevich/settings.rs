//! What the user writes to describe a network of this family, its stimuli and its plasticity: every key optional, every
//! key with its unit in its name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::network::Preset;
use super::params::{Params, Plasticity, Redistribution, RedistributionKind};
use crate::config::{
    Data as Images, Dataset, Requirements, Seeds, Settings, Subset, fill_in_subset,
};

/// What the defaults describe.
pub const DEFAULTS: &str =
    "20 output cells without a hidden layer that see gratings of two orientations without offset";

/// A complete description of one experiment; `dalenet config FILE` prints it resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the run; it begins the name of the default run folder.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub name: String,
    /// Model family.
    pub family: FamilyName,
    /// Seeds of the independent random streams.
    pub seeds: Seeds,
    /// What the network sees.
    pub data: Data,
    /// Cells and synapses.
    pub network: Network,
    /// Distribution of the initial weights.
    pub weights: Weights,
    /// How weights change.
    pub plasticity: Plasticity,
    /// How synapses tire.
    pub redistribution: Redistribution,
    /// Epochs and blocks of trials.
    pub training: Training,
}

/// Model families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Family")]
pub enum FamilyName {
    /// Izhikevich's neurons with local plasticity.
    Izhikevich,
}

/// What the network sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The task.
    pub task: Task,
    /// Rows and columns of the image that inputs see.
    #[schemars(range(min = 1, max = 64))]
    pub size: usize,
    /// Rate of an input at full brightness, Hz.
    #[schemars(range(min = 0, max = 10_000))]
    pub rate_hz: f64,
    /// Inputs of a pixel.
    pub channels: Channels,
    /// Gratings of the task `gratings`.
    pub gratings: Gratings,
    /// Images of the task `images`.
    pub images: Images,
    /// Trials beside those of training and test, after which each output cell is given the class that it fires most to.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub assignment_trials: usize,
}

/// Tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Gratings, whose orientation or frequency is the class.
    Gratings,
    /// Images and their classes, brought to `size` by averaging.
    Images,
}

/// Inputs of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// One, whose rate is its brightness.
    Brightness,
    /// Two: what is brighter than the mean, and what is darker.
    OnOff,
}

/// Gratings of brightness ½ (1 + contrast · cos(2π f k·r + φ)), with r the place of a pixel in image lengths and k the
/// direction of the orientation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gratings {
    /// Frequencies f, cycles an image.
    pub frequencies: Vec<f64>,
    /// Orientations, degrees: 0 changes along a row, 90 along a column.
    pub orientations_deg: Vec<f64>,
    /// What the class of a grating is.
    pub class: GratingClass,
    /// Offset φ of a trial.
    pub offset: Offset,
    /// Offset of the trials of test and assignment; null: as in training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_offset: Option<Offset>,
    /// The offset where it is `fixed`, degrees.
    #[schemars(range(min = -360, max = 360))]
    pub offset_deg: f64,
    /// Offsets that are drawn from, evenly over a cycle; 0: any.
    #[schemars(range(min = 0, max = 360))]
    pub offset_steps: u32,
    /// Contrast.
    #[schemars(range(min = 0, max = 1))]
    pub contrast: f64,
    /// Cycles a second by which a grating drifts.
    #[schemars(range(min = -1000, max = 1000))]
    pub drift_hz: f64,
    /// Training trials of an epoch, all newly drawn.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub train_trials: usize,
    /// Test trials, the same after every epoch.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub test_trials: usize,
}

/// What the class of a grating is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GratingClass {
    /// Its orientation.
    Orientation,
    /// Its frequency.
    Frequency,
}

/// Offset of a trial's grating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Offset {
    /// `offset_deg` in every trial.
    Fixed,
    /// Drawn for every trial.
    Random,
}

/// Cells and synapses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Time step, ms.
    #[schemars(range(min = 0.001, max = 1))]
    pub dt_ms: f64,
    /// Duration of a trial, ms.
    #[schemars(range(min = 1, max = 100_000))]
    pub trial_ms: f64,
    /// Decay time of excitatory conductances, ms.
    #[schemars(range(min = 0.01, max = 10_000))]
    pub tau_exc_ms: f64,
    /// Decay time of inhibitory conductances, ms.
    #[schemars(range(min = 0.01, max = 10_000))]
    pub tau_inh_ms: f64,
    /// Kind of the excitatory neurons.
    pub excitatory: Preset,
    /// Kind of the inhibitory neurons.
    pub inhibitory: Preset,
    /// Output cells; the class of each is its number modulo the classes.
    #[schemars(range(min = 1, max = 4096))]
    pub outputs: usize,
    /// Inputs excite the output cells.
    pub direct: bool,
    /// Mean current of an output cell from the inputs at the start.
    #[schemars(range(min = 0, max = 10_000))]
    pub drive: f64,
    /// Cells of each hidden layer, from the input up.
    pub hidden: Vec<usize>,
    /// Share of inhibitory cells of a hidden layer, the last ones.
    #[schemars(range(min = 0, max = 1))]
    pub hidden_inhibitory_fraction: f64,
    /// Mean current of a hidden cell from the layer below at the start.
    #[schemars(range(min = 0, max = 10_000))]
    pub hidden_drive: f64,
    /// Mean current of an output cell from the last hidden layer at the start, were its cells at r₀.
    #[schemars(range(min = 0, max = 10_000))]
    pub hidden_output_drive: f64,
    /// Current that a spike of an inhibitory hidden cell takes away.
    #[schemars(range(min = 0, max = 10_000))]
    pub hidden_inhibition: f64,
    /// Current that a spike of a hidden cell adds to the others of its layer; 0: they are not connected.
    #[schemars(range(min = 0, max = 10_000))]
    pub hidden_recurrence: f64,
    /// Current that a spike of an output cell adds to the other output cells; 0: they are not connected.
    #[schemars(range(min = 0, max = 10_000))]
    pub output_recurrence: f64,
    /// Current that a spike of an output cell adds to the cells of the last hidden layer; 0: they are not connected.
    #[schemars(range(min = 0, max = 10_000))]
    pub feedback: f64,
    /// Cells that the outputs excite and that inhibit the outputs.
    pub lateral: Lateral,
    /// The same for the excitatory cells of every hidden layer.
    pub hidden_lateral: Lateral,
}

/// Cells that a population excites and that inhibit it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lateral {
    /// Who is connected with whom.
    pub kind: LateralKind,
    /// Cells of the kind `shared`.
    #[schemars(range(min = 0, max = 4096))]
    pub cells: usize,
    /// Current that a spike of the population adds to them.
    #[schemars(range(min = 0, max = 100_000))]
    pub drive: f64,
    /// Current that a spike of one of them takes away from a cell of the population.
    #[schemars(range(min = 0, max = 100_000))]
    pub weight: f64,
    /// Their synapses learn as all others; otherwise they stay as they are.
    pub learns: bool,
    /// Share of them, the last ones, that is made excitatory.
    #[schemars(range(min = 0, max = 1))]
    pub excitatory_fraction: f64,
    /// When they are there.
    pub active: LateralActive,
}

/// When lateral cells are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateralActive {
    /// In training and test.
    Always,
    /// In training alone.
    Training,
    /// In tests alone.
    Test,
}

/// Who is connected with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateralKind {
    /// There are none.
    None,
    /// Every cell of the population excites all of them, all of them inhibit every cell of it.
    Shared,
    /// Each cell of the population excites one of its own, which inhibits all others.
    Own,
    /// The same, but that each inhibits the cell that excites it, too.
    OwnAndSelf,
}

/// Distribution of the initial weights, around the default ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Its form.
    pub distribution: Distribution,
    /// Half of the width of the distribution `uniform`, as a share of the default weight.
    #[schemars(range(min = 0, max = 1))]
    pub spread: f64,
}

/// Form of a distribution with the mean 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Uniform between 1 − spread and 1 + spread.
    Uniform,
    /// Exponential.
    Exponential,
    /// Of inputs to outputs the brightness of a grating of the cell's class over the mean one: the offsets of a class's
    /// cells lie evenly over a cycle. Wired by hand, as a control; all others are the default weights.
    Matched,
}

/// Epochs and blocks of trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Passes over the training trials.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u64,
    /// Trials of a block, after which progress is recorded and the run can be interrupted.
    #[schemars(range(min = 1, max = 65_536))]
    pub block_trials: usize,
    /// The last checkpoint is written every so many epochs.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub checkpoint_every_epochs: u64,
    /// A checkpoint is kept for good every so many epochs, beside the last and the best: for analyses along training.
    /// null: none.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every_epochs: Option<u64>,
}

impl Config {
    /// Steps of a trial.
    pub fn steps(&self) -> usize {
        (self.network.trial_ms / self.network.dt_ms).round() as usize
    }

    /// Inputs.
    pub fn inputs(&self) -> usize {
        let pixels = self.data.size * self.data.size;
        match self.data.channels {
            Channels::Brightness => pixels,
            Channels::OnOff => 2 * pixels,
        }
    }

    /// Neurons of all populations.
    pub fn neurons(&self) -> usize {
        let network = &self.network;
        let of_layer =
            |&cells: &usize| cells + network.hidden_lateral.count(network.excitatory_of(cells));
        let hidden: usize = network.hidden.iter().map(of_layer).sum();
        hidden + network.outputs + network.lateral.count(network.outputs)
    }

    /// Sizes and rules.
    pub fn params(&self) -> Params {
        Params {
            n_in: self.inputs(),
            neurons: self.neurons(),
            steps: self.steps(),
            dt_ms: self.network.dt_ms,
            tau_exc_ms: self.network.tau_exc_ms,
            tau_inh_ms: self.network.tau_inh_ms,
            plasticity: self.plasticity.clone(),
            redistribution: self.redistribution,
        }
    }
}

impl Settings for Config {
    fn schema() -> &'static Value {
        static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Config).to_value());
        &SCHEMA
    }

    fn complete(tree: &mut Value) {
        if let Some(data) = tree.get_mut("data") {
            fill_in_subset(data, "images");
        }
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
        let Data {
            task,
            gratings,
            images,
            ..
        } = &self.data;
        match task {
            Task::Gratings => Some(gratings.test_trials),
            Task::Images => (images.subset != Subset::Full).then_some(images.test_samples),
        }
    }

    fn has_validation(&self) -> bool {
        self.data.task == Task::Images && self.data.images.validation_percent > 0.0
    }

    fn set_epochs(&mut self, epochs: u64) {
        self.training.epochs = epochs;
    }

    fn check(&self, rules: &mut Requirements<'_>) {
        rules.name(&self.name);
        let Data {
            task,
            images,
            gratings,
            rate_hz,
            ..
        } = &self.data;
        if *task == Task::Images {
            rules.data("data.images", images);
        }
        rules.require(
            images.dataset != Dataset::Events,
            "data.images.dataset",
            json!(images.dataset),
            "must be a set of images".into(),
        );
        let Network {
            dt_ms,
            trial_ms,
            hidden,
            direct,
            lateral,
            hidden_lateral,
            feedback,
            outputs,
            ..
        } = &self.network;
        rules.require(
            rate_hz * dt_ms <= 1000.0,
            "data.rate_hz",
            json!(rate_hz),
            format!(
                "must be {} at most: an input fires once in a step of {dt_ms} ms at most",
                1000.0 / dt_ms
            ),
        );
        let steps = trial_ms / dt_ms;
        rules.require(
            (steps - steps.round()).abs() < 1e-6 * steps && (1.0..=1e6).contains(&steps),
            "network.trial_ms",
            json!(trial_ms),
            format!("must be 1 to 1000000 whole steps of {dt_ms} ms"),
        );
        let listed = |values: &[f64], most: f64| {
            (1..=64).contains(&values.len())
                && values.iter().all(|x| x.is_finite() && x.abs() <= most)
        };
        rules.require(
            listed(&gratings.frequencies, 1000.0),
            "data.gratings.frequencies",
            json!(gratings.frequencies),
            "must list 1 to 64 numbers from -1000 to 1000".into(),
        );
        rules.require(
            listed(&gratings.orientations_deg, 360.0),
            "data.gratings.orientations_deg",
            json!(gratings.orientations_deg),
            "must list 1 to 64 angles from -360 to 360".into(),
        );
        rules.require(
            hidden.len() <= 16 && hidden.iter().all(|n| (1..=4096).contains(n)),
            "network.hidden",
            json!(hidden),
            "must list at most 16 layers, each of 1 to 4096 cells".into(),
        );
        rules.require(
            *direct || !hidden.is_empty(),
            "network.direct",
            json!(direct),
            "must be true where network.hidden lists no layers: nothing would reach the outputs"
                .into(),
        );
        rules.require(
            *feedback == 0.0 || !hidden.is_empty(),
            "network.feedback",
            json!(feedback),
            "must be 0 where network.hidden lists no layers".into(),
        );
        rules.require(
            lateral.kind != LateralKind::Own || *outputs > 1,
            "network.lateral.kind",
            json!(lateral.kind),
            "must not be \"own\" where there is one output cell".into(),
        );
        rules.require(
            lateral.active == LateralActive::Always || !lateral.learns,
            "network.lateral.learns",
            json!(lateral.learns),
            "must be false where network.lateral.active is not \"always\"".into(),
        );
        rules.require(
            hidden_lateral.active == LateralActive::Always,
            "network.hidden_lateral.active",
            json!(hidden_lateral.active),
            "must be \"always\"".into(),
        );
        rules.require(
            self.weights.distribution != Distribution::Matched || *task == Task::Gratings,
            "weights.distribution",
            json!(self.weights.distribution),
            "must not be \"matched\" where data.task is not \"gratings\"".into(),
        );
        rules.require(
            self.redistribution.kind != RedistributionKind::Stochastic
                || self.redistribution.tau_facilitation_ms == 0.0,
            "redistribution.tau_facilitation_ms",
            json!(self.redistribution.tau_facilitation_ms),
            "must be 0 where redistribution.kind is \"stochastic\"".into(),
        );
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "orientation".into(),
            family: FamilyName::Izhikevich,
            seeds: Seeds::default(),
            data: Data::default(),
            network: Network::default(),
            weights: Weights::default(),
            plasticity: Plasticity::default(),
            redistribution: Redistribution::default(),
            training: Training::default(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            task: Task::Gratings,
            size: 8,
            rate_hz: 40.0,
            channels: Channels::Brightness,
            gratings: Gratings::default(),
            images: Images::default(),
            assignment_trials: 400,
        }
    }
}

impl Default for Gratings {
    fn default() -> Self {
        Self {
            frequencies: vec![2.0],
            orientations_deg: vec![0.0, 90.0],
            class: GratingClass::Orientation,
            offset: Offset::Fixed,
            test_offset: None,
            offset_deg: 0.0,
            offset_steps: 0,
            contrast: 1.0,
            drift_hz: 0.0,
            train_trials: 500,
            test_trials: 400,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            dt_ms: 0.1,
            trial_ms: 1000.0,
            tau_exc_ms: 5.0,
            tau_inh_ms: 10.0,
            excitatory: Preset::Rs,
            inhibitory: Preset::Fs,
            outputs: 20,
            direct: true,
            drive: 8.0,
            hidden: Vec::new(),
            hidden_inhibitory_fraction: 0.2,
            hidden_drive: 8.0,
            hidden_output_drive: 8.0,
            hidden_inhibition: 1.0,
            hidden_recurrence: 0.0,
            output_recurrence: 0.0,
            feedback: 0.0,
            lateral: Lateral::default(),
            hidden_lateral: Lateral {
                kind: LateralKind::None,
                ..Lateral::default()
            },
        }
    }
}

impl Lateral {
    /// How many there are of a population of so many excitatory cells.
    pub fn count(&self, population: usize) -> usize {
        match self.kind {
            LateralKind::None => 0,
            LateralKind::Shared => self.cells,
            LateralKind::Own | LateralKind::OwnAndSelf => population,
        }
    }
}

impl Network {
    /// Excitatory cells of a hidden layer of so many, the first ones.
    pub fn excitatory_of(&self, hidden: usize) -> usize {
        hidden - (self.hidden_inhibitory_fraction * hidden as f64).round() as usize
    }
}

impl Default for Lateral {
    fn default() -> Self {
        Self {
            kind: LateralKind::Shared,
            cells: 20,
            drive: 0.6,
            weight: 1.0,
            learns: true,
            excitatory_fraction: 0.0,
            active: LateralActive::Always,
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            distribution: Distribution::Uniform,
            spread: 0.5,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 4,
            block_trials: 50,
            checkpoint_every_epochs: 1,
            keep_every_epochs: None,
        }
    }
}
