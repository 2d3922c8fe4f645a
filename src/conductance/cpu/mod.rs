//! The CPU engine, generic over `f32` (a product for machines without a GPU) and `f64` (the
//! reference).
//!
//! Trials are independent, so a thread runs one after another forward with its whole state in the
//! nearest cache. Spikes travel as lists, so a synapse costs time only when it carries one. Then the
//! thread takes the same block of trials backward ([`block_trials`], 16 or 32), for only there the
//! dense products of the loop can serve many trials with each weight they read. States are not kept
//! but replayed from checkpoints, a segment at a time. What a thread works in (its scratch) is kept
//! from batch to batch; nothing is allocated or locked while trials run.
//!
//! Gradients are summed within a group of [`TRIAL_GROUP`] trials in one fixed order and then over groups
//! in order, so neither threads nor blocks nor segments change a bit.
//!
//! # Where the time goes
//!
//! Full-size PING on two cores of an AMD EPYC (Zen 5, AVX-512), a batch of 64, from `dalenet bench`:
//!
//! | stage | ms | share | |
//! |---|---|---|---|
//! | forward | 40 | 9 % | 4.1 · 10⁹ cell-steps a second |
//! | replay | 50 | 11 % | and writes 14 KB a trial and step |
//! | loop products | 299 | 66 % | 448 GFLOP/s, about the peak of the two cores |
//! | backward | 45 | 10 % | adjoints of cells and read-out |
//! | weight gradients | 13 | 3 % | a row for each event |
//! | optimiser and the rest | 9 | 2 % | threads that wait for the last block |
//!
//! That is 144 samples a second, 77 % of what the products alone would allow at the rate of the `gemm`
//! crate in the same run (394 GFLOP/s); inference ran 2190 trials a second, COBA's training 500.
//!
//! A newer Intel Xeon (two cores, AVX-512, clocked lower) trains 74 samples a second, 75 % of what its products allow.
//!
//! * **The loop's products are the limit.** Two matrices of 1024 × 256, transposed, times 32 trials,
//!   each step: 2.1 GFLOP a sample. The kernel keeps its sums in registers and is bound by the
//!   multiply-add units.
//! * **Cell loops run 16 cells at a time.** Each is one pass over arrays that begin at a cache line;
//!   straddling lines cost up to three times as much. The exponential is a polynomial, without the
//!   reduction of its argument where no cell needs it. One thread advances 4.1 · 10⁹ cells a second by a
//!   step with AVX-512, 1.8 · 10⁹ with AVX2 and 0.27 · 10⁹ one cell at a time.
//! * **Replay and backward are bound by the last-level cache.** A step of 32 trials records 0.46 MB;
//!   segments of 8 steps keep that near, segments of 45 were a tenth slower.
//! * **Storing instead of replaying** would write and read 28 MB a trial, which takes longer.
//! * **A group of 16 trials** is what one thread takes where there are more threads than pairs of
//!   groups: a batch of 32 still uses two cores, at a tenth more time a sample.
//!
//! COBA has no loop and simulates no I cells: no products, no inhibition, a quarter of the time.

mod backward;
mod cells;
mod clock;
mod network;
mod scratch;
mod state;
mod trial;
mod watched;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::conductance::batch::{Batch, Forward, Request, SpikeBits};
use crate::conductance::engine::{
    Engine, EngineError, Gradient, Quantity, StageTime, StepReport, Usage,
};
use crate::conductance::loss::{cross_entropy, rate_penalty};
use crate::conductance::params::Params;
use crate::conductance::plan::resident_memory;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Weights};
use crate::conductance::{TRIAL_GROUP, block_trials, check_batch};
use crate::optim::{Adam, sum_of_gradient_squares, sum_of_squares};
use crate::real::{Lines, Real, zeros};
use crate::text::count;
use clock::{Clock, CpuStage};
use network::PreparedNetwork;
use scratch::{BlockResult, Pass, ThreadScratch};

/// Weights that a thread updates at a time.
const PART: usize = 1 << 14;

