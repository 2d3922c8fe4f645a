//! One golden case of the conductance family, read and checked.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::conductance::batch::{Batch, Population, SpikeBits};
use crate::conductance::params::Params;
use crate::conductance::settings::{Config, MatrixName, Network};
use crate::conductance::weights::{Matrix, Weights};
use crate::config;
use crate::data::Event;
use crate::parity::{CaseError, CaseFile, Floats, Tensors};
use crate::text;

/// Most memory that the rasters of a case may take, bytes. A raster is as long as the header claims,
/// whatever the size of the file.
const MAX_RASTER_BYTES: usize = 1 << 30;

/// How much plain float32 automatic differentiation loses on the case, relative (voltage and
/// conductance absolute).
#[derive(Clone, Copy, Debug, Default)]
pub struct Float32Error {
    /// Gradients.
    pub gradient: f64,
    /// Changes of the weights.
    pub change: f64,
    /// Logits and losses.
    pub logits: f64,
    /// Voltages, mV.
    pub voltage_mv: f64,
    /// Conductances, µS.
    pub conductance_us: f64,
}

/// Expected values of one matrix.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The values, flat.
    pub values: Vec<f64>,
    /// They are stored in float32.
    pub single: bool,
}

/// A network, its trials, and what an engine must compute from them.
#[derive(Clone, Debug)]
pub struct Case {
    /// File name without extension.
    pub name: String,
    /// Network and recipe.
    pub params: Params,
    /// Optimiser steps on the same batch; 0 stops at the gradient.
    pub adam_steps: usize,
    /// Stored weights before the first step.
    pub weights: Weights,
    /// The trials.
    pub batch: Batch,
    /// Spikes and resets of every optimiser step.
    pub rasters: Vec<SpikeBits>,
    /// Logits of the first step, `[trial, class]`.
    pub logits: Vec<f64>,
    /// Loss of every step.
    pub losses: Vec<f64>,
    /// Gradient norm of every step.
    pub gradient_norms: Vec<f64>,
    /// Clip factor of every step.
    pub clip_factors: Vec<f64>,
    /// Gradient of the first step.
    pub gradients: BTreeMap<MatrixName, Expected>,
    /// Weights after the last step.
    pub after: BTreeMap<MatrixName, Expected>,
    /// Traces of the first trial in the first step by name (`v_e`, `g_exc_e`, …).
    pub traces: BTreeMap<&'static str, Vec<f64>>,
    /// Losses of single precision.
    pub float32_error: Float32Error,
}

/// Names of the traces.
pub(super) const TRACES: [&str; 6] = ["v_e", "v_i", "g_exc_e", "g_inh_e", "g_exc_i", "g_inh_i"];

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// A file that cannot be read, is no case of this family, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, CaseError> {
        Self::of(&CaseFile::load(path)?)
    }

    /// Reads a case from a file that is in memory.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn of(file: &CaseFile) -> Result<Self, CaseError> {
        file.check_family("conductance")?;
        let (path, settings) = (&file.path, &file.settings);
        check_settings(file)?;
        let float32_error = float32_error(file.metadata.get("float32_error"));
        let count = |key: &str| file.count(key);
        let (steps, n_in, n_out) = (count("steps")?, count("n_in")?, count("n_out")?);
        let (trials, adam_steps) = (count("batch")?, count("adam_steps")?);
        if [steps, n_in, n_out, trials].contains(&0) {
            let problem = "steps, n_in, n_out and batch must be above 0";
            return Err(file.malformed(problem));
        }
        let config = config_of(path, settings, steps)?;
        let mut params = Params::new(&config, n_in, n_out);
        params.steps = steps;

        let tensors = file.tensors()?;
        let passes = adam_steps.max(1);
        let rasters = all_rasters(file, &tensors, &params, trials, passes)?;
        let stem = path.file_stem().unwrap_or_default();
        Ok(Self {
            name: stem.to_string_lossy().into_owned(),
            weights: weights(&tensors, &params)?,
            batch: batch(file, &tensors, &params, trials)?,
            logits: tensors.shaped("expect.logits", &[trials, n_out])?.data,
            losses: tensors.shaped("expect.losses", &[passes])?.data,
            gradient_norms: tensors.shaped("expect.grad_norm", &[passes])?.data,
            clip_factors: tensors.shaped("expect.clip_factor", &[adam_steps])?.data,
            gradients: trained(&tensors, &params, "grad")?,
            after: match adam_steps {
                0 => BTreeMap::new(),
                _ => trained(&tensors, &params, "after")?,
            },
            traces: traces(&tensors, &params)?,
            rasters,
            float32_error,
            params,
            adam_steps,
        })
    }
}

