//! Golden cases of the family: networks with expected outputs, gradients, weights and spectra, and the comparison of an
//! engine with them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::batch::{Batch, Targets};
use super::cpu::{CpuEngine, effective_matrix};
use super::engine::{Engine, EngineError, Quantity};
use super::open::open_selected;
use super::params::{Kind, Loss, Params, Recipe};
use super::weights::{Layout, TensorSpec};
use crate::device::DeviceOptions;
use crate::gpu::Selection;
use crate::parity::{CaseError, CaseFile, CaseReport, ParityError, Precision};
use crate::spectra::{singular_values, svd_entropy};
use crate::text::count;

/// Settings that every case has.
const REQUIRED: [&str; 11] = [
    "batch",
    "clip",
    "inhibitory_fraction",
    "kind",
    "layers",
    "loss",
    "lr",
    "n_in",
    "n_out",
    "sgd_steps",
    "steps",
];

/// Settings that only say how a case was drawn.
const OPTIONAL: [&str; 2] = ["positive_input", "seed"];

/// More than this is no loss of single precision, and a case that claims it is not believed.
const MOST_LOST: f64 = 0.01;

/// A network, its trials, and what an engine must compute from them.
#[derive(Clone, Debug)]
pub struct Case {
    /// File name without extension.
    pub name: String,
    /// Network and recipe.
    pub params: Params,
    /// Where its tensors lie.
    pub layout: Layout,
    /// Stored weights before the first step, flat.
    pub weights: Vec<f32>,
    /// The trials.
    pub batch: Batch,
    /// Optimiser steps on the same batch.
    pub sgd_steps: usize,
    /// Outputs of the first step, `[step, trial, output]`.
    pub outputs: Vec<f64>,
    /// Loss of every step.
    pub losses: Vec<f64>,
    /// Gradient of the first step, flat, before correction and clipping.
    pub gradient: Vec<f64>,
    /// Weights after the last step, flat.
    pub after: Vec<f64>,
    /// Entropy of the singular values of each layer's recurrent matrix.
    pub svd_entropy: Vec<f64>,
    /// Singular values of the first layer's recurrent matrix.
    pub singular_values: Vec<f64>,
    /// What single precision loses, relative, by quantity.
    pub float32_error: BTreeMap<String, f64>,
}

impl Case {
    /// Reads a case from a file that is in memory.
    ///
    /// # Errors
    /// What is no case of this family, or contradicts itself.
    pub fn of(file: &CaseFile) -> Result<Self, CaseError> {
        file.check_family("rate_rnn")?;
        file.check_settings(&REQUIRED, &OPTIONAL)?;
        let params = params_of(file)?;
        let layout = Layout::new(&params);
        let [steps, trials, sgd_steps] = [
            file.count("steps")?,
            file.count("batch")?,
            file.count("sgd_steps")?,
        ];
        let tensors = file.tensors()?;
        let flat = |prefix: &str| -> Result<Vec<f64>, CaseError> {
            let mut flat = Vec::new();
            for spec in &layout.tensors {
                let name = format!("{prefix}.{}", spec.name);
                flat.extend(tensors.shaped(&name, &spec.shape)?.data);
            }
            Ok(flat)
        };
        let n_out = params.n_out;
        let x = tensors.shaped("x", &[steps, trials, params.n_in])?.data;
        let targets = match params.loss {
            Loss::MseLast => {
                let values = tensors.shaped("y", &[trials, n_out])?.data;
                Targets::Values(values.into_iter().map(|x| x as f32).collect())
            }
            Loss::CrossEntropyLast => Targets::Classes(tensors.classes("y", &[trials], n_out)?),
            Loss::CrossEntropyAll => {
                Targets::Classes(tensors.classes("y", &[steps, trials], n_out)?)
            }
        };
        let weights: Vec<f32> = flat("p")?.into_iter().map(|w| w as f32).collect();
        let units = params.layers[0];
        Ok(Self {
            name: file.name(),
            weights,
            batch: Batch {
                steps,
                trials,
                x: x.into_iter().map(|x| x as f32).collect(),
                targets,
            },
            sgd_steps,
            outputs: tensors
                .shaped("expect.outputs", &[steps, trials, n_out])?
                .data,
            losses: tensors.shaped("expect.losses", &[sgd_steps])?.data,
            gradient: flat("expect.grad")?,
            after: flat("expect.after")?,
            svd_entropy: tensors
                .shaped("expect.svd_entropy", &[params.layers.len()])?
                .data,
            singular_values: tensors.shaped("expect.singular_values.l0", &[units])?.data,
            float32_error: float32_error(file),
            params,
            layout,
        })
    }

