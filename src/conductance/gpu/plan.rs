//! What a batch needs on the device, decided before anything is allocated.
//!
//! States are not kept but replayed: the state of all cells is saved at the start of every segment,
//! and a segment's states are recorded again just before its backward pass. Short segments need more
//! saved states, long ones more recorded ones: memory grows with the square root of the steps. Where that is too much,
//! only the states at the start of every stretch of segments are saved on the way forward, and those between when the
//! backward pass comes to the stretch: it grows with the cube root, and every step is run three times instead of twice.
//! A batch that still does not fit goes through in chunks of whole trial groups. None of it changes a bit of the
//! result.

use std::fmt;

use super::GpuOptions;
use super::backward::{LambdaRows, is_recurrent, trials_per_workgroup};
use super::tiles::StepTiles;
use crate::conductance::TRIAL_GROUP;
use crate::conductance::batch::SpikeBits;
use crate::conductance::engine::EngineError;
use crate::conductance::params::Params;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Weights, Wiring};
use crate::device::BackwardForm;
use crate::gpu::{AdapterInfo, AdapterLimits, BufferSpec};
use crate::optim::gpu::{MAX_PARTIALS, clip_words};
use crate::text::count;

/// Device memory a run takes unless told otherwise, bytes.
pub const DEFAULT_BUDGET_BYTES: u64 = 1 << 30;

/// Steps of one forward dispatch at the most: each takes microseconds, however few trials there are.
const MAX_FORWARD_STEPS: usize = 1000;

/// Cells × steps × trials of one forward dispatch at the most. At some 100 operations each, about 0.1 s
/// on a processor's weakest graphics, a tenth of what the system's watchdog allows, and well below 1 ms
/// on a card.
const MAX_CELL_STEPS: usize = 1 << 26;

/// What an input event costs in a cell that it reaches, in shares of a step of the cell: a weight is read and added.
const EVENT_SHARE: f64 = 0.04;

/// Multiply-adds of one backward dispatch at the most, for the same reason; a segment of the full-size
/// network has hardly less.
const MAX_PRODUCTS: u64 = 1 << 33;

/// Forward, backward and gradient steps and events of one dispatch at the most on a driver that ends long
/// loops: few, and fewer the larger the network, whose loops grow with the square of its cells.
/// A cautious rule: the driver's limit has been seen at 2500 forward steps of a small network, and not
/// at 64 backward steps of 2560 cells.
fn software_most(cells: usize) -> [usize; 4] {
    let steps = |most: usize| ((1 << 23) / (cells * cells).max(1)).clamp(1, most);
    [steps(16), steps(64), 64, 1 << 14]
}

/// Differing decisions that are listed at the most.
pub(super) const MAX_DISAGREEMENTS: usize = (1 << 16) - 1;

/// Words of a list of so many disagreements, its head included.
pub(super) const fn disagreement_words(listed: usize) -> usize {
    4 + 4 * listed
}

/// Float counts of the kernels' rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowLengths {
    /// State of one trial.
    pub(super) state: usize,
    /// Recorded state of one trial at one step.
    pub(super) trace: usize,
    /// Adjoints of one trial.
    pub(super) adjoint: usize,
    /// Words of spikes of one trial at one step.
    pub(super) spikes: usize,
    /// Transposed matrices.
    pub(super) transposed: usize,
    /// Where a state has its I cells and its read-outs.
    pub(super) state_at: [usize; 2],
    /// Where adjoints have their I cells and their read-outs.
    pub(super) adjoint_at: [usize; 2],
}

