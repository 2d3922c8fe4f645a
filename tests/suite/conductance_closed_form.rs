//! One cell at a time against formulas: decay, relaxation, interspike interval, threshold, order of
//! a step, refractory time, floor and every read-out.

use crate::common::networks::{Device, SMALL, Setup, Sizes, devices, draw, params, single};
use dalenet::conductance::batch::{Forward, Population, Request, Traces};
use dalenet::conductance::engine::Quantity;
use dalenet::conductance::settings::{Config, Dale, Integrator, MatrixName, Readout, ReadoutReset};
use dalenet::parity::Precision;

/// A conductance that only decays within a step or two.
const BRIEF_MS: f64 = 0.01;
/// A conductance that hardly decays within a trial.
const LASTING_MS: f64 = 1e5;

fn run(setup: &Setup, device: Device) -> Forward {
    let request = Request {
        raster: true,
        traces: true,
        ..Request::default()
    };
    let result = (device.make)(setup).forward(&setup.batch, request);
    result.expect("runs")
}

fn traces(setup: &Setup, device: Device) -> Traces {
    run(setup, device).traces.expect("asked for")
}

/// Steps in which the only cell of a population fires.
fn fires(setup: &Setup, device: Device, population: Population) -> Vec<usize> {
    let raster = run(setup, device).raster.expect("asked for");
    let spikes = raster.spikes(population);
    spikes.into_iter().map(|(_, step, _)| step).collect()
}

/// Relative error allowed to a value after tens of operations.
fn tolerance(device: Device) -> f64 {
    match device.precision {
        Precision::F32 => 2e-6,
        Precision::F64 => 1e-13,
    }
}

fn is_close(a: f64, b: f64, device: Device) -> bool {
    (a - b).abs() <= tolerance(device) * b.abs()
}

#[track_caller]
fn assert_close(a: f64, b: f64, device: Device, what: &str) {
    assert!(
        is_close(a, b, device),
        "{}: {what} is {a}, expected {b}",
        device.name
    );
}

/// Sets one weight of a single-cell network.
fn set(setup: &mut Setup, name: MatrixName, w: f32) {
    setup.weights.get_mut(&name).expect("there").data[0] = w;
}

#[test]
fn a_conductance_starts_at_the_weight_and_decays_by_beta_a_step() {
    let setup = single(60, &[3], 0.001, 1.0, |_| {});
    let beta = (-0.5f64 / 2.0).exp();
    for device in devices() {
        let g = traces(&setup, device).g_exc_e;
        assert_eq!(g[..3], [0.0; 3]);
        // Added after the decay, so not decayed in the step in which it arrives.
        assert_eq!(g[3], f64::from(0.001f32));
        for (n, g) in g[3..].iter().enumerate() {
            assert_close(*g, f64::from(0.001f32) * beta.powi(n as i32), device, "g");
        }
    }
}

#[test]
fn where_all_conductances_cancel_the_update_takes_its_limit() {
    // g_L as a power of two, so that a weight of −g_L leaves exactly nothing in every precision.
    // Two classes, since the loss of one has no gradient.
    let sizes = Sizes {
        n_in: 1,
        n_e: 1,
        n_i: 1,
        n_out: 2,
        trials: 1,
        steps: 40,
    };
    let with_weight = |w: f32| {
        let mut setup = single(40, &[2], w, 1.0, |_| {});
        setup.params = params(sizes, |config| {
            config.network.g_l_e_us = 0.0625;
            config.network.tau_ampa_ms = LASTING_MS;
            config.training.dale = Dale::Signed;
            config.training.trainable = vec![MatrixName::WIn, MatrixName::WOut];
        });
        let w_out = setup.weights.get_mut(&MatrixName::WOut).expect("there");
        (w_out.post, w_out.data) = (2, vec![1.0, 0.0]);
        setup
    };
    let (at_zero, beside) = (with_weight(-0.0625), with_weight(-0.0624));
    for device in devices() {
        let v = traces(&at_zero, device).v_e;
        // dt/C (g_L E_L + g_e E_exc), with what counts as the least conductance as its error.
        let fallen = v[2] - v[1];
        let expected = 0.5 * 0.0625 * -65.0;
        assert!(
            (fallen / expected - 1.0).abs() < 1e-4,
            "{}: {fallen}",
            device.name
        );
        let gradient = |setup: &Setup| {
            let mut engine = (device.make)(setup);
            engine
                .gradient(&setup.batch, Request::default())
                .expect("runs");
            engine.read(Quantity::Gradient).expect("reads")[&MatrixName::WIn][0]
        };
        let (at_zero, beside) = (gradient(&at_zero), gradient(&beside));
        assert!(beside != 0.0);
        assert!(
            (at_zero / beside - 1.0).abs() < 0.01,
            "{}: {at_zero}, {beside}",
            device.name
        );
    }
}

