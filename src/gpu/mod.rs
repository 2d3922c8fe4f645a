//! The device layer: the only place that names the graphics API. It knows adapters, buffers,
//! kernels and command lists, and no model.
//!
//! The way through it: [`select`] an adapter → [`Gpu::open`] → allocate [`Buffer`]s → build a
//! [`Kernel`] from plain WGSL → [`Kernel::bind`] buffers to it by variable name, once → record
//! dispatches in [`Commands`] → submit → [`Gpu::read`]; a [`Program`] is many kernels with their buffers. Every failure of the driver (device lost,
//! out of memory, validation) comes back as a [`GpuError`].

mod adapter;
mod buffer;
mod commands;
mod counters;
mod device;
mod error;
mod faults;
mod kernel;
mod program;
mod reflect;
mod selection;
mod source;
mod stress;
pub mod testing;
mod timing;
#[cfg(test)]
pub(crate) mod translate;
mod uniform;

pub use adapter::{Adapter, AdapterInfo, AdapterKind, AdapterLimits, describe, list_adapters};
pub use buffer::{Buffer, Reading, UniformArray};
pub use commands::Commands;
pub use counters::Counters;
pub use device::Gpu;
pub use error::GpuError;
pub use faults::{Failure, INJECTION_VARIABLE};
pub use kernel::{Bound, CHECKS_VARIABLE, Kernel};
pub(crate) use program::linear_grid;
pub use program::{BufferSpec, Dispatch, KernelSource, Program};
pub use reflect::{StructLayout, struct_layout};
#[cfg(test)]
pub(crate) use reflect::{component_stores, workgroup_size};
pub use selection::{DeviceChoice, Selection, reason_for, select};
pub use source::{Constant, resolve_imports, with_constants};
pub use timing::Span;
pub use uniform::Uniform;
#[cfg(test)]
pub(crate) use uniform::agrees;
pub(crate) use uniform::{flags, uniform};
