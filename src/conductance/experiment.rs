//! From a configuration to a run: the one place that joins data, plan, engine and training.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::analysis::rhythm::Settings;
use crate::conductance::batch::Request;
use crate::conductance::engine::EngineError;
use crate::conductance::form::{Chosen, FormCache, FormKey, choose};
use crate::conductance::gpu::{GpuOptions, MemoryPlan, has_forms};
use crate::conductance::metrics::{E_RATE, I_RATE, METRICS};
use crate::conductance::model::{NetworkModel, Trials, initial_state, matrices_of, weights_of};
use crate::conductance::open::{OpenedEngine, open_selected};
use crate::conductance::operator::{self, MeanState};
use crate::conductance::params::Params;
use crate::conductance::plan::{Plan, PlanError, Resources, Workload};
use crate::conductance::settings::{Config, MatrixName};
use crate::conductance::weights::{Layout, Weights, WeightsError, Wiring, draw_initial};
use crate::data::{
    DataError, LoadedData, Samples, Split, SplitSamples, check_rate, encode_events, load_dataset,
};
use crate::device::{BackwardChoice, BackwardForm, DeviceOptions, available_memory};
use crate::gpu::{Selection, select};
use crate::train::checkpoint::{Checkpoint, NonFinite, Tensors};
use crate::train::epochs::Recipe;
use crate::train::experiment::{Data, OpenedDevice, Prepared, experiment_error};
use crate::train::interrupt::Interrupt;
use crate::train::manifest::{DeviceInfo, program};
use crate::train::metrics::{EpochMetrics, Metric};
use crate::train::model::{Encoder, ModelState};
use crate::train::session::{Session, TrainError};
use crate::train::spectra::Spectra;
use crate::train::stored::{StoredCheckpoint, StoredRun, StoredRunError};

pub use analyse::{AnalysedWeights, analysis_json, write_analysis};
pub use spikes::{SpikeAnalysis, analyse_spikes};

mod analyse;
mod spikes;
pub mod sweep;

experiment_error! {
    /// The memory is too small.
    Plan(PlanError),
    /// The engine could not be built.
    Engine(EngineError),
    /// Weights do not fit the network.
    Weights(WeightsError),
}

/// Test trials that mean rates of the inputs are taken from, at the most.
const INPUT_TRIALS: usize = 256;

/// A configuration with its data and its plan, ready to run.
pub struct Experiment {
    /// The configuration.
    pub config: Config,
    /// What the data set is called.
    pub data_name: String,
    /// Which samples train, validate and test.
    pub split: Split,
    /// Where the data was found.
    pub data_origin: String,
    /// The folder or file that the user named, absolute.
    pub data_place: Option<PathBuf>,
    /// What is unusual, for the user and the manifest.
    pub warnings: Vec<String>,
    /// SHA-256 of the samples in use.
    pub data_sha256: String,
    /// Network and recipe.
    pub params: Params,
    /// Every size.
    pub plan: Plan,
    /// How trials are made.
    pub trials: Trials,
    device: DeviceOptions,
    selection: Selection,
}