/// Trains and runs one network on the CPU.
pub struct CpuEngine<R> {
    network: PreparedNetwork<R>,
    adam: Adam,
    stored: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
    gradient: Lines<R>,
    /// Gradients of the trial groups of a batch, one flat vector each.
    groups: Lines<R>,
    optimiser_steps: u64,
    segment_steps: usize,
    scratches: Vec<Mutex<ThreadScratch<R>>>,
    clock: Clock,
    is_timing: bool,
    pool: rayon::ThreadPool,
}

impl<R: Real> CpuEngine<R> {
    /// An engine on `threads` threads (0: all cores) with fresh optimiser state. `segment_steps` is
    /// the distance of the checkpoints; it changes memory and time, not results.
    ///
    /// # Errors
    /// Weights that do not fit the network, or threads that cannot be started.
    pub fn new(
        params: Params,
        weights: &Weights,
        threads: usize,
        segment_steps: usize,
    ) -> Result<Self, EngineError> {
        let layout = Layout::new(&params, weights)?;
        let stored: Vec<R> = layout
            .flatten(weights)
            .into_iter()
            .map(|w| R::from_f64(f64::from(w)))
            .collect();
        let network = PreparedNetwork::new(params, layout, &stored);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| EngineError::Threads(e.to_string()))?;
        let trained = network.layout.trained_len;
        Ok(Self {
            adam: network.params.training.adam(),
            stored,
            m: vec![R::ZERO; trained],
            v: vec![R::ZERO; trained],
            gradient: zeros(trained),
            groups: zeros(0),
            optimiser_steps: 0,
            segment_steps: segment_steps.clamp(1, network.params.steps),
            scratches: (0..pool.current_num_threads())
                .map(|_| Mutex::new(ThreadScratch::new(&network)))
                .collect(),
            clock: Clock::new(),
            is_timing: false,
            network,
            pool,
        })
    }

    /// The scratch of the thread that asks. Nobody else ever waits for it.
    fn scratch(&self) -> MutexGuard<'_, ThreadScratch<R>> {
        let own = rayon::current_thread_index().unwrap_or(0);
        self.scratches[own]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of each trial of a raster that was asked for.
    fn raster_of(&self, batch: &Batch, request: Request<'_>) -> Option<SpikeBits> {
        let p = &self.network.params;
        let cells = [p.n_e(), p.n_i(), p.n_out];
        request
            .raster
            .then(|| SpikeBits::silent(batch.trials(), p.steps, cells))
    }

    /// Seconds of each stage since the last call: a mean over the threads where they share a stage.
    fn stage_seconds(&mut self) -> [f64; CpuStage::ALL.len()] {
        let mut sums = self.clock.take();
        let threads = self.scratches.len() as f64;
        for scratch in &mut self.scratches {
            let scratch = scratch.get_mut().unwrap_or_else(PoisonError::into_inner);
            for (sum, seconds) in sums.iter_mut().zip(scratch.clock.take()) {
                *sum += seconds / threads;
            }
        }
        sums
    }

    fn by_matrix(&self, flat: &[R]) -> BTreeMap<MatrixName, Vec<f64>> {
        let slots = self
            .network
            .layout
            .slots
            .iter()
            .filter(|s| s.range().end <= flat.len());
        slots
            .map(|s| (s.name, flat[s.range()].iter().map(|x| x.to_f64()).collect()))
            .collect()
    }
}

impl<R: Real> Engine for CpuEngine<R> {
    fn params(&self) -> &Params {
        &self.network.params
    }

    fn forward(&mut self, batch: &Batch, request: Request<'_>) -> Result<Forward, EngineError> {
        let net = &self.network;
        check_batch(&net.params, batch, request)?;
        let mut raster = self.raster_of(batch, request);
        let mut forward = Forward::default();
        let mut trials: Vec<(usize, Option<&mut [u32]>)> =
            (0..batch.trials()).map(|trial| (trial, None)).collect();
        if let Some(raster) = &mut raster {
            for ((_, rows), trial) in trials.iter_mut().zip(raster.trials_mut()) {
                *rows = Some(trial);
            }
        }
        let run = |(trial, rows): (usize, Option<&mut [u32]>)| {
            self.scratch().forward(net, batch, trial, request, rows)
        };
        let results: Vec<Forward> = self
            .pool
            .install(|| trials.into_par_iter().map(run).collect());
        for result in results {
            forward.logits.extend(result.logits);
            forward.counts_e.extend(result.counts_e);
            forward.counts_i.extend(result.counts_i);
            forward.disagreements.extend(result.disagreements);
            forward.traces = forward.traces.or(result.traces);
        }
        forward.raster = raster;
        Ok(forward)
    }

