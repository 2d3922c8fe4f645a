//! The GPU engine against the CPU engine: imposed spikes at awkward sizes, free runs past the software
//! driver's loop limit, memory plans, failures. Each test needs an adapter, a software one if need be.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::again;
use crate::common::networks::{SMALL, Setup, Sizes, cpu, draw, relative_error};
use dalenet::conductance::batch::{Batch, Population, Request, SpikeBits};
use dalenet::conductance::engine::{Engine, EngineError, Quantity};
use dalenet::conductance::gpu::{GpuEngine, GpuOptions, MemoryPlan};
use dalenet::conductance::settings::{
    Config, Dale, Integrator, MatrixName, Readout, ReadoutReset, RefractoryTiming, SynapseKick,
};
use dalenet::conductance::weights::Weights;
use dalenet::device::BackwardForm;
use dalenet::gpu::testing::test_gpu;
use dalenet::gpu::{CHECKS_VARIABLE, Failure, Gpu, GpuError};

type Matrices = BTreeMap<MatrixName, Vec<f64>>;

fn gpu() -> Option<Arc<Gpu>> {
    test_gpu().map(Arc::new)
}

fn engine(gpu: &Arc<Gpu>, setup: &Setup) -> GpuEngine {
    let Setup {
        params,
        weights,
        batch,
    } = setup;
    GpuEngine::new(
        gpu.clone(),
        params.clone(),
        weights,
        GpuOptions::default(),
        batch.trials(),
    )
    .expect("is made")
}

/// The same with this form of the backward pass.
fn engine_of(gpu: &Arc<Gpu>, setup: &Setup, backward: BackwardForm) -> GpuEngine {
    let plan = MemoryPlan {
        backward,
        ..*engine(gpu, setup).plan()
    };
    let Setup {
        params,
        weights,
        batch,
    } = setup;
    GpuEngine::with_plan(gpu.clone(), params.clone(), weights, plan, batch.trials())
        .expect("is made")
}

/// Forms of the backward pass that differ where trials are few.
const FORMS: [BackwardForm; 4] = [
    BackwardForm::Persistent,
    BackwardForm::PerStep,
    BackwardForm::PerStep8x4,
    BackwardForm::PerStep8x8,
];

/// The first form of the backward pass and one of the others, which take turns: to compile all of them for every
/// network takes long.
fn two_forms(turn: usize) -> [BackwardForm; 2] {
    let [first, others @ ..] = FORMS;
    [first, others[turn % others.len()]]
}

/// Forms of the backward pass against the reference, and their bits against each other's.
fn compare_forms(
    gpu: &Arc<Gpu>,
    setup: &Setup,
    imposed: &SpikeBits,
    forms: &[BackwardForm],
) -> Result<(), String> {
    let mut first = None;
    for &form in forms {
        let mut engine = engine_of(gpu, setup, form);
        let said = |error| format!("{}: {error}", form.name());
        compare(&mut engine, setup, imposed).map_err(said)?;
        let gradient = bits(&read(&mut engine, Quantity::Gradient));
        if *first.get_or_insert_with(|| gradient.clone()) != gradient {
            return Err(said("differs in bits from the first form".into()));
        }
    }
    Ok(())
}

/// The spikes of a free run of the reference, which is then imposed on both engines.
fn imposed(setup: &Setup) -> SpikeBits {
    let request = Request {
        raster: true,
        ..Request::default()
    };
    let forward = cpu::<f64>(setup, 1, 9)
        .forward(&setup.batch, request)
        .expect("runs");
    forward.raster.expect("was asked for")
}

