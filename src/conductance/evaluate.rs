//! What a trained network does on the test samples of its run.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::batch::{Population, Request};
use super::evaluation::Evaluation;
use super::experiment::{Experiment, ExperimentError};
use super::model::NetworkModel;
use super::settings::{Config, MatrixName};
use super::weights::{Weights, scale};
use crate::analysis::answers::predicted;
use crate::data::{ArrayValues, NamedArray, write_npz};
use crate::device::DeviceOptions;
use crate::summary::{Listing, Summary};
use crate::text::{count, fixed};
use crate::train::model::Part;
use crate::train::stored::{StoredRun, WhichCheckpoint, checkpoint_fact};

/// What only networks of this family can be asked.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)] // families' options go by one name
pub struct Options {
    /// Multiply W_EI by this factor
    #[arg(long, value_name = "X")]
    pub scale_ei: Option<f32>,
    /// Multiply W_IE by this factor
    #[arg(long, value_name = "X")]
    pub scale_ie: Option<f32>,
    /// Test trials (from 0, separated by commas) whose spikes are written to --record-out
    #[arg(
        long,
        value_name = "TRIALS",
        value_delimiter = ',',
        requires = "record_out"
    )]
    pub record: Vec<usize>,
    /// File for the spikes (.npz)
    #[arg(long, value_name = "FILE", requires = "record")]
    pub record_out: Option<PathBuf>,
}

impl Options {
    /// One that was given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("--scale-ei", self.scale_ei.is_some()),
            ("--scale-ie", self.scale_ie.is_some()),
            ("--record-out", self.record_out.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(name, is_given)| is_given.then_some(name))
    }
}

/// An evaluation, and what became of the spikes that were to be recorded: a sentence, or why there is none.
pub type Evaluated = (Summary, Result<Option<String>, ExperimentError>);

/// Measures a checkpoint of a run on its test samples; `data` is where a file of them is now. `note` is told what is
/// worth knowing.
///
/// # Errors
/// A checkpoint of another run, data or options that cannot be used, or a device that fails.
pub fn evaluate(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    data: Option<&Path>,
    device: DeviceOptions,
    options: &Options,
    note: &mut dyn FnMut(String),
) -> Result<Evaluated, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let experiment = Experiment::of_run(run, data, device)?;
    let mut weights = experiment.weights_of(&checkpoint)?;
    for (name, factor) in [
        (MatrixName::WEi, options.scale_ei),
        (MatrixName::WIe, options.scale_ie),
    ] {
        scale_loop(&mut weights, name, factor.unwrap_or(1.0), note)?;
    }
    let test = &experiment.split.test;
    if let Some(trial) = options.record.iter().find(|&&trial| trial >= test.len()) {
        return Err(ExperimentError::Option(format!(
            "--record {trial}: there are test trials 0 to {}",
            test.len() - 1
        )));
    }
    let (mut network, device) = experiment.open_network(&weights)?;
    let evaluation = network
        .evaluation(Part::Test, &mut || true)
        .map_err(ExperimentError::Model)?
        .unwrap_or_else(|| Evaluation::new(&experiment.params));
    let (epoch, path) = (checkpoint.content.progress.epochs_done, &checkpoint.path);
    let json = as_json(&evaluation, epoch, path, &device.info.name);
    let (facts, classes) = in_words(&evaluation, epoch, path, &device.to_string());
    let summary = Summary {
        facts,
        listings: vec![classes],
        json: json.to_string(),
    };
    let recorded = options.record_out.as_ref().map(|file| {
        let trials = record(&experiment, &mut network, &options.record, file)?;
        let trials = count(trials, "trial", "trials");
        Ok(format!("spikes of {trials}: {}", file.display()))
    });
    Ok((summary, recorded.transpose()))
}

fn scale_loop(
    weights: &mut Weights,
    name: MatrixName,
    factor: f32,
    note: &mut dyn FnMut(String),
) -> Result<(), ExperimentError> {
    let matrix = name.short();
    if !factor.is_finite() {
        let problem = format!("--scale-{matrix} {factor}: give a finite number");
        return Err(ExperimentError::Option(problem));
    }
    if !scale(weights, name, f64::from(factor)) && factor != 1.0 {
        note(format!(
            "note: this network has no w_{matrix}; there is nothing to scale"
        ));
    }
    Ok(())
}

