//! One run from its creation to its end: which files are written, in which order.
//!
//! The order makes every instant safe. At the start the configuration comes last, since a folder
//! with one is a run; before it the checkpoint is there that a resume needs. Later, metrics are
//! synced before the checkpoint that counts them is renamed into place: a resume cuts metrics and steps
//! back to its checkpoint and does the rest again, the same.

use std::path::Path;

use super::checkpoint::{Checkpoint, CheckpointError, NonFinite, Progress, Tensors};
use super::manifest::{Manifest, ManifestError, Status};
use super::metrics::EpochMetrics;
use super::model::{ModelError, ModelState};
use super::run_folder::{RunFiles, RunFolder, RunFolderError};
use super::steps::StepRecord;
use crate::config::{self, Settings};
use crate::fault::{Blame, Fault};
use crate::files::{self, FileError, LineFile};

/// A run could not be started, continued or recorded.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The run folder.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Another file of the run.
    #[error(transparent)]
    File(#[from] FileError),
    /// Metrics could not be written as JSON.
    #[error("the metrics of epoch {epoch} cannot be written as JSON: {source}")]
    Metrics {
        /// The epoch.
        epoch: u64,
        /// What the writer said.
        source: serde_json::Error,
    },
    /// The model failed: its engine or its data.
    #[error("{0}")]
    Model(ModelError),
    /// The thread that makes batches ended early.
    #[error("the thread that encodes batches ended early; resume the run")]
    Prefetch,
}

impl TrainError {
    /// Whether another process has the folder.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::RunFolder(RunFolderError::Locked { .. }))
    }
}

impl Blame for TrainError {
    fn fault(&self) -> Fault {
        match self {
            Self::RunFolder(error) => error.fault(),
            Self::Checkpoint(error) => error.fault(),
            Self::Model(error) => error.fault(),
            Self::Manifest(_) | Self::File(_) | Self::Metrics { .. } | Self::Prefetch => {
                Fault::Program
            }
        }
    }
}

/// A run that this process may write to.
#[derive(Debug)]
pub struct Session {
    folder: RunFolder,
    manifest: Manifest,
    progress: Progress,
    config_sha256: String,
    data_sha256: String,
    /// `steps.jsonl`, once a step was made.
    steps: Option<LineFile>,
}

/// Digits of a run's hash in the lines of its files.
const MARK_DIGITS: usize = 12;

/// The first digits of the hash of a run of `config`, which every line of its files carries.
pub fn run_mark(config: &impl Settings) -> String {
    mark_of(run_sha256(config))
}

/// The first digits of a run's hash.
pub fn mark_of(mut run_sha256: String) -> String {
    run_sha256.truncate(MARK_DIGITS);
    run_sha256
}

/// SHA-256 of a configuration but for the number of epochs: equal for runs that go the same way,
/// so that one can be made longer.
pub fn run_sha256(config: &impl Settings) -> String {
    let mut config = config.clone();
    config.set_epochs(0);
    config::sha256(&config)
}

impl Session {
    /// Makes the folder of a new run: initial weights, a checkpoint of the start, manifest and
    /// configuration. `manifest` must name the data; its seeds and hash of the configuration are
    /// filled in here.
    ///
    /// # Errors
    /// The folder holds a run and `force` is not set, is in use, or cannot be written.
    pub fn create(
        path: &Path,
        force: bool,
        config: &impl Settings,
        mut manifest: Manifest,
        state: ModelState,
    ) -> Result<Self, TrainError> {
        let folder = RunFolder::create(path, force)?;
        manifest.seeds = config.seeds();
        manifest.config_sha256 = config::sha256(config);
        let session = Self {
            progress: Progress::default(),
            config_sha256: run_sha256(config),
            data_sha256: manifest.data_sha256.clone(),
            manifest,
            folder,
            steps: None,
        };
        let files = session.folder.files();
        let checkpoint = session.checkpoint(state);
        checkpoint.save(&files.initial())?;
        checkpoint.save(&files.last())?;
        session.manifest.save(&files.manifest())?;
        let json = config::to_pretty_json(config);
        files::write_atomic(&files.config(), json.as_bytes())?;
        Ok(session)
    }

