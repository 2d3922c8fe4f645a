//! Measures the engines of this family on one device: training and inference of each network.
//!
//! What passes cost does not depend on what networks are given: images are drawn digits, all other tasks are as
//! configured.

use std::sync::Arc;

use serde::Serialize;

use super::batch::Batch;
use super::cpu::{CpuEngine, Workers};
use super::engine::{Engine, EngineError};
use super::experiment::ExperimentError;
use super::gpu::{GpuEngine, LaneStart};
use super::init::{InitialWeights, draw};
use super::open::{OpenedEngine, open_selected};
use super::params::Params;
use super::settings::{Config, Task as Sequence};
use super::tasks::Sequences;
use super::weights::{Layout, Link, Parts};
use crate::bench::report::facts;
use crate::bench::{
    About, BenchOptions, BenchTarget, Ceilings, MedianSpread, StartUp, Task, repeat,
};
use crate::config;
use crate::gpu::{Gpu, Selection};
use crate::spectra::SpectrumError;
use crate::summary::{Listing, Summary};
use crate::text::{count, number};

/// What networks are given.
const INPUT: &str = "sequences as configured; images are synthetic digits (built in)";

/// Networks that are trained side by side.
const SIDE_BY_SIDE: usize = 32;

/// Networks of one shape, each with weights of its own.
enum Networks {
    /// Whose engines share worker threads.
    Cpu(Vec<CpuEngine<f32>>),
    /// Lanes of one engine.
    Gpu(Box<GpuEngine>),
}

impl Networks {
    /// An update of each on the same batch.
    fn train(&mut self, batch: &Batch) -> Result<(), EngineError> {
        match self {
            Self::Cpu(engines) => {
                let share = engines
                    .len()
                    .div_ceil(engines.first().map_or(1, CpuEngine::threads));
                std::thread::scope(|scope| {
                    let train = |own: &mut [CpuEngine<f32>]| -> Result<(), EngineError> {
                        own.iter_mut()
                            .try_for_each(|engine| engine.train(batch).map(drop))
                    };
                    let own = engines.chunks_mut(share);
                    let running: Vec<_> = own.map(|own| scope.spawn(move || train(own))).collect();
                    running
                        .into_iter()
                        .try_for_each(|thread| match thread.join() {
                            Ok(done) => done,
                            Err(panic) => std::panic::resume_unwind(panic),
                        })
                })
            }
            Self::Gpu(engine) => {
                let work: Vec<_> = (0..SIDE_BY_SIDE).map(|lane| (lane, batch)).collect();
                engine.gradient_lanes(&work)?;
                let lanes: Vec<usize> = (0..SIDE_BY_SIDE).collect();
                engine.step_lanes(&lanes)?;
                Ok(())
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Cpu(engines) => engines.first().map_or_else(String::new, Engine::describe),
            Self::Gpu(engine) => engine.describe(),
        }
    }
}

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
    /// Networks side by side; rates are of all of them together.
    networks: usize,
    batch_trials: usize,
    steps: usize,
    /// Input channels, units of each layer, outputs.
    units: Vec<usize>,
    /// Batches a second; of training: optimiser steps.
    batches_per_second: MedianSpread,
    samples_per_second: MedianSpread,
    ms_per_batch: MedianSpread,
    /// Operations that a batch needs at the least, 10⁹.
    gflop_per_batch: f64,
    /// The same a second.
    tflops: f64,
    /// The same as a share of the arithmetic ceiling, %.
    of_ceiling_percent: f64,
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
    for (place, config) in configs.into_iter().enumerate() {
        let mut subject = Subject::open(config, &target)?;
        if place == 0 {
            report.start_up.engine_ready_seconds = options.started.elapsed().as_secs_f64();
            subject.run(Task::Training)?;
            report.start_up.first_batch_seconds = options.started.elapsed().as_secs_f64();
            report.about.device = subject.opened.device.clone();
            report.about.reason = subject.opened.reason.clone();
            progress(&format!("ceilings of {}", report.about.device.name));
            report.ceilings = target.ceilings(options.repetitions())?;
        }
        for task in [Task::Training, Task::Inference] {
            progress(&format!(
                "{}, {}: batches of {} of {}",
                subject.config.name,
                task.name(),
                count(subject.batch.trials, "trial", "trials"),
                count(subject.batch.steps, "time step", "time steps")
            ));
            let measured = subject.measured(task, options.repetitions(), &report.ceilings)?;
            report.workloads.push(measured);
        }
        progress(&format!(
            "{}, training: {SIDE_BY_SIDE} networks side by side",
            subject.config.name
        ));
        match subject.side_by_side(&target, options.repetitions(), &report.ceilings) {
            Ok(measured) => report.workloads.push(measured),
            // So many need not fit where one does.
            Err(error) => progress(&format!("left out: {error}")),
        }
    }
    Ok(Summary {
        facts: facts(&report.about, &report.start_up, &report.ceilings),
        listings: vec![throughput(&report)],
        json: serde_json::to_string_pretty(&report).map_err(ExperimentError::AnalysisJson)?,
    })
}

