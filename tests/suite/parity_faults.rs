//! Faulty engines against golden cases: no altered, missing or undefined result may pass, and a
//! spike may be decided otherwise only at threshold.

use crate::common::golden;
use crate::common::meddled;
use crate::common::meddled::Meddle::{self, Nothing, Pass, Read, Step};
use crate::common::networks;
use crate::common::networks::{CPU_F32, CPU_F64, devices, precisions};
use dalenet::conductance::batch::{Disagreement, Population, Traces};
use dalenet::conductance::engine::{Gradient, Quantity};
use dalenet::conductance::parity::Case;
use dalenet::conductance::settings::MatrixName;
use dalenet::parity::CaseReport;

/// A case with traces, optimiser steps, resets and all loop matrices.
fn case() -> Case {
    golden::load("all_recurrent")
}

/// Names of the alterations that a comparison accepts in either precision.
fn accepted(meddles: &[(&'static str, Meddle<'static>)]) -> Vec<(&'static str, &'static str)> {
    let case = case();
    let mut accepted = Vec::new();
    for device in precisions() {
        assert!(meddled::run(&case, &device, Nothing).passed());
        for &(what, meddle) in meddles {
            if meddled::run(&case, &device, meddle).passed() {
                accepted.push((device.name, what));
            }
        }
    }
    accepted
}

/// Takes away the last value.
fn shorten(values: &mut Vec<f64>) {
    values.truncate(values.len().saturating_sub(1));
}

fn on_traces(g: &mut Gradient, alter: fn(&mut Traces)) {
    g.forward.traces.iter_mut().for_each(alter);
}

#[test]
fn altered_results_fail() {
    let wrong = accepted(&[
        ("loss", Pass(&|g, _| g.loss *= 1.001)),
        ("logits", Pass(&|g, _| g.forward.logits[0] += 0.01)),
        ("v_e", Pass(&|g, _| on_traces(g, |t| t.v_e[30] += 1e-3))),
        ("v_i", Pass(&|g, _| on_traces(g, |t| t.v_i[30] -= 1e-3))),
        (
            "g_exc_e",
            Pass(&|g, _| on_traces(g, |t| t.g_exc_e[30] += 1e-3)),
        ),
        (
            "g_exc_i",
            Pass(&|g, _| on_traces(g, |t| t.g_exc_i[30] += 1e-3)),
        ),
        (
            "g_inh_e",
            Pass(&|g, _| on_traces(g, |t| t.g_inh_e[30] += 1e-3)),
        ),
        (
            "g_inh_i",
            Pass(&|g, _| on_traces(g, |t| t.g_inh_i[30] += 1e-3)),
        ),
        ("norm", Step(&|r| r.gradient_norm *= 1.001)),
        ("clip factor", Step(&|r| r.clip_factor *= 1.001)),
        (
            "gradients of zero",
            Read(&|q, m| {
                if q == Quantity::Gradient {
                    m.values_mut().for_each(|m| m.fill(0.0));
                }
            }),
        ),
        (
            "gradients halved",
            Read(&|q, m| {
                if q == Quantity::Gradient {
                    m.values_mut().flatten().for_each(|x| *x *= 0.5);
                }
            }),
        ),
        (
            "one gradient for another",
            Read(&|q, m| {
                if let (Quantity::Gradient, Some(ei)) = (q, m.get(&MatrixName::WEi).cloned()) {
                    m.entry(MatrixName::WIe).and_modify(|ie| *ie = ei);
                }
            }),
        ),
        (
            "weights of zero",
            Read(&|q, m| {
                if q == Quantity::Weights {
                    m.values_mut().for_each(|m| m.fill(0.0));
                }
            }),
        ),
    ]);
    assert!(wrong.is_empty(), "accepted: {wrong:?}");
}

#[test]
fn missing_results_fail() {
    let wrong = accepted(&[
        (
            "a logit too few",
            Pass(&|g, _| shorten(&mut g.forward.logits)),
        ),
        ("a logit too many", Pass(&|g, _| g.forward.logits.push(0.0))),
        ("no logits", Pass(&|g, _| g.forward.logits.clear())),
        ("no raster", Pass(&|g, _| g.forward.raster = None)),
        ("no traces", Pass(&|g, _| g.forward.traces = None)),
        ("no v_e", Pass(&|g, _| on_traces(g, |t| t.v_e.clear()))),
        (
            "short g_inh_i",
            Pass(&|g, _| on_traces(g, |t| shorten(&mut t.g_inh_i))),
        ),
        ("no matrices", Read(&|_, m| m.clear())),
        (
            "no gradient of W_EI",
            Read(&|q, m| {
                if q == Quantity::Gradient {
                    m.remove(&MatrixName::WEi);
                }
            }),
        ),
        (
            "no weights of W_EI",
            Read(&|q, m| {
                if q == Quantity::Weights {
                    m.remove(&MatrixName::WEi);
                }
            }),
        ),
        (
            "short gradients",
            Read(&|q, m| {
                if q == Quantity::Gradient {
                    m.values_mut().for_each(shorten);
                }
            }),
        ),
        (
            "long weights",
            Read(&|q, m| {
                if q == Quantity::Weights {
                    m.values_mut().for_each(|m| m.push(0.0));
                }
            }),
        ),
    ]);
    assert!(wrong.is_empty(), "accepted: {wrong:?}");
    assert!(!CaseReport::default().passed(), "a report without rows");
}

