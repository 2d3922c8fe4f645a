//! What must not change a bit, and what single precision may change in networks of awkward sizes.

use std::collections::BTreeMap;

use crate::common::networks::{
    CPU_F64, Device, SMALL, Setup, Sizes, cpu, devices, draw, norm, relative_error,
};
use dalenet::conductance::batch::{Batch, Forward, Population, Request};
use dalenet::conductance::engine::{Engine, EngineError, Quantity};
use dalenet::conductance::settings::{LoopRule, MatrixName};
use dalenet::conductance::weights::{Matrix, Weights};
use dalenet::optim::{Optimiser, Parametrisation};
use dalenet::real::Real;

/// More trials than two gradient groups hold.
const MANY: Sizes = Sizes {
    trials: 67,
    ..SMALL
};

type Matrices = BTreeMap<MatrixName, Vec<f64>>;

/// First gradient, and loss and weights after some optimiser steps on the same batch.
fn train(engine: &mut dyn Engine, setup: &Setup, steps: usize) -> (Matrices, f64, Matrices) {
    let mut first = None;
    let mut loss = f64::NAN;
    for _ in 0..steps {
        let result = engine.gradient(&setup.batch, Request::default());
        loss = result.expect("runs").loss;
        first.get_or_insert(engine.read(Quantity::Gradient).expect("reads"));
        assert!(!engine.step().expect("steps").skipped);
    }
    let after = engine.read(Quantity::Weights).expect("reads");
    (first.expect("one step at least"), loss, after)
}

/// Whether two sets of matrices are the same bit for bit.
fn same_bits(a: &Matrices, b: &Matrices) -> bool {
    let bits = |m: &Matrices| -> Vec<(MatrixName, Vec<u64>)> {
        m.iter()
            .map(|(&name, data)| (name, data.iter().map(|x| x.to_bits()).collect()))
            .collect()
    };
    !a.is_empty() && bits(a) == bits(b)
}

fn threads_and_segments<R: Real>() {
    let setup = draw(MANY, 6, 0.0, |config| config.network.grad_dampen = 30.0);
    let of = |threads, segment| train(cpu::<R>(&setup, threads, segment).as_mut(), &setup, 3);
    let (gradient, loss, after) = of(1, MANY.steps);
    let start: Matrices = (setup.weights.iter())
        .map(|(&name, m)| (name, m.data.iter().map(|&w| f64::from(w)).collect()))
        .collect();
    assert!(!same_bits(&after, &start), "training changes the weights");
    for (threads, segment) in [(2, MANY.steps), (3, 45), (1, 1), (2, 7), (1, 1000)] {
        let other = of(threads, segment);
        let what = format!("{threads} threads, segments of {segment}");
        assert!(same_bits(&other.0, &gradient), "gradient: {what}");
        assert_eq!(other.1.to_bits(), loss.to_bits(), "loss: {what}");
        assert!(same_bits(&other.2, &after), "weights: {what}");
    }
}

#[test]
fn threads_and_segments_change_no_bit_in_single_precision() {
    threads_and_segments::<f32>();
}

#[test]
fn threads_and_segments_change_no_bit_in_double_precision() {
    threads_and_segments::<f64>();
}

#[test]
fn segments_change_no_bit_under_imposed_spikes() {
    let setup = draw(SMALL, 6, 0.0, |config| config.network.grad_dampen = 30.0);
    let request = |raster, imposed| Request {
        raster,
        imposed,
        ..Request::default()
    };
    let mut engine = cpu::<f32>(&setup, 1, 7);
    let own = engine.forward(&setup.batch, request(true, None));
    let mut imposed = own.expect("runs").raster.expect("was asked for");
    // Spikes that the cells themselves would not have, in every segment.
    for trial in 0..SMALL.trials {
        for step in (trial..SMALL.steps).step_by(3) {
            imposed.set(trial, step, Population::E, (step + trial) % SMALL.n_e);
            imposed.set(trial, step, Population::I, step % SMALL.n_i);
        }
    }
    let gradient = |segment| {
        let mut engine = cpu::<f32>(&setup, 1, segment);
        let result = engine.gradient(&setup.batch, request(false, Some(&imposed)));
        let differing = result.expect("runs").forward.disagreements;
        assert!(
            !differing.is_empty(),
            "the imposed spikes are not the network's own"
        );
        engine.read(Quantity::Gradient).expect("reads")
    };
    let whole = gradient(SMALL.steps);
    for segment in [1, 7] {
        assert!(same_bits(&gradient(segment), &whole), "{segment} steps");
    }
}

