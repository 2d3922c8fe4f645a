//! The GPU engine: WGSL kernels for every stage, with weights, moments and gradients on the device.
//!
//! One workgroup runs one trial forward, many steps a dispatch; a few trials share one backward, so
//! that a loop weight read once serves all of them. Spikes are bits, states are replayed from saved
//! ones ([`MemoryPlan`]), and weight gradients are sparse sums over events in which every
//! entry has one owner. The host submits a batch while the one before is computed, and reads its results when they are
//! there: norm, clip factor and optimiser step stay on the device.
//!
//! # Where the time goes
//!
//! Reckoned from the work of a full-size PING batch (256 trials, 2000 steps, 1024 E and 256 I cells)
//! and what the makers say of an H200 (132 multiprocessors at 1.7 GHz, 128 multiply-adds and 64 bytes
//! from the second-level cache a clock each, 4.3 TB/s of memory) and of an RTX 3060 (28 at 1.8 GHz,
//! 0.36 TB/s); measured by `dalenet bench` on one H200 (driver 580.159.04; the pass of a dispatch a step
//! is what is left of its batch).
//!
//! | stage | bound by | H200 | measured | RTX 3060 |
//! |---|---|---|---|---|
//! | forward | latency of a step (0.9 µs), cell arithmetic on the small card | 2 ms | 6.8 ms | 7 ms |
//! | replay | the same, and 7.4 GB of recorded states written | 4 ms | 11.8 ms | 26 ms |
//! | backward, persistent | 2.1 MB of weights a step through the cache port of each multiprocessor | 50–70 ms | 99.8 ms | 110–160 ms |
//! | backward, per step | latency of 2000 dependent dispatches (5–10 µs each), loads from workgroup memory | 34–50 ms | 47 ms | 100–140 ms |
//! | backward, per step, 8 × 4 or 8 × 8 sums | that latency, multiply-adds | 22–32 ms | | 55–70 ms |
//! | weight gradients | latency of sparse rows | 1 ms | 1.6 ms | 6 ms |
//! | optimiser, transfers, waiting | the host | 1 ms | 2.3 ms | 1 ms |
//!
//! * **The loop's products are the arithmetic**: 2 · E · I · B multiply-adds a step, 134 million here,
//!   9 ms a batch on an H200 if nothing else limited them. They cannot reach it: each step needs the
//!   adjoints of the step after, of all cells of a trial, and a shader has no barrier across
//!   workgroups. So a workgroup must see whole trials ([`BackwardForm::Persistent`]: few workgroups, each
//!   streaming all weights) or a step must be a dispatch ([`BackwardForm::PerStep`]: all of the device,
//!   and a wait 2000 times). All forms give the same bits; `dalenet bench` times each.
//! * **Sums a thread**: with 4 × 4 of them every two loads of four numbers from workgroup memory feed 16 multiply-adds,
//!   which holds them to about half their rate; 8 × 4 need three loads for 32 and 8 × 8 four for 64. But a
//!   step of a batch of 256 is then 128 workgroups of four or of two warps, where a large card has as many
//!   multiprocessors that want four each. So 8 × 8 is for smaller cards and larger batches, and none is for all.
//! * **A batch is submitted while the one before is computed**: norm, clip factor and step are kernels, and a result is waited
//!   for when the next batch is in the queue, so that the device need not wait for its host.
//! * **Iterating on blocks of steps** until the adjoints at the loop stand still would turn the
//!   products into large ones, but repeats each four to six times (blocks of 20 to 100 steps, to
//!   3e-7): 37 to 56 ms on an H200. It pays where matrix units do all iterations but the last.
//! * **Forward, a step is latency**: one barrier; a summary of which words of spike bits are not zero,
//!   so that a quiet step looks at 2 words and not 40; rows of four spikes loaded together; the next
//!   input event fetched a step ahead.
//! * **Nothing is paid that a network does not have**: without a loop there are no I cells, no
//!   products, one trial a workgroup; frozen matrices have no gradient dispatch.
//! * **Weight gradients have owners**, so they need no atomics and repeat to the bit: input events are
//!   sorted by row on the host while the device runs the forward pass; spikes are walked by the
//!   workgroup that owns their rows.

mod backward;
mod dispatches;
mod flags;
mod input_rows;
mod kernels;
mod optimise;
mod plan;
mod steps;
mod tiles;
mod transfers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::conductance::TRIAL_GROUP;
use crate::conductance::batch::{Batch, Forward, Request};
use crate::conductance::engine::{
    Ahead, Engine, EngineError, Gradient, Quantity, StageTime, StepReport, Usage, moment,
};
use crate::conductance::params::Params;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::Weights;
use crate::device::BackwardForm;
use crate::gpu::{Gpu, GpuError, Program};
use crate::optim::Adam;
use crate::optim::gpu::clip_words;
use dispatches::DispatchBuilder;
use input_rows::InputRows;
use plan::{Chunk, GpuPlan};
use steps::STEP_WORDS;
use transfers::Begun;

pub use backward::is_recurrent as has_forms;
pub use plan::{DEFAULT_BUDGET_BYTES, MemoryPlan};
pub use tiles::forms_on;

