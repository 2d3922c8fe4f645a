//! Rate RNNs: golden cases on every engine, gradients against differences, and the same bits whatever threads and
//! memory there are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dalenet::gpu::Gpu;
use dalenet::gpu::testing::test_gpu;
use dalenet::optim::Constraint;
use dalenet::optim::Optimiser;
use dalenet::parity::{CaseFile, CaseReport, Precision};
use dalenet::random::{Purpose, Stream};
use dalenet::rate_rnn::batch::{Batch, Targets};
use dalenet::rate_rnn::cpu::{CpuEngine, Workers};
use dalenet::rate_rnn::engine::{Engine, Quantity};
use dalenet::rate_rnn::gpu::{GpuEngine, LaneStart};
use dalenet::rate_rnn::init::{InitialWeights, draw};
use dalenet::rate_rnn::params::{Kind, Loss, Params, Recipe};
use dalenet::rate_rnn::parity::{Case, run};
use dalenet::rate_rnn::weights::Layout;
use proptest::prelude::*;

const KINDS: [Kind; 3] = [Kind::Standard, Kind::ColEi, Kind::Dann];
const LOSSES: [Loss; 3] = [Loss::CrossEntropyLast, Loss::CrossEntropyAll, Loss::MseLast];

fn gpu() -> Option<Arc<Gpu>> {
    static ADAPTER: OnceLock<Option<Arc<Gpu>>> = OnceLock::new();
    ADAPTER.get_or_init(|| test_gpu().map(Arc::new)).clone()
}

/// A network with its weights and trials.
#[derive(Clone)]
struct Setup {
    params: Params,
    weights: Vec<f32>,
    batch: Batch,
}

/// Sizes of a drawn network.
#[derive(Clone, Copy, Debug)]
struct Sizes<'a> {
    n_in: usize,
    layers: &'a [usize],
    n_out: usize,
    steps: usize,
    trials: usize,
}

const SMALL: Sizes = Sizes {
    n_in: 3,
    layers: &[7, 5],
    n_out: 4,
    steps: 6,
    trials: 5,
};

fn drawn(kind: Kind, loss: Loss, sizes: Sizes) -> Setup {
    let params = Params {
        kind,
        n_in: sizes.n_in,
        layers: sizes.layers.into(),
        n_out: sizes.n_out,
        inhibitory_fraction: 0.3,
        loss,
        recipe: Recipe::descent(0.05, Some(0.5)),
    };
    let initial = InitialWeights {
        seed: 11,
        spectral_radius: 1.5,
        random_inhibition: true,
        standard_radius: None,
        transplant: None,
    };
    let mut weights = draw(&params, &initial).expect("converges");
    let mut stream = Stream::new(Purpose::Weights, 12, 0, 0);
    let layout = Layout::new(&params);
    for spec in layout
        .tensors
        .iter()
        .filter(|spec| spec.name.ends_with(".b"))
    {
        weights[spec.range()].fill_with(|| (0.2 * stream.normal()) as f32);
    }
    let Sizes {
        steps,
        trials,
        n_out,
        ..
    } = sizes;
    let mut normals = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
    let x = normals(steps * trials * sizes.n_in);
    let mut class = |_| (normals(1)[0].abs() * 1e3) as u32 % n_out as u32;
    let targets = match loss {
        Loss::CrossEntropyLast => Targets::Classes((0..trials).map(&mut class).collect()),
        Loss::CrossEntropyAll => Targets::Classes((0..steps * trials).map(&mut class).collect()),
        Loss::MseLast => Targets::Values(normals(trials * n_out)),
    };
    Setup {
        params,
        weights,
        batch: Batch {
            steps,
            trials,
            x,
            targets,
        },
    }
}

fn on_cpu(setup: &Setup, threads: usize) -> Box<dyn Engine> {
    let engine = CpuEngine::<f32>::new(setup.params.clone(), &setup.weights, threads);
    Box::new(engine.expect("is made"))
}

