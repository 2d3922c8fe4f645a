//! `dalenet eval`: what a trained network does on the test samples of its run.

use std::path::{Path, PathBuf};

use dalenet::conductance::batch::{Population, Request};
use dalenet::conductance::evaluation::Evaluation;
use dalenet::conductance::experiment::Experiment;
use dalenet::conductance::loss::predicted;
use dalenet::conductance::model::NetworkModel;
use dalenet::conductance::settings::MatrixName;
use dalenet::conductance::weights::{Weights, scale};
use dalenet::data::{ArrayValues, NamedArray, write_npz};
use dalenet::families::{self, Config};
use dalenet::rate_rnn;
use dalenet::text;
use dalenet::train::model::Part;
use dalenet::train::stored::{StoredRun, WhichCheckpoint};
use serde_json::{Value, json};

use super::SUCCESS;
use super::arguments::Device;
use super::error::{CliError, Result, UsageError};
use super::output::{note, say, say_facts, say_table};

/// Measure a trained network on the test samples of its run
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: WhichCheckpoint,
    /// Multiply W_EI by this factor
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    scale_ei: f32,
    /// Multiply W_IE by this factor
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    scale_ie: f32,
    /// Test trials (from 0, separated by commas) whose spikes are written to --record-out
    #[arg(
        long,
        value_name = "TRIALS",
        value_delimiter = ',',
        requires = "record_out"
    )]
    record: Vec<usize>,
    /// File for the spikes (.npz)
    #[arg(long, value_name = "FILE", requires = "record")]
    record_out: Option<PathBuf>,
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
    let run = families::open(&args.run)?;
    let run = match run.config.clone() {
        Config::Conductance(config) => run.with_config(config),
        Config::RateRnn(config) => return rates(&run.with_config(config), &args),
    };
    let checkpoint = run.checkpoint(args.checkpoint)?;
    let experiment = Experiment::of_run(&run, args.data.as_deref(), args.device.options())?;
    let mut weights = experiment.weights_of(&checkpoint)?;
    for (name, factor) in [
        (MatrixName::WEi, args.scale_ei),
        (MatrixName::WIe, args.scale_ie),
    ] {
        scale_loop(&mut weights, name, factor)?;
    }
    let test = &experiment.split.test;
    if let Some(trial) = args.record.iter().find(|&&trial| trial >= test.len()) {
        return Err(UsageError(format!(
            "--record {trial}: there are test trials 0 to {}",
            test.len() - 1
        ))
        .into());
    }
    let (mut network, device) = experiment.network(&weights)?;
    let evaluation = network
        .evaluation(Part::Test, &mut || true)
        .map_err(CliError::of)?
        .unwrap_or_else(|| Evaluation::new(&experiment.params));
    let epoch = checkpoint.content.progress.epochs_done;
    if args.json {
        say(as_json(
            &evaluation,
            epoch,
            &checkpoint.path,
            &device.info.name,
        ));
    } else {
        report(&evaluation, epoch, &checkpoint.path, &device.to_string());
    }
    // After the report, which must not be lost where the file cannot be written.
    if let Some(file) = &args.record_out {
        let trials = record(&experiment, &mut network, &args.record, file)?;
        if !args.json {
            let trials = text::count(trials, "trial", "trials");
            say(format!("\nspikes of {trials}: {}", file.display()));
        }
    }
    Ok(SUCCESS)
}

/// Measures a rate RNN, which has neither spikes nor an E–I loop.
fn rates(run: &StoredRun<rate_rnn::settings::Config>, args: &Args) -> Result<u8> {
    if args.record_out.is_some() || args.scale_ei != 1.0 || args.scale_ie != 1.0 {
        return Err(UsageError(format!(
            "{} is a run of a rate RNN, which has no spikes to record and no W_EI or W_IE to scale",
            args.run.display()
        ))
        .into());
    }
    let (data, device) = (args.data.as_deref(), args.device.options());
    let evaluated = rate_rnn::evaluate::evaluate(run, args.checkpoint, data, device)?;
    if args.json {
        say(evaluated.json);
    } else {
        say_facts(&evaluated.facts);
    }
    Ok(SUCCESS)
}

fn scale_loop(weights: &mut Weights, name: MatrixName, factor: f32) -> Result<()> {
    let matrix = name.short();
    if !factor.is_finite() {
        return Err(UsageError(format!("--scale-{matrix} {factor}: give a finite number")).into());
    }
    if !scale(weights, name, f64::from(factor)) && factor != 1.0 {
        note(format!(
            "note: this network has no w_{matrix}; there is nothing to scale"
        ));
    }
    Ok(())
}

fn report(evaluation: &Evaluation, epoch: u64, path: &Path, device: &str) {
    let m = evaluation.measures();
    say_facts(&[
        (
            "checkpoint",
            format!(
                "{} (after {})",
                path.display(),
                text::count(epoch as usize, "epoch", "epochs")
            ),
        ),
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
                text::fixed(m.margin, 3),
                text::fixed(m.confidence, 3)
            ),
        ),
    ]);
    let rows: Vec<Vec<String>> = evaluation
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
        })
        .collect();
    say("");
    say_table(&["class", "trials", "accuracy %", "E rate Hz"], &rows);
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
) -> Result<usize> {
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
