//! The engine's adjoint against finite differences of an independent model of the same equations.

use std::collections::BTreeMap;

use crate::common::model::{Effective, Fault, Model, Trajectory};
use crate::common::networks::{CPU_F64, SMALL, Setup, draw, norm, relative_error};
use dalenet::conductance::batch::{Population, Request};
use dalenet::conductance::engine::{Engine, Quantity};
use dalenet::conductance::settings::{
    Config, Dale, Integrator, MatrixName, Readout, ReadoutReset, RefractoryTiming, SynapseKick,
};
use dalenet::random::{Purpose, Stream};

/// Entries of each matrix that are differentiated one by one.
const SAMPLED: usize = 20;

/// Steps of the differences, in units of the weights (0.01 to 1), longest first.
const STEPS: [f64; 5] = [5e-4, 6e-5, 1.2e-5, 2.4e-6, 5e-7];

/// Largest relative error allowed.
const TOLERANCE: f64 = 1e-6;

/// The same at γ = 1000, where the recurrent gradients are so small beside the loss that rounding
/// leaves fewer digits of the differences.
const TOLERANCE_STRONG: f64 = 1e-3;

/// Stored gradients are blocked below zero unless the matrix is used raw.
fn is_raw(setup: &Setup, name: MatrixName) -> bool {
    let training = &setup.params.training;
    training.dale == Dale::Signed || (training.signed_loop && name.is_loop())
}

fn effective(setup: &Setup) -> Effective {
    let of = |name, data: &[f32]| -> Vec<f64> {
        let floor = if is_raw(setup, name) { f64::MIN } else { 0.0 };
        data.iter().map(|&w| f64::from(w).max(floor)).collect()
    };
    let all = setup.weights.iter();
    all.map(|(&name, matrix)| (name, of(name, &matrix.data)))
        .collect()
}

/// Slope of the loss along `direction` in one matrix by central differences. Of several steps the
/// one counts that agrees best with the next: larger ones bend, smaller ones drown in rounding.
fn slope(
    model: &Model<'_>,
    trajectory: &mut Trajectory,
    base: &Effective,
    name: MatrixName,
    direction: &[(usize, f64)],
) -> f64 {
    let mut difference = |h: f64| {
        let mut loss_at = |step: f64| {
            let mut w = base.clone();
            if let Some(matrix) = w.get_mut(&name) {
                for &(at, x) in direction {
                    matrix[at] += step * x;
                }
            }
            model.smooth(&w, trajectory)
        };
        (loss_at(h) - loss_at(-h)) / (2.0 * h)
    };
    let slopes = STEPS.map(&mut difference);
    let apart = |pair: &&[f64]| (pair[0] - pair[1]).abs();
    let best = slopes
        .windows(2)
        .min_by(|a, b| apart(a).total_cmp(&apart(b)));
    best.map_or(f64::NAN, |pair| (pair[0] + pair[1]) / 2.0)
}

/// Compares loss, spikes and gradient of a double-precision engine with the model.
fn compare(
    setup: &Setup,
    engine: &mut dyn Engine,
    fault: Fault,
) -> Result<BTreeMap<MatrixName, f64>, String> {
    let request = Request {
        raster: true,
        ..Request::default()
    };
    let result = engine.gradient(&setup.batch, request).expect("runs");
    let gradient = engine.read(Quantity::Gradient).expect("reads");
    let model = Model {
        params: &setup.params,
        batch: &setup.batch,
        fault,
    };
    let base = effective(setup);
    let (outcome, mut trajectory) = model.hard(&base);
    let raster = result.forward.raster.ok_or("no raster")?;
    for (expected, population) in outcome.spikes.iter().zip([Population::E, Population::I]) {
        if raster.spikes(population) != *expected {
            return Err(format!("{population:?} cells spike otherwise"));
        }
    }
    if outcome.spikes[0].len() < 10 {
        return Err("the network hardly fires, so nothing is shown".into());
    }
    let off = (result.loss - outcome.loss).abs();
    if off > 1e-11 {
        return Err(format!("loss {} instead of {}", result.loss, outcome.loss));
    }
    let mut errors = BTreeMap::new();
    for (&name, own) in &gradient {
        let stored = &setup.weights[&name].data;
        let blocked = |at: usize| stored[at] < 0.0 && !is_raw(setup, name);
        let mut stream = Stream::new(Purpose::Shuffle, 5, name as u64, 0);
        let mut order: Vec<usize> = (0..stored.len()).collect();
        stream.shuffle(&mut order);
        let mut sampled: Vec<usize> = order.iter().copied().take(SAMPLED).collect();
        // The blocked entries must be exactly zero, all of them.
        if let Some(&at) = order.iter().find(|&&at| blocked(at) && own[at] != 0.0) {
            return Err(format!("{name:?}[{at}] is negative but has a gradient"));
        }
        sampled.retain(|&at| !blocked(at));
        let direction: Vec<(usize, f64)> = (order.iter().filter(|&&at| !blocked(at)))
            .map(|&at| (at, stream.normal()))
            .collect();
        let mut ours: Vec<f64> = sampled.iter().map(|&at| own[at]).collect();
        let mut theirs: Vec<f64> = sampled
            .iter()
            .map(|&at| slope(&model, &mut trajectory, &base, name, &[(at, 1.0)]))
            .collect();
        ours.push(direction.iter().map(|&(at, x)| x * own[at]).sum());
        theirs.push(slope(&model, &mut trajectory, &base, name, &direction));
        // Each entry too, by its own size or that of a usual one, whichever is larger.
        let usual = norm(own) / (own.len() as f64).sqrt();
        let pairs = ours.iter().zip(&theirs);
        let single = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(usual));
        let error = single.fold(relative_error(&ours, &theirs), f64::max);
        errors.insert(name, error);
    }
    Ok(errors)
}

