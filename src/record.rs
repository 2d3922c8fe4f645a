//! Everything a run folder holds, read: what reports and tables are made of. Folders of runs under
//! way may be read, too.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::analysis::record::{LoopSweep, RunAnalysis};
use crate::config::{self, Config, ConfigError};
use crate::train::files::FileError;
use crate::train::manifest::{Manifest, ManifestError};
use crate::train::metrics::EpochMetrics;
use crate::train::run_folder::{RunFiles, RunFolderError};
use crate::train::steps::StepRecord;

/// A run folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No run, or metrics that are damaged.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what its name says.
    #[error("{}: {problem}; it is written by the program: make it again with {remedy}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the JSON reader said.
        problem: String,
        /// The command that writes the file.
        remedy: &'static str,
    },
}

/// The content of a run folder but for its weights.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Where it lies.
    pub files: RunFiles,
    /// The resolved configuration.
    pub config: Config,
    /// What ran where, and how it ended.
    pub manifest: Manifest,
    /// Every epoch measured, from the untrained network (0) on.
    pub epochs: Vec<EpochMetrics>,
    /// Every optimiser step; empty for runs of older versions.
    pub steps: Vec<StepRecord>,
    /// The analysis of the newest checkpoint, where there is one.
    pub analysis: Option<RunAnalysis>,
    /// The grid of loop multipliers, where there is one.
    pub sweep: Option<LoopSweep>,
}

impl RunRecord {
    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// No run, or a file of it that is damaged.
    pub fn load(folder: &Path) -> Result<Self, RecordError> {
        let files = RunFiles::at(folder);
        if !files.config().is_file() {
            let folder = folder.to_path_buf();
            return Err(RunFolderError::NoRun { folder }.into());
        }
        let lines = files.read_metrics()?;
        let epochs = lines.into_iter().map(|line| {
            serde_json::from_value(line).map_err(|e| RecordError::Malformed {
                path: files.metrics(),
                problem: e.to_string(),
                remedy: "`dalenet train`",
            })
        });
        Ok(Self {
            config: config::load(Some(&files.config()), &[], None)?,
            manifest: Manifest::load(&files.manifest())?,
            epochs: epochs.collect::<Result<_, _>>()?,
            steps: read_steps(&files.steps())?,
            analysis: read_json(&files.analysis(), "`dalenet analyse`")?,
            sweep: read_json(&files.sweep(), "`dalenet sweep`")?,
            files,
        })
    }

    /// Measures of the newest epoch.
    pub fn last(&self) -> Option<&EpochMetrics> {
        self.epochs.last()
    }

    /// Measures of the best epoch; the untrained network is none.
    pub fn best(&self) -> Option<&EpochMetrics> {
        self.epochs.iter().rev().find(|epoch| epoch.best)
    }
}

/// Reads a JSON file that need not be there.
fn read_json<T: DeserializeOwned>(
    path: &Path,
    remedy: &'static str,
) -> Result<Option<T>, RecordError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io("read", path)(error).into()),
    };
    let parsed = serde_json::from_slice(&bytes).map_err(|e| RecordError::Malformed {
        path: path.into(),
        problem: e.to_string(),
        remedy,
    })?;
    Ok(Some(parsed))
}

/// Reads the steps; a last line without line end was cut off while it was written.
fn read_steps(path: &Path) -> Result<Vec<StepRecord>, RecordError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("read", path)(error).into()),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| RecordError::Malformed {
            path: path.into(),
            problem: format!("line {}: {e}", number + 1),
            remedy: "`dalenet train`",
        })
    };
    whole.lines().enumerate().map(parse).collect()
}
