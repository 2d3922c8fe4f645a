//! Everything a run folder holds, read: what reports and tables are made of. Folders of runs under
//! way may be read, too.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::analysis::record::{FORMAT, LoopSweep, RunAnalysis, SWEEP_FORMAT};
use crate::families::{self, Config, StoredRun};
use crate::fault::{Blame, Fault};
use crate::files::FileError;
use crate::train::checkpoint::epochs_done;
use crate::train::manifest::{Manifest, ManifestError};
use crate::train::metrics::EpochMetrics;
use crate::train::run_folder::{RunFiles, RunFolderError};
use crate::train::session::mark_of;
use crate::train::steps::StepRecord;
use crate::train::stored::StoredRunError;

/// A run folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No run, or a damaged configuration.
    #[error(transparent)]
    Stored(#[from] StoredRunError),
    /// Damaged metrics.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
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

impl Blame for RecordError {
    fn fault(&self) -> Fault {
        match self {
            Self::Stored(error) => error.fault(),
            Self::RunFolder(error) => error.fault(),
            Self::File(error) => error.fault(),
            // A file of a run that somebody changed.
            Self::Malformed { .. } | Self::Manifest(_) => Fault::User,
        }
    }
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
    /// The analysis of the newest epoch, where there is one.
    pub analysis: Option<RunAnalysis>,
    /// The grid of loop multipliers of the newest epoch, where there is one.
    pub sweep: Option<LoopSweep>,
    /// A sentence on each file that is there and does not belong to this run or not to its newest
    /// epoch. Nothing of it is above.
    pub left_out: Vec<String>,
}

impl RunRecord {
    /// Reads the run in `folder`. A file of another run, or of an earlier epoch than the newest, is
    /// left out and named.
    ///
    /// # Errors
    /// No run, or a file of it that is damaged.
    pub fn load(folder: &Path) -> Result<Self, RecordError> {
        Self::of(families::open(folder)?)
    }

    /// As [`load`](Self::load), of a run that is open already.
    ///
    /// # Errors
    /// A file of it that is damaged.
    pub fn of(run: StoredRun) -> Result<Self, RecordError> {
        let StoredRun {
            files,
            config,
            manifest,
        } = run;
        let manifest = manifest?;
        let table = config.family().metrics();
        let lines = files.read_metrics()?;
        let epochs = lines.into_iter().map(|line| {
            EpochMetrics::from_json(&line, table).map_err(|e| RecordError::Malformed {
                path: files.metrics(),
                problem: e.to_string(),
                remedy: "dalenet train, in a new folder",
            })
        });
        let mut epochs = epochs.collect::<Result<Vec<EpochMetrics>, _>>()?;
        let mut steps = read_steps(&files.steps())?;
        let mark = mark_of(config.run_sha256());
        // Lines of older versions carry no mark and are believed.
        let is_own = |line: &str| line.is_empty() || line == mark;
        let mut left_out = Vec::new();
        if !epochs.iter().all(|epoch| is_own(&epoch.run)) {
            epochs.clear();
            left_out.push("metrics.jsonl belongs to another run".to_owned());
        }
        if !steps.iter().all(|step| is_own(&step.run)) {
            steps.clear();
            left_out.push("steps.jsonl belongs to another run".to_owned());
        }
        let expected = Origin {
            format: 0,
            checkpoint: "last".into(),
            // The weights that a new analysis would be of; where they are not there, the newest epoch measured.
            epoch: epochs_done(&files.last())
                .or_else(|| epochs.last().map(|epoch| epoch.epoch()))
                .unwrap_or(0),
            config_sha256: config.run_sha256(),
            data_sha256: manifest.data_sha256.clone(),
        };
        let origin = |format| Origin {
            format,
            ..expected.clone()
        };
        let analysis = read_belonging(
            &files.analysis(),
            &origin(FORMAT),
            "dalenet analyse",
            &mut left_out,
        )?;
        let sweep = read_belonging(
            &files.sweep(),
            &origin(SWEEP_FORMAT),
            "dalenet sweep",
            &mut left_out,
        )?;
        Ok(Self {
            config,
            manifest,
            epochs,
            steps,
            analysis,
            sweep,
            left_out,
            files,
        })
    }

    /// Measures of the newest epoch.
    pub fn last(&self) -> Option<&EpochMetrics> {
        self.epochs.last()
    }

    /// Measures of the best epoch; the untrained network is none.
    pub fn best(&self) -> Option<&EpochMetrics> {
        self.epochs.iter().rev().find(|epoch| epoch.is_best())
    }
}

/// What a file says of the network it was made of.
#[derive(Clone, Debug, Deserialize)]
struct Origin {
    format: u64,
    checkpoint: String,
    epoch: u64,
    config_sha256: String,
    data_sha256: String,
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

/// Reads a JSON file that need not be there and must belong to the run; one that does not is named in
/// `left_out`.
fn read_belonging<T: DeserializeOwned>(
    path: &Path,
    expected: &Origin,
    command: &'static str,
    left_out: &mut Vec<String>,
) -> Result<Option<T>, RecordError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io("read", path)(error).into()),
    };
    let malformed = |e: serde_json::Error| RecordError::Malformed {
        path: path.into(),
        problem: e.to_string(),
        remedy: command,
    };
    let origin: Origin = serde_json::from_slice(&bytes).map_err(malformed)?;
    if let Some(difference) = origin.difference(expected) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        left_out.push(format!(
            "{name} {difference}; recreate it with `{command} {}`",
            path.parent().unwrap_or(Path::new(".")).display()
        ));
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(malformed)
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
            remedy: "dalenet train, in a new folder",
        })
    };
    whole.lines().enumerate().map(parse).collect()
}
