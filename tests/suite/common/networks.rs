//! Small conductance networks for tests: settings, drawn weights and trials, engines behind one type.

use std::sync::{Arc, OnceLock};

use dalenet::conductance::batch::Batch;
use dalenet::conductance::cpu::CpuEngine;
use dalenet::conductance::engine::Engine;
use dalenet::conductance::gpu::{GpuEngine, GpuOptions};
use dalenet::conductance::params::Params;
use dalenet::conductance::settings::{Config, MatrixName};
use dalenet::conductance::weights::{Matrix, Weights};
use dalenet::data::Event;
use dalenet::gpu::Gpu;
use dalenet::gpu::testing::test_gpu;
use dalenet::parity::Precision;
use dalenet::random::{Purpose, Stream};
use dalenet::real::Real;

/// A network with its stored weights and its trials.
#[derive(Clone, Debug)]
pub struct Setup {
    pub params: Params,
    pub weights: Weights,
    pub batch: Batch,
}

/// Sizes of a drawn network.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub n_in: usize,
    pub n_e: usize,
    pub n_i: usize,
    pub n_out: usize,
    pub trials: usize,
    pub steps: usize,
}

/// A network in which every path carries spikes within 40 ms.
pub const SMALL: Sizes = Sizes {
    n_in: 8,
    n_e: 12,
    n_i: 5,
    n_out: 3,
    trials: 3,
    steps: 80,
};

/// An engine under test. What is checked for one is checked for all in [`devices`].
#[derive(Clone, Copy)]
pub struct Device {
    pub name: &'static str,
    pub precision: Precision,
    pub make: fn(&Setup) -> Box<dyn Engine>,
}

impl Device {
    /// Whether the engine computes in single precision.
    pub fn is_single(&self) -> bool {
        self.precision == Precision::F32
    }
}

/// The engines every check runs on; the GPU engine where there is an adapter.
pub fn devices() -> Vec<Device> {
    let gpu = gpu().is_some().then_some(GPU);
    [CPU_F32, CPU_F64].into_iter().chain(gpu).collect()
}

/// The engines by which comparisons are tested, which know no more of an engine than its precision.
pub fn precisions() -> [Device; 2] {
    [CPU_F32, CPU_F64]
}

/// The adapter of this test program.
fn gpu() -> Option<Arc<Gpu>> {
    static ADAPTER: OnceLock<Option<Arc<Gpu>>> = OnceLock::new();
    ADAPTER.get_or_init(|| test_gpu().map(Arc::new)).clone()
}

/// The GPU engine.
const GPU: Device = Device {
    name: "GPU",
    precision: Precision::F32,
    make: |setup| {
        let Setup {
            params,
            weights,
            batch,
        } = setup;
        let adapter = gpu().expect("is only listed where there is an adapter");
        let engine = GpuEngine::new(
            adapter,
            params.clone(),
            weights,
            GpuOptions::default(),
            batch.trials(),
        );
        Box::new(engine.expect("the network is sound"))
    },
};

/// The CPU engine in single precision, with checkpoints that do not divide the steps.
pub const CPU_F32: Device = Device {
    name: "CPU f32",
    precision: Precision::F32,
    make: |setup| cpu::<f32>(setup, 1, 7),
};

/// The CPU engine in double precision.
pub const CPU_F64: Device = Device {
    name: "CPU f64",
    precision: Precision::F64,
    make: |setup| cpu::<f64>(setup, 1, 7),
};

/// The CPU engine with threads and segment length chosen.
pub fn cpu<R: Real>(setup: &Setup, threads: usize, segment_steps: usize) -> Box<dyn Engine> {
    let Setup {
        params, weights, ..
    } = setup;
    let engine = CpuEngine::<R>::new(params.clone(), weights, threads, segment_steps);
    Box::new(engine.expect("the network is sound"))
}