#[test]
fn a_membrane_relaxes_by_the_formula_of_its_integrator() {
    for (integrator, keep) in [
        (Integrator::ExpEuler, (-0.5f64 / 20.0).exp()),
        (Integrator::Euler, 1.0 - 0.5 / 20.0),
    ] {
        let setup = single(80, &[2], 0.2, 1.0, |config| {
            config.network.integrator = integrator;
            config.network.tau_ampa_ms = BRIEF_MS;
        });
        let g = 0.05 + f64::from(0.2f32);
        let kicked = match integrator {
            Integrator::ExpEuler => 65.0 * (1.0 - 0.05 / g) * (1.0 - (-0.5 * g).exp()),
            Integrator::Euler => 0.5 * f64::from(0.2f32) * 65.0,
        };
        assert!(kicked < 15.0, "must stay below threshold");
        for device in devices() {
            let v = traces(&setup, device).v_e;
            for (n, v) in v.iter().enumerate() {
                let since = n as i32 - 2;
                let expected = if since < 0 {
                    -65.0
                } else {
                    -65.0 + kicked * keep.powi(since)
                };
                assert_close(*v, expected, device, "v");
            }
        }
    }
}

#[test]
fn a_driven_cell_fires_at_the_interval_of_the_formula() {
    for (integrator, w, ref_ms) in [
        (Integrator::ExpEuler, 0.031f32, 3.0),
        (Integrator::ExpEuler, 0.11, 0.5),
        (Integrator::Euler, 0.031, 3.0),
        (Integrator::Euler, 0.11, 7.0),
    ] {
        let setup = single(600, &[0], w, 1.0, |config| {
            config.network.integrator = integrator;
            config.network.tau_ampa_ms = LASTING_MS;
            config.network.ref_e_ms = ref_ms;
        });
        let g = 0.05 + f64::from(w);
        let v_inf = 0.05 * -65.0 / g;
        let keep = match integrator {
            Integrator::ExpEuler => (-0.5 * g).exp(),
            Integrator::Euler => 1.0 - 0.5 * g,
        };
        // From reset to threshold: v∞ + (v_reset − v∞) keepⁿ ≥ V_th.
        let exact = ((v_inf + 50.0) / (v_inf + 65.0)).ln() / keep.ln();
        let n = exact.ceil();
        // The conductance loses 3e-3 of itself over the trial, which must not decide a step.
        assert!(
            (exact - exact.round()).abs() > 0.05,
            "{exact} is too near a step"
        );
        let ref_steps = (ref_ms / 0.5) as usize;
        for device in devices() {
            let steps = fires(&setup, device, Population::E);
            assert!(steps.len() > 5);
            // The trial starts at reset, free, so the first spike comes after n integrations.
            assert_eq!(steps[0], n as usize - 1, "{} first spike", device.name);
            for pair in steps.windows(2) {
                // Integration resumes in the step that ends the refractory time.
                assert_eq!(pair[1] - pair[0], ref_steps + n as usize - 1, "{steps:?}");
            }
        }
    }
}

