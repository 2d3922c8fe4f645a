//! What every report says: where and with what it was made, and what the device can do at the most. Rates in 10⁹ (GB/s,
//! GFLOP) and 10¹² (TFLOP/s) are decimal.

use serde::Serialize;

use super::spread::MedianSpread;
use crate::text::{bytes, count, number};
use crate::train::manifest::DeviceInfo;

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

/// Where and with what the report was made: pairs of a label and a value.
pub fn facts(
    about: &About,
    start_up: &StartUp,
    ceilings: &Ceilings,
) -> Vec<(&'static str, String)> {
    let commit = about.commit.map_or_else(String::new, |c| format!(" ({c})"));
    let DeviceInfo {
        name,
        driver,
        backend,
        threads,
        backward_form: _,
    } = &about.device;
    let driver = driver
        .as_ref()
        .map_or_else(String::new, |d| format!(", {d}"));
    let threads = match &backend[..] {
        "cpu" => format!(", {}", count(*threads, "thread", "threads")),
        _ => String::new(),
    };
    let repetitions = match about.repetitions {
        1 => "one repetition".to_owned(),
        n => format!("medians of {n} repetitions"),
    };
    let mut facts = vec![
        (
            "dalenet",
            format!("{}{commit}, {}", about.dalenet_version, about.date_utc),
        ),
        ("device", format!("{name} [{backend}]{driver}{threads}")),
        ("input", about.input.to_owned()),
        ("figures", format!("{repetitions} after a warm-up")),
        (
            "start-up",
            format!(
                "engine ready after {:.2} s, first training batch done after {:.2} s",
                start_up.engine_ready_seconds, start_up.first_batch_seconds
            ),
        ),
        ("ceilings", in_words(ceilings)),
    ];
    facts.extend(about.notes.iter().map(|note| ("note", note.clone())));
    facts
}

fn in_words(c: &Ceilings) -> String {
    let fma = c.fma_tflops.map_or_else(String::new, |rate| {
        format!(", multiply-adds {} TFLOP/s", number(rate.median))
    });
    format!(
        "copy of {} at {} GB/s, matrix product of size {} at {} TFLOP/s{fma} ({})",
        bytes(c.copy_bytes),
        number(c.copy_gb_per_s.median),
        c.product_size,
        number(c.product_tflops.median),
        c.timed_by
    )
}
