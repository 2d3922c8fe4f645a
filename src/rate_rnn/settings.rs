//! What the user writes to describe a network of this family, its data and its training: every key optional, every key
//! with its unit in its name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::init::InitialWeights;
use super::params::{Kind, Loss, Params, Recipe};
use crate::config::{Data as Images, Dataset, Requirements, Settings, Subset, fill_in_subset};
use crate::optim::Optimiser;

/// What the defaults describe.
pub const DEFAULTS: &str = "a standard network of 100 units that reads MNIST row by row";

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
    /// What is learnt from what.
    pub data: Data,
    /// Units and signs of the network.
    pub network: Network,
    /// Distribution of the initial weights.
    pub weights: Weights,
    /// Loss, optimiser, epochs and batches.
    pub training: Training,
}

/// Model families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Family")]
pub enum FamilyName {
    /// Rate RNN under Dale's law: standard, column E/I, and Dale's ANN.
    RateRnn,
}

/// Seeds of the independent random streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Seeds {
    /// Initial weights.
    pub weights: u64,
    /// Subset, split, synthetic digits and generated sequences.
    pub data: u64,
    /// Order of the training samples in each epoch.
    pub shuffle: u64,
}

/// What is learnt from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The task.
    pub task: Task,
    /// Images of the tasks `image_rows` and `image_pixels`.
    pub images: Images,
    /// Sequences of the task `adding`.
    pub adding: Adding,
    /// Text of the task `text`.
    pub text: Text,
    /// The user's file of the task `sequences` (.npz): `x` [samples, steps, inputs], and `y`, classes or
    /// values.
    pub path: Option<String>,
}

/// Tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Classes of images that are shown row by row.
    ImageRows,
    /// Classes of images that are shown pixel by pixel.
    ImagePixels,
    /// The sum of the two numbers of a sequence that are marked.
    Adding,
    /// The next word or character of a text, at every step.
    Text,
    /// The user's own sequences.
    Sequences,
}

/// Generated sequences of random numbers in 0 to 1, two of which are marked, one in each half; the target is their
/// sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adding {
    /// Numbers of a sequence.
    #[schemars(range(min = 2, max = 100_000))]
    pub steps: usize,
    /// Training samples.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub train_samples: usize,
    /// Test samples.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub test_samples: usize,
}

/// A text, cut into pieces of the same length. Each is a sample; what is known of the text before it is nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// The text to train on (UTF-8); null: sentences of a small built-in grammar.
    pub path: Option<String>,
    /// The text to test on; null: the last tenth of the other.
    pub test_path: Option<String>,
    /// What a step is.
    pub unit: TextUnit,
    /// Steps of a piece.
    #[schemars(range(min = 1, max = 100_000))]
    pub steps: usize,
    /// Most different words or characters; those seldom met count as one, `<unk>`.
    #[schemars(range(min = 2, max = 100_000))]
    pub vocabulary: usize,
}

/// What a step of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextUnit {
    /// A word; the end of a line is one, too (`<eos>`).
    Words,
    /// A character.
    Characters,
}

/// Units and signs of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How the network obeys Dale's law.
    pub kind: Kind,
    /// Units of each layer, from the input up.
    pub layers: Vec<usize>,
    /// Share of inhibitory units, of `col_ei` and `dann`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub inhibitory_fraction: f64,
}

/// Distribution of the initial weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Spectral radius of the recurrent matrices of `col_ei`.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub spectral_radius: f64,
    /// In `dann`, draw the weights into inhibitory units like those of the excitatory matrix instead of taking its mean
    /// row.
    pub random_inhibition: bool,
    /// Spectral radius of the recurrent matrices of `standard`, to which they are rescaled; null: as drawn.
    #[schemars(range(min = 0.0, max = 1000.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_radius: Option<f64>,
    /// A `standard` network that begins with effective matrices put together from those of two kinds; null: as drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transplant: Option<Transplant>,
}

/// The start of a `standard` network whose every matrix is U diag(σ) Vᵀ, U and V the singular vectors of a start of one
/// kind, σ the singular values of a start of another. Where both are one kind, the start is that kind's as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transplant {
    /// The kind that the singular vectors are of.
    pub vectors: Kind,
    /// The kind that the singular values are of.
    pub spectrum: Kind,
}

