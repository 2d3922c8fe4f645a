//! The GPU engine: WGSL kernels for every stage, with weights, moments and gradients on the device.
//!
//! One workgroup runs one trial forward, many steps a dispatch; a few trials share one backward, so
//! that a loop weight read once serves all of them. Spikes are bits, states are replayed from saved
//! ones ([`MemoryPlan`]), and weight gradients are sparse sums over events in which every
//! entry has one owner. The host decides the clip factor from the norms that it reads back.

mod kernels;
mod plan;
mod program;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conductance::batch::{
    Batch, Disagreement, Forward, Population, Raster, Request, Traces,
};
use crate::conductance::engine::{Engine, EngineError, Gradient, Quantity, StepReport, moment};
use crate::conductance::loss::{cross_entropy, rate_penalty};
use crate::conductance::params::Params;
use crate::conductance::weights::{Layout, Slot, Weights, Wiring};
use crate::conductance::{TRIAL_GROUP, check_batch};
use crate::config::MatrixName;
use crate::data::Event;
use crate::gpu::{Bound, Buffer, Gpu, GpuError, Kernel, UniformArray};
use crate::optim::Adam;
use kernels::{MAX_PARTIALS, TraceRow, Which};
use plan::{Rows, WORKGROUP};
use program::{Author, Chunk, Dispatch, linear_grid};
use steps::{AdamStep, EffectiveStep, NormsStep, STEP_WORDS, Step, StepWords};

pub use plan::{DEFAULT_BUDGET_BYTES, MemoryPlan};

/// Differing decisions that are listed at the most.
const MAX_DISAGREEMENTS: usize = 1 << 16;

/// Dispatches that are submitted together, so that no command list keeps the device from the
/// desktop for long.
const DISPATCHES_A_SUBMISSION: usize = 64;

/// Everything on the device.
struct Buffers {
    stored: Buffer,
    effective: Buffer,
    transposed: Buffer,
    m: Buffer,
    v: Buffer,
    gradient: Buffer,
    groups: Buffer,
    partials: Buffer,
    state: Buffer,
    spikes: Buffer,
    trace: Buffer,
    adjoints: Buffer,
    disagreements: Buffer,
    counts: Buffer,
    totals: Buffer,
    labels: Buffer,
    by_logit: Buffer,
    logits: Buffer,
    offsets: Buffer,
    events: Buffer,
    group_events: Buffer,
    bounds: Buffer,
    steps: UniformArray<StepWords>,
}

/// Trains and runs one network on a GPU.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    params: Params,
    layout: Layout,
    wiring: Wiring,
    plan: MemoryPlan,
    batch_trials: usize,
    adam: Adam,
    kernels: Vec<Kernel>,
    bounds: Vec<Bound>,
    buffers: Buffers,
    optimiser_steps: u64,
}

