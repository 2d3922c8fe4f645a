//! Options that several subcommands share, as typed and as checked.

use std::path::{Path, PathBuf};

use dalenet::config::{ConfigError, Override};
use dalenet::device::BackwardChoice;
use dalenet::device::DeviceOptions;
use dalenet::families::{self, Config};
use dalenet::gpu::DeviceChoice;
use dalenet::train::progress::Log;

/// Where to compute.
#[derive(clap::Args, Clone)]
pub struct Device {
    /// Device: auto, gpu, cpu, or an adapter's number from `dalenet info`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Worker threads of the CPU engine (0: all cores); does not affect results
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    pub threads: usize,
    /// Maximum memory, for example 512M or 2G; does not affect results
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub memory: Option<u64>,
    /// Backward pass of the GPU engine: auto (the fastest, timed with the first batch and remembered), persistent (many
    /// time steps in a dispatch; persistent-4 with at most 4 trials a workgroup), or per-step (a dispatch for each time
    /// step; per-step-8x4 and per-step-8x8 with more sums a thread)
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub backward: BackwardChoice,
}

impl Device {
    /// The options of an engine.
    pub fn options(&self) -> DeviceOptions {
        DeviceOptions {
            device: self.device,
            threads: self.threads,
            memory: self.memory,
            segment_steps: None,
            backward: self.backward,
        }
    }
}

/// A configuration and changes to it.
#[derive(clap::Args)]
pub struct Overrides {
    /// Set a key, for example network.tau_gaba_ms=6; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Set all four seeds (weights, data, shuffle, noise)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl Overrides {
    /// The checked configuration of a file or built-in name.
    pub fn load(&self, file: &Path) -> Result<Config, ConfigError> {
        families::load(Some(file), &self.set, self.seed)
    }
}

/// For whom progress is written.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum LogFormat {
    /// For a person
    Human,
    /// JSON, an object a line
    Json,
}

impl From<LogFormat> for Log {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Human => Self::Human,
            LogFormat::Json => Self::Json,
        }
    }
}

/// The command line as typed, for the manifest.
pub fn command_line() -> Vec<String> {
    let words = std::env::args_os();
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Folder in which runs without a name of their own are made.
pub fn runs_folder() -> PathBuf {
    PathBuf::from("runs")
}

/// A number of worker threads; more than any processor has would only take time to start.
pub fn parse_threads(text: &str) -> Result<usize, String> {
    const MOST: usize = 1024;
    match text.parse() {
        Ok(threads) if threads <= MOST => Ok(threads),
        _ => Err(format!("give a whole number from 0 to {MOST}")),
    }
}

/// A number of bytes: digits, a decimal point, and K, M, G or T (powers of 1024).
fn parse_bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no size; write it as e.g. 512M or 2G");
    let upper = text.trim().to_ascii_uppercase();
    let plain = upper.strip_suffix("IB").or(upper.strip_suffix('B'));
    let plain = plain.unwrap_or(&upper).trim();
    let (digits, shift) = match plain.chars().last() {
        Some('K') => (&plain[..plain.len() - 1], 10),
        Some('M') => (&plain[..plain.len() - 1], 20),
        Some('G') => (&plain[..plain.len() - 1], 30),
        Some('T') => (&plain[..plain.len() - 1], 40),
        _ => (plain, 0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| bad())?;
    let bytes = number * (1u64 << shift) as f64;
    if (1.0..9e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_bytes, parse_threads};

    #[test]
    fn threads_stay_within_what_a_machine_can_start() {
        assert_eq!(parse_threads("0"), Ok(0));
        assert_eq!(parse_threads("1024"), Ok(1024));
        for text in ["1025", "-1", "two", "99999999999999999999999"] {
            assert!(parse_threads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_every_usual_spelling() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("100kb", 100 << 10),
            ("4096", 4096),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "0", "-1G", "1e30", "nan", "12 apples"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
