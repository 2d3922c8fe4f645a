//! `dalenet analyse`: rhythm, rates, weights and loop of a trained network.

use std::path::{Path, PathBuf};

use dalenet::analysis::compare::wilson_percent;
use dalenet::analysis::record::{Participation, PopulationRhythm, Rhythm, RunAnalysis};
use dalenet::analysis::rhythm::Settings;
use dalenet::conductance::experiment::{
    AnalysedWeights, Experiment, analyse_spikes, analysis_json, write_analysis,
};
use dalenet::conductance::settings::Config;
use dalenet::data::load_recorded_npz;
use dalenet::families;
use dalenet::text;
use dalenet::train::stored::{StoredCheckpoint, StoredRun, WhichCheckpoint};

use super::SUCCESS;
use super::arguments::Device;
use super::error::{Failed, Result};
use super::output::{note, say, say_facts, say_table};

/// Analyse rhythm, firing rates, weights and the E–I loop of a trained network; writes analysis.json
///
/// Runs all test trials and records their spikes. The outcome for the last checkpoint becomes `analysis.json` in the
/// run folder, as at the end of training; that for another checkpoint is only printed. With --spikes, spikes of any
/// simulator are analysed instead: rates, rhythm and spikes by cycle only.
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
    rhythm: RhythmArgs,
    #[command(flatten)]
    device: Device,
}

/// What counts as a rhythm, and as gamma.
#[derive(clap::Args)]
struct RhythmArgs {
    /// Leave out this much of the beginning of each trial, at most 30 % of it
    #[arg(long, value_name = "MS", default_value_t = Settings::default().onset_ms, value_parser = parse_onset)]
    onset_ms: f64,
    /// Frequencies that are called gamma (default: 20,120)
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_band)]
    gamma_hz: Option<Band>,
}

/// Ends of a range of frequencies.
#[derive(Clone, Copy)]
struct Band([f64; 2]);

fn parse_onset(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok();
    value
        .filter(|ms| ms.is_finite() && *ms >= 0.0)
        .ok_or_else(|| "give milliseconds, for example 60".to_owned())
}

fn parse_band(text: &str) -> Result<Band, String> {
    let ends = text.split_once(',');
    let ends = ends.and_then(|(low, high)| Some([low.parse().ok()?, high.parse().ok()?]));
    ends.filter(|[low, high]: &[f64; 2]| *low >= 0.0 && low < high && high.is_finite())
        .map(Band)
        .ok_or_else(|| "give two frequencies, the lower first, for example 20,120".to_owned())
}

impl RhythmArgs {
    fn settings(&self) -> Settings {
        Settings {
            onset_ms: self.onset_ms,
            gamma_hz: (self.gamma_hz).map_or(Settings::default().gamma_hz, |band| band.0),
        }
    }
}

pub fn run(args: Args) -> Result<u8> {
    let settings = args.rhythm.settings();
    if let Some(file) = &args.spikes {
        return of_spikes(file, settings, args.json);
    }
    // The parser asks for one of the two.
    let folder = args.run.unwrap_or_default();
    let run = families::open_conductance(&folder)?;
    let checkpoint = run.checkpoint(args.checkpoint)?;
    let data = args.data.as_deref();
    let experiment = Experiment::of_run(&run, data, args.device.options())?;
    let analysis = analyse(&experiment, &run, &checkpoint, settings)?;
    let is_kept = args.checkpoint == WhichCheckpoint::Last;
    if is_kept {
        write_analysis(&run.files, &analysis)?;
    }
    if args.json {
        say(analysis_json(&analysis)?.trim_end());
        return Ok(SUCCESS);
    }
    report(&analysis, &checkpoint.path);
    if is_kept {
        say(format!("\nwritten to {}", run.files.analysis().display()));
    }
    Ok(SUCCESS)
}

fn of_spikes(file: &Path, settings: Settings, json: bool) -> Result<u8> {
    let recorded = load_recorded_npz(file)?;
    let analysis = analyse_spikes(&recorded, settings, 0);
    if json {
        say(serde_json::to_string(&analysis)?);
        return Ok(SUCCESS);
    }
    let [e, i] = recorded.cells;
    let mut facts = vec![
        (
            "spikes",
            format!(
                "{}: {} of {:.1} ms, {e} E and {i} I cells",
                file.display(),
                text::count(analysis.trials as usize, "trial", "trials"),
                recorded.steps as f64 * recorded.dt_ms
            ),
        ),
        (
            "rates",
            format!(
                "E {:.2} Hz, I {:.2} Hz",
                analysis.e_rate_hz, analysis.i_rate_hz
            ),
        ),
    ];
    if recorded.merged > 0 {
        let spikes = text::count(recorded.merged, "spike", "spikes");
        let merged = format!("{spikes} ignored: the cell has a spike in that time step already");
        facts.push(("merged", merged));
    }
    facts.extend(rhythm_facts(
        &analysis.rhythm,
        analysis.participation.as_ref(),
    ));
    say_facts(&facts);
    Ok(SUCCESS)
}