impl RowLengths {
    pub(super) fn new(params: &Params, layout: &Layout, wiring: &Wiring) -> Self {
        let if_ = |there: bool, n: usize| if there { n } else { 0 };
        let (e, out) = (params.n_e(), params.n_out);
        // I cells without effect are not computed, and nothing of them is kept but the silence of their spikes.
        let i = if_(wiring.i_cells, params.n_i());
        let transposed = layout.slots.iter().filter(|s| s.name != MatrixName::WIn);
        Self {
            state_at: [5 * e, 5 * (e + i)],
            adjoint_at: [3 * e, 3 * (e + i)],
            state: 5 * (e + i) + 3 * out,
            trace: 2 * e + if_(wiring.ie, e) + 2 * i + if_(wiring.ii, i) + out,
            adjoint: 3 * (e + i) + out,
            spikes: SpikeBits::silent(0, 1, [e, params.n_i(), out]).row_words(),
            transposed: transposed.map(|s| s.len()).sum(),
        }
    }
}

/// How a batch goes through the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Trials that are on the device together: whole trial groups, or the whole batch.
    pub chunk_trials: usize,
    /// Steps whose states are recorded together.
    pub segment_steps: usize,
    /// Segments from one state that the forward pass saves to the next; those between are saved by a replay.
    pub stretch_segments: usize,
    /// Form of the backward pass.
    pub backward: BackwardForm,
    /// Trials that share one workgroup of the persistent backward pass.
    pub trials_per_workgroup: usize,
    /// Steps of one forward dispatch; fewer where a segment ends, if states are kept.
    pub forward_steps: usize,
    /// Steps of one backward dispatch.
    pub backward_steps: usize,
    /// Steps of one dispatch of a gradient kernel.
    pub gradient_steps: usize,
    /// Events of one dispatch of the input-gradient kernel.
    pub gradient_events: usize,
    /// Device memory, bytes.
    pub bytes: u64,
}

/// The trials that are on the device together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// First trial in the batch.
    pub(super) offset: usize,
    /// Trials of the chunk.
    pub(super) trials: usize,
    /// Trials of the batch.
    pub(super) batch: usize,
    /// Spikes and resets are imposed.
    pub(super) imposed: bool,
}

impl Chunk {
    /// Trial groups.
    pub(super) fn groups(&self) -> usize {
        self.trials.div_ceil(TRIAL_GROUP)
    }
}

/// Everything that is decided before the first dispatch and never changes: the network, where its
/// numbers lie, and how its batches go through the device.
#[derive(Clone, Debug)]
pub(super) struct GpuPlan {
    pub(super) params: Params,
    pub(super) layout: Layout,
    pub(super) wiring: Wiring,
    pub(super) rows: RowLengths,
    pub(super) memory: MemoryPlan,
    /// Trials of the largest batch.
    pub(super) batch_trials: usize,
}

impl GpuPlan {
    pub(super) fn new(
        params: Params,
        weights: &Weights,
        memory: MemoryPlan,
        batch_trials: usize,
    ) -> Result<Self, EngineError> {
        let layout = Layout::new(&params, weights)?;
        let wiring = Wiring::new(&params, &layout);
        Ok(Self {
            rows: RowLengths::new(&params, &layout, &wiring),
            params,
            layout,
            wiring,
            memory,
            batch_trials: batch_trials.max(1),
        })
    }

    /// Every buffer to allocate.
    pub(super) fn buffers(&self) -> Vec<BufferSpec> {
        buffers(
            &self.params,
            &self.layout,
            &self.wiring,
            self.memory.backward,
            self.batch_trials,
            self.memory.chunk_trials,
            self.memory.saving(),
        )
    }

    /// The backward pass is a dispatch a step.
    pub(super) fn is_per_step(&self) -> bool {
        is_per_step(self.memory.backward, &self.wiring)
    }
}

fn is_per_step(form: BackwardForm, wiring: &Wiring) -> bool {
    form.is_per_step() && is_recurrent(wiring)
}

/// How states are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Saving {
    segment_steps: usize,
    stretch_segments: usize,
}

