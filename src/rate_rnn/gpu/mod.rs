//! The GPU engine. A chunk of trials goes through the layers from the input up, all steps of a layer in one
//! dispatch: a workgroup keeps a few trials and reads the weights anew each step. Backwards likewise, from the
//! read-out down; the gradients are products over all steps and trials, summed in the order of the trial groups,
//! so that no bit depends on the memory there is.

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
use super::weights::Layout;
use crate::gpu::{BufferSpec, Gpu, Program, linear_grid};
use crate::optim::gpu::{
    MAX_PARTIALS, NormsStep, StepNumber, clip_words, factor_at, norm_groups, partials, squares,
    update_step,
};
use kernels::WORKGROUP;
use plan::{Words, by_effective_words, chunk_trials};
use steps::{STEP_WORDS, dispatch};

pub use plan::DEFAULT_BUDGET_BYTES;

/// Trains and runs one network on a GPU.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    params: Params,
    layout: Layout,
    program: Program<STEP_WORDS>,
    budget_bytes: u64,
    steps: u64,
    /// The stored weights have changed since the effective ones were made.
    is_stale: bool,
    /// Σ g² and Σ w² of each tensor after a gradient, for the step that follows.
    squares: Vec<[f64; 2]>,
}

/// Trials of a batch that are on the device together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    first: usize,
    trials: usize,
    steps: usize,
    /// First step whose outputs are compared with targets.
    scored_from: usize,
    /// Outputs of the whole batch that are.
    scored_of_batch: usize,
}

impl Chunk {
    /// Puts loss and 1 for a right answer of each scored output, as words, into their places in the batch.
    fn put_losses(&self, words: &[u32], of_batch: &mut [[f32; 2]]) {
        let trials = of_batch.len() / (self.steps - self.scored_from);
        for (step, own) in words.chunks_exact(2 * self.trials).enumerate() {
            let to = &mut of_batch[step * trials + self.first..][..self.trials];
            for (to, pair) in to.iter_mut().zip(own.chunks_exact(2)) {
                *to = [0, 1].map(|which| f32::from_bits(pair[which]));
            }
        }
    }
}

impl GpuEngine {
    /// An engine with fresh optimiser state; `weights` as [`Layout::flatten`] gives them, `shape` steps and trials of
    /// its usual batch, `memory` the most bytes it may take (none: [`DEFAULT_BUDGET_BYTES`]).
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
        let layout = Layout::new(&params);
        let budget_bytes = memory.unwrap_or(DEFAULT_BUDGET_BYTES);
        let trials = chunk_trials(&params, &layout, shape, budget_bytes, gpu.limits())?;
        let buffers = buffers(&layout, Words::of(&params, shape[0], trials));
        let program = Program::new(gpu.clone(), &buffers, kernels::sources()?)?;
        let mut engine = Self {
            gpu,
            params,
            layout,
            program,
            budget_bytes,
            steps: 0,
            squares: Vec::new(),
            is_stale: true,
        };
        engine.load(weights)?;
        Ok(engine)
    }

    /// Chunks of a batch, each of whole trial groups, and room for one.
    fn chunks(&mut self, batch: &Batch) -> Result<Vec<Chunk>, EngineError> {
        batch.check(&self.params)?;
        let shape = [batch.steps, batch.trials];
        let limits = self.gpu.limits();
        let size = chunk_trials(&self.params, &self.layout, shape, self.budget_bytes, limits)?;
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
            self.program.fit(name, words)?;
        }
        let scored = batch.scored_steps(&self.params);
        let chunk = |first| Chunk {
            first,
            trials: size.min(batch.trials - first),
            steps: batch.steps,
            scored_from: batch.steps - scored,
            scored_of_batch: scored * batch.trials,
        };
        Ok((0..batch.trials).step_by(size).map(chunk).collect())
    }

    /// Copies inputs and targets of a chunk to the device.
    fn upload(&self, batch: &Batch, chunk: Chunk) -> Result<(), EngineError> {
        let trials = chunk.first..chunk.first + chunk.trials;
        let rows = |width: usize, steps: usize| {
            let trials = trials.clone();
            (0..steps).map(move |step| {
                let at = |trial| (step * batch.trials + trial) * width;
                at(trials.start)..at(trials.end)
            })
        };
        let mut x = Vec::with_capacity(chunk.steps * chunk.trials * self.params.n_in);
        for range in rows(self.params.n_in, chunk.steps) {
            x.extend_from_slice(&batch.x[range]);
        }
        self.program.write("x", 0, &x)?;
        let mut targets = Vec::new();
        match &batch.targets {
            Targets::Classes(classes) => {
                for range in rows(1, chunk.steps - chunk.scored_from) {
                    targets.extend_from_slice(&classes[range]);
                }
            }
            Targets::Values(values) => {
                for range in rows(self.params.n_out, 1) {
                    targets.extend(values[range].iter().map(|x| x.to_bits()));
                }
            }
        }
        Ok(self.program.write("targets", 0, &targets)?)
    }

    /// The words of the losses of a chunk's scored outputs.
    fn losses_of(&self, chunk: Chunk) -> (&'static str, Range<usize>) {
        let scored = chunk.steps - chunk.scored_from;
        ("losses", 0..2 * scored * chunk.trials)
    }

    fn renew_effective(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.is_stale) {
            let dispatches = self.effective();
            self.program.run(&dispatches)?;
        }
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

