//! What the user writes: one JSON file, every key optional, every key with its unit in its name.
//!
//! The [`Settings`] of a family are the single source of its keys, their defaults, their documentation and
//! their allowed ranges: the JSON Schema is derived from them, and [`resolve`] checks a file against that
//! schema before anything is built from it. What several families let the user set is here.

mod check;
mod error;
mod json;
mod load;

pub use check::Requirements;
pub(crate) use error::shown;
pub use error::{ConfigError, Problem};
pub(crate) use json::read_json;
pub(crate) use load::fill_in_subset;
pub use load::{Override, SET, family_of, read, resolve, sha256, to_pretty_json};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a family lets the user set.
pub trait Settings: Clone + Serialize + DeserializeOwned {
    /// JSON Schema (draft 2020-12), with defaults, descriptions and ranges.
    fn schema() -> &'static Value;

    /// Sets keys that the user left open and that depend on others.
    fn complete(tree: &mut Value);

    /// Checks keys against each other; every value is already within its own range.
    fn check(&self, rules: &mut Requirements<'_>);

    /// Name of the run.
    fn name(&self) -> &str;

    /// Every seed by what it is for.
    fn seeds(&self) -> BTreeMap<String, u64>;

    /// Passes over the training samples.
    fn epochs(&self) -> u64;

    /// Test samples; none where only the data can tell.
    fn test_samples(&self) -> Option<usize>;

    /// Whether samples are held out to choose the best epoch.
    fn has_validation(&self) -> bool;

    /// Sets the number of epochs, in which runs may differ that go the same way.
    fn set_epochs(&mut self, epochs: u64);
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

impl Seeds {
    /// Every seed by what it is for.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        [
            ("weights", self.weights),
            ("data", self.data),
            ("shuffle", self.shuffle),
            ("noise", self.noise),
        ]
        .map(|(name, seed)| (name.to_owned(), seed))
        .into()
    }
}

impl Default for Seeds {
    fn default() -> Self {
        Self {
            weights: 42,
            data: 42,
            shuffle: 42,
            noise: 42,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dataset: Dataset::Mnist,
            path: None,
            labels_path: None,
            subset: Subset::Studies,
            train_samples: 1600,
            test_samples: 400,
            validation_percent: 0.0,
        }
    }
}