/// A cell whose first step ends exactly at threshold, in numbers that both precisions hold:
/// −64 + 0.5 · 0.5 · 64 = −48.
fn exact_kick(w_in_us: f32) -> Setup {
    single(4, &[0], w_in_us, 1.0, |config| {
        config.network.integrator = Integrator::Euler;
        config.network.g_l_e_us = 0.0625;
        config.network.e_l_mv = -64.0;
        config.network.v_reset_mv = -64.0;
        config.network.v_th_mv = -48.0;
        config.network.tau_ampa_ms = BRIEF_MS;
    })
}

#[test]
fn a_membrane_exactly_at_threshold_fires() {
    for device in devices() {
        let at = exact_kick(0.5);
        assert_eq!(traces(&at, device).v_e[0], -48.0);
        assert_eq!(fires(&at, device, Population::E), [0]);
        // The next weight that moves the voltage by one unit in its last place, downwards.
        let below = exact_kick(0.5 - 2f32.powi(-22));
        let v = traces(&below, device).v_e[0];
        assert!(v < -48.0 && v > -48.0 - 1e-4, "{v}");
        assert!(fires(&below, device, Population::E).is_empty());
    }
}

#[test]
fn a_read_out_exactly_at_threshold_resets() {
    let plain = exact_kick(0.5);
    let gain = plain.params.constants::<f64>().readout.gain;
    for (threshold, resets) in [(gain, vec![0]), (gain * (1.0 + 1e-6), vec![])] {
        let mut setup = plain.clone();
        setup.params.network.readout_threshold = threshold;
        for device in devices() {
            assert_eq!(fires(&setup, device, Population::Out), resets);
        }
    }
}

#[test]
fn the_refractory_time_rounds_half_to_even_and_lasts_one_step_at_least() {
    // Every free step brings the cell from reset over threshold.
    for (ref_ms, interval) in [(0.0, 1), (0.7, 1), (1.0, 2), (1.25, 2), (1.5, 3), (1.75, 4)] {
        let setup = single(40, &[0], 5.0, 1.0, |config| {
            config.network.tau_ampa_ms = LASTING_MS;
            config.network.ref_e_ms = ref_ms;
        });
        for device in devices() {
            let steps = fires(&setup, device, Population::E);
            assert!(steps.len() >= 10);
            assert!(
                steps.windows(2).all(|s| s[1] - s[0] == interval),
                "{ref_ms} ms: {steps:?}"
            );
        }
    }
}

#[test]
fn a_voltage_stops_at_the_floor_and_leaves_it_by_its_leak() {
    let setup = single(20, &[1], -2.0, 1.0, |config| {
        config.training.dale = Dale::Signed;
        config.network.integrator = Integrator::Euler;
        config.network.tau_ampa_ms = BRIEF_MS;
        config.network.v_floor_mv = -70.0;
    });
    for device in devices() {
        let v = traces(&setup, device).v_e;
        assert_eq!(v[1], -70.0);
        for (n, v) in v[1..].iter().enumerate() {
            let expected = -65.0 - 5.0 * (1.0f64 - 0.5 / 20.0).powi(n as i32);
            assert_close(*v, expected, device, "v");
        }
    }
}

/// One E and one I cell in a loop; the input makes the E cell fire at once.
fn loop_of_two(steps: usize) -> Setup {
    let mut setup = single(steps, &[2], 5.0, 1.0, |config| {
        config.network.tau_ampa_ms = 1.0;
    });
    set(&mut setup, MatrixName::WEi, 3.0);
    set(&mut setup, MatrixName::WIe, 0.25);
    setup
}

#[test]
fn a_spike_kicks_one_step_later_and_the_kick_decays_at_once() {
    let setup = loop_of_two(8);
    let (ampa, gaba) = ((-0.5f64).exp(), (-0.5f64 / 9.0).exp());
    for device in devices() {
        let e = fires(&setup, device, Population::E);
        let i = fires(&setup, device, Population::I);
        assert_eq!((e[0], i[0]), (2, 3), "the I cell follows a step behind");
        let t = traces(&setup, device);
        assert_eq!(t.g_exc_i[..3], [0.0; 3]);
        assert_close(t.g_exc_i[3], 3.0 * ampa, device, "g_exc of I");
        assert_eq!(t.g_inh_e[..4], [0.0; 4]);
        assert_close(t.g_inh_e[4], 0.25 * gaba, device, "g_inh of E");
    }
}