impl Saving {
    /// Ways to save the states of so many steps, the fastest first. The largest segment is that of least memory; a
    /// shorter one may fit one binding.
    fn ways(steps: usize, rows: &RowLengths) -> Vec<Self> {
        let (steps_f, share) = (steps as f64, rows.state as f64 / rows.trace as f64);
        let rounded = |x: f64| (x.round() as usize).clamp(1, steps);
        // Least steps / s states and s records.
        let one_level = rounded((steps_f * share).sqrt());
        // Least 2 √(steps / s) states and s records.
        let two_levels = rounded((steps_f.sqrt() * share).powf(2.0 / 3.0));
        let segments = steps.div_ceil(two_levels) as f64;
        let two_levels = Self {
            segment_steps: two_levels,
            stretch_segments: rounded(segments.sqrt()),
        };
        let one_level = [1, 2, 4].map(|part| Self {
            segment_steps: (one_level / part).max(1),
            stretch_segments: 1,
        });
        one_level.into_iter().chain([two_levels]).collect()
    }

    /// States that are saved at once: those at both ends of every stretch, those within one, and one to replay in.
    fn states(self, steps: usize) -> usize {
        let segments = steps.div_ceil(self.segment_steps);
        segments.div_ceil(self.stretch_segments) + self.stretch_segments + 1
    }
}

impl MemoryPlan {
    fn saving(&self) -> Saving {
        Saving {
            segment_steps: self.segment_steps,
            stretch_segments: self.stretch_segments,
        }
    }

    /// Steps of one forward dispatch where so many events come in with the busiest trial of a batch: as many as take no
    /// longer than without.
    pub(super) fn forward_steps_with(&self, events: usize, params: &Params) -> usize {
        let events_per_step = events as f64 / params.steps as f64;
        let cells = (params.n_e() + params.n_i()) as f64;
        let load = 1.0 + EVENT_SHARE * events_per_step * params.n_e() as f64 / cells;
        ((self.forward_steps as f64 / load) as usize).max(1)
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at a time, segments of {}{}, {} MiB; {} backward pass, {} per workgroup",
            count(self.chunk_trials, "trial", "trials"),
            count(self.segment_steps, "time step", "time steps"),
            match self.stretch_segments {
                1 => String::new(),
                n => format!(" replayed twice in stretches of {n}"),
            },
            self.bytes.div_ceil(1 << 20),
            self.backward.name(),
            count(self.trials_per_workgroup, "trial", "trials")
        )
    }
}

impl MemoryPlan {
    /// The plan of a network with these weights for batches of up to `batch_trials` trials on an
    /// adapter, which need not be open.
    ///
    /// # Errors
    /// Weights that do not fit the network, or a network that does not fit the device.
    pub fn of(
        params: &Params,
        weights: &Weights,
        options: GpuOptions,
        batch_trials: usize,
        adapter: &AdapterInfo,
    ) -> Result<Self, EngineError> {
        let layout = Layout::new(params, weights)?;
        let wiring = Wiring::new(params, &layout);
        Self::new(
            params,
            &layout,
            &wiring,
            options.backward,
            batch_trials.max(1),
            options.memory.unwrap_or(DEFAULT_BUDGET_BYTES),
            &adapter.limits,
            adapter.max_loop_iterations().is_some(),
        )
    }

