//! The optimiser on a GPU: norms of the tensors, and their steps. Families run the same kernels,
//! `shaders/optim/norms.wgsl` and `shaders/optim/update.wgsl`.

use super::{Adam, Constraint, Optimiser, Parametrisation, Rule};
use std::ops::Range;

use crate::gpu::{Constant, flags, uniform};

/// Threads of a workgroup of the optimiser's kernels.
pub(crate) const WORKGROUP: u32 = 256;

/// Workgroups of the norms' kernel for a tensor at the most, each of which leaves one partial sum.
pub(crate) const MAX_PARTIALS: u32 = 256;

uniform!(
    /// One matrix of the norms.
    NormsStep {
        offset: u32,
        len: u32,
        clamped: u32,
        matrix: u32,
        log: u32,
        lane_stride: u32,
        lane_matrices: u32,
        unused: u32,
    }
);

uniform!(
    /// One matrix of the optimiser step.
    UpdateStep {
        offset: u32,
        len: u32,
        flags: u32,
        factor_at: u32,
        rate: f32,
        root: f32,
        beta1: f32,
        beta2: f32,
        keep1: f32,
        keep2: f32,
        epsilon: f32,
        skipped: u32,
        earlier_rate: f32,
        earlier_root: f32,
        lane_stride: u32,
        lane_factors: u32,
    }
);

uniform!(
    /// The factor of the whole gradient.
    ClipStep {
        matrices: u32,
        clip_norm: f32,
        unused_a: u32,
        unused_b: u32,
    }
);

flags!(
    /// Of [`UpdateStep`].
    update {
        /// Weights are set to max(w, 0) afterwards.
        PROJECT = 0,
        /// Plain descent instead of Adam.
        DESCENT = 1,
        /// The step is taken in ln |w|.
        LOG = 2,
        /// Weights keep their signs.
        KEEP_SIGN = 3,
    }
);

/// Numbers that the optimiser's kernels share with the host.
pub(crate) fn constants() -> Vec<(&'static str, Constant)> {
    let flags = update::ALL.iter();
    let flags = flags.map(|&(name, bit)| (name, Constant::U32(bit)));
    flags
        .chain([("MAX_PARTIALS", Constant::U32(MAX_PARTIALS))])
        .collect()
}

/// Workgroups of the norms' kernel for a tensor of `len` entries.
pub(crate) fn norm_groups(len: usize) -> usize {
    len.div_ceil(WORKGROUP as usize).min(MAX_PARTIALS as usize)
}

/// The buffer in which the norms' kernel leaves what [`squares`] reads, and its words for so many tensors.
pub(crate) fn partials(tensors: usize) -> (&'static str, Range<usize>) {
    ("partials", 0..2 * tensors * MAX_PARTIALS as usize)
}

/// Σ g² and Σ w² of tensors of these lengths, from what the norms' kernel has left.
pub(crate) fn squares(partials: &[u32], lens: &[usize]) -> Vec<[f64; 2]> {
    let of_tensor = partials.chunks_exact(2 * MAX_PARTIALS as usize).zip(lens);
    let squares = of_tensor.map(|(partials, &len)| {
        let used = partials.chunks_exact(2).take(norm_groups(len));
        let sum = |which: usize| {
            used.clone()
                .map(|p| f64::from(f32::from_bits(p[which])))
                .sum()
        };
        [sum(0), sum(1)]
    });
    squares.collect()
}

/// The buffer of clip factors, and its words for so many: steps that were skipped on the device so far, then the bits
/// of the factors.
pub(crate) fn clip_words(factors: usize) -> (&'static str, Range<usize>) {
    ("clip", 0..1 + factors)
}

/// The place of a factor among those.
pub(crate) fn factor_at(factor: usize) -> usize {
    1 + factor
}

/// Which optimiser step it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepNumber {
    /// Its number, from 1, if no step is skipped that the host does not know of yet.
    pub(crate) t: u64,
    /// Steps that the device has skipped, as far as the host knows. Of one more, the number is one less.
    pub(crate) skipped: u32,
}

/// The step of the tensor of `len` entries at `offset`, whose gradient is multiplied by factor number `factor`.
pub(crate) fn update_step(
    [offset, len]: [usize; 2],
    (rule, adam): (&Rule, &Adam),
    number: StepNumber,
    factor: usize,
    constraint: Constraint,
) -> UpdateStep {
    let (rate, root) = adam.rates(rule, number.t);
    let (earlier_rate, earlier_root) = adam.rates(rule, number.t.saturating_sub(1).max(1));
    let flag = |wanted: bool, flag: u32| if wanted { flag } else { 0 };
    UpdateStep {
        offset: offset as u32,
        len: len as u32,
        flags: flag(constraint == Constraint::NonNegative, update::PROJECT)
            | flag(constraint == Constraint::KeepSign, update::KEEP_SIGN)
            | flag(rule.optimiser == Optimiser::Sgd, update::DESCENT)
            | flag(rule.parametrisation == Parametrisation::Log, update::LOG),
        factor_at: factor_at(factor) as u32,
        rate: rate as f32,
        root: root as f32,
        beta1: adam.beta1 as f32,
        beta2: adam.beta2 as f32,
        keep1: (1.0 - adam.beta1) as f32,
        keep2: (1.0 - adam.beta2) as f32,
        epsilon: adam.epsilon as f32,
        skipped: number.skipped,
        earlier_rate: earlier_rate as f32,
        earlier_root: earlier_root as f32,
        lane_stride: 0,
        lane_factors: 0,
    }
}