/// The configuration `name`, on data that are part of the program where it learns images. The learning rate is zero:
/// every repetition then does the same work.
fn configured(name: &str, options: &BenchOptions) -> Result<Config, ExperimentError> {
    let mut config: Config = options.config(name, &[])?;
    if let Some(batch) = options.batch {
        config.training.batch_size = batch;
    }
    if let Sequence::ImageRows | Sequence::ImagePixels = config.data.task {
        let samples = config.training.batch_size;
        let changes = [
            "data.images.dataset=digits".to_owned(),
            "data.images.subset=stratified".to_owned(),
            format!("data.images.train_samples={}", samples.max(10)),
            "data.images.test_samples=10".to_owned(),
            format!("training.batch_size={samples}"),
        ];
        config = options.config(name, &changes)?;
    }
    Ok(config)
}

/// A network with a batch on its engine.
struct Subject {
    config: Config,
    params: Params,
    layout: Layout,
    batch: Batch,
    opened: OpenedEngine,
}

impl Subject {
    fn open(config: Config, target: &BenchTarget) -> Result<Self, ExperimentError> {
        let sequences = Sequences::load(&config, None)?;
        let mut params = config.params(sequences.n_in, sequences.n_out, sequences.has_classes());
        params.recipe.learning_rate = 0.0;
        let samples = sequences.split.train.iter().copied().cycle();
        let samples: Vec<usize> = samples.take(config.training.batch_size).collect();
        let batch = sequences.batch(&samples);
        let weights = draw(&params, &config.initial())?;
        let opened = open_selected(
            target.selection.clone(),
            params.clone(),
            &weights,
            &target.options,
            [batch.steps, batch.trials],
        )?;
        Ok(Self {
            layout: Layout::new(&params),
            config,
            params,
            batch,
            opened,
        })
    }

    fn run(&mut self, task: Task) -> Result<(), ExperimentError> {
        let engine = self.opened.engine.as_mut();
        match task {
            Task::Training => {
                engine.gradient(&self.batch)?;
                engine.step()?;
            }
            Task::Inference => {
                engine.forward(&self.batch, false)?;
            }
        }
        Ok(())
    }

    fn measured(
        &mut self,
        task: Task,
        repetitions: usize,
        ceilings: &Ceilings,
    ) -> Result<TaskReport, ExperimentError> {
        let (_, seconds) = repeat(repetitions, || self.run(task))?;
        let engine = self.opened.engine.describe();
        Ok(self.report(task, 1, seconds, ceilings, engine))
    }

    /// An update of each of many networks of this shape.
    fn side_by_side(
        &self,
        target: &BenchTarget,
        repetitions: usize,
        ceilings: &Ceilings,
    ) -> Result<TaskReport, ExperimentError> {
        let mut networks = self.networks(target)?;
        let (_, seconds) = repeat(repetitions, || networks.train(&self.batch))?;
        let engine = networks.describe();
        Ok(self.report(Task::Training, SIDE_BY_SIDE, seconds, ceilings, engine))
    }

