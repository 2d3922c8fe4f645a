//! The arithmetic and the memory traffic that a batch needs at the least, stage by stage: what
//! measured times are set against.
//!
//! Counted as a network of this kind needs it, not as an engine does it: dense products only where
//! the gradient has them (the loop, backwards), one row addition per spike, every array once. The
//! replay of the states before their gradient is work that an engine chooses, so it is counted as
//! a stage but not in the [`total`].

use crate::conductance::batch::SpikeBits;
use crate::conductance::params::Params;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Slot, Wiring};

/// Operations of one cell in one step forwards, its exponential counted as one.
const CELL_FORWARD_FLOPS: f64 = 25.0;
/// Operations of one cell in one step backwards.
const CELL_BACKWARD_FLOPS: f64 = 40.0;
/// Operations of Adam and the norms on one weight.
const OPTIMISER_FLOPS: f64 = 15.0;
/// Weight, gradient and both moments are read, all but the gradient are written.
const OPTIMISER_BYTES: f64 = 28.0;
/// An input event: step and input.
const EVENT_BYTES: f64 = 8.0;

/// Forward pass.
pub const FORWARD: &str = "forward";
/// Recomputation of states for the backward pass.
pub const REPLAY: &str = "replay";
/// The dense products that carry adjoints back through the loop.
pub const LOOP_PRODUCTS: &str = "loop products";
/// Adjoints of the cells and the read-out.
pub const BACKWARD: &str = "backward";
/// Sums over events.
pub const WEIGHT_GRADIENTS: &str = "weight gradients";
/// Norms, Adam, Dale's law.
pub const OPTIMISER: &str = "optimiser";

/// How much happens in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Trials.
    pub trials: u64,
    /// Input events of all trials.
    pub input_events: u64,
    /// Spikes of all E cells in all trials.
    pub spikes_e: u64,
    /// Spikes of all I cells in all trials.
    pub spikes_i: u64,
}

/// The work of one stage of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageWork {
    /// Name of the stage, as in [`StageTime`](crate::conductance::engine::StageTime).
    pub stage: &'static str,
    /// Floating-point operations.
    pub flops: f64,
    /// Least bytes from and to memory.
    pub bytes: f64,
}

/// The work of a forward pass alone.
pub fn inference(params: &Params, layout: &Layout, activity: Activity) -> Vec<StageWork> {
    let counts = 4.0 * (params.n_e() + params.n_i() + params.n_out) as f64;
    let work = Work::new(params, layout, activity);
    vec![StageWork {
        stage: FORWARD,
        flops: work.cells(CELL_FORWARD_FLOPS) + work.synapses() + work.read_out(),
        bytes: work.weight_bytes(|_| true) + work.event_bytes() + work.trials * counts,
    }]
}

/// The work of a training batch: forward, replay, loop products, backward, weight gradients, optimiser.
pub fn training(params: &Params, layout: &Layout, activity: Activity) -> Vec<StageWork> {
    let work = Work::new(params, layout, activity);
    let stage = |stage, flops, bytes| StageWork {
        stage,
        flops,
        bytes,
    };
    let cells = work.cells(CELL_FORWARD_FLOPS) + work.synapses();
    let (raster, events) = (work.raster_bytes(), work.event_bytes());
    let read_out = work.trial_steps * 2.0 * (params.n_e() * params.n_out) as f64;
    let loop_products = work.trials * loop_flops_per_trial(params, work.wiring);
    let trained = layout.trained_len as f64;
    vec![
        stage(
            FORWARD,
            cells + work.read_out(),
            work.weight_bytes(|_| true) + events + raster,
        ),
        stage(
            REPLAY,
            cells,
            work.weight_bytes(|name| name != MatrixName::WOut) + events + raster,
        ),
        stage(
            LOOP_PRODUCTS,
            loop_products,
            work.weight_bytes(MatrixName::is_loop),
        ),
        stage(
            BACKWARD,
            work.cells(CELL_BACKWARD_FLOPS) + read_out,
            work.weight_bytes(|name| name == MatrixName::WOut) + raster,
        ),
        stage(
            WEIGHT_GRADIENTS,
            work.weight_gradients(),
            4.0 * trained + events + raster,
        ),
        stage(
            OPTIMISER,
            OPTIMISER_FLOPS * trained,
            OPTIMISER_BYTES * trained,
        ),
    ]
}

