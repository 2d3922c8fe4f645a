//! The CPU engine, generic over `f32` (a product for machines without a GPU) and `f64` (the
//! reference).
//!
//! Trials are independent, so the forward pass runs one trial after another on each thread with its
//! whole state in the nearest cache; spikes travel as lists, so a step costs what it must. The
//! backward pass takes a group of [`TRIAL_GROUP`] trials at a time: the transposed loop products
//! of all its trials are then two real matrix products a step. States are not kept but replayed
//! from checkpoints, a segment at a time.
//!
//! Gradients are summed within a group in one fixed order and then over groups in order, so
//! neither the number of threads nor the segment length changes a bit.

mod backward;
mod cells;
mod clock;
mod product;
mod state;
mod trial;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::conductance::batch::{Batch, Disagreement, Forward, Raster, Request, Traces};
use crate::conductance::engine::{
    Engine, EngineError, Gradient, Quantity, StageTime, StepReport, Usage,
};
use crate::conductance::loss::{cross_entropy, rate_penalty};
use crate::conductance::params::{Constants, Params};
use crate::conductance::plan::resident_memory;
use crate::conductance::weights::{Layout, Weights, Wiring};
use crate::conductance::{TRIAL_GROUP, block_trials, check_batch};
use crate::config::MatrixName;
use crate::optim::{Adam, sum_of_squares};
use crate::real::Real;
use backward::{Backward, Block};
use clock::{Clock, Stage};
use product::Strips;
use state::{Flight, Keep, Lines, TrialRecord, zeros};

/// The equations with their constants and effective weights: all that a pass reads.
struct Network<R> {
    params: Params,
    constants: Constants<R>,
    layout: Layout,
    wiring: Wiring,
    /// Effective weights times the factor with which a spike arrives through them: β of the receptor,
    /// the gain of the read-out, 1 for inputs. Flat.
    delivered: Lines<R>,
    /// The same, of all matrices but W_in, as the products of the backward pass read them.
    strips: [Strips<R>; 6],
    /// Offset and row length of each matrix in `delivered`.
    rows: [(usize, usize); 6],
    arch: pulp::Arch,
}

impl<R: Real> Network<R> {
    /// One row of a matrix, as delivered.
    #[inline(always)]
    fn row(&self, name: MatrixName, pre: usize) -> &[R] {
        let (offset, post) = self.rows[name as usize];
        &self.delivered[offset + pre * post..][..post]
    }

    /// I cells that are simulated: none where they have no effect.
    fn simulated_i(&self) -> usize {
        if self.wiring.i_cells {
            self.params.n_i()
        } else {
            0
        }
    }

    /// Takes over stored weights: all of them, or those of the trained matrices.
    fn refresh(&mut self, stored: &[R], all: bool) {
        let c = &self.constants;
        for slot in self.layout.slots.iter().filter(|s| all || s.trained) {
            let factor = match slot.name {
                MatrixName::WIn => R::ONE,
                MatrixName::WOut => c.readout.gain,
                MatrixName::WEe | MatrixName::WEi => c.beta_ampa,
                MatrixName::WIe | MatrixName::WIi => c.beta_gaba,
            };
            let delivered = &mut self.delivered[slot.range()];
            for (to, &w) in delivered.iter_mut().zip(&stored[slot.range()]) {
                *to = factor * if slot.clamped { w.at_least(R::ZERO) } else { w };
            }
            if slot.active && slot.name != MatrixName::WIn {
                let sizes = [slot.pre, slot.post];
                self.strips[slot.name as usize].fill(self.arch, delivered, sizes);
            }
        }
    }
}

/// What one thread works in, kept from batch to batch.
struct Bench<R> {
    flight: Flight<R>,
    /// Records of the trials of a block.
    records: Vec<TrialRecord<R>>,
    backward: Option<Backward<R>>,
    clock: Clock,
}

/// What a block of trials leaves for the batch.
struct BlockResult<R> {
    logits: Vec<R>,
    traces: Option<Traces>,
    disagreements: Vec<Disagreement>,
}