/// Loss, optimiser, epochs and batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// What is minimised; null: the cross-entropy of the last step for classes, of every step for text, the squared
    /// error for values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Passes over the training samples.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epochs: u64,
    /// Sequences in a batch, for which one optimiser step is taken.
    #[schemars(range(min = 1, max = 65_536))]
    pub batch_size: usize,
    /// Optimiser.
    pub optimiser: Optimiser,
    /// Learning rate of the first step.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub learning_rate: f64,
    /// Factor of the learning rate after every `decay_every_steps` optimiser steps.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub decay: f64,
    /// Optimiser steps between two changes of the learning rate; 0: it stays.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub decay_every_steps: u64,
    /// Gradient clipping: largest norm of the gradient of each tensor, in `dann` of each layer; null: none.
    #[schemars(range(min = 1e-12, max = 1e30))]
    pub clip_norm: Option<f64>,
    /// Adam's decay of the first moment.
    #[schemars(range(min = 0.0, max = 0.999_999_999))]
    pub adam_beta1: f64,
    /// Adam's decay of the second moment.
    #[schemars(range(min = 0.0, max = 0.999_999_999))]
    pub adam_beta2: f64,
    /// Adam's ε.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub adam_epsilon: f64,
    /// Entries of the matrices keep the signs they start with: one that would change its sign is set to zero. Of
    /// `standard` alone, as the other kinds have signs.
    #[serde(skip_serializing_if = "is_false")]
    pub frozen_signs: bool,
    /// The last checkpoint is written every so many epochs.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub checkpoint_every_epochs: u64,
    /// A checkpoint is kept for good every so many epochs, beside the last and the best: for analyses along training.
    /// null: none.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every_epochs: Option<u64>,
}

impl Data {
    /// Whether the data depend on the seed: all but the official parts of MNIST, and texts of the user's.
    pub fn draws_with_seed(&self) -> bool {
        let Images {
            dataset,
            subset,
            validation_percent,
            ..
        } = &self.images;
        match self.task {
            Task::ImageRows | Task::ImagePixels => {
                let is_official = *dataset == Dataset::Mnist && *subset == Subset::Full;
                !is_official || *validation_percent > 0.0
            }
            Task::Text => self.text.path.is_none(),
            Task::Adding | Task::Sequences => true,
        }
    }
}

