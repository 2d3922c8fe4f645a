//! `dalenet train`: a configuration becomes a run.

use std::path::PathBuf;

use dalenet::config::Override;
use dalenet::families::{Experiment, Run};
use dalenet::report;
use dalenet::train::epochs::Outcome;
use dalenet::train::interrupt::Interrupt;
use dalenet::train::progress::Log;
use dalenet::train::run_folder::default_run_path;
use jiff::Timestamp;

use super::SUCCESS;
use super::arguments::{Device, LogFormat, Overrides, command_line, runs_folder};
use super::error::{FAILED, Result};
use super::output::{note, say, say_facts};
use super::weights::read_weights_file;

/// Train a network and keep everything in a run folder
#[derive(clap::Args)]
pub struct Args {
    /// Configuration file, or the name of a built-in one (`dalenet config --list`): quickstart, rnn_quickstart, ping, ...
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Passes over the training samples, as --set training.epochs=N
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Run folder (default: runs/NAME-DATE-TIME)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite a run that is in the folder
    #[arg(long)]
    force: bool,
    /// Folder of MNIST, or where the configured data file is
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Begin with the weights of this file (.safetensors or .npz)
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
    /// Output: human or json
    #[arg(long, value_enum, default_value = "human")]
    log: LogFormat,
    /// Check everything, print the plan, and stop
    #[arg(long)]
    dry_run: bool,
}

pub fn run(mut args: Args) -> Result<u8> {
    args.overrides
        .set
        .extend(args.epochs.map(|epochs| Override {
            path: "training.epochs".into(),
            value: epochs.to_string(),
        }));
    let config = args.overrides.load(&args.config)?;
    let experiment = Experiment::prepare(config, args.data.as_deref(), args.device.options())?;
    for warning in experiment.warnings() {
        note(format!("warning: {warning}"));
    }
    let log = Log::from(args.log);
    if args.dry_run {
        match log {
            Log::Json => say(experiment.as_json()),
            Log::Human => {
                let mut facts = experiment.facts();
                facts.extend(experiment.device_plan()?.map(|plan| ("gpu", plan)));
                say_facts(&facts);
            }
        }
        return Ok(SUCCESS);
    }
    let (weights, notes) = match &args.weights {
        Some(file) => {
            let weights = read_weights_file(&experiment, file)?;
            (
                Some(weights),
                vec![format!("weights from {}", file.display())],
            )
        }
        None => (None, Vec::new()),
    };
    let folder = match args.out {
        Some(folder) => folder,
        None => default_run_path(&runs_folder(), experiment.name(), Timestamp::now())?,
    };
    let interrupt = Interrupt::install()?;
    let run = experiment.start(&folder, args.force, weights.as_ref(), command_line(), notes)?;
    finish(&experiment, run, log, &interrupt, None)
}

/// Trains a run that is started or resumed, and shows how it goes; events name `cell`.
pub fn finish(
    experiment: &Experiment,
    mut run: Run<'_>,
    log: Log,
    interrupt: &Interrupt,
    cell: Option<usize>,
) -> Result<u8> {
    let mut facts = experiment.facts();
    facts.push(("device", run.device().to_owned()));
    facts.push(("folder", run.folder().display().to_string()));
    let mut reporter = run.reporter(log).of_cell(cell);
    reporter.start(&facts);
    let outcome = run.train(&mut reporter, interrupt)?;
    if !matches!(outcome, Outcome::Interrupted { .. }) {
        // The run is safe in its folder; a page that cannot be made must not fail it.
        match report::write(run.folder(), run.folder()) {
            Ok(written) => reporter.page(&written.page),
            Err(error) => note(format!(
                "warning: no report ({error}); try `dalenet report {}`",
                run.folder().display()
            )),
        }
    }
    Ok(match outcome {
        Outcome::Finished => SUCCESS,
        Outcome::Diverged => FAILED,
        Outcome::Interrupted { exit_code } => u8::try_from(exit_code).unwrap_or(u8::MAX),
    })
}