fn in_words(
    evaluation: &Evaluation,
    epoch: u64,
    path: &Path,
    device: &str,
) -> (Vec<(&'static str, String)>, Listing) {
    let m = evaluation.measures();
    let facts = vec![
        checkpoint_fact(path, epoch),
        ("device", device.to_owned()),
        (
            "accuracy",
            format!(
                "{:.2} % ± {:.2} (standard error), {} of {}",
                m.accuracy_percent,
                evaluation.accuracy_standard_error_percent(),
                evaluation.scores.correct,
                evaluation.scores.trials
            ),
        ),
        ("loss", format!("{:.4} nats", m.loss_nats)),
        (
            "rates",
            format!("E {:.2} Hz, I {:.2} Hz", m.e_rate_hz, m.i_rate_hz),
        ),
        (
            "activity",
            format!(
                "{:.1} % of E cells fire in a trial on average; {:.1} % are silent in all of them",
                m.active_e_percent, m.silent_e_percent
            ),
        ),
        (
            "logits",
            format!(
                "mean margin {}, mean probability of the true class {}",
                fixed(m.margin, 3),
                fixed(m.confidence, 3)
            ),
        ),
    ];
    let rows = evaluation
        .classes
        .iter()
        .enumerate()
        .filter(|(_, class)| class.trials > 0)
        .map(|(label, class)| {
            vec![
                label.to_string(),
                class.trials.to_string(),
                format!("{:.1}", 100.0 * class.correct as f64 / class.trials as f64),
                format!("{:.2}", evaluation.class_rate_hz(label)),
            ]
        });
    let head = ["class", "trials", "accuracy %", "E rate Hz"];
    (facts, Listing::new(head, rows))
}

fn as_json(evaluation: &Evaluation, epoch: u64, path: &Path, device: &str) -> Value {
    let m = evaluation.measures();
    let classes: Vec<Value> = evaluation
        .classes
        .iter()
        .enumerate()
        .map(|(label, class)| {
            json!({
                "class": label,
                "trials": class.trials,
                "correct": class.correct,
                "accuracy_percent": 100.0 * class.correct as f64 / class.trials as f64,
                "e_rate_hz": evaluation.class_rate_hz(label),
            })
        })
        .collect();
    json!({
        "checkpoint": path,
        "epoch": epoch,
        "device": device,
        "trials": evaluation.scores.trials,
        "correct": evaluation.scores.correct,
        "accuracy_percent": m.accuracy_percent,
        "accuracy_standard_error_percent": evaluation.accuracy_standard_error_percent(),
        "loss_nats": m.loss_nats,
        "e_rate_hz": m.e_rate_hz,
        "i_rate_hz": m.i_rate_hz,
        "active_e_percent": m.active_e_percent,
        "silent_e_percent": m.silent_e_percent,
        "margin": m.margin,
        "confidence": m.confidence,
        "classes": classes,
    })
}

/// Writes the spikes of these test trials, a trial once, with all that an analysis of them needs.
fn record(
    experiment: &Experiment,
    network: &mut NetworkModel,
    wanted: &[usize],
    file: &Path,
) -> Result<usize, ExperimentError> {
    let mut trials: Vec<usize> = Vec::new();
    for &trial in wanted {
        if !trials.contains(&trial) {
            trials.push(trial);
        }
    }
    let samples: Vec<usize> = trials
        .iter()
        .map(|&trial| experiment.split.test[trial])
        .collect();
    let batch = experiment.trials.evaluation_batch(&samples)?;
    let request = Request {
        raster: true,
        ..Request::default()
    };
    let forward = network.engine().forward(&batch, request)?;
    let params = &experiment.params;
    let labels: Vec<i32> = batch.labels.iter().map(|&label| label as i32).collect();
    let answers = forward.logits.chunks_exact(params.n_out);
    let answers: Vec<i32> = answers.map(|logits| predicted(logits) as i32).collect();
    let dt_ms = params.network.dt_ms;
    let spikes = |population| {
        let raster = forward.raster.as_ref();
        let all = raster.map_or_else(Vec::new, |raster| raster.spikes(population));
        let trial: Vec<i32> = all.iter().map(|s| trials[s.0] as i32).collect();
        let time_ms: Vec<f64> = all.iter().map(|s| s.1 as f64 * dt_ms).collect();
        let cell: Vec<i32> = all.iter().map(|s| s.2 as i32).collect();
        (trial, time_ms, cell)
    };
    let (e, i) = (spikes(Population::E), spikes(Population::I));
    let named: Vec<i32> = trials.iter().map(|&trial| trial as i32).collect();
    let counts = [params.n_e(), params.n_i()].map(|cells| [cells as i32]);
    let lengths = [params.duration_s() * 1000.0, dt_ms].map(|ms| [ms]);
    let (n, n_e, n_i) = ([trials.len()], [e.0.len()], [i.0.len()]);
    let array = |name, shape, values| NamedArray {
        name,
        shape,
        values,
    };
    write_npz(
        file,
        &[
            array("trials", &n, ArrayValues::I32(&named)),
            array("labels", &n, ArrayValues::I32(&labels)),
            array("predicted", &n, ArrayValues::I32(&answers)),
            array("n_e", &[], ArrayValues::I32(&counts[0])),
            array("n_i", &[], ArrayValues::I32(&counts[1])),
            array("duration_ms", &[], ArrayValues::F64(&lengths[0])),
            array("dt_ms", &[], ArrayValues::F64(&lengths[1])),
            array("spikes_e_trial", &n_e, ArrayValues::I32(&e.0)),
            array("spikes_e_time_ms", &n_e, ArrayValues::F64(&e.1)),
            array("spikes_e_cell", &n_e, ArrayValues::I32(&e.2)),
            array("spikes_i_trial", &n_i, ArrayValues::I32(&i.0)),
            array("spikes_i_time_ms", &n_i, ArrayValues::F64(&i.1)),
            array("spikes_i_cell", &n_i, ArrayValues::I32(&i.2)),
        ],
    )?;
    Ok(trials.len())
}