    /// Entropies of the recurrent matrices, and singular values of the first.
    fn spectra(&self) -> (Vec<f64>, Vec<f64>) {
        let stored: Vec<f64> = self.weights.iter().map(|&w| f64::from(w)).collect();
        let values = |link: usize| {
            let link = &self.layout.links[link];
            let matrix = effective_matrix(&self.layout, link, &stored);
            // What did not converge is compared as missing.
            singular_values(&matrix, [link.post, link.pre]).unwrap_or_default()
        };
        let layers = self.layout.layers.iter();
        let all: Vec<Vec<f64>> = layers.map(|layer| values(layer.recurrent)).collect();
        let entropies = all.iter().map(|values| svd_entropy(values)).collect();
        (entropies, all.into_iter().next().unwrap_or_default())
    }
}

fn params_of(file: &CaseFile) -> Result<Params, CaseError> {
    let wrong = |key: &str, problem: &str| file.wrong_setting(key, problem);
    let number = |key: &str| {
        let value = file.settings[key].as_f64().filter(|x| x.is_finite());
        value.ok_or_else(|| wrong(key, "is no number"))
    };
    let clip_norm = match &file.settings["clip"] {
        Value::Null => None,
        _ => Some(number("clip")?).filter(|clip| *clip > 0.0),
    };
    let layers: Option<Vec<usize>> = file.settings["layers"].as_array().and_then(|layers| {
        let units = layers
            .iter()
            .map(|n| n.as_u64().filter(|n| (1..1 << 16).contains(n)));
        units.map(|n| n.map(|n| n as usize)).collect()
    });
    let layers = layers.filter(|layers| (1..=64).contains(&layers.len()));
    let fraction = number("inhibitory_fraction")?;
    let parse = |key: &str| file.settings[key].clone();
    let kind: Kind =
        serde_json::from_value(parse("kind")).map_err(|e| wrong("kind", &e.to_string()))?;
    let loss: Loss =
        serde_json::from_value(parse("loss")).map_err(|e| wrong("loss", &e.to_string()))?;
    let counts = ["n_in", "n_out", "steps", "batch", "sgd_steps"];
    for key in counts {
        if file.count(key)? == 0 {
            return Err(wrong(key, "must be above 0"));
        }
    }
    if !(0.0..=1.0).contains(&fraction) {
        return Err(wrong("inhibitory_fraction", "must be 0 to 1"));
    }
    Ok(Params {
        kind,
        n_in: file.count("n_in")?,
        n_out: file.count("n_out")?,
        layers: layers.ok_or_else(|| wrong("layers", "is no list of 1 to 64 numbers of units"))?,
        inhibitory_fraction: fraction,
        loss,
        recipe: Recipe::descent(number("lr")?, clip_norm),
    })
}

/// What the case says that single precision loses.
fn float32_error(file: &CaseFile) -> BTreeMap<String, f64> {
    let text = file.metadata.get("float32_error");
    let parsed: BTreeMap<String, f64> = text
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let believed = parsed.into_iter().filter(|(_, x)| *x >= 0.0);
    believed.map(|(key, x)| (key, x.min(MOST_LOST))).collect()
}

