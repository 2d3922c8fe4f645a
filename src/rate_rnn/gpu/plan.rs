//! How batches go through the device: trials at a time, and steps in a dispatch.

use super::kernels::{TRIALS, WORKGROUP};
use crate::gpu::AdapterLimits;
use crate::optim::gpu::MAX_PARTIALS;
use crate::rate_rnn::TRIAL_GROUP;
use crate::rate_rnn::engine::EngineError;
use crate::rate_rnn::params::Params;
use crate::rate_rnn::weights::Layout;
use crate::text::count;

/// Device memory a run takes unless told otherwise, bytes.
pub const DEFAULT_BUDGET_BYTES: u64 = 1 << 30;

/// Products of one invocation in a dispatch at the most: well below what a system's watchdog allows.
const MOST_PRODUCTS: usize = 1 << 24;

/// The same on a software driver, which ends long loops.
const MOST_PRODUCTS_SOFTWARE: usize = 1 << 15;

/// Words of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// Entries of h, and of δ.
    pub(super) h: usize,
    /// Inputs.
    pub(super) x: usize,
    /// Outputs, and derivatives by them.
    pub(super) outputs: usize,
    /// Targets.
    pub(super) targets: usize,
    /// Losses.
    pub(super) losses: usize,
}

impl Words {
    /// Of `trials` trials of `steps` steps.
    pub(super) fn of(params: &Params, steps: usize, trials: usize) -> Self {
        let rows = steps * trials;
        let units: usize = params.layers.iter().sum();
        let scored = if params.loss.is_of_every_step() {
            rows
        } else {
            trials
        };
        let a_target = if params.loss.has_classes() {
            1
        } else {
            params.n_out
        };
        Self {
            h: rows * units,
            x: rows * params.n_in,
            outputs: rows * params.n_out,
            targets: scored * a_target,
            losses: 2 * scored,
        }
    }

    fn sum(&self) -> usize {
        2 * self.h + self.x + 2 * self.outputs + self.targets + self.losses
    }

    fn largest(&self) -> usize {
        self.h.max(self.x).max(self.outputs)
    }
}

/// Words of the weights and all that is as large.
pub(super) fn fixed_words(layout: &Layout) -> usize {
    let partials = 2 * layout.tensors.len() * MAX_PARTIALS as usize;
    4 * layout.len + 2 * layout.effective_len + by_effective_words(layout) + partials
}

/// Bytes that so many networks may take where nobody says how many: more than [`DEFAULT_BUDGET_BYTES`] where they need
/// it for a group of trials each.
pub(super) fn default_budget(params: &Params, layout: &Layout, steps: usize, lanes: usize) -> u64 {
    let of_a_lane = fixed_words(layout) + Words::of(params, steps, TRIAL_GROUP).sum();
    DEFAULT_BUDGET_BYTES.max(4 * (lanes * of_a_lane) as u64)
}

/// Words of the gradient by effective matrices, then biases.
pub(super) fn by_effective_words(layout: &Layout) -> usize {
    let biases = layout.tensors.iter().filter(|t| t.shape.len() == 1);
    layout.effective_len + biases.map(|t| t.len()).sum::<usize>()
}

/// Trials of each of `lanes` networks on the device at a time: whole groups, as many as fit into `budget` bytes.
///
/// # Errors
/// Not even one group fits.
pub(super) fn chunk_trials(
    params: &Params,
    layout: &Layout,
    [steps, trials]: [usize; 2],
    lanes: usize,
    budget: u64,
    limits: &AdapterLimits,
) -> Result<usize, EngineError> {
    let group = Words::of(params, steps, TRIAL_GROUP);
    let fixed = 4 * fixed_words(layout) as u64;
    let lanes = lanes as u64;
    let budget = budget / lanes;
    let binding = limits.storage_binding_bytes.min(limits.buffer_bytes) / lanes;
    let largest_fixed = 4 * layout.len.max(layout.effective_len) as u64;
    let by_budget = budget.saturating_sub(fixed) / (4 * group.sum().max(1)) as u64;
    let by_binding = binding / (4 * group.largest().max(1)) as u64;
    let groups = match largest_fixed > binding {
        true => 0,
        false => by_budget.min(by_binding) as usize,
    };
    if groups == 0 {
        let needed = fixed + 4 * group.sum() as u64;
        return Err(EngineError::Memory(format!(
            "this network needs {needed} bytes of device memory for {}, of which {budget} may be used and {binding} \
             be in one buffer; allow more with --memory, make trials shorter{}, or use --device cpu",
            count(TRIAL_GROUP, "trial", "trials"),
            if lanes > 1 { ", lower --lanes" } else { "" }
        )));
    }
    Ok(trials.min(groups * TRIAL_GROUP))
}

/// Steps of a dispatch of a recurrent kernel whose sums go over `terms` units.
pub(super) fn steps_of_a_dispatch(terms: usize, units: usize, is_software: bool) -> usize {
    let of_a_step = terms * TRIALS * units.div_ceil(WORKGROUP as usize);
    (most_products(is_software) / of_a_step.max(1)).max(1)
}

/// Rows of a dispatch of a gradient kernel.
pub(super) fn rows_of_a_dispatch(is_software: bool) -> usize {
    most_products(is_software)
}

fn most_products(is_software: bool) -> usize {
    match is_software {
        true => MOST_PRODUCTS_SOFTWARE,
        false => MOST_PRODUCTS,
    }
}
