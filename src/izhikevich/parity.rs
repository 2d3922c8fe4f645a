//! Golden cases of the family: networks with expected spikes, rates, thresholds and weights, and the comparison of the
//! CPU engine with them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cpu::CpuNetwork;
use super::engine::{TrialInput, rates_hz};
use super::network::{Network, Neuron};
use super::params::{Params, Plasticity, Redistribution};
use crate::data::Event;
use crate::device::DeviceOptions;
use crate::gpu::Selection;
use crate::parity::{CaseError, CaseFile, CaseReport, ParityError, Precision};
use crate::real::Real;
use crate::text::count;

/// The name of the family in cases.
pub const FAMILY: &str = "izhikevich";

/// Settings that every case has.
const REQUIRED: [&str; 21] = [
    "classes",
    "decay",
    "dt_ms",
    "eta",
    "eta_inhibitory",
    "inhibitory_rule",
    "lam",
    "n_hidden",
    "n_in",
    "n_lateral",
    "n_out",
    "r0_hz",
    "steps",
    "supervised",
    "tau_exc_ms",
    "tau_inh_ms",
    "tau_theta_trials",
    "theta0_hz",
    "trials",
    "w_max_factor",
    "w_max_factor_inhibitory",
];

/// Settings that only say how a case was drawn.
const OPTIONAL: [&str; 5] = [
    "hidden_inhibitory",
    "rate_max_hz",
    "seed",
    "w0",
    "w0_inhibitory",
];

/// A network, its trials, and what an engine must compute from them.
#[derive(Clone, Debug)]
pub struct Case {
    /// File name without extension.
    pub name: String,
    /// Sizes and rules.
    pub params: Params,
    /// Cells and synapses.
    pub network: Network,
    /// Input events of each trial.
    pub events: Vec<Vec<Event>>,
    /// Class of each trial, where cells are taught it.
    pub targets: Vec<Option<u32>>,
    /// Trial, step and neuron of every spike.
    pub spikes: Vec<[usize; 3]>,
    /// Rates of the neurons in each trial, Hz.
    pub rates_hz: Vec<f64>,
    /// Sliding thresholds after each trial, Hz.
    pub theta_hz: Vec<f64>,
    /// Weights after the last trial, `[pre, post]`.
    pub after: Vec<f64>,
}

impl Case {
    /// Reads a case from a file that is in memory.
    ///
    /// # Errors
    /// What is no case of this family, or contradicts itself.
    pub fn of(file: &CaseFile) -> Result<Self, CaseError> {
        file.check_family(FAMILY)?;
        file.check_settings(&REQUIRED, &OPTIONAL)?;
        let params = params_of(file)?;
        let (n, pre_cells) = (params.neurons, params.pre_cells());
        let [trials, classes] = [file.count("trials")?, file.count("classes")?];
        if trials == 0 {
            return Err(file.wrong_setting("trials", "must be above 0"));
        }
        let tensors = file.tensors()?;
        let singles = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
        let abcd = singles(tensors.shaped("abcd", &[4, n])?.data);
        let neuron = |j: usize| Neuron {
            a: abcd[j],
            b: abcd[n + j],
            c: abcd[2 * n + j],
            d: abcd[3 * n + j],
        };
        let of_pre = singles(tensors.shaped("w_default", &[pre_cells])?.data);
        let learns = tensors.flags("mask", &[pre_cells, n])?;
        let w_default = learns.iter().enumerate();
        let network = Network {
            neurons: (0..n).map(neuron).collect(),
            inhibits: tensors.flags("inhibitory", &[pre_cells])?,
            classes: tensors.optional_classes("class", &[n], classes)?,
            w_default: w_default
                .map(|(at, exists)| if *exists { of_pre[at / n] } else { 0.0 })
                .collect(),
            learns,
            weights: singles(tensors.shaped("w", &[pre_cells, n])?.data),
        };
        let none = network.learns.iter().zip(&network.weights);
        if none.clone().any(|(exists, w)| !exists && *w != 0.0) {
            return Err(file.malformed("it has weights of synapses that are not there"));
        }
        let rows = tensors.indices::<3>("events", [trials, params.steps, params.n_in])?;
        if !rows.is_sorted() {
            return Err(file.malformed("its events are not sorted"));
        }
        let of_trial = |trial: usize| {
            let own = rows.iter().filter(|row| row[0] == trial);
            let event = |row: &[usize; 3]| Event {
                step: row[1] as u32,
                input: row[2] as u32,
            };
            own.map(event).collect()
        };
        let targets = tensors.classes("target", &[trials], classes)?;
        let is_supervised = file.settings["supervised"] == Value::Bool(true);
        Ok(Self {
            name: file.name(),
            events: (0..trials).map(of_trial).collect(),
            targets: targets
                .into_iter()
                .map(|class| Some(class).filter(|_| is_supervised))
                .collect(),
            spikes: tensors.indices::<3>("expect.spikes", [trials, params.steps, n])?,
            rates_hz: tensors.shaped("expect.rates_hz", &[trials, n])?.data,
            theta_hz: tensors.shaped("expect.theta_hz", &[trials, n])?.data,
            after: tensors.shaped("expect.w_after", &[pre_cells, n])?.data,
            params,
            network,
        })
    }
}