/// The ways through a step that record and the one that does not are written apart.
#[test]
fn what_is_asked_for_changes_no_result() {
    let setup = draw(SMALL, 6, 0.0, |config| {
        config.network.readout_threshold = 0.05
    });
    for device in devices() {
        let mut engine = (device.make)(&setup);
        let mut run = |raster, traces| {
            let request = Request {
                raster,
                traces,
                ..Request::default()
            };
            engine.forward(&setup.batch, request).expect("runs")
        };
        let plain = run(false, false);
        for (raster, traces) in [(true, false), (true, true)] {
            let recorded = run(raster, traces);
            assert_eq!(recorded.logits, plain.logits, "{}", device.name);
            assert_eq!(recorded.counts_e, plain.counts_e, "{}", device.name);
            assert_eq!(recorded.counts_i, plain.counts_i, "{}", device.name);
            let raster = recorded.raster.expect("was asked for");
            let resets = raster.spikes(Population::Out).len();
            assert!(resets > 0, "{}: read-outs must reset", device.name);
        }
    }
}

#[test]
fn one_bit_of_one_weight_is_noticed() {
    let setup = draw(SMALL, 6, 0.0, |_| {});
    let mut other = setup.clone();
    let w = &mut other.weights.get_mut(&MatrixName::WIn).expect("there").data[5];
    *w = w.next_up();
    for device in devices() {
        let (gradient, ..) = train((device.make)(&setup).as_mut(), &setup, 1);
        let (same, ..) = train((device.make)(&setup).as_mut(), &setup, 1);
        let (changed, ..) = train((device.make)(&other).as_mut(), &other, 1);
        assert!(
            same_bits(&gradient, &same),
            "{} repeats itself",
            device.name
        );
        assert!(!same_bits(&gradient, &changed), "{}", device.name);
    }
}

#[test]
fn a_trial_does_not_depend_on_its_place_or_on_its_company() {
    let setup = draw(MANY, 4, 0.0, |_| {});
    let part = |trials: &[usize]| {
        let trials = trials.iter();
        Batch::new(trials.map(|&t| (setup.batch.events_of(t), setup.batch.labels[t])))
    };
    let reversed: Vec<usize> = (0..67).rev().collect();
    for device in devices() {
        let mut engine = (device.make)(&setup);
        let mut logits = |batch: &Batch| {
            let result = engine.forward(batch, Request::default());
            result.expect("runs").logits
        };
        let all = logits(&setup.batch);
        let [first, last] = [&all[..3], &all[66 * 3..]];
        assert_ne!(first, last, "trials must differ to be told apart");
        for trial in [0, 1, 31, 32, 66] {
            assert_eq!(
                logits(&part(&[trial])),
                all[trial * 3..][..3],
                "trial {trial} alone"
            );
        }
        let back = logits(&part(&reversed));
        for trial in 0..67 {
            assert_eq!(back[(66 - trial) * 3..][..3], all[trial * 3..][..3]);
        }
    }
}

#[test]
fn the_gradient_of_a_batch_is_the_mean_of_its_trials() {
    let setup = draw(SMALL, 4, 0.0, |config| config.network.grad_dampen = 20.0);
    let gradient = |batch: &Batch| {
        let mut engine = (CPU_F64.make)(&setup);
        engine.gradient(batch, Request::default()).expect("runs");
        engine.read(Quantity::Gradient).expect("reads")
    };
    let whole = gradient(&setup.batch);
    let parts: Vec<_> = (0..setup.batch.trials())
        .map(|t| {
            gradient(&Batch::new([(
                setup.batch.events_of(t),
                setup.batch.labels[t],
            )]))
        })
        .collect();
    for (name, whole) in &whole {
        let mean: Vec<f64> = (0..whole.len())
            .map(|at| parts.iter().map(|p| p[name][at]).sum::<f64>() / parts.len() as f64)
            .collect();
        assert!(relative_error(whole, &mean) < 1e-12, "{name:?}");
        assert!(
            relative_error(whole, &parts[0][name]) > 1e-3,
            "{name:?}: one trial is not all"
        );
    }
}

