//! `dalenet eval`: what a trained network does on the test samples of its run.

use std::path::PathBuf;

use dalenet::families::{self, EvaluateOptions};
use dalenet::train::stored::WhichCheckpoint;

use super::SUCCESS;
use super::arguments::Device;
use super::error::Result;
use super::output::{note, say, say_summary};

/// Measure a trained network on the test samples of its run
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: WhichCheckpoint,
    #[command(flatten)]
    of_family: EvaluateOptions,
    /// Folder of MNIST, or where the configured data file is now
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: Device,
}

pub fn run(args: Args) -> Result<u8> {
    let run = families::open(&args.run)?;
    let (data, device) = (args.data.as_deref(), args.device.options());
    let mut note = |text| note(text);
    let (summary, recorded) = families::evaluate(
        run,
        args.checkpoint,
        data,
        device,
        &args.of_family,
        &mut note,
    )?;
    say_summary(&summary, args.json);
    // After the report, which must not be lost where the file cannot be written.
    if let Some(recorded) = recorded?
        && !args.json
    {
        say(format!("\n{recorded}"));
    }
    Ok(SUCCESS)
}