    fn gradient(&mut self, batch: &Batch, request: Request<'_>) -> Result<Gradient, EngineError> {
        check_batch(&self.network.params, batch, request)?;
        let training = &self.network.params.training;
        let (theta, strength) = (training.rate_theta_hz, training.rate_strength);
        let (mut penalty, mut by_spike) = (0.0, Vec::new());
        if strength > 0.0 {
            // The penalty needs the rates of the whole batch before the first backward pass.
            let spikes = Request {
                imposed: request.imposed,
                ..Request::default()
            };
            let counts = self.forward(batch, spikes)?.counts_e;
            let p = &self.network.params;
            let (value, gradient) = rate_penalty(&counts, p.n_e(), p.duration_s(), theta, strength);
            penalty = value;
            by_spike = gradient.into_iter().map(R::from_f64).collect();
        }
        let trained = self.network.layout.trained_len;
        let mut groups = std::mem::replace(&mut self.groups, zeros(0));
        groups.resize(batch.trials().div_ceil(TRIAL_GROUP) * trained, R::ZERO);
        let size = block_trials(batch.trials(), self.pool.current_num_threads());
        let pass = Pass {
            batch,
            request,
            by_spike: &by_spike,
            segment_steps: self.segment_steps,
            block_trials: size,
        };
        let mut raster = self.raster_of(batch, request);
        let mut rows: Vec<&mut [u32]> = raster.iter_mut().flat_map(SpikeBits::trials_mut).collect();
        let blocks: Vec<(usize, Vec<&mut [u32]>)> = (0..batch.trials())
            .step_by(size)
            .map(|first| (first, rows.drain(..size.min(rows.len())).collect()))
            .collect();
        let results: Vec<BlockResult<R>> = self.pool.install(|| {
            let gradients = groups.par_chunks_mut((size / TRIAL_GROUP * trained).max(1));
            let run = |((first, rows), gradients): ((usize, Vec<&mut [u32]>), &mut [R])| {
                let mut scratch = self.scratch();
                scratch.train(&self.network, pass, first, rows, gradients)
            };
            blocks.into_par_iter().zip(gradients).map(run).collect()
        });
        self.clock.start();
        let arch = self.network.arch;
        self.pool.install(|| {
            let parts = self.gradient.par_chunks_mut(PART).enumerate();
            parts.for_each(|(i, part)| {
                part.fill(R::ZERO);
                for group in groups.chunks_exact(trained.max(1)) {
                    cells::add(arch, part, &group[i * PART..][..part.len()]);
                }
            });
        });
        self.groups = groups;
        for slot in self.network.layout.trained_slots().filter(|s| s.clamped) {
            for (g, w) in self.gradient[slot.range()]
                .iter_mut()
                .zip(&self.stored[slot.range()])
            {
                if *w < R::ZERO {
                    *g = R::ZERO;
                }
            }
        }
        self.clock.lap(CpuStage::WeightGradients);
        let mut forward = Forward {
            raster,
            ..Forward::default()
        };
        let mut spikes = [0; 2];
        for result in results {
            for (sum, n) in spikes.iter_mut().zip(result.spikes) {
                *sum += n;
            }
            forward
                .logits
                .extend(result.logits.iter().map(|x| x.to_f64()));
            forward.disagreements.extend(result.disagreements);
            forward.traces = forward.traces.or(result.traces);
        }
        let n_out = self.network.params.n_out;
        let (scores, _) = cross_entropy(&forward.logits, &batch.labels, n_out);
        let loss = scores.cross_entropy_sum / batch.trials() as f64 + penalty;
        Ok(Gradient {
            forward,
            scores,
            loss,
            spikes_e: spikes[0],
            spikes_i: spikes[1],
        })
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        self.clock.start();
        let layout = &self.network.layout;
        let mut report = StepReport::default();
        let mut total = 0.0;
        for slot in layout.trained_slots() {
            let (stored, gradient) = (&self.stored[slot.range()], &self.gradient[slot.range()]);
            let squares = sum_of_gradient_squares(&slot.rule, stored, gradient);
            total += squares;
            report.gradient_norm_of.insert(slot.name, squares.sqrt());
            let weights = sum_of_squares(stored);
            report.weight_norm_of.insert(slot.name, weights.sqrt());
        }
        report.gradient_norm = total.sqrt();
        report.clip_factor = self.adam.clip_factor(report.gradient_norm);
        report.skipped = !report.gradient_norm.is_finite();
        if report.skipped {
            return Ok(report);
        }
        self.optimiser_steps += 1;
        for slot in layout.trained_slots() {
            let range = slot.range();
            let parts = self.gradient[range.clone()]
                .par_chunks(PART)
                .zip(self.m[range.clone()].par_chunks_mut(PART))
                .zip(self.v[range.clone()].par_chunks_mut(PART))
                .zip(self.stored[range].par_chunks_mut(PART));
            self.pool.install(|| {
                parts.for_each(|(((gradient, m), v), stored)| {
                    let (t, clip) = (self.optimiser_steps, report.clip_factor);
                    let (rule, constraint) = (&slot.rule, slot.constraint);
                    self.adam
                        .update(rule, t, clip, constraint, gradient, m, v, stored);
                });
            });
        }
        self.network.refresh(&self.stored, false);
        self.clock.lap(CpuStage::Optimiser);
        Ok(report)
    }

