//! From a configuration to a run: the one place that joins stimuli, engine and training.

mod analyse;

pub use analyse::{Subject, analysis_json, write_analysis};

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::engine::{Engine, EngineError, Learnt};
use super::init::draw;
use super::lanes::{self, LaneEngine};
use super::metrics::METRICS;
use super::model::NetworkModel;
use super::network::Network;
use super::open::open_selected;
use super::params::ExcitatoryRule;
use super::settings::{Config, LateralKind};
use super::stimuli::Stimuli;
use super::weights::{Layout, WeightsError};
use crate::device::{DeviceOptions, available_memory};
use crate::gpu::{DeviceChoice, Selection, select};
use crate::text::{bytes, count, number};
use crate::train::checkpoint::{Checkpoint, NonFinite, Tensors};
use crate::train::epochs::Recipe;
use crate::train::experiment::{Data, OpenedDevice, Prepared, experiment_error};
use crate::train::interrupt::Interrupt;
use crate::train::manifest::DeviceInfo;
use crate::train::metrics::{EpochMetrics, Metric};
use crate::train::model::ModelState;
use crate::train::session::{Session, TrainError};
use crate::train::spectra::{self, Spectra};
use crate::train::stored::{StoredCheckpoint, StoredRun, StoredRunError};

experiment_error! {
    /// The engine could not be built.
    Engine(EngineError),
    /// Weights do not fit the network.
    Weights(WeightsError),
}

/// A configuration with its stimuli, ready to run.
pub struct Experiment {
    /// The configuration.
    pub config: Config,
    /// The stimuli.
    pub stimuli: Stimuli,
    /// Where a file of them was found, absolute.
    pub data_place: Option<PathBuf>,
    /// What is unusual, for the user and the manifest.
    pub warnings: Vec<String>,
    /// Where cells and synapses lie.
    pub layout: Layout,
    /// Cells and synapses at the start.
    pub network: Network,
    device: DeviceOptions,
    selection: Selection,
    /// The right to share an engine with other runs, until it is used.
    ticket: Mutex<Option<lanes::Ticket>>,
}

/// Looks whether the data of a configuration are there (`place`: where they are now).
///
/// # Errors
/// Data that cannot be used.
pub fn check_data(config: &Config, place: Option<&Path>) -> Result<(), ExperimentError> {
    Stimuli::load(config, place)?;
    Ok(())
}

impl Experiment {
    /// Loads or makes the stimuli (`place`: where they are now), draws the network and selects the device. Nothing is
    /// written, and no engine is built.
    ///
    /// # Errors
    /// Data that cannot be used, too little memory, or no such device.
    pub fn prepare(
        config: Config,
        place: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<Self, ExperimentError> {
        check_memory(&config, &device)?;
        let stimuli = Stimuli::load(&config, place)?;
        let layout = Layout::new(&config);
        let network = draw(&config, &layout, &stimuli);
        let mut warnings = stimuli.warnings.clone();
        if config.network.outputs < stimuli.classes {
            warnings.push(format!(
                "{} for {}: some can never be answered (network.outputs)",
                count(config.network.outputs, "output cell", "output cells"),
                count(stimuli.classes, "class", "classes")
            ));
        }
        let is_fast = |preset: super::network::Preset| preset.neuron().a > 0.05;
        if config.network.dt_ms > 0.25 && is_fast(config.network.inhibitory) {
            warnings.push(format!(
                "steps of {} ms are too long for fast-spiking cells, whose rates come out too low; 0.1 ms is enough \
                 (network.dt_ms)",
                number(config.network.dt_ms)
            ));
        }
        let mut selection = select(device.device)?;
        let needs_processor = needs_processor(config.plasticity.rule);
        if needs_processor && device.device == DeviceChoice::Auto {
            let reason = format!(
                "CPU engine, which alone computes plasticity.rule {:?}",
                config.plasticity.rule
            );
            selection = Selection::CpuEngine { reason };
        }
        Ok(Self {
            selection,
            data_place: place.map(|p| p.canonicalize().unwrap_or_else(|_| p.to_path_buf())),
            config,
            stimuli,
            warnings,
            layout,
            network,
            device,
            ticket: Mutex::new(None),
        })
    }

    /// Lets the network of this experiment share an engine with those of other runs of its shape.
    pub fn share(&mut self, ticket: lanes::Ticket) {
        self.ticket = Mutex::new(Some(ticket));
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
        let Stimuli {
            name,
            origin,
            split,
            classes,
            ..
        } = &self.stimuli;
        let config = &self.config;
        let synapses = self.network.w_default.iter().filter(|w| **w > 0.0).count();
        let cells: Vec<String> = self
            .layout
            .populations
            .iter()
            .map(|population| format!("{} {}", population.cells.len(), population.name))
            .collect();
        let lateral = match config.network.lateral.kind {
            LateralKind::Own => ", one of its own for each output",
            _ => "",
        };
        vec![
            ("name", config.name.clone()),
            (
                "data",
                format!("{name} ({origin}), {}", count(*classes, "class", "classes")),
            ),
            (
                "network",
                format!(
                    "{} cells{lateral}; {}",
                    cells.join(" + "),
                    count(synapses, "synapse", "synapses")
                ),
            ),
            (
                "trial",
                format!(
                    "{} ms in steps of {} ms",
                    number(config.network.trial_ms),
                    number(config.network.dt_ms)
                ),
            ),
            (
                "trials",
                format!(
                    "{} of training an epoch, {} test",
                    split.train.len(),
                    split.test.len()
                ),
            ),
            ("best", self.best_rule().to_owned()),
        ]
    }

    fn best_rule(&self) -> &'static str {
        match self.stimuli.split.validation.is_empty() {
            true => "best epoch by test accuracy",
            false => "best epoch by validation accuracy",
        }
    }