/// What may be chosen of the engine; none of it changes a bit of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Most device memory, bytes; none: [`DEFAULT_BUDGET_BYTES`].
    pub memory: Option<u64>,
    /// Form of the backward pass.
    pub backward: BackwardForm,
}

/// Trains and runs one network on a GPU.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    plan: GpuPlan,
    adam: Adam,
    program: Program<STEP_WORDS>,
    input_rows: InputRows,
    /// Steps of one forward dispatch, by the events of the batch.
    forward_steps: usize,
    /// Σ g² and Σ w² of each trained matrix after a gradient, for the step that follows.
    squares: Vec<[f64; 2]>,
    optimiser_steps: u64,
    /// Steps that the device has skipped, as far as is known.
    skipped_steps: u32,
    /// Training batches under way, the oldest first.
    begun: VecDeque<Begun>,
}

impl GpuEngine {
    /// An engine for batches of up to `batch_trials` trials with fresh optimiser state. Where the device is
    /// out of memory, plans of half the size are tried before giving up.
    ///
    /// # Errors
    /// Weights that do not fit the network, a network that does not fit the device, or a failure
    /// of the device.
    pub fn new(
        gpu: Arc<Gpu>,
        params: Params,
        weights: &Weights,
        options: GpuOptions,
        batch_trials: usize,
    ) -> Result<Self, EngineError> {
        let plan_within = |memory| {
            let options = GpuOptions { memory, ..options };
            MemoryPlan::of(&params, weights, options, batch_trials, gpu.info())
        };
        let mut plan = plan_within(options.memory)?;
        loop {
            match Self::with_plan(gpu.clone(), params.clone(), weights, plan, batch_trials) {
                Err(error @ EngineError::Gpu(GpuError::OutOfMemory { .. })) => {
                    plan = plan_within(Some(plan.bytes / 2)).map_err(|_| error)?;
                }
                made => return made,
            }
        }
    }

    /// An engine under a given plan.
    ///
    /// # Errors
    /// Weights that do not fit the network, or a failure of the device, out of memory among them.
    pub fn with_plan(
        gpu: Arc<Gpu>,
        params: Params,
        weights: &Weights,
        plan: MemoryPlan,
        batch_trials: usize,
    ) -> Result<Self, EngineError> {
        let plan = GpuPlan::new(params, weights, plan, batch_trials)?;
        let program = Program::new(gpu.clone(), &plan.buffers(), kernels::sources(&plan)?)?;
        let mut engine = Self {
            gpu,
            adam: plan.params.training.adam(),
            program,
            input_rows: InputRows::default(),
            forward_steps: plan.memory.forward_steps,
            plan,
            squares: Vec::new(),
            optimiser_steps: 0,
            skipped_steps: 0,
            begun: VecDeque::new(),
        };
        engine.load(weights)?;
        Ok(engine)
    }

    /// How batches go through the device.
    pub fn plan(&self) -> &MemoryPlan {
        &self.plan.memory
    }

    fn dispatches(&self, chunk: Chunk) -> DispatchBuilder<'_> {
        DispatchBuilder {
            plan: &self.plan,
            chunk,
            forward_steps: self.forward_steps,
        }
    }

    /// Has the device compute the gradient of a batch and its norms; returns what of `request` was read on the way.
    fn submit_gradient(
        &mut self,
        batch: &Batch,
        request: Request<'_>,
    ) -> Result<Forward, EngineError> {
        self.checked(batch, request)?;
        self.upload(batch)?;
        let strength = self.plan.params.training.rate_strength;
        let chunks = self.chunks(batch, request.imposed.is_some());
        self.program.clear(&["totals", "gradient", "groups"])?;
        self.forget_disagreements(request)?;
        let mut forward = self.empty_forward(batch, request);
        let mut totals = None;
        if strength > 0.0 && chunks.len() > 1 {
            // The penalty needs the rates of the whole batch before the first backward pass.
            for &chunk in &chunks {
                self.forward_chunk(chunk, request, false, &mut forward)?;
            }
            totals = Some(self.read_totals()?);
            self.forget_disagreements(request)?;
        }
        for &chunk in &chunks {
            self.forward_chunk(chunk, request, true, &mut forward)?;
            if let Some(totals) = &totals {
                self.program.write("totals", 0, totals)?;
            }
            if request.traces && chunk.offset == 0 {
                forward.traces = Some(self.read_traces(chunk)?);
            }
            // The device is busy with the forward pass meanwhile.
            self.upload_input_rows(batch, chunk)?;
            let dispatches = self.dispatches(chunk).backward(&self.input_rows);
            self.program.run(&dispatches)?;
        }
        let dispatches = self.norms();
        self.program.run(&dispatches)?;
        Ok(forward)
    }

    /// Chunks of a batch, each of whole trial groups.
    fn chunks(&self, batch: &Batch, imposed: bool) -> Vec<Chunk> {
        let n = batch.trials();
        let size = match self.plan.memory.chunk_trials {
            whole if whole >= n => n,
            part => (part / TRIAL_GROUP).max(1) * TRIAL_GROUP,
        };
        let starts = (0..n).step_by(size.max(1));
        starts
            .map(|offset| Chunk {
                offset,
                trials: size.min(n - offset),
                batch: n,
                imposed,
            })
            .collect()
    }
}