    fn networks(&self, target: &BenchTarget) -> Result<Networks, ExperimentError> {
        let start = |seed| -> Result<LaneStart, SpectrumError> {
            let initial = InitialWeights {
                seed,
                ..self.config.initial()
            };
            Ok(LaneStart {
                weights: draw(&self.params, &initial)?,
                params: self.params.clone(),
            })
        };
        let starts = (0..SIDE_BY_SIDE as u64).map(start);
        let starts = starts.collect::<Result<Vec<_>, _>>()?;
        let shape = [self.batch.steps, self.batch.trials];
        Ok(match &target.selection {
            Selection::CpuEngine { .. } => {
                let workers = Arc::new(Workers::new(target.options.threads())?);
                let engine = |start: LaneStart| {
                    let LaneStart { params, weights } = start;
                    CpuEngine::with_workers(params, &weights, workers.clone())
                };
                Networks::Cpu(starts.into_iter().map(engine).collect())
            }
            Selection::Adapter { adapter, .. } => {
                let gpu = Arc::new(Gpu::open(adapter).map_err(EngineError::Gpu)?);
                let memory = target.options.memory;
                Networks::Gpu(Box::new(GpuEngine::of_lanes(gpu, &starts, memory, shape)?))
            }
        })
    }

    fn report(
        &self,
        task: Task,
        networks: usize,
        seconds: MedianSpread,
        ceilings: &Ceilings,
        engine: String,
    ) -> TaskReport {
        let flops = self.flops(task);
        let all = networks as f64;
        let tflops = all * flops / seconds.median * 1e-12;
        let units = [
            &[self.params.n_in],
            &self.params.layers[..],
            &[self.params.n_out],
        ];
        TaskReport {
            network: self.config.name.clone(),
            config_sha256: config::sha256(&self.config),
            task,
            networks,
            batch_trials: self.batch.trials,
            steps: self.batch.steps,
            units: units.concat(),
            batches_per_second: seconds.rate(all),
            samples_per_second: seconds.rate(all * self.batch.trials as f64),
            ms_per_batch: seconds.times(1e3 / all),
            gflop_per_batch: 1e-9 * flops,
            tflops,
            of_ceiling_percent: 100.0 * tflops / ceilings.arithmetic_tflops(),
            engine,
        }
    }

    /// Least operations of a batch: two for each weight, step and trial forwards, as many for each of the two products
    /// backwards, but for that by the inputs; and what dann's matrices take.
    fn flops(&self, task: Task) -> f64 {
        let rows = (self.batch.steps * self.batch.trials) as f64;
        let scored = (self.batch.scored_steps(&self.params) * self.batch.trials) as f64;
        let of_link = |(number, link): (usize, &Link)| {
            let entries = (link.post * link.pre) as f64;
            let rows = match number == self.layout.read_out {
                true => scored,
                false => rows,
            };
            let combined = match link.parts {
                Parts::Columns { .. } => 0.0,
                Parts::Dann { inhibitory, .. } => 2.0 * entries * inhibitory as f64,
            };
            let products = match (task, number) {
                (Task::Inference, _) => 1.0,
                (Task::Training, 0) => 2.0,
                (Task::Training, _) => 3.0,
            };
            let combinations = match task {
                Task::Inference => 1.0,
                Task::Training => 3.0,
            };
            2.0 * entries * rows * products + combined * combinations
        };
        self.layout.links.iter().enumerate().map(of_link).sum()
    }
}

fn throughput(report: &BenchReport) -> Listing {
    let row = |w: &TaskReport| {
        let units: Vec<String> = w.units.iter().map(usize::to_string).collect();
        vec![
            match w.networks {
                1 => format!("{} {}", w.network, w.task.name()),
                n => format!("{} {}, {n} networks side by side", w.network, w.task.name()),
            },
            w.batch_trials.to_string(),
            number(w.batches_per_second.median),
            number(w.batches_per_second.min),
            number(w.batches_per_second.max),
            number(w.samples_per_second.median),
            number(w.gflop_per_batch),
            number(w.tflops),
            format!(
                "{:.1} % of the arithmetic ceiling; units {}, {}, {}",
                w.of_ceiling_percent,
                units.join("-"),
                count(w.steps, "step", "steps"),
                w.engine
            ),
        ]
    };
    let head = [
        "",
        "batch",
        "batches/s",
        "min",
        "max",
        "samples/s",
        "GFLOP/batch",
        "TFLOP/s",
        "",
    ];
    Listing {
        title: "batches per second (of training: optimiser steps)".into(),
        ..Listing::new(head, report.workloads.iter().map(row))
    }
}
