//! What can be wrong with a case.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::fault::{Blame, Fault, always};

/// Why a file is no usable case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is not a case.
    #[error("{path}: not a golden case: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A case of a family that cannot be run.
    #[error("{path}: family {family:?}, which cannot be run; these can: {known}")]
    Family {
        /// The file.
        path: PathBuf,
        /// Its family.
        family: String,
        /// The families that can be run.
        known: String,
    },
    /// A setting is missing, or nobody here knows what it means.
    #[error("{path}: setting `{key}` {problem}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor is missing or wrong.
    #[error("{path}: tensor `{name}` {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The case's settings are impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

always!(CaseError => User);

/// A case could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// It is no usable case.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The engine failed.
    #[error("{0}")]
    Engine(Box<dyn Blame>),
}

impl Blame for ParityError {
    fn fault(&self) -> Fault {
        match self {
            Self::Case(error) => error.fault(),
            Self::Engine(error) => error.fault(),
        }
    }
}