#[test]
fn what_is_not_a_number_fails() {
    let wrong = accepted(&[
        ("loss NaN", Pass(&|g, _| g.loss = f64::NAN)),
        ("loss infinite", Pass(&|g, _| g.loss = f64::INFINITY)),
        ("logit NaN", Pass(&|g, _| g.forward.logits[0] = f64::NAN)),
        (
            "v_i NaN",
            Pass(&|g, _| on_traces(g, |t| t.v_i[3] = f64::NAN)),
        ),
        (
            "g_exc_e infinite",
            Pass(&|g, _| on_traces(g, |t| t.g_exc_e[3] = f64::INFINITY)),
        ),
        ("norm NaN", Step(&|r| r.gradient_norm = f64::NAN)),
        ("clip factor NaN", Step(&|r| r.clip_factor = f64::NAN)),
        (
            "gradient NaN",
            Read(&|q, m| {
                if q == Quantity::Gradient {
                    m.values_mut().for_each(|m| m[0] = f64::NAN);
                }
            }),
        ),
        (
            "weight NaN",
            Read(&|q, m| {
                if q == Quantity::Weights {
                    m.values_mut().for_each(|m| m[0] = f64::NAN);
                }
            }),
        ),
        (
            "weight infinite",
            Read(&|q, m| {
                if q == Quantity::Weights {
                    m.values_mut().for_each(|m| m[0] = f64::INFINITY);
                }
            }),
        ),
    ]);
    assert!(wrong.is_empty(), "accepted: {wrong:?}");
}

/// What an engine says that flips the bit of `population` at step 9 and whose own value there is
/// `value`.
fn flipped(device: &networks::Device, population: Population, value: f64) -> CaseReport {
    let disagreement = Disagreement {
        trial: 0,
        step: 9,
        population,
        cell: 0,
        value,
        fires: true,
    };
    let alter = move |g: &mut Gradient, imposed: bool| {
        if imposed {
            g.forward.disagreements.push(disagreement);
        } else if let Some(raster) = &mut g.forward.raster {
            golden::flip(raster, 0, 9, population, 0);
        }
    };
    meddled::run(&case(), device, Pass(Box::leak(Box::new(alter))))
}

#[test]
fn a_tie_lies_within_a_thousandth_of_a_millivolt() {
    let network = case().params.network;
    for (population, threshold, tie) in [
        (Population::E, network.v_th_mv, 1e-3),
        (Population::I, network.v_th_mv, 1e-3),
        (Population::Out, network.readout_threshold, 1e-5),
    ] {
        for (distance, passes) in [
            (0.0, true),
            (0.9 * tie, true),
            (-0.9 * tie, true),
            (1.1 * tie, false),
            (-1.1 * tie, false),
            (f64::NAN, false),
            (f64::NEG_INFINITY, false),
        ] {
            let report = flipped(&CPU_F32, population, threshold + distance);
            assert!(report.imposed);
            assert_eq!(report.passed(), passes, "{population:?} at {distance:e}");
            if passes {
                let named = report
                    .ties
                    .iter()
                    .all(|d| (d.trial, d.step, d.cell) == (0, 9, 0));
                assert!(named && !report.ties.is_empty(), "{:?}", report.ties);
            }
            // Double precision has no ties.
            let exact = flipped(&CPU_F64, population, threshold + distance);
            assert!(!exact.passed() && !exact.imposed);
        }
    }
}

#[test]
fn a_difference_that_the_imposed_run_does_not_meet_fails() {
    let alter = |g: &mut Gradient, imposed: bool| {
        if let (false, Some(raster)) = (imposed, &mut g.forward.raster) {
            golden::flip(raster, 0, 9, Population::E, 0);
        }
    };
    let report = meddled::run(&case(), &CPU_F32, Pass(Box::leak(Box::new(alter))));
    assert!(report.imposed && !report.passed());
}

#[test]
fn everything_else_is_still_compared_under_an_imposed_history() {
    let at_threshold = |also: fn(&mut Gradient)| {
        let disagreement = Disagreement {
            trial: 0,
            step: 9,
            population: Population::I,
            cell: 0,
            value: case().params.network.v_th_mv,
            fires: true,
        };
        let alter = move |g: &mut Gradient, imposed: bool| {
            if imposed {
                g.forward.disagreements.push(disagreement);
                also(g);
            } else if let Some(raster) = &mut g.forward.raster {
                golden::flip(raster, 0, 9, Population::I, 0);
            }
        };
        meddled::run(&case(), &CPU_F32, Pass(Box::leak(Box::new(alter))))
    };
    assert!(at_threshold(|_| {}).passed());
    assert!(!at_threshold(|g| g.loss *= 1.001).passed());
    assert!(!at_threshold(|g| g.forward.logits[0] += 0.01).passed());
    assert!(!at_threshold(|g| on_traces(g, |t| t.v_e[3] += 1e-3)).passed());
}

/// `threshold_exact` with its membranes moved by a relative change of the input weights: they reach
/// threshold exactly where that is 0.
fn beside_threshold(change: f32) -> Case {
    let mut case = golden::load("threshold_exact");
    let w_in = case.weights.get_mut(&MatrixName::WIn).expect("there");
    w_in.data.iter_mut().for_each(|w| *w *= 1.0 - change);
    case
}

#[test]
fn a_real_near_miss_is_a_tie_in_single_precision_only() {
    let near = beside_threshold(1e-6);
    let report = golden::run(&near, &CPU_F32);
    assert!(report.passed() && report.imposed && !report.ties.is_empty());
    assert!(!golden::run(&near, &CPU_F64).passed());
    let far = beside_threshold(1e-3);
    assert!(!golden::run(&far, &CPU_F32).passed());
    let exact = beside_threshold(0.0);
    for device in devices() {
        let report = golden::run(&exact, &device);
        assert!(report.passed() && !report.imposed, "{}", device.name);
    }
}
