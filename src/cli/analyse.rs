//! `dalenet analyse`: a trained network measured on all test trials.

use std::path::PathBuf;

use dalenet::conductance;
use dalenet::families::{self, AnalyseOptions};
use dalenet::train::stored::WhichCheckpoint;

use super::SUCCESS;
use super::arguments::Device;
use super::error::Result;
use super::output::{note, say, say_summary};

/// Analyse a trained network: answers, weights, and what its family has more; writes analysis.json
///
/// Runs all test trials. Of conductance networks: rhythm, firing rates, weights and the E–I loop; of rate RNNs: the
/// spectra of the weights. The outcome for the last checkpoint becomes `analysis.json` in the run folder, as at the end
/// of training; that for another checkpoint is only printed. With --spikes, spikes of any simulator are analysed
/// instead: rates, rhythm and spikes by cycle only.
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    #[arg(required_unless_present = "spikes")]
    run: Option<PathBuf>,
    /// Analyse recorded spikes (.npz as `dalenet eval --record` writes it) instead of a run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "checkpoint", "data"])]
    spikes: Option<PathBuf>,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: WhichCheckpoint,
    /// Folder of MNIST, or where the configured data file is now
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    of_family: AnalyseOptions,
    #[command(flatten)]
    device: Device,
}

pub fn run(args: Args) -> Result<u8> {
    if let Some(file) = &args.spikes {
        let summary = conductance::analyse::of_spikes(file, &args.of_family.conductance)?;
        say_summary(&summary, args.json);
        return Ok(SUCCESS);
    }
    // The parser asks for one of the two.
    let run = families::open(&args.run.unwrap_or_default())?;
    let written = run.files.analysis();
    let (data, device) = (args.data.as_deref(), args.device.options());
    let mut note = |text| note(text);
    let summary = families::analyse(
        run,
        args.checkpoint,
        data,
        device,
        &args.of_family,
        &mut note,
    )?;
    say_summary(&summary, args.json);
    if args.checkpoint == WhichCheckpoint::Last && !args.json {
        say(format!("\nwritten to {}", written.display()));
    }
    Ok(SUCCESS)
}
