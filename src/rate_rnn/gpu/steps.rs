//! What a dispatch is told: the host side of each kernel's `Step` uniform.

use super::kernels::KernelId;
use crate::gpu::{Uniform, uniform};
use crate::optim::gpu::{NormsStep, UpdateStep};

/// Words of the largest `Step`; all kernels read theirs from slots of this size.
pub(super) const STEP_WORDS: usize = 16;

/// One dispatch of a kernel of this family.
pub(super) type KernelDispatch = crate::gpu::Dispatch<STEP_WORDS>;

/// The `Step` of one kernel.
pub(super) trait Step: Uniform {
    /// The kernel.
    const KERNEL: KernelId;
}

/// A dispatch of the kernel that `step` is for.
pub(super) fn dispatch<S: Step>(stage: &'static str, grid: [usize; 3], step: S) -> KernelDispatch {
    KernelDispatch {
        stage,
        kernel: S::KERNEL as usize,
        grid: grid.map(|n| n as u32),
        uniform: step.words(),
    }
}

macro_rules! step {
    ($(#[$doc:meta])* $name:ident for $kernel:ident $fields:tt) => {
        uniform!($(#[$doc])* $name $fields);

        impl Step for $name {
            const KERNEL: KernelId = KernelId::$kernel;
        }
    };
}

impl Step for NormsStep {
    const KERNEL: KernelId = KernelId::Norms;
}

impl Step for UpdateStep {
    const KERNEL: KernelId = KernelId::Update;
}

step!(
    /// One link.
    EffectiveStep for Effective {
        is_dann: u32,
        post: u32,
        pre: u32,
        inhibitory: u32,
        at: u32,
        w_at: u32,
        ix_at: u32,
        ei_at: u32,
        stored_stride: u32,
        effective_stride: u32,
        unused_a: u32,
        unused_b: u32,
    }
);

step!(
    /// Steps of one layer.
    ForwardStep for Forward {
        first: u32,
        count: u32,
        trials: u32,
        units: u32,
        below: u32,
        below_is_x: u32,
        below_at: u32,
        own_at: u32,
        input_at: u32,
        recurrent_at: u32,
        bias_at: u32,
        below_stride: u32,
        own_stride: u32,
        effective_stride: u32,
        stored_stride: u32,
        unused: u32,
    }
);

step!(
    /// Rows of outputs.
    OutputsStep for Outputs {
        first_row: u32,
        rows: u32,
        units: u32,
        n_out: u32,
        h_at: u32,
        weights_at: u32,
        bias_at: u32,
        outputs_at: u32,
        h_stride: u32,
        effective_stride: u32,
        stored_stride: u32,
        outputs_stride: u32,
    }
);

step!(
    /// Rows with targets.
    LossStep for Loss {
        first_row: u32,
        rows: u32,
        n_out: u32,
        has_classes: u32,
        factor: f32,
        outputs_at: u32,
        targets_at: u32,
        losses_at: u32,
        outputs_stride: u32,
        targets_stride: u32,
        losses_stride: u32,
        unused: u32,
    }
);

step!(
    /// Steps of one layer, backwards.
    BackwardStep for Backward {
        end: u32,
        count: u32,
        steps: u32,
        trials: u32,
        units: u32,
        own_at: u32,
        recurrent_at: u32,
        above: u32,
        above_is_output: u32,
        above_at: u32,
        above_first: u32,
        matrix_at: u32,
        own_stride: u32,
        above_stride: u32,
        effective_stride: u32,
        unused: u32,
    }
);

step!(
    /// One effective matrix.
    GradientsStep for Gradients {
        post: u32,
        pre: u32,
        trials: u32,
        steps: u32,
        left_first: u32,
        left_is_output: u32,
        left_at: u32,
        right_first: u32,
        right_is_x: u32,
        right_at: u32,
        to_at: u32,
        first: u32,
        count: u32,
        left_stride: u32,
        right_stride: u32,
        to_stride: u32,
    }
);

step!(
    /// The biases of one layer.
    BiasGradientStep for BiasGradient {
        units: u32,
        trials: u32,
        steps: u32,
        left_first: u32,
        left_is_output: u32,
        left_at: u32,
        to_at: u32,
        first: u32,
        count: u32,
        left_stride: u32,
        to_stride: u32,
        unused: u32,
    }
);

step!(
    /// One stored tensor.
    ChainStep for Chain {
        part: u32,
        post: u32,
        pre: u32,
        inhibitory: u32,
        from_at: u32,
        to_at: u32,
        other_at: u32,
        from_stride: u32,
        stored_stride: u32,
        unused_a: u32,
        unused_b: u32,
        unused_c: u32,
    }
);

#[cfg(test)]
mod tests {
    use super::super::kernels::SHADERS;
    use super::*;

    fn host<T: Step>() {
        let file = T::KERNEL.file();
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
        host::<EffectiveStep>();
        host::<ForwardStep>();
        host::<OutputsStep>();
        host::<LossStep>();
        host::<BackwardStep>();
        host::<GradientsStep>();
        host::<BiasGradientStep>();
        host::<ChainStep>();
        host::<NormsStep>();
        host::<UpdateStep>();
    }
}