impl Experiment {
    /// Loads the data (`place`: where it is now), selects the device and makes the plan. Nothing
    /// is written, and no engine is built.
    ///
    /// # Errors
    /// Data that cannot be used, no such device, or too little memory.
    pub fn prepare(
        config: Config,
        place: Option<&Path>,
        device: DeviceOptions,
    ) -> Result<Self, ExperimentError> {
        let LoadedData {
            dataset,
            origin,
            warnings,
        } = load_dataset(&config.data, config.seeds.data, place)?;
        let params = Params::new(&config, dataset.samples.inputs(), dataset.samples.classes());
        let selection = select(device.device)?;
        let resources = Resources {
            on_gpu: matches!(selection, Selection::Adapter { .. }),
            threads: device.threads(),
            memory: device.memory,
            available: available_memory(),
        };
        let work = workload(&config, &params, &dataset)?;
        let plan = Plan::new(&params, &config.weights, work, resources)?;
        let data_sha256 = dataset.sha256();
        let trials = Trials {
            samples: Arc::new(dataset.samples),
            steps: params.steps,
            dt_ms: params.network.dt_ms,
            rate_hz: config.encoding.rate_hz,
            noise_seed: config.seeds.noise,
        };
        Ok(Self {
            config,
            data_name: dataset.name,
            split: dataset.split,
            data_origin: origin,
            data_place: place.map(|p| p.canonicalize().unwrap_or_else(|_| p.to_path_buf())),
            warnings,
            data_sha256,
            params,
            plan,
            trials,
            device,
            selection,
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

    /// The weights of a checkpoint, which must be one of this experiment.
    ///
    /// # Errors
    /// Another configuration, other data, or another network.
    pub fn weights_of(&self, checkpoint: &StoredCheckpoint) -> Result<Weights, ExperimentError> {
        checkpoint
            .check(&self.config, &self.data_sha256)
            .map_err(StoredRunError::Checkpoint)?;
        Ok(weights_of(&self.params, &checkpoint.content.weights)?.0)
    }

    /// The initial weights that the configuration describes.
    pub fn draw_weights(&self) -> Weights {
        draw_initial(
            &self.params,
            &self.config.weights,
            self.config.seeds.weights,
        )
    }

    /// The engine of this network with these weights.
    ///
    /// # Errors
    /// Weights that do not fit, or a device that cannot take them.
    pub fn open(&self, weights: &Weights) -> Result<OpenedEngine, EngineError> {
        self.open_as(&self.params, weights, self.device.backward)
    }

    /// As [`open`](Self::open), of a network that differs in its training, with a form of the backward pass.
    fn open_as(
        &self,
        params: &Params,
        weights: &Weights,
        backward: BackwardChoice,
    ) -> Result<OpenedEngine, EngineError> {
        let options = DeviceOptions {
            segment_steps: self.device.segment_steps.or(Some(self.plan.segment_steps)),
            backward,
            ..self.device
        };
        let batch = self.plan.batch_trials;
        open_selected(self.selection.clone(), params, weights, &options, batch)
    }

    /// The form of the backward pass that a run takes which was on `before` until now; none on the CPU, and where there
    /// is but one form.
    fn backward_form(
        &self,
        weights: &Weights,
        before: Option<&DeviceInfo>,
    ) -> Result<Option<Chosen>, ExperimentError> {
        let Selection::Adapter { adapter, .. } = &self.selection else {
            return Ok(None);
        };
        let layout = Layout::new(&self.params, weights)?;
        if !has_forms(&Wiring::new(&self.params, &layout)) {
            return Ok(None);
        }
        let info = adapter.info();
        let recorded = before.filter(|before| before.name == info.name);
        let recorded = recorded.and_then(|before| before.backward_form.as_ref()?.parse().ok());
        let (p, batch) = (&self.params, self.plan.batch_trials);
        let key = FormKey(format!(
            "{} | {} | {} | {}-{}-{}-{}, steps {}, batches of {batch}, memory {:?}",
            info.name,
            info.driver,
            program(),
            p.n_in,
            p.n_e(),
            p.n_i(),
            p.n_out,
            p.steps,
            self.device.memory,
        ));
        let mut time = |form| self.time_batch(weights, form);
        choose(
            self.device.backward,
            recorded,
            info.kind.is_software(),
            &key,
            &FormCache::of_user(),
            &mut time,
        )
        .map(Some)
    }

    /// Time of the gradient of the first training batch, ms: the second one, since the first one warms up.
    fn time_batch(&self, weights: &Weights, form: BackwardForm) -> Result<f64, ExperimentError> {
        let mut opened = self.open_as(&self.params, weights, BackwardChoice::Form(form))?;
        let samples = self.split.train.len().min(self.config.training.batch_size);
        let batch = self.trials.training_batch(0, &self.split.train[..samples]);
        let batch = batch.map_err(ExperimentError::Model)?;
        opened.engine.gradient(&batch, Request::default())?;
        let start = Instant::now();
        opened.engine.gradient(&batch, Request::default())?;
        Ok(1e3 * start.elapsed().as_secs_f64())
    }

    /// The test samples in batches of the configured size.
    fn test_batches(&self) -> impl Iterator<Item = &[usize]> {
        let size = self.config.training.batch_size.max(1);
        self.split.test.chunks(size)
    }

    /// How batches of this network will go through its GPU, before it is opened; none on the CPU.
    ///
    /// # Errors
    /// A network that does not fit the device.
    pub fn gpu_plan(&self, weights: &Weights) -> Result<Option<MemoryPlan>, EngineError> {
        let Selection::Adapter { adapter, .. } = &self.selection else {
            return Ok(None);
        };
        let options = GpuOptions {
            memory: self.device.memory,
            backward: self
                .device
                .backward
                .untimed(adapter.info().kind.is_software()),
        };
        let batch = self.plan.batch_trials;
        MemoryPlan::of(&self.params, weights, options, batch, adapter.info()).map(Some)
    }

    /// The network on its engine, to be measured.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_network(
        &self,
        weights: &Weights,
    ) -> Result<(NetworkModel, OpenedDevice), EngineError> {
        self.network_as(weights, None)
    }

    fn network_as(
        &self,
        weights: &Weights,
        form: Option<Chosen>,
    ) -> Result<(NetworkModel, OpenedDevice), EngineError> {
        let backward = match &form {
            Some(chosen) => BackwardChoice::Form(chosen.form),
            None => self.device.backward,
        };
        let opened = self.open_as(&self.params, weights, backward)?;
        let device = OpenedDevice {
            summary: opened.engine.describe(),
            info: DeviceInfo {
                threads: self.plan.threads,
                backward_form: form.as_ref().map(|chosen| chosen.form.name().to_owned()),
                ..opened.device
            },
            reason: opened.reason,
            note: form
                .map(|chosen| format!("{} backward pass: {}", chosen.form.name(), chosen.why)),
        };
        let network = NetworkModel::new(
            opened.engine,
            self.trials.clone(),
            self.split.clone(),
            self.config.training.batch_size,
            self.plan.keeps_evaluation,
        );
        Ok((network, device))
    }

    /// Checks weights that a run is to begin with; returns what is worth knowing of them.
    ///
    /// # Errors
    /// Weights that do not fit.
    pub fn check_weights(&self, tensors: &Tensors) -> Result<Vec<String>, ExperimentError> {
        let (weights, unknown) = weights_of(&self.params, tensors)?;
        let mut notes = Vec::new();
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            notes.push(format!(
                "also holds {unknown}, which this network has no use for"
            ));
        }
        for name in [MatrixName::WEi, MatrixName::WIe] {
            if !weights.contains_key(&name) && !self.params.is_trained(name) {
                let name = name.short();
                notes.push(format!("has no w_{name}, so this network has no E–I loop"));
            }
        }
        Ok(notes)
    }

    /// What there is to do, and with what.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let data = format!("{} ({})", self.data_name, self.data_origin);
        let mut facts = vec![("name", self.config.name.clone()), ("data", data)];
        facts.extend(self.plan.facts());
        facts.push(("best", self.best_rule().to_owned()));
        facts
    }

