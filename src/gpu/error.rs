//! Everything that can go wrong on a device, as one error type.

use crate::fault::{Blame, Fault};
use thiserror::Error;

/// How to get an adapter on a machine that shows none.
const DRIVER_ADVICE: &str = "install the card vendor's driver with its Vulkan part (Linux: the \
NVIDIA driver, or `mesa-vulkan-drivers` on Debian and Ubuntu, which serves AMD and Intel cards and \
also holds the software rasteriser; Windows: a current vendor driver with Vulkan or Direct3D 12; \
macOS has Metal built in), or use --device cpu";

/// An error of the device layer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GpuError {
    /// No adapter fits the device that was asked for.
    #[error("device `{wanted}`: no such adapter; found: {found}. To get one: {DRIVER_ADVICE}")]
    NoAdapter {
        /// The device as the user wrote it.
        wanted: String,
        /// The adapters there are, or `none`.
        found: String,
    },
    /// The text names no device.
    #[error("device `{text}` is not one of auto, gpu, cpu or an adapter's number (0, 1, …)")]
    BadDeviceChoice {
        /// The text as given.
        text: String,
    },
    /// The adapter exists but its driver refused to open it.
    #[error(
        "adapter `{adapter}` could not be opened: {message}; update its driver or use --device cpu"
    )]
    OpenFailed {
        /// Name of the adapter.
        adapter: String,
        /// What the driver said.
        message: String,
    },
    /// The device has no memory left.
    #[error(
        "out of device memory at `{label}`: wanted {wanted_bytes} bytes while {allocated_bytes} \
         bytes are allocated; lower the batch size or the memory budget"
    )]
    OutOfMemory {
        /// The buffer or operation that failed.
        label: String,
        /// Bytes asked for; 0 where the failing operation is not an allocation.
        wanted_bytes: u64,
        /// Bytes this program held on the device at that moment.
        allocated_bytes: u64,
    },
    /// The device stopped working; open it anew and resume from the last checkpoint.
    #[error(
        "the device was lost ({message}); usual causes are a reset, an unplugged card or \
         a dispatch over the system's time limit. Continue with `dalenet resume RUN`; if it happens again, \
         lower training.batch_size or set --memory 256M"
    )]
    DeviceLost {
        /// What the driver said.
        message: String,
    },
    /// The graphics API refused an operation: a fault of this program.
    #[error(
        "the graphics API refused an operation, a fault of this program or of the driver; update the \
         driver or continue with --device cpu: {}",
        .0.trim_end()
    )]
    Validation(String),
    /// The graphics API or its driver failed inside.
    #[error("the graphics driver failed: {0}")]
    Driver(String),
    /// A kernel's source does not compile.
    #[error("kernel `{kernel}` does not compile at {location}: {message}")]
    ShaderCompile {
        /// Name of the kernel.
        kernel: String,
        /// `file:line` in the original file.
        location: String,
        /// What is wrong there.
        message: String,
    },
    /// A kernel wants more workgroup memory than the device has.
    #[error(
        "kernel `{kernel}` wants {wanted_bytes} bytes of workgroup memory, this device has \
         {max_bytes}: lower training.batch_size or network.n_e, or use --device cpu"
    )]
    WorkgroupMemory {
        /// Name of the kernel.
        kernel: String,
        /// Bytes of its workgroup variables.
        wanted_bytes: u64,
        /// Most bytes of this device.
        max_bytes: u32,
    },
    /// An `#import` line cannot be resolved.
    #[error("{location}: {message}")]
    Import {
        /// `file:line` of the import.
        location: String,
        /// What is wrong with it.
        message: String,
    },
    /// A generated shader constant is not expressible.
    #[error("shader constant `{name}`: {message}")]
    BadConstant {
        /// Name of the constant.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// The WGSL source has no struct of this name.
    #[error("the shader source has no struct `{name}`")]
    NoSuchStruct {
        /// The name looked for.
        name: String,
    },
    /// A variable of the kernel has no buffer.
    #[error("kernel `{kernel}`: no buffer given for its variable `{binding}`")]
    MissingBinding {
        /// Name of the kernel.
        kernel: String,
        /// Name of the variable.
        binding: String,
    },
    /// A buffer is given for a variable that the kernel does not have.
    #[error("kernel `{kernel}`: {reason} `{binding}`; its variables are {known}")]
    UnknownBinding {
        /// Name of the kernel.
        kernel: String,
        /// The name given.
        binding: String,
        /// Why it cannot be bound.
        reason: &'static str,
        /// The names there are.
        known: String,
    },
    /// A buffer is smaller than the variable it is bound to.
    #[error(
        "kernel `{kernel}`: buffer `{label}` has {bytes} bytes, variable `{binding}` needs at \
         least {needed_bytes}"
    )]
    BufferTooSmall {
        /// Name of the kernel.
        kernel: String,
        /// Name of the variable.
        binding: String,
        /// Label of the buffer.
        label: String,
        /// Size of the buffer.
        bytes: u64,
        /// Least size for the variable.
        needed_bytes: u64,
    },
    /// A buffer is larger than one binding or one buffer of this device may be.
    #[error(
        "buffer `{label}` of {wanted_bytes} bytes is over this device's limit of {max_bytes} \
         bytes for one buffer; lower training.batch_size or network.n_e, or use --device cpu"
    )]
    BufferTooLarge {
        /// Label of the buffer.
        label: String,
        /// Bytes asked for.
        wanted_bytes: u64,
        /// Most bytes allowed.
        max_bytes: u64,
    },
    /// An index or range is past the end.
    #[error("`{what}`: {index} is past its end, {count}")]
    BadIndex {
        /// What was indexed.
        what: String,
        /// The offending index or range end.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// A transfer does not start or end on a multiple of 4 bytes.
    #[error("`{label}`: transfer of bytes {start}..{end} is not aligned to 4 bytes")]
    Misaligned {
        /// Label of the buffer.
        label: String,
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
    },
    /// A dispatch or copy was given arguments that do not belong together.
    #[error("`{what}`: {message}")]
    BadCommand {
        /// The kernel or buffer.
        what: String,
        /// What is wrong.
        message: String,
    },
    /// A dispatch has more workgroups in one dimension than the device allows.
    #[error(
        "kernel `{kernel}`: a grid of {grid:?} workgroups is over the device's limit of {max} per \
         dimension: use a second dimension or several dispatches"
    )]
    TooManyWorkgroups {
        /// Name of the kernel.
        kernel: String,
        /// The grid asked for.
        grid: [u32; 3],
        /// Most workgroups per dimension.
        max: u32,
    },
    /// One command list times more passes than its query set holds.
    #[error("more than {max} timed passes in one command list: submit more often")]
    TooManySpans {
        /// Most timed passes per command list.
        max: u32,
    },
    /// The device did not finish in time.
    #[error(
        "the device did not finish within {seconds} s; lower training.batch_size, update the driver, or use --device cpu"
    )]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The failure-injection variable cannot be understood.
    #[error("{variable}=`{text}` is not lost, oom or validation, optionally with `:N`, N ≥ 1")]
    BadInjection {
        /// Name of the environment variable.
        variable: &'static str,
        /// Its value.
        text: String,
    },
}

impl Blame for GpuError {
    fn fault(&self) -> Fault {
        match self {
            Self::BadDeviceChoice { .. } | Self::BadInjection { .. } => Fault::User,
            _ => Fault::Device,
        }
    }
}
