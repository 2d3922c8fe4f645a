//! A run that lies in its folder, opened: what it was configured to do, what ran, and its checkpoints. It may
//! be under way.

use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, CheckpointError, NonFinite};
use super::manifest::{Manifest, ManifestError};
use super::run_folder::{RunFiles, RunFolderError};
use super::session::run_sha256;
use crate::config::{ConfigError, Settings};
use crate::fault::{Blame, Fault};
use crate::text::count;

/// A run cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoredRunError {
    /// There is none.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A checkpoint of it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint that is not there.
    #[error("{} does not exist; choose another with --checkpoint last, best or initial", path.display())]
    NoCheckpoint {
        /// The file.
        path: PathBuf,
    },
}

impl Blame for StoredRunError {
    fn fault(&self) -> Fault {
        match self {
            Self::RunFolder(error) => error.fault(),
            Self::Config(error) => error.fault(),
            Self::Checkpoint(error) => error.fault(),
            Self::NoCheckpoint { .. } => Fault::User,
        }
    }
}

/// The checkpoints of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WhichCheckpoint {
    /// The most recent
    Last,
    /// Of the best epoch
    Best,
    /// Before training
    Initial,
}

impl WhichCheckpoint {
    /// Its name, on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Best => "best",
            Self::Initial => "initial",
        }
    }

    fn of(self, files: &RunFiles) -> PathBuf {
        match self {
            Self::Last => files.last(),
            Self::Best => files.best(),
            Self::Initial => files.initial(),
        }
    }
}

/// A run in its folder, of a family with the configuration `C`.
#[derive(Debug)]
pub struct StoredRun<C> {
    /// Where its files are.
    pub files: RunFiles,
    /// The resolved configuration.
    pub config: C,
    /// What ran. A damaged one is an error only to who needs it.
    pub manifest: Result<Manifest, ManifestError>,
}

/// A checkpoint of a run, read.
#[derive(Debug)]
pub struct StoredCheckpoint {
    /// Which one.
    pub which: WhichCheckpoint,
    /// Its file.
    pub path: PathBuf,
    /// What is in it.
    pub content: Checkpoint,
}

impl<C> StoredRun<C> {
    /// Opens the run in `folder`, whose configuration `load` reads.
    ///
    /// # Errors
    /// No run, or a configuration that is damaged.
    pub fn open(
        folder: &Path,
        load: impl FnOnce(&Path) -> Result<C, ConfigError>,
    ) -> Result<Self, StoredRunError> {
        let files = RunFiles::at(folder);
        if !files.config().is_file() {
            let folder = folder.to_path_buf();
            return Err(RunFolderError::NoRun { folder }.into());
        }
        Ok(Self {
            config: load(&files.config())?,
            manifest: Manifest::load(&files.manifest()),
            files,
        })
    }

    /// The same run with its configuration in another form.
    pub fn with_config<D>(self, config: D) -> StoredRun<D> {
        StoredRun {
            files: self.files,
            config,
            manifest: self.manifest,
        }
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// It does not exist, or is damaged.
    pub fn checkpoint(&self, which: WhichCheckpoint) -> Result<StoredCheckpoint, StoredRunError> {
        let path = which.of(&self.files);
        if !path.is_file() {
            return Err(StoredRunError::NoCheckpoint { path });
        }
        Ok(StoredCheckpoint {
            which,
            content: Checkpoint::load(&path, NonFinite::Refuse)?,
            path,
        })
    }

    /// Where the data is: where the user says, else where it was, if anything is still there.
    pub fn data_place(&self, given: Option<&Path>) -> Option<PathBuf> {
        let before = || {
            let place = self.manifest.as_ref().ok()?.data_place.clone();
            place.filter(|place| place.exists())
        };
        given.map(Path::to_path_buf).or_else(before)
    }
}

/// A checkpoint in words: its file, and the epochs trained.
pub fn checkpoint_fact(path: &Path, epoch: u64) -> (&'static str, String) {
    let epochs = count(epoch as usize, "epoch", "epochs");
    ("checkpoint", format!("{} (after {epochs})", path.display()))
}

impl StoredCheckpoint {
    /// Refuses a checkpoint that is not of a run of `config` on data of this hash.
    ///
    /// # Errors
    /// [`CheckpointError::OtherRun`].
    pub fn check(&self, config: &impl Settings, data_sha256: &str) -> Result<(), CheckpointError> {
        (self.content).check_hashes(&self.path, &run_sha256(config), data_sha256)
    }
}