/// Matrices as they are handed to a new engine.
fn stored(setup: &Setup, matrices: &Matrices) -> Weights {
    let of = |(&name, data): (&MatrixName, &Vec<f64>)| {
        let (pre, post) = setup.params.shape(name);
        let data = data.iter().map(|&x| x as f32).collect();
        (name, Matrix { pre, post, data })
    };
    matrices.iter().map(of).collect()
}

#[test]
fn four_steps_equal_two_and_a_restored_engine_with_two() {
    for device in devices().into_iter().filter(Device::is_single) {
        resumes_exactly(&draw(SMALL, 8, 0.0, |_| {}), &device);
        for optimiser in [Optimiser::Adam, Optimiser::Sgd] {
            let setup = draw(SMALL, 8, 0.0, |config| {
                config.training.loop_rule = Some(LoopRule {
                    optimiser,
                    learning_rate: Some(0.01),
                    parametrisation: Parametrisation::Log,
                });
            });
            resumes_exactly(&setup, &device);
        }
    }
}

/// Four steps, and two before and two after the engine is made anew.
fn resumes_exactly(setup: &Setup, device: &Device) {
    let (.., whole) = train((device.make)(setup).as_mut(), setup, 4);
    let mut first = (device.make)(setup);
    let (.., weights) = train(first.as_mut(), setup, 2);
    let mut moment = |quantity| stored(setup, &first.read(quantity).expect("reads"));
    let [m, v] = [Quantity::AdamM, Quantity::AdamV].map(&mut moment);
    let resumed = Setup {
        weights: stored(setup, &weights),
        ..setup.clone()
    };
    let mut second = (device.make)(&resumed);
    second.restore(&m, &v, 2).expect("fits");
    let (.., after) = train(second.as_mut(), &resumed, 2);
    assert_eq!(second.optimiser_steps(), 4);
    assert!(same_bits(&after, &whole), "{}", device.name);
    // Without its optimiser state the run ends elsewhere.
    let (.., forgetful) = train((device.make)(&resumed).as_mut(), &resumed, 2);
    assert!(!same_bits(&forgetful, &whole));
    let mut missing = m.clone();
    missing.remove(&MatrixName::WOut);
    let refused = second.restore(&missing, &v, 2);
    assert!(matches!(refused, Err(EngineError::Moment("out"))));
}

/// Forward pass and gradient of one engine.
struct Pass {
    forward: Forward,
    gradient: Matrices,
}

fn pass(setup: &Setup, device: &Device, request: Request<'_>) -> Pass {
    let mut engine = (device.make)(setup);
    let result = engine.gradient(&setup.batch, request).expect("runs");
    Pass {
        forward: result.forward,
        gradient: engine.read(Quantity::Gradient).expect("reads"),
    }
}

/// Compares single with double precision under the same spikes, by the figures for golden cases.
fn compare(ours: &Pass, expected: &Pass) -> Result<(), String> {
    let logits = relative_error(&ours.forward.logits, &expected.forward.logits);
    if logits.is_nan() || logits > 1e-4 {
        return Err(format!("logits: {logits:.2e}"));
    }
    let (Some(a), Some(b)) = (&ours.forward.traces, &expected.forward.traces) else {
        return Err("traces are missing".into());
    };
    for (what, a, b, most) in [
        ("v_e", &a.v_e, &b.v_e, 5e-4),
        ("v_i", &a.v_i, &b.v_i, 5e-4),
        ("g_exc_e", &a.g_exc_e, &b.g_exc_e, 5e-6),
        ("g_inh_e", &a.g_inh_e, &b.g_inh_e, 5e-6),
        ("g_exc_i", &a.g_exc_i, &b.g_exc_i, 5e-6),
        ("g_inh_i", &a.g_inh_i, &b.g_inh_i, 5e-6),
    ] {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, |m: f64, d| if d > m || d.is_nan() { d } else { m });
        if a.len() != b.len() || a.is_empty() || worst.is_nan() || worst > most {
            return Err(format!("{what}: {worst:.2e}"));
        }
    }
    let whole = norm(
        &expected
            .gradient
            .values()
            .flatten()
            .copied()
            .collect::<Vec<_>>(),
    );
    if ours.gradient.len() != expected.gradient.len() || whole == 0.0 {
        return Err("nothing to compare in the gradients".into());
    }
    for (name, expected) in &expected.gradient {
        let ours = ours.gradient.get(name).ok_or("a gradient is missing")?;
        let difference: Vec<f64> = ours.iter().zip(expected).map(|(a, b)| a - b).collect();
        let (off, size) = (norm(&difference), norm(expected));
        let within = off <= 1e-3 * size + 1e-6 * whole;
        if ours.len() != expected.len() || !within {
            return Err(format!("gradient of {name:?}: {off:.2e} off {size:.2e}"));
        }
    }
    Ok(())
}

