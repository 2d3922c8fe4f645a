//! `dalenet predict`: a trained network answers new samples.

use std::path::PathBuf;

use dalenet::analysis::answers::{predicted, softmax};
use dalenet::data::{NewSamples, load_new_samples};
use dalenet::families;
use dalenet::files::write_atomic;
use dalenet::text;
use dalenet::train::stored::WhichCheckpoint;
use serde_json::json;

use super::SUCCESS;
use super::arguments::Device;
use super::error::{Result, While};
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

pub fn run(args: Args) -> Result<u8> {
    let run = families::open(&args.run)?;
    let NewSamples {
        samples,
        is_labelled,
    } = load_new_samples(&args.data, args.labels.as_deref())?;
    let labels = is_labelled.then(|| samples.labels().to_vec());
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok());
    let count = limit.unwrap_or(usize::MAX).min(samples.len());
    let device = args.device.options();
    let scores = families::predict(run, args.checkpoint, samples, count, device)
        .with_context(|| args.data.display().to_string())?;
    let answers = scores.iter().enumerate().map(|(index, scores)| Answer {
        class: predicted(scores),
        probabilities: softmax(scores),
        label: labels.as_ref().map(|labels| labels[index]),
    });
    let answers: Vec<Answer> = answers.collect();
    let n_out = scores.first().map_or(0, Vec::len);
    if let Some(file) = &args.out {
        write_atomic(file, &table(&answers, n_out)?)?;
    }
    show(&args, &answers);
    Ok(SUCCESS)
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
