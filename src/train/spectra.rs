//! Spectra of a network's matrices along training: the content of a run's `spectra.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, NonFinite, Tensors};
use super::experiment::Prepared;
use super::manifest::program;
use super::metrics::EpochMetrics;
use super::run_folder::{RunFiles, RunFolderError};
use super::session::{TrainError, run_sha256};
use crate::files::write_atomic;
use crate::spectra::MatrixSpectrum;

/// Version of the layout.
pub const FORMAT: u64 = 1;

/// Spectra by the names of matrices.
pub type Spectra = BTreeMap<String, MatrixSpectrum>;

/// The spectra of every checkpoint that was kept, from the first to the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpectra {
    /// [`FORMAT`] at the time of writing.
    pub format: u64,
    /// The newest checkpoint among them: `last`.
    pub checkpoint: String,
    /// Epochs trained.
    pub epoch: u64,
    /// SHA-256 of the run's configuration.
    pub config_sha256: String,
    /// SHA-256 of the data.
    pub data_sha256: String,
    /// Version and commit of the program that computed them.
    pub program: String,
    /// The spectra, by epochs trained.
    pub along: Vec<SpectraAt>,
}

/// The spectra of one checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectraAt {
    /// Epochs trained.
    pub epoch: u64,
    /// Its matrices.
    pub matrices: Spectra,
}

impl TrainingSpectra {
    /// Before training, where there is anything.
    pub fn first(&self) -> Option<&SpectraAt> {
        self.along.first()
    }

    /// Of the newest checkpoint.
    pub fn last(&self) -> Option<&SpectraAt> {
        self.along.last()
    }
}

/// Spectra of all matrices among tensors, as they are stored.
pub fn of_tensors(tensors: &Tensors) -> Spectra {
    let matrices = tensors.iter().filter_map(|(name, tensor)| {
        let [rows, columns] = tensor.shape[..] else {
            return None;
        };
        let entries: Vec<f64> = tensor.data.iter().map(|&w| f64::from(w)).collect();
        let is_matrix = rows * columns > 0;
        is_matrix.then(|| (name.clone(), MatrixSpectrum::of(&entries, [rows, columns])))
    });
    matrices.collect()
}

/// Spectra of the start, of every kept checkpoint and of the last one of the run in `files`, which must be one of
/// `experiment`. None where `go_on`, asked between checkpoints, said no.
///
/// # Errors
/// Metrics or checkpoints that are damaged or of another run, or weights that do not fit.
pub fn along_training<E: Prepared>(
    experiment: &E,
    files: &RunFiles,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<TrainingSpectra>, E::Error> {
    let (config_sha256, data_sha256) = (
        run_sha256(experiment.config()),
        experiment.data().sha256.to_owned(),
    );
    let load = |path: &PathBuf| -> Result<Checkpoint, E::Error> {
        let checkpoint =
            Checkpoint::load(path, NonFinite::Allow).map_err(TrainError::Checkpoint)?;
        let is_own = checkpoint.check_hashes(path, &config_sha256, &data_sha256);
        is_own.map_err(TrainError::Checkpoint)?;
        Ok(checkpoint)
    };
    let last = load(&files.last())?;
    let epoch = last.progress.epochs_done;
    let metrics = metrics_of(experiment, files).map_err(TrainError::RunFolder)?;
    let mut along = Vec::new();
    let is_midway = last.progress.batches_done_in_epoch > 0;
    let spectra_of = |epoch: u64, checkpoint: &Checkpoint| -> Result<Spectra, E::Error> {
        let measured = metrics.iter().find(|metrics| metrics.epoch() == epoch);
        experiment.spectra(&checkpoint.weights, measured)
    };
    if (epoch > 0 || is_midway) && files.initial().is_file() {
        let matrices = spectra_of(0, &load(&files.initial())?)?;
        along.push(SpectraAt { epoch: 0, matrices });
    }
    for (kept, path) in files.all_kept() {
        if !go_on() {
            return Ok(None);
        }
        // What a run that was cut back has left behind is not yet true again.
        if kept < epoch || (kept == epoch && is_midway) {
            let matrices = spectra_of(kept, &load(&path)?)?;
            let epoch = kept;
            along.push(SpectraAt { epoch, matrices });
        }
    }
    // Weights between two epochs belong to neither.
    if !is_midway || along.is_empty() {
        let matrices = spectra_of(epoch, &last)?;
        along.push(SpectraAt { epoch, matrices });
    }
    Ok(Some(TrainingSpectra {
        format: FORMAT,
        checkpoint: "last".into(),
        epoch,
        config_sha256,
        data_sha256,
        program: program(),
        along,
    }))
}

fn metrics_of(
    experiment: &impl Prepared,
    files: &RunFiles,
) -> Result<Vec<EpochMetrics>, RunFolderError> {
    let table = experiment.metrics();
    let lines = files.read_metrics()?.into_iter().enumerate();
    let parse = |(index, line): (usize, serde_json::Value)| {
        let bad = |problem: serde_json::Error| RunFolderError::BadMetrics {
            path: files.metrics(),
            line: index + 1,
            problem: problem.to_string(),
        };
        EpochMetrics::from_json(&line, table).map_err(bad)
    };
    lines.map(parse).collect()
}

/// Writes the `spectra.json` of a run folder, all or nothing.
///
/// # Errors
/// The file cannot be written.
pub fn write(files: &RunFiles, spectra: &TrainingSpectra) -> Result<(), TrainError> {
    let json = serde_json::to_string(spectra).map_err(|source| TrainError::Metrics {
        epoch: spectra.epoch,
        source,
    })?;
    Ok(write_atomic(&files.spectra(), (json + "\n").as_bytes())?)
}
