//! Dale's law over optimiser steps: what each mode keeps, blocks and lets go.

use std::collections::BTreeMap;

use crate::common::networks::{CPU_F64, SMALL, Setup, devices, draw, norm};
use dalenet::conductance::batch::Request;
use dalenet::conductance::engine::{Engine, Quantity};
use dalenet::conductance::settings::{Config, Dale, MatrixName};

type Matrices = BTreeMap<MatrixName, Vec<f64>>;

/// A network that moves far in a few steps.
fn fast(negative: f64, edit: impl FnOnce(&mut Config)) -> Setup {
    draw(SMALL, 21, negative, |config| {
        config.network.grad_dampen = 30.0;
        config.training.learning_rate = 0.05;
        edit(config);
    })
}

/// Takes optimiser steps; returns the last gradient and the weights after it.
fn train(engine: &mut dyn Engine, setup: &Setup, steps: usize) -> (Matrices, Matrices) {
    for _ in 0..steps {
        let result = engine.gradient(&setup.batch, Request::default());
        result.expect("runs");
        assert!(!engine.step().expect("steps").skipped);
    }
    let mut read = |quantity| engine.read(quantity).expect("reads");
    (read(Quantity::Gradient), read(Quantity::Weights))
}

fn least(w: &[f64]) -> f64 {
    w.iter().copied().fold(f64::INFINITY, f64::min)
}

#[test]
fn project_leaves_nothing_negative_and_lets_zeros_grow_again() {
    let setup = fast(0.2, |config| config.training.dale = Dale::Project);
    for device in devices() {
        let mut engine = (device.make)(&setup);
        let (_, first) = train(engine.as_mut(), &setup, 1);
        for (name, w) in &first {
            assert!(least(w) >= 0.0, "{} {name:?}: {}", device.name, least(w));
        }
        let zeros = |w: &Matrices| -> Vec<(MatrixName, usize)> {
            let of = |(&name, w): (&MatrixName, &Vec<f64>)| {
                let zeros = (0..w.len()).filter(|&at| w[at] == 0.0);
                zeros.map(move |at| (name, at)).collect::<Vec<_>>()
            };
            w.iter().flat_map(of).collect()
        };
        let projected = zeros(&first);
        assert!(projected.len() > 20, "the projection has work to do");
        let (_, later) = train(engine.as_mut(), &setup, 10);
        let grown = projected
            .iter()
            .filter(|&&(name, at)| later[&name][at] > 0.0);
        assert!(grown.count() > 5, "{}: zeros stay zero", device.name);
        assert!(later.values().all(|w| least(w) >= 0.0));
    }
}

#[test]
fn clamp_stores_negative_weights_uses_zero_and_blocks_their_gradient() {
    let setup = fast(0.0, |config| config.training.dale = Dale::Clamp);
    for device in devices() {
        let mut engine = (device.make)(&setup);
        let (_, stored) = train(engine.as_mut(), &setup, 8);
        let result = engine.gradient(&setup.batch, Request::default());
        let logits = result.expect("runs").forward.logits;
        let gradient = engine.read(Quantity::Gradient).expect("reads");
        for (name, w) in &stored {
            let negative = || w.iter().zip(&gradient[name]).filter(|(w, _)| **w < 0.0);
            assert!(
                negative().count() > 0,
                "{name:?} has become negative nowhere"
            );
            assert!(
                negative().all(|(_, g)| *g == 0.0),
                "{} {name:?}",
                device.name
            );
            assert!(norm(&gradient[name]) > 0.0);
        }
        // The same forward pass from max(w, 0).
        let mut cut = setup.clone();
        for (name, m) in &mut cut.weights {
            let positive = stored[name].iter().map(|&w| w.max(0.0) as f32);
            m.data = positive.collect();
        }
        if device.is_single() {
            let result = (device.make)(&cut).forward(&setup.batch, Request::default());
            assert_eq!(result.expect("runs").logits, logits, "{}", device.name);
        }
    }
}

