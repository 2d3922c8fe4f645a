//! Switches in the kernels' steps, which the shaders are told by name.

macro_rules! flags {
    ($(#[$doc:meta])* $module:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal),* $(,)? }) => {
        $(#[$doc])*
        pub(super) mod $module {
            $($(#[$flag_doc])* pub(in super::super) const $flag: u32 = 1 << $bit;)*

            /// Name and value of every flag, for the shaders.
            pub(in super::super) const ALL: &[(&str, u32)] = &[$((stringify!($flag), $flag)),*];
        }
    };
}

flags!(
    /// Of [`ForwardStep`](super::steps::ForwardStep).
    forward {
        /// Start from rest instead of `slot_in`.
        FRESH = 0,
        /// Take spikes from the raster instead of deciding.
        IMPOSE = 1,
        /// Take read-out resets from the raster, too.
        IMPOSE_OUT = 2,
        /// Record the trace.
        TRACE = 3,
        /// Trace voltages after integration instead of before.
        PROBE = 4,
        /// List the engine's own decisions that differ from the imposed ones.
        REPORT = 5,
    }
);

flags!(
    /// Of [`UpdateStep`](super::steps::UpdateStep).
    update {
        /// Weights are set to max(w, 0) afterwards.
        PROJECT = 0,
        /// Plain descent instead of Adam.
        DESCENT = 1,
        /// The step is taken in ln |w|.
        LOG = 2,
    }
);
