//! Files that are made of a run's network and of nothing else: which network, and whether it is still the newest.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fault::{Blame, Fault};
use crate::files::FileError;

/// A file of a run could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what its name says.
    #[error("{}: {problem}; the file is damaged: make it again with `{remedy}`, or restore it from a copy", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the JSON reader said.
        problem: String,
        /// The command that writes the file.
        remedy: &'static str,
    },
}

impl Blame for ReadError {
    fn fault(&self) -> Fault {
        match self {
            Self::File(error) => error.fault(),
            // A file of a run that somebody changed.
            Self::Malformed { .. } => Fault::User,
        }
    }
}

/// What a file says of the network it was made of.
#[derive(Clone, Debug, Deserialize)]
pub struct Origin {
    /// Version of the file's layout.
    pub format: u64,
    /// `last`, `best` or `initial`.
    pub checkpoint: String,
    /// Epochs trained.
    pub epoch: u64,
    /// SHA-256 of the run's configuration.
    pub config_sha256: String,
    /// SHA-256 of the data.
    pub data_sha256: String,
}

impl Origin {
    /// How this differs from what is expected; none where it does not.
    fn difference(&self, expected: &Self) -> Option<String> {
        if self.format != expected.format {
            return Some(format!(
                "has format {}, and this version reads {}",
                self.format, expected.format
            ));
        }
        if self.config_sha256 != expected.config_sha256 {
            return Some("belongs to a run with another configuration".into());
        }
        if self.data_sha256 != expected.data_sha256 {
            return Some("belongs to a run on other data".into());
        }
        if self.checkpoint != expected.checkpoint {
            return Some(format!("belongs to the {} checkpoint", self.checkpoint));
        }
        (self.epoch != expected.epoch).then(|| {
            format!(
                "was made after epoch {}, and the weights are those of epoch {}",
                self.epoch, expected.epoch
            )
        })
    }
}

/// Reads a JSON file of layout `format` that need not be there and must be made of the network `expected`; one that
/// is not is named in `left_out`. `command` makes the file.
///
/// # Errors
/// A file that cannot be read, or is damaged.
pub fn read<T: DeserializeOwned>(
    path: &Path,
    format: u64,
    expected: &Origin,
    command: &'static str,
    left_out: &mut Vec<String>,
) -> Result<Option<T>, ReadError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io("read", path)(error).into()),
    };
    let malformed = |e: serde_json::Error| ReadError::Malformed {
        path: path.into(),
        problem: e.to_string(),
        remedy: command,
    };
    let origin: Origin = serde_json::from_slice(&bytes).map_err(malformed)?;
    let expected = Origin {
        format,
        ..expected.clone()
    };
    if let Some(difference) = origin.difference(&expected) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        left_out.push(format!(
            "{name} {difference}; recreate it with `{command} {}`",
            path.parent().unwrap_or(Path::new(".")).display()
        ));
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(malformed)
}