    /// How trials will go through the device, in words; nothing to say.
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
        self.layout
            .learnt_of(&plain_names(tensors), &self.network)?;
        Ok(Vec::new())
    }

    /// What a checkpoint, which must be one of this experiment, has learnt.
    ///
    /// # Errors
    /// Another configuration, other data, or another network.
    pub fn learnt_of(&self, checkpoint: &StoredCheckpoint) -> Result<Learnt, ExperimentError> {
        checkpoint
            .check(&self.config, &self.stimuli.sha256)
            .map_err(StoredRunError::Checkpoint)?;
        let tensors = &checkpoint.content.weights;
        Ok(self.layout.learnt_of(tensors, &self.network)?)
    }

    /// The network as it has learnt, after so many blocks of training, on its engine.
    ///
    /// # Errors
    /// A device that cannot take it.
    pub fn open_network(
        &self,
        learnt: &Learnt,
        blocks: u64,
    ) -> Result<(NetworkModel, OpenedDevice), EngineError> {
        let (engine, device) = self.open_engine()?;
        let mut network = NetworkModel::new(
            engine,
            self.network.clone(),
            self.layout.clone(),
            self.stimuli.clone(),
            self.config.network.lateral.active,
            blocks,
        );
        network.load(learnt)?;
        Ok((network, device))
    }

    /// An engine of its own, or a lane of one that runs share.
    fn open_engine(&self) -> Result<(Box<dyn Engine>, OpenedDevice), EngineError> {
        let params = self.config.params();
        let open = |networks: &[Network]| {
            open_selected(self.selection.clone(), &params, networks, &self.device)
        };
        let ticket = self
            .ticket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(ticket) = ticket else {
            let opened = open(std::slice::from_ref(&self.network))?;
            let device = OpenedDevice {
                summary: opened.engine.describe(),
                info: opened.device,
                reason: opened.reason,
                note: None,
            };
            return Ok((opened.engine, device));
        };
        let build = |networks: Vec<Network>| {
            let opened = open(&networks).map_err(|error| error.to_string())?;
            Ok(lanes::Shared(opened))
        };
        let lane = ticket.join(self.network.clone(), build);
        let lane = lane.map_err(EngineError::Lanes)?;
        let device = OpenedDevice {
            summary: "an engine shared with other runs".to_owned(),
            info: DeviceInfo::of(&self.selection, self.device.threads()),
            reason: self.selection.reason().to_owned(),
            note: None,
        };
        let engine = LaneEngine::new(lane, params.clone(), device.summary.clone());
        Ok((Box::new(engine), device))
    }
}