fn params_of(file: &CaseFile) -> Result<Params, CaseError> {
    let positive = |key: &str| {
        let value = file.settings.get(key).and_then(Value::as_f64);
        let value = value.filter(|x| x.is_finite() && *x > 0.0);
        value.ok_or_else(|| file.wrong_setting(key, "is no number above 0"))
    };
    let at_least_zero = |key: &str| {
        let value = file.settings.get(key).and_then(Value::as_f64);
        let value = value.filter(|x| x.is_finite() && *x >= 0.0);
        value.ok_or_else(|| file.wrong_setting(key, "is no number of 0 or more"))
    };
    if !file.settings["supervised"].is_boolean() {
        return Err(file.wrong_setting("supervised", "must be true or false"));
    }
    let neurons = file.count("n_hidden")? + file.count("n_out")? + file.count("n_lateral")?;
    for (key, value) in [
        ("n_in", file.count("n_in")?),
        ("steps", file.count("steps")?),
        ("n_out", neurons),
    ] {
        if value == 0 {
            return Err(file.wrong_setting(key, "must be above 0"));
        }
    }
    Ok(Params {
        n_in: file.count("n_in")?,
        neurons,
        steps: file.count("steps")?,
        dt_ms: positive("dt_ms")?,
        tau_exc_ms: positive("tau_exc_ms")?,
        tau_inh_ms: positive("tau_inh_ms")?,
        plasticity: Plasticity {
            r0_hz: positive("r0_hz")?,
            eta: at_least_zero("eta")?,
            tau_theta_trials: positive("tau_theta_trials")?,
            theta0_hz: at_least_zero("theta0_hz")?,
            decay: choice(file, "decay")?,
            lambda: at_least_zero("lam")?,
            inhibitory_rule: choice(file, "inhibitory_rule")?,
            eta_inhibitory: at_least_zero("eta_inhibitory")?,
            w_max_factor: at_least_zero("w_max_factor")?,
            w_max_factor_inhibitory: at_least_zero("w_max_factor_inhibitory")?,
            ..Plasticity::default()
        },
        redistribution: Redistribution::default(),
    })
}

fn choice<T: DeserializeOwned>(file: &CaseFile, key: &str) -> Result<T, CaseError> {
    let value = serde_json::from_value(file.settings[key].clone());
    value.map_err(|error| file.wrong_setting(key, error.to_string()))
}

/// Compares the CPU engine with a case.
///
/// # Errors
/// What is no case of this family, or a GPU. A wrong result is no error but a failed row.
pub fn compare(
    file: &CaseFile,
    precision: Precision,
    selection: &Selection,
    _: &DeviceOptions,
) -> Result<CaseReport, ParityError> {
    let case = Case::of(file)?;
    if matches!(selection, Selection::Adapter { .. }) {
        return Err(ParityError::Case(CaseError::ProcessorAlone {
            path: file.path.clone(),
            family: file.family.clone(),
        }));
    }
    Ok(match precision {
        Precision::F32 => run::<f32>(&case, [1e-4, 1e-2]),
        Precision::F64 => run::<f64>(&case, [1e-9, 1e-6]),
    })
}

/// `tolerances`: of rates and thresholds, and of the change of the weights.
fn run<R: Real>(case: &Case, [of_rates, of_change]: [f64; 2]) -> CaseReport {
    let mut engine = CpuNetwork::<R>::new(case.params.clone(), case.network.clone());
    let (mut spikes, mut rates, mut theta) = (Vec::new(), Vec::new(), Vec::new());
    for (trial, (events, target)) in case.events.iter().zip(&case.targets).enumerate() {
        let input = TrialInput {
            events: events.clone(),
            target: *target,
            ..TrialInput::default()
        };
        let done = engine.run(&input, true);
        engine.learn(&done.counts, *target);
        let own = done.spikes.iter();
        spikes.extend(own.map(|&[step, neuron]| [trial, step as usize, neuron as usize]));
        rates.extend(rates_hz(&case.params, &done));
        theta.extend(engine.theta_hz());
    }
    let mut report = CaseReport {
        case: case.name.clone(),
        sizes: [
            count(case.params.n_in, "input", "inputs"),
            count(case.params.neurons, "neuron", "neurons"),
            count(case.params.steps, "step", "steps"),
            count(case.events.len(), "trial", "trials"),
        ]
        .join(", "),
        ..CaseReport::default()
    };
    let wrong = case
        .spikes
        .iter()
        .filter(|spike| spikes.binary_search(spike).is_err())
        .count()
        + spikes
            .iter()
            .filter(|spike| case.spikes.binary_search(spike).is_err())
            .count();
    report.count("spikes", wrong, String::new());
    report.norm("rates".into(), &rates, &case.rates_hz, of_rates, 1e-7);
    report.norm("thresholds".into(), &theta, &case.theta_hz, of_rates, 1e-7);
    let change = |after: &[f64]| -> Vec<f64> {
        let pairs = after.iter().zip(&case.network.weights);
        pairs
            .map(|(after, &before)| after - f64::from(before))
            .collect()
    };
    let floor = 1e-9 * (case.after.len() as f64).sqrt();
    let after = engine.weights();
    // The expected weights are in single precision.
    let rounding = case
        .after
        .iter()
        .map(|w| (f64::from(f32::EPSILON) * 0.5 * w).powi(2))
        .sum::<f64>()
        .sqrt();
    report.norm(
        "weight change".into(),
        &change(&after),
        &change(&case.after),
        of_change,
        floor + rounding,
    );
    report
}