impl GpuEngine {
    /// An engine for batches of up to `batch_trials` trials, within `memory_budget` bytes of device
    /// memory (default [`DEFAULT_BUDGET_BYTES`]), with fresh optimiser state. Where the device is
    /// out of memory, plans of half the size are tried before giving up.
    ///
    /// # Errors
    /// Weights that do not fit the network, a network that does not fit the device, or a failure
    /// of the device.
    pub fn new(
        gpu: Arc<Gpu>,
        params: Params,
        weights: &Weights,
        memory_budget: Option<u64>,
        batch_trials: usize,
    ) -> Result<Self, EngineError> {
        let layout = Layout::new(&params, weights)?;
        let wiring = Wiring::new(&params, &layout);
        let plan_within = |budget| {
            MemoryPlan::new(
                &params,
                &layout,
                &wiring,
                batch_trials.max(1),
                budget,
                gpu.limits(),
                gpu.max_loop_iterations(),
            )
        };
        let mut plan = plan_within(memory_budget.unwrap_or(DEFAULT_BUDGET_BYTES))?;
        loop {
            match Self::with_plan(gpu.clone(), params.clone(), weights, plan, batch_trials) {
                Err(error @ EngineError::Gpu(GpuError::OutOfMemory { .. })) => {
                    plan = plan_within(plan.bytes / 2).map_err(|_| error)?;
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
        let layout = Layout::new(&params, weights)?;
        let wiring = Wiring::new(&params, &layout);
        let batch_trials = batch_trials.max(1);
        let buffers = Buffers::new(&gpu, &params, &layout, &wiring, &plan, batch_trials)?;
        let kernels = kernels::compile(&gpu, &params, &layout, &wiring, &plan)?;
        let bounds = bind(&gpu, &kernels, &buffers)?;
        let adam = Adam::new(&params.training);
        let mut engine = Self {
            gpu,
            params,
            layout,
            wiring,
            plan,
            batch_trials,
            adam,
            kernels,
            bounds,
            buffers,
            optimiser_steps: 0,
        };
        engine
            .gpu
            .write(&engine.buffers.stored, 0, &engine.layout.flatten(weights))?;
        engine.renew_effective()?;
        Ok(engine)
    }

    /// How batches go through the device.
    pub fn plan(&self) -> &MemoryPlan {
        &self.plan
    }

    fn author(&self, chunk: Chunk) -> Author<'_> {
        let Self {
            params,
            layout,
            wiring,
            plan,
            ..
        } = self;
        Author {
            params,
            layout,
            wiring,
            plan,
            chunk,
        }
    }

    /// Chunks of a batch, each of whole trial groups.
    fn chunks(&self, batch: &Batch, imposed: bool) -> Vec<Chunk> {
        let n = batch.trials();
        let size = match self.plan.chunk_trials {
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

    /// Runs dispatches in order.
    fn run(&mut self, dispatches: &[Dispatch]) -> Result<(), GpuError> {
        for part in dispatches.chunks(DISPATCHES_A_SUBMISSION) {
            let steps: Vec<StepWords> = part.iter().map(|d| d.step).collect();
            if steps.len() > self.buffers.steps.len() {
                self.buffers.steps = UniformArray::new(&self.gpu, "steps", &steps)?;
                self.bounds = bind(&self.gpu, &self.kernels, &self.buffers)?;
            } else {
                let stride = self
                    .buffers
                    .steps
                    .offset(1.min(self.buffers.steps.len() - 1))?;
                for (i, step) in steps.iter().enumerate() {
                    let at = i * stride as usize / 4;
                    self.gpu.write(self.buffers.steps.buffer(), at, step)?;
                }
            }
            let mut commands = self.gpu.commands();
            let mut stage = "";
            for (i, d) in part.iter().enumerate() {
                if stage != d.stage {
                    stage = d.stage;
                    commands.span(stage)?;
                }
                let offset = Some(self.buffers.steps.offset(i)?);
                let which = d.which as usize;
                commands.dispatch(&self.kernels[which], &self.bounds[which], d.grid, offset)?;
            }
            commands.submit()?;
        }
        Ok(())
    }

    /// Sends the trials of a batch to the device.
    fn upload(&mut self, batch: &Batch) -> Result<(), GpuError> {
        let mut grown = false;
        let mut fit = |buffer: &mut Buffer, bytes: usize| -> Result<(), GpuError> {
            if buffer.bytes() < bytes as u64 {
                let label = buffer.label().to_owned();
                *buffer = self.gpu.storage(&label, bytes.next_power_of_two() as u64)?;
                grown = true;
            }
            Ok(())
        };
        let b = &mut self.buffers;
        fit(&mut b.events, batch.events.len() * size_of::<Event>())?;
        fit(&mut b.group_events, batch.events.len() * 12)?;
        fit(&mut b.offsets, batch.offsets.len() * 4)?;
        fit(&mut b.labels, batch.labels.len() * 4)?;
        fit(&mut b.by_logit, batch.trials() * self.params.n_out * 8)?;
        fit(&mut b.logits, batch.trials() * self.params.n_out * 4)?;
        if grown {
            self.bounds = bind(&self.gpu, &self.kernels, &self.buffers)?;
        }
        self.gpu.write(&self.buffers.events, 0, &batch.events)?;
        self.gpu.write(&self.buffers.offsets, 0, &batch.offsets)?;
        self.gpu.write(&self.buffers.labels, 0, &batch.labels)
    }

    /// Sends the input events of a chunk ordered for the gradient; returns the largest number of
    /// events of a trial group in a segment.
    fn upload_group_events(&self, batch: &Batch, chunk: Chunk) -> Result<usize, GpuError> {
        let (events, bounds) =
            group_events(batch, chunk, self.params.steps, self.plan.segment_steps);
        self.gpu.write(&self.buffers.group_events, 0, &events)?;
        self.gpu.write(&self.buffers.bounds, 0, &bounds)?;
        Ok(bounds
            .windows(2)
            .map(|w| w[1].saturating_sub(w[0]))
            .max()
            .unwrap_or(0) as usize)
    }

    /// Words of spikes of `trials` trials.
    fn raster_words(&self, trials: usize) -> usize {
        let (p, cells) = (
            &self.params,
            [self.params.n_e(), self.params.n_i(), self.params.n_out],
        );
        Raster::silent(0, p.steps, cells).row_words() * p.steps * trials
    }

    /// Forward pass of one chunk; counts and raster are read back where `forward` wants them.
    fn forward_chunk(
        &mut self,
        chunk: Chunk,
        request: Request<'_>,
        keep_states: bool,
        forward: &mut Forward,
    ) -> Result<(), GpuError> {
        let words = self.raster_words(chunk.offset)..self.raster_words(chunk.offset + chunk.trials);
        if let Some(history) = request.history {
            self.gpu
                .write(&self.buffers.spikes, 0, &history.words[words.clone()])?;
        }
        let dispatches = self.author(chunk).forward(keep_states);
        self.run(&dispatches)?;
        if let Some(raster) = &mut forward.raster {
            let read = self.gpu.read(&self.buffers.spikes, 0..words.len())?;
            raster.words[words].copy_from_slice(&read);
        }
        Ok(())
    }

    fn empty_forward(&self, batch: &Batch, request: Request<'_>) -> Forward {
        let p = &self.params;
        let cells = [p.n_e(), p.n_i(), p.n_out];
        let raster = request
            .raster
            .then(|| Raster::silent(batch.trials(), p.steps, cells));
        Forward {
            raster,
            ..Forward::default()
        }
    }

    /// Spike counts of a chunk that has run.
    fn read_counts(&self, chunk: Chunk, forward: &mut Forward) -> Result<(), GpuError> {
        let (n_e, n_i) = (self.params.n_e(), self.params.n_i());
        let counts = self
            .gpu
            .read::<u32>(&self.buffers.counts, 0..chunk.trials * (n_e + n_i))?;
        for row in counts.chunks_exact(n_e + n_i) {
            forward.counts_e.extend_from_slice(&row[..n_e]);
            forward.counts_i.extend_from_slice(&row[n_e..]);
        }
        Ok(())
    }

    fn read_logits(&self, batch: &Batch) -> Result<Vec<f64>, GpuError> {
        let n = batch.trials() * self.params.n_out;
        let logits = self.gpu.read::<f32>(&self.buffers.logits, 0..n)?;
        Ok(logits.into_iter().map(f64::from).collect())
    }

    fn read_disagreements(&self) -> Result<Vec<Disagreement>, GpuError> {
        let count = self.gpu.read::<u32>(&self.buffers.disagreements, 0..1)?[0] as usize;
        let listed = count.min(MAX_DISAGREEMENTS);
        let words = self
            .gpu
            .read::<u32>(&self.buffers.disagreements, 0..4 + 4 * listed)?;
        let mut all: Vec<Disagreement> = words[4..]
            .chunks_exact(4)
            .map(|w| Disagreement {
                trial: w[0] as usize,
                step: w[1] as usize,
                population: match (w[2] >> 20) & 3 {
                    0 => Population::E,
                    1 => Population::I,
                    _ => Population::Out,
                },
                cell: (w[2] & 0xf_ffff) as usize,
                value: f64::from(f32::from_bits(w[3])),
                fires: w[2] >> 24 == 1,
            })
            .collect();
        all.sort_by_key(|d| (d.trial, d.step, d.population, d.cell));
        Ok(all)
    }

    /// Traces of the batch's first trial, from the saved states of a chunk that has run.
    fn read_traces(&mut self, chunk: Chunk) -> Result<Traces, GpuError> {
        let (p, w) = (self.params.clone(), self.wiring);
        let (n_e, n_i) = (p.n_e(), p.n_i());
        let at = TraceRow::new(&p, &w);
        let row_len = Rows::new(&p, &self.layout, &w).trace;
        let mut traces = Traces::default();
        for segment in 0..p.steps.div_ceil(self.plan.segment_steps) {
            let dispatches = self.author(chunk).replay(segment, true);
            self.run(&dispatches)?;
            let first = segment * self.plan.segment_steps;
            let steps = self.plan.segment_steps.min(p.steps - first);
            let rows = self.gpu.read::<f32>(
                &self.buffers.trace,
                0..((steps - 1) * chunk.trials + 1) * row_len,
            )?;
            for step in 0..steps {
                let row = &rows[step * chunk.trials * row_len..][..row_len];
                let put = |to: &mut Vec<f64>, there: bool, at: usize, n: usize, rest: f64| {
                    to.extend((0..n).map(|c| if there { f64::from(row[at + c]) } else { rest }));
                };
                put(&mut traces.v_e, true, at.v_e, n_e, 0.0);
                put(&mut traces.g_exc_e, true, at.ge_e, n_e, 0.0);
                put(&mut traces.g_inh_e, w.ie, at.gi_e, n_e, 0.0);
                put(&mut traces.v_i, w.i_cells, at.v_i, n_i, p.network.e_l_mv);
                put(&mut traces.g_exc_i, w.i_cells, at.ge_i, n_i, 0.0);
                put(&mut traces.g_inh_i, w.ii, at.gi_i, n_i, 0.0);
            }
        }
        Ok(traces)
    }

    /// Renews effective and transposed weights after the stored ones have changed.
    fn renew_effective(&mut self) -> Result<(), GpuError> {
        let dispatches: Vec<Dispatch> = self
            .layout
            .slots
            .iter()
            .map(|slot| self.effective_of(slot))
            .collect();
        self.run(&dispatches)
    }

    fn effective_of(&self, slot: &Slot) -> Dispatch {
        let step = EffectiveStep {
            offset: slot.offset as u32,
            pre: slot.pre as u32,
            post: slot.post as u32,
            clamped: u32::from(slot.clamped),
            has_transposed: u32::from(slot.name != MatrixName::WIn),
            transposed_at: kernels::transposed_at(&self.layout, slot.name) as u32,
            unused_a: 0,
            unused_b: 0,
        };
        optimiser_dispatch(linear_grid(slot.len()), step)
    }

    fn checked(&self, batch: &Batch, request: Request<'_>) -> Result<(), EngineError> {
        check_batch(&self.params, batch, request)?;
        if self.plan.chunk_trials < batch.trials() && self.plan.chunk_trials < TRIAL_GROUP {
            return Err(EngineError::Memory(format!(
                "the engine was made for batches of {} trials, this one has {}",
                self.batch_trials,
                batch.trials()
            )));
        }
        Ok(())
    }
}

impl Engine for GpuEngine {
    fn params(&self) -> &Params {
        &self.params
    }

    fn forward(&mut self, batch: &Batch, request: Request<'_>) -> Result<Forward, EngineError> {
        self.checked(batch, request)?;
        self.upload(batch)?;
        self.gpu.write(&self.buffers.disagreements, 0, &[0u32; 4])?;
        let mut forward = self.empty_forward(batch, request);
        for chunk in self.chunks(batch, request.history.is_some()) {
            self.forward_chunk(chunk, request, request.traces, &mut forward)?;
            self.read_counts(chunk, &mut forward)?;
            if request.traces && chunk.offset == 0 {
                forward.traces = Some(self.read_traces(chunk)?);
            }
        }
        forward.logits = self.read_logits(batch)?;
        if request.history.is_some() {
            forward.disagreements = self.read_disagreements()?;
        }
        Ok(forward)
    }

    fn gradient(&mut self, batch: &Batch, request: Request<'_>) -> Result<Gradient, EngineError> {
        self.checked(batch, request)?;
        self.upload(batch)?;
        let strength = self.params.training.rate_strength;
        let chunks = self.chunks(batch, request.history.is_some());
        let mut commands = self.gpu.commands();
        commands.clear(&self.buffers.totals);
        commands.clear(&self.buffers.gradient);
        commands.clear(&self.buffers.groups);
        commands.submit()?;
        self.gpu.write(&self.buffers.disagreements, 0, &[0u32; 4])?;
        let mut forward = self.empty_forward(batch, request);
        let mut totals = None;
        if strength > 0.0 && chunks.len() > 1 {
            // The penalty needs the rates of the whole batch before the first backward pass.
            for &chunk in &chunks {
                self.forward_chunk(chunk, request, false, &mut forward)?;
            }
            totals = Some(self.read_totals()?);
            self.gpu.write(&self.buffers.disagreements, 0, &[0u32; 4])?;
        }
        for &chunk in &chunks {
            self.forward_chunk(chunk, request, true, &mut forward)?;
            if let Some(totals) = &totals {
                self.gpu.write(&self.buffers.totals, 0, totals)?;
            }
            if request.traces && chunk.offset == 0 {
                forward.traces = Some(self.read_traces(chunk)?);
            }
            let most_events = self.upload_group_events(batch, chunk)?;
            let dispatches = self.author(chunk).backward(most_events);
            self.run(&dispatches)?;
        }
        let dispatches: Vec<Dispatch> = self.norms();
        self.run(&dispatches)?;
        forward.logits = self.read_logits(batch)?;
        if request.history.is_some() {
            forward.disagreements = self.read_disagreements()?;
        }
        let (scores, _) = cross_entropy(&forward.logits, &batch.labels, self.params.n_out);
        let mut loss = scores.cross_entropy_sum / batch.trials() as f64;
        if strength > 0.0 {
            let theta = self.params.training.rate_theta_hz;
            let seconds = self.params.duration_s() * batch.trials() as f64;
            loss += rate_penalty(
                &self.read_totals()?,
                self.params.n_e(),
                seconds,
                theta,
                strength,
            )
            .0;
        }
        Ok(Gradient {
            forward,
            scores,
            loss,
        })
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let slots: Vec<Slot> = self.layout.trained_slots().cloned().collect();
        let partials = self.gpu.read::<[f32; 2]>(
            &self.buffers.partials,
            0..slots.len() * MAX_PARTIALS as usize,
        )?;
        let mut report = StepReport::default();
        let mut total = 0.0;
        for (slot, partials) in slots
            .iter()
            .zip(partials.chunks_exact(MAX_PARTIALS as usize))
        {
            let used = &partials[..norm_groups(slot)];
            let squares: f64 = used.iter().map(|p| f64::from(p[0])).sum();
            let weights: f64 = used.iter().map(|p| f64::from(p[1])).sum();
            total += squares;
            report.gradient_norm_of.insert(slot.name, squares.sqrt());
            report.weight_norm_of.insert(slot.name, weights.sqrt());
        }
        report.gradient_norm = total.sqrt();
        report.clip_factor = self.adam.clip_factor(report.gradient_norm);
        report.skipped = !report.gradient_norm.is_finite();
        if report.skipped {
            return Ok(report);
        }
        self.optimiser_steps += 1;
        let (rate, root) = self.adam.corrections(self.optimiser_steps);
        let mut dispatches = Vec::new();
        for slot in &slots {
            let step = AdamStep {
                offset: slot.offset as u32,
                len: slot.len() as u32,
                project: u32::from(slot.projected),
                clip_factor: report.clip_factor as f32,
                rate: rate as f32,
                root: root as f32,
                beta1: self.adam.beta1 as f32,
                beta2: self.adam.beta2 as f32,
                keep1: (1.0 - self.adam.beta1) as f32,
                keep2: (1.0 - self.adam.beta2) as f32,
                epsilon: self.adam.epsilon as f32,
                unused: 0,
            };
            dispatches.push(optimiser_dispatch(linear_grid(slot.len()), step));
            dispatches.push(self.effective_of(slot));
        }
        self.run(&dispatches)?;
        Ok(report)
    }

    fn read(&mut self, quantity: Quantity) -> Result<BTreeMap<MatrixName, Vec<f64>>, EngineError> {
        let (buffer, len) = match quantity {
            Quantity::Weights => (&self.buffers.stored, self.layout.len),
            Quantity::Gradient => (&self.buffers.gradient, self.layout.trained_len),
            Quantity::AdamM => (&self.buffers.m, self.layout.trained_len),
            Quantity::AdamV => (&self.buffers.v, self.layout.trained_len),
        };
        let flat = self.gpu.read::<f32>(buffer, 0..len)?;
        let slots = self.layout.slots.iter().filter(|s| s.range().end <= len);
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

    fn restore(&mut self, m: &Weights, v: &Weights, steps: u64) -> Result<(), EngineError> {
        for (buffer, from) in [(&self.buffers.m, m), (&self.buffers.v, v)] {
            for slot in self.layout.trained_slots() {
                self.gpu.write(buffer, slot.offset, moment(slot, from)?)?;
            }
        }
        self.optimiser_steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        let plan = &self.plan;
        format!(
            "{}: {} trials at a time, segments of {} steps, {} MiB",
            self.gpu.info().name,
            plan.chunk_trials,
            plan.segment_steps,
            plan.bytes.div_ceil(1 << 20)
        )
    }
}

impl GpuEngine {
    fn norms(&self) -> Vec<Dispatch> {
        let slots = self.layout.trained_slots().enumerate();
        slots
            .map(|(matrix, slot)| {
                let step = NormsStep {
                    offset: slot.offset as u32,
                    len: slot.len() as u32,
                    clamped: u32::from(slot.clamped),
                    matrix: matrix as u32,
                };
                optimiser_dispatch([norm_groups(slot), 1, 1], step)
            })
            .collect()
    }

    fn read_totals(&self) -> Result<Vec<u32>, GpuError> {
        self.gpu.read(&self.buffers.totals, 0..self.params.n_e())
    }
}

fn optimiser_dispatch<S: Step>(grid: [usize; 3], step: S) -> Dispatch {
    let grid = grid.map(|n| n as u32);
    Dispatch {
        stage: "optimiser",
        which: S::WHICH,
        grid,
        step: step.words(),
    }
}

/// Workgroups of the norm kernel for one matrix.
fn norm_groups(slot: &Slot) -> usize {
    slot.len()
        .div_ceil(WORKGROUP as usize)
        .min(MAX_PARTIALS as usize)
}

/// The input events of a chunk as (step, trial of the chunk, input), group after group, each group
/// by (step descending, trial, input), and where each segment begins in each group.
fn group_events(
    batch: &Batch,
    chunk: Chunk,
    steps: usize,
    segment_steps: usize,
) -> (Vec<[u32; 3]>, Vec<u32>) {
    let segments = steps.div_ceil(segment_steps);
    let mut all: Vec<[u32; 3]> = Vec::new();
    let mut bounds = Vec::new();
    for first in (0..chunk.trials).step_by(TRIAL_GROUP) {
        let begin = all.len();
        for trial in first..(first + TRIAL_GROUP).min(chunk.trials) {
            let events = batch.events_of(chunk.offset + trial);
            all.extend(events.iter().map(|e| [e.step, trial as u32, e.input]));
        }
        all[begin..]
            .sort_unstable_by_key(|&[step, trial, input]| (std::cmp::Reverse(step), trial, input));
        let group = &all[begin..];
        bounds.push(begin as u32);
        for segment in (0..segments).rev() {
            let first_step = segment * segment_steps;
            let end = group.partition_point(|e| e[0] as usize >= first_step);
            bounds.push((begin + end) as u32);
        }
    }
    (all, bounds)
}

impl Buffers {
    fn new(
        gpu: &Gpu,
        params: &Params,
        layout: &Layout,
        wiring: &Wiring,
        plan: &MemoryPlan,
        batch_trials: usize,
    ) -> Result<Self, GpuError> {
        let rows = Rows::new(params, layout, wiring);
        let chunk = plan.chunk_trials;
        let segments = params.steps.div_ceil(plan.segment_steps);
        let groups = chunk.div_ceil(TRIAL_GROUP);
        let (n_e, n_i, n_out) = (params.n_e(), params.n_i(), params.n_out);
        let storage = |label: &str, words: usize| gpu.storage(label, 4 * words as u64);
        let events = batch_trials * params.steps / 4;
        let stride = vec![[0; STEP_WORDS]; DISPATCHES_A_SUBMISSION];
        Ok(Self {
            stored: storage("stored weights", layout.len)?,
            effective: storage("effective weights", layout.len)?,
            transposed: storage("transposed weights", rows.transposed)?,
            m: storage("Adam m", layout.trained_len)?,
            v: storage("Adam v", layout.trained_len)?,
            gradient: storage("gradient", layout.trained_len)?,
            groups: storage("gradients of the trial groups", groups * layout.trained_len)?,
            partials: storage(
                "partial norms",
                2 * layout.slots.len() * MAX_PARTIALS as usize,
            )?,
            state: storage("saved states", chunk * rows.state * (segments + 2))?,
            spikes: storage("spikes", chunk * params.steps * rows.spikes)?,
            trace: storage("recorded states", chunk * plan.segment_steps * rows.trace)?,
            adjoints: storage("adjoints", chunk * rows.adjoint)?,
            disagreements: storage("disagreements", 4 + 4 * MAX_DISAGREEMENTS)?,
            counts: storage("spike counts", chunk * (n_e + n_i))?,
            totals: storage("spike totals", n_e)?,
            labels: storage("labels", batch_trials)?,
            by_logit: storage("gradient by the logits", 2 * batch_trials * n_out)?,
            logits: storage("logits", batch_trials * n_out)?,
            offsets: storage("event offsets", batch_trials + 1)?,
            events: storage("events", 2 * events)?,
            group_events: storage("events by group", 3 * events)?,
            bounds: storage("event bounds", groups * (segments + 1))?,
            steps: UniformArray::new(gpu, "steps", &stride)?,
        })
    }
}

/// Binds every kernel's variables by name.
fn bind(gpu: &Gpu, kernels: &[Kernel], b: &Buffers) -> Result<Vec<Bound>, GpuError> {
    let step = ("this_step", b.steps.buffer());
    let named = |which: Which| match which {
        Which::Forward => vec![
            ("weights", &b.effective),
            ("events", &b.events),
            ("offsets", &b.offsets),
            ("state", &b.state),
            ("spikes", &b.spikes),
            ("trace", &b.trace),
            ("disagreements", &b.disagreements),
            step,
        ],
        Which::Loss => vec![
            ("state", &b.state),
            ("labels", &b.labels),
            ("by_logit", &b.by_logit),
            ("logits", &b.logits),
            step,
        ],
        Which::SpikeTotals => {
            vec![
                ("state", &b.state),
                ("counts", &b.counts),
                ("totals", &b.totals),
                step,
            ]
        }
        Which::Backward => vec![
            ("transposed", &b.transposed),
            ("spikes", &b.spikes),
            ("trace", &b.trace),
            ("adjoints", &b.adjoints),
            ("by_logit", &b.by_logit),
            ("totals", &b.totals),
            step,
        ],
        Which::GradientInputs => vec![
            ("group_events", &b.group_events),
            ("bounds", &b.bounds),
            ("trace", &b.trace),
            ("gradient", &b.groups),
            step,
        ],
        Which::GradientSpikes => {
            vec![
                ("spikes", &b.spikes),
                ("trace", &b.trace),
                ("gradient", &b.groups),
                step,
            ]
        }
        Which::SumGroups => vec![("groups", &b.groups), ("whole", &b.gradient), step],
        Which::Norms => {
            vec![
                ("weights", &b.stored),
                ("gradient", &b.gradient),
                ("partials", &b.partials),
                step,
            ]
        }
        Which::Adam => vec![
            ("weights", &b.stored),
            ("gradient", &b.gradient),
            ("m", &b.m),
            ("v", &b.v),
            step,
        ],
        Which::Effective => vec![
            ("weights", &b.stored),
            ("effective", &b.effective),
            ("transposed", &b.transposed),
            step,
        ],
    };
    Which::ALL
        .iter()
        .map(|&which| kernels[which as usize].bind(gpu, &named(which)))
        .collect()
}
