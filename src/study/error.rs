//! What can be wrong with a study, in words that name the place and the way out.

use std::path::PathBuf;

use serde_json::Value;

use crate::config::{ConfigError, shown};
use crate::fault::{Blame, Fault};
use crate::files::FileError;

/// A study could not be read, begun or collected.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The path does not exist and names no built-in study.
    #[error("{}: no such file, nor a built-in study (these are: {builtins})", path.display())]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
        /// Names of the built-in studies.
        builtins: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is far larger than any study.
    #[error("{}: larger than {limit_bytes} bytes, which no study needs", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Largest size accepted.
        limit_bytes: u64,
    },
    /// The text is not JSON, or the configuration of base or cells is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key of the study is unknown or its value not allowed.
    #[error("{file}: {key} = {value}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Path of the key, as `axes[0].values[2]`.
        key: String,
        /// The offending value as JSON, shortened if long.
        value: String,
        /// What is allowed instead.
        message: String,
    },
    /// More combinations than anyone runs.
    #[error(
        "{file}: the number of cells is {cells}, and at most {most} are allowed; remove values, or split the study"
    )]
    TooManyCells {
        /// The file.
        file: String,
        /// Combinations, in words.
        cells: String,
        /// Most that are allowed.
        most: usize,
    },
    /// Every combination is left out.
    #[error("{file}: `except` excludes every cell; remove some of its entries")]
    NoCells {
        /// The file.
        file: String,
    },
    /// No cell of that name or index.
    #[error(
        "--cell {wanted}: no such cell; give an index from 0 to {last_index} or a name, e.g. `{first}`"
    )]
    NoCell {
        /// What was asked for.
        wanted: String,
        /// The largest index.
        last_index: usize,
        /// Name of the first cell.
        first: String,
    },
    /// The folder holds no study.
    #[error("{} holds no study (no study.json); check the path", folder.display())]
    NoStudy {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds another study.
    #[error(
        "{} holds a study that differs:\n  {differences}\nChoose another folder with --out, or change the study file back",
        folder.display()
    )]
    OtherStudy {
        /// The folder.
        folder: PathBuf,
        /// What differs, a line each.
        differences: String,
    },
    /// A table could not be written as CSV.
    #[error("a table cannot be written as CSV: {0}")]
    Table(#[from] csv::Error),
    /// A cell's process could not be started.
    #[error("cannot start {} for cell {cell}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The cell.
        cell: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl Blame for StudyError {
    fn fault(&self) -> Fault {
        match self {
            Self::File(_) | Self::Table(_) | Self::Start { .. } => Fault::Program,
            _ => Fault::User,
        }
    }
}

/// A key whose value is not allowed.
pub(super) fn invalid(
    source: &str,
    key: &str,
    value: &Value,
    message: impl Into<String>,
) -> StudyError {
    StudyError::Invalid {
        file: source.to_owned(),
        key: key.to_owned(),
        value: shown(&value.to_string()),
        message: message.into(),
    }
}

/// Refuses names that cannot be parts of folder names.
pub(super) fn check_name(source: &str, key: &str, name: &str) -> Result<(), StudyError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if !name.is_empty() && name.len() <= 80 && !name.starts_with('.') && name.chars().all(plain) {
        return Ok(());
    }
    Err(invalid(
        source,
        key,
        &name.into(),
        "must be 1 to 80 of A-Z, a-z, 0-9, '.', '-' and '_' and not begin with '.'",
    ))
}
