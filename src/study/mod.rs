//! Studies: a base configuration, axes along which it changes, and what is reported of the runs.

pub mod spec;
