//! Adam, descent, logarithmic weights, clipping and skipped steps of an engine against the same written out by hand.

use crate::common::networks;
use std::collections::BTreeMap;

use crate::common::networks::{CPU_F64, Device, SMALL, Setup, devices, draw, norm, relative_error};
use dalenet::conductance::batch::{Batch, Request};
use dalenet::conductance::engine::{Engine, Quantity, StepReport};
use dalenet::conductance::settings::{Dale, LoopRule, MatrixName, Training};
use dalenet::conductance::weights::{Matrix, Weights};
use dalenet::optim::{Optimiser, Parametrisation};

type Matrices = BTreeMap<MatrixName, Vec<f64>>;

fn read(engine: &mut dyn Engine, quantity: Quantity) -> Matrices {
    engine.read(quantity).expect("reads")
}

/// The rule of a matrix: the loop's own, or Adam on the weights.
fn rule_of(training: &Training, name: MatrixName) -> LoopRule {
    let own = training.loop_rule.clone();
    own.filter(|_| name.is_loop()).unwrap_or_default()
}

/// Gradients by what the optimiser works on, at the weights `w`.
fn by_parameters(training: &Training, w: &Matrices, gradient: &Matrices) -> Matrices {
    let of = |(&name, gradient): (&MatrixName, &Vec<f64>)| {
        let is_log = rule_of(training, name).parametrisation == Parametrisation::Log;
        let both = w[&name].iter().zip(gradient);
        let by_u = both.map(|(w, g)| if is_log { w * g } else { *g });
        (name, by_u.collect())
    };
    gradient.iter().map(of).collect()
}

/// Adam in the notation of its paper, or plain descent, in double precision.
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
        let gradient = &by_parameters(training, &self.w, gradient);
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
            let rule = rule_of(training, *name);
            let rate = rule.learning_rate.unwrap_or(training.learning_rate);
            for at in 0..gradient.len() {
                let g = clip * gradient[at];
                let mut step = rate * g;
                if rule.optimiser == Optimiser::Adam {
                    m[at] = b1 * m[at] + (1.0 - b1) * g;
                    v[at] = b2 * v[at] + (1.0 - b2) * g * g;
                    let m_hat = m[at] / (1.0 - b1.powi(self.t));
                    let v_hat = v[at] / (1.0 - b2.powi(self.t));
                    step = rate * m_hat / (v_hat.sqrt() + training.adam_epsilon);
                }
                w[at] = match rule.parametrisation {
                    Parametrisation::Linear => w[at] - step,
                    Parametrisation::Log if w[at] == 0.0 => 0.0,
                    Parametrisation::Log => w[at].signum() * (w[at].abs().ln() - step).exp(),
                };
                if training.dale == Dale::Project {
                    w[at] = w[at].max(0.0);
                }
            }
        }
        (whole, clip)
    }
}

/// What an engine did in one step, and where it came from and got to.
struct Observed {
    gradient: Matrices,
    before: Matrices,
    report: StepReport,
    after: [Matrices; 3],
}

/// Runs some steps on an engine.
fn observe(setup: &Setup, device: &Device, steps: u64) -> Vec<Observed> {
    let mut engine = (device.make)(setup);
    let step = |t| {
        let result = engine.gradient(&setup.batch, Request::default());
        result.expect("runs");
        let gradient = read(engine.as_mut(), Quantity::Gradient);
        let before = read(engine.as_mut(), Quantity::Weights);
        let report = engine.step().expect("steps");
        assert_eq!(engine.optimiser_steps(), t);
        let after = [Quantity::Weights, Quantity::AdamM, Quantity::AdamV];
        Observed {
            gradient,
            before,
            report,
            after: after.map(|quantity| read(engine.as_mut(), quantity)),
        }
    };
    (1..=steps).map(step).collect()
}

