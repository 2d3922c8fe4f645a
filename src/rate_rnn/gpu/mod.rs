//! The GPU engine. A chunk of trials goes through the layers from the input up, all steps of a layer in one
//! dispatch: a workgroup keeps a few trials and reads the weights anew each step. Backwards likewise, from the
//! read-out down; the gradients are products over all steps and trials, summed in the order of the trial groups,
//! so that no bit depends on the memory there is. Networks of one shape go side by side.

mod kernels;
mod passes;
mod plan;
mod steps;

use std::ops::Range;
use std::sync::Arc;

use super::TRIAL_GROUP;
use super::batch::{Batch, Targets};
use super::engine::{Engine, EngineError, Forward, Quantity, StepPlan, StepReport, rule_at};
use super::loss::Scores;
use super::params::Params;
use super::weights::{Layout, TensorSpec};
use crate::gpu::{BufferSpec, Gpu, Program, linear_grid};
use crate::optim::gpu::{
    MAX_PARTIALS, NormsStep, StepNumber, UpdateStep, clip_words, factor_at, norm_groups, partials,
    squares, update_step,
};
use kernels::WORKGROUP;
use plan::{Words, by_effective_words, chunk_trials, default_budget};
use steps::{KernelDispatch, STEP_WORDS, dispatch};

pub use plan::DEFAULT_BUDGET_BYTES;

/// Trains and runs networks of one shape side by side on a GPU, its lanes; an [`Engine`] of the first.
///
/// All buffers hold lane after lane, and a dispatch serves lanes that follow each other. What a lane computes does not
/// depend on which others there are.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    /// Of the first lane; sizes are those of all.
    params: Params,
    layout: Layout,
    program: Program<STEP_WORDS>,
    budget_bytes: u64,
    /// Words of a lane's gradient by effective matrices, then biases.
    gradient_len: usize,
    lanes: Vec<Lane>,
}

/// What the host knows of a lane.
struct Lane {
    params: Params,
    layout: Layout,
    steps: u64,
    /// The stored weights have changed since the effective ones were made.
    is_stale: bool,
    /// Σ g² and Σ w² of each tensor after a gradient, for the step that follows.
    squares: Vec<[f64; 2]>,
}

/// A network on a shared engine, and what it begins with.
#[derive(Clone, Debug)]
pub struct LaneStart {
    /// Sizes and recipe.
    pub params: Params,
    /// Weights as [`Layout::flatten`] gives them.
    pub weights: Vec<f32>,
}

/// Lanes and their batches, all of the same number of steps and trials; in the order of the lanes.
pub type LaneBatches<'a> = [(usize, &'a Batch)];

/// Trials of each lane of a range that are on the device together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    lanes: Range<usize>,
    /// From a lane to the next.
    words: Words,
    first: usize,
    trials: usize,
    steps: usize,
    /// First step whose outputs are compared with targets.
    scored_from: usize,
    /// Outputs of the whole batch that are.
    scored_of_batch: usize,
}

impl Chunk {
    fn scored(&self) -> usize {
        self.steps - self.scored_from
    }

    /// The words of the losses of its lanes.
    fn losses(&self) -> (&'static str, Range<usize>) {
        let stride = self.words.losses;
        ("losses", self.lanes.start * stride..self.lanes.end * stride)
    }

    /// Puts loss and 1 for a right answer of each scored output into their places in the batch of each lane.
    fn put_losses(&self, words: &[u32], of_lanes: &mut [Vec<[f32; 2]>]) {
        for (of_batch, words) in of_lanes.iter_mut().zip(words.chunks(self.words.losses)) {
            let trials = of_batch.len() / self.scored();
            let own = words.chunks_exact(2 * self.trials);
            for (step, own) in own.enumerate().take(self.scored()) {
                let to = &mut of_batch[step * trials + self.first..][..self.trials];
                for (to, pair) in to.iter_mut().zip(own.chunks_exact(2)) {
                    *to = [0, 1].map(|which| f32::from_bits(pair[which]));
                }
            }
        }
    }
}

