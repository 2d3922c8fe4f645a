//! How much memory a run takes, part by part.

use super::{Resources, Workload, default_segment_steps};
use crate::conductance::batch::SpikeBits;
use crate::conductance::params::Params;
use crate::conductance::settings;
use crate::conductance::settings::MatrixName;
use crate::conductance::{TRIAL_GROUP, block_trials};
use crate::text;

/// Evaluation trials are encoded once and kept where they take no more than this.
const KEPT_EVALUATION_BYTES: f64 = (64 << 20) as f64;
/// Program, libraries and stacks.
const BASE_BYTES: f64 = (32 << 20) as f64;
/// Mean rate up to which the room for spikes is reckoned, Hz.
const SPIKE_RATE_HZ: f64 = 200.0;

/// The parts of the memory that a run takes; bytes as `f64`, since sizes of impossible networks
/// overflow whole numbers.
pub(super) struct Memory<'a> {
    params: &'a Params,
    work: Workload,
    resources: Resources,
    pub(super) entries: f64,
    pub(super) trained: f64,
}

impl<'a> Memory<'a> {
    pub(super) fn new(
        params: &'a Params,
        weights: &settings::Weights,
        work: Workload,
        resources: Resources,
    ) -> Self {
        let (mut entries, mut trained) = (0.0, 0.0);
        for name in MatrixName::ALL {
            let is_trained = params.is_trained(name);
            let is_there = match name {
                MatrixName::WEe => weights.ee_mean_us > 0.0 || is_trained,
                MatrixName::WIi => weights.ii_mean_us > 0.0 || is_trained,
                _ => true,
            };
            let (pre, post) = params.shape(name);
            let size = pre as f64 * post as f64;
            entries += if is_there { size } else { 0.0 };
            trained += if is_trained { size } else { 0.0 };
        }
        Self {
            params,
            work,
            resources,
            entries,
            trained,
        }
    }

    /// State of one trial: v, both conductances and the refractory time of each cell.
    fn state_bytes(&self) -> f64 {
        16.0 * (self.params.n_e() + self.params.n_i()) as f64
    }

    fn events_bytes(&self, trials: f64) -> f64 {
        trials * (8.0 * self.work.events_per_trial + 8.0)
    }

    /// Evaluation trials that are kept encoded.
    pub(super) fn kept_evaluation(&self) -> f64 {
        let trials = (self.work.test_trials + self.work.validation_trials) as f64;
        let bytes = self.events_bytes(trials);
        if bytes <= KEPT_EVALUATION_BYTES {
            bytes
        } else {
            0.0
        }
    }

    pub(super) fn host_bytes(&self, batch: usize, segment_steps: usize) -> f64 {
        let p = self.params;
        let (trials, steps) = (batch as f64, p.steps as f64);
        // A checkpoint passes through doubles and bytes on its way to the file.
        let weights = 4.0 * self.entries + 20.0 * (self.entries + 2.0 * self.trained);
        let encoded = 3.0 * self.events_bytes(trials) + self.kept_evaluation();
        let common = BASE_BYTES + self.work.data_bytes as f64 + weights + encoded;
        if self.resources.on_gpu {
            return common;
        }
        // Stored, delivered and in strips; moments and gradients, those of the groups among them.
        let groups = batch.div_ceil(TRIAL_GROUP) as f64;
        let engine = 4.0 * (3.0 * self.entries + (3.0 + groups) * self.trained);
        let constants = p.constants::<f64>();
        let spikes = |cells: usize, ref_steps: f64| {
            let most = (steps / ref_steps + 1.0).min(SPIKE_RATE_HZ * p.duration_s());
            6.0 * cells as f64 * most + 4.0 * steps
        };
        let cells = (p.n_e() + p.n_i()) as f64;
        let counts = 8.0 * cells * trials;
        let checkpoints = (steps / segment_steps as f64).ceil() * self.state_bytes();
        let adjoints = 16.0 * cells;
        let trial = checkpoints
            + adjoints
            + 4.0 * steps * p.n_out as f64
            + spikes(p.n_e(), constants.e.ref_steps)
            + spikes(p.n_i(), constants.i.ref_steps)
            + self.trace_bytes(1, segment_steps);
        common + engine + counts + self.trials_in_flight(batch) * trial
    }