fn weights(tensors: &Tensors, params: &Params) -> Result<Weights, CaseError> {
    let mut weights = Weights::new();
    for name in MatrixName::ALL {
        let tensor = format!("w.{}", name.short());
        let optional = matches!(name, MatrixName::WEe | MatrixName::WIi);
        if optional && !tensors.has(&tensor) && !params.is_trained(name) {
            continue;
        }
        let (pre, post) = params.shape(name);
        let floats = tensors.shaped(&tensor, &[pre, post])?;
        let data = floats.data.iter().map(|&w| w as f32).collect();
        weights.insert(name, Matrix { pre, post, data });
    }
    Ok(weights)
}

fn batch(
    file: &CaseFile,
    tensors: &Tensors,
    params: &Params,
    trials: usize,
) -> Result<Batch, CaseError> {
    let labels = tensors.indices::<1>("labels", [params.n_out])?;
    if labels.len() != trials {
        let problem = format!(
            "{} for {}",
            text::count(labels.len(), "label", "labels"),
            text::count(trials, "trial", "trials")
        );
        return Err(file.malformed(problem));
    }
    let events = tensors.indices::<3>("events", [trials, params.steps, params.n_in])?;
    if !events.is_sorted() {
        return Err(file.malformed("its events are not sorted"));
    }
    let event = |e: &[usize; 3]| Event {
        step: e[1] as u32,
        input: e[2] as u32,
    };
    let of_trial = |trial| -> Vec<Event> {
        let own = events.iter().filter(|e| e[0] == trial);
        own.map(event).collect()
    };
    let of_trials: Vec<Vec<Event>> = (0..trials).map(of_trial).collect();
    let labels = labels.iter().map(|label| label[0] as u32);
    Ok(Batch::new(of_trials.iter().map(|e| &e[..]).zip(labels)))
}

/// The expected values `expect.PREFIX.MATRIX` of the trained matrices.
fn trained(
    tensors: &Tensors,
    params: &Params,
    prefix: &str,
) -> Result<BTreeMap<MatrixName, Expected>, CaseError> {
    let trained = MatrixName::ALL.into_iter();
    let expected = trained.filter(|&name| params.is_trained(name)).map(|name| {
        let (pre, post) = params.shape(name);
        let tensor = format!("expect.{prefix}.{}", name.short());
        let Floats { data, single, .. } = tensors.shaped(&tensor, &[pre, post])?;
        let values = data;
        Ok((name, Expected { values, single }))
    });
    expected.collect()
}

fn traces(
    tensors: &Tensors,
    params: &Params,
) -> Result<BTreeMap<&'static str, Vec<f64>>, CaseError> {
    let mut traces = BTreeMap::new();
    for name in TRACES {
        let tensor = format!("expect.trial0.{name}");
        if tensors.has(&tensor) {
            let cells = match name.ends_with("_e") {
                true => params.n_e(),
                false => params.n_i(),
            };
            let values = tensors.shaped(&tensor, &[params.steps, cells])?.data;
            traces.insert(name, values);
        }
    }
    Ok(traces)
}

/// The spikes of every pass; refuses what takes too much memory or could show nothing.
fn all_rasters(
    file: &CaseFile,
    tensors: &Tensors,
    params: &Params,
    trials: usize,
    passes: usize,
) -> Result<Vec<SpikeBits>, CaseError> {
    let (steps, cells) = (params.steps, [params.n_e(), params.n_i(), params.n_out]);
    let row_words = SpikeBits::silent(0, 0, cells).row_words();
    let bytes = [4, row_words, steps, trials, passes]
        .into_iter()
        .try_fold(1usize, |product, n| product.checked_mul(n));
    if bytes.is_none_or(|bytes| bytes > MAX_RASTER_BYTES) {
        return Err(file.malformed(format!(
            "{} of {} and {} take more than the {MAX_RASTER_BYTES} bytes allowed",
            text::count(passes, "raster", "rasters"),
            text::count(trials, "trial", "trials"),
            text::count(steps, "time step", "time steps")
        )));
    }
    let rasters = rasters(tensors, params, trials, passes)?;
    if rasters.iter().all(|r| r.spikes(Population::E).is_empty()) {
        let problem = "no E cell ever fires in it, so it can show nothing";
        return Err(file.malformed(problem));
    }
    Ok(rasters)
}