/// The analysis of one checkpoint of a run.
pub fn analyse(
    experiment: &Experiment,
    run: &StoredRun<Config>,
    checkpoint: &StoredCheckpoint,
    settings: Settings,
) -> Result<RunAnalysis> {
    let now = experiment.weights_of(checkpoint)?;
    let initial = experiment.weights_of(&run.checkpoint(WhichCheckpoint::Initial)?)?;
    let mut opened = experiment.open(&now)?;
    let trials = text::count(experiment.split.test.len(), "test trial", "test trials");
    note(format!("analysing {trials}\u{2026}"));
    let subject = AnalysedWeights {
        checkpoint: checkpoint.which.name(),
        epoch: checkpoint.content.progress.epochs_done,
        initial: &initial,
        now: &now,
        device: &opened.device.name,
        settings,
    };
    let engine = opened.engine.as_mut();
    let analysis = experiment.analyse(engine, &subject, &mut || true)?;
    Ok(analysis.ok_or_else(|| Failed("the analysis was interrupted".into()))?)
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
                text::count(analysis.epoch as usize, "epoch", "epochs")
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
                "at most {largest:.1} Hz; {:.1} % fire in a trial on average, {:.1} % are silent in all test trials",
                test.active_e_percent, test.silent_e_percent
            ),
        ),
    ];
    facts.extend(rhythm_facts(rhythm, analysis.participation.as_ref()));
    say_facts(&facts);
    say("");
    let rows: Vec<Vec<String>> = analysis
        .weights
        .iter()
        .map(|(name, matrix)| {
            let of_both = |a: f64, b: f64| format!("{} → {}", text::number(a), text::number(b));
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
    let head = [
        "matrix",
        "norm",
        "effective mean",
        "w ≤ 0, %",
        "newly ≤ 0, %",
        "",
    ];
    say_table(&head, &rows);
    if !analysis.loop_slopes.is_empty() {
        say("");
        let rows: Vec<Vec<String>> = (analysis.loop_slopes.iter())
            .map(|slope| {
                vec![
                    format!("w_{}", slope.matrix),
                    format!(
                        "{} ± {}",
                        text::number(slope.measured),
                        text::number(slope.measured_error)
                    ),
                    text::number(slope.surrogate),
                    String::new(),
                ]
            })
            .collect();
        let head = [
            "gain of",
            "d loss / d gain, measured",
            "d loss / d gain, surrogate gradient",
            "",
        ];
        say_table(&head, &rows);
    }
}

/// What there is to say of rhythm and cycles.
fn rhythm_facts(
    rhythm: &Rhythm,
    participation: Option<&Participation>,
) -> Vec<(&'static str, String)> {
    let contrast = |name: &str, population: &PopulationRhythm| {
        if population.contrast.is_nan() {
            format!("no trial has spikes of two different {name} cells")
        } else {
            format!(
                "contrast of {name} {:.2} (99 % point by chance {:.2})",
                population.contrast, population.null_contrast
            )
        }
    };
    let found = if rhythm.f_gamma_hz.is_finite() {
        format!("gamma, {:.1} Hz", rhythm.f_gamma_hz)
    } else if rhythm.is_rhythmic {
        format!("{:.1} Hz", rhythm.f_hz)
    } else {
        format!("none at or above {:.0} Hz", rhythm.lowest_hz)
    };
    let found = if rhythm.i.is_rhythmic && !rhythm.is_rhythmic {
        format!("E cells: {found}; I cells: {:.1} Hz", rhythm.i.f_hz)
    } else {
        found
    };
    let (e, i) = (contrast("E", &rhythm.e), contrast("I", &rhythm.i));
    let mut facts = vec![("rhythm", format!("{found}; {e}, {i}"))];
    if rhythm.cv.is_finite() {
        let cv = format!("CV of inter-spike intervals of E {:.2}", rhythm.cv);
        facts.push(("regularity", cv));
    }
    if let Some(p) = participation {
        let [none, one, two, more] = p.e_share_percent;
        facts.push((
            "cycles",
            format!(
                "{} of {:.1} ms on average, cut by {}; E cells firing 0, 1, 2, 3+ spikes in a cycle: {none:.1}, \
                 {one:.1}, {two:.2}, {more:.2} %; spikes per I cell and cycle {:.2}",
                p.cycles, p.period_ms, p.cut_by, p.i_spikes_per_cycle
            ),
        ));
    }
    facts
}