/// Trains and runs one network on the CPU.
pub struct CpuEngine<R> {
    network: Network<R>,
    adam: Adam,
    stored: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
    gradient: Lines<R>,
    /// Gradients of the trial groups of a batch, one flat vector each.
    groups: Lines<R>,
    optimiser_steps: u64,
    segment_steps: usize,
    benches: Vec<Mutex<Bench<R>>>,
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
        let mut rows = [(0, 0); 6];
        for slot in &layout.slots {
            rows[slot.name as usize] = (slot.offset, slot.post);
        }
        let mut network = Network {
            constants: params.constants(),
            wiring: Wiring::new(&params, &layout),
            delivered: zeros(stored.len()),
            strips: Default::default(),
            rows,
            arch: pulp::Arch::new(),
            layout,
            params,
        };
        network.refresh(&stored, true);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| EngineError::Threads(e.to_string()))?;
        let bench = || {
            Mutex::new(Bench {
                flight: network.flight(),
                records: vec![TrialRecord::new(network.params.n_out)],
                backward: None,
                clock: Clock::new(),
            })
        };
        let trained = network.layout.trained_len;
        Ok(Self {
            adam: Adam::new(&network.params.training),
            stored,
            m: vec![R::ZERO; trained],
            v: vec![R::ZERO; trained],
            gradient: zeros(trained),
            groups: zeros(0),
            optimiser_steps: 0,
            segment_steps: segment_steps.clamp(1, network.params.steps),
            benches: (0..pool.current_num_threads()).map(|_| bench()).collect(),
            clock: Clock::new(),
            is_timing: false,
            network,
            pool,
        })
    }

    /// The bench of the thread that asks. Nobody else ever waits for it.
    fn bench(&self) -> MutexGuard<'_, Bench<R>> {
        let own = rayon::current_thread_index().unwrap_or(0);
        self.benches[own]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of each trial of a raster that was asked for.
    fn raster_of(&self, batch: &Batch, request: Request<'_>) -> Option<Raster> {
        let p = &self.network.params;
        let cells = [p.n_e(), p.n_i(), p.n_out];
        request
            .raster
            .then(|| Raster::silent(batch.trials(), p.steps, cells))
    }

    fn block_trials(&self, batch: &Batch) -> usize {
        block_trials(batch.trials(), self.pool.current_num_threads())
    }

    /// Runs a block of trials forward and backward. `gradients` receives one flat vector a group.
    fn run_block(
        &self,
        batch: &Batch,
        first: usize,
        trials: usize,
        request: Request<'_>,
        by_spike: &[R],
        mut rows: Vec<&mut [u32]>,
        gradients: &mut [R],
    ) -> BlockResult<R> {
        let (net, p) = (&self.network, &self.network.params);
        let bench = &mut *self.bench();
        bench.clock.start();
        let room = TrialRecord::new(p.n_out);
        if bench.records.len() < trials {
            bench.records.resize(trials, room);
        }
        let records = &mut bench.records[..trials];
        rows.reverse();
        for (trial, record) in (first..).zip(records.iter_mut()) {
            let keep = Keep {
                segment_steps: Some(self.segment_steps),
                history: request.history,
                traces: request.traces && trial == 0,
            };
            let events = batch.events_of(trial);
            net.run_trial(trial, events, keep, rows.pop(), &mut bench.flight, record);
        }
        bench.clock.lap(Stage::Forward);
        let logits: Vec<R> = records.iter().flat_map(|r| &r.logits).copied().collect();
        let as_f64: Vec<f64> = logits.iter().map(|x| x.to_f64()).collect();
        let labels = &batch.labels[first..first + trials];
        let (_, by_logit) = cross_entropy(&as_f64, labels, p.n_out);
        let n = batch.trials() as f64;
        let by_logit: Vec<R> = by_logit.iter().map(|g| R::from_f64(g / n)).collect();
        let block = Block {
            batch,
            first,
            records,
            by_logit: &by_logit,
            by_spike,
            segment_steps: self.segment_steps,
            imposed: request.history.is_some(),
        };
        let most = self.block_trials(batch);
        let room = bench
            .backward
            .take()
            .filter(|room| room.trials() >= trials)
            .unwrap_or_else(|| net.backward_room(most, self.segment_steps));
        let room = bench.backward.insert(room);
        gradients.fill(R::ZERO);
        net.backward(&block, room, &mut bench.flight, gradients, &mut bench.clock);
        BlockResult {
            logits,
            traces: records.iter_mut().find_map(|r| r.traces.take()),
            disagreements: records
                .iter_mut()
                .flat_map(|r| std::mem::take(&mut r.disagreements))
                .collect(),
        }
    }

    /// Seconds of each stage since the last call: a mean over the threads where they share a stage.
    fn stage_seconds(&mut self) -> [f64; Stage::ALL.len()] {
        let mut sums = self.clock.take();
        let threads = self.benches.len() as f64;
        for bench in &mut self.benches {
            let bench = bench.get_mut().unwrap_or_else(PoisonError::into_inner);
            for (sum, seconds) in sums.iter_mut().zip(bench.clock.take()) {
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
        let (net, p) = (&self.network, &self.network.params);
        check_batch(p, batch, request)?;
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
            let bench = &mut *self.bench();
            bench.clock.start();
            let keep = Keep {
                segment_steps: None,
                history: request.history,
                traces: request.traces && trial == 0,
            };
            let record = &mut bench.records[0];
            let events = batch.events_of(trial);
            net.run_trial(trial, events, keep, rows, &mut bench.flight, record);
            bench.clock.lap(Stage::Forward);
            Forward {
                logits: record.logits.iter().map(|x| x.to_f64()).collect(),
                counts_e: record.spikes_e.counts(p.n_e()),
                counts_i: record.spikes_i.counts(p.n_i()),
                raster: None,
                traces: record.traces.take(),
                disagreements: std::mem::take(&mut record.disagreements),
            }
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
            let history = request.history;
            let counts = self
                .forward(
                    batch,
                    Request {
                        history,
                        ..Request::default()
                    },
                )?
                .counts_e;
            let p = &self.network.params;
            let (value, gradient) = rate_penalty(&counts, p.n_e(), p.duration_s(), theta, strength);
            penalty = value;
            by_spike = gradient.into_iter().map(R::from_f64).collect();
        }
        let trained = self.network.layout.trained_len;
        let mut groups = std::mem::replace(&mut self.groups, zeros(0));
        groups.resize(batch.trials().div_ceil(TRIAL_GROUP) * trained, R::ZERO);
        let size = self.block_trials(batch);
        let mut raster = self.raster_of(batch, request);
        let mut rows: Vec<&mut [u32]> = raster.iter_mut().flat_map(Raster::trials_mut).collect();
        let blocks: Vec<(usize, Vec<&mut [u32]>)> = (0..batch.trials())
            .step_by(size)
            .map(|first| (first, rows.drain(..size.min(rows.len())).collect()))
            .collect();
        let results: Vec<BlockResult<R>> = self.pool.install(|| {
            let gradients = groups.par_chunks_mut((size / TRIAL_GROUP * trained).max(1));
            let run = |((first, rows), gradients): ((usize, Vec<&mut [u32]>), &mut [R])| {
                let trials = size.min(batch.trials() - first);
                self.run_block(batch, first, trials, request, &by_spike, rows, gradients)
            };
            blocks.into_par_iter().zip(gradients).map(run).collect()
        });
        self.clock.start();
        self.gradient.fill(R::ZERO);
        for group in groups.chunks_exact(trained.max(1)) {
            cells::add(self.network.arch, &mut self.gradient, group);
        }
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
        self.clock.lap(Stage::WeightGradients);
        let mut forward = Forward {
            raster,
            ..Forward::default()
        };
        for result in results {
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
        })
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        self.clock.start();
        let layout = &self.network.layout;
        let mut report = StepReport::default();
        let mut total = 0.0;
        for slot in layout.trained_slots() {
            let squares = sum_of_squares(&self.gradient[slot.range()]);
            total += squares;
            report.gradient_norm_of.insert(slot.name, squares.sqrt());
            let weights = sum_of_squares(&self.stored[slot.range()]);
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
            self.adam.update(
                self.optimiser_steps,
                report.clip_factor,
                slot.projected,
                &self.gradient[range.clone()],
                &mut self.m[range.clone()],
                &mut self.v[range.clone()],
                &mut self.stored[range],
            );
        }
        self.network.refresh(&self.stored, false);
        self.clock.lap(Stage::Optimiser);
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
        format!("CPU engine, {} threads", self.pool.current_num_threads())
    }

    fn time_stages(&mut self, on: bool) {
        self.is_timing = on;
        self.stage_seconds();
    }

    fn stage_times(&mut self) -> Result<Vec<StageTime>, EngineError> {
        let seconds = self.stage_seconds();
        let times = Stage::ALL
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
