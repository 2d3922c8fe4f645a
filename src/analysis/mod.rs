//! Pure functions on arrays: rates, spectra, rhythm, convergence, comparisons. Nothing here reads or writes files
//! or knows a device.
//!
//! What is measured over many trials is a sum that takes one trial at a time ([`rates::Rates`],
//! [`spectrum::Spectrum`], [`rhythm::Correlogram`], [`intervals::Intervals`]), so that the spikes of all trials need
//! never be in memory together.

pub mod answers;
pub mod compare;
pub mod convergence;
pub mod float;
pub mod intervals;
pub mod rates;
pub mod rhythm;
pub mod spectrum;
pub mod spikes;