    /// The fastest plan for batches of `trials` within `budget` bytes and the device's limits.
    ///
    /// # Errors
    /// No plan fits: the message names the figures and the keys to lower.
    pub(super) fn new(
        params: &Params,
        layout: &Layout,
        wiring: &Wiring,
        backward: BackwardForm,
        trials: usize,
        budget: u64,
        limits: &AdapterLimits,
        ends_long_loops: bool,
    ) -> Result<Self, EngineError> {
        let rows = RowLengths::new(params, layout, wiring);
        let trials_per_workgroup = trials_per_workgroup(params, wiring, backward, trials, limits)?;
        let tiles = StepTiles::of(backward).workgroup_bytes();
        if is_per_step(backward, wiring) && tiles > limits.workgroup_memory_bytes as usize {
            return Err(EngineError::Memory(format!(
                "the {} backward pass needs {tiles} bytes of workgroup memory, this GPU has {}: use --backward \
                 persistent",
                backward.name(),
                limits.workgroup_memory_bytes,
            )));
        }
        let groups = trials.div_ceil(TRIAL_GROUP);
        let mut smallest: Option<Vec<BufferSpec>> = None;
        for chunks in 1..=groups {
            let chunk_trials = (groups.div_ceil(chunks) * TRIAL_GROUP).min(trials);
            if chunk_trials > limits.workgroups_per_dimension as usize {
                continue;
            }
            for saving in Saving::ways(params.steps, &rows) {
                let segment_steps = saving.segment_steps;
                let buffers = buffers(
                    params,
                    layout,
                    wiring,
                    backward,
                    trials,
                    chunk_trials,
                    saving,
                );
                let (total, largest) = (total_bytes(&buffers), largest_bytes(&buffers));
                if total > budget || largest > limits.storage_binding_bytes {
                    if smallest.as_ref().is_none_or(|s| total < total_bytes(s)) {
                        smallest = Some(buffers);
                    }
                    continue;
                }
                let cells = params.n_e() + params.n_i();
                let products = (chunk_trials * rows.transposed).max(1) as u64;
                let forward = MAX_CELL_STEPS / (chunk_trials * cells);
                let backward_most = (MAX_PRODUCTS / products) as usize;
                let most = match ends_long_loops {
                    true => software_most(cells),
                    false => [MAX_FORWARD_STEPS, usize::MAX, usize::MAX, usize::MAX],
                };
                return Ok(Self {
                    chunk_trials,
                    segment_steps,
                    stretch_segments: saving.stretch_segments,
                    backward,
                    trials_per_workgroup,
                    forward_steps: forward.min(most[0]).clamp(1, params.steps),
                    backward_steps: backward_most.min(most[1]).clamp(1, segment_steps),
                    gradient_steps: most[2].clamp(1, segment_steps),
                    gradient_events: most[3].min(u32::MAX as usize),
                    bytes: total,
                });
            }
        }
        Err(refusal(&smallest.unwrap_or_default(), budget, limits))
    }
}

/// Says what the smallest plan lacks.
fn refusal(smallest: &[BufferSpec], budget: u64, limits: &AdapterLimits) -> EngineError {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let keys = "lower network.duration_ms, network.n_e or training.batch_size";
    EngineError::Memory(if total_bytes(smallest) > budget {
        format!(
            "the smallest plan needs {:.2} MiB of device memory, {:.2} MiB are allowed: {keys}, or raise \
             --memory",
            mib(total_bytes(smallest)),
            mib(budget)
        )
    } else {
        format!(
            "the smallest plan needs a buffer of {:.1} MiB and this GPU's drivers allow {:.1} MiB: {keys}, \
             or use --device cpu",
            mib(largest_bytes(smallest)),
            mib(limits.storage_binding_bytes)
        )
    })
}

