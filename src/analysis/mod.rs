//! Pure functions on arrays: rates, spectra, rhythm, weights, convergence, comparisons. Nothing here
//! reads or writes files or knows a device.
//!
//! What is measured over many trials is a sum that takes one trial at a time ([`rates::Rates`],
//! [`spectrum::Spectrum`], [`rhythm::Correlogram`], [`intervals::Intervals`], [`cycles::Cycles`]), so
//! that the spikes of all trials need never be in memory together.

pub mod compare;
pub mod convergence;
pub mod cycles;
pub mod float;
pub mod intervals;
pub mod populations;
pub mod rates;
pub mod record;
pub mod rhythm;
pub mod spectrum;
pub mod spikes;
pub mod weights;
