//! `dalenet sweep`: a trained network with its loop made weaker and stronger.

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dalenet::analysis::record::{LoopSweep, SweepPoint};
use dalenet::conductance::experiment::Experiment;
use dalenet::conductance::experiment::sweep::{
    LoopGrid, STUDY_GRID, SweptWeights, loop_sweep, to_json, write_sweep,
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
use super::output::{note, say, say_facts, say_table};

/// Least time between two lines of progress where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Measure a trained network with W_EI and W_IE multiplied by a grid of factors
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Multipliers of both matrices, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', num_args = 1,
        allow_negative_numbers = true, default_values_t = STUDY_GRID)]
    grid: Vec<f64>,
    /// Multipliers of W_EI instead of those of --grid
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    ei: Option<Vec<f64>>,
    /// Multipliers of W_IE instead of those of --grid
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    ie: Option<Vec<f64>>,
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
    let ei = args.ei.as_ref().unwrap_or(&args.grid);
    let ie = args.ie.as_ref().unwrap_or(&args.grid);
    let grid = LoopGrid::new(ei, ie)?;
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
    if args.json {
        say(to_json(&sweep).trim_end());
    } else {
        report(&sweep, &checkpoint.path, &files);
    }
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

fn report(sweep: &LoopSweep, checkpoint: &Path, files: &RunFiles) {
    say_facts(&[
        (
            "checkpoint",
            format!("{} (epoch {})", checkpoint.display(), sweep.epoch),
        ),
        ("device", sweep.device.clone()),
        (
            "trials",
            format!(
                "{} at each point",
                text::count(sweep.trials as usize, "test trial", "test trials")
            ),
        ),
        (
            "written",
            format!(
                "{}, {}",
                files.sweep().display(),
                files.sweep_table().display()
            ),
        ),
    ]);
    type Measure = fn(&SweepPoint) -> f64;
    let measures: [(&str, Measure); 3] = [
        ("accuracy, %", |p| p.accuracy_percent),
        ("E rate, Hz", |p| p.e_rate_hz),
        ("I rate, Hz", |p| p.i_rate_hz),
    ];
    for (title, measure) in measures {
        say(format!("\n{title}"));
        let multipliers = sweep.ei.iter().map(|ei| format!("{ei:>6}"));
        let head: Vec<String> = std::iter::once("W_IE \\ W_EI".to_owned())
            .chain(multipliers)
            .collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> = sweep
            .points
            .chunks(sweep.ei.len())
            .map(|row| {
                let name = row.first().map(|p| p.ie.to_string());
                let cells = row.iter().map(|p| format!("{:>6.2}", measure(p)));
                name.into_iter().chain(cells).collect()
            })
            .collect();
        say_table(&head, &rows);
    }
}
