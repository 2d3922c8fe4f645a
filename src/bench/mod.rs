//! Measures the engines on one device: full-size training and inference, their stages, memory, and
//! how time grows with size; beside the ceilings of the device, measured in the same run.
//!
//! Everything runs on drawn digits that are part of the program, so that figures of different
//! machines can be compared. Times are medians over repetitions after a warm-up; the learning rate is
//! zero, so that every repetition does the same work. Activity drives cost, so each figure says how
//! many spikes there were.
//!
//! The way through: [`run`] opens networks on their engines, takes the ceilings, measures, and hands
//! out a [`BenchReport`], which [`table`] writes for people.

mod ceilings;
mod gpu_ceilings;
mod measure;
mod report;
mod scaling;
mod spread;
mod subject;
pub mod table;

use std::path::Path;
use std::time::Instant;

pub use report::{
    About, BenchReport, Ceilings, FormTiming, Limits, MemoryUse, NetworkActivity, ProductLimit,
    Scaling, ScalingPoint, StageReport, StartUp, Task, TaskReport,
};
pub use spread::MedianSpread;

use crate::conductance::engine::EngineError;
use crate::conductance::open::OpenedEngine;
use crate::conductance::plan::PlanError;
use crate::conductance::settings::Config;
use crate::conductance::work;
use crate::conductance::{TRIAL_GROUP, block_trials};
use crate::config::{ConfigError, Override};
use crate::data::DataError;
use crate::device::BackwardForm;
use crate::device::DeviceOptions;
use crate::families;
use crate::fault::{Blame, Fault};
use crate::gpu::{Gpu, GpuError, Selection, select};
use crate::text::count;
use crate::train::manifest::{DeviceInfo, now_utc};
use measure::Setup;
use subject::{BenchNetwork, BenchTarget};

/// Largest default batch: that of the published networks.
const FULL_BATCH: usize = 256;
/// Default batch on a software device.
const SOFTWARE_BATCH: usize = 32;
/// Changes to every network on a software device, before the user's.
const SOFTWARE_NETWORK: [&str; 3] = ["network.n_e=64", "network.n_i=16", "network.duration_ms=20"];
/// Untrained COBA is silent. With input weights this strong its E cells fire as the published
/// network's do after some ten epochs.
const ACTIVE_COBA: &str = "weights.in_mean_us=4.6";
/// Trials where sizes double are this much shorter with `quick` on a processor.
const QUICK_SHORTER: f64 = 8.0;

/// A measurement stopped.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Samples that cannot be encoded with these settings.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The memory is too small.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Blame for BenchError {
    fn fault(&self) -> Fault {
        match self {
            Self::Config(error) => error.fault(),
            Self::Data(error) => error.fault(),
            Self::Plan(error) => error.fault(),
            Self::Gpu(error) => error.fault(),
            Self::Engine(error) => error.fault(),
        }
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// When the program began, for the start-up time.
    pub started: Instant,
    /// Device, threads, memory.
    pub device: DeviceOptions,
    /// Configurations to measure: files or built-in names.
    pub networks: Vec<String>,
    /// Changes to all of them.
    pub set: Vec<Override>,
    /// All seeds, where given.
    pub seed: Option<u64>,
    /// Trials of a batch; none: as fits the device.
    pub batch: Option<usize>,
    /// Timed repetitions of each figure; none: five, or three with `quick`.
    pub repetitions: Option<usize>,
    /// Fewer repetitions; growth of one network only, on a processor with shorter trials.
    pub quick: bool,
    /// The command line as typed, for the report.
    pub command: Vec<String>,
}

impl BenchOptions {
    fn repetitions(&self) -> usize {
        let usual = if self.quick { 3 } else { 5 };
        self.repetitions.unwrap_or(usual).max(1)
    }
}

/// A network to measure.
struct Candidate {
    name: String,
    config: Config,
}

