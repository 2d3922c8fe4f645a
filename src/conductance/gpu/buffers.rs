//! Everything on the device, and how the kernels' variables are bound to it.

use super::backward::{Backward, LambdaRows};
use super::kernels::{MAX_PARTIALS, Which};
use super::plan::{MemoryPlan, Rows};
use super::steps::{STEP_WORDS, StepWords};
use crate::conductance::TRIAL_GROUP;
use crate::conductance::params::Params;
use crate::conductance::weights::{Layout, Wiring};
use crate::gpu::{Bound, Buffer, Gpu, GpuError, Kernel, UniformArray, stress_wanted};

/// Differing decisions that are listed at the most.
pub(super) const MAX_DISAGREEMENTS: usize = 1 << 16;

/// Dispatches that are submitted together, so that no command list keeps the device from the
/// desktop for long: those of about 16 segments, each a few milliseconds on a small card. A
/// submission costs tens of microseconds, so longer lists would gain next to nothing.
pub(super) const DISPATCHES_A_SUBMISSION: usize = 64;

/// Everything on the device.
pub(super) struct Buffers {
    pub(super) stored: Buffer,
    pub(super) effective: Buffer,
    pub(super) transposed: Buffer,
    pub(super) m: Buffer,
    pub(super) v: Buffer,
    pub(super) gradient: Buffer,
    pub(super) groups: Buffer,
    pub(super) partials: Buffer,
    pub(super) state: Buffer,
    pub(super) spikes: Buffer,
    pub(super) trace: Buffer,
    pub(super) adjoints: Buffer,
    pub(super) lambda: Buffer,
    pub(super) disagreements: Buffer,
    pub(super) counts: Buffer,
    pub(super) totals: Buffer,
    pub(super) labels: Buffer,
    pub(super) by_logit: Buffer,
    pub(super) logits: Buffer,
    pub(super) offsets: Buffer,
    pub(super) events: Buffer,
    pub(super) rows: Buffer,
    pub(super) row_events: Buffer,
    pub(super) steps: UniformArray<StepWords>,
}

impl Buffers {
    /// Allocates what `plan` asks for.
    pub(super) fn new(
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
        let lambda = match plan.backward {
            Backward::Persistent => 1,
            Backward::PerStep => {
                LambdaRows::new(params, wiring, chunk).len(params, plan.segment_steps)
            }
        };
        let events = batch_trials * params.steps / 4;
        let stride = vec![[0; STEP_WORDS]; DISPATCHES_A_SUBMISSION];
        let buffers = Self {
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
            lambda: storage("adjoints of two steps", lambda)?,
            disagreements: storage("disagreements", 4 + 4 * MAX_DISAGREEMENTS)?,
            counts: storage("spike counts", chunk * (n_e + n_i))?,
            totals: storage("spike totals", n_e + n_i)?,
            labels: storage("labels", batch_trials)?,
            by_logit: storage("gradient by the logits", 2 * batch_trials * n_out)?,
            logits: storage("logits", batch_trials * n_out)?,
            offsets: storage("event offsets", batch_trials + 1)?,
            events: storage("events", 2 * events)?,
            rows: storage("rows of input events", events)?,
            row_events: storage("input events by row", events)?,
            steps: UniformArray::new(gpu, "steps", &stride)?,
        };
        if stress_wanted() {
            buffers.poison(gpu)?;
        }
        Ok(buffers)
    }

    /// NaNs in everything that the kernels fill before they read it.
    fn poison(&self, gpu: &Gpu) -> Result<(), GpuError> {
        let filled = [
            &self.effective,
            &self.transposed,
            &self.gradient,
            &self.groups,
            &self.partials,
            &self.state,
            &self.spikes,
            &self.trace,
            &self.adjoints,
            &self.lambda,
            &self.counts,
            &self.totals,
            &self.by_logit,
            &self.logits,
        ];
        filled.iter().try_for_each(|buffer| gpu.poison(buffer))
    }
}

/// Binds every kernel's variables by name.
pub(super) fn bind(
    gpu: &Gpu,
    kernels: &[Option<Kernel>],
    b: &Buffers,
) -> Result<Vec<Option<Bound>>, GpuError> {
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
        Which::BackwardReadout => vec![
            ("trace", &b.trace),
            ("adjoints", &b.adjoints),
            ("by_logit", &b.by_logit),
            ("lambda", &b.lambda),
            step,
        ],
        Which::BackwardStep => vec![
            ("transposed", &b.transposed),
            ("spikes", &b.spikes),
            ("trace", &b.trace),
            ("adjoints", &b.adjoints),
            ("lambda", &b.lambda),
            ("totals", &b.totals),
            step,
        ],
        Which::GradientInputs => vec![
            ("rows", &b.rows),
            ("row_events", &b.row_events),
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
        Which::Update => vec![
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
        .zip(kernels)
        .map(|(&which, kernel)| match kernel {
            Some(kernel) => kernel.bind(gpu, &named(which)).map(Some),
            None => Ok(None),
        })
        .collect()
}