/// Checks a drawn network on the CPU engine, all its trained matrices; a share `negative` of the
/// stored weights is below zero.
fn check(tolerance: f64, negative: f64, edit: impl FnOnce(&mut Config)) {
    let setup = draw(SMALL, 3, negative, edit);
    let errors = compare(&setup, (CPU_F64.make)(&setup).as_mut(), Fault::None);
    let errors = errors.unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(errors.len(), setup.params.training.trainable.len());
    for (name, error) in errors {
        assert!(error < tolerance, "{name:?}: relative error {error:.2e}");
    }
}

/// γ at which the recurrent paths carry much of the gradient.
fn damp(config: &mut Config) {
    config.network.grad_dampen = 12.0;
}

#[test]
fn the_default_network_at_strong_damping() {
    check(TOLERANCE_STRONG, 0.0, |_| {});
}

#[test]
fn exponential_and_forward_euler_at_weak_damping() {
    for integrator in [Integrator::ExpEuler, Integrator::Euler] {
        check(TOLERANCE, 0.0, |config| {
            damp(config);
            config.network.integrator = integrator;
        });
    }
}

#[test]
fn every_read_out() {
    for readout in [Readout::SpikeCount, Readout::Rate, Readout::Li] {
        check(TOLERANCE, 0.0, |config| {
            damp(config);
            config.network.readout = readout;
        });
    }
    check(TOLERANCE, 0.0, |config| {
        damp(config);
        config.network.readout_reset = ReadoutReset::None;
    });
}

#[test]
fn negative_weights_in_every_dale_mode() {
    for (dale, signed_loop) in [
        (Dale::Clamp, false),
        (Dale::Project, false),
        (Dale::Clamp, true),
        (Dale::Signed, false),
    ] {
        check(TOLERANCE, 0.2, |config| {
            damp(config);
            config.training.dale = dale;
            config.training.signed_loop = signed_loop;
        });
    }
}

#[test]
fn the_rate_penalty() {
    check(TOLERANCE, 0.0, |config| {
        damp(config);
        config.training.rate_theta_hz = 40.0;
        config.training.rate_strength = 1e-5;
    });
}

#[test]
fn another_slope() {
    check(TOLERANCE, 0.0, |config| {
        damp(config);
        config.network.surrogate_slope = 3.0;
    });
}

#[test]
fn the_conventions_of_the_later_engine() {
    check(TOLERANCE, 0.0, |config| {
        damp(config);
        config.network.synapse_kick = SynapseKick::Full;
        config.network.refractory_timing = RefractoryTiming::Following;
        config.network.readout_slope = Some(3.0);
    });
}

#[test]
fn a_voltage_floor_that_acts() {
    let floor = |config: &mut Config| {
        damp(config);
        config.network.e_inh_mv = -150.0;
        config.network.v_floor_mv = -65.5;
    };
    let setup = draw(SMALL, 3, 0.0, floor);
    let request = Request {
        traces: true,
        ..Request::default()
    };
    let result = (CPU_F64.make)(&setup).forward(&setup.batch, request);
    let v = result.expect("runs").traces.expect("asked for").v_e;
    let at_floor = v.iter().filter(|&&v| v == -65.5).count();
    assert!(at_floor > 10 && at_floor < v.len() / 2, "{at_floor}");
    // Membranes that enter and leave the floor bend the differences.
    check(10.0 * TOLERANCE, 0.0, floor);
}

/// With one step of refractory time a cell may fire in consecutive steps: the only case in which
/// nothing but the reset stops the gradient through the voltage.
#[test]
fn cells_that_are_hardly_refractory() {
    check(TOLERANCE, 0.0, |config| {
        damp(config);
        config.network.ref_e_ms = 0.0;
        config.network.ref_i_ms = 0.0;
    });
}

#[test]
fn a_network_without_loop() {
    check(TOLERANCE, 0.0, |config| {
        damp(config);
        config.training.trainable = vec![MatrixName::WIn, MatrixName::WOut];
    });
}

#[test]
fn every_planted_error_is_noticed() {
    let setup = draw(SMALL, 3, 0.0, damp);
    for fault in [
        Fault::Gamma,
        Fault::Slope,
        Fault::LoopDetached,
        Fault::ReadoutResetDetached,
        Fault::InputDecays,
    ] {
        let errors = compare(&setup, (CPU_F64.make)(&setup).as_mut(), fault);
        match errors {
            Ok(errors) => {
                let worst = errors.values().copied().fold(0.0, f64::max);
                assert!(
                    worst > 100.0 * TOLERANCE,
                    "{fault:?} gives only {worst:.2e}"
                );
            }
            Err(problem) => assert_eq!(fault, Fault::InputDecays, "{problem}"),
        }
    }
}

#[test]
fn a_transposed_matrix_is_noticed() {
    let setup = draw(SMALL, 3, 0.0, damp);
    let mut transposed = setup.clone();
    let n = setup.params.n_e();
    let w_ee = &setup.weights[&MatrixName::WEe].data;
    let other = (0..n * n).map(|at| w_ee[at % n * n + at / n]).collect();
    transposed
        .weights
        .get_mut(&MatrixName::WEe)
        .expect("there")
        .data = other;
    let engine = &mut (CPU_F64.make)(&transposed);
    assert!(compare(&setup, engine.as_mut(), Fault::None).is_err());
}