#[test]
fn a_signed_loop_goes_negative_while_the_rest_stays_projected() {
    let setup = fast(0.0, |config| {
        config.training.dale = Dale::Project;
        config.training.signed_loop = true;
    });
    for device in devices() {
        let (_, w) = train((device.make)(&setup).as_mut(), &setup, 12);
        for (name, w) in &w {
            let is_loop = !matches!(name, MatrixName::WIn | MatrixName::WOut);
            assert_eq!(least(w) < 0.0, is_loop, "{} {name:?}", device.name);
        }
    }
}

#[test]
fn signed_constrains_nothing() {
    let setup = fast(0.0, |config| config.training.dale = Dale::Signed);
    for device in devices() {
        let (gradient, w) = train((device.make)(&setup).as_mut(), &setup, 8);
        for (name, w) in &w {
            assert!(least(w) < 0.0, "{} {name:?}", device.name);
            let passes = w
                .iter()
                .zip(&gradient[name])
                .any(|(w, g)| *w < 0.0 && *g != 0.0);
            assert!(passes, "{} {name:?} blocks its gradient", device.name);
        }
    }
}

#[test]
fn a_loop_that_starts_at_zero_stays_exactly_zero() {
    let of_loop = [MatrixName::WEi, MatrixName::WIe];
    let with_loop = |fill: f32| {
        let mut setup = fast(0.0, |config| {
            let of_rest = [MatrixName::WIn, MatrixName::WOut];
            config.training.trainable = [of_rest, of_loop].concat();
        });
        for name in of_loop {
            setup.weights.get_mut(&name).expect("there").data.fill(fill);
        }
        let absent = [MatrixName::WEe, MatrixName::WIi];
        setup.weights.retain(|name, _| !absent.contains(name));
        setup
    };
    for device in devices() {
        let zero = with_loop(0.0);
        let (_, w) = train((device.make)(&zero).as_mut(), &zero, 6);
        let start = |name| zero.weights[name].data.iter().map(|&w| f64::from(w));
        assert!(!start(&MatrixName::WIn).eq(w[&MatrixName::WIn].iter().copied()));
        for name in of_loop {
            assert!(
                w[&name].iter().all(|&w| w == 0.0),
                "{} {name:?}",
                device.name
            );
        }
        let some = with_loop(0.1);
        let (_, w) = train((device.make)(&some).as_mut(), &some, 6);
        for name in of_loop {
            let moved = w[&name].iter().any(|&w| w != f64::from(0.1f32));
            assert!(moved, "{} {name:?} does not learn at all", device.name);
        }
    }
}

#[test]
fn frozen_matrices_keep_every_bit() {
    for negative in [0.0, 0.2] {
        let setup = fast(negative, |config| {
            config.training.trainable = vec![MatrixName::WOut];
        });
        for device in devices() {
            let (gradient, w) = train((device.make)(&setup).as_mut(), &setup, 5);
            assert!(gradient.keys().eq([&MatrixName::WOut]));
            assert_eq!(w.len(), 6);
            for (name, w) in &w {
                let before = setup.weights[name]
                    .data
                    .iter()
                    .map(|&w| f64::from(w).to_bits());
                let same = before.eq(w.iter().map(|w| w.to_bits()));
                assert_eq!(same, *name != MatrixName::WOut, "{} {name:?}", device.name);
            }
        }
    }
}

#[test]
fn frozen_matrices_do_not_change_the_gradient_of_the_others() {
    let of = |trainable: Vec<MatrixName>| {
        let setup = fast(0.0, |config| config.training.trainable = trainable);
        let mut engine = (CPU_F64.make)(&setup);
        let result = engine.gradient(&setup.batch, Request::default());
        result.expect("runs");
        engine.read(Quantity::Gradient).expect("reads")
    };
    let all = of(MatrixName::ALL.to_vec());
    for name in MatrixName::ALL {
        assert_eq!(of(vec![name])[&name], all[&name], "{name:?}");
    }
}