impl GpuEngine {
    /// An engine of one network with fresh optimiser state; `weights` as [`Layout::flatten`] gives them, `shape` steps
    /// and trials of its usual batch, `memory` the most bytes it may take (none: [`DEFAULT_BUDGET_BYTES`]).
    ///
    /// # Errors
    /// A network that does not fit the device, or a failure of the device.
    pub fn new(
        gpu: Arc<Gpu>,
        params: Params,
        weights: &[f32],
        memory: Option<u64>,
        shape: [usize; 2],
    ) -> Result<Self, EngineError> {
        let weights = weights.to_vec();
        Self::of_lanes(gpu, &[LaneStart { params, weights }], memory, shape)
    }

    /// An engine of networks whose tensors are of the same shapes; at least one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_lanes(
        gpu: Arc<Gpu>,
        starts: &[LaneStart],
        memory: Option<u64>,
        shape: [usize; 2],
    ) -> Result<Self, EngineError> {
        let lane = |start: &LaneStart| Lane {
            layout: Layout::new(&start.params),
            params: start.params.clone(),
            steps: 0,
            is_stale: true,
            squares: Vec::new(),
        };
        let lanes: Vec<Lane> = starts.iter().map(lane).collect();
        let Lane { params, layout, .. } = &lanes[0];
        let (params, layout) = (params.clone(), layout.clone());
        let of_default = || default_budget(&params, &layout, shape[0], lanes.len());
        let budget_bytes = memory.unwrap_or_else(of_default);
        let limits = gpu.limits();
        let trials = chunk_trials(&params, &layout, shape, lanes.len(), budget_bytes, limits)?;
        let words = Words::of(&params, shape[0], trials);
        let buffers = buffers(&layout, words, lanes.len());
        let program = Program::new(gpu.clone(), &buffers, kernels::sources()?)?;
        let mut engine = Self {
            gpu,
            program,
            budget_bytes,
            gradient_len: by_effective_words(&layout),
            lanes,
            params,
            layout,
        };
        for (lane, start) in starts.iter().enumerate() {
            engine.load_lane(lane, &start.weights)?;
        }
        Ok(engine)
    }

    /// Chunks of a batch of these lanes, each of whole trial groups, and room for one.
    fn chunks(&mut self, batch: &Batch, lanes: &Range<usize>) -> Result<Vec<Chunk>, EngineError> {
        let shape = [batch.steps, batch.trials];
        let (limits, all) = (self.gpu.limits(), self.lanes.len());
        let budget = self.budget_bytes;
        let size = chunk_trials(&self.params, &self.layout, shape, all, budget, limits)?;
        let words = Words::of(&self.params, batch.steps, size);
        for (name, words) in [
            ("x", words.x),
            ("h", words.h),
            ("delta", words.h),
            ("outputs", words.outputs),
            ("output_derivatives", words.outputs),
            ("targets", words.targets),
            ("losses", words.losses),
        ] {
            self.program.fit(name, all * words)?;
        }
        let scored = batch.scored_steps(&self.params);
        let chunk = |first| Chunk {
            lanes: lanes.clone(),
            words,
            first,
            trials: size.min(batch.trials - first),
            steps: batch.steps,
            scored_from: batch.steps - scored,
            scored_of_batch: scored * batch.trials,
        };
        Ok((0..batch.trials).step_by(size).map(chunk).collect())
    }

    /// Copies inputs and targets of a chunk to the device, of each of its lanes from its own batch.
    fn upload(&self, batches: &LaneBatches<'_>, chunk: &Chunk) -> Result<(), EngineError> {
        let trials = chunk.first..chunk.first + chunk.trials;
        let Words { x, targets, .. } = chunk.words;
        let mut inputs = Vec::with_capacity(batches.len() * x);
        let mut answers = Vec::with_capacity(batches.len() * targets);
        for (number, (_, batch)) in batches.iter().enumerate() {
            let rows = |width: usize, steps: usize| {
                let trials = trials.clone();
                (0..steps).map(move |step| {
                    let at = |trial| (step * batch.trials + trial) * width;
                    at(trials.start)..at(trials.end)
                })
            };
            for range in rows(self.params.n_in, chunk.steps) {
                inputs.extend_from_slice(&batch.x[range]);
            }
            match &batch.targets {
                Targets::Classes(classes) => {
                    for range in rows(1, chunk.scored()) {
                        answers.extend_from_slice(&classes[range]);
                    }
                }
                Targets::Values(values) => {
                    for range in rows(self.params.n_out, 1) {
                        answers.extend(values[range].iter().map(|x| x.to_bits()));
                    }
                }
            }
            inputs.resize((number + 1) * x, 0.0);
            answers.resize((number + 1) * targets, 0);
        }
        let first = chunk.lanes.start;
        self.program.write("x", first * x, &inputs)?;
        Ok(self.program.write("targets", first * targets, &answers)?)
    }

    /// Makes the effective matrices of lanes whose stored weights have changed.
    fn renew_effective(&mut self, lanes: &[usize]) -> Result<(), EngineError> {
        let stale = lanes.iter().copied();
        let stale: Vec<usize> = stale.filter(|&lane| self.lanes[lane].is_stale).collect();
        let mut dispatches = Vec::new();
        for range in self.alike(&stale, |a, b| a.layout.links == b.layout.links) {
            dispatches.extend(self.effective(range));
        }
        if !dispatches.is_empty() {
            self.program.run(&dispatches)?;
        }
        for lane in stale {
            self.lanes[lane].is_stale = false;
        }
        Ok(())
    }

    /// The lanes as ranges of such as follow each other and are alike.
    fn alike(&self, lanes: &[usize], is_alike: impl Fn(&Lane, &Lane) -> bool) -> Vec<Range<usize>> {
        let follows =
            |a: &usize, b: &usize| a + 1 == *b && is_alike(&self.lanes[*a], &self.lanes[*b]);
        let runs = lanes.chunk_by(follows);
        runs.map(|run| run[0]..run[0] + run.len()).collect()
    }

    /// Runs trials without learning: [`Engine::forward`] for each lane.
    ///
    /// # Errors
    /// A batch that does not fit the network, or a failure of the device.
    pub fn forward_lanes(
        &mut self,
        work: &LaneBatches<'_>,
        every_step: bool,
    ) -> Result<Vec<Forward>, EngineError> {
        let lanes = self.checked(work)?;
        self.renew_effective(&lanes)?;
        let mut all = Vec::new();
        let mut rest = work;
        for range in self.alike(&lanes, |_, _| true) {
            let own;
            (own, rest) = rest.split_at(range.len());
            all.extend(self.forward_range(range, own, every_step)?);
        }
        Ok(all)
    }

    fn forward_range(
        &mut self,
        range: Range<usize>,
        own: &LaneBatches<'_>,
        every_step: bool,
    ) -> Result<Vec<Forward>, EngineError> {
        let batch = own[0].1;
        let chunks = self.chunks(batch, &range)?;
        let n_out = self.params.n_out;
        let scored = batch.scored_steps(&self.params);
        let steps = if every_step { batch.steps } else { scored };
        let mut outputs = vec![vec![0.0; steps * batch.trials * n_out]; own.len()];
        let mut losses = vec![vec![[0.0; 2]; scored * batch.trials]; own.len()];
        for chunk in chunks {
            self.upload(own, &chunk)?;
            let dispatches = self.forward_passes(&chunk, every_step);
            self.program.run(&dispatches)?;
            let stride = chunk.words.outputs;
            let of_outputs = ("outputs", range.start * stride..range.end * stride);
            let [found, words] = self.program.read_parts([chunk.losses(), of_outputs])?;
            chunk.put_losses(&found, &mut losses);
            let a_step = chunk.trials * n_out;
            let rows = (batch.steps - steps) * a_step..batch.steps * a_step;
            for (outputs, words) in outputs.iter_mut().zip(words.chunks(stride)) {
                for (step, own) in words[rows.clone()].chunks_exact(a_step).enumerate() {
                    let first = (step * batch.trials + chunk.first) * n_out;
                    for (to, &bits) in outputs[first..].iter_mut().zip(own) {
                        *to = f64::from(f32::from_bits(bits));
                    }
                }
            }
        }
        let both = outputs.into_iter().zip(losses);
        let forward = both.map(|(outputs, losses)| Forward {
            outputs,
            scores: scores(&losses),
        });
        Ok(forward.collect())
    }

    /// Runs trials and leaves the gradient of their loss in each lane: [`Engine::gradient`].
    ///
    /// # Errors
    /// As [`forward_lanes`](Self::forward_lanes).
    pub fn gradient_lanes(&mut self, work: &LaneBatches<'_>) -> Result<Vec<Scores>, EngineError> {
        let lanes = self.checked(work)?;
        self.renew_effective(&lanes)?;
        self.program.clear(&["by_effective"])?;
        let mut all = Vec::new();
        let mut rest = work;
        for range in self.alike(&lanes, |_, _| true) {
            let own;
            (own, rest) = rest.split_at(range.len());
            all.extend(self.gradient_range(range, own)?);
        }
        Ok(all)
    }

    fn gradient_range(
        &mut self,
        range: Range<usize>,
        own: &LaneBatches<'_>,
    ) -> Result<Vec<Scores>, EngineError> {
        let batch = own[0].1;
        let chunks = self.chunks(batch, &range)?;
        let scored = batch.scored_steps(&self.params) * batch.trials;
        let mut losses = vec![vec![[0.0; 2]; scored]; own.len()];
        let mut computed: Option<Chunk> = None;
        for chunk in chunks {
            // The losses of the last chunk are read with the norms: a batch is waited for once.
            if let Some(computed) = computed {
                let [found] = self.program.read_parts([computed.losses()])?;
                computed.put_losses(&found, &mut losses);
            }
            self.upload(own, &chunk)?;
            let mut dispatches = self.forward_passes(&chunk, false);
            dispatches.extend(self.backward_passes(&chunk));
            dispatches.extend(self.gradients(&chunk));
            self.program.run(&dispatches)?;
            computed = Some(chunk);
        }
        let lanes: Vec<usize> = range.clone().collect();
        let mut dispatches = Vec::new();
        for alike in self.alike(&lanes, |a, b| a.layout.links == b.layout.links) {
            dispatches.extend(self.chain(alike));
        }
        dispatches.extend(self.norms(&range));
        self.program.run(&dispatches)?;
        let lens: Vec<usize> = self.layout.tensors.iter().map(|t| t.len()).collect();
        let (buffer, of_a_lane) = partials(lens.len());
        let norms = range.start * of_a_lane.len()..range.end * of_a_lane.len();
        let of_losses = computed.as_ref().map_or(("losses", 0..0), Chunk::losses);
        let [found, norms] = self.program.read_parts([of_losses, (buffer, norms)])?;
        if let Some(computed) = computed {
            computed.put_losses(&found, &mut losses);
        }
        for (lane, norms) in range.zip(norms.chunks_exact(of_a_lane.len())) {
            self.lanes[lane].squares = squares(norms, &lens);
        }
        Ok(losses.iter().map(|losses| scores(losses)).collect())
    }

    fn norms(&self, lanes: &Range<usize>) -> Vec<KernelDispatch> {
        let tensors = self.layout.tensors.iter().enumerate();
        let of = |(tensor, spec): (usize, &TensorSpec)| {
            let count = self.layout.tensors.len();
            let step = NormsStep {
                offset: (lanes.start * self.layout.len + spec.offset) as u32,
                len: spec.len() as u32,
                matrix: (lanes.start * count + tensor) as u32,
                lane_stride: self.layout.len as u32,
                lane_matrices: count as u32,
                ..NormsStep::default()
            };
            let grid = [norm_groups(spec.len()), 1, lanes.len()];
            dispatch("optimiser", grid, step)
        };
        tensors.map(of).collect()
    }

    /// Takes an optimiser step in each of these lanes, in their order: [`Engine::step`].
    ///
    /// # Errors
    /// A failure of the device.
    pub fn step_lanes(&mut self, lanes: &[usize]) -> Result<Vec<StepReport>, EngineError> {
        let count = self.layout.tensors.len();
        let mut reports = Vec::with_capacity(lanes.len());
        let mut moved = Vec::with_capacity(lanes.len());
        for &number in lanes {
            let lane = &mut self.lanes[number];
            let norms = |which: usize| -> Vec<f64> {
                lane.squares.iter().map(|s| s[which].sqrt()).collect()
            };
            let plan = StepPlan::new(&lane.params, &lane.layout, &norms(0), &norms(1));
            if !plan.report.skipped {
                lane.steps += 1;
                lane.is_stale = true;
                let factors: Vec<f32> = plan.factors.iter().map(|&f| f as f32).collect();
                self.program
                    .write("clip", factor_at(number * count), &factors)?;
                moved.push(number);
            }
            reports.push(plan.report);
        }
        let mut dispatches = Vec::new();
        let is_alike = |a: &Lane, b: &Lane| {
            let constraints = |lane: &Lane| {
                lane.layout
                    .tensors
                    .iter()
                    .map(|t| t.constraint)
                    .collect::<Vec<_>>()
            };
            let rules = |lane: &Lane| (lane.steps, rule_at(&lane.params, lane.steps));
            constraints(a) == constraints(b) && rules(a) == rules(b)
        };
        for range in self.alike(&moved, is_alike) {
            dispatches.extend(self.updates(&range));
        }
        if !dispatches.is_empty() {
            self.program.run(&dispatches)?;
        }
        Ok(reports)
    }

    /// The optimiser's step of lanes that take it alike.
    fn updates(&self, lanes: &Range<usize>) -> Vec<KernelDispatch> {
        let Lane {
            params,
            layout,
            steps,
            ..
        } = &self.lanes[lanes.start];
        let (rule, adam) = rule_at(params, *steps);
        let number = StepNumber {
            t: *steps,
            skipped: 0,
        };
        let count = layout.tensors.len();
        let of = |(tensor, spec): (usize, &TensorSpec)| {
            let place = [lanes.start * layout.len + spec.offset, spec.len()];
            let factor = lanes.start * count + tensor;
            let step = UpdateStep {
                lane_stride: layout.len as u32,
                lane_factors: count as u32,
                ..update_step(place, (&rule, &adam), number, factor, spec.constraint)
            };
            let [x, y, _] = linear_grid(spec.len(), WORKGROUP);
            dispatch("optimiser", [x, y, lanes.len()], step)
        };
        layout.tensors.iter().enumerate().map(of).collect()
    }

    /// The lanes of some work, whose batches fit them.
    fn checked(&self, work: &LaneBatches<'_>) -> Result<Vec<usize>, EngineError> {
        let lane = |(lane, batch): &(usize, &Batch)| {
            batch.check(&self.lanes[*lane].params)?;
            Ok(*lane)
        };
        work.iter().map(lane).collect()
    }

    /// Copies a quantity of a lane to the host.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn read_lane(&self, lane: usize, quantity: Quantity) -> Result<Vec<f64>, EngineError> {
        let buffer = match quantity {
            Quantity::Weights => "stored",
            Quantity::Gradient => "gradient",
            Quantity::AdamM => "m",
            Quantity::AdamV => "v",
        };
        let range = lane * self.layout.len..(lane + 1) * self.layout.len;
        let flat: Vec<f32> = self.program.read(buffer, range)?;
        Ok(flat.into_iter().map(f64::from).collect())
    }

    /// Replaces the stored weights of a lane.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn load_lane(&mut self, lane: usize, weights: &[f32]) -> Result<(), EngineError> {
        self.lanes[lane].is_stale = true;
        let first = lane * self.layout.len;
        Ok(self.program.write("stored", first, weights)?)
    }

    /// Replaces the optimiser state of a lane.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn restore_lane(
        &mut self,
        lane: usize,
        [m, v]: [&[f32]; 2],
        steps: u64,
    ) -> Result<(), EngineError> {
        let first = lane * self.layout.len;
        self.program.write("m", first, m)?;
        self.program.write("v", first, v)?;
        self.lanes[lane].steps = steps;
        Ok(())
    }
}

