//! `dalenet spectra`: singular values and eigenvalues of stored matrices.

use std::path::{Path, PathBuf};

use dalenet::device::DeviceOptions;
use dalenet::families::{self, Config, Experiment};
use dalenet::gpu::DeviceChoice;
use dalenet::record::RunRecord;
use dalenet::report::spectra::{Subject, Told, told};
use dalenet::train::run_folder::{RunFolder, RunFolderError};
use dalenet::train::spectra::{SpectraAt, of_tensors, write};

use super::SUCCESS;
use super::error::{Result, While};
use super::output::{note, say_figures, say_summary};
use super::weights::tensors_of_file;

/// Spectra of stored matrices: singular values, eigenvalues, and what is told by them
///
/// Of a run: its matrices as the network uses them, at the start, at every checkpoint that was kept along training
/// (training.keep_every_epochs), and at the last one; the outcome becomes `spectra.json` in the run folder, which its page
/// then draws (of Izhikevich networks the command alone does). Of a conductance network also the operator that its loop is to small changes of the rates. Of a file: every
/// matrix in it as it is. Of several runs: the entropy at the start against the error after training.
#[derive(clap::Args)]
pub struct Args {
    /// Run folders, or files of matrices (.safetensors, .npz)
    #[arg(required = true, value_name = "RUN|FILE")]
    of: Vec<PathBuf>,
    /// Folder of MNIST, or where the configured data file is now
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Folder for the figures
    #[arg(long, value_name = "DIR", default_value = "spectra")]
    out: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<u8> {
    let mut subjects = Vec::new();
    for path in &args.of {
        subjects.push(match path.is_dir() {
            true => {
                of_run(path, args.data.as_deref()).with_context(|| path.display().to_string())?
            }
            false => of_file(path)?,
        });
    }
    let Told { summary, figures } = told(&subjects)?;
    say_summary(&summary, args.json);
    let figures = figures
        .into_iter()
        .map(|figure| figure.map(|sheet| sheet.drawn()));
    say_figures(&args.out, figures.collect(), args.json)?;
    Ok(SUCCESS)
}

fn of_file(path: &Path) -> Result<Subject> {
    Ok(Subject {
        name: path.display().to_string(),
        along: vec![SpectraAt {
            epoch: 0,
            matrices: of_tensors(&tensors_of_file(path)?),
        }],
        error: None,
        recurrent: None,
    })
}

fn of_run(path: &Path, data: Option<&Path>) -> Result<Subject> {
    let run = families::open(path)?;
    let device = DeviceOptions {
        device: DeviceChoice::Cpu,
        ..DeviceOptions::default()
    };
    let experiment = Experiment::of_run(&run, data, device)?;
    let spectra = experiment
        .spectra(&run.files, &mut || true)?
        .unwrap_or_default();
    match RunFolder::open(path) {
        Ok(_locked) => write(&run.files, &spectra)?,
        Err(RunFolderError::Locked { .. }) => note(format!(
            "{} is being trained: spectra.json is not written",
            path.display()
        )),
        Err(error) => return Err(error.into()),
    }
    let config = run.config.clone();
    let record = RunRecord::of(run)?;
    let (error, recurrent) = match config {
        Config::RateRnn(_) => (dalenet::rate_rnn::measures::error(&record), Some("l0.w")),
        Config::Conductance(_) | Config::Izhikevich(_) => (None, None),
    };
    Ok(Subject {
        name: path.display().to_string(),
        along: spectra.along,
        error,
        recurrent,
    })
}
