//! Measures the engines on one device, beside the ceilings of the device, measured in the same run. What is common to
//! all families is here; each family measures its networks in its own folder.
//!
//! Everything runs on data that are part of the program, so that figures of different machines can be compared. Times
//! are medians over repetitions after a warm-up; the learning rate is zero, so that every repetition does the same work.

mod ceilings;
mod gpu_ceilings;
pub mod report;
mod spread;

use std::path::Path;
use std::time::Instant;

pub use ceilings::product_gflops;
pub use report::{About, Ceilings, StartUp, Task};
pub use spread::MedianSpread;

use crate::config::{self, ConfigError, Override, Settings};
use crate::device::DeviceOptions;
use crate::gpu::{Gpu, GpuError, Selection, select};
use crate::train::manifest::{DeviceInfo, now_utc};

/// A repetition holds as many batches as it takes to last about this long.
const REPETITION_SECONDS: f64 = 0.2;

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// When the program began, for the start-up time.
    pub started: Instant,
    /// Device, threads, memory.
    pub device: DeviceOptions,
    /// Configurations to measure: files or built-in names.
    pub networks: Vec<String>,
    /// Changes to all of them.
    pub set: Vec<Override>,
    /// All seeds, where given.
    pub seed: Option<u64>,
    /// Configurations inside the program, as (name, JSON text).
    pub builtins: &'static [(&'static str, &'static str)],
    /// Trials of a batch; none: as fits the device.
    pub batch: Option<usize>,
    /// Timed repetitions of each figure; none: five, or three with `quick`.
    pub repetitions: Option<usize>,
    /// Fewer repetitions; growth of one network only, on a processor with shorter trials.
    pub quick: bool,
    /// The command line as typed, for the report.
    pub command: Vec<String>,
}

impl BenchOptions {
    /// Timed repetitions of each figure.
    pub fn repetitions(&self) -> usize {
        let usual = if self.quick { 3 } else { 5 };
        self.repetitions.unwrap_or(usual).max(1)
    }

    /// The device.
    ///
    /// # Errors
    /// There is no such device.
    pub fn target(&self) -> Result<BenchTarget, GpuError> {
        Ok(BenchTarget {
            selection: select(self.device.device)?,
            options: self.device,
        })
    }

    /// The configuration `name` of one family, with the changes that the bench makes, then the user's.
    ///
    /// # Errors
    /// A configuration that cannot be used, or one of another family.
    pub fn config<C: Settings>(&self, name: &str, changes: &[String]) -> Result<C, ConfigError> {
        let mut set = changes
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Override>, _>>()?;
        set.extend(self.set.iter().cloned());
        let (source, text) = config::read(Path::new(name), self.builtins)?;
        config::resolve(&text, &source, &set, self.seed)
    }

    /// What the report is to say of where and with what it is made; `input` is what networks are given.
    pub fn about(&self, target: &BenchTarget, input: &'static str) -> About {
        let mut notes = Vec::new();
        if target.is_software() {
            notes.push(
                "software Vulkan: not a speed figure; networks and batches are small unless set"
                    .to_owned(),
            );
        }
        if cfg!(debug_assertions) {
            notes.push("debug build: not a speed figure; use --release".to_owned());
        }
        About {
            dalenet_version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("DALENET_COMMIT"),
            date_utc: now_utc(),
            command: self.command.clone(),
            device: DeviceInfo {
                threads: self.device.threads(),
                ..DeviceInfo::default()
            },
            software_gpu: target.is_software(),
            reason: String::new(),
            memory_limit_bytes: self.device.memory,
            quick: self.quick,
            repetitions: self.repetitions(),
            input,
            notes,
        }
    }
}

/// A device and how much of it may be used.
#[derive(Clone)]
pub struct BenchTarget {
    /// The device.
    pub selection: Selection,
    /// How much of it.
    pub options: DeviceOptions,
}

impl BenchTarget {
    /// Whether it is a GPU, if only one in software.
    pub fn is_gpu(&self) -> bool {
        matches!(self.selection, Selection::Adapter { .. })
    }

    /// Whether it is a GPU in software.
    pub fn is_software(&self) -> bool {
        match &self.selection {
            Selection::Adapter { adapter, .. } => adapter.info().kind.is_software(),
            Selection::CpuEngine { .. } => false,
        }
    }

    /// What it can do at the most.
    ///
    /// # Errors
    /// The device failed.
    pub fn ceilings(&self, repetitions: usize) -> Result<Ceilings, GpuError> {
        match &self.selection {
            Selection::CpuEngine { .. } => {
                Ok(ceilings::of_processor(self.options.threads(), repetitions))
            }
            Selection::Adapter { adapter, .. } => {
                gpu_ceilings::of_gpu(&Gpu::open(adapter)?, repetitions)
            }
        }
    }
}

/// Batches a repetition and seconds a batch, after one batch as a warm-up.
///
/// # Errors
/// What `batch` fails with.
pub fn repeat<E>(
    repetitions: usize,
    mut batch: impl FnMut() -> Result<(), E>,
) -> Result<(usize, MedianSpread), E> {
    let start = Instant::now();
    batch()?;
    let once = start.elapsed().as_secs_f64().max(1e-6);
    let batches = (REPETITION_SECONDS / once).ceil().clamp(1.0, 1000.0) as usize;
    let mut seconds = Vec::with_capacity(repetitions);
    for _ in 0..repetitions.max(1) {
        let start = Instant::now();
        for _ in 0..batches {
            batch()?;
        }
        seconds.push(start.elapsed().as_secs_f64().max(1e-9) / batches as f64);
    }
    Ok((batches, MedianSpread::of(&seconds)))
}
