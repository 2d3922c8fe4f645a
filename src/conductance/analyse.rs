//! Rhythm, rates, weights and loop of a trained network, or of spikes of any simulator, in words.

use std::path::Path;

use super::analysis::record::{Participation, Rhythm, RunAnalysis};
use super::experiment::{
    AnalysedWeights, Experiment, ExperimentError, analyse_spikes, analysis_json, write_analysis,
};
use super::settings::Config;
use crate::analysis::compare::wilson_percent;
use crate::analysis::rhythm::{PopulationRhythm, Settings};
use crate::data::load_recorded_npz;
use crate::device::DeviceOptions;
use crate::summary::{Listing, Summary};
use crate::text::{count, number};
use crate::train::stored::{StoredRun, WhichCheckpoint, checkpoint_fact};

/// What counts as a rhythm, and as gamma.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)] // families' options go by one name
pub struct Options {
    /// Leave out this much of the beginning of each trial, at most 30 % of it (default: 60)
    #[arg(long, value_name = "MS", value_parser = parse_onset)]
    onset_ms: Option<f64>,
    /// Frequencies that are called gamma (default: 20,120)
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_band)]
    gamma_hz: Option<Band>,
}

/// Ends of a range of frequencies.
#[derive(Clone, Copy, Debug)]
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

impl Options {
    /// One that was given.
    pub fn given(&self) -> Option<&'static str> {
        let onset = self.onset_ms.map(|_| "--onset-ms");
        onset.or(self.gamma_hz.map(|_| "--gamma-hz"))
    }

    fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            onset_ms: self.onset_ms.unwrap_or(usual.onset_ms),
            gamma_hz: self.gamma_hz.map_or(usual.gamma_hz, |band| band.0),
        }
    }
}

/// Measures a checkpoint of a run on all its test trials; `data` is where a file of them is now. That of the last
/// checkpoint becomes the run's `analysis.json`. `note` is told what goes on.
///
/// # Errors
/// A checkpoint of another run, data that cannot be used, a device that fails, or a file that cannot be written.
pub fn of_run(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    data: Option<&Path>,
    device: DeviceOptions,
    options: &Options,
    note: &mut dyn FnMut(String),
) -> Result<Summary, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let experiment = Experiment::of_run(run, data, device)?;
    let now = experiment.weights_of(&checkpoint)?;
    let initial = experiment.weights_of(&run.checkpoint(WhichCheckpoint::Initial)?)?;
    let mut opened = experiment.open(&now)?;
    let trials = count(experiment.split.test.len(), "test trial", "test trials");
    note(format!("analysing {trials}\u{2026}"));
    let subject = AnalysedWeights {
        checkpoint: checkpoint.which.name(),
        epoch: checkpoint.content.progress.epochs_done,
        initial: &initial,
        now: &now,
        device: &opened.device.name,
        settings: options.settings(),
    };
    let engine = opened.engine.as_mut();
    let analysis = experiment.analyse(engine, &subject, &mut || true)?;
    let Some(analysis) = analysis else {
        return Ok(Summary::default());
    };
    if which == WhichCheckpoint::Last {
        write_analysis(&run.files, &analysis)?;
    }
    let (facts, listings) = in_words(&analysis, &checkpoint.path);
    Ok(Summary {
        facts,
        listings,
        json: analysis_json(&analysis)?,
    })
}

/// Spikes of any simulator (.npz as `dalenet eval --record` writes it) measured: rates, rhythm and spikes by cycle.
///
/// # Errors
/// A file that cannot be read, or holds no spikes.
pub fn of_spikes(file: &Path, options: &Options) -> Result<Summary, ExperimentError> {
    let recorded = load_recorded_npz(file)?;
    let analysis = analyse_spikes(&recorded, options.settings(), 0);
    let [e, i] = recorded.cells;
    let mut facts = vec![
        (
            "spikes",
            format!(
                "{}: {} of {:.1} ms, {e} E and {i} I cells",
                file.display(),
                count(analysis.trials as usize, "trial", "trials"),
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
        let spikes = count(recorded.merged, "spike", "spikes");
        let merged = format!("{spikes} ignored: the cell has a spike in that time step already");
        facts.push(("merged", merged));
    }
    facts.extend(rhythm_facts(
        &analysis.rhythm,
        analysis.participation.as_ref(),
    ));
    Ok(Summary {
        facts,
        listings: Vec::new(),
        json: serde_json::to_string(&analysis).map_err(ExperimentError::AnalysisJson)?,
    })
}

fn in_words(analysis: &RunAnalysis, path: &Path) -> (Vec<(&'static str, String)>, Vec<Listing>) {
    let (test, rhythm) = (&analysis.test, &analysis.rhythm);
    let pairs = test.labels.iter().zip(&test.predicted);
    let correct = pairs.filter(|(label, answer)| label == answer).count() as u64;
    let [low, high] = wilson_percent(correct, test.labels.len() as u64);
    let largest = analysis.e_cell_rate_hz.iter().copied().fold(0.0, f64::max);
    let mut facts = vec![
        checkpoint_fact(path, analysis.epoch),
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
    let rows = analysis.weights.iter().map(|(name, matrix)| {
        let of_both = |a: f64, b: f64| format!("{} → {}", number(a), number(b));
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
    });
    let head = [
        "matrix",
        "norm",
        "effective mean",
        "w ≤ 0, %",
        "newly ≤ 0, %",
        "",
    ];
    let mut listings = vec![Listing::new(head, rows)];
    if !analysis.loop_slopes.is_empty() {
        let rows = (analysis.loop_slopes.iter()).map(|slope| {
            vec![
                format!("w_{}", slope.matrix),
                format!(
                    "{} ± {}",
                    number(slope.measured),
                    number(slope.measured_error)
                ),
                number(slope.surrogate),
                String::new(),
            ]
        });
        let head = [
            "gain of",
            "d loss / d gain, measured",
            "d loss / d gain, surrogate gradient",
            "",
        ];
        listings.push(Listing::new(head, rows));
    }
    (facts, listings)
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
