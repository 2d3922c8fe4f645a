//! Runs an engine on a golden case and compares every quantity.
//!
//! An engine that rounds differently may decide a spike differently only where a membrane is as good
//! as at threshold (a *tie*). So the case runs free first; if the rasters differ it runs again with the
//! expected spikes imposed at every step, and each decision the engine itself would have taken otherwise
//! must be a tie.

use std::collections::BTreeMap;

use super::case::{Case, Expected, TRACES};
use crate::conductance::batch::{Disagreement, Population, Request, SpikeBits, Traces};
use crate::conductance::engine::{Engine, EngineError, Gradient, Quantity};
use crate::conductance::settings::MatrixName;
use crate::parity::{CaseReport, Precision, Tie};

/// Distance from threshold within which a spike is a tie, mV.
const TIE_MV: f64 = 1e-3;
/// The same for a reset of the read-out.
const TIE_OUT: f64 = 1e-5;

/// Builds an engine for the network of a case.
pub type MakeEngine<'a> = dyn FnMut(&Case) -> Result<Box<dyn Engine>, EngineError> + 'a;

/// Compares the engines that `make` builds for the case with its expected values.
///
/// # Errors
/// An engine that cannot be built or fails on the way. A wrong result is no error but a failed row.
pub fn run(
    case: &Case,
    precision: Precision,
    make: &mut MakeEngine<'_>,
) -> Result<CaseReport, EngineError> {
    let free = attempt(case, precision, make(case)?.as_mut(), false)?;
    if free
        .rows
        .iter()
        .all(|r| r.passed || !r.quantity.starts_with("spikes"))
        || precision == Precision::F64
    {
        return Ok(free);
    }
    let mut imposed = attempt(case, precision, make(case)?.as_mut(), true)?;
    if imposed.passed() && imposed.ties.is_empty() {
        // Up to the first difference both runs are the same, so the imposed one must meet it too.
        let free = free.rows.iter().find(|r| !r.passed).map(|r| &r.note);
        let note = free.map_or_else(String::new, |note| {
            format!("{note}; not reproduced under imposed spikes")
        });
        imposed.count(
            "own decisions (imposed spikes) explain the free run",
            1,
            note,
        );
    }
    Ok(imposed)
}

fn attempt(
    case: &Case,
    precision: Precision,
    engine: &mut dyn Engine,
    impose: bool,
) -> Result<CaseReport, EngineError> {
    let mut report = CaseReport {
        case: case.name.clone(),
        imposed: impose,
        ..CaseReport::default()
    };
    let single = precision == Precision::F32;
    let pick = |f32_figure: f64, f64_figure: f64, float32_error: f64| {
        if single {
            f32_figure.max(5.0 * float32_error)
        } else {
            f64_figure
        }
    };
    for (pass, expected) in case.rasters.iter().enumerate() {
        let request = Request {
            imposed: impose.then_some(expected),
            raster: true,
            traces: pass == 0 && !case.traces.is_empty(),
        };
        let Gradient { forward, loss, .. } = engine.gradient(&case.batch, request)?;
        let at = match case.rasters.len() {
            1 => String::new(),
            _ => format!(" step {pass}"),
        };
        if impose {
            judge_disagreements(&mut report, case, pass, &forward.disagreements);
        } else {
            let raster = forward.raster;
            let raster = raster.unwrap_or_else(|| SpikeBits::silent(0, 0, expected.cells));
            compare_rasters(&mut report, &at, &raster, expected);
            if report.rows.last().is_some_and(|r| !r.passed) && single {
                // The trajectory has left the expected one; what follows cannot be compared.
                return Ok(report);
            }
        }
        let tolerance = pick(1e-4, 1e-9, case.float32_error.logits);
        let expected = &case.losses[pass..=pass];
        report.norm(format!("loss{at}"), &[loss], expected, tolerance, 1e-7);
        if pass == 0 {
            let quantity = "logits".into();
            report.norm(quantity, &forward.logits, &case.logits, tolerance, 1e-7);
            // Traces that are missing fail as empty ones do.
            let traces = forward.traces.unwrap_or_default();
            compare_traces(&mut report, case, &traces, &pick);
            let gradients = engine.read(Quantity::Gradient)?;
            compare_gradients(&mut report, case, gradients, &pick, single);
        }
        compare_step(&mut report, case, engine, pass, &at, pick(1e-4, 1e-9, 0.0))?;
    }
    if case.adam_steps > 0 {
        let after = engine.read(Quantity::Weights)?;
        compare_changes(
            &mut report,
            case,
            &after,
            pick(1e-2, 1e-6, case.float32_error.change),
        );
    }
    Ok(report)
}

/// Clip factor and norm of the gradient of a pass, whose step is taken where the case has one.
fn compare_step(
    report: &mut CaseReport,
    case: &Case,
    engine: &mut dyn Engine,
    pass: usize,
    at: &str,
    tolerance: f64,
) -> Result<(), EngineError> {
    let mut norm = 0.0;
    if pass < case.adam_steps {
        let step = engine.step()?;
        norm = step.gradient_norm;
        let expected = &case.clip_factors[pass..=pass];
        let quantity = format!("clip factor{at}");
        report.norm(quantity, &[step.clip_factor], expected, tolerance, 0.0);
    } else {
        for gradient in engine.read(Quantity::Gradient)?.values() {
            norm += gradient.iter().map(|x| x * x).sum::<f64>();
        }
        norm = norm.sqrt();
    }
    let expected = &case.gradient_norms[pass..=pass];
    let quantity = format!("gradient norm{at}");
    report.norm(quantity, &[norm], expected, tolerance, 1e-7);
    Ok(())
}

