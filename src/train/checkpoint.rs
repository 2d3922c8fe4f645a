//! A checkpoint: weights, optimiser state and progress in one safetensors file.
//!
//! Tensors are named `w.NAME`, `adam.m.NAME` and `adam.v.NAME`. Everything else is JSON under the
//! header key `dalenet`, with the version of this layout as `format`. A SHA-256 over all content
//! is part of it, so that a damaged file is refused instead of trained on.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::files::{self, FileError};
use crate::text::count;
pub use error::CheckpointError;
use import::read_tensor;
pub use import::read_weights;

mod error;
mod exact_float;
mod import;

/// The version of the checkpoint layout written, and the only one read.
pub const FORMAT: u64 = 1;

/// The one key of the safetensors metadata. More keys would be written in random order, and equal
/// checkpoints should be equal files.
const METADATA_KEY: &str = "dalenet";
const WEIGHT: &str = "w.";
const ADAM_M: &str = "adam.m.";
const ADAM_V: &str = "adam.v.";

/// A dense array, row major; matrices are `[pre, post]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Whether NaN and infinity are accepted on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonFinite {
    /// They are an error: right for training and evaluation.
    Refuse,
    /// They are kept as they are: for looking at a run that diverged.
    Allow,
}

/// How far a run has come. All numbers come back from a file bit for bit (a NaN comes back as a
/// NaN).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Epochs completed, evaluation included.
    pub epochs_done: u64,
    /// Batches done in the epoch under way.
    pub batches_done_in_epoch: u64,
    /// Optimiser steps taken; Adam's t.
    pub optimiser_steps: u64,
    /// Steps left out because the gradient was not finite.
    pub skipped_steps: u64,
    /// The best epoch so far.
    pub best_epoch: Option<u64>,
    /// What made it the best: the accuracy, %, or the loss of models without one.
    #[serde(with = "exact_float::option", rename = "best_accuracy")]
    pub best_score: Option<f64>,
    /// Running sums needed to finish a half-done epoch (loss, correct answers, spikes ...).
    #[serde(with = "exact_float::map")]
    pub epoch_sums: BTreeMap<String, f64>,
    /// Seconds trained, over all sessions of the run.
    #[serde(with = "exact_float")]
    pub elapsed_seconds: f64,
    /// Length of `metrics.jsonl` at this checkpoint, bytes.
    pub metrics_bytes: u64,
    /// Length of `steps.jsonl` at this checkpoint, bytes; 0 in runs of versions without that file.
    #[serde(default)]
    pub steps_bytes: u64,
}

/// All that is needed to go on with a run as if it had not stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Stored weights by name.
    pub weights: BTreeMap<String, Tensor>,
    /// Adam's first moments, of the trained weights; empty for other optimisers.
    pub adam_m: BTreeMap<String, Tensor>,
    /// Adam's second moments, of the same weights as `adam_m`.
    pub adam_v: BTreeMap<String, Tensor>,
    /// How far the run has come.
    pub progress: Progress,
    /// SHA-256 of the resolved configuration, hexadecimal.
    pub config_sha256: String,
    /// SHA-256 of the data set, hexadecimal.
    pub data_sha256: String,
}

/// The JSON under [`METADATA_KEY`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u64,
    content_sha256: String,
    config_sha256: String,
    data_sha256: String,
    progress: Progress,
}

/// The one header field that any version must have; read first, for a clear message.
#[derive(Deserialize)]
struct HeaderFormat {
    format: u64,
}

/// Epochs done by the checkpoint in `path`, of which only the header is read; none where there is no
/// readable checkpoint.
pub fn epochs_done(path: &Path) -> Option<u64> {
    const MOST_HEADER_BYTES: u64 = 16 << 20;
    let mut file = fs::File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(MOST_HEADER_BYTES))
        .read_to_end(&mut header)
        .ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let ours = header["__metadata__"][METADATA_KEY].as_str()?;
    let header: Header = serde_json::from_str(ours).ok()?;
    Some(header.progress.epochs_done)
}

