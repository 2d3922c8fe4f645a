//! Switches in the kernels' steps, which the shaders are told by name.

use crate::gpu::flags;

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
