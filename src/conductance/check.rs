//! What is checked of this family on a device: golden cases and training with every form of the backward pass, the forms
//! against each other, and spikes against those of the CPU.

use std::sync::Arc;

use super::batch::{Population, Request};
use super::engine::{Engine, Quantity};
use super::experiment::ExperimentError;
use super::gpu::forms_on;
use super::model::Trials;
use super::open::open_selected;
use super::params::Params;
use super::settings::{Config, MatrixName};
use super::weights::{Weights, draw_initial};
use super::{bench, parity};
use crate::bench::BenchOptions;
use crate::check::{BuiltInCase, Checked, Checklist, Verdict};
use crate::data::{Samples, digits};
use crate::device::{BackwardChoice, BackwardForm, DeviceOptions};
use crate::gpu::Selection;
use crate::parity::ParityError;
use crate::summary::Summary;
use crate::text::count;

macro_rules! cases {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltInCase {
            name: $name,
            bytes: include_bytes!(concat!("../../tests/golden/", $name, ".safetensors")),
        }),*]
    };
}

/// Cases inside the program: the smallest networks, the loop and its training, every size that is no multiple of a
/// tile, and what happens exactly at threshold.
const CASES: &[BuiltInCase] = cases!(
    "batch1_tiny",
    "threshold_exact",
    "threshold_exact_all",
    "ping",
    "coba",
    "loop_trained_signed",
    "all_recurrent",
    "prime_sizes",
    "readout_rate",
);

/// Trials, optimiser steps and time steps of the small training.
const TRIALS: usize = 32;
const STEPS: usize = 4;

/// Checks this family on a device.
pub fn check(checked: &Checked<'_>, checklist: &mut Checklist<'_>) {
    let mut forms = match &checked.target.selection {
        Selection::Adapter { adapter, .. } => forms_on(&adapter.info().limits),
        Selection::CpuEngine { .. } => vec![BackwardForm::default()],
    };
    // With so few trials it does the same as the other.
    forms.retain(|form| *form != BackwardForm::Persistent4);
    for case in CASES {
        for form in &forms {
            let name = match forms.len() {
                1 => format!("case {}", case.name),
                _ => format!("case {}, {}", case.name, form.name()),
            };
            checklist.case(&name, || {
                let file = case.file().map_err(ParityError::Case)?;
                let options = options(checked, *form);
                parity::compare(
                    &file,
                    checked.precision,
                    &checked.target.selection,
                    &options,
                )
            });
        }
    }
    let mut trained = Vec::new();
    for form in &forms {
        let name = match forms.len() {
            1 => "conductance: training twice".to_owned(),
            _ => format!("conductance: training twice, {}", form.name()),
        };
        checklist.check(&name, || -> Result<_, ExperimentError> {
            let (first, second) = (train(checked, *form)?, train(checked, *form)?);
            let same = first == second;
            trained.push(first);
            let steps = count(STEPS, "optimiser step", "optimiser steps");
            Ok((
                Verdict::of(same),
                match same {
                    true => format!("{steps} give the same bits"),
                    false => format!("{steps} give other weights the second time"),
                },
            ))
        });
    }
    if let [first, others @ ..] = &trained[..]
        && !others.is_empty()
    {
        checklist.check("conductance: forms of the backward pass", || {
            Ok::<_, ExperimentError>(compared(first, others))
        });
    }
    if checked.target.is_gpu() {
        checklist.check("conductance: spikes of the CPU", || spikes(checked));
    }
}

fn options(checked: &Checked<'_>, form: BackwardForm) -> DeviceOptions {
    DeviceOptions {
        backward: BackwardChoice::Form(form),
        ..checked.target.options
    }
}

/// A small network with a loop that learns, and trials of it.
fn subject() -> Result<(Params, Weights, Trials), ExperimentError> {
    let mut config = Config::default();
    config.network.n_e = 96;
    config.network.n_i = 33;
    config.network.duration_ms = 20.0;
    config.weights.in_mean_us = 6.0;
    config.encoding.rate_hz = 100.0;
    config.training.trainable = vec![
        MatrixName::WIn,
        MatrixName::WOut,
        MatrixName::WEi,
        MatrixName::WIe,
    ];
    let samples = Samples::Images(digits(TRIALS, 1));
    let params = Params::new(&config, samples.inputs(), samples.classes());
    let weights = draw_initial(&params, &config.weights, config.seeds.weights);
    let trials = Trials {
        samples: Arc::new(samples),
        steps: params.steps,
        dt_ms: params.network.dt_ms,
        rate_hz: config.encoding.rate_hz,
        noise_seed: config.seeds.noise,
    };
    Ok((params, weights, trials))
}