/// Settings that every case has.
const REQUIRED: [&str; 36] = [
    "adam_steps",
    "batch",
    "c_m_e_nf",
    "c_m_i_nf",
    "clip",
    "dale",
    "dt_ms",
    "e_exc_mv",
    "e_inh_mv",
    "e_l_mv",
    "g_l_e_us",
    "g_l_i_us",
    "grad_dampen",
    "integrator",
    "lr",
    "n_e",
    "n_i",
    "n_in",
    "n_out",
    "rate_strength",
    "rate_theta_hz",
    "readout_reset",
    "readout_threshold",
    "ref_e_ms",
    "ref_i_ms",
    "signed_loop",
    "steps",
    "surrogate_slope",
    "tau_ampa_ms",
    "tau_gaba_ms",
    "tau_out_ms",
    "trainable",
    "v_floor_mv",
    "v_reset_mv",
    "v_th_mv",
    "w_out_scale",
];

/// Settings of the network that a case may have, else the defaults hold.
const OPTIONAL_NETWORK: [&str; 4] = [
    "readout",
    "readout_slope",
    "refractory_timing",
    "synapse_kick",
];

/// Settings that say how a case was drawn.
const DRAWN: [&str; 9] = [
    "negative_fraction",
    "rate_hz",
    "seed",
    "w_ee",
    "w_ei",
    "w_ie",
    "w_ii",
    "w_in",
    "w_out",
];

/// Every setting must be known, and none that changes the network missing.
fn check_settings(file: &CaseFile) -> Result<(), CaseError> {
    file.check_settings(&REQUIRED, &[&OPTIONAL_NETWORK[..], &DRAWN].concat())
}

/// The settings of a case as a checked [`Config`].
fn config_of(
    path: &Path,
    settings: &Map<String, Value>,
    steps: usize,
) -> Result<Config, CaseError> {
    let mut network = Map::new();
    let known = Network::default();
    if let Ok(Value::Object(known)) = serde_json::to_value(known) {
        for key in known.keys().map(String::as_str).chain(OPTIONAL_NETWORK) {
            if let Some(value) = settings.get(key) {
                network.insert(key.to_owned(), value.clone());
            }
        }
    }
    let dt_ms = settings.get("dt_ms").and_then(Value::as_f64).unwrap_or(0.1);
    network.insert("duration_ms".into(), json!(dt_ms * steps as f64));
    let mut training = Map::new();
    for (ours, theirs) in [
        ("learning_rate", "lr"),
        ("clip_norm", "clip"),
        ("dale", "dale"),
        ("signed_loop", "signed_loop"),
        ("trainable", "trainable"),
        ("rate_theta_hz", "rate_theta_hz"),
        ("rate_strength", "rate_strength"),
    ] {
        if let Some(value) = settings.get(theirs) {
            training.insert(ours.into(), value.clone());
        }
    }
    let text = json!({ "name": "case", "network": network, "training": training }).to_string();
    Ok(config::resolve(
        &text,
        &format!("{} (its metadata)", path.display()),
        &[],
        None,
    )?)
}

/// Spikes and resets of every optimiser step.
fn rasters(
    tensors: &Tensors<'_>,
    params: &Params,
    trials: usize,
    passes: usize,
) -> Result<Vec<SpikeBits>, CaseError> {
    let cells = [params.n_e(), params.n_i(), params.n_out];
    let mut rasters = vec![SpikeBits::silent(trials, params.steps, cells); passes];
    for (name, population, n) in [
        ("expect.spikes_e", Population::E, cells[0]),
        ("expect.spikes_i", Population::I, cells[1]),
        ("expect.resets_out", Population::Out, cells[2]),
    ] {
        for [pass, trial, step, cell] in tensors.indices(name, [passes, trials, params.steps, n])? {
            rasters[pass].set(trial, step, population, cell);
        }
    }
    Ok(rasters)
}

/// More than this is no loss of single precision, and a case that claims it is not believed. A comparison
/// allows five times as much: 5 % of a gradient, a third of the change of weights, of which Adam makes
/// whole steps where a gradient is as good as 0.
const MOST_LOST: Float32Error = Float32Error {
    gradient: 0.01,
    change: 0.067,
    logits: 1e-3,
    voltage_mv: 0.01,
    conductance_us: 5e-5,
};

/// What the case says that single precision loses, as far as it can.
fn float32_error(text: Option<&String>) -> Float32Error {
    let parsed: Value = text
        .and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default();
    let of = |key: &str, most: f64| {
        let claimed = parsed.get(key).and_then(Value::as_f64);
        claimed.filter(|x| *x >= 0.0).map_or(0.0, |x| x.min(most))
    };
    Float32Error {
        gradient: of("grad", MOST_LOST.gradient),
        change: of("after_change", MOST_LOST.change),
        logits: of("logits", MOST_LOST.logits),
        voltage_mv: of("v_mv", MOST_LOST.voltage_mv),
        conductance_us: of("g_us", MOST_LOST.conductance_us),
    }
}