/// Spikes of the E cell at steps 2 and 5 of 10.
fn two_spikes(edit: impl FnOnce(&mut Config)) -> Setup {
    single(10, &[2, 5], 5.0, 0.75, |config| {
        config.network.tau_ampa_ms = BRIEF_MS;
        config.network.ref_e_ms = 0.5;
        edit(config);
    })
}

#[test]
fn every_read_out_by_hand() {
    let beta = (-0.5f64 / 2.0).exp();
    // After the first spike, and at and after the second, in units of one spike's jump.
    let tail = |from: i32, to: i32| (from..to).map(|n| beta.powi(n)).sum::<f64>();
    let kick = 2.0 * (1.0 - beta) * 0.75;
    let free = kick * (tail(0, 8) + tail(0, 5)) / 10.0;
    // θ = 0.3 lies below the first jump (0.33): it is subtracted after both spikes.
    assert!(kick > 0.3 && (kick - 0.3) * beta.powi(3) + kick < 0.6);
    let reset = free - 0.3 * (tail(1, 8) + tail(1, 5)) / 10.0;
    let cases = [
        (Readout::MemMean, ReadoutReset::None, free),
        (Readout::MemMean, ReadoutReset::Subtract, reset),
        (Readout::SpikeCount, ReadoutReset::Subtract, 1.5),
        (Readout::Rate, ReadoutReset::Subtract, 0.15),
        (
            Readout::Li,
            ReadoutReset::Subtract,
            kick / 2.0 * (1.0 + beta.powi(3)),
        ),
    ];
    for (readout, readout_reset, expected) in cases {
        let setup = two_spikes(|config| {
            config.network.readout = readout;
            config.network.readout_reset = readout_reset;
            config.network.readout_threshold = 0.3;
        });
        for device in devices() {
            assert_eq!(fires(&setup, device, Population::E), [2, 5]);
            let logits = run(&setup, device).logits;
            assert_eq!(logits.len(), 1);
            assert_close(logits[0], expected, device, "logit");
        }
    }
}

#[test]
fn a_frozen_loop_of_zeros_equals_a_trained_one() {
    let train = |names: &[MatrixName]| {
        let names = names.to_vec();
        let mut setup = draw(SMALL, 9, 0.0, |config| config.training.trainable = names);
        for name in [MatrixName::WEi, MatrixName::WIe] {
            setup.weights.get_mut(&name).expect("there").data.fill(0.0);
        }
        setup
            .weights
            .retain(|name, _| !matches!(name, MatrixName::WEe | MatrixName::WIi));
        setup
    };
    let base = [MatrixName::WIn, MatrixName::WOut];
    let off = train(&base);
    let on = train(&[&base[..], &[MatrixName::WEi, MatrixName::WIe]].concat());
    for device in devices() {
        let (mut a, mut b) = ((device.make)(&off), (device.make)(&on));
        let request = Request {
            raster: true,
            ..Request::default()
        };
        let left = a.gradient(&off.batch, request).expect("runs");
        let right = b.gradient(&on.batch, request).expect("runs");
        let spikes = left.forward.raster.as_ref().expect("asked");
        assert!(spikes.spikes(Population::E).len() > 20);
        assert_eq!(left, right);
        let quantity = Quantity::Gradient;
        let (a, b) = (
            a.read(quantity).expect("reads"),
            b.read(quantity).expect("reads"),
        );
        assert!(base.iter().all(|name| a[name] == b[name]));
    }
}

#[test]
fn the_comparison_notices_a_wrong_constant() {
    let setup = single(60, &[3], 0.001, 1.0, |_| {});
    for device in devices() {
        let g = traces(&setup, device).g_exc_e[50];
        let of = |tau_ms: f64| f64::from(0.001f32) * (-0.5 * 47.0 / tau_ms).exp();
        assert!(is_close(g, of(2.0), device));
        assert!(!is_close(g, of(2.00001), device));
        assert!(!is_close(f64::NAN, of(2.0), device));
    }
}
