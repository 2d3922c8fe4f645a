//! Pure functions on arrays: rates, spectra, rhythm, weights, convergence, comparisons. Nothing here
//! reads or writes files or knows a device.

pub mod float;
pub mod record;
