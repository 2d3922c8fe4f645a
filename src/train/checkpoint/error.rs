//! What can be wrong with a checkpoint.

use std::path::PathBuf;

use safetensors::SafeTensorError;

use super::FORMAT;
use crate::fault::{Blame, Fault};
use crate::files::FileError;

/// A checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no safetensors file, or was cut short or damaged.
    #[error("{}: not a readable safetensors file ({source}); use another checkpoint (--checkpoint best or initial), or train again", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What the safetensors reader found.
        source: SafeTensorError,
    },
    /// A safetensors file, but not one that this program wrote.
    #[error("{}: a safetensors file, but not a checkpoint of dalenet; begin a run with it: dalenet import", path.display())]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// Written by a version of the program with another layout.
    #[error("{}: checkpoint format {found}, but this program reads format {FORMAT}; use the version of dalenet that wrote it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
    },
    /// The progress in the header is not as this program writes it.
    #[error("{}: its header is damaged ({source}); use another checkpoint (--checkpoint best or initial), or train again", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Which field, and why.
        source: serde_json::Error,
    },
    /// The content does not match its checksum.
    #[error("{}: content does not match its checksum, so the file is damaged; use another checkpoint (--checkpoint best or initial)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A tensor is not what it has to be.
    #[error("{}: tensor `{name}` {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// What is wrong with it, with the numbers.
        problem: String,
    },
    /// A tensor holds NaN or infinity.
    #[error(
        "{}: tensor `{name}` holds NaN or infinite values ({count} in all, the first, {value}, at index {index}): \
         use another checkpoint, e.g. with --checkpoint best",
        path.display()
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// How many values are NaN or infinite.
        count: usize,
        /// Flat index of the first one.
        index: usize,
        /// The first one.
        value: f64,
    },
    /// No tensor in the file can be a weight.
    #[error("{}: no float32 or float64 tensor in it (found: {found})", path.display())]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// Names and types of what there is.
        found: String,
    },
    /// The checkpoint belongs to another configuration or data set.
    #[error(
        "{}: belongs to a run with other {what} (SHA-256 {found}, now {expected}); give the {what} that the run was trained with",
        path.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// `configuration` or `data`.
        what: &'static str,
        /// The hash in the checkpoint.
        found: String,
        /// The hash of what is used now.
        expected: String,
    },
}

impl Blame for CheckpointError {
    fn fault(&self) -> Fault {
        match self {
            Self::OtherRun { .. } | Self::NoWeights { .. } => Fault::User,
            _ => Fault::Program,
        }
    }
}