/// Every buffer of a program.
fn buffers(layout: &Layout, words: Words) -> Vec<BufferSpec> {
    let partials = 2 * layout.tensors.len() * MAX_PARTIALS as usize;
    vec![
        BufferSpec::new("stored", "stored weights", layout.len),
        BufferSpec::new("m", "first moments", layout.len),
        BufferSpec::new("v", "second moments", layout.len),
        BufferSpec::scratch("effective", "effective weights", layout.effective_len),
        BufferSpec::scratch("transposed", "transposed weights", layout.effective_len),
        BufferSpec::new(
            "by_effective",
            "gradient of effective weights",
            by_effective_words(layout),
        ),
        BufferSpec::scratch("gradient", "gradient", layout.len),
        BufferSpec::new("partials", "partial norms", partials),
        BufferSpec::new(
            "clip",
            "clip factors",
            clip_words(layout.tensors.len()).1.len(),
        ),
        BufferSpec::new("x", "inputs", words.x),
        BufferSpec::new("targets", "targets", words.targets),
        BufferSpec::scratch("h", "unit activities", words.h),
        BufferSpec::scratch("delta", "unit derivatives", words.h),
        BufferSpec::scratch("outputs", "outputs", words.outputs),
        BufferSpec::scratch("output_derivatives", "output derivatives", words.outputs),
        BufferSpec::scratch("losses", "losses", words.losses),
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
        let chunks = self.chunks(batch)?;
        self.renew_effective()?;
        let n_out = self.params.n_out;
        let scored = batch.scored_steps(&self.params);
        let steps = if every_step { batch.steps } else { scored };
        let mut outputs = vec![0.0; steps * batch.trials * n_out];
        let mut losses = vec![[0.0; 2]; scored * batch.trials];
        for chunk in chunks {
            self.upload(batch, chunk)?;
            let dispatches = self.forward_passes(chunk, every_step);
            self.program.run(&dispatches)?;
            let [own] = self.program.read_parts([self.losses_of(chunk)])?;
            chunk.put_losses(&own, &mut losses);
            let a_step = chunk.trials * n_out;
            let rows = (batch.steps - steps) * a_step..batch.steps * a_step;
            let own: Vec<f32> = self.program.read("outputs", rows)?;
            for (step, own) in own.chunks_exact(a_step).enumerate() {
                let first = (step * batch.trials + chunk.first) * n_out;
                for (to, &x) in outputs[first..].iter_mut().zip(own) {
                    *to = f64::from(x);
                }
            }
        }
        let scores = scores(&losses);
        Ok(Forward { outputs, scores })
    }

    fn gradient(&mut self, batch: &Batch) -> Result<Scores, EngineError> {
        let chunks = self.chunks(batch)?;
        self.renew_effective()?;
        self.program.clear(&["by_effective"])?;
        let mut losses = vec![[0.0; 2]; batch.scored_steps(&self.params) * batch.trials];
        let mut computed: Option<Chunk> = None;
        for chunk in chunks {
            // The losses of the last chunk are read with the norms: a batch is waited for once.
            if let Some(computed) = computed {
                let [own] = self.program.read_parts([self.losses_of(computed)])?;
                computed.put_losses(&own, &mut losses);
            }
            self.upload(batch, chunk)?;
            let mut dispatches = self.forward_passes(chunk, false);
            dispatches.extend(self.backward_passes(chunk));
            dispatches.extend(self.gradients(chunk));
            self.program.run(&dispatches)?;
            computed = Some(chunk);
        }
        let mut dispatches = self.chain();
        for (tensor, spec) in self.layout.tensors.iter().enumerate() {
            let step = NormsStep {
                offset: spec.offset as u32,
                len: spec.len() as u32,
                matrix: tensor as u32,
                ..NormsStep::default()
            };
            dispatches.push(dispatch("optimiser", [norm_groups(spec.len()), 1, 1], step));
        }
        self.program.run(&dispatches)?;
        let lens: Vec<usize> = self.layout.tensors.iter().map(|t| t.len()).collect();
        let of_losses = computed.map_or(("losses", 0..0), |chunk| self.losses_of(chunk));
        let [own, norms] = self.program.read_parts([of_losses, partials(lens.len())])?;
        if let Some(computed) = computed {
            computed.put_losses(&own, &mut losses);
        }
        self.squares = squares(&norms, &lens);
        Ok(scores(&losses))
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let norms = |which: usize| {
            self.squares
                .iter()
                .map(|s| s[which].sqrt())
                .collect::<Vec<_>>()
        };
        let plan = StepPlan::new(&self.params, &self.layout, &norms(0), &norms(1));
        if plan.report.skipped {
            return Ok(plan.report);
        }
        self.steps += 1;
        let (rule, adam) = rule_at(&self.params, self.steps);
        let factors: Vec<f32> = plan.factors.iter().map(|&factor| factor as f32).collect();
        self.program.write("clip", factor_at(0), &factors)?;
        let number = StepNumber {
            t: self.steps,
            skipped: 0,
        };
        let tensors = self.layout.tensors.iter().enumerate();
        let update = tensors.map(|(tensor, spec)| {
            let place = [spec.offset, spec.len()];
            let step = update_step(place, (&rule, &adam), number, tensor, spec.projected);
            dispatch("optimiser", linear_grid(spec.len(), WORKGROUP), step)
        });
        let dispatches: Vec<_> = update.collect();
        self.is_stale = true;
        self.program.run(&dispatches)?;
        Ok(plan.report)
    }

    fn read(&mut self, quantity: Quantity) -> Result<Vec<f64>, EngineError> {
        let buffer = match quantity {
            Quantity::Weights => "stored",
            Quantity::Gradient => "gradient",
            Quantity::AdamM => "m",
            Quantity::AdamV => "v",
        };
        let flat: Vec<f32> = self.program.read(buffer, 0..self.layout.len)?;
        Ok(flat.into_iter().map(f64::from).collect())
    }

    fn optimiser_steps(&self) -> u64 {
        self.steps
    }

    fn load(&mut self, weights: &[f32]) -> Result<(), EngineError> {
        self.is_stale = true;
        Ok(self.program.write("stored", 0, weights)?)
    }

    fn restore(&mut self, m: &[f32], v: &[f32], steps: u64) -> Result<(), EngineError> {
        self.program.write("m", 0, m)?;
        self.program.write("v", 0, v)?;
        self.steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        format!("GPU engine, groups of {TRIAL_GROUP} trials")
    }
}
