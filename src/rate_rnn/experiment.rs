//! From a configuration to a run: the one place that joins sequences, engine and training.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::TRIAL_GROUP;
use super::engine::EngineError;
use super::init::draw;
use super::model::NetworkModel;
use super::open::open_selected;
use super::params::{Kind, Params};
use super::settings::Config;
use super::tasks::Sequences;
use super::weights::{Layout, WeightsError};
use crate::data::DataError;
use crate::device::{DeviceOptions, available_memory};
use crate::fault::{Blame, Fault};
use crate::gpu::{GpuError, Selection, select};
use crate::spectra::SpectrumError;
use crate::text::{bytes, count};
use crate::train::checkpoint::Tensors;
use crate::train::epochs::{Outcome, Recipe};
use crate::train::interrupt::Interrupt;
use crate::train::manifest::{DeviceInfo, Manifest, Status};
use crate::train::model::ModelState;
use crate::train::progress::{Log, Reporter};
use crate::train::run::{Stopped, TrainingRun};
use crate::train::session::{Session, TrainError};
use crate::train::stored::{StoredCheckpoint, StoredRunError};

/// An experiment could not be prepared, or its training stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The engine could not be built.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Weights do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Initial weights cannot be drawn.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
    /// The run folder.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A run that is there already.
    #[error(transparent)]
    Stored(#[from] StoredRunError),
    /// Samples that are no input of the network.
    #[error("{0}")]
    Samples(String),
    /// Training stopped before its end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Blame for ExperimentError {
    fn fault(&self) -> Fault {
        match self {
            Self::Data(error) => error.fault(),
            Self::Gpu(error) => error.fault(),
            Self::Engine(error) => error.fault(),
            Self::Weights(error) => error.fault(),
            Self::Spectrum(error) => error.fault(),
            Self::Train(error) => error.fault(),
            Self::Stored(error) => error.fault(),
            Self::Samples(_) => Fault::User,
            Self::Stopped(error) => error.fault(),
        }
    }
}

/// A configuration with its data, ready to run.
pub struct Experiment {
    /// The configuration.
    pub config: Config,
    /// The sequences.
    pub sequences: Sequences,
    /// Where a file of them was found, absolute.
    pub data_place: Option<PathBuf>,
    /// What is unusual, for the user and the manifest.
    pub warnings: Vec<String>,
    /// Network and recipe.
    pub params: Params,
    device: DeviceOptions,
    selection: Selection,
}

/// Looks whether the data of a configuration are there (`place`: where they are now).
///
/// # Errors
/// Data that cannot be used.
pub fn check_data(config: &Config, place: Option<&Path>) -> Result<(), ExperimentError> {
    Sequences::load(config, place)?;
    Ok(())
}

