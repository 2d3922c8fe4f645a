//! Everything a run folder holds, read: what reports and tables are made of. Folders of runs under
//! way may be read, too.

use std::path::Path;

use crate::analysis::answers::Answers;
use crate::families::{self, Config, Findings, StoredRun};
use crate::fault::{Blame, Fault};
use crate::files::FileError;
use crate::train::checkpoint::epochs_done;
use crate::train::manifest::{Manifest, ManifestError};
use crate::train::metrics::EpochMetrics;
use crate::train::origin::{self, Origin, ReadError};
use crate::train::run_folder::{RunFiles, RunFolderError};
use crate::train::session::mark_of;
use crate::train::spectra::{self, TrainingSpectra};
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
    /// Another file.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Blame for RecordError {
    fn fault(&self) -> Fault {
        match self {
            Self::Stored(error) => error.fault(),
            Self::RunFolder(error) => error.fault(),
            Self::Read(error) => error.fault(),
            // A file of a run that somebody changed.
            Self::Manifest(_) => Fault::User,
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
    /// What was measured on the network of the newest epoch.
    pub findings: Findings,
    /// Spectra of its matrices along training, where they were computed.
    pub spectra: Option<TrainingSpectra>,
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
            EpochMetrics::from_json(&line, table).map_err(|e| ReadError::Malformed {
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
        let findings = Findings::read(config.family(), &files, &expected, &mut left_out)?;
        let spectra = origin::read(
            &files.spectra(),
            spectra::FORMAT,
            &expected,
            "dalenet spectra",
            &mut left_out,
        )?;
        Ok(Self {
            config,
            manifest,
            epochs,
            steps,
            findings,
            spectra,
            left_out,
            files,
        })
    }

    /// Measures of the newest epoch.
    pub fn last(&self) -> Option<&EpochMetrics> {
        self.epochs.last()
    }

    /// The answers of the newest epoch to the test samples.
    pub fn answers(&self) -> Option<Answers<'_>> {
        self.findings.answers()
    }

    /// Measures of the best epoch; the untrained network is none.
    pub fn best(&self) -> Option<&EpochMetrics> {
        self.epochs.iter().rev().find(|epoch| epoch.is_best())
    }
}

/// Reads the steps; a last line without line end was cut off while it was written.
fn read_steps(path: &Path) -> Result<Vec<StepRecord>, ReadError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("read", path)(error).into()),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| ReadError::Malformed {
            path: path.into(),
            problem: format!("line {}: {e}", number + 1),
            remedy: "dalenet train, in a new folder",
        })
    };
    whole.lines().enumerate().map(parse).collect()
}