/// Every buffer of the engine, from which memory is planned and allocated. Those of events grow where there
/// are more: a generous share of the inputs is planned.
fn buffers(
    params: &Params,
    layout: &Layout,
    wiring: &Wiring,
    backward: BackwardForm,
    batch_trials: usize,
    chunk: usize,
    saving: Saving,
) -> Vec<BufferSpec> {
    let rows = RowLengths::new(params, layout, wiring);
    let segment = saving.segment_steps;
    let groups = chunk.div_ceil(TRIAL_GROUP);
    let cells = params.n_e() + params.n_i();
    let lambda = match backward.is_per_step() {
        false => 1,
        true => LambdaRows::new(params, wiring, backward, chunk).len(params, segment),
    };
    let events = batch_trials * params.steps / 4;
    let partials = 2 * layout.slots.len() * MAX_PARTIALS as usize;
    let (host, scratch) = (BufferSpec::new, BufferSpec::scratch);
    vec![
        host("stored", "stored weights", layout.len),
        scratch("effective", "effective weights", layout.len),
        scratch("transposed", "transposed weights", rows.transposed),
        host("m", "Adam m", layout.trained_len),
        host("v", "Adam v", layout.trained_len),
        scratch("gradient", "gradient", layout.trained_len),
        scratch(
            "groups",
            "gradients of the trial groups",
            groups * layout.trained_len,
        ),
        host("partials", "partial norms", partials),
        host("clip", "clip factor", clip_words(1).1.len()),
        scratch(
            "state",
            "saved states",
            chunk * rows.state * saving.states(params.steps),
        ),
        scratch("spikes", "spikes", chunk * params.steps * rows.spikes),
        scratch("trace", "recorded states", chunk * segment * rows.trace),
        scratch("adjoints", "adjoints", chunk * rows.adjoint),
        scratch("lambda", "adjoints of two steps", lambda),
        // Room for one; a batch with imposed spikes makes room for all that are listed.
        host("disagreements", "disagreements", disagreement_words(1)),
        scratch("counts", "spike counts", chunk * cells),
        scratch("totals", "spike totals", cells),
        host("labels", "labels", batch_trials),
        scratch(
            "by_logit",
            "gradient with respect to the logits",
            2 * batch_trials * params.n_out,
        ),
        scratch("logits", "logits", batch_trials * params.n_out),
        host("offsets", "event offsets", batch_trials + 1),
        host("events", "events", 2 * events),
        host("rows", "rows of input events", events),
        host("row_events", "input events by row", events),
    ]
}

fn total_bytes(buffers: &[BufferSpec]) -> u64 {
    buffers.iter().map(BufferSpec::bytes).sum()
}