impl Experiment {
    /// Loads or makes the data (`place`: where they are now) and selects the device. Nothing is written, and no engine
    /// is built.
    ///
    /// # Errors
    /// Data that cannot be used, or no such device.
    pub fn prepare(
        config: Config,
        place: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<Self, ExperimentError> {
        let sequences = Sequences::load(&config, place)?;
        let params = config.params(sequences.n_in, sequences.n_out, sequences.has_classes());
        check_memory(&params, &sequences, config.training.batch_size, &device)?;
        let mut warnings = sequences.warnings.clone();
        if params.kind == Kind::Dann && params.n_out == 1 {
            warnings.push(
                "the read-out of a dann with one output is exactly 0 at the start, so the network learns through \
                 its bias alone at first"
                    .into(),
            );
        }
        Ok(Self {
            selection: select(device.device)?,
            data_place: place.map(|p| p.canonicalize().unwrap_or_else(|_| p.to_path_buf())),
            config,
            sequences,
            warnings,
            params,
            device,
        })
    }

    /// What there is to do, and with what.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Sequences {
            name,
            origin,
            steps,
            n_in,
            split,
            ..
        } = &self.sequences;
        let kind = match self.params.kind {
            Kind::Standard => "standard",
            Kind::ColEi => "column E/I",
            Kind::Dann => "DANN",
        };
        let units: Vec<String> = self.params.layers.iter().map(usize::to_string).collect();
        let weights = Layout::new(&self.params).len;
        vec![
            ("name", self.config.name.clone()),
            ("data", format!("{name} ({origin})")),
            (
                "network",
                format!("{kind}, {} units, {weights} weights", units.join(" + ")),
            ),
            (
                "sequence",
                format!(
                    "{} of {}",
                    count(*steps, "step", "steps"),
                    count(*n_in, "input", "inputs")
                ),
            ),
            (
                "samples",
                format!("{} training, {} test", split.train.len(), split.test.len()),
            ),
            ("best", self.best_rule().to_owned()),
        ]
    }

    fn best_rule(&self) -> &'static str {
        if self.params.loss.is_of_every_step() {
            return "best epoch by the loss of the test set";
        }
        match (
            self.sequences.has_classes(),
            self.sequences.split.validation.is_empty(),
        ) {
            (true, true) => "best epoch by test accuracy (data.images.validation_percent is 0)",
            (true, false) => "best epoch by validation accuracy",
            (false, _) => "best epoch by the error of the test set",
        }
    }

    /// How batches will go through the device, in words; nothing to say.
    ///
    /// # Errors
    /// None.
    pub fn device_plan(&self) -> Result<Option<String>, ExperimentError> {
        Ok(None)
    }

    /// Configuration, and what is known of the data.
    pub fn as_json(&self) -> Value {
        let facts = self.facts().into_iter();
        let plan: serde_json::Map<_, _> = facts
            .map(|(label, text)| (label.to_owned(), Value::from(text)))
            .collect();
        json!({ "plan": plan, "config": self.config })
    }

    /// Checks weights that a run is to begin with.
    ///
    /// # Errors
    /// Weights that do not fit.
    pub fn check_weights(&self, tensors: &Tensors) -> Result<Vec<String>, ExperimentError> {
        Layout::new(&self.params).flatten(&plain_names(tensors))?;
        Ok(Vec::new())
    }

    /// The weights of a checkpoint, which must be one of this experiment, flat.
    ///
    /// # Errors
    /// Another configuration, other data, or another network.
    pub fn weights_of(&self, checkpoint: &StoredCheckpoint) -> Result<Vec<f32>, ExperimentError> {
        checkpoint
            .check(&self.config, &self.sequences.sha256)
            .map_err(StoredRunError::Checkpoint)?;
        Ok(Layout::new(&self.params).flatten(&checkpoint.content.weights)?)
    }

    /// The network on its engine, and what that is in words.
    ///
    /// # Errors
    /// A device that cannot take it.
    pub fn network(
        &self,
        weights: &[f32],
    ) -> Result<(NetworkModel, DeviceInfo, String), EngineError> {
        let batch = self.config.training.batch_size;
        let shape = [self.sequences.steps, batch];
        let opened = open_selected(
            self.selection.clone(),
            self.params.clone(),
            weights,
            &self.device,
            shape,
        )?;
        let words = format!(
            "{} on {} ({})",
            opened.engine.describe(),
            opened.device.name,
            opened.reason
        );
        let network = NetworkModel::new(opened.engine, self.sequences.clone(), batch);
        Ok((network, opened.device, words))
    }

    /// Makes the folder of a new run, which begins with `weights` or with drawn ones, and builds its engine. `notes` go
    /// into the manifest.
    ///
    /// # Errors
    /// Weights that do not fit, a device that fails, or a folder that cannot be used.
    pub fn start(
        &self,
        folder: &Path,
        force: bool,
        weights: Option<&Tensors>,
        command: Vec<String>,
        notes: Vec<String>,
    ) -> Result<Run<'_>, ExperimentError> {
        let flat = self.first_weights(weights)?;
        let (model, device, words) = self.network(&flat)?;
        let mut manifest = self.manifest(command, notes);
        manifest.device = device;
        let session = Session::create(
            folder,
            force,
            &self.config,
            manifest,
            self.first_state(&flat),
        )?;
        Ok(self.run(session, model, words))
    }

    /// Makes the folder of a run that begins with `weights` and leaves it, to be resumed.
    ///
    /// # Errors
    /// Weights that do not fit, or a folder that cannot be used.
    pub fn create_only(
        &self,
        folder: &Path,
        force: bool,
        weights: &Tensors,
        command: Vec<String>,
        notes: Vec<String>,
    ) -> Result<(), ExperimentError> {
        let state = self.first_state(&self.first_weights(Some(weights))?);
        let manifest = self.manifest(command, notes);
        let mut session = Session::create(folder, force, &self.config, manifest, state)?;
        Ok(session.end(Status::Interrupted, None)?)
    }

    /// Goes on with a run from its last checkpoint. `note` says what differs from before.
    ///
    /// # Errors
    /// No run, a damaged one, other data or configuration, or a device that fails.
    pub fn resume(&self, folder: &Path, note: &str) -> Result<Run<'_>, ExperimentError> {
        let (mut session, state) = Session::open(folder, &self.config, &self.sequences.sha256)?;
        let layout = Layout::new(&self.params);
        let (mut model, device, words) = self.network(&layout.flatten(&state.weights)?)?;
        let moments = [&state.adam_m, &state.adam_v].map(|m| layout.flatten_signed(m));
        let [m, v] = moments;
        model.engine().restore(&m?, &v?, state.optimiser_steps)?;
        let progress = session.progress();
        let from = format!(
            "from epoch {}, batch {}",
            progress.epochs_done, progress.batches_done_in_epoch
        );
        let notes = [from, note.to_owned()]
            .into_iter()
            .filter(|note| !note.is_empty());
        let notes = notes.collect::<Vec<_>>().join("; ");
        session.go_on(&self.config, &notes, |manifest| {
            manifest.device = device;
            manifest.data_place = self.data_place.clone().or(manifest.data_place.take());
        })?;
        Ok(self.run(session, model, words))
    }

    fn run(&self, session: Session, model: NetworkModel, device: String) -> Run<'_> {
        let training = &self.config.training;
        let split = &self.sequences.split;
        Run {
            training: TrainingRun {
                session,
                model,
                encoder: self.sequences.clone(),
                recipe: Recipe {
                    epochs: training.epochs,
                    batch_size: training.batch_size,
                    checkpoint_every_epochs: training.checkpoint_every_epochs,
                    shuffle_seed: self.config.seeds.shuffle,
                    train: split.train.clone(),
                    has_validation: !split.validation.is_empty(),
                },
                advice: "Lower training.learning_rate or training.clip_norm",
            },
            device,
            experiment: std::marker::PhantomData,
        }
    }

    fn first_weights(&self, tensors: Option<&Tensors>) -> Result<Vec<f32>, ExperimentError> {
        Ok(match tensors {
            Some(tensors) => Layout::new(&self.params).flatten(&plain_names(tensors))?,
            None => draw(&self.params, &self.config.initial())?,
        })
    }

    /// Weights and untouched optimiser state of a network that has not begun to learn.
    fn first_state(&self, flat: &[f32]) -> ModelState {
        let layout = Layout::new(&self.params);
        let zeros = layout.tensors_of(&vec![0.0; layout.len]);
        ModelState {
            weights: layout.tensors_of(flat),
            adam_m: zeros.clone(),
            adam_v: zeros,
            optimiser_steps: 0,
        }
    }

    fn manifest(&self, command: Vec<String>, mut notes: Vec<String>) -> Manifest {
        notes.extend(self.warnings.iter().cloned());
        notes.push(self.best_rule().to_owned());
        let Sequences {
            name,
            sha256,
            split,
            ..
        } = &self.sequences;
        Manifest {
            data_name: name.clone(),
            data_place: self.data_place.clone(),
            samples: [
                ("train", split.train.len()),
                ("validation", split.validation.len()),
                ("test", split.test.len()),
            ]
            .map(|(part, samples)| (part.to_owned(), samples as u64))
            .into(),
            data_sha256: sha256.clone(),
            notes,
            ..Manifest::begin(command)
        }
    }
}

