//! What a run will need, derived before anything is allocated: every size, and the memory.

use memory::Memory;
use serde::Serialize;

use crate::conductance::TRIAL_GROUP;
use crate::conductance::params::Params;
use crate::conductance::settings;
use crate::device::kibibytes_of;
use crate::fault::always;
use crate::text;

mod memory;

/// The memory is too small.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("this run needs about {} of memory, but {limit_name} {}; {advice}", text::bytes(*.needed_bytes), text::bytes(*.limit_bytes))]
pub struct PlanError {
    /// Bytes needed at least.
    pub needed_bytes: u64,
    /// Bytes there are.
    pub limit_bytes: u64,
    /// Where the limit comes from.
    pub limit_name: &'static str,
    /// Which key to lower.
    pub advice: String,
}

always!(PlanError => Device);

/// How much a run has to do, besides what its network says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// Training trials of an epoch.
    pub train_trials: usize,
    /// Validation trials.
    pub validation_trials: usize,
    /// Test trials.
    pub test_trials: usize,
    /// Mean input spikes of a trial.
    pub events_per_trial: f64,
    /// Bytes of the samples.
    pub data_bytes: u64,
}

/// Where and with what a run computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resources {
    /// The engine runs on a GPU and holds trials and weights there.
    pub on_gpu: bool,
    /// Worker threads of the CPU engine.
    pub threads: usize,
    /// The user's limit, bytes.
    pub memory: Option<u64>,
    /// Memory of this machine that is free, bytes, where it is known.
    pub available: Option<u64>,
}

/// Every size of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Input channels.
    pub inputs: usize,
    /// Excitatory cells.
    pub e_cells: usize,
    /// Inhibitory cells.
    pub i_cells: usize,
    /// Classes.
    pub classes: usize,
    /// Steps of a trial.
    pub steps: usize,
    /// Duration of a trial, ms.
    pub duration_ms: f64,
    /// Stored weights.
    pub weights: u64,
    /// Trained weights.
    pub trained_weights: u64,
    /// Training trials.
    pub train_trials: usize,
    /// Validation trials.
    pub validation_trials: usize,
    /// Test trials.
    pub test_trials: usize,
    /// Trials of a batch.
    pub batch_trials: usize,
    /// Batches of an epoch, the last one maybe shorter.
    pub batches_per_epoch: usize,
    /// Epochs.
    pub epochs: u64,
    /// Groups of trials whose gradients are summed first.
    pub trial_groups: usize,
    /// Distance of the states kept for the backward pass (CPU engine).
    pub segment_steps: usize,
    /// Worker threads of the CPU engine.
    pub threads: usize,
    /// Mean input spikes of a trial.
    pub events_per_trial: f64,
    /// The evaluation trials are encoded once and kept.
    pub keeps_evaluation: bool,
    /// Estimated memory of this machine, bytes.
    pub host_bytes: u64,
    /// Least memory of the GPU, bytes; none for the CPU engine.
    pub device_bytes: Option<u64>,
    /// Free memory of this machine, bytes, where it is known.
    pub available_bytes: Option<u64>,
}

impl Plan {
    /// The plan of a run of `params`, whose initial weights `weights` describes.
    ///
    /// # Errors
    /// The memory is too small whatever the segment length.
    pub fn new(
        params: &Params,
        weights: &settings::Weights,
        work: Workload,
        resources: Resources,
    ) -> Result<Self, PlanError> {
        let training = &params.training;
        let batch = training.batch_size.min(work.train_trials).max(1);
        let memory = Memory::new(params, weights, work, resources);
        let segment_steps = memory.segment_steps(batch, limit(resources).0);
        let host_bytes = memory.host_bytes(batch, segment_steps);
        let (limit_bytes, limit_name) = limit(resources);
        if limit_bytes.is_some_and(|limit| host_bytes > limit as f64) {
            return Err(PlanError {
                needed_bytes: host_bytes as u64,
                limit_bytes: limit_bytes.unwrap_or(0),
                limit_name,
                advice: memory.advice(batch, limit_bytes),
            });
        }
        Ok(Self {
            inputs: params.n_in,
            e_cells: params.n_e(),
            i_cells: params.n_i(),
            classes: params.n_out,
            steps: params.steps,
            duration_ms: 1000.0 * params.duration_s(),
            weights: memory.entries as u64,
            trained_weights: memory.trained as u64,
            train_trials: work.train_trials,
            validation_trials: work.validation_trials,
            test_trials: work.test_trials,
            batch_trials: batch,
            batches_per_epoch: work.train_trials.div_ceil(batch),
            epochs: training.epochs,
            trial_groups: batch.div_ceil(TRIAL_GROUP),
            segment_steps,
            threads: resources.threads,
            events_per_trial: work.events_per_trial,
            keeps_evaluation: memory.kept_evaluation() > 0.0,
            host_bytes: host_bytes as u64,
            device_bytes: resources.on_gpu.then(|| memory.device_bytes(batch) as u64),
            available_bytes: resources.available,
        })
    }

