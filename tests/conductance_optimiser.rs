//! Adam, clipping and skipped steps of an engine against the same written out by hand.

#[path = "common/networks.rs"]
mod networks;

use std::collections::BTreeMap;

use dalenet::conductance::batch::{Batch, Request};
use dalenet::conductance::engine::{Engine, Quantity};
use dalenet::conductance::weights::{Matrix, Weights};
use dalenet::config::{Dale, MatrixName, Training};
use networks::{Device, SMALL, Setup, devices, draw, norm, relative_error};

type Matrices = BTreeMap<MatrixName, Vec<f64>>;

fn read(engine: &mut dyn Engine, quantity: Quantity) -> Matrices {
    engine.read(quantity).expect("reads")
}

/// Adam in the notation of its paper, in double precision.
struct Reference {
    w: Matrices,
    m: Matrices,
    v: Matrices,
    t: i32,
}

impl Reference {
    fn new(setup: &Setup) -> Self {
        let of = |f: fn(f32) -> f64| -> Matrices {
            let all = setup.weights.iter();
            all.map(|(&name, m)| (name, m.data.iter().map(|&w| f(w)).collect()))
                .collect()
        };
        Self {
            w: of(f64::from),
            m: of(|_| 0.0),
            v: of(|_| 0.0),
            t: 0,
        }
    }

    /// One step; returns norm and clip factor.
    fn step(&mut self, training: &Training, gradient: &Matrices) -> (f64, f64) {
        let whole = norm(&gradient.values().flatten().copied().collect::<Vec<_>>());
        let clip = (training.clip_norm / (whole + 1e-6)).min(1.0);
        let (b1, b2) = (training.adam_beta1, training.adam_beta2);
        self.t += 1;
        for (name, gradient) in gradient {
            let state = (
                self.w.get_mut(name),
                self.m.get_mut(name),
                self.v.get_mut(name),
            );
            let (Some(w), Some(m), Some(v)) = state else {
                panic!("no {name:?}")
            };
            for at in 0..gradient.len() {
                let g = clip * gradient[at];
                m[at] = b1 * m[at] + (1.0 - b1) * g;
                v[at] = b2 * v[at] + (1.0 - b2) * g * g;
                let m_hat = m[at] / (1.0 - b1.powi(self.t));
                let v_hat = v[at] / (1.0 - b2.powi(self.t));
                w[at] -= training.learning_rate * m_hat / (v_hat.sqrt() + training.adam_epsilon);
                if training.dale == Dale::Project {
                    w[at] = w[at].max(0.0);
                }
            }
        }
        (whole, clip)
    }
}

/// Runs 50 steps on an engine and on the reference, which takes the engine's gradients but
/// `training` for its settings; returns the largest relative error of weights, moments, norm and
/// clip factor, and the smallest clip factor.
fn against_reference(setup: &Setup, device: &Device, training: &Training) -> (f64, f64) {
    let mut engine = (device.make)(setup);
    let mut reference = Reference::new(setup);
    let (mut worst, mut smallest) = (0.0f64, f64::INFINITY);
    for t in 1..=50 {
        let result = engine.gradient(&setup.batch, Request::default());
        result.expect("runs");
        let gradient = read(engine.as_mut(), Quantity::Gradient);
        let before = read(engine.as_mut(), Quantity::Weights);
        let report = engine.step().expect("steps");
        let (whole, clip) = reference.step(training, &gradient);
        assert_eq!(engine.optimiser_steps(), t);
        for (name, gradient) in &gradient {
            let norms = (report.gradient_norm_of[name], report.weight_norm_of[name]);
            let expected = (norm(gradient), norm(&before[name]));
            worst = worst.max((norms.0 / expected.0 - 1.0).abs());
            worst = worst.max((norms.1 / expected.1 - 1.0).abs());
        }
        worst = worst.max((report.gradient_norm / whole - 1.0).abs());
        worst = worst.max((report.clip_factor / clip - 1.0).abs());
        smallest = smallest.min(report.clip_factor);
        for (quantity, expected) in [
            (Quantity::Weights, &reference.w),
            (Quantity::AdamM, &reference.m),
            (Quantity::AdamV, &reference.v),
        ] {
            for (name, ours) in read(engine.as_mut(), quantity) {
                worst = worst.max(relative_error(&ours, &expected[&name]));
            }
        }
    }
    (worst, smallest)
}

