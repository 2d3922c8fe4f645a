//! One golden case of the conductance family, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::tensors::{Floats, Tensors};
use crate::conductance::batch::{Batch, Population, Raster};
use crate::conductance::params::Params;
use crate::conductance::weights::{Matrix, Weights};
use crate::config::{self, ConfigError, MatrixName, shown};
use crate::data::Event;
use crate::fault::always;

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
    pub rasters: Vec<Raster>,
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
        let format = |problem: String| CaseError::Format {
            path: path.into(),
            problem,
        };
        let (_, header) =
            safetensors::SafeTensors::read_metadata(bytes).map_err(|e| format(e.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let field = |key: &str| {
            metadata
                .get(key)
                .ok_or_else(|| format(format!("its metadata has no `{key}`")))
        };
        if field("format")? != "1" {
            return Err(format(format!(
                "format {:?}, only \"1\" is known",
                field("format")?
            )));
        }
        if field("family")? != "conductance" {
            return Err(CaseError::Family {
                path: path.into(),
                family: field("family")?.clone(),
            });
        }
        let settings: Map<String, Value> = serde_json::from_str(field("config")?)
            .map_err(|e| format(format!("its `config` is no JSON object: {e}")))?;
        check_settings(path, &settings)?;
        let count = |key: &str| {
            let value = settings
                .get(key)
                .and_then(Value::as_u64)
                .filter(|&n| n < 1 << 24);
            value.map(|n| n as usize).ok_or_else(|| {
                format(format!(
                    "config key `{key}` is no whole number below {}",
                    1 << 24
                ))
            })
        };
        let (steps, n_in, n_out) = (count("steps")?, count("n_in")?, count("n_out")?);
        let (trials, adam_steps) = (count("batch")?, count("adam_steps")?);
        if [steps, n_in, n_out, trials].contains(&0) {
            return Err(format(
                "steps, n_in, n_out and batch must be above 0".into(),
            ));
        }
        let config = config_of(path, &settings, steps)?;
        let mut params = Params::new(&config, n_in, n_out);
        params.steps = steps;

        let tensors = Tensors::new(path, bytes)?;
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
        let labels = tensors.indices::<1>("labels", [n_out])?;
        if labels.len() != trials {
            return Err(format(format!(
                "{} labels for {trials} trials",
                labels.len()
            )));
        }
        let events = tensors.indices::<3>("events", [trials, steps, n_in])?;
        if !events.is_sorted() {
            return Err(format("its events are not sorted".into()));
        }
        let of_trial: Vec<Vec<Event>> = (0..trials)
            .map(|trial| {
                let own = events.iter().filter(|e| e[0] == trial);
                own.map(|e| Event {
                    step: e[1] as u32,
                    input: e[2] as u32,
                })
                .collect()
            })
            .collect();
        let batch = Batch::new(
            of_trial
                .iter()
                .zip(&labels)
                .map(|(events, label)| (&events[..], label[0] as u32)),
        );

        let passes = adam_steps.max(1);
        let matrices = |prefix: &str| -> Result<BTreeMap<MatrixName, Expected>, CaseError> {
            let mut all = BTreeMap::new();
            for name in MatrixName::ALL
                .into_iter()
                .filter(|&n| params.is_trained(n))
            {
                let (pre, post) = params.shape(name);
                let tensor = format!("expect.{prefix}.{}", name.short());
                let Floats { data, single, .. } = tensors.shaped(&tensor, &[pre, post])?;
                all.insert(
                    name,
                    Expected {
                        values: data,
                        single,
                    },
                );
            }
            Ok(all)
        };
        let mut traces = BTreeMap::new();
        for name in TRACES {
            let tensor = format!("expect.trial0.{name}");
            if tensors.has(&tensor) {
                let cells = if name.ends_with("_e") {
                    params.n_e()
                } else {
                    params.n_i()
                };
                traces.insert(name, tensors.shaped(&tensor, &[steps, cells])?.data);
            }
        }
        let losses = tensors.shaped("expect.losses", &[passes])?.data;
        let row_words = Raster::silent(0, 0, [params.n_e(), params.n_i(), n_out]).row_words();
        let raster_bytes = [4, row_words, steps, trials, passes]
            .into_iter()
            .try_fold(1usize, |product, n| product.checked_mul(n));
        if raster_bytes.is_none_or(|bytes| bytes > MAX_RASTER_BYTES) {
            return Err(format(format!(
                "{passes} rasters of {trials} trials and {steps} steps take more than the {MAX_RASTER_BYTES} bytes allowed"
            )));
        }
        let rasters = rasters(&tensors, &params, trials, passes)?;
        if rasters.iter().all(|r| r.spikes(Population::E).is_empty()) {
            return Err(format(
                "no E cell ever fires in it, so it can show nothing".into(),
            ));
        }
        Ok(Self {
            name: path
                .file_stem()
                .map_or_else(String::new, |s| s.to_string_lossy().into_owned()),
            logits: tensors.shaped("expect.logits", &[trials, n_out])?.data,
            losses,
            gradient_norms: tensors.shaped("expect.grad_norm", &[passes])?.data,
            clip_factors: tensors.shaped("expect.clip_factor", &[adam_steps])?.data,
            gradients: matrices("grad")?,
            after: if adam_steps > 0 {
                matrices("after")?
            } else {
                BTreeMap::new()
            },
            traces,
            rasters,
            float32_error: float32_error(metadata.get("float32_error")),
            params,
            adam_steps,
            weights,
            batch,
        })
    }
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
) -> Result<Vec<Raster>, CaseError> {
    let cells = [params.n_e(), params.n_i(), params.n_out];
    let mut rasters = vec![Raster::silent(trials, params.steps, cells); passes];
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
