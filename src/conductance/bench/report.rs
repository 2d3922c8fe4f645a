//! What was found out, as it is written in JSON.

use serde::Serialize;

use crate::bench::{About, Ceilings, MedianSpread, StartUp, Task};

/// Everything that was measured in one run.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Where, when and with what.
    pub about: About,
    /// Seconds from the start of the program until the first batch was trained.
    pub start_up: StartUp,
    /// What the device can do at the most.
    pub ceilings: Ceilings,
    /// Training and inference of each network.
    pub workloads: Vec<TaskReport>,
    /// The forms of the GPU engine's backward pass against each other, on the first network with a
    /// loop; empty on the CPU.
    pub backward_forms: Vec<FormTiming>,
    /// Time as batch, steps and cells double.
    pub scaling: Vec<Scaling>,
}

/// Training with one form of the GPU engine's backward pass.
#[derive(Clone, Debug, Serialize)]
pub struct FormTiming {
    /// Name of the network's configuration.
    pub network: String,
    /// The form, as `--backward` names it.
    pub form: &'static str,
    /// Samples a second.
    pub samples_per_second: MedianSpread,
    /// Time of a batch, ms.
    pub ms_per_batch: MedianSpread,
}

/// One network at one task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    /// Name of its configuration.
    pub network: String,
    /// SHA-256 of that configuration with all overrides.
    pub config_sha256: String,
    /// The task.
    pub task: Task,
    /// Trials of a batch.
    pub batch_trials: usize,
    /// Steps of a trial.
    pub steps: usize,
    /// Input channels, E cells, I cells, classes.
    pub cells: [usize; 4],
    /// Which weights and how active they make it.
    pub state: NetworkActivity,
    /// Samples a second.
    pub samples_per_second: MedianSpread,
    /// Time of a batch, ms.
    pub ms_per_batch: MedianSpread,
    /// Batches timed as one repetition.
    pub batches_per_repetition: usize,
    /// Operations that a batch needs at the least, 10⁹.
    pub gflop_per_batch: f64,
    /// The same a second.
    pub tflops: f64,
    /// Least memory traffic a second, GB/s.
    pub gb_per_s: f64,
    /// What the ceilings would allow.
    pub limits: Limits,
    /// Stage by stage; empty where the device has no timestamps.
    pub stages: Vec<StageReport>,
    /// Memory and commands.
    pub memory: MemoryUse,
    /// The engine's plan in words.
    pub engine: String,
}

/// How active a network was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NetworkActivity {
    /// Which weights it had.
    pub weights: String,
    /// Input events of a trial.
    pub input_events_per_trial: f64,
    /// Spikes of all E cells in a step of a trial.
    pub e_spikes_per_trial_step: f64,
    /// Spikes of all I cells in a step of a trial.
    pub i_spikes_per_trial_step: f64,
    /// Mean rate of E cells, Hz.
    pub e_rate_hz: f64,
    /// Mean rate of I cells, Hz.
    pub i_rate_hz: f64,
}

/// Samples a second that the ceilings allow, and how much of it was reached.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Limits {
    /// If every stage ran at the arithmetic or the copy ceiling, whichever is slower.
    pub ceiling_samples_per_second: f64,
    /// The median as a share of that, %.
    pub of_ceiling_percent: f64,
    /// CPU engine with a loop: the rate of the loop's backward products alone, in blocks of one
    /// trial group on all threads, measured beside the workload.
    pub products: Option<ProductLimit>,
}

/// What the products of the loop allow on a processor.
#[derive(Clone, Debug, Serialize)]
pub struct ProductLimit {
    /// Their rate on all threads together, GFLOP/s.
    pub gflops: MedianSpread,
    /// Trials of a block.
    pub block_trials: usize,
    /// Operations of one trial's loop products, 10⁹.
    pub gflop_per_sample: f64,
    /// Samples a second if nothing else had to be done.
    pub allowed_samples_per_second: f64,
    /// The median as a share of that, %.
    pub reached_percent: f64,
}

/// One stage of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    /// Its name.
    pub stage: String,
    /// Time in a batch, ms.
    pub ms: f64,
    /// Share of the batch, %; none for what runs beside it or only at times.
    pub share_percent: Option<f64>,
    /// Least work a second, TFLOP/s.
    pub tflops: Option<f64>,
    /// Least memory traffic a second, GB/s.
    pub gb_per_s: Option<f64>,
    /// What the time holds.
    pub remark: &'static str,
}

/// Memory and commands of a workload, from the program's own counters.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemoryUse {
    /// Most bytes at once: of the device on a GPU, of the whole process on the CPU; none where the
    /// system does not tell.
    pub peak_bytes: Option<u64>,
    /// Kernels dispatched for a batch.
    pub dispatches_per_batch: f64,
    /// Command lists submitted for a batch.
    pub submissions_per_batch: f64,
    /// Bytes copied from the device for a batch.
    pub bytes_read_per_batch: f64,
    /// Bytes copied to the device for a batch.
    pub bytes_written_per_batch: f64,
}

/// How the time of a training batch of one network grows.
#[derive(Clone, Debug, Serialize)]
pub struct Scaling {
    /// Name of its configuration.
    pub network: String,
    /// Trials, steps, E cells, I cells at the start.
    pub base: [usize; 4],
    /// Time of a batch there, ms.
    pub base_ms: MedianSpread,
    /// What was doubled.
    pub points: Vec<ScalingPoint>,
}

/// One doubling.
#[derive(Clone, Debug, Serialize)]
pub struct ScalingPoint {
    /// `batch`, `steps` or `cells`.
    pub doubled: &'static str,
    /// Time of a batch, ms; none where it could not run.
    pub ms: Option<MedianSpread>,
    /// Over the time at the start.
    pub ratio: Option<f64>,
    /// The ratio of a linear cost (batch, steps), or of the least work (cells).
    pub ideal: Option<f64>,
    /// Why it could not run.
    pub problem: Option<String>,
}
