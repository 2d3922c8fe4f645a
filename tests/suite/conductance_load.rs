//! An engine that takes over other weights computes what an engine built with them does.

use std::collections::BTreeMap;

use crate::common::networks::{Device, SMALL, Setup, devices, draw};
use dalenet::conductance::batch::{Forward, Request};
use dalenet::conductance::engine::{Engine, EngineError, Quantity};
use dalenet::conductance::settings::MatrixName;
use dalenet::conductance::weights::{Matrix, Weights, WeightsError};

/// Weights of `setup` with some matrices multiplied.
fn scaled(setup: &Setup, factors: &[(MatrixName, f32)]) -> Weights {
    let mut weights = setup.weights.clone();
    for (name, factor) in factors {
        let matrix = weights.get_mut(name).expect("is there");
        matrix.data.iter_mut().for_each(|w| *w *= factor);
    }
    weights
}

/// A forward pass and the gradient of the same trials.
fn results(engine: &mut dyn Engine, setup: &Setup) -> (Forward, BTreeMap<MatrixName, Vec<f64>>) {
    let request = Request {
        raster: true,
        ..Request::default()
    };
    let forward = engine.forward(&setup.batch, request).expect("runs");
    let gradient = engine.gradient(&setup.batch, Request::default());
    assert!(gradient.expect("runs").loss.is_finite());
    (forward, engine.read(Quantity::Gradient).expect("reads"))
}

/// What an engine built with `weights` computes.
fn fresh(
    device: &Device,
    setup: &Setup,
    weights: &Weights,
) -> (Forward, BTreeMap<MatrixName, Vec<f64>>) {
    let setup = Setup {
        weights: weights.clone(),
        ..setup.clone()
    };
    results((device.make)(&setup).as_mut(), &setup)
}

/// Only input and read-out are trained, so that zero matrices are left out of an engine.
fn frozen_loop() -> Setup {
    draw(SMALL, 5, 0.2, |config| {
        config.training.trainable = vec![MatrixName::WIn, MatrixName::WOut];
    })
}

#[test]
fn loaded_weights_compute_as_in_an_engine_built_with_them() {
    use MatrixName::{WEi, WIe, WIn, WOut};
    let setup = frozen_loop();
    let grids: [&[(MatrixName, f32)]; 6] = [
        &[(WEi, 2.0), (WIe, 0.5)],
        &[(WEi, 0.0)],
        &[(WIe, 0.0)],
        &[(WEi, 0.0), (WIe, 0.0)],
        &[(WIn, -1.5), (WOut, 3.0)],
        &[],
    ];
    for device in devices() {
        let mut engine = (device.make)(&setup);
        let mut before = results(engine.as_mut(), &setup);
        assert!(before.0.counts_i.iter().sum::<u32>() > 0);
        for factors in grids {
            let weights = scaled(&setup, factors);
            engine.load(&weights).expect("fits");
            let loaded = results(engine.as_mut(), &setup);
            assert_eq!(
                loaded,
                fresh(&device, &setup, &weights),
                "{}: {factors:?}",
                device.name
            );
            assert_ne!(loaded, before, "{}: {factors:?}", device.name);
            if factors.first() == Some(&(WEi, 0.0)) {
                assert_eq!(loaded.0.counts_i.iter().sum::<u32>(), 0, "I must be silent");
            }
            before = loaded;
        }
    }
}

#[test]
fn optimiser_state_stays_and_training_goes_on_from_the_loaded_weights() {
    let setup = draw(SMALL, 6, 0.0, |_| ());
    for device in devices() {
        let mut engine = (device.make)(&setup);
        engine
            .gradient(&setup.batch, Request::default())
            .expect("runs");
        engine.step().expect("steps");
        let moments = engine.read(Quantity::AdamM).expect("reads");
        let other = scaled(&setup, &[(MatrixName::WEi, 0.0)]);
        engine.load(&other).expect("a trained matrix may be zero");
        assert_eq!(engine.read(Quantity::AdamM).expect("reads"), moments);
        assert_eq!(engine.optimiser_steps(), 1);

        let mut again = (device.make)(&Setup {
            weights: other,
            ..setup.clone()
        });
        let stored = |moments: &BTreeMap<MatrixName, Vec<f64>>| -> Weights {
            let of = |(name, x): (&MatrixName, &Vec<f64>)| {
                let (pre, post) = setup.params.shape(*name);
                let data = x.iter().map(|&x| x as f32).collect();
                (*name, Matrix { pre, post, data })
            };
            moments.iter().map(of).collect()
        };
        let v = engine.read(Quantity::AdamV).expect("reads");
        again
            .restore(&stored(&moments), &stored(&v), 1)
            .expect("fits");
        // Moments pass through single precision on their way: bits are for engines of that.
        for engine in [&mut engine, &mut again]
            .into_iter()
            .filter(|_| device.is_single())
        {
            engine
                .gradient(&setup.batch, Request::default())
                .expect("runs");
            engine.step().expect("steps");
        }
        let weights = [&mut engine, &mut again].map(|e| e.read(Quantity::Weights).expect("reads"));
        assert_eq!(weights[0], weights[1], "{}", device.name);
    }
}

#[test]
fn weights_of_another_network_are_refused_and_change_nothing() {
    use MatrixName::{WEe, WEi, WIn};
    let setup = frozen_loop();
    let mut without = setup.clone();
    without.weights = scaled(&setup, &[(WEi, 0.0)]);
    without.weights.remove(&WEe);
    let mut fewer = setup.weights.clone();
    fewer.remove(&WEe);
    let mut wider = setup.weights.clone();
    let matrix = wider.get_mut(&WIn).expect("is there");
    (matrix.pre, matrix.post) = (matrix.post, matrix.pre);
    let mut more = without.weights.clone();
    more.insert(WEe, setup.weights[&WEe].clone());
    let mut awake = without.weights.clone();
    awake.insert(WEi, setup.weights[&WEi].clone());
    for device in devices() {
        for (built, weights, refusal) in [
            (&setup, &fewer, WeightsError::Absent("ee")),
            (&without, &more, WeightsError::NotBuilt("ee")),
            (&without, &awake, WeightsError::NotBuilt("ei")),
        ] {
            let mut engine = (device.make)(built);
            let before = engine.read(Quantity::Weights).expect("reads");
            let error = engine.load(weights).expect_err("does not fit");
            assert!(
                matches!(&error, EngineError::Weights(why) if *why == refusal),
                "{}: {error}",
                device.name
            );
            assert_eq!(engine.read(Quantity::Weights).expect("reads"), before);
        }
        let error = (device.make)(&setup)
            .load(&wider)
            .expect_err("does not fit");
        let shape = matches!(
            error,
            EngineError::Weights(WeightsError::Shape { name: "in", .. })
        );
        assert!(shape, "{error}");
    }
}
