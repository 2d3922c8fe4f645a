//! What `dalenet bench` found out, as it is written in JSON. Rates in 10⁹ (GB/s, GFLOP) and 10¹²
//! (TFLOP/s) are decimal.

use serde::Serialize;

use super::spread::MedianSpread;
use crate::train::manifest::DeviceInfo;

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

/// Where, when and with what a report was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// Version of the program.
    pub dalenet_version: &'static str,
    /// Commit it was built from, where known.
    pub commit: Option<&'static str>,
    /// When the run began, UTC.
    pub date_utc: String,
    /// The command line as typed.
    pub command: Vec<String>,
    /// What computed.
    #[serde(flatten)]
    pub device: DeviceInfo,
    /// The device is a rasteriser on the processor: no figure says anything of a GPU.
    pub software_gpu: bool,
    /// Why this device.
    pub reason: String,
    /// The user's memory limit, bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Fewer repetitions, shorter trials where time doubles.
    pub quick: bool,
    /// Timed repetitions of each figure.
    pub repetitions: usize,
    /// What the networks are given.
    pub input: &'static str,
    /// What is unusual about this run.
    pub notes: Vec<String>,
}

/// The way to the first batch.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StartUp {
    /// Device opened, kernels built, weights there.
    pub engine_ready_seconds: f64,
    /// First training batch done.
    pub first_batch_seconds: f64,
}

/// The most a device can do, measured in the same run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ceilings {
    /// Bytes of the array that was copied.
    pub copy_bytes: u64,
    /// Bytes read and written a second in that copy, GB/s.
    pub copy_gb_per_s: MedianSpread,
    /// Rows and columns of the matrices that were multiplied.
    pub product_size: usize,
    /// Rate of a large float32 product, TFLOP/s; on the CPU one product a thread.
    pub product_tflops: MedianSpread,
    /// Rate of independent fused multiply-adds, TFLOP/s; only on a GPU.
    pub fma_tflops: Option<MedianSpread>,
    /// How they were timed.
    pub timed_by: &'static str,
}

impl Ceilings {
    /// The best arithmetic rate seen, TFLOP/s.
    pub fn arithmetic_tflops(&self) -> f64 {
        let fma = self.fma_tflops.map_or(0.0, |rate| rate.median);
        self.product_tflops.median.max(fma)
    }
}

/// What a network was made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Gradient and optimiser step.
    Training,
    /// Forward pass.
    Inference,
}

impl Task {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Inference => "inference",
        }
    }
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
