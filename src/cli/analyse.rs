//! `dalenet analyse`: rhythm, rates, weights and loop of a trained network.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dalenet::analysis::compare::wilson_percent;
use dalenet::analysis::record::RunAnalysis;
use dalenet::conductance::model::weights_of;
use dalenet::conductance::plan::show_count;
use dalenet::experiment::{Subject, analysis_json, write_analysis};
use dalenet::train::checkpoint::{Checkpoint, NonFinite};
use dalenet::train::run_folder::RunFiles;

use super::SUCCESS;
use super::arguments::{Device, Which};
use super::output::{note, say, say_facts, say_table, short};
use super::stored::{StoredRun, data_place};

/// Measure rhythm, rates, weights and loop of a trained network, and keep them in its run
///
/// Runs all test trials and records their spikes. The outcome for the last checkpoint becomes `analysis.json` in the
/// run folder, as at the end of training; that for another checkpoint is only printed.
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: Which,
    /// Folder of MNIST, or where the configured data file is now
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: Device,
}

pub fn run(args: Args) -> Result<u8> {
    let run = StoredRun::load(&args.run, args.checkpoint)?;
    let data = data_place(&args.run, args.data);
    let files = RunFiles::at(&args.run);
    let analysis = analyse(&run, &files, args.checkpoint, data.as_deref(), &args.device)?;
    let is_kept = args.checkpoint == Which::Last;
    if is_kept {
        write_analysis(&files, &analysis)?;
    }
    if args.json {
        say(analysis_json(&analysis)?.trim_end());
        return Ok(SUCCESS);
    }
    report(&analysis, &run.path);
    if is_kept {
        say(format!("\nwritten to {}", files.analysis().display()));
    }
    Ok(SUCCESS)
}

/// The analysis of one checkpoint of the run with these files.
pub fn analyse(
    run: &StoredRun,
    files: &RunFiles,
    which: Which,
    data: Option<&Path>,
    device: &Device,
) -> Result<RunAnalysis> {
    let (experiment, now) = run.experiment(data, device.options())?;
    let initial = Checkpoint::load(&files.initial(), NonFinite::Refuse)?;
    let (initial, _) = weights_of(&experiment.params, &initial.weights)?;
    let mut opened = experiment.open(&now)?;
    let trials = experiment.split.test.len() as u64;
    let trials = show_count(trials, "test trial", "test trials");
    note(format!("analysing {trials}\u{2026}"));
    let subject = Subject {
        checkpoint: which.name(),
        epoch: run.checkpoint.progress.epochs_done,
        initial: &initial,
        now: &now,
        device: &opened.device,
    };
    let engine = opened.engine.as_mut();
    let analysis = experiment.analyse(engine, &subject, &mut || true)?;
    analysis.context("the analysis was stopped on the way")
}

fn report(analysis: &RunAnalysis, path: &Path) {
    let (test, rhythm) = (&analysis.test, &analysis.rhythm);
    let pairs = test.labels.iter().zip(&test.predicted);
    let correct = pairs.filter(|(label, answer)| label == answer).count() as u64;
    let [low, high] = wilson_percent(correct, test.labels.len() as u64);
    let largest = analysis.e_cell_rate_hz.iter().copied().fold(0.0, f64::max);
    let mut facts = vec![
        (
            "checkpoint",
            format!(
                "{} (after {})",
                path.display(),
                show_count(analysis.epoch, "epoch", "epochs")
            ),
        ),
        ("device", analysis.device.clone()),
        (
            "accuracy",
            format!(
                "{:.2} % (95 % interval {low:.1} to {high:.1}), {correct} of {} test trials",
                test.accuracy_percent,
                test.labels.len()
            ),
        ),
        (
            "rates",
            format!("E {:.2} Hz, I {:.2} Hz", test.e_rate_hz, test.i_rate_hz),
        ),
        (
            "E cells",
            format!(
                "at most {largest:.1} Hz; {:.1} % fire in a trial, {:.1} % never",
                test.active_e_percent, test.silent_e_percent
            ),
        ),
        ("rhythm", rhythm_in_words(analysis)),
        (
            "regularity",
            format!(
                "contrast {:.2}, CV of inter-spike intervals {:.2}",
                rhythm.contrast, rhythm.cv
            ),
        ),
    ];
    if let Some(p) = &analysis.participation {
        let [none, one, two, more] = p.e_share_percent;
        facts.push((
            "cycles",
            format!(
                "{} of {:.1} ms; E cells with 0, 1, 2, 3+ spikes: {none:.1}, {one:.1}, {two:.2}, {more:.2} %; \
                 I spikes a cell {:.2}",
                p.cycles, p.period_ms, p.i_spikes_per_cycle
            ),
        ));
    }
    say_facts(&facts);
    say("");
    let rows: Vec<Vec<String>> = analysis
        .weights
        .iter()
        .map(|(name, matrix)| {
            let of_both = |a: f64, b: f64| format!("{} → {}", short(a), short(b));
            let (start, now) = (&matrix.initial, &matrix.now);
            vec![
                format!("w_{name}"),
                of_both(start.norm, now.norm),
                of_both(start.effective_mean, now.effective_mean),
                format!("{:.1}", now.not_positive_percent),
                format!("{:.1}", matrix.really_pruned_percent),
                match (matrix.trained, matrix.unchanged) {
                    (true, false) => "trained",
                    (true, true) => "trained, unchanged",
                    (false, true) => "frozen",
                    (false, false) => "frozen, but changed",
                }
                .to_owned(),
            ]
        })
        .collect();
    let head = ["matrix", "norm", "effective mean", "≤ 0 %", "pruned %", ""];
    say_table(&head, &rows);
    if !analysis.loop_slopes.is_empty() {
        say("");
        let rows: Vec<Vec<String>> = (analysis.loop_slopes.iter())
            .map(|slope| {
                vec![
                    format!("w_{}", slope.matrix),
                    format!(
                        "{} ± {}",
                        short(slope.measured),
                        short(slope.measured_error)
                    ),
                    short(slope.surrogate),
                    String::new(),
                ]
            })
            .collect();
        let head = ["gain of", "d loss, nats", "by surrogate gradient", ""];
        say_table(&head, &rows);
    }
}

fn rhythm_in_words(analysis: &RunAnalysis) -> String {
    let rhythm = &analysis.rhythm;
    let times = rhythm.peak_power / (rhythm.null_peak_power * rhythm.level.max(1.0));
    if rhythm.is_rhythmic {
        format!(
            "{:.1} Hz (bin {:.0} Hz), {times:.1} times the 95 % quantile without rhythm",
            rhythm.peak_interpolated_hz, rhythm.peak_hz,
        )
    } else if rhythm.peak_hz.is_nan() {
        "none: no power from 5 to 150 Hz".to_owned()
    } else {
        format!(
            "none: the largest power, at {:.0} Hz, is {times:.2} times the 95 % quantile without rhythm",
            rhythm.peak_hz
        )
    }
}
