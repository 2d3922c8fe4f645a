//! A run that lies in its folder, to be looked at.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dalenet::conductance::model::weights_of;
use dalenet::conductance::open::DeviceOptions;
use dalenet::conductance::weights::Weights;
use dalenet::config::{self, Config};
use dalenet::experiment::Experiment;
use dalenet::train::checkpoint::{Checkpoint, NonFinite};
use dalenet::train::manifest::Manifest;
use dalenet::train::run_folder::{RunFiles, RunFolderError};
use dalenet::train::session::run_sha256;

use super::arguments::Which;
use super::failure::WrongUse;

/// Configuration and one checkpoint of a run.
pub struct StoredRun {
    /// The resolved configuration.
    pub config: Config,
    /// The file of the checkpoint.
    pub path: PathBuf,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// The configuration of the run in `folder`.
pub fn run_config(folder: &Path) -> Result<Config> {
    let file = RunFiles::at(folder).config();
    if !file.is_file() {
        let folder = folder.to_path_buf();
        return Err(RunFolderError::NoRun { folder }.into());
    }
    Ok(config::load(Some(&file), &[], None)?)
}

/// Where the data of the run in `folder` is: where the user says, else where it was, if anything
/// is still there.
pub fn data_place(folder: &Path, given: Option<PathBuf>) -> Option<PathBuf> {
    let before = || {
        let manifest = Manifest::load(&RunFiles::at(folder).manifest()).ok()?;
        manifest.data_place.filter(|place| place.exists())
    };
    given.or_else(before)
}

impl StoredRun {
    /// Reads the run in `folder`, which may be under way.
    pub fn load(folder: &Path, which: Which) -> Result<Self> {
        let config = run_config(folder)?;
        let files = RunFiles::at(folder);
        let path = match which {
            Which::Last => files.last(),
            Which::Best => files.best(),
            Which::Initial => files.initial(),
        };
        if !path.is_file() {
            return Err(WrongUse(format!(
                "{} does not exist; choose another with --checkpoint last, best or initial",
                path.display()
            ))
            .into());
        }
        let checkpoint = Checkpoint::load(&path, NonFinite::Refuse)?;
        Ok(Self {
            config,
            path,
            checkpoint,
        })
    }

    /// Data and plan of the run, which must be those of the checkpoint, and its weights.
    pub fn experiment(
        &self,
        data: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<(Experiment, Weights)> {
        let experiment = Experiment::prepare(self.config.clone(), data, device)?;
        self.checkpoint.check_hashes(
            &self.path,
            &run_sha256(&self.config),
            &experiment.data_sha256,
        )?;
        let (weights, _) = weights_of(&experiment.params, &self.checkpoint.weights)?;
        Ok((experiment, weights))
    }

    /// The data layer of the network: inputs and classes, as its weights have them.
    pub fn inputs_and_classes(&self) -> Result<(usize, usize)> {
        let axis = |name: &str, axis: usize| {
            let tensor = self.checkpoint.weights.get(name);
            tensor
                .and_then(|tensor| tensor.shape.get(axis).copied())
                .ok_or_else(|| {
                    WrongUse(format!(
                        "{} has no matrix `{name}`; it holds no network of this kind",
                        self.path.display()
                    ))
                })
        };
        Ok((axis("in", 0)?, axis("out", 1)?))
    }
}
