//! What a dispatch is told: the host side of each kernel's `Step` uniform.

use bytemuck::{Pod, Zeroable};

use super::kernels::KernelId;

/// Words of the largest `Step`; all kernels read theirs from slots of this size.
pub(super) const STEP_WORDS: usize = 12;

/// A `Step` padded to the common size.
pub(super) type StepWords = [u32; STEP_WORDS];

/// The `Step` of one kernel.
pub(super) trait Step: Pod {
    /// The kernel.
    const KERNEL: KernelId;

    /// Padded to the common size.
    fn words(&self) -> StepWords {
        let mut words = [0; STEP_WORDS];
        let own: &[u32] = bytemuck::cast_slice(std::slice::from_ref(self));
        words[..own.len()].copy_from_slice(own);
        words
    }
}

macro_rules! step {
    ($(#[$doc:meta])* $name:ident for $kernel:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
        pub(super) struct $name {
            $(pub(super) $field: $type),*
        }

        impl Step for $name {
            const KERNEL: KernelId = KernelId::$kernel;
        }

        #[cfg(test)]
        impl $name {
            /// Name and offset of every field.
            fn fields() -> Vec<(&'static str, usize)> {
                vec![$((stringify!($field), std::mem::offset_of!($name, $field))),*]
            }
        }
    };
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
    /// One matrix of the norms.
    NormsStep for Norms {
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

step!(
    /// One matrix of the optimiser step.
    UpdateStep for Update {
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
    use crate::gpu::struct_layout;

    fn agrees<T: Step>(fields: &[(&str, usize)]) -> Result<(), String> {
        let file = T::KERNEL.file();
        let source = SHADERS
            .iter()
            .find(|(name, _)| *name == file)
            .expect("known shader")
            .1;
        // The struct stands alone: constants and imports of the shader are not needed to lay it out.
        let begin = source.find("struct Step {").expect("has a Step");
        let end = begin + source[begin..].find('}').expect("is closed") + 1;
        let layout = struct_layout(&source[begin..end], "Step").map_err(|e| e.to_string())?;
        let theirs: Vec<(&str, usize)> = layout
            .fields
            .iter()
            .map(|(name, offset, _)| (name.as_str(), *offset as usize))
            .collect();
        if theirs != fields || layout.size_bytes as usize != size_of::<T>() {
            return Err(format!("{file}: {theirs:?} but the host has {fields:?}"));
        }
        Ok(())
    }

    #[test]
    fn host_structs_lie_as_the_shaders_read_them() {
        agrees::<ForwardStep>(&ForwardStep::fields()).expect("forward");
        agrees::<BackwardStep>(&BackwardStep::fields()).expect("backward");
        agrees::<BackwardReadoutStep>(&BackwardReadoutStep::fields()).expect("read-out");
        agrees::<BackwardOneStep>(&BackwardOneStep::fields()).expect("one step");
        agrees::<LossStep>(&LossStep::fields()).expect("loss");
        agrees::<SpikeTotalsStep>(&SpikeTotalsStep::fields()).expect("totals");
        agrees::<GradientInputsStep>(&GradientInputsStep::fields()).expect("inputs");
        agrees::<GradientSpikesStep>(&GradientSpikesStep::fields()).expect("spikes");
        agrees::<SumGroupsStep>(&SumGroupsStep::fields()).expect("groups");
        agrees::<NormsStep>(&NormsStep::fields()).expect("norms");
        agrees::<UpdateStep>(&UpdateStep::fields()).expect("update");
        agrees::<EffectiveStep>(&EffectiveStep::fields()).expect("effective");
    }

    #[test]
    fn a_field_out_of_place_is_noticed() {
        let mut fields = LossStep::fields();
        fields.swap(0, 1);
        assert!(agrees::<LossStep>(&fields).is_err());
    }
}