/// Compares gradient, logits, loss and traces under imposed spikes; says what differs first.
fn compare(gpu: &mut dyn Engine, setup: &Setup, imposed: &SpikeBits) -> Result<(), String> {
    let request = Request {
        imposed: Some(imposed),
        traces: true,
        ..Request::default()
    };
    let mut reference = cpu::<f32>(setup, 1, 9);
    let theirs = reference
        .gradient(&setup.batch, request)
        .map_err(|e| e.to_string())?;
    let ours = gpu
        .gradient(&setup.batch, request)
        .map_err(|e| e.to_string())?;
    let close = |what: &str, a: &[f64], b: &[f64], tolerance: f64| {
        if a.len() != b.len() || a.is_empty() {
            return Err(format!("{what}: {} values against {}", a.len(), b.len()));
        }
        let error = relative_error(a, b);
        // A matrix without any gradient is exactly zero on both.
        if error <= tolerance || a.iter().chain(b).all(|x| *x == 0.0) {
            Ok(())
        } else {
            Err(format!("{what}: relative error {error:.2e}"))
        }
    };
    close("logits", &ours.forward.logits, &theirs.forward.logits, 1e-4)?;
    close("loss", &[ours.loss], &[theirs.loss], 1e-4)?;
    let spikes = (ours.spikes_e, ours.spikes_i);
    let of_history = (theirs.spikes_e, theirs.spikes_i);
    if spikes != of_history {
        return Err(format!("spikes {spikes:?} against {of_history:?}"));
    }
    let (a, b) = (
        ours.forward.traces.expect("asked"),
        theirs.forward.traces.expect("asked"),
    );
    for (what, a, b) in [
        ("v_e", &a.v_e, &b.v_e),
        ("v_i", &a.v_i, &b.v_i),
        ("g_exc_e", &a.g_exc_e, &b.g_exc_e),
        ("g_inh_e", &a.g_inh_e, &b.g_inh_e),
        ("g_exc_i", &a.g_exc_i, &b.g_exc_i),
        ("g_inh_i", &a.g_inh_i, &b.g_inh_i),
    ] {
        close(what, a, b, 1e-5)?;
    }
    let (a, b) = (
        read(gpu, Quantity::Gradient),
        read(reference.as_mut(), Quantity::Gradient),
    );
    if a.keys().ne(b.keys()) {
        return Err("different matrices have gradients".into());
    }
    for (name, b) in &b {
        close(&format!("gradient {name:?}"), &a[name], b, 1e-3)?;
    }
    let (a, b) = (
        gpu.step().map_err(|e| e.to_string())?,
        reference.step().expect("steps"),
    );
    close(
        "gradient norm",
        &[a.gradient_norm],
        &[b.gradient_norm],
        1e-4,
    )?;
    close("clip factor", &[a.clip_factor], &[b.clip_factor], 1e-4)?;
    let (a, b) = (
        read(gpu, Quantity::Weights),
        read(reference.as_mut(), Quantity::Weights),
    );
    // Adam turns the sign of a gradient near zero into a whole step, so changes are compared with the
    // tolerance that golden cases have.
    for (name, b) in &b {
        let before = &setup.weights[name].data;
        let change = |after: &[f64]| -> Vec<f64> {
            after
                .iter()
                .zip(before)
                .map(|(after, &w)| after - f64::from(w))
                .collect()
        };
        close(
            &format!("change of {name:?}"),
            &change(&a[name]),
            &change(b),
            1e-2,
        )?;
    }
    Ok(())
}

fn read(engine: &mut dyn Engine, quantity: Quantity) -> Matrices {
    engine.read(quantity).expect("reads")
}

fn bits(matrices: &Matrices) -> Vec<(MatrixName, Vec<u64>)> {
    let each = matrices.iter();
    each.map(|(&name, data)| (name, data.iter().map(|x| x.to_bits()).collect()))
        .collect()
}

#[test]
fn imposed_spikes_agree_at_awkward_sizes() {
    let Some(gpu) = gpu() else { return };
    let sizes = [
        Sizes {
            n_in: 1,
            n_e: 1,
            n_i: 1,
            n_out: 1,
            trials: 1,
            steps: 40,
        },
        Sizes {
            n_in: 63,
            n_e: 65,
            n_i: 63,
            n_out: 65,
            trials: 5,
            steps: 33,
        },
        Sizes {
            n_in: 65,
            n_e: 63,
            n_i: 1,
            n_out: 2,
            trials: 1,
            steps: 1,
        },
        Sizes {
            n_in: 7,
            n_e: 257,
            n_i: 131,
            n_out: 10,
            trials: 5,
            steps: 31,
        },
        Sizes {
            n_in: 31,
            n_e: 32,
            n_i: 64,
            n_out: 300,
            trials: 33,
            steps: 17,
        },
    ];
    for sizes in sizes {
        let setup = draw(sizes, 3, 0.1, |c| {
            c.network.grad_dampen = 20.0;
            c.training.dale = Dale::Signed;
        });
        let imposed = imposed(&setup);
        compare_forms(&gpu, &setup, &imposed, &FORMS).unwrap_or_else(|e| panic!("{sizes:?}: {e}"));
    }
}