/// Goes with the reference, under the settings `training`, along the gradients of an engine; returns the
/// largest relative error of weights, moments, norm and clip factor, and the smallest clip factor.
fn against_reference(setup: &Setup, observed: &[Observed], training: &Training) -> (f64, f64) {
    let mut reference = Reference::new(setup);
    let (mut worst, mut smallest) = (0.0f64, f64::INFINITY);
    for step in observed {
        let report = &step.report;
        let (whole, clip) = reference.step(training, &step.gradient);
        let by_parameters = by_parameters(&setup.params.training, &step.before, &step.gradient);
        for (name, gradient) in &by_parameters {
            let norms = (report.gradient_norm_of[name], report.weight_norm_of[name]);
            let expected = (norm(gradient), norm(&step.before[name]));
            worst = worst.max((norms.0 / expected.0 - 1.0).abs());
            worst = worst.max((norms.1 / expected.1 - 1.0).abs());
        }
        worst = worst.max((report.gradient_norm / whole - 1.0).abs());
        worst = worst.max((report.clip_factor / clip - 1.0).abs());
        smallest = smallest.min(report.clip_factor);
        let expected = [&reference.w, &reference.m, &reference.v];
        for (ours, expected) in step.after.iter().zip(expected) {
            for (name, ours) in ours {
                // Descent keeps no moments.
                if ours.iter().chain(&expected[name]).any(|&x| x != 0.0) {
                    worst = worst.max(relative_error(ours, &expected[name]));
                }
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
            let observed = observe(&setup, &device, 50);
            let (error, clip) = against_reference(&setup, &observed, &setup.params.training);
            assert!(error < tolerance(&device), "{}: {error:.2e}", device.name);
            assert_eq!(clip < 1.0, clip_norm < 1e6, "clip factor {clip}");
        }
    }
}

/// Every rule of the loop but the usual one, with rates that move it by some percent in 20 steps.
fn loop_rules() -> [LoopRule; 4] {
    let rule = |optimiser, parametrisation, learning_rate| LoopRule {
        optimiser,
        learning_rate: Some(learning_rate),
        parametrisation,
    };
    [
        rule(Optimiser::Adam, Parametrisation::Linear, 1e-4),
        rule(Optimiser::Adam, Parametrisation::Log, 1e-2),
        rule(Optimiser::Sgd, Parametrisation::Linear, 0.1),
        rule(Optimiser::Sgd, Parametrisation::Log, 30.0),
    ]
}

fn with_rule(rule: LoopRule, clip_norm: f64, dale: Dale) -> Setup {
    let mut setup = setup(clip_norm, dale);
    setup.params.training.loop_rule = Some(rule);
    setup
}

#[test]
fn twenty_steps_of_every_loop_rule_equal_the_same_by_hand() {
    for rule in loop_rules() {
        for (clip_norm, dale) in [(1e6, Dale::Signed), (1e-2, Dale::Project)] {
            let setup = with_rule(rule.clone(), clip_norm, dale);
            for device in devices() {
                let observed = observe(&setup, &device, 20);
                let (error, clip) = against_reference(&setup, &observed, &setup.params.training);
                let name = device.name;
                assert!(error < tolerance(&device), "{name}, {rule:?}: {error:.2e}");
                assert_eq!(clip < 1.0, clip_norm < 1e6, "clip factor {clip}");
            }
        }
    }
}

#[test]
fn a_rule_other_than_the_engine_s_is_noticed() {
    for rule in loop_rules() {
        let setup = with_rule(rule.clone(), 1e-2, Dale::Signed);
        let mut others = vec![None, Some(rule.clone())];
        if let [None, Some(slower)] = &mut others[..] {
            slower.learning_rate = rule.learning_rate.map(|rate| 0.5 * rate);
        }
        let same_rates = loop_rules().map(|other| LoopRule {
            learning_rate: rule.learning_rate,
            ..other
        });
        others.extend(same_rates.into_iter().filter(|r| *r != rule).map(Some));
        assert_eq!(others.len(), 5);
        for device in devices() {
            let observed = observe(&setup, &device, 5);
            for other in &others {
                let training = Training {
                    loop_rule: other.clone(),
                    ..setup.params.training.clone()
                };
                let (error, _) = against_reference(&setup, &observed, &training);
                let told = format!("{}: {rule:?} for {other:?}", device.name);
                assert!(error > tolerance(&device), "{told}: {error:.2e}");
            }
        }
    }
}

#[test]
fn engines_agree_over_steps_of_every_loop_rule() {
    for rule in loop_rules() {
        let setup = with_rule(rule.clone(), 1e-2, Dale::Project);
        let change = |device: &Device, steps: usize| -> Matrices {
            let mut engine = (device.make)(&setup);
            for _ in 0..steps {
                let result = engine.gradient(&setup.batch, Request::default());
                result.expect("runs");
                engine.step().expect("steps");
            }
            let mut w = read(engine.as_mut(), Quantity::Weights);
            for (name, w) in &mut w {
                let before = setup.weights[name].data.iter();
                w.iter_mut()
                    .zip(before)
                    .for_each(|(w, &b)| *w -= f64::from(b));
            }
            w
        };
        let expected = change(&CPU_F64, 4);
        for device in devices().iter().filter(|device| device.is_single()) {
            let (ours, fewer) = (change(device, 4), change(device, 3));
            for name in MatrixName::ALL.into_iter().filter(|name| name.is_loop()) {
                let error = relative_error(&ours[&name], &expected[&name]);
                let told = format!("{} {name:?}, {rule:?}: {error:.2e}", device.name);
                assert!(error < 1e-3, "{told}");
                assert!(
                    relative_error(&fewer[&name], &expected[&name]) > 1e-2,
                    "{told}"
                );
            }
        }
    }
}

#[test]
fn a_loop_rule_that_changes_nothing_changes_no_bit() {
    let usual = setup(1e-2, Dale::Project);
    let ruled = with_rule(LoopRule::default(), 1e-2, Dale::Project);
    for device in devices() {
        let [a, b] = [&usual, &ruled].map(|setup| {
            let mut engine = (device.make)(setup);
            for _ in 0..5 {
                let result = engine.gradient(&setup.batch, Request::default());
                result.expect("runs");
                engine.step().expect("steps");
            }
            read(engine.as_mut(), Quantity::Weights)
        });
        assert_eq!(a, b, "{}", device.name);
    }
}

#[test]
fn logarithmic_loop_weights_keep_their_signs_and_zeros() {
    for (optimiser, rate) in [(Optimiser::Adam, 1.0), (Optimiser::Sgd, 30.0)] {
        let mut setup = draw(SMALL, 33, 0.3, |config| {
            config.network.grad_dampen = 30.0;
            config.training.dale = Dale::Signed;
            config.training.loop_rule = Some(LoopRule {
                optimiser,
                learning_rate: Some(rate),
                parametrisation: Parametrisation::Log,
            });
        });
        for matrix in setup.weights.values_mut() {
            matrix.data.iter_mut().step_by(7).for_each(|w| *w = 0.0);
        }
        for device in devices() {
            let mut engine = (device.make)(&setup);
            for _ in 0..3 {
                let result = engine.gradient(&setup.batch, Request::default());
                result.expect("runs");
                assert!(!engine.step().expect("steps").skipped);
            }
            for (name, w) in read(engine.as_mut(), Quantity::Weights) {
                let before = &setup.weights[&name].data;
                // Far steps may end at the smallest numbers there are, but never beyond zero.
                let mut both = w.iter().zip(before);
                let keeps = both.all(|(&w, &b)| w * f64::from(b) >= 0.0 && (b != 0.0 || w == 0.0));
                assert_eq!(keeps, name.is_loop(), "{} {name:?}", device.name);
                let mut both = w.iter().zip(before);
                assert!(both.any(|(&w, &b)| w != f64::from(b)), "{name:?} moves");
            }
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
    for device in devices() {
        let observed = observe(&setup, &device, 50);
        for (index, change) in changes.iter().enumerate() {
            let mut training = setup.params.training.clone();
            change(&mut training);
            let (error, _) = against_reference(&setup, &observed, &training);
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