/// Operations of the dense products of one trial's backward pass: the adjoints of the conductances
/// times the transposed loop matrices, each step.
pub fn loop_flops_per_trial(params: &Params, wiring: Wiring) -> f64 {
    let entries: usize = loop_matrices(params, wiring)
        .into_iter()
        .map(|(pre, post)| pre * post)
        .sum();
    2.0 * entries as f64 * params.steps as f64
}

/// `(pre, post)` cells of the loop matrices that are there.
pub fn loop_matrices(params: &Params, wiring: Wiring) -> Vec<(usize, usize)> {
    let there = [
        (MatrixName::WEe, wiring.ee),
        (MatrixName::WEi, wiring.ei),
        (MatrixName::WIe, wiring.ie),
        (MatrixName::WIi, wiring.ii),
    ];
    let there = there.into_iter().filter(|(_, is_there)| *is_there);
    there.map(|(name, _)| params.shape(name)).collect()
}

/// Operations and bytes of all stages but the replay.
pub fn total(stages: &[StageWork]) -> (f64, f64) {
    let counted = stages.iter().filter(|work| work.stage != REPLAY);
    counted.fold((0.0, 0.0), |(flops, bytes), work| {
        (flops + work.flops, bytes + work.bytes)
    })
}

/// One batch of one network.
struct Work<'a> {
    params: &'a Params,
    layout: &'a Layout,
    wiring: Wiring,
    activity: Activity,
    trials: f64,
    trial_steps: f64,
}

impl<'a> Work<'a> {
    fn new(params: &'a Params, layout: &'a Layout, activity: Activity) -> Self {
        Self {
            params,
            layout,
            wiring: Wiring::new(params, layout),
            activity,
            trials: activity.trials as f64,
            trial_steps: activity.trials as f64 * params.steps as f64,
        }
    }

    /// All simulated cells in all steps.
    fn cells(&self, flops: f64) -> f64 {
        let n_i = if self.wiring.i_cells {
            self.params.n_i()
        } else {
            0
        };
        self.trial_steps * (self.params.n_e() + n_i) as f64 * flops
    }

    /// Spikes that a matrix carries.
    fn events_of(&self, name: MatrixName) -> f64 {
        let count = match name {
            MatrixName::WIn => self.activity.input_events,
            MatrixName::WOut | MatrixName::WEe | MatrixName::WEi => self.activity.spikes_e,
            MatrixName::WIe | MatrixName::WIi => self.activity.spikes_i,
        };
        count as f64
    }

    /// One row addition per spike and matrix, but for the read-out.
    fn synapses(&self) -> f64 {
        let slots = self.active().filter(|slot| slot.name != MatrixName::WOut);
        slots
            .map(|slot| self.events_of(slot.name) * slot.post as f64)
            .sum()
    }

    /// Decay, sum and reset of the read-out voltages, and the rows of W_out.
    fn read_out(&self) -> f64 {
        let n_out = self.params.n_out as f64;
        n_out * (4.0 * self.trial_steps + self.activity.spikes_e as f64)
    }

    /// A scaled row addition per spike and trained matrix.
    fn weight_gradients(&self) -> f64 {
        let slots = self.layout.trained_slots();
        slots
            .map(|slot| 2.0 * self.events_of(slot.name) * slot.post as f64)
            .sum()
    }

    fn active(&self) -> impl Iterator<Item = &Slot> {
        self.layout.slots.iter().filter(|slot| slot.active)
    }

    fn weight_bytes(&self, counts: impl Fn(MatrixName) -> bool) -> f64 {
        let slots = self.active().filter(|slot| counts(slot.name));
        slots.map(|slot| 4.0 * slot.len() as f64).sum()
    }

    fn event_bytes(&self) -> f64 {
        EVENT_BYTES * self.activity.input_events as f64
    }