/// A network of hostile sizes whose first step already brings E cells over threshold.
fn hostile([n_in, n_e, n_i, n_out, trials, steps]: [usize; 6]) -> Setup {
    let sizes = Sizes {
        n_in,
        n_e,
        n_i,
        n_out,
        trials,
        steps,
    };
    let mut setup = draw(sizes, 12, 0.0, |config| {
        config.network.grad_dampen = 50.0;
        // With one class the cross-entropy alone has no gradient.
        config.training.rate_strength = 1e-5;
    });
    let strengthen = |m: &mut Matrix| m.data.iter_mut().for_each(|w| *w *= 4.0);
    setup.weights.get_mut(&MatrixName::WIn).map(strengthen);
    setup
}

#[test]
fn single_precision_follows_double_precision_at_hostile_sizes() {
    for sizes in [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 2, 1, 2],
        [1, 63, 65, 67, 1, 30],
        [63, 1, 67, 65, 63, 12],
        [65, 67, 1, 63, 65, 12],
        [67, 65, 63, 1, 67, 12],
        [63, 65, 67, 1, 1, 2],
        [65, 63, 1, 67, 63, 1],
        [67, 67, 67, 67, 1, 30],
        [64, 64, 64, 64, 32, 16],
    ] {
        let setup = hostile(sizes);
        let free = Request {
            raster: true,
            ..Request::default()
        };
        let raster = pass(&setup, &CPU_F64, free)
            .forward
            .raster
            .expect("asked for");
        assert!(
            !raster.spikes(Population::E).is_empty(),
            "{sizes:?} is silent"
        );
        let imposed = Request {
            imposed: Some(&raster),
            raster: true,
            traces: true,
        };
        let expected = pass(&setup, &CPU_F64, imposed);
        assert!(expected.forward.disagreements.is_empty());
        for device in devices().into_iter().filter(Device::is_single) {
            let ours = pass(&setup, &device, imposed);
            compare(&ours, &expected).unwrap_or_else(|e| panic!("{} {sizes:?}: {e}", device.name));
        }
    }
}

#[test]
fn every_part_of_the_comparison_can_fail() {
    let setup = hostile([7, 9, 5, 3, 2, 30]);
    let free = Request {
        raster: true,
        traces: true,
        ..Request::default()
    };
    let expected = pass(&setup, &CPU_F64, free);
    let spoilt = |spoil: &dyn Fn(&mut Pass)| {
        let mut ours = pass(&setup, &CPU_F64, free);
        spoil(&mut ours);
        compare(&ours, &expected)
    };
    assert_eq!(spoilt(&|_| {}), Ok(()));
    assert!(spoilt(&|p| p.forward.logits[1] *= 1.001).is_err());
    assert!(spoilt(&|p| p.forward.logits[1] = f64::NAN).is_err());
    assert!(spoilt(&|p| p.forward.traces = None).is_err());
    let trace = |spoil: fn(&mut dalenet::conductance::batch::Traces)| {
        spoilt(&move |p| p.forward.traces.iter_mut().for_each(spoil))
    };
    assert!(trace(|t| t.v_e[40] += 1e-3).is_err());
    assert!(trace(|t| t.v_i[40] = f64::NAN).is_err());
    assert!(trace(|t| t.g_exc_e[40] += 1e-5).is_err());
    assert!(trace(|t| t.g_inh_e.clear()).is_err());
    assert!(trace(|t| t.g_exc_i[40] += 1e-5).is_err());
    assert!(trace(|t| t.g_inh_i[40] += 1e-5).is_err());
    for name in MatrixName::ALL {
        let gradient = |change: fn(&mut f64)| {
            spoilt(&move |p| {
                let largest = p.gradient.get_mut(&name).map(|g| g.iter_mut());
                let largest = largest.and_then(|g| g.max_by(|a, b| a.abs().total_cmp(&b.abs())));
                largest.into_iter().for_each(change);
            })
        };
        assert!(gradient(|x| *x *= 1.1).is_err(), "{name:?}");
        assert!(gradient(|x| *x = f64::NAN).is_err(), "{name:?}");
        assert!(spoilt(&move |p| drop(p.gradient.remove(&name))).is_err());
    }
}