fn largest_bytes(buffers: &[BufferSpec]) -> u64 {
    buffers.iter().map(BufferSpec::bytes).max().unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::conductance::plan::{Plan, Resources, Workload};
    use crate::conductance::settings::Config;
    use crate::conductance::weights::draw_initial;

    pub(in super::super) fn limits() -> AdapterLimits {
        AdapterLimits {
            storage_binding_bytes: 2 << 30,
            buffer_bytes: 4 << 30,
            uniform_binding_bytes: 65_536,
            storage_buffers_per_stage: 8,
            workgroup_memory_bytes: 49_152,
            invocations_per_workgroup: 1024,
            workgroups_per_dimension: 65_535,
            uniform_offset_alignment_bytes: 256,
        }
    }

    fn plan(budget: u64, limits: &AdapterLimits) -> Result<MemoryPlan, EngineError> {
        plan_of(&Config::default(), 256, budget, limits)
    }

    pub(in super::super) fn plan_of(
        config: &Config,
        trials: usize,
        budget: u64,
        limits: &AdapterLimits,
    ) -> Result<MemoryPlan, EngineError> {
        let params = Params::new(config, 784, 10);
        let weights = draw_initial(&params, &config.weights, 1);
        let layout = Layout::new(&params, &weights)?;
        let wiring = Wiring::new(&params, &layout);
        MemoryPlan::new(
            &params,
            &layout,
            &wiring,
            BackwardForm::Persistent,
            trials,
            budget,
            limits,
            false,
        )
    }

    #[test]
    fn the_full_network_fits_a_gibibyte_whole_and_a_quarter_of_it_in_chunks() {
        let whole = plan(DEFAULT_BUDGET_BYTES, &limits()).expect("fits");
        assert_eq!(whole.chunk_trials, 256);
        assert_eq!(whole.trials_per_workgroup, 8);
        let tight = plan(256 << 20, &limits()).expect("fits");
        assert_eq!(
            (tight.chunk_trials, tight.stretch_segments > 1),
            (128, true)
        );
        assert!(tight.bytes <= 256 << 20);
    }

    #[test]
    fn two_levels_grow_with_the_cube_root_of_the_steps_and_one_with_the_square_root() {
        let config = Config::default();
        let params = Params::new(&config, 784, 10);
        let weights = draw_initial(&params, &config.weights, 1);
        let layout = Layout::new(&params, &weights).expect("fits");
        let rows = RowLengths::new(&params, &layout, &Wiring::new(&params, &layout));
        let floats = |steps: usize, saving: Saving| {
            (saving.states(steps) * rows.state + saving.segment_steps * rows.trace) as f64
        };
        let growth = |way: usize| {
            let of = |steps| floats(steps, Saving::ways(steps, &rows)[way]);
            of(80_000) / of(10_000)
        };
        assert!((2.7..2.9).contains(&growth(0)), "{}", growth(0));
        assert!((1.9..2.1).contains(&growth(3)), "{}", growth(3));
        // Neither is far from the best that there is of its kind.
        let ways = Saving::ways(params.steps, &rows);
        for (way, stretches) in [(0, 1..2), (3, 2..40)] {
            let others = (1..200).flat_map(|segment_steps| {
                stretches.clone().map(move |stretch_segments| Saving {
                    segment_steps,
                    stretch_segments,
                })
            });
            let least = others.map(|other| floats(params.steps, other));
            let least = least.fold(f64::INFINITY, f64::min);
            let own = floats(params.steps, ways[way]);
            assert!(own <= 1.03 * least, "{own} {least}");
        }
    }

    /// What a run is said to take at least, beside the smallest budget that a plan is found for.
    #[test]
    fn the_least_memory_that_is_said_is_below_the_least_that_there_is_and_near_it() {
        for duration_ms in [20.0, 200.0, 2000.0] {
            let mut config = Config::default();
            config.network.duration_ms = duration_ms;
            let work = Workload {
                train_trials: 1600,
                validation_trials: 0,
                test_trials: 400,
                events_per_trial: 520.0,
                data_bytes: 0,
            };
            let resources = Resources {
                on_gpu: true,
                threads: 2,
                memory: None,
                available: None,
            };
            let params = Params::new(&config, 784, 10);
            let plan = Plan::new(&params, &config.weights, work, resources).expect("fits");
            let said = plan.device_bytes.expect("on a GPU");
            let (mut too_little, mut enough) = (0, 16 << 30);
            while enough - too_little > 1 << 20 {
                let between = (too_little + enough) / 2;
                match plan_of(&config, 256, between, &limits()) {
                    Ok(_) => enough = between,
                    Err(_) => too_little = between,
                }
            }
            assert!(
                said <= enough && enough <= 2 * said,
                "{duration_ms} ms: {said} {enough}"
            );
        }
    }

    #[test]
    fn ten_seconds_fit_two_gibibytes() {
        let mut config = Config::default();
        config.network.duration_ms = 10_000.0;
        let plan = plan_of(&config, 256, 2 << 30, &limits()).expect("fits");
        assert!(plan.bytes <= 2 << 30 && plan.chunk_trials >= 64, "{plan:?}");
    }

    #[test]
    fn no_dispatch_keeps_a_small_gpu_busy_for_long() {
        for (n_e, n_i) in [(1, 1), (1024, 256), (4096, 1024)] {
            let mut config = Config::default();
            (config.network.n_e, config.network.n_i) = (n_e, n_i);
            let plan = plan_of(&config, 256, 16 << 30, &limits()).expect("fits");
            let cell_steps = plan.chunk_trials * plan.forward_steps * (n_e + n_i);
            assert!(plan.forward_steps == 1 || cell_steps <= MAX_CELL_STEPS);
            let products = plan.chunk_trials * plan.backward_steps * 2 * n_e * n_i;
            assert!(plan.backward_steps == 1 || products as u64 <= MAX_PRODUCTS);
            assert!((1..=1000).contains(&plan.forward_steps) && plan.backward_steps > 0);
            if n_e == 1024 {
                assert_eq!(plan.backward_steps, plan.segment_steps, "whole segments");
            }
        }
    }

    #[test]
    fn many_events_make_a_dispatch_shorter() {
        let config = Config::default();
        let params = Params::new(&config, 784, 10);
        let plan = plan(DEFAULT_BUDGET_BYTES, &limits()).expect("fits");
        assert_eq!(plan.forward_steps_with(0, &params), plan.forward_steps);
        let usual = plan.forward_steps_with(520, &params);
        assert!(usual * 100 >= plan.forward_steps * 99, "{usual}");
        // Every input in every step: 784 rows of 1024 E cells, at a twenty-fifth of 1280 cells each.
        let dense = plan.forward_steps_with(784 * params.steps, &params);
        assert_eq!(dense, (plan.forward_steps as f64 / 26.088) as usize);
    }

    #[test]
    fn a_network_that_fills_the_workgroup_memory_to_the_last_byte_shares_less_of_it() {
        let mut config = Config::default();
        // 3072 rows of four trials are 48 KiB, without the vector that the kernel has besides.
        for (n_e, trials) in [(2805, 4), (2806, 1)] {
            config.network.n_e = n_e;
            let plan = plan_of(&config, 16, 16 << 30, &limits()).expect("fits");
            assert_eq!(plan.trials_per_workgroup, trials, "{n_e} E cells");
        }
    }

    #[test]
    fn fewer_trials_share_a_small_workgroup_memory() {
        for (kib, trials) in [(48, 8), (32, 4), (16, 1)] {
            let limits = AdapterLimits {
                workgroup_memory_bytes: kib << 10,
                ..limits()
            };
            let plan = plan(DEFAULT_BUDGET_BYTES, &limits).expect("fits");
            assert_eq!(plan.trials_per_workgroup, trials, "{kib} KiB");
        }
    }

    #[test]
    fn the_persistent_form_of_few_trials_takes_four() {
        let config = Config::default();
        let params = Params::new(&config, 784, 10);
        let weights = draw_initial(&params, &config.weights, 1);
        let layout = Layout::new(&params, &weights).expect("fits");
        let wiring = Wiring::new(&params, &layout);
        for (form, trials) in [
            (BackwardForm::Persistent, 8),
            (BackwardForm::Persistent4, 4),
        ] {
            let plan = MemoryPlan::new(
                &params,
                &layout,
                &wiring,
                form,
                256,
                DEFAULT_BUDGET_BYTES,
                &limits(),
                false,
            );
            assert_eq!(plan.expect("fits").trials_per_workgroup, trials, "{form:?}");
        }
    }

    #[test]
    fn tiles_that_a_small_workgroup_memory_cannot_hold_are_refused_by_name() {
        let limits = AdapterLimits {
            workgroup_memory_bytes: 16 << 10,
            ..limits()
        };
        for (form, fits) in BackwardForm::ALL
            .into_iter()
            .zip([true, true, true, false, false])
        {
            let mut config = Config::default();
            config.network.n_e = 64;
            let params = Params::new(&config, 784, 10);
            let weights = draw_initial(&params, &config.weights, 1);
            let layout = Layout::new(&params, &weights).expect("fits");
            let wiring = Wiring::new(&params, &layout);
            let plan = MemoryPlan::new(&params, &layout, &wiring, form, 8, 1 << 30, &limits, false);
            match plan {
                Ok(_) => assert!(fits, "{form:?}"),
                Err(error) => {
                    assert!(!fits && error.to_string().contains(form.name()), "{error}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_with_the_keys_to_lower() {
        let error = plan(16 << 20, &limits())
            .expect_err("too little memory")
            .to_string();
        assert!(error.contains("network.duration_ms"), "{error}");
        let bound = AdapterLimits {
            storage_binding_bytes: 1 << 20,
            ..limits()
        };
        let error = plan(DEFAULT_BUDGET_BYTES, &bound)
            .expect_err("too large buffers")
            .to_string();
        assert!(error.contains("1.0 MiB"), "{error}");
        let small = AdapterLimits {
            workgroup_memory_bytes: 4096,
            ..limits()
        };
        let error = plan(DEFAULT_BUDGET_BYTES, &small)
            .expect_err("too many cells")
            .to_string();
        assert!(error.contains("network.n_e"), "{error}");
    }
}
