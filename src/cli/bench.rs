//! `dalenet bench`: how fast the engines are on a device, and how fast they could be.

use std::time::Instant;

use dalenet::bench::BenchOptions;
use dalenet::families;

use super::SUCCESS;
use super::arguments::{Device, Overrides, command_line};
use super::error::Result;
use super::output::{note, say_summary};

/// Measure training and inference on a device, compared with its measured ceilings
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    overrides: Overrides,
    /// Networks, all of one family: built-in names or configuration files
    #[arg(long, value_name = "NAMES", value_delimiter = ',', num_args = 1, default_values = ["ping", "coba"])]
    networks: Vec<String>,
    /// Trials of a batch [default: of conductance networks 256 on a GPU, on the CPU 32 a thread, 256 at most; else as configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Option<u32>,
    /// Timed repetitions of each figure [default: 5, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,
    /// Take about a minute: fewer repetitions, fewer sizes
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<u8> {
    let options = BenchOptions {
        started: Instant::now(),
        device: args.device.options(),
        networks: args.networks,
        set: args.overrides.set,
        seed: args.overrides.seed,
        builtins: families::BUILTINS,
        batch: args.batch.map(|n| n as usize),
        repetitions: args.repetitions.map(|n| n as usize),
        quick: args.quick,
        command: command_line(),
    };
    let summary = families::bench(&options, &mut |what| note(format!("measuring {what}")))?;
    say_summary(&summary, args.json);
    Ok(SUCCESS)
}
