//! What a dispatch is told: the host side of each kernel's `Step` uniform.

use super::kernels::KernelId;
use crate::gpu::{Uniform, uniform};
use crate::optim::gpu::{ClipStep, NormsStep, UpdateStep};

/// Words of the largest `Step`; all kernels read theirs from slots of this size.
pub(super) const STEP_WORDS: usize = 16;

/// The `Step` of one kernel.
pub(super) trait Step: Uniform {
    /// The kernel.
    const KERNEL: KernelId;
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

impl Step for ClipStep {
    const KERNEL: KernelId = KernelId::Clip;
}

impl Step for UpdateStep {
    const KERNEL: KernelId = KernelId::Update;
}

step!(
    /// Steps of the forward pass.
    ForwardStep for Forward {
        first: u32,
        count: u32,
        slot_in: u32,
        slot_out: u32,
        flags: u32,
        trial_offset: u32,
        trials: u32,
        trace_first: u32,
    }
);

step!(
    /// Steps of the backward pass.
    BackwardStep for Backward {
        first: u32,
        count: u32,
        trace_first: u32,
        trials: u32,
        trial_offset: u32,
        fresh: u32,
        spikes_to_hz: f32,
        unused: u32,
    }
);

step!(
    /// Steps of the read-out's backward pass.
    BackwardReadoutStep for BackwardReadout {
        first: u32,
        count: u32,
        trace_first: u32,
        trials: u32,
        trial_offset: u32,
        fresh: u32,
        spikes_to_hz: f32,
        unused: u32,
    }
);

step!(
    /// One step of the backward pass.
    BackwardOneStep for BackwardStep {
        first: u32,
        count: u32,
        trace_first: u32,
        trials: u32,
        trial_offset: u32,
        fresh: u32,
        spikes_to_hz: f32,
        unused: u32,
    }
);

step!(
    /// Trials of the loss.
    LossStep for Loss {
        slot: u32,
        trials: u32,
        trial_offset: u32,
        batch: u32,
    }
);

step!(
    /// Trials of the spike counts.
    SpikeTotalsStep for SpikeTotals {
        slot: u32,
        trials: u32,
        trial_offset: u32,
        batch: u32,
    }
);

step!(
    /// A segment's input events.
    GradientInputsStep for GradientInputs {
        first_row: u32,
        rows: u32,
        skip: u32,
        limit: u32,
    }
);

step!(
    /// Spikes of one matrix over some steps.
    GradientSpikesStep for GradientSpikes {
        first: u32,
        count: u32,
        trace_first: u32,
        trials: u32,
        words_at: u32,
        lambda_at: u32,
        pre: u32,
        columns: u32,
        gradient_at: u32,
        delay: u32,
        factor: f32,
        unused: u32,
    }
);

step!(
    /// Groups to add up.
    SumGroupsStep for SumGroups {
        groups: u32,
        unused_a: u32,
        unused_b: u32,
        unused_c: u32,
    }
);

step!(
    /// One matrix whose effective copy is renewed.
    EffectiveStep for Effective {
        offset: u32,
        pre: u32,
        post: u32,
        clamped: u32,
        has_transposed: u32,
        transposed_at: u32,
        unused_a: u32,
        unused_b: u32,
    }
);

#[cfg(test)]
mod tests {
    use super::super::kernels::SHADERS;
    use super::*;

    fn agrees<T: Step>(fields: &[(&str, usize)]) -> Result<(), String> {
        let file = T::KERNEL.file();
        let shader = SHADERS.iter().find(|(name, _)| *name == file);
        let (_, shader) = shader.expect("known shader");
        crate::gpu::agrees::<T>(fields, shader).map_err(|error| format!("{file}: {error}"))
    }

    fn host<T: Step>() {
        agrees::<T>(&T::fields()).unwrap();
    }

    #[test]
    fn host_structs_lie_as_the_shaders_read_them() {
        host::<ForwardStep>();
        host::<BackwardStep>();
        host::<BackwardReadoutStep>();
        host::<BackwardOneStep>();
        host::<LossStep>();
        host::<SpikeTotalsStep>();
        host::<GradientInputsStep>();
        host::<GradientSpikesStep>();
        host::<SumGroupsStep>();
        host::<NormsStep>();
        host::<ClipStep>();
        host::<UpdateStep>();
        host::<EffectiveStep>();
    }

    #[test]
    fn a_field_out_of_place_is_noticed() {
        let mut fields = LossStep::fields();
        fields.swap(0, 1);
        assert!(agrees::<LossStep>(&fields).is_err());
    }
}