    /// How batches will go through the device, in words; none where there is nothing to say.
    ///
    /// # Errors
    /// A network that does not fit the device.
    pub fn device_plan(&self) -> Result<Option<String>, ExperimentError> {
        let plan = self.gpu_plan(&self.draw_weights())?;
        Ok(plan.map(|plan| plan.to_string()))
    }

    /// Plan and configuration.
    pub fn as_json(&self) -> Value {
        json!({ "plan": self.plan, "config": self.config })
    }

    /// How the best epoch is chosen.
    pub fn best_rule(&self) -> &'static str {
        if self.split.validation.is_empty() {
            "best epoch by test accuracy (data.validation_percent is 0)"
        } else {
            "best epoch by validation accuracy"
        }
    }
}

impl Prepared for Experiment {
    type Config = Config;
    type Model = NetworkModel;
    type Encoder = Trials;
    type Error = ExperimentError;

    const ADVICE: &'static str = "Lower training.learning_rate or raise network.grad_dampen";

    fn config(&self) -> &Config {
        &self.config
    }

    fn data(&self) -> Data<'_> {
        Data {
            name: &self.data_name,
            place: self.data_place.as_ref(),
            sha256: &self.data_sha256,
            split: &self.split,
        }
    }

    fn notes(&self) -> Vec<String> {
        let rule = std::iter::once(self.best_rule().to_owned());
        self.warnings.iter().cloned().chain(rule).collect()
    }

    fn recipe(&self) -> Recipe {
        let training = &self.config.training;
        Recipe {
            epochs: training.epochs,
            batch_size: training.batch_size,
            checkpoint_every_epochs: training.checkpoint_every_epochs,
            keep_every_epochs: training.keep_every_epochs,
            shuffle_seed: self.config.seeds.shuffle,
            train: self.split.train.clone(),
            has_validation: !self.split.validation.is_empty(),
        }
    }

    fn encoder(&self) -> Trials {
        self.trials.clone()
    }

    fn first_state(&self, weights: Option<&Tensors>) -> Result<ModelState, ExperimentError> {
        let weights = match weights {
            Some(tensors) => weights_of(&self.params, tensors)?.0,
            None => self.draw_weights(),
        };
        Layout::new(&self.params, &weights)?;
        Ok(initial_state(&self.params, &weights))
    }

    fn network(
        &self,
        state: &ModelState,
        before: Option<&DeviceInfo>,
    ) -> Result<(NetworkModel, OpenedDevice), ExperimentError> {
        let matrices = |tensors| matrices_of(&self.params, tensors).map(|(matrices, _)| matrices);
        let (weights, _) = weights_of(&self.params, &state.weights)?;
        let form = self.backward_form(&weights, before)?;
        let (mut network, device) = self.network_as(&weights, form)?;
        let (m, v) = (matrices(&state.adam_m)?, matrices(&state.adam_v)?);
        network.engine().restore(&m, &v, state.optimiser_steps)?;
        Ok((network, device))
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn spectra(
        &self,
        weights: &Tensors,
        measured: Option<&EpochMetrics>,
    ) -> Result<Spectra, ExperimentError> {
        let (weights, _) = weights_of(&self.params, weights)?;
        // Without mean rates there is no mean state, and no operator.
        let state = match measured {
            None => None,
            Some(epoch) => Some(MeanState {
                input_hz: self.mean_input_hz()?,
                e_hz: epoch[E_RATE],
                i_hz: epoch[I_RATE],
            }),
        };
        Ok(operator::spectra(&self.params, &weights, state.as_ref()))
    }

    fn close(
        &self,
        network: &mut NetworkModel,
        session: &Session,
        interrupt: &Interrupt,
    ) -> Result<bool, ExperimentError> {
        let files = session.files();
        let weights = |path: &Path| -> Result<Weights, ExperimentError> {
            let checkpoint =
                Checkpoint::load(path, NonFinite::Allow).map_err(TrainError::Checkpoint)?;
            Ok(weights_of(&self.params, &checkpoint.weights)?.0)
        };
        let subject = AnalysedWeights {
            checkpoint: "last",
            epoch: session.progress().epochs_done,
            initial: &weights(&files.initial())?,
            now: &weights(&files.last())?,
            device: &session.manifest().device.name,
            settings: Settings::default(),
        };
        let mut go_on = || interrupt.requested().is_none();
        let Some(analysis) = self.analyse(network.engine(), &subject, &mut go_on)? else {
            return Ok(false);
        };
        write_analysis(files, &analysis)?;
        Ok(true)
    }
}

