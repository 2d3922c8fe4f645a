//! A network on its engine with a batch to work on: what is measured.

use std::sync::Arc;

use crate::bench::BenchTarget;
use crate::conductance::batch::{Batch, Request};
use crate::conductance::engine::EngineError;
use crate::conductance::experiment::ExperimentError;
use crate::conductance::model::Trials;
use crate::conductance::open::{OpenedEngine, open_selected};
use crate::conductance::params::Params;
use crate::conductance::plan::{Plan, Resources, Workload};
use crate::conductance::settings::Config;
use crate::conductance::weights::{Layout, Wiring, draw_initial};
use crate::conductance::work::Activity;
use crate::data::{Samples, check_rate, digits};
use crate::device::{DeviceOptions, available_memory};
use crate::gpu::Selection;

/// What every network is given, so that figures of different machines can be compared.
pub const INPUT: &str = "synthetic digits (built in): 784 inputs, mean intensity as MNIST's";

/// Seed of the drawn digits.
const INPUT_SEED: u64 = 1;

/// Input events of a full-size trial, for the memory plan.
const EVENTS_PER_TRIAL: f64 = 520.0;

/// A network with weights, trials and an open engine.
pub(super) struct BenchNetwork {
    pub(super) config: Config,
    pub(super) params: Params,
    pub(super) layout: Layout,
    pub(super) opened: OpenedEngine,
    pub(super) activity: Activity,
    trials: Trials,
    indices: Vec<usize>,
    batch: Batch,
    /// A training batch is under way.
    has_begun: bool,
}

impl BenchNetwork {
    /// Draws weights and `config.training.batch_size` trials and opens the engine. The learning
    /// rate is set to zero: every repetition then does the same work.
    pub(super) fn open(mut config: Config, target: &BenchTarget) -> Result<Self, ExperimentError> {
        config.training.learning_rate = 0.0;
        let trials_of_batch = config.training.batch_size;
        let samples = Samples::Images(digits(trials_of_batch, INPUT_SEED));
        let params = Params::new(&config, samples.inputs(), samples.classes());
        check_rate(config.encoding.rate_hz, params.network.dt_ms)?;
        let trials = Trials {
            samples: Arc::new(samples),
            steps: params.steps,
            dt_ms: params.network.dt_ms,
            rate_hz: config.encoding.rate_hz,
            noise_seed: config.seeds.noise,
        };
        let indices: Vec<usize> = (0..trials_of_batch).collect();
        let batch = trials.evaluation_batch(&indices)?;
        let plan = Plan::new(
            &params,
            &config.weights,
            Workload {
                train_trials: trials_of_batch,
                validation_trials: 0,
                test_trials: 0,
                events_per_trial: EVENTS_PER_TRIAL,
                data_bytes: (trials_of_batch * params.n_in) as u64,
            },
            Resources {
                on_gpu: matches!(target.selection, Selection::Adapter { .. }),
                threads: target.options.threads(),
                memory: target.options.memory,
                available: available_memory(),
            },
        )?;
        let weights = draw_initial(&params, &config.weights, config.seeds.weights);
        let layout = Layout::new(&params, &weights).map_err(EngineError::from)?;
        let options = DeviceOptions {
            segment_steps: target.options.segment_steps.or(Some(plan.segment_steps)),
            ..target.options
        };
        let selection = target.selection.clone();
        let opened = open_selected(selection, &params, &weights, &options, trials_of_batch)?;
        Ok(Self {
            activity: Activity {
                trials: trials_of_batch as u64,
                input_events: batch.events.len() as u64,
                ..Activity::default()
            },
            config,
            params,
            layout,
            opened,
            trials,
            indices,
            batch,
            has_begun: false,
        })
    }

    /// One training batch: as in a run, the next one is begun before it is waited for.
    pub(super) fn train(&mut self) -> Result<(), ExperimentError> {
        if let Some(ahead) = self.opened.engine.ahead() {
            ahead.begin(&self.batch)?;
            if std::mem::replace(&mut self.has_begun, true) {
                ahead.finish()?;
            }
            return Ok(());
        }
        self.opened
            .engine
            .gradient(&self.batch, Request::default())?;
        self.opened.engine.step()?;
        Ok(())
    }

    /// One batch forwards; counts its spikes.
    pub(super) fn infer(&mut self) -> Result<(), ExperimentError> {
        let forward = self
            .opened
            .engine
            .forward(&self.batch, Request::default())?;
        let sum = |counts: &[u32]| counts.iter().map(|&n| u64::from(n)).sum();
        self.activity.spikes_e = sum(&forward.counts_e);
        self.activity.spikes_i = sum(&forward.counts_i);
        Ok(())
    }

    /// Encodes the samples of a batch once more.
    pub(super) fn encode(&self) -> Result<Batch, ExperimentError> {
        Ok(self.trials.evaluation_batch(&self.indices)?)
    }

    /// Which parts of the network are computed.
    pub(super) fn wiring(&self) -> Wiring {
        Wiring::new(&self.params, &self.layout)
    }

    /// Trials of the batch.
    pub(super) fn batch_trials(&self) -> usize {
        self.indices.len()
    }

    /// Input channels, E cells, I cells, classes.
    pub(super) fn cells(&self) -> [usize; 4] {
        let p = &self.params;
        [p.n_in, p.n_e(), p.n_i(), p.n_out]
    }
}