/// Sums the losses of a batch in their order.
fn scores(losses: &[[f32; 2]]) -> Scores {
    Scores {
        outputs: losses.len(),
        loss_sum: losses.iter().map(|l| f64::from(l[0])).sum(),
        correct: losses.iter().filter(|l| l[1] != 0.0).count(),
    }
}

/// Every buffer of a program; `words` of each of its lanes.
fn buffers(layout: &Layout, words: Words, lanes: usize) -> Vec<BufferSpec> {
    let partials = 2 * layout.tensors.len() * MAX_PARTIALS as usize;
    let new = |name, label, words| BufferSpec::new(name, label, lanes * words);
    let scratch = |name, label, words| BufferSpec::scratch(name, label, lanes * words);
    vec![
        new("stored", "stored weights", layout.len),
        new("m", "first moments", layout.len),
        new("v", "second moments", layout.len),
        scratch("effective", "effective weights", layout.effective_len),
        scratch("transposed", "transposed weights", layout.effective_len),
        new(
            "by_effective",
            "gradient of effective weights",
            by_effective_words(layout),
        ),
        scratch("gradient", "gradient", layout.len),
        new("partials", "partial norms", partials),
        BufferSpec::new(
            "clip",
            "clip factors",
            clip_words(lanes * layout.tensors.len()).1.len(),
        ),
        new("x", "inputs", words.x),
        new("targets", "targets", words.targets),
        scratch("h", "unit activities", words.h),
        scratch("delta", "unit derivatives", words.h),
        scratch("outputs", "outputs", words.outputs),
        scratch("output_derivatives", "output derivatives", words.outputs),
        scratch("losses", "losses", words.losses),
    ]
}

impl Engine for GpuEngine {
    fn params(&self) -> &Params {
        &self.params
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn forward(&mut self, batch: &Batch, every_step: bool) -> Result<Forward, EngineError> {
        let mut all = self.forward_lanes(&[(0, batch)], every_step)?;
        Ok(all.remove(0))
    }

    fn gradient(&mut self, batch: &Batch) -> Result<Scores, EngineError> {
        let mut all = self.gradient_lanes(&[(0, batch)])?;
        Ok(all.remove(0))
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let mut all = self.step_lanes(&[0])?;
        Ok(all.remove(0))
    }

    fn read(&mut self, quantity: Quantity) -> Result<Vec<f64>, EngineError> {
        self.read_lane(0, quantity)
    }

    fn optimiser_steps(&self) -> u64 {
        self.lanes[0].steps
    }

    fn load(&mut self, weights: &[f32]) -> Result<(), EngineError> {
        self.load_lane(0, weights)
    }

    fn restore(&mut self, m: &[f32], v: &[f32], steps: u64) -> Result<(), EngineError> {
        self.restore_lane(0, [m, v], steps)
    }

    fn describe(&self) -> String {
        format!("GPU engine, groups of {TRIAL_GROUP} trials")
    }
}
