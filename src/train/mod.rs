//! Training, whatever the model: the epoch loop, the run folder, checkpoints, metrics, progress and
//! interruption.

pub mod checkpoint;
pub mod epochs;
pub mod experiment;
pub mod findings;
pub mod interrupt;
pub mod lanes;
pub mod manifest;
pub mod metrics;
pub mod model;
pub mod origin;
pub mod progress;
pub mod run;
pub mod run_folder;
pub mod session;
pub mod spectra;
pub mod steps;
pub mod stored;
pub mod sums;
