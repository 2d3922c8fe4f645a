//! From a configuration to a run: the one place that joins sequences, engine and training.

mod analyse;

pub use analyse::{AnalysedWeights, analysis_json, write_analysis};

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::TRIAL_GROUP;
use super::cpu::effective_matrix;
use super::engine::EngineError;
use super::gpu::LaneStart;
use super::init::draw;
use super::lanes::Ticket;
use super::metrics::METRICS;
use super::model::NetworkModel;
use super::open::open_shared;
use super::params::{Kind, Params};
use super::settings::Config;
use super::tasks::Sequences;
use super::weights::{Layout, Link, WeightsError};
use crate::device::{DeviceOptions, available_memory};
use crate::gpu::{Selection, select};
use crate::spectra::{MatrixSpectrum, SpectrumError};
use crate::text::{bytes, count};
use crate::train::checkpoint::{Checkpoint, NonFinite, Tensors};
use crate::train::epochs::Recipe;
use crate::train::experiment::{Data, OpenedDevice, Prepared, experiment_error};
use crate::train::interrupt::Interrupt;
use crate::train::manifest::DeviceInfo;
use crate::train::metrics::{EpochMetrics, Metric};
use crate::train::model::ModelState;
use crate::train::session::{Session, TrainError};
use crate::train::spectra::Spectra;
use crate::train::stored::{StoredCheckpoint, StoredRun, StoredRunError};

experiment_error! {
    /// The engine could not be built.
    Engine(EngineError),
    /// Weights do not fit the network.
    Weights(WeightsError),
    /// Initial weights cannot be drawn.
    Spectrum(SpectrumError),
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
    /// The right to share an engine with other runs, until it is used.
    ticket: Mutex<Option<Ticket>>,
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
        Self::of_sequences(config, sequences, place, device)
    }

    /// The same for a run that shares sequences and engine with others of its shape.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_lane(
        config: Config,
        place: Option<&Path>,
        device: DeviceOptions,
        ticket: Ticket,
    ) -> Result<Self, ExperimentError> {
        let sequences = ticket.sequences(&config, place)?;
        let mut experiment = Self::of_sequences(config, sequences, place, device)?;
        experiment.ticket = Mutex::new(Some(ticket));
        Ok(experiment)
    }

    fn of_sequences(
        config: Config,
        sequences: Sequences,
        place: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<Self, ExperimentError> {
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
            ticket: Mutex::new(None),
        })
    }

    /// Data and plan of a stored run, its data where `data` says or where it was before.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn of_run(
        run: &StoredRun<Config>,
        data: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<Self, ExperimentError> {
        Self::prepare(run.config.clone(), run.data_place(data).as_deref(), device)
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

    /// The network with these weights, as [`Layout::flatten`] gives them, on its engine.
    ///
    /// # Errors
    /// A device that cannot take it.
    pub fn open_network(
        &self,
        weights: &[f32],
    ) -> Result<(NetworkModel, OpenedDevice), EngineError> {
        let batch = self.config.training.batch_size;
        let shape = [self.sequences.steps, batch];
        let ticket = self.ticket.lock();
        let ticket = ticket.unwrap_or_else(PoisonError::into_inner).take();
        let start = LaneStart {
            params: self.params.clone(),
            weights: weights.to_vec(),
        };
        let opened = open_shared(self.selection.clone(), start, &self.device, shape, ticket)?;
        let device = OpenedDevice {
            summary: opened.engine.describe(),
            info: opened.device,
            reason: opened.reason,
            note: None,
        };
        let network = NetworkModel::new(opened.engine, self.sequences.clone(), batch);
        Ok((network, device))
    }
}

impl Prepared for Experiment {
    type Config = Config;
    type Model = NetworkModel;
    type Encoder = Sequences;
    type Error = ExperimentError;

    const ADVICE: &'static str = "Lower training.learning_rate or training.clip_norm";

    fn config(&self) -> &Config {
        &self.config
    }

    fn data(&self) -> Data<'_> {
        Data {
            name: &self.sequences.name,
            place: self.data_place.as_ref(),
            sha256: &self.sequences.sha256,
            split: &self.sequences.split,
        }
    }

    fn notes(&self) -> Vec<String> {
        let rule = std::iter::once(self.best_rule().to_owned());
        self.warnings.iter().cloned().chain(rule).collect()
    }

    fn recipe(&self) -> Recipe {
        let training = &self.config.training;
        let split = &self.sequences.split;
        Recipe {
            epochs: training.epochs,
            batch_size: training.batch_size,
            checkpoint_every_epochs: training.checkpoint_every_epochs,
            keep_every_epochs: training.keep_every_epochs,
            shuffle_seed: self.config.seeds.shuffle,
            train: split.train.clone(),
            has_validation: !split.validation.is_empty(),
        }
    }

    fn encoder(&self) -> Sequences {
        self.sequences.clone()
    }

    fn first_state(&self, weights: Option<&Tensors>) -> Result<ModelState, ExperimentError> {
        let layout = Layout::new(&self.params);
        let flat = match weights {
            Some(tensors) => layout.flatten(&plain_names(tensors))?,
            None => draw(&self.params, &self.config.initial())?,
        };
        let zeros = layout.tensors_of(&vec![0.0; layout.len]);
        Ok(ModelState {
            weights: layout.tensors_of(&flat),
            adam_m: zeros.clone(),
            adam_v: zeros,
            optimiser_steps: 0,
        })
    }

    fn network(
        &self,
        state: &ModelState,
        _: Option<&DeviceInfo>,
    ) -> Result<(NetworkModel, OpenedDevice), ExperimentError> {
        let layout = Layout::new(&self.params);
        let (mut network, device) = self.open_network(&layout.flatten(&state.weights)?)?;
        let [m, v] = [&state.adam_m, &state.adam_v].map(|moments| layout.flatten_signed(moments));
        network.engine().restore(&m?, &v?, state.optimiser_steps)?;
        Ok((network, device))
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn spectra(
        &self,
        weights: &Tensors,
        _: Option<&EpochMetrics>,
    ) -> Result<Spectra, ExperimentError> {
        let layout = Layout::new(&self.params);
        let stored = layout.flatten(weights)?;
        let stored: Vec<f64> = stored.into_iter().map(f64::from).collect();
        let of = |link: &Link| {
            let matrix = effective_matrix(&layout, link, &stored);
            let spectrum = MatrixSpectrum::of(&matrix, [link.post, link.pre]);
            (link.name.clone(), spectrum)
        };
        Ok(layout.links.iter().map(of).collect())
    }

    fn close(
        &self,
        network: &mut NetworkModel,
        session: &Session,
        interrupt: &Interrupt,
    ) -> Result<bool, ExperimentError> {
        let files = session.files();
        let weights = |path: &Path| -> Result<Vec<f32>, ExperimentError> {
            let checkpoint =
                Checkpoint::load(path, NonFinite::Allow).map_err(TrainError::Checkpoint)?;
            Ok(Layout::new(&self.params).flatten(&checkpoint.weights)?)
        };
        let subject = AnalysedWeights {
            checkpoint: "last",
            epoch: session.progress().epochs_done,
            initial: &weights(&files.initial())?,
            now: &weights(&files.last())?,
            device: &session.manifest().device.name,
        };
        let mut go_on = || interrupt.requested().is_none();
        let Some(analysis) = self.analyse(network, &subject, &mut go_on)? else {
            return Ok(false);
        };
        write_analysis(files, &analysis)?;
        Ok(true)
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