    /// The plan in words: pairs of a label and a value.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let validation = match self.validation_trials {
            0 => String::new(),
            n => format!(", {n} validation"),
        };
        let memory = match (self.device_bytes, self.available_bytes) {
            (Some(device), _) => format!(
                "about {}, on the GPU at least {}",
                text::bytes(self.host_bytes),
                text::bytes(device)
            ),
            (None, Some(available)) => format!(
                "about {} of {} free",
                text::bytes(self.host_bytes),
                text::bytes(available)
            ),
            (None, None) => format!(
                "about {} (how much is free is not known on this system)",
                text::bytes(self.host_bytes)
            ),
        };
        vec![
            (
                "network",
                format!(
                    "{}, {}, {}, {}; {} weights, {} trained",
                    text::count(self.inputs, "input", "inputs"),
                    text::count(self.e_cells, "E cell", "E cells"),
                    text::count(self.i_cells, "I cell", "I cells"),
                    text::count(self.classes, "class", "classes"),
                    self.weights,
                    self.trained_weights
                ),
            ),
            (
                "trial",
                format!(
                    "{} ms in {}, about {:.0} input spikes",
                    (1e4 * self.duration_ms).round() / 1e4,
                    text::count(self.steps, "step", "steps"),
                    self.events_per_trial
                ),
            ),
            (
                "epoch",
                format!(
                    "{} in {} of {} ({} of {}){validation}, {} test",
                    text::count(self.train_trials, "trial", "trials"),
                    text::count(self.batches_per_epoch, "batch", "batches"),
                    self.batch_trials,
                    text::count(self.trial_groups, "group", "groups"),
                    TRIAL_GROUP,
                    self.test_trials
                ),
            ),
            ("memory", memory),
        ]
    }
}

/// Segment length of the CPU engine where memory does not forbid it. Short, so that the states of a
/// segment, written when it is replayed, are still in the last-level cache when the backward pass
/// reads them: at full size they take 4 MB a thread.
pub fn default_segment_steps(steps: usize) -> usize {
    8.clamp(1, steps.max(1))
}

/// Resident memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidentMemory {
    /// Most bytes at once.
    pub peak_bytes: u64,
    /// Bytes now.
    pub now_bytes: u64,
}

/// Resident memory of this process; `None` where the system does not say it in
/// `/proc/self/status`.
pub fn resident_memory() -> Option<ResidentMemory> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(ResidentMemory {
        peak_bytes: kibibytes_of(&text, "VmHWM:")?,
        now_bytes: kibibytes_of(&text, "VmRSS:")?,
    })
}

fn limit(resources: Resources) -> (Option<u64>, &'static str) {
    match (resources.memory, resources.available) {
        // On a GPU the user's limit is the budget of the device, which its engine keeps itself.
        (Some(limit), available)
            if !resources.on_gpu && available.is_none_or(|free| limit <= free) =>
        {
            (Some(limit), "--memory allows")
        }
        (_, available) => (available, "this machine has free"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::settings::Config;
    use crate::device::available_in;

    const WORK: Workload = Workload {
        train_trials: 1600,
        validation_trials: 0,
        test_trials: 400,
        events_per_trial: 520.0,
        data_bytes: 55 << 20,
    };

    fn plan(memory: Option<u64>, available: Option<u64>) -> Result<Plan, PlanError> {
        let config = Config::default();
        let resources = Resources {
            on_gpu: false,
            threads: 2,
            memory,
            available,
        };
        Plan::new(
            &Params::new(&config, 784, 10),
            &config.weights,
            WORK,
            resources,
        )
    }

    #[test]
    fn sizes_of_the_canonical_network() {
        let plan = plan(None, None).unwrap();
        assert_eq!((plan.batches_per_epoch, plan.trial_groups), (7, 16));
        assert_eq!((plan.steps, plan.segment_steps), (2000, 8));
        assert_eq!(plan.weights, 784 * 1024 + 10_240 + 2 * 262_144);
        assert_eq!(plan.trained_weights, 784 * 1024 + 10_240);
        assert!(plan.keeps_evaluation);
        let gib = plan.host_bytes as f64 / f64::from(1 << 30);
        assert!((0.3..2.0).contains(&gib), "{gib} GiB");
    }

    #[test]
    fn too_little_memory_names_the_key_to_lower() {
        let needed = plan(None, None).unwrap().host_bytes;
        // A little less: another segment length does.
        let tight = plan(Some(needed - (10 << 20)), None).unwrap();
        assert!(tight.segment_steps > 8 && tight.host_bytes < needed);
        let message = plan(Some(300 << 20), None).unwrap_err().to_string();
        assert!(
            message.contains("training.batch_size") && message.contains("--memory allows 300 MiB"),
            "{message}"
        );
        let message = plan(Some(1 << 40), Some(1 << 20)).unwrap_err().to_string();
        assert!(
            message.contains("this machine has free 1.0 MiB")
                && message.contains("program and data alone"),
            "{message}"
        );
        let message = plan(Some(100 << 20), None).unwrap_err().to_string();
        assert!(message.contains("network.n_e"), "{message}");
    }

    #[test]
    fn a_trial_that_is_too_long_is_blamed() {
        let mut config = Config::default();
        config.network.duration_ms = 1e6;
        let resources = Resources {
            on_gpu: false,
            threads: 1,
            memory: Some(200 << 20),
            available: None,
        };
        let params = Params::new(&config, 784, 10);
        let error = Plan::new(&params, &config.weights, WORK, resources).unwrap_err();
        assert!(error.advice.contains("network.duration_ms"), "{error}");
    }

    #[test]
    fn the_memory_of_this_process_is_told_on_linux() {
        let resident = resident_memory();
        assert_eq!(resident.is_some(), cfg!(target_os = "linux"));
        assert!(resident.is_none_or(|r| r.peak_bytes >= r.now_bytes && r.now_bytes > 0));
    }

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:       16 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_in(text), Some(2 << 20));
        assert_eq!(available_in("MemTotal: 1 kB"), None);
    }
}
