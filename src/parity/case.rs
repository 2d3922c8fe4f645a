//! One golden case of the conductance family, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::tensors::{Floats, Tensors};
use crate::conductance::batch::{Batch, Population, SpikeBits};
use crate::conductance::params::Params;
use crate::conductance::weights::{Matrix, Weights};
use crate::config::{self, ConfigError, MatrixName, shown};
use crate::data::Event;
use crate::fault::always;
use crate::text;

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 1 << 30;

/// Most memory that the rasters of a case may take, bytes. A raster is as long as the header claims,
/// whatever the size of the file.
const MAX_RASTER_BYTES: usize = 1 << 30;

/// Why a file is no usable case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is not a case.
    #[error("{path}: not a golden case: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A case of a family that cannot be run.
    #[error("{path}: family {family:?}; only \"conductance\" can be run")]
    Family {
        /// The file.
        path: PathBuf,
        /// Its family.
        family: String,
    },
    /// A setting is missing, or nobody here knows what it means.
    #[error("{path}: setting `{key}` {problem}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor is missing or wrong.
    #[error("{path}: tensor `{name}` {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The case's settings are impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

always!(CaseError => User);

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
        let io = |source| CaseError::Io {
            path: path.into(),
            source,
        };
        let format = |problem: String| CaseError::Format {
            path: path.into(),
            problem,
        };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            return Err(format(format!(
                "{size} bytes are more than the {MAX_BYTES} allowed"
            )));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        Self::parse(path, &bytes)
    }

    /// Reads a case from memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CaseError> {
        let (settings, float32_error) = settings(path, bytes)?;
        check_settings(path, &settings)?;
        let count = |key: &str| count(path, &settings, key);
        let (steps, n_in, n_out) = (count("steps")?, count("n_in")?, count("n_out")?);
        let (trials, adam_steps) = (count("batch")?, count("adam_steps")?);
        if [steps, n_in, n_out, trials].contains(&0) {
            let problem = "steps, n_in, n_out and batch must be above 0";
            return Err(malformed(path, problem));
        }
        let config = config_of(path, &settings, steps)?;
        let mut params = Params::new(&config, n_in, n_out);
        params.steps = steps;

        let tensors = Tensors::new(path, bytes)?;
        let passes = adam_steps.max(1);
        let rasters = all_rasters(path, &tensors, &params, trials, passes)?;
        let stem = path.file_stem().unwrap_or_default();
        Ok(Self {
            name: stem.to_string_lossy().into_owned(),
            weights: weights(&tensors, &params)?,
            batch: batch(path, &tensors, &params, trials)?,
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

fn malformed(path: &Path, problem: impl Into<String>) -> CaseError {
    CaseError::Format {
        path: path.into(),
        problem: problem.into(),
    }
}

/// The settings of a case of this family, and what single precision loses on it.
fn settings(path: &Path, bytes: &[u8]) -> Result<(Map<String, Value>, Float32Error), CaseError> {
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes)
        .map_err(|e| malformed(path, e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let field = |key: &str| {
        let value = metadata.get(key);
        value.ok_or_else(|| malformed(path, format!("its metadata has no `{key}`")))
    };
    let format = field("format")?;
    if format != "1" {
        return Err(malformed(
            path,
            format!("format {format:?}, only \"1\" is known"),
        ));
    }
    let family = field("family")?;
    if family != "conductance" {
        return Err(CaseError::Family {
            path: path.into(),
            family: family.clone(),
        });
    }
    let settings = serde_json::from_str(field("config")?)
        .map_err(|e| malformed(path, format!("its `config` is no JSON object: {e}")))?;
    Ok((settings, float32_error(metadata.get("float32_error"))))
}

/// A setting that is a whole number and no larger than any case needs.
fn count(path: &Path, settings: &Map<String, Value>, key: &str) -> Result<usize, CaseError> {
    const LIMIT: u64 = 1 << 24;
    let value = settings.get(key).and_then(Value::as_u64);
    let value = value.filter(|&n| n < LIMIT).map(|n| n as usize);
    value.ok_or_else(|| {
        let problem = format!("config key `{key}` is no whole number below {LIMIT}");
        malformed(path, problem)
    })
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
    path: &Path,
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
        return Err(malformed(path, problem));
    }
    let events = tensors.indices::<3>("events", [trials, params.steps, params.n_in])?;
    if !events.is_sorted() {
        return Err(malformed(path, "its events are not sorted"));
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
    path: &Path,
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
        return Err(malformed(
            path,
            format!(
                "{} of {} and {} take more than the {MAX_RASTER_BYTES} bytes allowed",
                text::count(passes, "raster", "rasters"),
                text::count(trials, "trial", "trials"),
                text::count(steps, "time step", "time steps")
            ),
        ));
    }
    let rasters = rasters(tensors, params, trials, passes)?;
    if rasters.iter().all(|r| r.spikes(Population::E).is_empty()) {
        let problem = "no E cell ever fires in it, so it can show nothing";
        return Err(malformed(path, problem));
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

/// Settings that a case may have: the read-out (else `mem_mean`), and how the case was drawn.
const OPTIONAL: [&str; 10] = [
    "readout",
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
fn check_settings(path: &Path, settings: &Map<String, Value>) -> Result<(), CaseError> {
    let wrong = |key: &str, problem: String| CaseError::Setting {
        path: path.into(),
        key: key.to_owned(),
        problem,
    };
    if let Some(key) = REQUIRED.iter().find(|key| !settings.contains_key(**key)) {
        return Err(wrong(key, "is missing".into()));
    }
    let is_known = |key: &str| REQUIRED.contains(&key) || OPTIONAL.contains(&key);
    match settings.iter().find(|(key, _)| !is_known(key)) {
        Some((key, value)) => {
            let value = shown(&value.to_string());
            let problem =
                format!("is {value}, and this version does not know it; the case cannot be run");
            Err(wrong(key, problem))
        }
        None => Ok(()),
    }
}

/// The settings of a case as a checked [`config::Config`].
fn config_of(
    path: &Path,
    settings: &Map<String, Value>,
    steps: usize,
) -> Result<config::Config, CaseError> {
    let mut network = Map::new();
    let known = config::Network::default();
    if let Ok(Value::Object(known)) = serde_json::to_value(known) {
        for key in known.keys() {
            if let Some(value) = settings.get(key) {
                network.insert(key.clone(), value.clone());
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
    Ok(config::parse(
        &text,
        &format!("{} (its metadata)", path.display()),
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