impl Prepared for Experiment {
    type Config = Config;
    type Model = NetworkModel;
    type Encoder = Stimuli;
    type Error = ExperimentError;

    const ADVICE: &'static str = "Lower plasticity.eta";

    fn config(&self) -> &Config {
        &self.config
    }

    fn data(&self) -> Data<'_> {
        Data {
            name: &self.stimuli.name,
            place: self.data_place.as_ref(),
            sha256: &self.stimuli.sha256,
            split: &self.stimuli.split,
        }
    }

    fn notes(&self) -> Vec<String> {
        let rule = std::iter::once(self.best_rule().to_owned());
        self.warnings.iter().cloned().chain(rule).collect()
    }

    fn recipe(&self) -> Recipe {
        let training = &self.config.training;
        let split = &self.stimuli.split;
        Recipe {
            epochs: training.epochs,
            batch_size: training.block_trials,
            checkpoint_every_epochs: training.checkpoint_every_epochs,
            keep_every_epochs: training.keep_every_epochs,
            shuffle_seed: self.config.seeds.shuffle,
            train: split.train.clone(),
            has_validation: !split.validation.is_empty(),
        }
    }

    fn encoder(&self) -> Stimuli {
        self.stimuli.clone()
    }

    fn first_state(&self, weights: Option<&Tensors>) -> Result<ModelState, ExperimentError> {
        let learnt = match weights {
            Some(tensors) => self
                .layout
                .learnt_of(&plain_names(tensors), &self.network)?,
            None => Learnt {
                weights: self.network.weights.clone(),
                theta_hz: vec![self.config.plasticity.theta0_hz as f32; self.layout.neurons],
            },
        };
        Ok(ModelState {
            weights: self.layout.tensors_of(&learnt),
            ..ModelState::default()
        })
    }

    fn network(
        &self,
        state: &ModelState,
        _: Option<&DeviceInfo>,
    ) -> Result<(NetworkModel, OpenedDevice), ExperimentError> {
        let learnt = self.layout.learnt_of(&state.weights, &self.network)?;
        Ok(self.open_network(&learnt, state.optimiser_steps)?)
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn spectra(
        &self,
        weights: &Tensors,
        _: Option<&EpochMetrics>,
    ) -> Result<Spectra, ExperimentError> {
        Ok(spectra::of_tensors(weights))
    }

    fn close(
        &self,
        network: &mut NetworkModel,
        session: &Session,
        interrupt: &Interrupt,
    ) -> Result<bool, ExperimentError> {
        let files = session.files();
        let learnt = |path: &Path| -> Result<Learnt, ExperimentError> {
            let checkpoint =
                Checkpoint::load(path, NonFinite::Allow).map_err(TrainError::Checkpoint)?;
            Ok(self.layout.learnt_of(&checkpoint.weights, &self.network)?)
        };
        let subject = Subject {
            checkpoint: "last",
            epoch: session.progress().epochs_done,
            initial: &learnt(&files.initial())?,
            now: &learnt(&files.last())?,
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

/// Rules that only the CPU engine computes.
fn needs_processor(rule: ExcitatoryRule) -> bool {
    matches!(rule, ExcitatoryRule::Stdp | ExcitatoryRule::BcmPerStep)
}

/// Refuses a network that does not fit into memory, before any is taken for it: its synapses with their rules.
fn check_memory(config: &Config, device: &DeviceOptions) -> Result<(), EngineError> {
    let synapses = {
        let neurons = config.neurons() as f64;
        (config.inputs() as f64 + neurons) * neurons
    };
    let needed = 40.0 * synapses;
    let allowed = [device.memory, available_memory()];
    match allowed.into_iter().flatten().min() {
        Some(allowed) if needed > allowed as f64 => Err(EngineError::Memory(format!(
            "this network needs about {} of memory, and {} may be used; lower network.outputs, network.hidden or \
             data.size, or allow more with --memory",
            bytes(needed as u64),
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
