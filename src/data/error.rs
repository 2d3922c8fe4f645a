//! The one error type of the data module.

use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Blame, Fault};
use crate::files::FileError;

/// What can go wrong while data is found, fetched, read, split or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("{path}: cannot {action}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried ("open", "write", ...).
        action: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file's content is not what its format promises.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// An array of an `.npz` file is missing, or its type, shape or values do not fit.
    #[error("{path}: array `{array}`: {problem}")]
    Array {
        /// The `.npz` file.
        path: PathBuf,
        /// The array's name.
        array: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// No folder that was looked at holds the four MNIST files.
    #[error(
        "MNIST was not found. Looked in:\n{}\nFetch it with `dalenet data fetch mnist`, name its folder with \
         `--data DIR` or DALENET_DATA, or use the built-in synthetic digits: `--set data.dataset=digits --set data.subset=stratified` (`data.images.…` in \
         families that have other data, too).",
        list(looked_in)
    )]
    MnistNotFound {
        /// Every folder looked at, in order.
        looked_in: Vec<PathBuf>,
    },
    /// A setting has a value that cannot be used.
    #[error("{setting} = {value}: {problem}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// Why it cannot be used, and what can.
        problem: String,
    },
    /// A split does not fit the samples it is used on.
    #[error("split: {0}")]
    Split(String),
    /// An input event of the user's data lies outside the trial.
    #[error(
        "event {event} (input {input}) at {time_ms} ms lies outside the trial of 0 to {duration_ms} ms: \
         remove it, or raise network.duration_ms"
    )]
    EventTime {
        /// Position of the event in its trial.
        event: usize,
        /// Its input.
        input: u32,
        /// Its time.
        time_ms: f64,
        /// Duration of the simulated trial.
        duration_ms: f64,
    },
    /// No mirror gave a file that could be verified.
    #[error("{file} could not be fetched into {folder}:\n  {}\n{by_hand}", attempts.join("\n  "))]
    Fetch {
        /// The file's name.
        file: String,
        /// The folder it was meant for.
        folder: PathBuf,
        /// What happened at each mirror.
        attempts: Vec<String>,
        /// How to get the files without this program.
        by_hand: String,
    },
}

impl Blame for DataError {
    fn fault(&self) -> Fault {
        match self {
            Self::File(error) => error.fault(),
            Self::Fetch { .. } => Fault::Program,
            Self::Io {
                action: "write", ..
            } => Fault::Program,
            _ => Fault::User,
        }
    }
}

impl DataError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> DataError {
        let path = path.to_path_buf();
        move |cause| DataError::Io {
            path,
            action,
            cause,
        }
    }

    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> DataError {
        DataError::Malformed {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }

    pub(crate) fn array(path: &Path, array: &str, problem: impl Into<String>) -> DataError {
        DataError::Array {
            path: path.to_path_buf(),
            array: array.into(),
            problem: problem.into(),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let lines: Vec<String> = paths
        .iter()
        .map(|path| format!("  {}", path.display()))
        .collect();
    lines.join("\n")
}
