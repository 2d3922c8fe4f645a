//! The device layer: the only place that names the graphics API. It knows adapters, buffers,
//! kernels and command lists, and no model.
//!
//! The way through it: [`select`] an adapter → [`Gpu::open`] → allocate [`Buffer`]s → build a
//! [`Kernel`] from plain WGSL → [`Kernel::bind`] buffers to it by variable name, once → record
//! dispatches in [`Commands`] → submit → [`Gpu::read`]. Every failure of the driver (device lost,
//! out of memory, validation) comes back as a [`GpuError`].

mod adapter;
mod buffer;
mod commands;
mod counters;
mod device;
mod error;
mod faults;
mod kernel;
mod reflect;
mod selection;
mod source;
mod stress;
pub mod testing;
mod timing;

pub use adapter::{Adapter, AdapterInfo, AdapterKind, AdapterLimits, describe, list_adapters};
pub use buffer::{Buffer, UniformArray};
pub use commands::Commands;
pub use counters::Counters;
pub use device::Gpu;
pub use error::GpuError;
pub use faults::{Failure, INJECTION_VARIABLE};
pub(crate) use kernel::stress_wanted;
pub use kernel::{Bound, CHECKS_VARIABLE, Kernel};
#[cfg(test)]
pub(crate) use reflect::component_stores;
pub use reflect::{StructLayout, struct_layout};
pub use selection::{DeviceChoice, Selection, reason_for, select};
pub use source::{Constant, resolve_imports, with_constants};
pub use timing::Span;