    /// Spikes and resets as bits.
    fn raster_bytes(&self) -> f64 {
        let p = self.params;
        let row = SpikeBits::silent(0, p.steps, [p.n_e(), p.n_i(), p.n_out]).row_words();
        4.0 * row as f64 * self.trial_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::settings::Config;
    use crate::conductance::weights::draw_initial;

    const SILENT: Activity = Activity {
        trials: 256,
        input_events: 0,
        spikes_e: 0,
        spikes_i: 0,
    };

    fn network(ei_strength: f64) -> (Params, Layout) {
        let mut config = Config::default();
        config.weights.ei_strength = ei_strength;
        let params = Params::new(&config, 784, 10);
        let weights = draw_initial(&params, &config.weights, 1);
        let layout = Layout::new(&params, &weights).unwrap();
        (params, layout)
    }

    fn of(stages: &[StageWork], name: &str) -> StageWork {
        *stages.iter().find(|work| work.stage == name).unwrap()
    }

    fn close(value: f64, expected: f64) {
        assert!(
            (value / expected - 1.0).abs() < 0.01,
            "{value:e} is not {expected:e}"
        );
    }

    /// The figures of a full-size batch: 256 trials, 2000 steps, 784–1024E/256I–10.
    #[test]
    fn a_full_size_batch_with_the_loop() {
        let (params, layout) = network(1.0);
        let wiring = Wiring::new(&params, &layout);
        close(256.0 * loop_flops_per_trial(&params, wiring), 0.537e12);
        let stages = training(&params, &layout, SILENT);
        let cell_steps = 6.55e8;
        let read_out = 20e6;
        close(of(&stages, FORWARD).flops, 16.4e9 + read_out);
        close(of(&stages, REPLAY).flops, 25.0 * cell_steps);
        close(of(&stages, LOOP_PRODUCTS).flops, 537e9);
        close(of(&stages, BACKWARD).flops, 26.2e9 + 10.5e9);
        assert_eq!(of(&stages, WEIGHT_GRADIENTS).flops, 0.0);
        // 41 words a trial-step.
        close(of(&stages, FORWARD).bytes, 84e6 + 5.35e6);
        close(of(&stages, OPTIMISER).bytes, 28.0 * 813_056.0);
    }

    #[test]
    fn without_the_loop_only_e_cells_and_the_read_out_are_left() {
        let (params, layout) = network(0.0);
        let stages = training(&params, &layout, SILENT);
        close(of(&stages, FORWARD).flops, 13.1e9);
        close(of(&stages, BACKWARD).flops, 21.0e9 + 10.5e9);
        let wiring = Wiring::new(&params, &layout);
        assert_eq!(loop_flops_per_trial(&params, wiring), 0.0);
    }

    #[test]
    fn every_spike_costs_a_row_of_each_matrix_it_passes() {
        let (params, layout) = network(1.0);
        let active = Activity {
            input_events: 3,
            spikes_e: 5,
            spikes_i: 7,
            ..SILENT
        };
        let more = |stage| {
            let flops = |activity| of(&training(&params, &layout, activity), stage).flops;
            flops(active) - flops(SILENT)
        };
        assert_eq!(more(FORWARD), (3 * 1024 + 5 * (256 + 10) + 7 * 1024) as f64);
        assert_eq!(more(REPLAY), (3 * 1024 + 5 * 256 + 7 * 1024) as f64);
        assert_eq!(more(BACKWARD), 0.0);
        assert_eq!(more(WEIGHT_GRADIENTS), 2.0 * (3 * 1024 + 5 * 10) as f64);
        let [(flops, _), (silent, _)] =
            [active, SILENT].map(|activity| total(&training(&params, &layout, activity)));
        assert_eq!(
            flops - silent,
            more(FORWARD) + more(WEIGHT_GRADIENTS),
            "the replay is not counted"
        );
        let passes = |activity| of(&inference(&params, &layout, activity), FORWARD).flops;
        assert_eq!(passes(active) - passes(SILENT), more(FORWARD));
    }
}