/// Every bit of the weights after a few steps.
fn train(checked: &Checked<'_>, form: BackwardForm) -> Result<Vec<f64>, ExperimentError> {
    let (params, weights, trials) = subject()?;
    let selection = checked.target.selection.clone();
    let options = options(checked, form);
    let mut engine = open_selected(selection, &params, &weights, &options, TRIALS)?.engine;
    let batch = trials.evaluation_batch(&(0..TRIALS).collect::<Vec<_>>())?;
    for _ in 0..STEPS {
        engine.gradient(&batch, Request::default())?;
        engine.step()?;
    }
    let weights = engine.read(Quantity::Weights)?;
    Ok(weights.into_values().flatten().collect())
}

/// Weights trained by two forms.
fn compared(first: &[f64], others: &[Vec<f64>]) -> (Verdict, String) {
    if others.iter().all(|other| first == other) {
        return (Verdict::Holds, "all give the same bits".into());
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let share_of = |other: &Vec<f64>| {
        norm(&mut first.iter().zip(other).map(|(a, b)| a - b)) / norm(&mut first.iter().copied())
    };
    let shares: Vec<f64> = others.iter().map(share_of).collect();
    let share = shares.iter().copied().fold(0.0, f64::max);
    let verdict = match shares.iter().all(|share| *share <= 1e-4) {
        true => Verdict::Noted,
        false => Verdict::Fails,
    };
    let seen = format!(
        "they differ by up to {share:.1e} of the weights; a run keeps the form that it began with"
    );
    (verdict, seen)
}

/// In how many trials the device and the CPU have the same spikes.
fn spikes(checked: &Checked<'_>) -> Result<(Verdict, String), ExperimentError> {
    let (params, weights, trials) = subject()?;
    let batch = trials.evaluation_batch(&(0..TRIALS).collect::<Vec<_>>())?;
    let cpu = Selection::CpuEngine {
        reason: String::new(),
    };
    let raster = |selection: Selection| -> Result<_, ExperimentError> {
        let options = &checked.target.options;
        let mut opened = open_selected(selection, &params, &weights, options, TRIALS)?;
        let request = Request {
            raster: true,
            ..Request::default()
        };
        let engine: &mut dyn Engine = opened.engine.as_mut();
        Ok(engine.forward(&batch, request)?.raster)
    };
    let (Some(here), Some(there)) = (raster(checked.target.selection.clone())?, raster(cpu)?)
    else {
        return Ok((Verdict::Fails, "no spikes were recorded".into()));
    };
    let of = |raster: &super::batch::SpikeBits, trial: usize| {
        [Population::E, Population::I].map(|p| {
            raster
                .spikes(p)
                .into_iter()
                .filter(|s| s.0 == trial)
                .collect::<Vec<_>>()
        })
    };
    let same = (0..TRIALS)
        .filter(|&trial| of(&here, trial) == of(&there, trial))
        .count();
    let total = [&here, &there].map(|raster| raster.spikes(Population::E).len() as f64);
    let (verdict, rates) = match (total[0] - total[1]).abs() <= 0.02 * total[1] && total[1] > 0.0 {
        true if same == TRIALS => (Verdict::Holds, ""),
        true => (
            Verdict::Noted,
            "; the others part at a spike that is as good as at threshold",
        ),
        false => (Verdict::Fails, "; the others have another rate"),
    };
    Ok((
        verdict,
        format!(
            "the same in {same} of {}{rates}",
            count(TRIALS, "trial", "trials")
        ),
    ))
}

/// How fast networks of this family train and run.
///
/// # Errors
/// A device that fails.
pub fn speed(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Summary, ExperimentError> {
    let networks = ["ping", "coba"].map(str::to_owned).into();
    bench::run(
        &BenchOptions {
            networks,
            ..options.clone()
        },
        progress,
    )
}