    fn read(&mut self, quantity: Quantity) -> Result<BTreeMap<MatrixName, Vec<f64>>, EngineError> {
        Ok(self.by_matrix(match quantity {
            Quantity::Weights => &self.stored,
            Quantity::Gradient => &self.gradient,
            Quantity::AdamM => &self.m,
            Quantity::AdamV => &self.v,
        }))
    }

    fn optimiser_steps(&self) -> u64 {
        self.optimiser_steps
    }

    fn load(&mut self, weights: &Weights) -> Result<(), EngineError> {
        let flat = self.network.layout.flatten_other(weights)?;
        for (to, w) in self.stored.iter_mut().zip(flat) {
            *to = R::from_f64(f64::from(w));
        }
        self.network.refresh(&self.stored, true);
        Ok(())
    }

    fn restore(&mut self, m: &Weights, v: &Weights, steps: u64) -> Result<(), EngineError> {
        for (flat, from) in [(&mut self.m, m), (&mut self.v, v)] {
            for slot in self.network.layout.trained_slots() {
                let values = crate::conductance::engine::moment(slot, from)?;
                for (to, &x) in flat[slot.range()].iter_mut().zip(values) {
                    *to = R::from_f64(f64::from(x));
                }
            }
        }
        self.optimiser_steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        format!(
            "CPU engine, {}, {}, segments of {}",
            count(self.pool.current_num_threads(), "thread", "threads"),
            instructions(self.network.arch),
            count(self.segment_steps, "time step", "time steps")
        )
    }

    fn time_stages(&mut self, on: bool) {
        self.is_timing = on;
        self.stage_seconds();
    }

    fn stage_times(&mut self) -> Result<Vec<StageTime>, EngineError> {
        let seconds = self.stage_seconds();
        let times = CpuStage::ALL
            .iter()
            .zip(seconds)
            .map(|(stage, seconds)| StageTime {
                stage: stage.name().to_owned(),
                seconds,
            });
        Ok(times
            .filter(|t| self.is_timing && t.seconds > 0.0)
            .collect())
    }

    fn usage(&self) -> Usage {
        let resident = resident_memory();
        Usage {
            peak_bytes: resident.map(|r| r.peak_bytes),
            allocated_bytes: resident.map(|r| r.now_bytes),
            ..Usage::default()
        }
    }
}

/// The vector instructions that loops are compiled for.
fn instructions(arch: pulp::Arch) -> &'static str {
    match arch {
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "AVX2",
        #[cfg(target_arch = "aarch64")]
        pulp::Arch::Neon(_) => "NEON",
        _ => "the baseline's instructions",
    }
}