/// Settings of the given sizes: steps of 0.5 ms, all six matrices trained, then edited.
pub fn params(sizes: Sizes, edit: impl FnOnce(&mut Config)) -> Params {
    let mut config = Config::default();
    config.network.n_e = sizes.n_e;
    config.network.n_i = sizes.n_i;
    config.network.dt_ms = 0.5;
    config.training.trainable = MatrixName::ALL.to_vec();
    edit(&mut config);
    config.network.duration_ms = config.network.dt_ms * sizes.steps as f64;
    Params::new(&config, sizes.n_in, sizes.n_out)
}

/// A network with weights and trials drawn by `seed`. A share `negative` of the stored weights is
/// below zero. Conductances are scaled to the numbers of cells, so that every size fires.
pub fn draw(sizes: Sizes, seed: u64, negative: f64, edit: impl FnOnce(&mut Config)) -> Setup {
    let params = params(sizes, edit);
    let mut weights = Weights::new();
    for (index, name) in MatrixName::ALL.into_iter().enumerate() {
        // Mean of the summed weights onto one cell.
        let sum = match name {
            MatrixName::WIn => 0.16,
            MatrixName::WOut => 4.0,
            MatrixName::WEe => 0.05,
            MatrixName::WEi => 0.6,
            MatrixName::WIe => 0.15,
            MatrixName::WIi => 0.1,
        };
        let (pre, post) = params.shape(name);
        let mut stream = Stream::new(Purpose::Weights, seed, index as u64, 1);
        let data = (0..pre * post)
            .map(|_| {
                let w = sum / pre as f64 * (0.5 + stream.uniform_f64_open());
                let below = stream.uniform_f64_open() <= negative;
                (if below { -0.5 * w } else { w }) as f32
            })
            .collect();
        weights.insert(name, Matrix { pre, post, data });
    }
    let batch = draw_batch(sizes, seed, 0.3);
    Setup {
        params,
        weights,
        batch,
    }
}

/// Trials whose inputs fire with probability `p` in every step, and always in the first.
pub fn draw_batch(sizes: Sizes, seed: u64, p: f64) -> Batch {
    let trials: Vec<Vec<Event>> = (0..sizes.trials as u64)
        .map(|trial| {
            let mut events = Vec::new();
            for input in 0..sizes.n_in as u32 {
                let mut stream = Stream::new(Purpose::TrainNoise, seed, trial, u64::from(input));
                let later = stream.bernoulli_gaps(p, sizes.steps as u32);
                let later = later.filter(|&step| step > 0);
                events.push(Event { step: 0, input });
                events.extend(later.map(|step| Event { step, input }));
            }
            events.sort_unstable();
            events
        })
        .collect();
    let labels = (0..sizes.trials).map(|trial| (trial % sizes.n_out) as u32);
    Batch::new(trials.iter().map(Vec::as_slice).zip(labels))
}

/// A network of one cell of every kind, without loop, with its input events as steps. W_in and
/// W_out are `w_in_us` and `w_out`.
pub fn single(
    steps: usize,
    events: &[u32],
    w_in_us: f32,
    w_out: f32,
    edit: impl FnOnce(&mut Config),
) -> Setup {
    let sizes = Sizes {
        n_in: 1,
        n_e: 1,
        n_i: 1,
        n_out: 1,
        trials: 1,
        steps,
    };
    let params = params(sizes, |config| {
        config.training.trainable = vec![MatrixName::WIn, MatrixName::WOut];
        edit(config);
    });
    let one = |w: f32| Matrix {
        pre: 1,
        post: 1,
        data: vec![w],
    };
    let weights = Weights::from([
        (MatrixName::WIn, one(w_in_us)),
        (MatrixName::WOut, one(w_out)),
        (MatrixName::WEi, one(0.0)),
        (MatrixName::WIe, one(0.0)),
    ]);
    let events: Vec<Event> = events
        .iter()
        .map(|&step| Event { step, input: 0 })
        .collect();
    Setup {
        params,
        weights,
        batch: Batch::new([(&events[..], 0)]),
    }
}

/// Frobenius norm.
pub fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// ‖a − b‖ / ‖b‖; infinite where the lengths differ, nothing is there, or b is all zero.
pub fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() || norm(b) == 0.0 {
        return f64::INFINITY;
    }
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(b)
}
