//! `dalenet resume`: a run goes on where it stopped.

use std::path::PathBuf;

use dalenet::families::{self, Experiment};
use dalenet::text;
use dalenet::train::interrupt::Interrupt;
use dalenet::train::manifest::Status;
use dalenet::train::stored::WhichCheckpoint;

use super::SUCCESS;
use super::arguments::{Device, LogFormat};
use super::error::{Result, UsageError};
use super::output::note;
use super::train::finish;

/// Continue a run exactly from its last checkpoint
///
/// The result is the same as without the stop, on the same kind of device bit for bit. The data may have moved, but must
/// not have changed.
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Train to this many epochs altogether instead of the configured number
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Where the data is now
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
    /// Output: human or json
    #[arg(long, value_enum, default_value = "human")]
    log: LogFormat,
}

pub fn run(args: Args) -> Result<u8> {
    let mut run = families::open(&args.run)?;
    let done = run.checkpoint(WhichCheckpoint::Last)?.content.progress;
    let config = &mut run.config;
    let mut notes = Vec::new();
    if let Some(epochs) = args.epochs {
        let least = done.epochs_done + u64::from(done.batches_done_in_epoch > 0);
        if epochs < least {
            return Err(UsageError(format!(
                "--epochs {epochs}: the run has trained {least} already, one begun counted; give {least} or more"
            ))
            .into());
        }
        if epochs != config.epochs() {
            notes.push(format!(
                "training.epochs is {epochs} instead of {}",
                config.epochs()
            ));
        }
        config.set_epochs(epochs);
    }
    if let Some(place) = &args.data {
        notes.push(format!("data in {}", place.display()));
    }
    let is_finished = matches!(&run.manifest, Ok(m) if m.status == Status::Finished);
    if is_finished && done.epochs_done >= config.epochs() {
        note(format!(
            "{} has trained all of its {}; to train longer, give --epochs with a larger number",
            args.run.display(),
            text::count(done.epochs_done as usize, "epoch", "epochs")
        ));
        return Ok(SUCCESS);
    }
    let experiment = Experiment::of_run(&run, args.data.as_deref(), args.device.options())?;
    let interrupt = Interrupt::install()?;
    let run = experiment.resume(&args.run, &notes.join("; "))?;
    for line in notes {
        note(format!("note: {line}"));
    }
    finish(&experiment, run, args.log.into(), &interrupt, None)
}