/// Measures what `options` ask for; `progress` hears what is being measured.
///
/// # Errors
/// A configuration that cannot be used, no such device or one that fails, or too little memory.
pub fn run(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<BenchReport, BenchError> {
    let selection = select(options.device.device)?;
    let (on_gpu, software) = match &selection {
        Selection::Adapter { adapter, .. } => (true, adapter.info().kind.is_software()),
        Selection::CpuEngine { .. } => (false, false),
    };
    let target = BenchTarget {
        selection,
        options: options.device,
    };
    let threads = options.device.threads();
    let batch = options.batch.unwrap_or(match (on_gpu, software) {
        (true, true) => SOFTWARE_BATCH,
        (true, false) => FULL_BATCH,
        (false, _) => (threads * block_trials(FULL_BATCH, threads)).clamp(TRIAL_GROUP, FULL_BATCH),
    });
    let networks = options.networks.iter();
    let candidates = networks
        .map(|name| candidate(name, options, batch, software))
        .collect::<Result<Vec<_>, _>>()?;

    let mut about = about(options, threads, software);
    let mut start_up = None;
    let mut ceilings = None;
    let mut workloads = Vec::new();
    for candidate in &candidates {
        let mut subject = BenchNetwork::open(candidate.config.clone(), &target)?;
        if start_up.is_none() {
            let engine_ready_seconds = options.started.elapsed().as_secs_f64();
            subject.train()?;
            start_up = Some(StartUp {
                engine_ready_seconds,
                first_batch_seconds: options.started.elapsed().as_secs_f64(),
            });
            about_device(&mut about, &subject.opened);
            progress(&format!("ceilings of {}", about.device.name));
        }
        let ceilings = match &ceilings {
            Some(known) => known,
            None => ceilings.insert(measure_ceilings(&target, options.repetitions())?),
        };
        let setup = Setup {
            repetitions: options.repetitions(),
            ceilings,
            threads: (!on_gpu).then_some(threads),
        };
        for task in [Task::Training, Task::Inference] {
            let name = &candidate.name;
            progress(&format!(
                "{name}, {}: batches of {} of {}",
                task.name(),
                count(subject.batch_trials(), "trial", "trials"),
                count(subject.params.steps, "time step", "time steps")
            ));
            let measured = measure::workload(&mut subject, name, task, &setup)?;
            workloads.push(measured);
        }
    }
    let backward_forms = match on_gpu {
        true => backward_forms(&candidates, &target, options.repetitions(), progress)?,
        false => Vec::new(),
    };
    let growing = if options.quick { 1 } else { candidates.len() };
    let mut scaling = Vec::new();
    for Candidate { name, config, .. } in candidates.iter().take(growing) {
        progress(&format!("{name}: time as batch, steps and cells double"));
        let mut config = config.clone();
        if options.quick && !on_gpu {
            config.network.duration_ms /= QUICK_SHORTER;
        }
        let repetitions = options.repetitions();
        scaling.push(scaling::scaling(&config, name, &target, repetitions)?);
    }
    Ok(BenchReport {
        about,
        start_up: start_up.unwrap_or_default(),
        ceilings: ceilings.unwrap_or_default(),
        workloads,
        backward_forms,
        scaling,
    })
}

/// Trains the first network with a loop by each form of the backward pass.
fn backward_forms(
    candidates: &[Candidate],
    target: &BenchTarget,
    repetitions: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<FormTiming>, BenchError> {
    let mut measured = Vec::new();
    for Candidate { name, config } in candidates {
        for form in BackwardForm::ALL {
            let mut target = target.clone();
            target.options.backward = form;
            let mut subject = BenchNetwork::open(config.clone(), &target)?;
            if work::loop_matrices(&subject.params, subject.wiring()).is_empty() {
                break;
            }
            progress(&format!("{name}, training: {} backward pass", form.name()));
            let (_, seconds) = measure::repeat(&mut subject, Task::Training, repetitions)?;
            measured.push(FormTiming {
                network: name.clone(),
                form: form.name(),
                samples_per_second: seconds.rate(subject.batch_trials() as f64),
                ms_per_batch: seconds.times(1e3),
            });
        }
        if !measured.is_empty() {
            break;
        }
    }
    Ok(measured)
}

/// The configuration `name` with the changes that the bench makes, then the user's.
fn candidate(
    name: &str,
    options: &BenchOptions,
    batch: usize,
    software: bool,
) -> Result<Candidate, ConfigError> {
    let mut texts = vec![format!("training.batch_size={batch}")];
    texts.extend((name == "coba").then(|| ACTIVE_COBA.to_owned()));
    if software {
        texts.extend(SOFTWARE_NETWORK.map(str::to_owned));
    }
    let mut set = texts
        .iter()
        .map(|text| text.parse())
        .collect::<Result<Vec<Override>, _>>()?;
    set.extend(options.set.iter().cloned());
    let config = families::load(Some(Path::new(name)), &set, options.seed)?;
    let mut config = config.into_conductance()?;
    // The batch is this run's own, whatever else was said.
    config.training.batch_size = batch;
    Ok(Candidate {
        name: config.name.clone(),
        config,
    })
}

fn measure_ceilings(target: &BenchTarget, repetitions: usize) -> Result<Ceilings, BenchError> {
    match &target.selection {
        Selection::CpuEngine { .. } => Ok(ceilings::of_processor(
            target.options.threads(),
            repetitions,
        )),
        Selection::Adapter { adapter, .. } => {
            Ok(gpu_ceilings::of_gpu(&Gpu::open(adapter)?, repetitions)?)
        }
    }
}

fn about(options: &BenchOptions, threads: usize, software: bool) -> About {
    let mut notes = Vec::new();
    if software {
        notes.push(
            "software Vulkan: not a speed figure; networks and batches are small unless set"
                .to_owned(),
        );
    }
    if cfg!(debug_assertions) {
        notes.push("debug build: not a speed figure; use --release".to_owned());
    }
    About {
        dalenet_version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("DALENET_COMMIT"),
        date_utc: now_utc(),
        command: options.command.clone(),
        device: DeviceInfo {
            threads,
            ..DeviceInfo::default()
        },
        software_gpu: software,
        reason: String::new(),
        memory_limit_bytes: options.device.memory,
        quick: options.quick,
        repetitions: options.repetitions(),
        input: subject::INPUT,
        notes,
    }
}

fn about_device(about: &mut About, opened: &OpenedEngine) {
    about.device = opened.device.clone();
    about.reason = opened.reason.clone();
}