impl Checkpoint {
    /// Writes the checkpoint, all or nothing. Equal checkpoints give equal files.
    ///
    /// # Errors
    /// [`CheckpointError`] where a tensor's shape and length disagree, a moment belongs to no
    /// weight, or the file cannot be written. Non-finite values are written: the last state of a
    /// diverged run is worth a look.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        self.check_tensors(path)?;
        let tensors: BTreeMap<String, (&Tensor, Vec<u8>)> = self
            .named_tensors()
            .map(|(name, tensor)| {
                let bytes = tensor
                    .data
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                (name, (tensor, bytes))
            })
            .collect();
        let mut views = BTreeMap::new();
        for (name, (tensor, bytes)) in &tensors {
            let view =
                TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(|source| {
                    CheckpointError::Container {
                        path: path.into(),
                        source,
                    }
                })?;
            views.insert(name.as_str(), view);
        }
        let mut header = Header {
            format: FORMAT,
            content_sha256: String::new(),
            config_sha256: self.config_sha256.clone(),
            data_sha256: self.data_sha256.clone(),
            progress: self.progress.clone(),
        };
        let bad_header = |source| CheckpointError::Header {
            path: path.into(),
            source,
        };
        let unhashed = serde_json::to_vec(&header).map_err(bad_header)?;
        header.content_sha256 = content_sha256(&unhashed, &views);
        let json = serde_json::to_string(&header).map_err(bad_header)?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), json)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|source| {
            CheckpointError::Container {
                path: path.into(),
                source,
            }
        })?;
        Ok(files::write_atomic(path, &bytes)?)
    }

    /// Reads a checkpoint and checks everything that can be checked without the configuration.
    ///
    /// # Errors
    /// [`CheckpointError`] where the file is unreadable, of another kind or format, damaged
    /// anywhere, inconsistent, or holds non-finite values that are not allowed.
    pub fn load(path: &Path, non_finite: NonFinite) -> Result<Self, CheckpointError> {
        let bytes = fs::read(path).map_err(FileError::io("read", path))?;
        let container = |source| CheckpointError::Container {
            path: path.into(),
            source,
        };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(container)?;
        let json = metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(METADATA_KEY))
            .ok_or_else(|| CheckpointError::NotACheckpoint { path: path.into() })?;
        let bad_header = |source| CheckpointError::Header {
            path: path.into(),
            source,
        };
        let HeaderFormat { format } = serde_json::from_str(json).map_err(bad_header)?;
        if format != FORMAT {
            return Err(CheckpointError::Format {
                path: path.into(),
                found: format,
            });
        }
        let header: Header = serde_json::from_str(json).map_err(bad_header)?;
        // The hash is that of the header as it was written, which may lack fields added since.
        let mut unhashed: Map<String, Value> = serde_json::from_str(json).map_err(bad_header)?;
        unhashed.insert("content_sha256".to_owned(), Value::from(""));
        let unhashed = Value::Object(unhashed).to_string();

        let archive = SafeTensors::deserialize(&bytes).map_err(container)?;
        let views: BTreeMap<&str, TensorView<'_>> = archive.iter().collect();
        if content_sha256(unhashed.as_bytes(), &views) != header.content_sha256 {
            return Err(CheckpointError::Damaged { path: path.into() });
        }

        let mut checkpoint = Self {
            weights: BTreeMap::new(),
            adam_m: BTreeMap::new(),
            adam_v: BTreeMap::new(),
            progress: header.progress,
            config_sha256: header.config_sha256,
            data_sha256: header.data_sha256,
        };
        for (name, view) in views {
            let (group, key) = if let Some(key) = name.strip_prefix(WEIGHT) {
                (&mut checkpoint.weights, key)
            } else if let Some(key) = name.strip_prefix(ADAM_M) {
                (&mut checkpoint.adam_m, key)
            } else if let Some(key) = name.strip_prefix(ADAM_V) {
                (&mut checkpoint.adam_v, key)
            } else {
                return Err(bad_tensor(
                    path,
                    name,
                    "is neither a weight nor a moment of Adam".into(),
                ));
            };
            if view.dtype() != Dtype::F32 {
                return Err(bad_tensor(
                    path,
                    name,
                    format!("is {}, not F32", view.dtype()),
                ));
            }
            group.insert(key.to_owned(), read_tensor(path, name, &view, non_finite)?);
        }
        checkpoint.check_tensors(path)?;
        Ok(checkpoint)
    }

    /// Checks that the checkpoint belongs to this configuration and these data, before a resume.
    ///
    /// # Errors
    /// [`CheckpointError::OtherRun`] says which of the two differs; `path` is for that message.
    pub fn check_hashes(
        &self,
        path: &Path,
        config_sha256: &str,
        data_sha256: &str,
    ) -> Result<(), CheckpointError> {
        for (what, found, expected) in [
            ("configuration", &self.config_sha256, config_sha256),
            ("data", &self.data_sha256, data_sha256),
        ] {
            if found != expected {
                let (found, expected) = (found.clone(), expected.to_owned());
                return Err(CheckpointError::OtherRun {
                    path: path.into(),
                    what,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    fn named_tensors(&self) -> impl Iterator<Item = (String, &Tensor)> {
        [
            (WEIGHT, &self.weights),
            (ADAM_M, &self.adam_m),
            (ADAM_V, &self.adam_v),
        ]
        .into_iter()
        .flat_map(|(prefix, group)| {
            group
                .iter()
                .map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
        })
    }

    /// What must hold on writing and on reading: lengths fit shapes, moments come in pairs and
    /// have the shape of their weight.
    fn check_tensors(&self, path: &Path) -> Result<(), CheckpointError> {
        for (name, Tensor { shape, data }) in self.named_tensors() {
            if element_count(shape) != Some(data.len()) {
                return Err(bad_tensor(
                    path,
                    &name,
                    format!(
                        "has shape {shape:?} but {}",
                        count(data.len(), "value", "values")
                    ),
                ));
            }
        }
        for (prefix, moments, other_prefix, others) in [
            (ADAM_M, &self.adam_m, ADAM_V, &self.adam_v),
            (ADAM_V, &self.adam_v, ADAM_M, &self.adam_m),
        ] {
            for (name, moment) in moments {
                let problem = match self.weights.get(name) {
                    None => format!("belongs to no weight: `{WEIGHT}{name}` is missing"),
                    Some(weight) if weight.shape != moment.shape => {
                        format!(
                            "has shape {:?}, but its weight has {:?}",
                            moment.shape, weight.shape
                        )
                    }
                    Some(_) if !others.contains_key(name) => {
                        format!("has no partner `{other_prefix}{name}`")
                    }
                    Some(_) => continue,
                };
                return Err(bad_tensor(path, &format!("{prefix}{name}"), problem));
            }
        }
        Ok(())
    }
}

/// SHA-256 over the header as JSON (its own hash left empty) and every tensor's name, type, shape and
/// bytes. Lengths go in too, so that no two contents give the same stream of bytes.
fn content_sha256(header: &[u8], tensors: &BTreeMap<&str, TensorView<'_>>) -> String {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(header);
    for (name, view) in tensors {
        field(name.as_bytes());
        field(format!("{} {:?}", view.dtype(), view.shape()).as_bytes());
        field(view.data());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |count, length| count.checked_mul(*length))
}

fn bad_tensor(path: &Path, name: &str, problem: String) -> CheckpointError {
    CheckpointError::Tensor {
        path: path.into(),
        name: name.to_owned(),
        problem,
    }
}