/// For serde, which leaves out what is as it always was.
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Config {
    /// Sizes and recipe, for data of `n_in` channels and `n_out` classes or values.
    pub fn params(&self, n_in: usize, n_out: usize, has_classes: bool) -> Params {
        let training = &self.training;
        let usual = match (self.data.task, has_classes) {
            (Task::Text, _) => Loss::CrossEntropyAll,
            (_, true) => Loss::CrossEntropyLast,
            (_, false) => Loss::MseLast,
        };
        Params {
            kind: self.network.kind,
            n_in,
            layers: self.network.layers.clone(),
            n_out,
            inhibitory_fraction: self.network.inhibitory_fraction,
            loss: training.loss.unwrap_or(usual),
            recipe: Recipe {
                optimiser: training.optimiser,
                learning_rate: training.learning_rate,
                decay: training.decay,
                decay_every_steps: training.decay_every_steps,
                clip_norm: training.clip_norm,
                adam_beta1: training.adam_beta1,
                adam_beta2: training.adam_beta2,
                adam_epsilon: training.adam_epsilon,
                frozen_signs: training.frozen_signs,
            },
        }
    }

    /// What the initial weights depend on beside the network.
    pub fn initial(&self) -> InitialWeights {
        InitialWeights {
            seed: self.seeds.weights,
            spectral_radius: self.weights.spectral_radius,
            random_inhibition: self.weights.random_inhibition,
            standard_radius: self.weights.standard_radius,
            transplant: self.weights.transplant,
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
        let Seeds {
            weights,
            data,
            shuffle,
        } = self.seeds;
        [("weights", weights), ("data", data), ("shuffle", shuffle)]
            .map(|(name, seed)| (name.to_owned(), seed))
            .into()
    }

    fn epochs(&self) -> u64 {
        self.training.epochs
    }

    fn test_samples(&self) -> Option<usize> {
        let Data { images, adding, .. } = &self.data;
        match self.data.task {
            Task::ImageRows | Task::ImagePixels => {
                (images.subset != Subset::Full).then_some(images.test_samples)
            }
            Task::Adding => Some(adding.test_samples),
            Task::Sequences | Task::Text => None,
        }
    }

    fn has_validation(&self) -> bool {
        self.data.images.validation_percent > 0.0
    }

    fn set_epochs(&mut self, epochs: u64) {
        self.training.epochs = epochs;
    }

    fn check(&self, rules: &mut Requirements<'_>) {
        rules.name(&self.name);
        let Data {
            task, images, path, ..
        } = &self.data;
        rules.data("data.images", images);
        rules.require(
            images.dataset != Dataset::Events,
            "data.images.dataset",
            json!(images.dataset),
            "must be a set of images".into(),
        );
        let own = *task == Task::Sequences;
        rules.require(
            own == path.as_ref().is_some_and(|path| !path.is_empty()),
            "data.path",
            json!(path),
            r#"must name your file where data.task is "sequences", and be left out otherwise"#
                .into(),
        );
        let layers = &self.network.layers;
        rules.require(
            (1..=64).contains(&layers.len()) && layers.iter().all(|n| (2..=65_536).contains(n)),
            "network.layers",
            json!(layers),
            "must list 1 to 64 layers, each of 2 to 65536 units".into(),
        );
        let params = self.params(1, 1, true);
        let has_both = |&units: &usize| (1..units).contains(&params.inhibitory(units));
        rules.require(
            self.network.kind != Kind::ColEi || layers.iter().all(has_both),
            "network.inhibitory_fraction",
            json!(self.network.inhibitory_fraction),
            "must leave every layer of a col_ei network excitatory and inhibitory units".into(),
        );
        rules.require(
            self.weights.transplant.is_none() || self.weights.standard_radius.is_none(),
            "weights.standard_radius",
            json!(self.weights.standard_radius),
            "must be null where weights.transplant puts the matrices together".into(),
        );
        let is_standard = self.network.kind == Kind::Standard;
        let weights = &self.weights;
        for (key, is_set, value) in [
            (
                "weights.standard_radius",
                weights.standard_radius.is_some(),
                json!(weights.standard_radius),
            ),
            (
                "weights.transplant",
                weights.transplant.is_some(),
                json!(weights.transplant),
            ),
            (
                "training.frozen_signs",
                self.training.frozen_signs,
                json!(self.training.frozen_signs),
            ),
        ] {
            rules.require(
                is_standard || !is_set,
                key,
                value,
                r#"needs network.kind "standard""#.into(),
            );
        }
        for kind in weights
            .transplant
            .iter()
            .flat_map(|t| [t.vectors, t.spectrum])
        {
            let params = Params {
                kind,
                ..params.clone()
            };
            let has_both = |&units: &usize| (1..units).contains(&params.inhibitory(units));
            rules.require(
                kind != Kind::ColEi || layers.iter().all(has_both),
                "network.inhibitory_fraction",
                json!(self.network.inhibitory_fraction),
                "must leave every layer of the col_ei start excitatory and inhibitory units".into(),
            );
        }
        let loss = self.training.loss;
        let fits = match (task, loss) {
            (_, None) | (Task::Sequences, _) => true,
            (Task::Adding, Some(loss)) => loss == Loss::MseLast,
            (Task::Text, Some(loss)) => loss == Loss::CrossEntropyAll,
            (Task::ImageRows | Task::ImagePixels, Some(loss)) => loss == Loss::CrossEntropyLast,
        };
        rules.require(
            fits,
            "training.loss",
            json!(loss),
            format!("does not fit data.task {}", json!(task)),
        );
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "rnn".into(),
            family: FamilyName::RateRnn,
            seeds: Seeds::default(),
            data: Data::default(),
            network: Network::default(),
            weights: Weights::default(),
            training: Training::default(),
        }
    }
}

impl Default for Seeds {
    fn default() -> Self {
        Self {
            weights: 42,
            data: 42,
            shuffle: 42,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            task: Task::ImageRows,
            images: Images {
                subset: Subset::Full,
                ..Images::default()
            },
            adding: Adding::default(),
            text: Text::default(),
            path: None,
        }
    }
}

impl Default for Adding {
    fn default() -> Self {
        Self {
            steps: 20,
            train_samples: 9000,
            test_samples: 1000,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self {
            path: None,
            test_path: None,
            unit: TextUnit::Words,
            steps: 35,
            vocabulary: 10_000,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            kind: Kind::Standard,
            layers: vec![100],
            inhibitory_fraction: 0.1,
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            spectral_radius: 1.5,
            random_inhibition: false,
            standard_radius: None,
            transplant: None,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            loss: None,
            epochs: 30,
            batch_size: 32,
            optimiser: Optimiser::Sgd,
            learning_rate: 0.01,
            decay: 1.0,
            decay_every_steps: 0,
            clip_norm: None,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            frozen_signs: false,
            checkpoint_every_epochs: 1,
            keep_every_epochs: None,
        }
    }
}