fn in_double(setup: &Setup) -> Box<dyn Engine> {
    let engine = CpuEngine::<f64>::new(setup.params.clone(), &setup.weights, 2);
    Box::new(engine.expect("is made"))
}

fn on_gpu(gpu: &Arc<Gpu>, setup: &Setup, memory: Option<u64>) -> Box<dyn Engine> {
    let shape = [setup.batch.steps, setup.batch.trials];
    let (params, weights) = (setup.params.clone(), &setup.weights);
    Box::new(GpuEngine::new(gpu.clone(), params, weights, memory, shape).expect("is made"))
}

/// Every engine by its name and precision.
fn engines(setup: &Setup) -> Vec<(&'static str, Precision, Box<dyn Engine>)> {
    let mut engines = vec![
        ("CPU f32", Precision::F32, on_cpu(setup, 2)),
        ("CPU f64", Precision::F64, in_double(setup)),
    ];
    if let Some(gpu) = gpu() {
        engines.push(("GPU", Precision::F32, on_gpu(&gpu, setup, None)));
    }
    engines
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rate_rnn");
    let entries = std::fs::read_dir(folder).expect("is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files
}

fn load(path: &Path) -> Case {
    let file = CaseFile::load(path).expect("is a case");
    Case::of(&file).unwrap_or_else(|error| panic!("{error}"))
}

fn setup_of(case: &Case) -> Setup {
    Setup {
        params: case.params.clone(),
        weights: case.weights.clone(),
        batch: case.batch.clone(),
    }
}

fn failures(report: &CaseReport) -> Vec<String> {
    let failed = report.rows.iter().filter(|row| !row.passed);
    failed.map(|row| format!("{row:?}")).collect()
}

#[test]
fn every_golden_case_passes_with_every_quantity_compared() {
    let files = files();
    assert!(files.len() >= 6);
    for path in files {
        let case = load(&path);
        for (name, precision, mut engine) in engines(&setup_of(&case)) {
            let report = run(&case, precision, engine.as_mut()).expect("runs");
            assert!(
                report.passed(),
                "{} on {name}: {:?}",
                case.name,
                failures(&report)
            );
            let rows = 3 + case.sgd_steps + 2 * case.layout.tensors.len();
            assert_eq!(report.rows.len(), rows, "{} on {name}", case.name);
        }
    }
}

/// Errors as an implementation might make them.
#[test]
fn planted_errors_fail() {
    let case = |name: &str| {
        let found = files()
            .into_iter()
            .find(|path| path.ends_with(format!("{name}.safetensors")));
        load(&found.expect("is there"))
    };
    type Plant = fn(&mut Params);
    let errors: [(&str, &str, Plant); 6] = [
        ("rnn_dann", "no clipping", |p| p.recipe.clip_norm = None),
        ("rnn_standard_clip", "another clip", |p| {
            p.recipe.clip_norm = Some(0.051)
        }),
        ("rnn_standard", "another rate", |p| {
            p.recipe.learning_rate *= 1.02
        }),
        ("rnn_col_ei", "one inhibitory unit less", |p| {
            p.inhibitory_fraction = 0.16
        }),
        ("rnn_col_ei_deep", "no signs", |p| {
            p.inhibitory_fraction = 0.0
        }),
        ("rnn_standard", "Adam", |p| {
            p.recipe.optimiser = Optimiser::Adam
        }),
    ];
    for (name, what, plant) in errors {
        let case = case(name);
        let mut setup = setup_of(&case);
        plant(&mut setup.params);
        for (engine_name, precision, mut engine) in engines(&setup) {
            let report = run(&case, precision, engine.as_mut()).expect("runs");
            assert!(!report.passed(), "{what} of {name} on {engine_name}");
        }
    }
}

#[test]
fn every_quantity_fails_where_it_is_expected_otherwise() {
    let sound = load(&files()[2]);
    let setup = setup_of(&sound);
    type Alter = fn(&mut Case);
    let altered: [(&str, Alter); 6] = [
        ("outputs", |c| c.outputs[3] += 1e-2),
        ("loss", |c| c.losses[2] *= 1.001),
        ("gradient", |c| c.gradient[7] += 1e-1),
        ("weight change", |c| c.after[9] += 1e-1),
        ("svd entropy", |c| c.svd_entropy[0] *= 1.001),
        ("singular values", |c| c.singular_values[0] *= 1.001),
    ];
    for (quantity, alter) in altered {
        let mut case = sound.clone();
        alter(&mut case);
        for (name, precision, mut engine) in engines(&setup) {
            let report = run(&case, precision, engine.as_mut()).expect("runs");
            let failed: Vec<_> = report.rows.iter().filter(|row| !row.passed).collect();
            assert!(
                failed.len() == 1 && failed[0].quantity.starts_with(quantity),
                "{name}: {failed:?}"
            );
        }
    }
}

/// The gradient of each stored weight against central differences, in double precision.
#[test]
fn gradients_are_those_of_the_loss() {
    for kind in KINDS {
        for loss in LOSSES {
            let setup = drawn(kind, loss, SMALL);
            let mut engine = in_double(&setup);
            engine.gradient(&setup.batch).expect("runs");
            let gradient = engine.read(Quantity::Gradient).expect("reads");
            let layout = engine.layout().clone();
            let mut at = |entry: usize, to: f32| {
                let mut weights = setup.weights.clone();
                weights[entry] = to;
                engine.load(&weights).expect("loads");
                let forward = engine.forward(&setup.batch, false).expect("runs");
                forward.scores.mean_loss()
            };
            let mut misses = 0;
            for (entry, gradient) in gradient.iter().enumerate() {
                let w = setup.weights[entry];
                let (low, high) = (w - 1e-3, w + 1e-3);
                // A third of the difference's error is left by this combination of two differences.
                let wide = (at(entry, high) - at(entry, low)) / f64::from(high - low);
                let (low, high) = (w - 5e-4, w + 5e-4);
                let narrow = (at(entry, high) - at(entry, low)) / f64::from(high - low);
                let expected = (4.0 * narrow - wide) / 3.0;
                let error = (gradient - expected).abs();
                misses += usize::from(error > 1e-6 * (1.0 + expected.abs()));
            }
            // A difference may straddle the edge of a unit's rectifier.
            assert!(
                misses * 50 <= layout.len,
                "{kind:?} {loss:?}: {misses} of {}",
                layout.len
            );
        }
    }
}

fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

/// Sizes around groups, tiles and workgroups.
const AWKWARD: [Sizes; 5] = [
    Sizes {
        n_in: 1,
        layers: &[2],
        n_out: 1,
        steps: 1,
        trials: 1,
    },
    Sizes {
        n_in: 2,
        layers: &[17, 3, 9],
        n_out: 5,
        steps: 4,
        trials: 9,
    },
    Sizes {
        n_in: 33,
        layers: &[16],
        n_out: 11,
        steps: 3,
        trials: 16,
    },
    Sizes {
        n_in: 5,
        layers: &[261],
        n_out: 3,
        steps: 3,
        trials: 7,
    },
    Sizes {
        n_in: 3,
        layers: &[31, 12],
        n_out: 300,
        steps: 5,
        trials: 23,
    },
];

#[test]
fn engines_agree_at_awkward_sizes() {
    for sizes in AWKWARD {
        for kind in KINDS {
            for loss in LOSSES {
                let setup = drawn(kind, loss, sizes);
                let all = engines(&setup).into_iter().map(|(name, _, mut engine)| {
                    let outputs = engine.forward(&setup.batch, true).expect("runs");
                    let scores = engine.gradient(&setup.batch).expect("runs");
                    assert_eq!(outputs.scores.correct, scores.correct, "{name}");
                    let gradient = engine.read(Quantity::Gradient).expect("reads");
                    engine.step().expect("steps");
                    let weights = engine.read(Quantity::Weights).expect("reads");
                    (name, outputs.outputs, scores, gradient, weights)
                });
                let all: Vec<_> = all.collect();
                let (_, outputs, scores, gradient, weights) = &all[1];
                for (name, own_outputs, own_scores, own_gradient, own_weights) in &all {
                    let told = format!("{name} {kind:?} {loss:?} {sizes:?}");
                    assert!(relative_error(own_outputs, outputs) < 1e-5, "{told}");
                    let losses = [own_scores.loss_sum, scores.loss_sum];
                    assert!(
                        (losses[0] - losses[1]).abs() <= 1e-5 * losses[1].abs() + 1e-6,
                        "{told}"
                    );
                    if gradient.iter().any(|&g| g != 0.0) {
                        assert!(relative_error(own_gradient, gradient) < 1e-4, "{told}");
                    }
                    assert!(relative_error(own_weights, weights) < 1e-5, "{told}");
                }
            }
        }
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Loss of each step and weights after three.
fn trained(engine: &mut dyn Engine, batch: &Batch) -> (Vec<u64>, Vec<u64>) {
    let mut losses = Vec::new();
    for _ in 0..3 {
        losses.push(engine.gradient(batch).expect("runs").loss_sum.to_bits());
        engine.step().expect("steps");
    }
    let weights = engine.read(Quantity::Weights).expect("reads");
    (losses, bits(&weights))
}

#[test]
fn threads_and_memory_change_no_bit() {
    let sizes = Sizes {
        trials: 37,
        ..SMALL
    };
    for kind in KINDS {
        let setup = drawn(kind, Loss::CrossEntropyAll, sizes);
        let expected = trained(on_cpu(&setup, 1).as_mut(), &setup.batch);
        for threads in [1, 2, 5] {
            let found = trained(on_cpu(&setup, threads).as_mut(), &setup.batch);
            assert!(found == expected, "{kind:?}, {threads} threads");
        }
        let Some(gpu) = gpu() else { continue };
        let whole = trained(on_gpu(&gpu, &setup, None).as_mut(), &setup.batch);
        // Room for one group, for three, and for all; less than that is refused.
        for memory in [75_000, 90_000, 1 << 30] {
            let found = trained(on_gpu(&gpu, &setup, Some(memory)).as_mut(), &setup.batch);
            assert!(found == whole, "{kind:?}, {memory} bytes");
        }
        let shape = [sizes.steps, sizes.trials];
        let refused = GpuEngine::new(gpu, setup.params.clone(), &setup.weights, Some(1000), shape);
        let message = refused.err().expect("is refused").to_string();
        assert!(
            message.contains("--memory") && message.contains("1000"),
            "{message}"
        );
    }
}

#[test]
fn a_restored_engine_goes_on_as_if_nothing_had_been() {
    for optimiser in [Optimiser::Sgd, Optimiser::Adam] {
        let mut setup = drawn(Kind::Dann, Loss::CrossEntropyLast, SMALL);
        setup.params.recipe = Recipe {
            optimiser,
            decay: 0.5,
            decay_every_steps: 3,
            ..setup.params.recipe
        };
        let names = engines(&setup).into_iter().map(|(name, ..)| name);
        for (at, name) in names.enumerate() {
            let engine = || engines(&setup).swap_remove(at).2;
            let step = |engine: &mut dyn Engine, steps: usize| {
                for _ in 0..steps {
                    engine.gradient(&setup.batch).expect("runs");
                    engine.step().expect("steps");
                }
            };
            if name == "CPU f64" {
                continue; // its state does not fit into a checkpoint's single precision
            }
            let mut first = engine();
            step(first.as_mut(), 2);
            let mut read = |quantity| -> Vec<f32> {
                let values = first.read(quantity).expect("reads");
                values.into_iter().map(|x| x as f32).collect()
            };
            let weights = read(Quantity::Weights);
            let (m, v) = (read(Quantity::AdamM), read(Quantity::AdamV));
            let mut second = engine();
            second.load(&weights).expect("loads");
            second.restore(&m, &v, 2).expect("restores");
            step(first.as_mut(), 3);
            step(second.as_mut(), 3);
            let all = [first, second].map(|mut engine| {
                let weights = engine.read(Quantity::Weights).expect("reads");
                (bits(&weights), engine.optimiser_steps())
            });
            assert!(all[0] == all[1] && all[0].1 == 5, "{name}, {optimiser:?}");
        }
    }
}

/// The first steps of Adam move every weight by the learning rate, and those of descent along the gradient; a rate that
/// decays is the smaller one from its step on.
#[test]
fn the_recipe_reaches_every_engine() {
    for optimiser in [Optimiser::Sgd, Optimiser::Adam] {
        let mut setup = drawn(Kind::Standard, Loss::MseLast, SMALL);
        setup.params.recipe = Recipe {
            optimiser,
            decay: 0.5,
            decay_every_steps: 2,
            ..Recipe::descent(0.01, None)
        };
        for (name, _, mut engine) in engines(&setup) {
            for step in 1..=3 {
                engine.gradient(&setup.batch).expect("runs");
                let gradient = engine.read(Quantity::Gradient).expect("reads");
                let before = engine.read(Quantity::Weights).expect("reads");
                engine.step().expect("steps");
                let after = engine.read(Quantity::Weights).expect("reads");
                let rate = if step <= 2 { 0.01 } else { 0.005 };
                let changes = || before.iter().zip(&after).map(|(b, a)| b - a);
                let told = format!("{name} {optimiser:?} step {step}");
                if optimiser == Optimiser::Sgd {
                    let expected: Vec<f64> = gradient.iter().map(|g| rate * g).collect();
                    let changes: Vec<f64> = changes().collect();
                    assert!(relative_error(&changes, &expected) < 1e-3, "{told}");
                } else if step == 1 {
                    let far = gradient
                        .iter()
                        .zip(changes())
                        .filter(|(g, _)| g.abs() > 1e-4);
                    for (g, change) in far {
                        assert!(
                            (change - rate * g.signum()).abs() < 1e-4 * rate + 1e-7,
                            "{told}"
                        );
                    }
                } else {
                    // Adam's steps are about the rate where gradients change little.
                    let mut sizes: Vec<f64> =
                        changes().map(f64::abs).filter(|x| *x > 0.0).collect();
                    sizes.sort_by(f64::total_cmp);
                    let middle = sizes[sizes.len() / 2] / rate;
                    assert!((0.8..1.2).contains(&middle), "{told}: {middle}");
                }
            }
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let mut setup = drawn(Kind::ColEi, Loss::MseLast, SMALL);
    setup.batch.x[4] = f32::NAN;
    for (name, _, mut engine) in engines(&setup) {
        engine.gradient(&setup.batch).expect("runs");
        assert!(engine.step().expect("steps").skipped, "{name}");
        let weights = engine.read(Quantity::Weights).expect("reads");
        let before: Vec<f64> = setup.weights.iter().map(|&w| f64::from(w)).collect();
        assert!(weights == before && engine.optimiser_steps() == 0, "{name}");
    }
}

#[test]
fn stored_weights_of_networks_with_signs_stay_at_zero_or_above() {
    for kind in [Kind::ColEi, Kind::Dann] {
        let mut setup = drawn(kind, Loss::CrossEntropyLast, SMALL);
        setup.params.recipe = Recipe::descent(1.0, None);
        for (name, _, mut engine) in engines(&setup) {
            trained(engine.as_mut(), &setup.batch);
            let weights = engine.read(Quantity::Weights).expect("reads");
            let layout = engine.layout();
            let of = |is_held: bool| {
                let tensors = layout
                    .tensors
                    .iter()
                    .filter(move |t| (t.constraint == Constraint::NonNegative) == is_held);
                tensors.flat_map(|t| weights[t.range()].iter().copied())
            };
            assert!(
                of(true).all(|w| w >= 0.0) && of(true).any(|w| w == 0.0),
                "{name}"
            );
            assert!(of(false).any(|b| b < 0.0), "{name}: biases are free");
        }
    }
}

#[test]
fn frozen_signs_stay_as_they_were_drawn_through_zero_and_back() {
    let mut setup = drawn(Kind::Standard, Loss::CrossEntropyLast, SMALL);
    setup.params.recipe = Recipe {
        frozen_signs: true,
        ..Recipe::descent(1.0, None)
    };
    for (name, _, mut engine) in engines(&setup) {
        let matrices: Vec<_> = (engine.layout().tensors.iter())
            .filter(|t| t.constraint == Constraint::KeepSign)
            .map(|t| t.range())
            .collect();
        let (mut zeros, mut left) = (0, 0);
        let mut before: Vec<f64> = setup.weights.iter().map(|&w| f64::from(w)).collect();
        for _ in 0..6 {
            engine.train(&setup.batch).expect("trains");
            let now = engine.read(Quantity::Weights).expect("reads");
            for at in matrices.iter().cloned().flatten() {
                let start = f64::from(setup.weights[at]);
                let same = now[at].is_sign_negative() == start.is_sign_negative();
                assert!(same, "{name}: {start} became {}", now[at]);
                zeros += usize::from(now[at] == 0.0);
                left += usize::from(before[at] == 0.0 && now[at] != 0.0);
            }
            before = now;
        }
        assert!(zeros > 0 && left > 0, "{name}: {zeros} {left}");
    }
}

/// Networks of one shape in all that may differ: kinds, fractions, rates, clipping, signs, seeds.
fn company(lanes: usize) -> Vec<Setup> {
    let of = |lane: usize| {
        // Some that follow each other are alike, and go in one dispatch.
        let block = lane / 4;
        let kind = [Kind::Standard, Kind::ColEi, Kind::ColEi][block % 3];
        let mut setup = drawn(kind, Loss::CrossEntropyLast, SMALL);
        setup.params.inhibitory_fraction = [0.3, 0.3, 0.5][block % 3];
        setup.params.recipe = Recipe {
            frozen_signs: block.is_multiple_of(6),
            ..Recipe::descent(0.05 + 0.01 * (block % 5) as f64, Some(0.1))
        };
        for (i, w) in setup.weights.iter_mut().enumerate() {
            *w *= 1.0 + ((i + lane) % 7) as f32 / 20.0;
        }
        for (i, x) in setup.batch.x.iter_mut().enumerate() {
            *x += ((i * (lane + 1)) % 5) as f32 / 10.0;
        }
        setup
    };
    (0..lanes).map(of).collect()
}

#[test]
fn lanes_of_the_gpu_learn_what_they_learn_alone_whatever_goes_beside_them() {
    let Some(gpu) = gpu() else {
        return;
    };
    const LANES: usize = 32;
    const MISTAKEN: usize = 5;
    let mut setups = company(LANES);
    // The gradient of one is not finite.
    setups[MISTAKEN].batch.x[4] = f32::NAN;
    let start = |setup: &Setup| LaneStart {
        params: setup.params.clone(),
        weights: setup.weights.clone(),
    };
    let starts: Vec<_> = setups.iter().map(start).collect();
    let shape = [setups[0].batch.steps, setups[0].batch.trials];
    let together = |memory| GpuEngine::of_lanes(gpu.clone(), &starts, memory, shape);
    let mut all = together(None).expect("is made");
    // The second round leaves every fourth behind, the third is of those alone.
    let rounds: [&dyn Fn(usize) -> bool; 3] =
        [&|_| true, &|lane| lane % 4 != 0, &|lane| lane % 4 == 0];
    let mut reports = vec![Vec::new(); LANES];
    for wanted in rounds {
        let lanes: Vec<usize> = (0..LANES).filter(|&lane| wanted(lane)).collect();
        let work: Vec<_> = lanes.iter().map(|&l| (l, &setups[l].batch)).collect();
        let scores = all.gradient_lanes(&work).expect("runs");
        let steps = all.step_lanes(&lanes).expect("steps");
        for ((lane, scores), step) in lanes.into_iter().zip(scores).zip(steps) {
            reports[lane].push((scores, step));
        }
    }
    let work: Vec<_> = (0..LANES).map(|l| (l, &setups[l].batch)).collect();
    let forward = all.forward_lanes(&work, true).expect("runs");
    for (lane, setup) in setups.iter().enumerate() {
        let mut alone = on_gpu(&gpu, setup, None);
        let expected: Vec<_> = (0..2)
            .map(|_| alone.train(&setup.batch).expect("trains"))
            .collect();
        let of = format!("lane {lane}");
        let read = |quantity| all.read_lane(lane, quantity).expect("reads");
        assert_eq!(
            read(Quantity::Weights),
            alone.read(Quantity::Weights).expect("reads"),
            "{of}"
        );
        if lane == MISTAKEN {
            assert!(reports[lane].iter().all(|(_, step)| step.skipped));
            continue;
        }
        assert!(reports[lane].iter().all(|(_, step)| !step.skipped));
        assert_eq!(reports[lane], expected, "{of}");
        assert_eq!(
            read(Quantity::Gradient),
            alone.read(Quantity::Gradient).expect("reads"),
            "{of}"
        );
        assert_eq!(
            forward[lane],
            alone.forward(&setup.batch, true).expect("runs"),
            "{of}"
        );
    }
    let refused = together(Some(10_000))
        .map(|_| ())
        .expect_err("has no room")
        .to_string();
    assert!(
        refused.contains("--memory") && refused.contains("--lanes"),
        "{refused}"
    );
}

#[test]
fn engines_that_share_worker_threads_learn_what_they_learn_alone() {
    let setups = company(6);
    let workers = Arc::new(Workers::new(2).expect("starts"));
    let together: Vec<_> = std::thread::scope(|scope| {
        let run = |setup| {
            let workers = workers.clone();
            scope.spawn(move || {
                let Setup {
                    params,
                    weights,
                    batch,
                }: &Setup = setup;
                let mut engine = CpuEngine::<f32>::with_workers(params.clone(), weights, workers);
                for _ in 0..5 {
                    engine.train(batch).expect("trains");
                }
                engine.read(Quantity::Weights).expect("reads")
            })
        };
        let runs: Vec<_> = setups.iter().map(run).collect();
        runs.into_iter()
            .map(|run| run.join().expect("runs"))
            .collect()
    });
    for (setup, found) in setups.iter().zip(together) {
        let mut alone = on_cpu(setup, 1);
        for _ in 0..5 {
            alone.train(&setup.batch).expect("trains");
        }
        assert_eq!(found, alone.read(Quantity::Weights).expect("reads"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Case files that nobody vouches for are refused or run, whatever comes out.
    #[test]
    fn altered_cases_never_panic(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
    ) {
        let files = files();
        let mut bytes = std::fs::read(&files[which.index(files.len())]).expect("readable");
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
        let most = if in_header { header } else { bytes.len() };
        for (at, value) in flips {
            bytes[at.index(most)] = value;
        }
        let case = CaseFile::parse(Path::new("case.safetensors"), bytes).and_then(|file| Case::of(&file));
        if let Ok(case) = case {
            let report = run(&case, Precision::F32, on_cpu(&setup_of(&case), 1).as_mut());
            prop_assert!(!report.expect("runs").rows.is_empty());
        }
    }
}
