//! Networks of Izhikevich's neurons against cases of an independent implementation.

use std::path::{Path, PathBuf};

use dalenet::device::DeviceOptions;
use dalenet::gpu::Selection;
use dalenet::gpu::testing::test_gpu;
use dalenet::izhikevich::cpu::CpuNetwork;
use dalenet::izhikevich::parity::{Case, compare};
use dalenet::parity::{CaseFile, Precision};

use proptest::prelude::*;

use crate::program::{Place, assert_has};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/izhikevich");
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 4);
    paths
}

#[test]
fn every_golden_case_passes_in_both_precisions() {
    for path in cases() {
        let file = CaseFile::load(&path).unwrap();
        for precision in [Precision::F64, Precision::F32] {
            let cpu = Selection::CpuEngine {
                reason: String::new(),
            };
            let report = compare(&file, precision, &cpu, &DeviceOptions::default()).unwrap();
            assert!(report.passed(), "{precision:?}: {report:#?}");
            assert_eq!(report.rows.len(), 4);
        }
    }
}

#[test]
fn the_program_compares_cases_on_processor_and_gpu() {
    let place = Place::new();
    let golden = cases()[0].parent().unwrap().to_owned();
    let said = place.ok(&format!("parity {} --device cpu", golden.display()));
    assert_has(
        &said,
        &["network_decay", "weight change", "4 cases, 4 passed"],
    );
    if test_gpu().is_some() {
        let said = place.ok(&format!("parity {} --device gpu", golden.display()));
        assert_has(&said, &["4 cases, 4 passed"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn altered_cases_never_panic(
        which in 0..4usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
    ) {
        let mut bytes = std::fs::read(&cases()[which]).unwrap();
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let most = if in_header { header } else { bytes.len() };
        for (at, value) in flips {
            bytes[at.index(most)] = value;
        }
        let file = CaseFile::parse(Path::new("case.safetensors"), bytes);
        // Trials that only the header claims to be long are read, and not waited for.
        let Some(file) = file.ok().filter(|file| Case::of(file).is_ok_and(|case| case.params.steps <= 9999)) else {
            return Ok(());
        };
        let cpu = Selection::CpuEngine { reason: String::new() };
        let report = compare(&file, Precision::F32, &cpu, &DeviceOptions::default()).unwrap();
        prop_assert!(!report.rows.is_empty());
    }
}

/// What a case expects, from an engine whose network or rules were changed.
fn differs(case: &Case, edit: impl Fn(&mut Case)) -> bool {
    let run = |case: &Case| {
        let mut engine = CpuNetwork::<f64>::new(case.params.clone(), case.network.clone());
        for input in case.inputs() {
            engine.train(&input);
        }
        let weights = engine.weights();
        let pairs = weights.iter().zip(&case.after);
        let error = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let pairs = case.after.iter().zip(&case.network.weights);
        let change = pairs
            .map(|(a, &b)| (a - f64::from(b)).powi(2))
            .sum::<f64>()
            .sqrt();
        error / change
    };
    let mut other = case.clone();
    edit(&mut other);
    assert!(run(case) < 1e-5, "{}", case.name);
    run(&other) > 1e-4
}

#[test]
fn planted_errors_are_noticed() {
    type Edit = fn(&mut Case);
    let edits: [(&str, Edit); 7] = [
        ("time step", |c| c.params.dt_ms *= 1.01),
        ("decay of excitation", |c| c.params.tau_exc_ms *= 1.01),
        ("decay of inhibition", |c| c.params.tau_inh_ms *= 1.02),
        ("learning rate", |c| c.params.plasticity.eta *= 1.01),
        ("threshold", |c| {
            c.params.plasticity.tau_theta_trials *= 1.05
        }),
        ("classes", |c| c.targets.rotate_left(1)),
        ("sign of a cell", |c| {
            let inhibits = &mut c.network.inhibits[c.params.n_in];
            *inhibits = !*inhibits;
        }),
    ];
    let path = cases()
        .into_iter()
        .find(|path| path.ends_with("network_decay.safetensors"));
    let case = Case::of(&CaseFile::load(&path.unwrap()).unwrap()).unwrap();
    for (what, edit) in edits {
        assert!(differs(&case, edit), "{what}");
    }
}