/// Compares the engine of a selected device with a case.
///
/// # Errors
/// What is no case of this family, or an engine that fails.
pub fn compare(
    file: &CaseFile,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<CaseReport, ParityError> {
    let case = Case::of(file)?;
    let compare = || -> Result<CaseReport, EngineError> {
        let mut engine = engine(&case, precision, selection, options)?;
        run(&case, precision, engine.as_mut())
    };
    compare().map_err(|error| ParityError::Engine(Box::new(error)))
}

fn engine(
    case: &Case,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let (params, weights) = (case.params.clone(), &case.weights);
    if precision == Precision::F64 {
        let engine = CpuEngine::<f64>::new(params, weights, options.threads())?;
        return Ok(Box::new(engine));
    }
    let shape = [case.batch.steps, case.batch.trials];
    Ok(open_selected(selection.clone(), params, weights, options, shape)?.engine)
}

/// Compares an engine that was built for the case, and has not learnt yet, with its expected values.
///
/// # Errors
/// An engine that fails. A wrong result is no error but a failed row.
pub fn run(
    case: &Case,
    precision: Precision,
    engine: &mut dyn Engine,
) -> Result<CaseReport, EngineError> {
    let pick = |single: f64, double: f64, key: &str| match precision {
        Precision::F64 => double,
        Precision::F32 => single.max(5.0 * case.float32_error.get(key).copied().unwrap_or(0.0)),
    };
    let mut report = CaseReport {
        case: case.name.clone(),
        sizes: sizes(case),
        ..CaseReport::default()
    };
    let tolerance = pick(1e-4, 1e-9, "logits");
    let forward = engine.forward(&case.batch, true)?;
    report.norm(
        "outputs".into(),
        &forward.outputs,
        &case.outputs,
        tolerance,
        1e-7,
    );
    for (step, expected) in case.losses.iter().enumerate() {
        let loss = engine.gradient(&case.batch)?.mean_loss();
        report.norm(
            format!("loss step {step}"),
            &[loss],
            &[*expected],
            tolerance,
            1e-7,
        );
        if step == 0 {
            let gradient = engine.read(Quantity::Gradient)?;
            compare_gradients(
                &mut report,
                case,
                &gradient,
                precision,
                pick(1e-3, 1e-9, "grad"),
            );
        }
        engine.step()?;
    }
    let after = engine.read(Quantity::Weights)?;
    for spec in &case.layout.tensors {
        let before = &case.weights[spec.range()];
        let change = |after: &[f64]| -> Vec<f64> {
            let pairs = part(after, spec).iter().zip(before);
            pairs.map(|(a, &b)| a - f64::from(b)).collect()
        };
        let floor = 1e-9 * (spec.len() as f64).sqrt();
        let quantity = format!("weight change {}", spec.name);
        let tolerance = pick(1e-2, 1e-6, "after_change");
        report.norm(
            quantity,
            &change(&after),
            &change(&case.after),
            tolerance,
            floor,
        );
    }
    let (entropies, values) = case.spectra();
    let tolerance = pick(1e-4, 1e-9, "");
    let largest = case.singular_values.iter().copied().fold(0.0, f64::max);
    report.norm(
        "svd entropy".into(),
        &entropies,
        &case.svd_entropy,
        tolerance,
        1e-6,
    );
    let quantity = "singular values l0".into();
    report.norm(
        quantity,
        &values,
        &case.singular_values,
        tolerance,
        1e-6 * largest,
    );
    Ok(report)
}

fn compare_gradients(
    report: &mut CaseReport,
    case: &Case,
    gradient: &[f64],
    precision: Precision,
    tolerance: f64,
) {
    let whole = case.gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
    let floor = match precision {
        Precision::F32 => 1e-6 * whole,
        Precision::F64 => 1e-12 * whole,
    };
    for spec in &case.layout.tensors {
        let (ours, expected) = (part(gradient, spec), part(&case.gradient, spec));
        report.norm(
            format!("gradient {}", spec.name),
            ours,
            expected,
            tolerance,
            floor,
        );
    }
}

/// The entries of a tensor; none where the vector is too short.
fn part<'a>(flat: &'a [f64], spec: &TensorSpec) -> &'a [f64] {
    flat.get(spec.range()).unwrap_or_default()
}

fn sizes(case: &Case) -> String {
    let units: Vec<String> = case.params.layers.iter().map(usize::to_string).collect();
    [
        format!("{} units", units.join(" + ")),
        count(case.batch.steps, "step", "steps"),
        count(case.batch.trials, "trial", "trials"),
    ]
    .join(", ")
}
