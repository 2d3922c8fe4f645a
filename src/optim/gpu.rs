//! The optimiser on a GPU: norms of the tensors, and their steps. Families run the same kernels,
//! `shaders/optim/norms.wgsl` and `shaders/optim/update.wgsl`.

use super::{Adam, Optimiser, Parametrisation, Rule};
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
        unused_a: u32,
        unused_b: u32,
        unused_c: u32,
    }
);

uniform!(
    /// One matrix of the optimiser step.
    UpdateStep {
        offset: u32,
        len: u32,
        flags: u32,
        clip_factor: f32,
        rate: f32,
        root: f32,
        beta1: f32,
        beta2: f32,
        keep1: f32,
        keep2: f32,
        epsilon: f32,
        unused: u32,
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

/// Step `t`, from 1, of the tensor of `len` entries at `offset`, whose gradient is multiplied by `factor`.
pub(crate) fn update_step(
    [offset, len]: [usize; 2],
    (rule, adam): (&Rule, &Adam),
    t: u64,
    factor: f64,
    projected: bool,
) -> UpdateStep {
    let (rate, root) = adam.rates(rule, t);
    let flag = |wanted: bool, flag: u32| if wanted { flag } else { 0 };
    UpdateStep {
        offset: offset as u32,
        len: len as u32,
        flags: flag(projected, update::PROJECT)
            | flag(rule.optimiser == Optimiser::Sgd, update::DESCENT)
            | flag(rule.parametrisation == Parametrisation::Log, update::LOG),
        clip_factor: factor as f32,
        rate: rate as f32,
        root: root as f32,
        beta1: adam.beta1 as f32,
        beta2: adam.beta2 as f32,
        keep1: (1.0 - adam.beta1) as f32,
        keep2: (1.0 - adam.beta2) as f32,
        epsilon: adam.epsilon as f32,
        unused: 0,
    }
}
