//! Measures the engines of this family on one device: one network and many lanes that learn, and frozen trials.

use serde::Serialize;

use super::engine::TrialInput;
use super::experiment::ExperimentError;
use super::init::draw;
use super::open::{OpenedEngine, open_selected};
use super::settings::{Config, Task as Stimulus};
use super::stimuli::Stimuli;
use super::weights::Layout;
use crate::bench::report::facts;
use crate::bench::{
    About, BenchOptions, BenchTarget, Ceilings, MedianSpread, StartUp, Task, repeat,
};
use crate::config;
use crate::summary::{Listing, Summary};
use crate::text::{count, number};

/// What networks are given.
const INPUT: &str = "stimuli as configured; images are synthetic digits (built in)";

/// Lanes, or frozen trials, that are measured at once unless told otherwise; fewer in software.
const MANY: usize = 256;
const MANY_IN_SOFTWARE: usize = 8;

/// Everything that was measured in one run.
#[derive(Clone, Debug, Serialize)]
struct BenchReport {
    about: About,
    start_up: StartUp,
    ceilings: Ceilings,
    workloads: Vec<TaskReport>,
}

/// One network at one task.
#[derive(Clone, Debug, Serialize)]
struct TaskReport {
    /// Name of its configuration.
    network: String,
    /// SHA-256 of that configuration with all overrides.
    config_sha256: String,
    task: Task,
    /// Networks side by side.
    lanes: usize,
    /// Trials of each lane in a call.
    trials: usize,
    inputs: usize,
    neurons: usize,
    /// Trials a second, of all lanes.
    trials_per_second: MedianSpread,
    /// Simulated seconds a second, of all lanes.
    simulated_seconds_per_second: MedianSpread,
    /// Updates of a neuron a second, 10⁹.
    neuron_updates_per_second: f64,
    /// The engine in words.
    engine: String,
}

/// Measures what `options` ask for; `progress` hears what is being measured.
///
/// # Errors
/// A configuration that cannot be used, no such device or one that fails, or too little memory.
pub fn run(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Summary, ExperimentError> {
    let target = options.target()?;
    let configs = options.networks.iter();
    let configs = configs
        .map(|name| configured(name, options))
        .collect::<Result<Vec<_>, _>>()?;
    let mut report = BenchReport {
        about: options.about(&target, INPUT),
        start_up: StartUp::default(),
        ceilings: Ceilings::default(),
        workloads: Vec::new(),
    };
    let many = options.batch.unwrap_or(match target.is_software() {
        true => MANY_IN_SOFTWARE,
        false => MANY,
    });
    for (place, config) in configs.into_iter().enumerate() {
        for (task, lanes, trials) in [
            (Task::Training, 1, 1),
            (Task::Training, many, 1),
            (Task::Inference, 1, many),
        ] {
            let mut subject = Subject::open(config.clone(), &target, task, lanes, trials)?;
            if place == 0 && report.workloads.is_empty() {
                report.start_up.engine_ready_seconds = options.started.elapsed().as_secs_f64();
                subject.run()?;
                report.start_up.first_batch_seconds = options.started.elapsed().as_secs_f64();
                report.about.device = subject.opened.device.clone();
                report.about.reason = subject.opened.reason.clone();
                progress(&format!("ceilings of {}", report.about.device.name));
                report.ceilings = target.ceilings(options.repetitions())?;
            }
            progress(&format!(
                "{}, {}: networks {lanes}, trials of each {trials}",
                config.name,
                task.name()
            ));
            report
                .workloads
                .push(subject.measured(options.repetitions())?);
        }
    }
    Ok(Summary {
        facts: facts(&report.about, &report.start_up, &report.ceilings),
        listings: vec![throughput(&report)],
        json: serde_json::to_string_pretty(&report).map_err(ExperimentError::AnalysisJson)?,
    })
}

/// The configuration `name`, on data that are part of the program.
fn configured(name: &str, options: &BenchOptions) -> Result<Config, ExperimentError> {
    let config: Config = options.config(name, &[])?;
    if config.data.task == Stimulus::Gratings {
        return Ok(config);
    }
    let changes = [
        "data.images.dataset=digits",
        "data.images.subset=stratified",
        "data.images.train_samples=256",
        "data.images.test_samples=10",
    ];
    Ok(options.config(name, &changes.map(str::to_owned))?)
}

/// Networks with trials on an engine.
struct Subject {
    config: Config,
    task: Task,
    lanes: usize,
    trials: Vec<TrialInput>,
    opened: OpenedEngine,
}

impl Subject {
    fn open(
        config: Config,
        target: &BenchTarget,
        task: Task,
        lanes: usize,
        trials: usize,
    ) -> Result<Self, ExperimentError> {
        let stimuli = Stimuli::load(&config, None)?;
        let layout = Layout::new(&config);
        let lane = |lane: usize| {
            let mut config = config.clone();
            config.seeds.weights = config.seeds.weights.wrapping_add(lane as u64);
            draw(&config, &layout, &stimuli)
        };
        let networks: Vec<_> = (0..lanes).map(lane).collect();
        let samples = stimuli.split.train.iter().cycle().take(trials);
        Ok(Self {
            trials: samples
                .map(|&sample| stimuli.training_trial(0, sample))
                .collect(),
            opened: open_selected(
                target.selection.clone(),
                &config.params(),
                &networks,
                &target.options,
            )?,
            config,
            task,
            lanes,
        })
    }

    fn run(&mut self) -> Result<(), ExperimentError> {
        let engine = self.opened.engine.as_mut();
        match self.task {
            Task::Training => {
                let lanes = 0..self.lanes;
                let work: Vec<_> = lanes.map(|lane| (lane, &self.trials[..])).collect();
                engine.train(&work)?;
            }
            Task::Inference => {
                engine.run(&[(0, &self.trials)])?;
            }
        }
        Ok(())
    }

    fn measured(&mut self, repetitions: usize) -> Result<TaskReport, ExperimentError> {
        let (_, seconds) = repeat(repetitions, || self.run())?;
        let params = self.config.params();
        let trials = (self.lanes * self.trials.len()) as f64;
        let updates = trials * (params.steps * params.neurons) as f64;
        Ok(TaskReport {
            network: self.config.name.clone(),
            config_sha256: config::sha256(&self.config),
            task: self.task,
            lanes: self.lanes,
            trials: self.trials.len(),
            inputs: params.n_in,
            neurons: params.neurons,
            trials_per_second: seconds.rate(trials),
            simulated_seconds_per_second: seconds.rate(trials * params.duration_s()),
            neuron_updates_per_second: 1e-9 * updates / seconds.median,
            engine: self.opened.engine.describe(),
        })
    }
}

fn throughput(report: &BenchReport) -> Listing {
    let row = |w: &TaskReport| {
        vec![
            format!("{} {}", w.network, w.task.name()),
            w.lanes.to_string(),
            w.trials.to_string(),
            number(w.simulated_seconds_per_second.median),
            number(w.simulated_seconds_per_second.min),
            number(w.simulated_seconds_per_second.max),
            number(w.neuron_updates_per_second),
            format!(
                "{}, {}, {}",
                count(w.inputs, "input", "inputs"),
                count(w.neurons, "neuron", "neurons"),
                w.engine
            ),
        ]
    };
    let head = [
        "",
        "networks",
        "trials",
        "simulated s/s",
        "min",
        "max",
        "10⁹ updates/s",
        "",
    ];
    Listing {
        title: "simulated seconds a second, of all networks together".into(),
        ..Listing::new(head, report.workloads.iter().map(row))
    }
}
