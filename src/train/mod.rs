//! What every training run needs, whatever the model: the run folder, checkpoints, metrics,
//! progress and interruption.

pub mod checkpoint;
pub mod files;
pub mod interrupt;
pub mod manifest;
pub mod metrics;
pub mod progress;
pub mod run_folder;
pub mod utc;
