//! `dalenet sweep`: a trained network with its loop made weaker and stronger.

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dalenet::conductance::experiment::Experiment;
use dalenet::conductance::experiment::sweep::{
    GridOptions, SweptWeights, loop_sweep, summary, write_sweep,
};
use dalenet::families;
use dalenet::text;
use dalenet::train::interrupt::{EXIT_SIGINT, Interrupt};
use dalenet::train::run_folder::RunFiles;
use dalenet::train::stored::WhichCheckpoint;
use indicatif::{ProgressBar, ProgressStyle};

use super::SUCCESS;
use super::arguments::Device;
use super::error::{Result, While};
use super::output::{note, say_summary};

/// Least time between two lines of progress where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Measure a trained network with W_EI and W_IE multiplied by a grid of factors
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    #[command(flatten)]
    grid: GridOptions,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: WhichCheckpoint,
    /// Folder for sweep.json and sweep.csv (default: the run folder)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
    let grid = args.grid.grid()?;
    let run = families::open_conductance(&args.run)?;
    let checkpoint = run.checkpoint(args.checkpoint)?;
    let experiment = Experiment::of_run(&run, args.data.as_deref(), args.device.options())?;
    let weights = experiment.weights_of(&checkpoint)?;
    let files = RunFiles::at(args.out.unwrap_or(args.run));
    std::fs::create_dir_all(files.folder())
        .with_context(|| format!("cannot create folder {}", files.folder().display()))?;
    let interrupt = Interrupt::install()?;
    let swept = SweptWeights {
        weights: &weights,
        checkpoint: args.checkpoint.name(),
        epoch: checkpoint.content.progress.epochs_done,
    };
    let mut progress = SweepProgress::new();
    let sweep = loop_sweep(&experiment, swept, &grid, &mut |done, of| {
        progress.show(done, of);
        interrupt.requested().is_none()
    });
    progress.end();
    let Some(sweep) = sweep? else {
        note("interrupted; nothing was written");
        let code = interrupt.requested().unwrap_or(EXIT_SIGINT);
        return Ok(u8::try_from(code).unwrap_or(u8::MAX));
    };
    write_sweep(&files, &sweep)?;
    say_summary(&summary(&sweep, &checkpoint.path, &files), args.json);
    Ok(SUCCESS)
}

/// How far the sweep is: a bar on a terminal, else a line now and then.
struct SweepProgress {
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl SweepProgress {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            bar: stderr().is_terminal().then(|| {
                let bar = ProgressBar::new(0);
                // A constant template; should it ever be wrong, the plain bar does.
                match ProgressStyle::with_template("{bar:32}  points {pos}/{len}  {msg}") {
                    Ok(style) => bar.with_style(style),
                    Err(_) => bar,
                }
            }),
            started: now,
            last_line: now,
        }
    }

    fn show(&mut self, done: usize, of: usize) {
        let seconds = self.started.elapsed().as_secs_f64();
        let left = if done == 0 {
            String::new()
        } else {
            let left = seconds / done as f64 * (of - done) as f64;
            format!("left {}", text::duration(left))
        };
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message(left);
        } else if self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            note(format!("points {done}/{of}  {left}").trim_end());
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