    /// Opens an existing run at its last checkpoint, which must belong to `config` and data of
    /// this hash; cuts the metrics back to it.
    ///
    /// # Errors
    /// No run, a run in use, a damaged file, or another configuration or data.
    pub fn open(
        path: &Path,
        config: &impl Settings,
        data_sha256: &str,
    ) -> Result<(Self, ModelState), TrainError> {
        let folder = RunFolder::open(path)?;
        let last = folder.files().last();
        let checkpoint = Checkpoint::load(&last, NonFinite::Refuse)?;
        let config_sha256 = run_sha256(config);
        checkpoint.check_hashes(&last, &config_sha256, data_sha256)?;
        let manifest = Manifest::load(&folder.files().manifest())?;
        folder.truncate_metrics(checkpoint.progress.metrics_bytes)?;
        folder.truncate_steps(checkpoint.progress.steps_bytes)?;
        let session = Self {
            folder,
            manifest,
            config_sha256,
            data_sha256: data_sha256.to_owned(),
            progress: checkpoint.progress,
            steps: None,
        };
        let state = ModelState {
            weights: checkpoint.weights,
            adam_m: checkpoint.adam_m,
            adam_v: checkpoint.adam_v,
            optimiser_steps: session.progress.optimiser_steps,
        };
        Ok((session, state))
    }

    /// Records that the run goes on, on the device that `update` fills in, and that it is to last
    /// as many epochs as `config` says.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn go_on(
        &mut self,
        config: &impl Settings,
        note: &str,
        update: impl FnOnce(&mut Manifest),
    ) -> Result<(), TrainError> {
        update(&mut self.manifest);
        let device = self.manifest.device.name.clone();
        self.manifest.resume(&device, note);
        self.manifest.config_sha256 = config::sha256(config);
        let json = config::to_pretty_json(config);
        files::write_atomic(&self.files().config(), json.as_bytes())?;
        Ok(self.manifest.save(&self.files().manifest())?)
    }

    /// The files of the run.
    pub fn files(&self) -> &RunFiles {
        self.folder.files()
    }

    /// What ran where.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// First digits of the run's hash, for the lines of its files.
    pub fn mark(&self) -> &str {
        self.config_sha256.get(..MARK_DIGITS).unwrap_or_default()
    }

    /// How far the run has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How far the run has come, to be brought up to date.
    pub fn progress_mut(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// Appends the metrics of an epoch, synced; the next checkpoint counts them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, metrics: &EpochMetrics) -> Result<(), TrainError> {
        let mut metrics = metrics.clone();
        metrics.run = self.mark().to_owned();
        let line = metrics
            .to_json_line()
            .map_err(|source| TrainError::Metrics {
                epoch: metrics.epoch(),
                source,
            })?;
        self.progress.metrics_bytes = self.folder.append_metrics(&line)?;
        Ok(())
    }

    /// Appends the record of an optimiser step; the next checkpoint syncs and counts it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append_step(&mut self, step: &StepRecord) -> Result<(), TrainError> {
        let line = serde_json::to_string(step).map_err(|source| TrainError::Metrics {
            epoch: step.epoch,
            source,
        })?;
        let file = match &mut self.steps {
            Some(file) => file,
            none => none.insert(LineFile::open(&self.folder.files().steps())?),
        };
        self.progress.steps_bytes = file.append(&line)?;
        Ok(())
    }

    /// Writes the checkpoint from which a resume goes on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_last(&self, state: ModelState) -> Result<(), TrainError> {
        // A checkpoint never counts lines that a power cut could still take.
        if let Some(steps) = &self.steps {
            steps.sync()?;
        }
        Ok(self.checkpoint(state).save(&self.files().last())?)
    }

    /// Writes the checkpoint of the best epoch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_best(&self, state: ModelState) -> Result<(), TrainError> {
        Ok(self.checkpoint(state).save(&self.files().best())?)
    }

    /// Writes the weights after the epochs done as a checkpoint that is kept for good; without moments of the optimiser,
    /// for no run goes on from it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_kept(&self, state: ModelState) -> Result<(), TrainError> {
        let path = self.files().kept(self.progress.epochs_done);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(FileError::io("create folder", folder))?;
        }
        let weights_alone = ModelState {
            adam_m: Tensors::new(),
            adam_v: Tensors::new(),
            ..state
        };
        Ok(self.checkpoint(weights_alone).save(&path)?)
    }

    /// Records the end of the session and why.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn end(
        &mut self,
        status: Status,
        notes: impl IntoIterator<Item = String>,
    ) -> Result<(), TrainError> {
        self.manifest.notes.extend(notes);
        self.manifest.end(status);
        Ok(self.manifest.save(&self.files().manifest())?)
    }

    fn checkpoint(&self, state: ModelState) -> Checkpoint {
        Checkpoint {
            weights: state.weights,
            adam_m: state.adam_m,
            adam_v: state.adam_v,
            progress: self.progress.clone(),
            config_sha256: self.config_sha256.clone(),
            data_sha256: self.data_sha256.clone(),
        }
    }
}