fn setup(clip_norm: f64, dale: Dale) -> Setup {
    draw(SMALL, 31, 0.0, |config| {
        config.network.grad_dampen = 30.0;
        config.training.learning_rate = 1e-3;
        config.training.clip_norm = clip_norm;
        config.training.dale = dale;
    })
}

fn tolerance(device: &Device) -> f64 {
    if device.is_single() { 2e-5 } else { 1e-11 }
}

#[test]
fn fifty_steps_equal_adam_by_hand() {
    for (clip_norm, dale) in [
        (1e6, Dale::Signed),
        (1e-2, Dale::Signed),
        (1e6, Dale::Project),
    ] {
        let setup = setup(clip_norm, dale);
        for device in devices() {
            let (error, clip) = against_reference(&setup, &device, &setup.params.training);
            assert!(error < tolerance(&device), "{}: {error:.2e}", device.name);
            assert_eq!(clip < 1.0, clip_norm < 1e6, "clip factor {clip}");
        }
    }
}

#[test]
fn every_wrong_setting_is_noticed() {
    let setup = setup(1e-2, Dale::Signed);
    let changes: [fn(&mut Training); 6] = [
        |t| t.adam_beta1 = 0.9001,
        |t| t.adam_beta2 = 0.9991,
        |t| t.adam_epsilon = 1e-6,
        |t| t.learning_rate *= 1.01,
        |t| t.clip_norm *= 1.001,
        |t| t.dale = Dale::Project,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut training = setup.params.training.clone();
        change(&mut training);
        for device in devices() {
            let (error, _) = against_reference(&setup, &device, &training);
            assert!(
                error > tolerance(&device),
                "change {index} gives {error:.2e}"
            );
        }
    }
}

#[test]
fn a_step_with_a_non_finite_gradient_changes_nothing() {
    let sizes = networks::Sizes {
        steps: 300,
        ..SMALL
    };
    let setup = draw(sizes, 31, 0.0, |config| {
        config.network.grad_dampen = 1e-6;
    });
    let moment = |x: f32| -> Weights {
        let of = |m: &Matrix| Matrix {
            data: vec![x; m.data.len()],
            ..m.clone()
        };
        let all = setup.weights.iter();
        all.map(|(&name, m)| (name, of(m))).collect()
    };
    for device in devices() {
        let mut engine = (device.make)(&setup);
        engine
            .restore(&moment(0.125), &moment(0.25), 5)
            .expect("fits");
        let kept = [Quantity::Weights, Quantity::AdamM, Quantity::AdamV];
        let before = kept.map(|q| read(engine.as_mut(), q));
        let result = engine.gradient(&setup.batch, Request::default());
        assert!(result.expect("runs").loss.is_finite());
        let report = engine.step().expect("steps");
        assert!(
            report.skipped && !report.gradient_norm.is_finite(),
            "{}",
            device.name
        );
        assert_eq!(kept.map(|q| read(engine.as_mut(), q)), before);
        assert_eq!(engine.optimiser_steps(), 5);
        // A quiet batch has a finite gradient and goes on from there.
        let quiet = Batch::new([(&[][..], 0)]);
        engine.gradient(&quiet, Request::default()).expect("runs");
        let report = engine.step().expect("steps");
        assert!(!report.skipped && engine.optimiser_steps() == 6);
        assert_ne!(read(engine.as_mut(), Quantity::Weights), before[0]);
    }
}