/// What the steps of the case change of the weights.
fn compare_changes(
    report: &mut CaseReport,
    case: &Case,
    after: &BTreeMap<MatrixName, Vec<f64>>,
    tolerance: f64,
) {
    for (name, expected) in &case.after {
        let before = case.weights[name].data.iter().map(|&w| f64::from(w));
        let before: Vec<f64> = before.collect();
        // Values beyond the matrix are kept, so that a wrong length shows.
        let before_at = |at| before.get(at).copied().unwrap_or(0.0);
        let change = |after: &[f64]| -> Vec<f64> {
            let pairs = after.iter().enumerate();
            pairs.map(|(at, a)| a - before_at(at)).collect()
        };
        let ours = after.get(name).map(|w| change(w)).unwrap_or_default();
        let quantity = format!("weight change {}", name.short());
        let floor = 1e-9 * (before.len() as f64).sqrt();
        report.norm(quantity, &ours, &change(&expected.values), tolerance, floor);
    }
}

fn compare_rasters(report: &mut CaseReport, at: &str, ours: &SpikeBits, expected: &SpikeBits) {
    for (name, population) in [
        ("E", Population::E),
        ("I", Population::I),
        ("read-out", Population::Out),
    ] {
        let (a, b) = (ours.spikes(population), expected.spikes(population));
        let wrong = a.iter().filter(|s| b.binary_search(s).is_err()).count()
            + b.iter().filter(|s| a.binary_search(s).is_err()).count();
        let first = a.iter().zip(&b).find(|(a, b)| a != b).map_or_else(
            || a.get(b.len()).or(b.get(a.len())),
            |(a, b)| Some(a.min(b)),
        );
        let note = match first {
            Some((trial, step, cell)) if wrong > 0 => {
                format!(
                    "first at trial {trial}, time step {step}, cell {cell}; {} expected",
                    b.len()
                )
            }
            _ => format!("{} equal", b.len()),
        };
        report.count(format!("spikes {name}{at}"), wrong, note);
        if wrong > 0 {
            return;
        }
    }
}

fn judge_disagreements(report: &mut CaseReport, case: &Case, pass: usize, all: &[Disagreement]) {
    let network = &case.params.network;
    let mut wrong = 0;
    let mut note = String::new();
    for d in all {
        let (threshold, tie) = match d.population {
            Population::E | Population::I => (network.v_th_mv, TIE_MV),
            Population::Out => (network.readout_threshold, TIE_OUT),
        };
        let distance = (d.value - threshold).abs();
        // At threshold a cell fires; whoever finds it there and does not let it compares with `>`.
        let misses = distance == 0.0 && !d.fires;
        if distance <= tie && !misses {
            report.ties.push(Tie {
                optimiser_step: pass,
                trial: d.trial,
                step: d.step,
                population: format!("{:?}", d.population),
                cell: d.cell,
                value: d.value,
                fires: d.fires,
            });
        } else {
            wrong += 1;
            if note.is_empty() {
                note = format!(
                    "first: trial {}, step {}, {:?} cell {} is {distance:.3e} from threshold",
                    d.trial, d.step, d.population, d.cell
                );
            }
        }
    }
    report.count(
        format!("own decisions step {pass} (imposed spikes)"),
        wrong,
        note,
    );
}

fn compare_traces(
    report: &mut CaseReport,
    case: &Case,
    ours: &Traces,
    pick: &impl Fn(f64, f64, f64) -> f64,
) {
    let by_name = [
        &ours.v_e,
        &ours.v_i,
        &ours.g_exc_e,
        &ours.g_inh_e,
        &ours.g_exc_i,
        &ours.g_inh_i,
    ];
    for (name, ours) in TRACES.iter().zip(by_name) {
        let Some(expected) = case.traces.get(name) else {
            continue;
        };
        let tolerance = if name.starts_with('v') {
            pick(5e-4, 1e-4, case.float32_error.voltage_mv)
        } else {
            pick(5e-6, 1e-6, case.float32_error.conductance_us)
        };
        report.largest(format!("trace {name}"), ours, expected, tolerance);
    }
}

fn compare_gradients(
    report: &mut CaseReport,
    case: &Case,
    ours: BTreeMap<MatrixName, Vec<f64>>,
    pick: &impl Fn(f64, f64, f64) -> f64,
    single: bool,
) {
    let whole: f64 = case
        .gradients
        .values()
        .flat_map(|e| &e.values)
        .map(|x| x * x)
        .sum();
    let floor = whole.sqrt() * if single { 1e-6 } else { 1e-12 };
    for (
        name,
        Expected {
            values,
            single: stored_single,
        },
    ) in &case.gradients
    {
        let exact = if *stored_single { 1e-6 } else { 1e-9 };
        let tolerance = pick(1e-3, exact, case.float32_error.gradient);
        let empty = Vec::new();
        let ours = ours.get(name).unwrap_or(&empty);
        report.norm(
            format!("gradient {}", name.short()),
            ours,
            values,
            tolerance,
            floor,
        );
    }
}
