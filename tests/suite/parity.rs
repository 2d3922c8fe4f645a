//! Every golden case on every engine, and proof that each compared quantity can fail.

use crate::common::golden;
use crate::common::networks::{devices, norm, precisions};
use dalenet::conductance::batch::Population;
use dalenet::conductance::parity::Case;
use dalenet::conductance::settings::MatrixName;
use dalenet::parity::CaseReport;

/// Quantities that the comparison of a case must name.
fn quantities(case: &Case) -> Vec<String> {
    let mut all = vec!["logits".to_owned()];
    let passes = case.rasters.len();
    for pass in 0..passes {
        let at = if passes > 1 {
            format!(" step {pass}")
        } else {
            String::new()
        };
        for what in [
            "spikes E",
            "spikes I",
            "spikes read-out",
            "loss",
            "gradient norm",
        ] {
            all.push(format!("{what}{at}"));
        }
        if pass < case.adam_steps {
            all.push(format!("clip factor{at}"));
        }
    }
    all.extend(case.traces.keys().map(|name| format!("trace {name}")));
    for name in &case.params.training.trainable {
        all.push(format!("gradient {}", name.short()));
        if case.adam_steps > 0 {
            all.push(format!("weight change {}", name.short()));
        }
    }
    all.sort();
    all
}

#[test]
fn every_golden_case_passes_with_every_quantity_compared() {
    let files = golden::files();
    assert!(files.len() >= 20, "only {} cases found", files.len());
    let mut problems = Vec::new();
    for path in files {
        let case = match Case::load(&path) {
            Ok(case) => case,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        for device in devices() {
            let report = golden::run(&case, &device);
            let failures = golden::failures(&report);
            if !report.passed() {
                problems.push(format!("{} on {}: {failures:?}", case.name, device.name));
            }
            let mut named: Vec<String> = report.rows.iter().map(|r| r.quantity.clone()).collect();
            named.sort();
            if !report.imposed && named != quantities(&case) {
                problems.push(format!(
                    "{} on {} compared only {named:?}",
                    case.name, device.name
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A case with traces, optimiser steps, resets and all loop matrices trained.
fn case() -> Case {
    let case = golden::load("all_recurrent");
    assert!(case.adam_steps >= 2 && case.traces.len() == 6 && case.gradients.len() >= 4);
    case
}

fn row(report: &CaseReport, quantity: &str) -> (f64, bool) {
    let row = report.rows.iter().find(|r| r.quantity == quantity);
    let row = row.unwrap_or_else(|| panic!("no row {quantity:?}"));
    (row.tolerance, row.passed)
}

/// Where a quantity's expected values lie in a case, and its reference for the change of weights.
fn expected<'a>(case: &'a mut Case, quantity: &str) -> (&'a mut [f64], Vec<f64>) {
    let values: &mut [f64] = match quantity.split(' ').collect::<Vec<_>>()[..] {
        ["logits"] => &mut case.logits,
        ["loss", "step", n] => std::slice::from_mut(&mut case.losses[index(n)]),
        ["gradient", "norm", "step", n] => std::slice::from_mut(&mut case.gradient_norms[index(n)]),
        ["clip", "factor", "step", n] => std::slice::from_mut(&mut case.clip_factors[index(n)]),
        ["trace", name] => case.traces.get_mut(name).expect("there"),
        ["gradient", name] => &mut case.gradients.get_mut(&matrix(name)).expect("there").values,
        ["weight", "change", name] => {
            let before = case.weights[&matrix(name)].data.iter();
            let before = before.map(|&w| f64::from(w)).collect();
            return (
                &mut case.after.get_mut(&matrix(name)).expect("there").values,
                before,
            );
        }
        _ => panic!("{quantity:?}"),
    };
    let zero = vec![0.0; values.len()];
    (values, zero)
}

fn index(n: &str) -> usize {
    n.parse().expect("a number")
}

fn matrix(name: &str) -> MatrixName {
    MatrixName::from_short(name).expect("a matrix")
}

#[test]
fn every_quantity_fails_just_above_its_tolerance_and_passes_below() {
    let case = case();
    let compared = quantities(&case)
        .into_iter()
        .filter(|q| !q.starts_with("spikes"));
    let compared: Vec<String> = compared.collect();
    let gradients = case.gradients.values().flat_map(|e| e.values.clone());
    let whole = norm(&gradients.collect::<Vec<_>>());
    for device in precisions() {
        let sound = golden::run(&case, &device);
        for quantity in &compared {
            let (tolerance, _) = row(&sound, quantity);
            for (factor, passes) in [(0.5, true), (1.5, false)] {
                let mut case = case.clone();
                let (values, origin) = expected(&mut case, quantity);
                let far = |at: &usize| (values[*at] - origin[*at]).abs();
                let largest = (0..values.len()).max_by(|a, b| far(a).total_cmp(&far(b)));
                let largest = largest.expect("not empty");
                let size = if quantity.starts_with("trace") {
                    1.0
                } else {
                    let own = values.iter().zip(&origin).map(|(a, b)| a - b);
                    norm(&own.collect::<Vec<_>>())
                };
                let floor = match quantity.split(' ').next() {
                    Some("loss" | "logits") => 1e-7,
                    _ if quantity.starts_with("gradient norm") => 1e-7,
                    Some("gradient") if device.is_single() => 1e-6 * whole,
                    Some("gradient") => 1e-12 * whole,
                    Some("weight") => 1e-9 * (values.len() as f64).sqrt(),
                    _ => 0.0,
                };
                values[largest] += factor * (tolerance * size + floor);
                let report = golden::run(&case, &device);
                let (_, passed) = row(&report, quantity);
                assert_eq!(passed, passes, "{} {quantity} × {factor}", device.name);
                assert_eq!(report.passed(), passes, "{:?}", golden::failures(&report));
            }
        }
    }
}

#[test]
fn one_wrong_spike_or_reset_fails() {
    for population in [Population::E, Population::I, Population::Out] {
        let sound = case();
        let fired = sound.rasters[1].spikes(population)[0];
        // A spike left out, and one that is not there.
        for (trial, step, cell) in [fired, (1, 0, 0)] {
            let mut case = sound.clone();
            golden::flip(&mut case.rasters[1], trial, step, population, cell);
            for device in precisions() {
                let report = golden::run(&case, &device);
                assert!(!report.passed(), "{} {population:?}", device.name);
                assert_eq!(report.imposed, device.is_single());
                let about = if report.imposed {
                    "own decisions step 1"
                } else {
                    "spikes"
                };
                let failed = report.rows.iter().filter(|r| !r.passed);
                let named = failed.map(|r| &r.quantity).any(|q| q.starts_with(about));
                assert!(named, "{:?}", golden::failures(&report));
            }
        }
    }
}