impl Ahead for GpuEngine {
    fn begin(&mut self, batch: &Batch) -> Result<(), EngineError> {
        self.submit_gradient(batch, Request::default())?;
        let under_way = self.begun.len() as u64;
        self.optimise(self.optimiser_steps + under_way + 1)?;
        let begun = self.start_reading_outcome(batch)?;
        self.begun.push_back(begun);
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<(Gradient, StepReport)>, EngineError> {
        let Some(begun) = self.begun.pop_front() else {
            return Ok(None);
        };
        let finished = self.finish_reading_outcome(begun)?;
        let report = self.step_report(&finished.squares, &finished.clip);
        Ok(Some((finished.gradient, report)))
    }
}

impl Engine for GpuEngine {
    fn params(&self) -> &Params {
        &self.plan.params
    }

    fn forward(&mut self, batch: &Batch, request: Request<'_>) -> Result<Forward, EngineError> {
        self.checked(batch, request)?;
        self.upload(batch)?;
        self.forget_disagreements(request)?;
        let mut forward = self.empty_forward(batch, request);
        for chunk in self.chunks(batch, request.imposed.is_some()) {
            self.forward_chunk(chunk, request, request.traces, &mut forward)?;
            self.read_counts(chunk, &mut forward)?;
            if request.traces && chunk.offset == 0 {
                forward.traces = Some(self.read_traces(chunk)?);
            }
        }
        forward.logits = self.read_logits(batch)?;
        if request.imposed.is_some() {
            forward.disagreements = self.read_disagreements()?;
        }
        Ok(forward)
    }

    fn gradient(&mut self, batch: &Batch, request: Request<'_>) -> Result<Gradient, EngineError> {
        let forward = self.submit_gradient(batch, request)?;
        let begun = self.start_reading_outcome(batch)?;
        let finished = self.finish_reading_outcome(begun)?;
        self.squares = finished.squares;
        let mut gradient = finished.gradient;
        gradient.forward.raster = forward.raster;
        gradient.forward.traces = forward.traces;
        if request.imposed.is_some() {
            gradient.forward.disagreements = self.read_disagreements()?;
        }
        Ok(gradient)
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        self.optimise(self.optimiser_steps + 1)?;
        let (buffer, words) = clip_words(1);
        let clip: Vec<u32> = self.program.read(buffer, words)?;
        let squares = std::mem::take(&mut self.squares);
        let report = self.step_report(&squares, &clip);
        self.squares = squares;
        Ok(report)
    }

    fn ahead(&mut self) -> Option<&mut dyn Ahead> {
        Some(self)
    }

    fn read(&mut self, quantity: Quantity) -> Result<BTreeMap<MatrixName, Vec<f64>>, EngineError> {
        let (buffer, len) = match quantity {
            Quantity::Weights => ("stored", self.plan.layout.len),
            Quantity::Gradient => ("gradient", self.plan.layout.trained_len),
            Quantity::AdamM => ("m", self.plan.layout.trained_len),
            Quantity::AdamV => ("v", self.plan.layout.trained_len),
        };
        let flat: Vec<f32> = self.program.read(buffer, 0..len)?;
        let slots = self
            .plan
            .layout
            .slots
            .iter()
            .filter(|s| s.range().end <= len);
        Ok(slots
            .map(|s| {
                (
                    s.name,
                    flat[s.range()].iter().map(|&x| f64::from(x)).collect(),
                )
            })
            .collect())
    }

    fn optimiser_steps(&self) -> u64 {
        self.optimiser_steps
    }

    fn load(&mut self, weights: &Weights) -> Result<(), EngineError> {
        let flat = self.plan.layout.flatten_other(weights)?;
        self.program.write("stored", 0, &flat)?;
        Ok(self.renew_effective()?)
    }

    fn restore(&mut self, m: &Weights, v: &Weights, steps: u64) -> Result<(), EngineError> {
        for (buffer, from) in [("m", m), ("v", v)] {
            for slot in self.plan.layout.trained_slots() {
                self.program
                    .write(buffer, slot.offset, moment(slot, from)?)?;
            }
        }
        self.optimiser_steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        format!("GPU engine, {}", self.plan.memory)
    }

    fn time_stages(&mut self, on: bool) {
        self.gpu.set_timing(on);
    }

    fn stage_times(&mut self) -> Result<Vec<StageTime>, EngineError> {
        let times = self.gpu.spans()?.into_iter().map(|span| StageTime {
            stage: span.name,
            seconds: span.ms * 1e-3,
        });
        Ok(times.collect())
    }

    fn usage(&self) -> Usage {
        let counters = self.gpu.counters();
        Usage {
            peak_bytes: Some(counters.peak_bytes),
            allocated_bytes: Some(counters.allocated_bytes),
            dispatches: counters.dispatches,
            submissions: counters.submits,
            bytes_read: counters.bytes_read,
            bytes_written: counters.bytes_written,
        }
    }
}