    /// Trials that the threads of the CPU engine work on at once.
    fn trials_in_flight(&self, batch: usize) -> f64 {
        let threads = self.resources.threads.max(1);
        (threads * block_trials(batch, threads)).min(batch) as f64
    }

    /// Recorded states of `trials` trials over a segment.
    fn trace_bytes(&self, trials: usize, segment_steps: usize) -> f64 {
        let cells = (self.params.n_e() + self.params.n_i()) as f64;
        12.0 * cells * trials as f64 * segment_steps.min(self.params.steps) as f64
    }

    /// What no plan on a GPU can do without: weights and moments, and the spikes and states of one group, saved in
    /// two levels and segments of about the cube root of the steps.
    pub(super) fn device_bytes(&self, batch: usize) -> f64 {
        let p = self.params;
        let row = SpikeBits::silent(0, p.steps, [p.n_e(), p.n_i(), p.n_out]).row_words();
        let trials = batch.min(TRIAL_GROUP);
        let rasters = 4.0 * (row * p.steps * trials) as f64;
        let root = (p.steps as f64).cbrt().ceil();
        let states = 2.0 * root * self.state_bytes() * trials as f64;
        let weights = 4.0 * (2.0 * self.entries + 3.0 * self.trained);
        weights + rasters + states + self.trace_bytes(trials, root as usize)
    }

    /// The usual length, or the one that takes least where that does not fit into `limit`.
    pub(super) fn segment_steps(&self, batch: usize, limit: Option<u64>) -> usize {
        let usual = default_segment_steps(self.params.steps);
        if limit.is_none_or(|limit| self.host_bytes(batch, usual) <= limit as f64) {
            return usual;
        }
        // Checkpoints shrink with the length, traces grow with it: least where both are equal.
        let checkpoints = self.params.steps as f64 * self.state_bytes();
        let least = (checkpoints / self.trace_bytes(1, 1)).sqrt().round() as usize;
        let least = least.clamp(1, self.params.steps);
        [usual, least]
            .into_iter()
            .min_by(|&a, &b| {
                self.host_bytes(batch, a)
                    .total_cmp(&self.host_bytes(batch, b))
            })
            .unwrap_or(usual)
    }

    /// Which key to lower, and to what.
    pub(super) fn advice(&self, batch: usize, limit: Option<u64>) -> String {
        let fits = |batch: usize| {
            let bytes = self.host_bytes(batch, self.segment_steps(batch, limit));
            limit.is_none_or(|limit| bytes <= limit as f64)
        };
        let halves = std::iter::successors(Some(batch / 2), |n| Some(n / 2));
        match halves.take_while(|&n| n > 0).find(|&n| fits(n)) {
            Some(smaller) => {
                format!("lower training.batch_size from {batch} to {smaller}, or free memory")
            }
            None => {
                let net = &self.params.network;
                let weights = 4.0 * self.entries + 20.0 * (self.entries + 2.0 * self.trained);
                let limit = limit.unwrap_or(0) as f64;
                let fixed = BASE_BYTES + self.work.data_bytes as f64;
                if fixed > limit {
                    format!(
                        "program and data alone take about {}: allow or free more",
                        text::bytes(fixed as u64)
                    )
                } else if fixed + weights > limit {
                    format!(
                        "the weights alone do not fit: lower network.n_e ({}) or network.n_i ({}), or the \
                         number of inputs ({})",
                        net.n_e, net.n_i, self.params.n_in
                    )
                } else {
                    format!(
                        "a single trial does not fit: lower network.duration_ms ({}) or raise \
                         network.dt_ms ({}), or lower network.n_e ({})",
                        net.duration_ms, net.dt_ms, net.n_e
                    )
                }
            }
        }
    }
}