impl Experiment {
    /// Mean rate of every input over the first test trials, Hz.
    fn mean_input_hz(&self) -> Result<Vec<f64>, ExperimentError> {
        let samples = &self.split.test[..self.split.test.len().min(INPUT_TRIALS)];
        let batch = self.trials.evaluation_batch(samples)?;
        let mut spikes = vec![0.0; self.params.n_in];
        for event in &batch.events {
            spikes[event.input as usize] += 1.0;
        }
        let seconds = self.params.duration_s() * samples.len().max(1) as f64;
        Ok(spikes.into_iter().map(|n| n / seconds).collect())
    }
}

/// Looks whether the data of a configuration are there (`place`: where they are now).
///
/// # Errors
/// Data that cannot be used.
pub fn check_data(config: &Config, place: Option<&Path>) -> Result<(), ExperimentError> {
    load_dataset(&config.data, config.seeds.data, place)?;
    Ok(())
}

/// How much there is to compute; refuses samples that cannot be encoded.
fn workload(
    config: &Config,
    params: &Params,
    dataset: &SplitSamples,
) -> Result<Workload, DataError> {
    let split = &dataset.split;
    let used = || {
        split
            .train
            .iter()
            .chain(&split.validation)
            .chain(&split.test)
    };
    let count = used().count().max(1) as f64;
    let dt_ms = params.network.dt_ms;
    let (events_per_trial, data_bytes) = match &dataset.samples {
        Samples::Images(set) => {
            check_rate(config.encoding.rate_hz, dt_ms)?;
            let intensity = |&i: &usize| set.image(i).iter().map(|&p| f64::from(p)).sum::<f64>();
            let white = used().map(intensity).sum::<f64>() / 255.0 / count;
            let events = white * config.encoding.rate_hz * params.duration_s();
            (events, set.pixels.len())
        }
        Samples::Events(set) => {
            let steps = u32::try_from(params.steps).unwrap_or(u32::MAX);
            let mut events = 0;
            for &index in used() {
                events += encode_events(&set.trials[index], steps, dt_ms)?.len();
            }
            let bytes: usize = set.trials.iter().map(|trial| 16 * trial.len()).sum();
            (events as f64 / count, bytes)
        }
    };
    Ok(Workload {
        train_trials: split.train.len(),
        validation_trials: split.validation.len(),
        test_trials: split.test.len(),
        events_per_trial,
        data_bytes: data_bytes as u64,
    })
}
