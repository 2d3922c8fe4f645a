//! What is measured on trained networks, as pure functions on spikes and weights. Nothing here reads or writes
//! files or knows a device.
//!
//! What is measured over many trials is a sum that takes one trial at a time ([`populations::Populations`],
//! [`cycles::Cycles`]), so that the spikes of all trials need never be in memory together.

pub mod cycles;
pub mod populations;
pub mod record;
pub mod weights;
