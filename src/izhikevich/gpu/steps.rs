//! What a dispatch is told: the host side of each kernel's `Step` uniform.

use super::kernels::KernelId;
use crate::gpu::{Uniform, uniform};

/// Words of the largest `Step`; all kernels read theirs from slots of this size.
pub(super) const STEP_WORDS: usize = 8;

/// One dispatch of a kernel of this family.
pub(super) type KernelDispatch = crate::gpu::Dispatch<STEP_WORDS>;

/// A dispatch of one workgroup for each trial or lane.
pub(super) fn dispatch(
    stage: &'static str,
    kernel: KernelId,
    workgroups: usize,
    step: &impl Uniform,
) -> KernelDispatch {
    KernelDispatch {
        stage,
        kernel: kernel as usize,
        grid: [workgroups as u32, 1, 1],
        uniform: step.words(),
    }
}

uniform!(
    /// Some steps of trials.
    TrialStep {
        first: u32,
        count: u32,
        steps: u32,
        trial: u32,
        records: u32,
        unused_a: u32,
        unused_b: u32,
        unused_c: u32,
    }
);

uniform!(
    /// One trial of every lane.
    LearnStep {
        trial: u32,
        steps: u32,
        unused_a: u32,
        unused_b: u32,
    }
);

#[cfg(test)]
mod tests {
    use super::super::kernels::SHADERS;
    use super::*;

    fn host<T: Uniform>(kernel: KernelId) {
        let file = kernel.file();
        let (_, shader) = SHADERS
            .iter()
            .find(|(name, _)| *name == file)
            .expect("known");
        let agree = crate::gpu::agrees::<T>(&T::fields(), shader);
        agree.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(size_of::<T>() <= 4 * STEP_WORDS, "{file}");
    }

    #[test]
    fn host_structs_lie_as_the_shaders_read_them() {
        host::<TrialStep>(KernelId::Trial);
        host::<LearnStep>(KernelId::Learn);
    }
}
