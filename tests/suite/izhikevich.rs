//! Networks of Izhikevich's neurons against cases of an independent implementation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dalenet::device::DeviceOptions;
use dalenet::gpu::Selection;
use dalenet::gpu::testing::test_gpu;
use dalenet::izhikevich::cpu::{CpuEngine, CpuNetwork};
use dalenet::izhikevich::engine::{Engine, TrialInput};
use dalenet::izhikevich::gpu::GpuEngine;
use dalenet::izhikevich::init::draw;
use dalenet::izhikevich::network::Network;
use dalenet::izhikevich::params::{Decay, ExcitatoryRule, InhibitoryRule, RedistributionKind};
use dalenet::izhikevich::parity::{Case, compare};
use dalenet::izhikevich::settings::{Channels, Config, Offset};
use dalenet::izhikevich::stimuli::Stimuli;
use dalenet::izhikevich::weights::Layout;
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

/// A configuration of every part that kernels compute in their own way, made small.
fn varied() -> Vec<Config> {
    let small = || {
        let mut config = Config::default();
        config.data.size = 5;
        config.data.gratings.offset = Offset::Random;
        config.network.trial_ms = 150.0;
        config.network.outputs = 7;
        config.network.drive = 14.0;
        config.network.hidden = vec![9, 5];
        config.network.hidden_recurrence = 0.4;
        config.network.output_recurrence = 0.3;
        config.network.feedback = 0.3;
        config.network.lateral.drive = 30.0;
        config
    };
    let mut all = Vec::new();
    for decay in [
        Decay::Synapse,
        Decay::Neuron,
        Decay::Network,
        Decay::NetworkBySign,
        Decay::Multiplicative,
        Decay::None,
    ] {
        let mut config = small();
        config.plasticity.decay = decay;
        all.push(config);
    }
    for rule in [
        InhibitoryRule::Fixed,
        InhibitoryRule::PostSquared,
        InhibitoryRule::PrePost,
        InhibitoryRule::Vogels,
    ] {
        let mut config = small();
        config.plasticity.inhibitory_rule = rule;
        all.push(config);
    }
    for kind in [
        RedistributionKind::Deterministic,
        RedistributionKind::Stochastic,
    ] {
        let mut config = small();
        config.redistribution.kind = kind;
        config.network.drive = 40.0;
        if kind == RedistributionKind::Deterministic {
            config.redistribution.tau_facilitation_ms = 80.0;
        }
        all.push(config);
    }
    // More neurons than threads, a number that no power of two divides, and a rule that changes nothing.
    let mut large = small();
    large.network.outputs = 131;
    large.plasticity.rule = ExcitatoryRule::Fixed;
    large.data.channels = Channels::OnOff;
    all.push(large);
    all
}

/// Two networks of a configuration, and three trials of each.
fn networks_and_trials(config: &Config) -> ([Network; 2], [Vec<TrialInput>; 2]) {
    let stimuli = Stimuli::load(config, None).unwrap();
    let layout = Layout::new(config);
    assert_eq!(layout.neurons, config.neurons());
    let network = |seed: u64| {
        let mut config = config.clone();
        config.seeds.weights = seed;
        draw(&config, &layout, &stimuli)
    };
    let trials = |first: usize| {
        let samples = first..first + 3;
        samples
            .map(|sample| stimuli.training_trial(0, sample))
            .collect()
    };
    ([network(1), network(2)], [trials(0), trials(3)])
}

#[test]
fn lanes_on_the_gpu_learn_what_they_learn_on_the_processor_and_alone() {
    let Some(gpu) = test_gpu().map(Arc::new) else {
        return;
    };
    for config in varied() {
        let params = config.params();
        let what = format!("{:?} {:?}", params.plasticity, params.redistribution);
        let (networks, trials) = networks_and_trials(&config);
        let both = [(0, &trials[0][..]), (1, &trials[1][..])];
        let mut on_cpu = CpuEngine::new(&params, &networks, 2).unwrap();
        let mut on_gpu = GpuEngine::new(gpu.clone(), &params, &networks, None).unwrap();
        let expected = on_cpu.train(&both).unwrap();
        let done = on_gpu.train(&both).unwrap();
        let spikes: u32 = expected
            .iter()
            .flatten()
            .flat_map(|t| &t.counts[params.n_in..])
            .sum();
        assert!(spikes > 20, "{what}: {spikes} spikes");
        assert!(on_cpu.read(0).unwrap() != on_cpu.read(1).unwrap());
        // Drivers of cards may fuse products and sums.
        if gpu.is_software() {
            assert!(done == expected, "{what}");
            for lane in 0..2 {
                assert!(
                    on_gpu.read(lane).unwrap() == on_cpu.read(lane).unwrap(),
                    "{what}"
                );
            }
        }
        // Alone as in company, and frozen trials as the processor runs them.
        for lane in 0..2 {
            let mut alone =
                GpuEngine::new(gpu.clone(), &params, &networks[lane..=lane], None).unwrap();
            let trained = alone.train(&[(0, both[lane].1)]).unwrap();
            assert!(trained[0] == done[lane], "{what}");
            assert!(
                alone.read(0).unwrap() == on_gpu.read(lane).unwrap(),
                "{what}"
            );
            if gpu.is_software() {
                let frozen = on_gpu.run(&[(lane, &trials[0])]).unwrap();
                assert!(
                    frozen == on_cpu.run(&[(lane, &trials[0])]).unwrap(),
                    "{what}"
                );
            }
        }
        let (recorded, expected) = (
            on_gpu.record(0, &trials[1][0]),
            on_cpu.record(0, &trials[1][0]),
        );
        if gpu.is_software() {
            assert!(recorded.unwrap() == expected.unwrap(), "{what}");
        }
    }
}

#[test]
fn lanes_on_the_processor_learn_what_they_learn_alone() {
    let config = &varied()[0];
    let params = config.params();
    let (networks, trials) = networks_and_trials(config);
    let mut company = CpuEngine::new(&params, &networks, 2).unwrap();
    company.train(&[(1, &trials[1]), (0, &trials[0])]).unwrap();
    for lane in 0..2 {
        let mut alone = CpuEngine::new(&params, &networks[lane..=lane], 1).unwrap();
        alone.train(&[(0, &trials[lane])]).unwrap();
        assert!(alone.read(0).unwrap() == company.read(lane).unwrap());
    }
}

#[test]
fn a_network_that_does_not_fit_the_memory_allowed_is_refused() {
    let Some(gpu) = test_gpu().map(Arc::new) else {
        return;
    };
    let config = &varied()[0];
    let (networks, _) = networks_and_trials(config);
    let refused = GpuEngine::new(gpu, &config.params(), &networks, Some(10_000)).err();
    let refused = refused.unwrap().to_string();
    assert_has(&refused, &["2 networks", "--memory"]);
}
