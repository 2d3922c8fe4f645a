//! Golden cases of the family: networks with expected spikes, rates, thresholds and weights, and the comparison of the
//! CPU engine with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cpu::CpuNetwork;
use super::engine::{Engine, EngineError, Trial, TrialInput, rates_hz};
use super::network::{Network, Neuron};
use super::open::open_selected;
use super::params::{Params, Plasticity, Redistribution};
use crate::data::Event;
use crate::device::DeviceOptions;
use crate::gpu::Selection;
use crate::parity::{CaseError, CaseFile, CaseReport, ParityError, Precision};
use crate::random::{Purpose, Stream};
use crate::real::Real;
use crate::text::count;

/// The name of the family in cases.
pub const FAMILY: &str = "izhikevich";

/// Runs by which the reach of rounding is found.
const DISTURBED_RUNS: u64 = 64;

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

/// Compares the engine of a selected device with a case.
///
/// # Errors
/// What is no case of this family, double precision on a GPU, or a device that fails. A wrong result is no error but a
/// failed row.
pub fn compare(
    file: &CaseFile,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<CaseReport, ParityError> {
    let case = Case::of(file)?;
    let single = [1e-4, 1e-2];
    Ok(match (selection, precision) {
        (Selection::Adapter { .. }, _) => {
            let networks = std::slice::from_ref(&case.network);
            let opened = open_selected(selection.clone(), &case.params, networks, options);
            let mut opened = opened.map_err(failed)?;
            let computed = run_engine(&case, opened.engine.as_mut()).map_err(failed)?;
            report(&case, computed, single, true)
        }
        (_, Precision::F32) => report(&case, run::<f32>(&case), single, true),
        (_, Precision::F64) => report(&case, run::<f64>(&case), [1e-9, 1e-6], false),
    })
}

fn failed(error: EngineError) -> ParityError {
    ParityError::Engine(Box::new(error))
}

/// What an engine computed from a case.
#[derive(Clone, Debug, Default)]
struct Computed {
    spikes: Vec<[usize; 3]>,
    rates_hz: Vec<f64>,
    theta_hz: Vec<f64>,
    weights: Vec<f64>,
}

impl Computed {
    fn add(
        &mut self,
        case: &Case,
        trial: usize,
        done: &Trial,
        theta_hz: impl Iterator<Item = f64>,
    ) {
        let own = done.spikes.iter();
        self.spikes
            .extend(own.map(|&[step, neuron]| [trial, step as usize, neuron as usize]));
        self.rates_hz.extend(rates_hz(&case.params, done));
        self.theta_hz.extend(theta_hz);
    }
}

impl Case {
    /// What goes into each trial.
    pub fn inputs(&self) -> Vec<TrialInput> {
        let trials = self.events.iter().zip(&self.targets);
        let input = |(events, target): (&Vec<Event>, &Option<u32>)| TrialInput {
            events: events.clone(),
            target: *target,
            ..TrialInput::default()
        };
        trials.map(input).collect()
    }
}

fn run<R: Real>(case: &Case) -> Computed {
    let mut engine = CpuNetwork::<R>::new(case.params.clone(), case.network.clone());
    let mut computed = Computed::default();
    for (trial, input) in case.inputs().iter().enumerate() {
        let done = engine.run(input, true);
        engine.learn(&done.counts, input.target);
        computed.add(case, trial, &done, engine.theta_hz().into_iter());
    }
    computed.weights = engine.weights();
    computed
}

fn run_engine(case: &Case, engine: &mut dyn Engine) -> Result<Computed, EngineError> {
    let mut computed = Computed::default();
    let mut learnt = engine.read(0)?;
    for (trial, input) in case.inputs().iter().enumerate() {
        let done = engine.record(0, input)?;
        engine.train(&[(0, std::slice::from_ref(input))])?;
        learnt = engine.read(0)?;
        computed.add(
            case,
            trial,
            &done,
            learnt.theta_hz.iter().map(|&x| x.into()),
        );
    }
    computed.weights = learnt.weights.iter().map(|&w| w.into()).collect();
    Ok(computed)
}

/// `tolerances`: of rates and thresholds, and of the change of the weights. Rounding may move spikes where `is_rounded`.
fn report(
    case: &Case,
    computed: Computed,
    [of_rates, of_change]: [f64; 2],
    is_rounded: bool,
) -> CaseReport {
    let Computed {
        spikes,
        rates_hz: rates,
        theta_hz: theta,
        weights: after,
    } = computed;
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
    let (wrong, moved) = match compare_spikes(case, &spikes) {
        (wrong, moved) if is_rounded => (wrong, moved),
        (wrong, moved) => (wrong + moved, 0),
    };
    let note = match moved {
        0 => String::new(),
        _ => format!(
            "{} no further than rounding moves them",
            count(moved, "spike moved,", "spikes moved,")
        ),
    };
    report.count("spikes", wrong, note);
    report.norm("rates".into(), &rates, &case.rates_hz, of_rates, 1e-7);
    report.norm("thresholds".into(), &theta, &case.theta_hz, of_rates, 1e-7);
    let change = |after: &[f64]| -> Vec<f64> {
        let pairs = after.iter().zip(&case.network.weights);
        pairs
            .map(|(after, &before)| after - f64::from(before))
            .collect()
    };
    let floor = 1e-9 * (case.after.len() as f64).sqrt();
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

/// Steps of the spikes of each trial and neuron.
type Steps = BTreeMap<[usize; 2], Vec<usize>>;

fn by_neuron(spikes: &[[usize; 3]]) -> Steps {
    let mut steps = Steps::new();
    for &[trial, step, neuron] in spikes {
        steps.entry([trial, neuron]).or_default().push(step);
    }
    steps
}

/// Spikes that are wrong, and those that are moved no further than rounding moves them: a neuron may linger at its
/// threshold, and then fires some steps sooner or later however little it is disturbed.
fn compare_spikes(case: &Case, spikes: &[[usize; 3]]) -> (usize, usize) {
    let (found, expected) = (by_neuron(spikes), by_neuron(&case.spikes));
    if found == expected {
        return (0, 0);
    }
    let reach = reach_of_rounding(case, &expected);
    let (mut wrong, mut moved) = (0, 0);
    let none = Vec::new();
    for neuron in found.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
        let own = found.get(neuron).unwrap_or(&none);
        let theirs = expected.get(neuron).unwrap_or(&none);
        if own.len() != theirs.len() {
            wrong += own.len().abs_diff(theirs.len());
            continue;
        }
        for (number, (step, expected)) in own.iter().zip(theirs).enumerate() {
            let reach = reach[neuron][number];
            match step {
                step if step == expected => {}
                step if (reach[0]..=reach[1]).contains(step) => moved += 1,
                _ => wrong += 1,
            }
        }
    }
    (wrong, moved)
}

/// First and last step of each expected spike in runs that differ by rounding alone.
fn reach_of_rounding(case: &Case, expected: &Steps) -> BTreeMap<[usize; 2], Vec<[usize; 2]>> {
    let of = |steps: &Vec<usize>| steps.iter().map(|&step| [step, step]).collect();
    let mut reach: BTreeMap<_, Vec<[usize; 2]>> = expected
        .iter()
        .map(|(neuron, steps)| (*neuron, of(steps)))
        .collect();
    for run in 0..DISTURBED_RUNS {
        let mut stream = Stream::new(Purpose::Rounding, 0, run, 0);
        let mut noise = || 2.0 * stream.uniform_f64_open() - 1.0;
        let mut engine = CpuNetwork::<f64>::new(case.params.clone(), case.network.clone());
        let mut spikes = Vec::new();
        for (trial, input) in case.inputs().iter().enumerate() {
            let done = engine.run_disturbed(input, &mut noise);
            engine.learn(&done.counts, input.target);
            let own = done.spikes.iter();
            spikes.extend(own.map(|&[step, neuron]| [trial, step as usize, neuron as usize]));
        }
        for (neuron, steps) in by_neuron(&spikes) {
            let Some(reach) = reach
                .get_mut(&neuron)
                .filter(|own| own.len() == steps.len())
            else {
                continue;
            };
            for (reach, step) in reach.iter_mut().zip(steps) {
                *reach = [reach[0].min(step), reach[1].max(step)];
            }
        }
    }
    reach
}
