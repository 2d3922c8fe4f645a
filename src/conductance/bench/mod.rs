//! Measures the engines of this family on one device: full-size training and inference, their stages, memory, and how
//! time grows with size.
//!
//! Networks are given drawn digits. Activity drives cost, so each figure says how many spikes there were.

mod measure;
mod report;
mod scaling;
mod subject;
mod table;

use super::experiment::ExperimentError;
use super::gpu::forms_on;
use super::settings::Config;
use super::work;
use super::{TRIAL_GROUP, block_trials};
use crate::bench::report::facts;
use crate::bench::{BenchOptions, BenchTarget, StartUp, Task};
use crate::device::BackwardChoice;
use crate::gpu::Selection;
use crate::summary::Summary;
use crate::text::count;
use measure::Setup;
use report::{BenchReport, FormTiming};
use subject::BenchNetwork;

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
) -> Result<Summary, ExperimentError> {
    let report = measured(options, progress)?;
    Ok(Summary {
        facts: facts(&report.about, &report.start_up, &report.ceilings),
        listings: table::sections(&report),
        json: serde_json::to_string_pretty(&report).map_err(ExperimentError::AnalysisJson)?,
    })
}

fn measured(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<BenchReport, ExperimentError> {
    let target = options.target()?;
    let (on_gpu, software) = (target.is_gpu(), target.is_software());
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

    let mut about = options.about(&target, subject::INPUT);
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
            about.device = subject.opened.device.clone();
            about.reason = subject.opened.reason.clone();
            progress(&format!("ceilings of {}", about.device.name));
        }
        let ceilings = match &ceilings {
            Some(known) => known,
            None => ceilings.insert(target.ceilings(options.repetitions())?),
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
    let backward_forms = backward_forms(&candidates, &target, options.repetitions(), progress)?;
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

/// Trains the first network with a loop by each form of the backward pass that the device can take; none on a processor.
fn backward_forms(
    candidates: &[Candidate],
    target: &BenchTarget,
    repetitions: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<FormTiming>, ExperimentError> {
    let forms = match &target.selection {
        Selection::Adapter { adapter, .. } => forms_on(&adapter.info().limits),
        Selection::CpuEngine { .. } => return Ok(Vec::new()),
    };
    let mut measured = Vec::new();
    for Candidate { name, config } in candidates {
        for form in &forms {
            let mut target = target.clone();
            target.options.backward = BackwardChoice::Form(*form);
            let mut subject = BenchNetwork::open(config.clone(), &target)?;
            if work::loop_matrices(&subject.params, subject.wiring()).is_empty() {
                break;
            }
            progress(&format!("{name}, training: {} backward pass", form.name()));
            let (_, seconds) = measure::time(&mut subject, Task::Training, repetitions)?;
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
) -> Result<Candidate, ExperimentError> {
    let mut texts = vec![format!("training.batch_size={batch}")];
    texts.extend((name == "coba").then(|| ACTIVE_COBA.to_owned()));
    if software {
        texts.extend(SOFTWARE_NETWORK.map(str::to_owned));
    }
    let mut config: Config = options.config(name, &texts)?;
    // The batch is this run's own, whatever else was said.
    config.training.batch_size = batch;
    Ok(Candidate {
        name: config.name.clone(),
        config,
    })
}
