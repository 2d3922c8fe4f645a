//! `dalenet resume`: a run goes on where it stopped.

use std::path::PathBuf;

use anyhow::Result;
use dalenet::experiment::Experiment;
use dalenet::train::checkpoint::{Checkpoint, NonFinite};
use dalenet::train::interrupt::Interrupt;
use dalenet::train::manifest::{Manifest, Status};
use dalenet::train::run_folder::RunFiles;

use super::SUCCESS;
use super::arguments::{Device, LogFormat};
use super::failure::WrongUse;
use super::output::note;
use super::stored::{data_place, run_config};
use super::train::finish;

/// Go on with a run from its last checkpoint, exactly
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
    let mut config = run_config(&args.run)?;
    let last = RunFiles::at(&args.run).last();
    let done = Checkpoint::load(&last, NonFinite::Refuse)?.progress;
    let mut notes = Vec::new();
    if let Some(epochs) = args.epochs {
        let least = done.epochs_done + u64::from(done.batches_done_in_epoch > 0);
        if epochs < least {
            return Err(WrongUse(format!(
                "--epochs {epochs}: the run has already gone {least}; give a larger number"
            ))
            .into());
        }
        if epochs != config.training.epochs {
            notes.push(format!(
                "{epochs} epochs instead of {}",
                config.training.epochs
            ));
        }
        config.training.epochs = epochs;
    }
    if let Some(place) = &args.data {
        notes.push(format!("data in {}", place.display()));
    }
    let status = Manifest::load(&RunFiles::at(&args.run).manifest())?.status;
    if status == Status::Finished && done.epochs_done >= config.training.epochs {
        note(format!(
            "{} has done all of its {} epochs; train longer with --epochs N",
            args.run.display(),
            done.epochs_done
        ));
        return Ok(SUCCESS);
    }
    let data = data_place(&args.run, args.data);
    let experiment = Experiment::prepare(config, data.as_deref(), args.device.options())?;
    let interrupt = Interrupt::install()?;
    let run = experiment.resume(&args.run, &notes.join("; "))?;
    for line in notes {
        note(format!("note: {line}"));
    }
    finish(&experiment, run, args.log.into(), &interrupt)
}