/// Refuses a network that does not fit into memory, before any is taken for it: weights with gradient and moments,
/// effective matrices, and what a batch keeps of every step.
fn check_memory(
    params: &Params,
    sequences: &Sequences,
    batch_size: usize,
    device: &DeviceOptions,
) -> Result<(), EngineError> {
    let layout = Layout::new(params);
    let groups = batch_size.div_ceil(TRIAL_GROUP);
    let units: usize = params.layers.iter().sum();
    let of_weights = 8 * layout.len + (6 + groups) * layout.effective_len;
    let of_a_row = 2 * (params.n_in + units + params.n_out);
    // In floating point nothing overflows.
    let rows = sequences.steps as f64 * batch_size as f64;
    let needed = 4.0 * (of_weights as f64 + rows * of_a_row as f64);
    let allowed = [device.memory, available_memory()]
        .into_iter()
        .flatten()
        .min();
    match allowed {
        Some(allowed) if needed > allowed as f64 => Err(EngineError::Memory(format!(
            "this network needs about {} of memory for batches of {}, and {} may be used; lower training.batch_size, \
             network.layers or the length of sequences, or allow more with --memory",
            bytes(needed as u64),
            count(batch_size, "sequence", "sequences"),
            bytes(allowed)
        ))),
        _ => Ok(()),
    }
}

/// Tensors of an exported file, whose names begin with `w_`, by their own names.
fn plain_names(tensors: &Tensors) -> Tensors {
    let plain = |name: &String| name.strip_prefix("w_").unwrap_or(name).to_owned();
    tensors
        .iter()
        .map(|(name, tensor)| (plain(name), tensor.clone()))
        .collect()
}

/// A run under way, and the device in words.
pub struct Run<'a> {
    training: TrainingRun<NetworkModel, Sequences>,
    /// Device and why it was chosen.
    pub device: String,
    experiment: std::marker::PhantomData<&'a Experiment>,
}

impl Run<'_> {
    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.training.folder()
    }

    /// A reporter that knows how much there is to do.
    pub fn reporter(&self, log: Log) -> Reporter {
        self.training.reporter(log)
    }

    /// Trains to the last epoch or until somebody asks to stop, and records how it ended.
    ///
    /// # Errors
    /// [`ExperimentError::Stopped`]: the model failed or a file could not be written.
    pub fn train(
        &mut self,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Outcome, ExperimentError> {
        Ok(self.training.train(reporter, interrupt, |_, _, _| Ok(()))?)
    }
}