#[test]
fn every_mode_agrees() {
    let Some(gpu) = gpu() else { return };
    type Edit = fn(&mut Config);
    let modes: [(&str, Edit); 14] = [
        ("euler", |c| c.network.integrator = Integrator::Euler),
        ("floor", |c| c.network.v_floor_mv = -65.5),
        // A cell that may fire again at once is the only one whose reset cuts a gradient.
        ("hardly refractory", |c| {
            c.network.ref_e_ms = 0.0;
            c.network.ref_i_ms = 0.0;
        }),
        ("no reset", |c| c.network.readout_reset = ReadoutReset::None),
        ("spike count", |c| c.network.readout = Readout::SpikeCount),
        ("rate", |c| c.network.readout = Readout::Rate),
        ("li", |c| c.network.readout = Readout::Li),
        ("clamp", |c| c.training.dale = Dale::Clamp),
        ("signed", |c| c.training.dale = Dale::Signed),
        ("signed loop", |c| c.training.signed_loop = true),
        ("penalty", |c| {
            c.training.rate_strength = 0.01;
            c.training.rate_theta_hz = 1.0;
        }),
        ("clipping", |c| c.training.clip_norm = 1e-6),
        ("later engine", |c| {
            c.network.synapse_kick = SynapseKick::Full;
            c.network.refractory_timing = RefractoryTiming::Following;
            c.network.readout_slope = Some(5.0);
        }),
        ("frozen loop", |c| {
            c.training.trainable = vec![MatrixName::WIn, MatrixName::WOut]
        }),
    ];
    for (turn, (name, edit)) in modes.into_iter().enumerate() {
        let setup = draw(SMALL, 5, 0.2, |c| {
            c.network.grad_dampen = 20.0;
            edit(c);
        });
        let imposed = imposed(&setup);
        compare_forms(&gpu, &setup, &imposed, &two_forms(turn))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// Gradients of some forms of the backward pass with the matrices `there` alone.
fn compare_wiring(
    gpu: &Arc<Gpu>,
    sizes: Sizes,
    there: &[MatrixName],
    [first, other]: &[BackwardForm; 2],
) {
    let always = [MatrixName::WIn, MatrixName::WOut];
    let mut setup = draw(sizes, 4, 0.1, |c| {
        c.network.grad_dampen = 20.0;
        c.training.dale = Dale::Signed;
        c.training.trainable = [&always, there].concat();
    });
    for (name, matrix) in &mut setup.weights {
        if !always.contains(name) && !there.contains(name) {
            matrix.data.fill(0.0);
        }
    }
    let imposed = imposed(&setup);
    let request = Request {
        imposed: Some(&imposed),
        ..Request::default()
    };
    let gradient = |engine: &mut dyn Engine| {
        engine.gradient(&setup.batch, request).expect("runs");
        read(engine, Quantity::Gradient)
    };
    let expected = gradient(cpu::<f32>(&setup, 1, 9).as_mut());
    let persistent = gradient(&mut engine_of(gpu, &setup, *first));
    assert!(persistent.keys().eq(expected.keys()), "{there:?}");
    for (name, expected) in &expected {
        let ours = &persistent[name];
        let zero = ours.iter().chain(expected).all(|x| *x == 0.0);
        let error = relative_error(ours, expected);
        assert!(zero || error <= 1e-3, "{there:?}, {name:?}: {error:.2e}");
    }
    let per_step = gradient(&mut engine_of(gpu, &setup, *other));
    assert!(bits(&per_step) == bits(&persistent), "{there:?}, {other:?}");
}

#[test]
fn every_wiring_agrees() {
    let Some(gpu) = gpu() else { return };
    use MatrixName::{WEe, WEi, WIe, WIi};
    let wirings = [
        &[][..],
        &[WEi],
        &[WEe],
        &[WEi, WIe],
        &[WEi, WIi],
        &[WEe, WIe],
    ];
    for (turn, there) in wirings.into_iter().enumerate() {
        compare_wiring(&gpu, SMALL, there, &two_forms(turn));
    }
    // More than one tile of cells a thread, more than one workgroup, and a last one that is not full.
    let large = Sizes {
        n_in: 5,
        n_e: 1030,
        n_i: 260,
        n_out: 11,
        trials: 6,
        steps: 6,
    };
    for turn in 0..3 {
        compare_wiring(&gpu, large, &[WEi, WIe], &two_forms(turn));
    }
}

#[test]
fn the_comparison_notices_wrong_engines() {
    let Some(gpu) = gpu() else { return };
    let setup = draw(SMALL, 5, 0.0, |c| c.network.grad_dampen = 20.0);
    let imposed = imposed(&setup);
    type Edit = fn(&mut Setup);
    let wrong: [(&str, Edit); 4] = [
        ("gradient damping", |s| s.params.network.grad_dampen *= 1.01),
        ("surrogate slope", |s| {
            s.params.network.surrogate_slope *= 1.01
        }),
        ("conductance decay", |s| {
            s.params.network.tau_gaba_ms *= 1.001
        }),
        ("one weight", |s| {
            s.weights.get_mut(&MatrixName::WEi).expect("there").data[3] *= 1.5
        }),
    ];
    for (name, edit) in wrong {
        let mut other = setup.clone();
        edit(&mut other);
        let result = compare(&mut engine(&gpu, &other), &setup, &imposed);
        assert!(result.is_err(), "a wrong {name} went unnoticed");
    }
}

/// A network that fires so much that one dispatch of the whole trial would pass the 65,535 loop
/// iterations after which the software driver silently ends loops.
fn busy() -> Setup {
    draw(
        Sizes {
            n_in: 40,
            n_e: 40,
            n_i: 10,
            n_out: 3,
            trials: 2,
            steps: 2500,
        },
        8,
        0.0,
        |c| {
            c.network.grad_dampen = 1000.0;
        },
    )
}

#[test]
fn a_long_free_run_keeps_its_spikes() {
    let Some(gpu) = gpu() else { return };
    let setup = busy();
    let request = Request {
        raster: true,
        ..Request::default()
    };
    let expected = cpu::<f32>(&setup, 1, 50)
        .forward(&setup.batch, request)
        .expect("runs");
    let expected = expected.raster.expect("asked").spikes(Population::E).len();
    let spikes = |engine: &mut GpuEngine| {
        let forward = engine.forward(&setup.batch, request).expect("runs");
        forward.raster.expect("asked").spikes(Population::E).len()
    };
    let mut sound = engine(&gpu, &setup);
    let plan = *sound.plan();
    // One flipped spike makes trajectories diverge, so free runs are compared by their rates.
    let count = spikes(&mut sound);
    assert!(expected > 1000, "the network is busy: {expected} spikes");
    assert!(
        count.abs_diff(expected) * 50 < expected,
        "{count} spikes, {expected} on the CPU"
    );
    if gpu.is_software() {
        // The whole trial in one dispatch, as if the driver had no limit.
        let plan = MemoryPlan {
            segment_steps: 2500,
            forward_steps: 2500,
            ..plan
        };
        let Setup {
            params, weights, ..
        } = &setup;
        let mut broken =
            GpuEngine::with_plan(gpu, params.clone(), weights, plan, 2).expect("is made");
        let count = spikes(&mut broken);
        assert!(
            count.abs_diff(expected) * 50 >= expected,
            "the limit did not show: {count}"
        );
    }
}

/// Many cells for every thread, and on a software driver a few steps in a dispatch: both forms of the
/// backward pass agree with the CPU.
#[test]
fn a_large_network_agrees() {
    let Some(gpu) = gpu() else { return };
    let sizes = Sizes {
        n_in: 8,
        n_e: 2048,
        n_i: 512,
        n_out: 10,
        trials: 1,
        steps: 24,
    };
    let setup = draw(sizes, 3, 0.0, |c| c.network.grad_dampen = 20.0);
    let plan = *engine(&gpu, &setup).plan();
    assert!(
        !gpu.is_software() || plan.backward_steps < sizes.steps,
        "{plan:?}"
    );
    compare_forms(&gpu, &setup, &imposed(&setup), &two_forms(2))
        .unwrap_or_else(|error| panic!("{error}"));
}

/// The plan of a device that bounds no loop: whole trials and segments in a dispatch, all events.
fn as_on_hardware(plan: MemoryPlan) -> MemoryPlan {
    MemoryPlan {
        forward_steps: usize::MAX,
        backward_steps: usize::MAX,
        gradient_steps: usize::MAX,
        gradient_events: usize::MAX,
        ..plan
    }
}

#[test]
fn plans_as_hardware_gets_them_agree_with_the_cpu() {
    let Some(gpu) = gpu() else { return };
    // Groups and segments that do not divide, more than one workgroup of cells, 40 trials in chunks.
    let sizes = Sizes {
        n_in: 9,
        n_e: 261,
        n_i: 67,
        n_out: 5,
        trials: 40,
        steps: 23,
    };
    let setup = draw(sizes, 12, 0.0, |c| {
        c.network.grad_dampen = 20.0;
        c.training.rate_strength = 0.01;
        c.training.rate_theta_hz = 1.0;
    });
    let imposed = imposed(&setup);
    let default = *engine(&gpu, &setup).plan();
    for (chunk_trials, segment_steps, stretch_segments, trials_per_workgroup) in
        [(40, 23, 1, 8), (16, 9, 2, 4)]
    {
        let plan = MemoryPlan {
            chunk_trials,
            segment_steps,
            stretch_segments,
            trials_per_workgroup,
            ..as_on_hardware(default)
        };
        for backward in FORMS {
            let plan = MemoryPlan { backward, ..plan };
            let Setup {
                params, weights, ..
            } = &setup;
            let mut engine =
                GpuEngine::with_plan(gpu.clone(), params.clone(), weights, plan, sizes.trials)
                    .expect("is made");
            // A batch of other trials leaves its states, traces and adjoints behind.
            let mut other = setup.batch.clone();
            other.labels.rotate_left(1);
            for event in &mut other.events {
                event.input = 8 - event.input;
            }
            engine.gradient(&other, Request::default()).expect("runs");
            compare(&mut engine, &setup, &imposed).unwrap_or_else(|e| panic!("{plan:?}: {e}"));
        }
    }
}

/// Unwritten workgroup memory and buffers begin with NaNs, invocations are numbered backwards, and
/// the kernels go without the checks that hide wrong indices, as they do in release builds.
#[test]
fn results_do_not_come_from_what_a_software_driver_forgives() {
    if gpu().is_none() || std::env::var_os(CHECKS_VARIABLE).is_some() {
        return;
    }
    let tests = [
        "every_wiring_agrees",
        "plans_as_hardware_gets_them_agree_with_the_cpu",
    ];
    // The variable is read when kernels are made, so it takes a program of its own.
    let output = again(module_path!(), &tests)
        .env(CHECKS_VARIABLE, "stress")
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let all = format!("{} passed; 0 failed", tests.len());
    assert!(output.status.success() && text.contains(&all), "{text}");
}

/// Loss, gradient and weights after three optimiser steps.
fn train(engine: &mut GpuEngine, setup: &Setup) -> (u64, Vec<(MatrixName, Vec<u64>)>) {
    let mut loss = 0;
    for _ in 0..3 {
        loss = engine
            .gradient(&setup.batch, Request::default())
            .expect("runs")
            .loss
            .to_bits();
        assert!(!engine.step().expect("steps").skipped);
    }
    (loss, bits(&read(engine, Quantity::Weights)))
}

#[test]
fn memory_plans_and_repetition_change_no_bit() {
    let Some(gpu) = gpu() else { return };
    let setup = draw(
        Sizes {
            trials: 70,
            ..SMALL
        },
        6,
        0.0,
        |c| {
            c.network.grad_dampen = 30.0;
            c.training.rate_strength = 0.01;
            c.training.rate_theta_hz = 1.0;
        },
    );
    let mut first = engine(&gpu, &setup);
    let plan = *first.plan();
    assert_eq!(plan.chunk_trials, 70);
    let expected = train(&mut first, &setup);
    let plans = [
        plan,
        MemoryPlan {
            chunk_trials: 64,
            segment_steps: 7,
            trials_per_workgroup: 1,
            ..plan
        },
        MemoryPlan {
            forward_steps: 3,
            backward_steps: 2,
            gradient_steps: 5,
            gradient_events: 3,
            ..plan
        },
        as_on_hardware(plan),
        MemoryPlan {
            chunk_trials: 48,
            segment_steps: 13,
            ..as_on_hardware(plan)
        },
        MemoryPlan {
            chunk_trials: 16,
            trials_per_workgroup: 8,
            segment_steps: 37,
            ..as_on_hardware(plan)
        },
        MemoryPlan {
            chunk_trials: 32,
            trials_per_workgroup: 2,
            ..plan
        },
        MemoryPlan {
            trials_per_workgroup: 8,
            segment_steps: 5,
            stretch_segments: 3,
            ..plan
        },
        MemoryPlan {
            chunk_trials: 48,
            segment_steps: 2,
            stretch_segments: 100,
            ..as_on_hardware(plan)
        },
        MemoryPlan {
            backward: BackwardForm::PerStep,
            ..plan
        },
        MemoryPlan {
            backward: BackwardForm::PerStep,
            chunk_trials: 32,
            segment_steps: 7,
            backward_steps: 3,
            ..plan
        },
    ];
    for plan in plans {
        let plan = MemoryPlan {
            forward_steps: plan.forward_steps.min(plan.segment_steps),
            backward_steps: plan.backward_steps.min(plan.segment_steps),
            gradient_steps: plan.gradient_steps.min(plan.segment_steps),
            ..plan
        };
        let Setup {
            params, weights, ..
        } = &setup;
        let mut other =
            GpuEngine::with_plan(gpu.clone(), params.clone(), weights, plan, 70).expect("is made");
        assert!(train(&mut other, &setup) == expected, "{plan:?}");
    }
}

#[test]
fn a_trial_does_not_depend_on_its_batch() {
    let Some(gpu) = gpu() else { return };
    let setup = draw(Sizes { trials: 5, ..SMALL }, 2, 0.0, |_| {});
    let mut engine = engine(&gpu, &setup);
    let all = engine
        .forward(&setup.batch, Request::default())
        .expect("runs");
    for trial in 0..5 {
        let events = setup.batch.events_of(trial);
        let alone = dalenet::conductance::batch::Batch::new([(events, setup.batch.labels[trial])]);
        let alone = engine.forward(&alone, Request::default()).expect("runs");
        assert_eq!(alone.logits, all.logits[trial * 3..][..3]);
        assert_eq!(
            alone.counts_e,
            all.counts_e[trial * SMALL.n_e..][..SMALL.n_e]
        );
        assert_eq!(
            alone.counts_i,
            all.counts_i[trial * SMALL.n_i..][..SMALL.n_i]
        );
    }
}

#[test]
fn optimiser_state_returns_and_a_step_without_finite_norm_changes_nothing() {
    let Some(gpu) = gpu() else { return };
    let setup = draw(SMALL, 9, 0.0, |c| c.network.grad_dampen = 30.0);
    let mut one = engine(&gpu, &setup);
    train(&mut one, &setup);
    let as_weights = |m: &Matrices| -> Weights {
        let shapes = &setup.weights;
        m.iter()
            .map(|(name, data)| {
                let mut matrix = shapes[name].clone();
                matrix.data = data.iter().map(|&x| x as f32).collect();
                (*name, matrix)
            })
            .collect()
    };
    let weights = as_weights(&read(&mut one, Quantity::Weights));
    let mut two = engine(
        &gpu,
        &Setup {
            weights,
            ..setup.clone()
        },
    );
    let m = as_weights(&read(&mut one, Quantity::AdamM));
    let v = as_weights(&read(&mut one, Quantity::AdamV));
    two.restore(&m, &v, one.optimiser_steps()).expect("fits");
    assert!(train(&mut one, &setup) == train(&mut two, &setup));

    let mut blown = setup.clone();
    blown.params.network.grad_dampen = 1e-6;
    let mut engine = engine(&gpu, &blown);
    let before = bits(&read(&mut engine, Quantity::Weights));
    engine
        .gradient(&blown.batch, Request::default())
        .expect("runs");
    let report = engine.step().expect("steps");
    assert!(report.skipped, "norm {}", report.gradient_norm);
    assert_eq!(engine.optimiser_steps(), 0);
    assert!(bits(&read(&mut engine, Quantity::Weights)) == before);
}

/// A batch is begun while it is not known yet whether the step before was skipped.
#[test]
fn batches_begun_ahead_give_the_bits_of_batches_waited_for() {
    let Some(gpu) = gpu() else { return };
    // Without input the gradient is zero, with input it is not finite.
    let blown = draw(SMALL, 9, 0.0, |c| c.network.grad_dampen = 1e-6);
    let silent = Setup {
        batch: Batch::new(blown.batch.labels.iter().map(|&label| (&[][..], label))),
        ..blown.clone()
    };
    let sequence = [&silent, &blown, &silent, &silent, &blown, &blown, &silent];
    // Moments of steps before, so that a step of a zero gradient shows which it is.
    let moments = |factor: f32| -> Weights {
        let mut moments = blown.weights.clone();
        for matrix in moments.values_mut() {
            matrix.data.iter_mut().for_each(|x| *x *= factor);
        }
        moments
    };
    let begin = || {
        let mut engine = engine(&gpu, &blown);
        engine
            .restore(&moments(0.1), &moments(1.0), 3)
            .expect("fits");
        engine
    };
    let end = |engine: &mut GpuEngine| {
        let all = [Quantity::Weights, Quantity::AdamM, Quantity::AdamV];
        let all = all.map(|quantity| bits(&read(engine, quantity)));
        (all, engine.optimiser_steps())
    };
    let mut waiting = begin();
    let mut expected = Vec::new();
    for setup in sequence {
        let gradient = waiting.gradient(&setup.batch, Request::default());
        let loss = gradient.expect("runs").loss;
        expected.push((loss, waiting.step().expect("steps").skipped));
    }
    let skipped = expected.iter().map(|(_, skipped)| *skipped);
    let blown_ones = sequence.map(|setup| std::ptr::eq(setup, &blown));
    assert_eq!(skipped.collect::<Vec<_>>(), blown_ones);

    let mut ahead = begin();
    let mut came = Vec::new();
    for (n, setup) in sequence.into_iter().enumerate() {
        let engine = ahead.ahead().expect("a GPU can");
        engine.begin(&setup.batch).expect("begins");
        if n > 0 {
            came.extend(engine.finish().expect("runs"));
        }
    }
    let engine = ahead.ahead().expect("a GPU can");
    came.extend(engine.finish().expect("runs"));
    assert!(engine.finish().expect("waits for nothing").is_none());
    let came: Vec<_> = came
        .iter()
        .map(|(g, step)| (g.loss, step.skipped))
        .collect();
    assert_eq!(came, expected);
    assert!(end(&mut ahead) == end(&mut waiting));
    assert_eq!(ahead.optimiser_steps(), 3 + 4);
}

#[test]
fn a_device_out_of_memory_gets_a_smaller_plan_with_the_same_result() {
    let Some(gpu) = gpu() else { return };
    let setup = draw(
        Sizes {
            trials: 70,
            ..SMALL
        },
        6,
        0.0,
        |c| c.network.grad_dampen = 30.0,
    );
    let mut whole = engine(&gpu, &setup);
    gpu.inject_failure(Failure::OutOfMemory);
    let mut smaller = engine(&gpu, &setup);
    assert!(smaller.plan().bytes < whole.plan().bytes);
    assert!(train(&mut smaller, &setup) == train(&mut whole, &setup));
}

#[test]
fn failures_of_the_device_come_back_as_errors() {
    let Some(gpu) = gpu() else { return };
    let setup = draw(SMALL, 1, 0.0, |_| {});
    let mut engine = engine(&gpu, &setup);
    gpu.inject_failure(Failure::Validation);
    let error = engine
        .gradient(&setup.batch, Request::default())
        .expect_err("was injected");
    assert!(
        matches!(error, EngineError::Gpu(GpuError::Validation { .. })),
        "{error:?}"
    );
    engine
        .gradient(&setup.batch, Request::default())
        .expect("works again");
    gpu.inject_failure(Failure::DeviceLost);
    let error = engine
        .gradient(&setup.batch, Request::default())
        .expect_err("was injected");
    assert!(
        matches!(error, EngineError::Gpu(GpuError::DeviceLost { .. })),
        "{error:?}"
    );
}
