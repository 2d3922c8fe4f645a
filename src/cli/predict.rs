//! `dalenet predict`: a trained network answers new samples.

use std::path::PathBuf;
use std::sync::Arc;

use dalenet::conductance::batch::Request;
use dalenet::conductance::loss::{predicted, softmax};
use dalenet::conductance::model::{Trials, weights_of};
use dalenet::conductance::open::open_engine;
use dalenet::conductance::params::Params;
use dalenet::data::{NewSamples, Samples, load_new_samples};
use dalenet::families;
use dalenet::files::write_atomic;
use dalenet::text;
use dalenet::train::stored::{StoredCheckpoint, WhichCheckpoint};
use serde_json::json;

use super::SUCCESS;
use super::arguments::Device;
use super::error::{Result, UsageError};
use super::output::{note, say, say_table};

/// Most answers shown to a person who names no file for them.
const SHOWN: usize = 20;

/// Classify new images or spike trains with a trained network
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Images or events (.npz), an IDX image file, or a folder of MNIST files (its test part)
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// IDX label file of an IDX image file
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Classify only the first N samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "last")]
    checkpoint: WhichCheckpoint,
    /// Print JSON, an object a sample
    #[arg(long)]
    json: bool,
    /// Write all predictions to this file
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
}

/// The answer to one sample.
struct Answer {
    class: usize,
    probabilities: Vec<f64>,
    label: Option<u16>,
}

/// The length of an axis of a matrix, from which the network's inputs and classes are known.
fn axis(checkpoint: &StoredCheckpoint, matrix: &str, axis: usize) -> Result<usize> {
    let tensor = checkpoint.content.weights.get(matrix);
    let length = tensor.and_then(|tensor| tensor.shape.get(axis).copied());
    Ok(length.ok_or_else(|| {
        UsageError(format!(
            "{} has no matrix `{matrix}`; so it is not a checkpoint of a conductance network; check the run folder",
            checkpoint.path.display()
        ))
    })?)
}

pub fn run(args: Args) -> Result<u8> {
    let run = families::open_conductance(&args.run)?;
    let checkpoint = run.checkpoint(args.checkpoint)?;
    let n_in = axis(&checkpoint, "in", 0)?;
    let n_out = axis(&checkpoint, "out", 1)?;
    let NewSamples {
        samples,
        is_labelled,
    } = load_new_samples(&args.data, args.labels.as_deref())?;
    if samples.inputs() > n_in || (samples.inputs() < n_in && matches!(samples, Samples::Images(_)))
    {
        return Err(UsageError(format!(
            "{}: the samples have {}, but this network takes {n_in}; give samples like those it was trained on",
            args.data.display(),
            text::count(samples.inputs(), "input", "inputs")
        ))
        .into());
    }
    let params = Params::new(&run.config, n_in, n_out);
    let (weights, _) = weights_of(&params, &checkpoint.content.weights)?;
    let batch_size = run.config.training.batch_size;
    let mut opened = open_engine(&params, &weights, &args.device.options(), batch_size)?;
    let labels = is_labelled.then(|| samples.labels().to_vec());
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok());
    let count = limit.unwrap_or(usize::MAX).min(samples.len());
    let trials = Trials {
        samples: Arc::new(without_labels(samples)),
        steps: params.steps,
        dt_ms: params.network.dt_ms,
        rate_hz: run.config.encoding.rate_hz,
        noise_seed: run.config.seeds.noise,
    };
    let all: Vec<usize> = (0..count).collect();
    let mut answers = Vec::with_capacity(count);
    for indices in all.chunks(batch_size) {
        let batch = trials.evaluation_batch(indices)?;
        let forward = opened.engine.forward(&batch, Request::default())?;
        for (logits, &index) in forward.logits.chunks_exact(n_out).zip(indices) {
            answers.push(Answer {
                class: predicted(logits),
                probabilities: softmax(logits),
                label: labels.as_ref().map(|labels| labels[index]),
            });
        }
    }
    if let Some(file) = &args.out {
        write_atomic(file, &table(&answers, n_out)?)?;
    }
    show(&args, &answers);
    Ok(SUCCESS)
}

/// New samples may have classes that the network does not know; their labels only score it.
fn without_labels(samples: Samples) -> Samples {
    match samples {
        Samples::Images(mut set) => {
            set.labels.fill(0);
            Samples::Images(set)
        }
        Samples::Events(mut set) => {
            set.labels.fill(0);
            Samples::Events(set)
        }
    }
}

fn show(args: &Args, answers: &[Answer]) {
    if args.json {
        for (index, answer) in answers.iter().enumerate() {
            say(json!({
                "sample": index,
                "class": answer.class,
                "label": answer.label,
                "probabilities": answer.probabilities,
            }));
        }
    } else {
        let shown = if args.out.is_some() { 0 } else { SHOWN };
        let rows: Vec<Vec<String>> = answers
            .iter()
            .take(shown)
            .enumerate()
            .map(|(index, answer)| {
                vec![
                    index.to_string(),
                    answer.class.to_string(),
                    format!("{:.3}", answer.probabilities[answer.class]),
                    answer
                        .label
                        .map_or_else(String::new, |label| label.to_string()),
                ]
            })
            .collect();
        if !rows.is_empty() {
            say_table(&["sample", "class", "probability", "label"], &rows);
        }
        if answers.len() > rows.len() && args.out.is_none() {
            say(format!(
                "… {} more; --out FILE.csv or --json shows all",
                answers.len() - rows.len()
            ));
        }
        if let Some(file) = &args.out {
            say(format!(
                "{}: {}",
                text::count(answers.len(), "prediction", "predictions"),
                file.display()
            ));
        }
    }
    let labelled = answers.iter().filter(|answer| answer.label.is_some());
    let right = |answer: &&Answer| answer.label.map(usize::from) == Some(answer.class);
    let total = labelled.clone().count();
    if total > 0 {
        let correct = labelled.filter(right).count();
        note(format!(
            "accuracy {:.2} % ({correct} of {total} correct)",
            100.0 * correct as f64 / total as f64
        ));
    }
}

fn table(answers: &[Answer], classes: usize) -> Result<Vec<u8>> {
    let head = ["sample", "class", "label"].map(str::to_owned);
    let head = head
        .into_iter()
        .chain((0..classes).map(|class| format!("p{class}")));
    let rows = answers.iter().enumerate().map(|(index, answer)| {
        let label = answer.label.map_or_else(String::new, |l| l.to_string());
        let probabilities = answer.probabilities.iter().map(|p| format!("{p:.6}"));
        let first = [index.to_string(), answer.class.to_string(), label];
        first.into_iter().chain(probabilities).collect()
    });
    Ok(text::csv(
        std::iter::once(head.collect::<Vec<_>>()).chain(rows),
    )?)
}
