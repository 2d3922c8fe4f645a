//! The kernels of the family: their sources, and the constants that are put in front of them.

use super::backward::{LambdaRows, SharedRows, is_recurrent};
use super::flags;
use super::plan::GpuPlan;
use super::tiles::{SLICES, StepTiles, WORKGROUP, WORKGROUP_COLUMNS};
use crate::conductance::batch::{Population, SpikeBits};
use crate::conductance::params::{CellConstants, Params};
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Wiring};
use crate::conductance::{LEAST_CONDUCTANCE_US, TRIAL_GROUP};
use crate::gpu::{Constant, GpuError, KernelSource, resolve_imports, with_constants};
use crate::optim;

macro_rules! shaders {
    ($($file:literal),* $(,)?) => {
        /// Every shader of the family by its path below `shaders/`.
        pub(crate) const SHADERS: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../shaders/", $file)))),*];
    };
}

shaders!(
    "common/expm1.wgsl",
    "common/exp.wgsl",
    "conductance/cell.wgsl",
    "conductance/spike_set.wgsl",
    "conductance/step_cell.wgsl",
    "conductance/backward_cell.wgsl",
    "conductance/forward.wgsl",
    "conductance/backward.wgsl",
    "conductance/backward_readout.wgsl",
    "conductance/backward_step.wgsl",
    "conductance/loss.wgsl",
    "conductance/spike_totals.wgsl",
    "conductance/gradient_inputs.wgsl",
    "conductance/gradient_spikes.wgsl",
    "optim/sum_groups.wgsl",
    "optim/norms.wgsl",
    "optim/clip.wgsl",
    "optim/update.wgsl",
    "optim/effective.wgsl",
);

/// The kernels of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelId {
    Forward,
    Loss,
    SpikeTotals,
    Backward,
    BackwardReadout,
    BackwardStep,
    GradientInputs,
    GradientSpikes,
    SumGroups,
    Norms,
    Clip,
    Update,
    Effective,
}

impl KernelId {
    pub(super) const ALL: [Self; 13] = [
        Self::Forward,
        Self::Loss,
        Self::SpikeTotals,
        Self::Backward,
        Self::BackwardReadout,
        Self::BackwardStep,
        Self::GradientInputs,
        Self::GradientSpikes,
        Self::SumGroups,
        Self::Norms,
        Self::Clip,
        Self::Update,
        Self::Effective,
    ];

    /// Path of its source below `shaders/`.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Forward => "conductance/forward.wgsl",
            Self::Loss => "conductance/loss.wgsl",
            Self::SpikeTotals => "conductance/spike_totals.wgsl",
            Self::Backward => "conductance/backward.wgsl",
            Self::BackwardReadout => "conductance/backward_readout.wgsl",
            Self::BackwardStep => "conductance/backward_step.wgsl",
            Self::GradientInputs => "conductance/gradient_inputs.wgsl",
            Self::GradientSpikes => "conductance/gradient_spikes.wgsl",
            Self::SumGroups => "optim/sum_groups.wgsl",
            Self::Norms => "optim/norms.wgsl",
            Self::Clip => "optim/clip.wgsl",
            Self::Update => "optim/update.wgsl",
            Self::Effective => "optim/effective.wgsl",
        }
    }
}

/// Offsets of the parts of a trace row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TraceOffsets {
    pub(super) v_e: usize,
    pub(super) ge_e: usize,
    pub(super) gi_e: usize,
    pub(super) v_i: usize,
    pub(super) ge_i: usize,
    pub(super) gi_i: usize,
    pub(super) out: usize,
}

impl TraceOffsets {
    pub(super) fn new(params: &Params, wiring: &Wiring) -> Self {
        let (e, i) = (params.n_e(), params.n_i());
        let v_i = 2 * e + if wiring.ie { e } else { 0 };
        let gi_i = v_i + if wiring.i_cells { 2 * i } else { 0 };
        let out = gi_i + if wiring.ii { i } else { 0 };
        Self {
            v_e: 0,
            ge_e: e,
            gi_e: 2 * e,
            v_i,
            ge_i: v_i + i,
            gi_i,
            out,
        }
    }
}

/// Offset of each transposed matrix.
pub(super) fn transposed_at(layout: &Layout, name: MatrixName) -> usize {
    let before = layout.slots.iter().take_while(|s| s.name != name);
    before
        .filter(|s| s.name != MatrixName::WIn)
        .map(|s| s.len())
        .sum()
}

/// The kernels that one network needs under its plan, each in its place of [`KernelId::ALL`].
///
/// # Errors
/// A source whose imports or constants do not fit.
pub(super) fn sources(plan: &GpuPlan) -> Result<Vec<Option<KernelSource>>, GpuError> {
    let constants = constants(plan);
    let source = |kernel: KernelId| {
        let is_needed = match kernel {
            KernelId::Backward => !plan.is_per_step(),
            KernelId::BackwardReadout | KernelId::BackwardStep => plan.is_per_step(),
            _ => true,
        };
        let source = is_needed.then(|| {
            let source = resolve_imports(kernel.file(), SHADERS)?;
            Ok(KernelSource {
                name: kernel.file(),
                text: with_constants(&source, &constants)?,
            })
        });
        source.transpose()
    };
    KernelId::ALL.into_iter().map(source).collect()
}

/// A constant by its name in the shaders.
type Named = (&'static str, Constant);

fn word(x: usize) -> Constant {
    Constant::U32(x as u32)
}

/// Every number that host and shaders share.
fn constants(plan: &GpuPlan) -> Vec<Named> {
    let of_flags = flags::forward::ALL.iter();
    let mut all: Vec<Named> = of_flags
        .map(|&(name, bit)| (name, Constant::U32(bit)))
        .collect();
    all.extend(optim::gpu::constants());
    all.extend(sizes(plan));
    all.extend(places(plan));
    all.extend(backward_rows(plan));
    all.extend(physics(&plan.params));
    all
}

/// Workgroups, cells, and what there is.
fn sizes(plan: &GpuPlan) -> Vec<Named> {
    let GpuPlan { params, wiring, .. } = plan;
    let (e, i, out) = (params.n_e(), params.n_i(), params.n_out);
    let words = SpikeBits::silent(0, 1, [e, i, out]);
    let per = |cells: usize| word(cells.div_ceil(WORKGROUP as usize));
    let b = Constant::Bool;
    let tiles = StepTiles::of(plan.memory.backward);
    vec![
        ("WG", Constant::U32(WORKGROUP)),
        ("WG_X", Constant::U32(WORKGROUP_COLUMNS)),
        ("WG_T", word(tiles.threads)),
        ("CELL_QUADS", word(tiles.quads[0])),
        ("TRIAL_QUADS", word(tiles.quads[1])),
        ("TRIAL_GROUP", word(TRIAL_GROUP)),
        ("TRIALS", word(plan.memory.trials_per_workgroup)),
        ("E_TILE_CELLS", word(tiles.e[0])),
        ("E_TILE_TRIALS", word(tiles.e[1])),
        ("I_TILE_CELLS", word(tiles.i[0])),
        ("I_TILE_TRIALS", word(tiles.i[1])),
        ("STEPS", word(params.steps)),
        ("N_E", word(e)),
        ("N_I", word(i)),
        ("N_OUT", word(out)),
        ("E_PER", per(e)),
        ("I_PER", per(i)),
        ("OUT_PER", per(out)),
        ("WORDS_E", word(words.words_of(Population::E).len())),
        ("WORDS_I", word(words.words_of(Population::I).len())),
        ("ROW_WORDS", word(words.row_words())),
        ("RECURRENT", b(is_recurrent(wiring))),
        ("INTO_I", b(wiring.ie || wiring.ii)),
        ("I_CELLS", b(wiring.i_cells)),
        ("HAS_EE", b(wiring.ee)),
        ("HAS_EI", b(wiring.ei)),
        ("HAS_IE", b(wiring.ie)),
        ("HAS_II", b(wiring.ii)),
    ]
}

/// Where the parts of states, traces, adjoints and weights are.
fn places(plan: &GpuPlan) -> Vec<Named> {
    let GpuPlan { layout, rows, .. } = plan;
    let trace = TraceOffsets::new(&plan.params, &plan.wiring);
    let at = |name| word(layout.active(name).map_or(0, |s| s.offset));
    let transposed = |name| word(transposed_at(layout, name));
    vec![
        ("STATE_LEN", word(rows.state)),
        ("STATE_I_AT", word(rows.state_at[0])),
        ("STATE_OUT_AT", word(rows.state_at[1])),
        ("TRACE_LEN", word(rows.trace)),
        ("TRACE_V_E", word(trace.v_e)),
        ("TRACE_GE_E", word(trace.ge_e)),
        ("TRACE_GI_E", word(trace.gi_e)),
        ("TRACE_V_I", word(trace.v_i)),
        ("TRACE_GE_I", word(trace.ge_i)),
        ("TRACE_GI_I", word(trace.gi_i)),
        ("TRACE_OUT", word(trace.out)),
        ("ADJOINT_LEN", word(rows.adjoint)),
        ("ADJOINT_I_AT", word(rows.adjoint_at[0])),
        ("ADJOINT_OUT_AT", word(rows.adjoint_at[1])),
        ("TRAINED_LEN", word(layout.trained_len)),
        ("IN_AT", at(MatrixName::WIn)),
        ("OUT_AT", at(MatrixName::WOut)),
        ("EE_AT", at(MatrixName::WEe)),
        ("EI_AT", at(MatrixName::WEi)),
        ("IE_AT", at(MatrixName::WIe)),
        ("II_AT", at(MatrixName::WIi)),
        ("OUT_T_AT", transposed(MatrixName::WOut)),
        ("EE_T_AT", transposed(MatrixName::WEe)),
        ("EI_T_AT", transposed(MatrixName::WEi)),
        ("IE_T_AT", transposed(MatrixName::WIe)),
        ("II_T_AT", transposed(MatrixName::WIi)),
    ]
}

/// Rows of the two forms of the backward pass.
fn backward_rows(plan: &GpuPlan) -> Vec<Named> {
    let GpuPlan {
        params,
        wiring,
        memory,
        ..
    } = plan;
    let shared = SharedRows::new(params, wiring);
    let lambda = LambdaRows::new(params, wiring, memory.backward, memory.chunk_trials);
    let [quad_rows, single_rows] = match memory.trials_per_workgroup {
        1 => [1, shared.rows],
        trials => [shared.rows * trials.div_ceil(4), 1],
    };
    vec![
        ("SLICES", word(SLICES)),
        ("I_LANES", word(params.n_i().div_ceil(4))),
        ("SHARED_ROWS", word(shared.rows)),
        ("QUAD_ROWS", word(quad_rows)),
        ("SINGLE_ROWS", word(single_rows)),
        ("WORK_ROW", word(shared.work)),
        ("GE_I_ROW", word(shared.ge_i)),
        ("GE_E_ROW", word(shared.ge_e)),
        ("GI_I_ROW", word(shared.gi_i)),
        ("OUT_ROW", word(shared.out)),
        ("LAMBDA_QUADS", word(lambda.trials / 4)),
        ("LAMBDA_ROWS", word(lambda.rows)),
        ("LAMBDA_GE_I", word(lambda.ge_i)),
        ("LAMBDA_GI_E", word(lambda.gi_e)),
        ("LAMBDA_GE_E", word(lambda.ge_e)),
        ("LAMBDA_GI_I", word(lambda.gi_i)),
        ("LAMBDA_OUT_ROW", word(2 * lambda.rows)),
    ]
}

/// Constants of cells, synapses and read-out.
fn physics(params: &Params) -> Vec<Named> {
    let c = params.constants::<f32>();
    let f = Constant::F32;
    let b = Constant::Bool;
    let cell = |k: &CellConstants<f32>| [k.g_l_us, k.leak_na, k.dt_over_c, k.ref_steps];
    let [e_cell, i_cell] = [cell(&c.e), cell(&c.i)];
    vec![
        ("E_G_L_US", f(e_cell[0])),
        ("E_LEAK_NA", f(e_cell[1])),
        ("E_DT_OVER_C", f(e_cell[2])),
        ("E_REF_STEPS", f(e_cell[3])),
        ("I_G_L_US", f(i_cell[0])),
        ("I_LEAK_NA", f(i_cell[1])),
        ("I_DT_OVER_C", f(i_cell[2])),
        ("I_REF_STEPS", f(i_cell[3])),
        ("E_L_MV", f(c.e.e_l_mv)),
        ("E_EXC_MV", f(c.e.e_exc_mv)),
        ("E_INH_MV", f(c.e.e_inh_mv)),
        ("V_TH_MV", f(c.e.v_th_mv)),
        ("V_RESET_MV", f(c.e.v_reset_mv)),
        ("V_FLOOR_MV", f(c.e.v_floor_mv)),
        ("LEAST_CONDUCTANCE_US", f(LEAST_CONDUCTANCE_US as f32)),
        ("SURROGATE_SLOPE", f(c.e.surrogate_slope)),
        ("INVERSE_DAMPEN", f(c.e.inverse_dampen)),
        ("EXP_EULER", b(c.e.exp_euler)),
        ("BETA_AMPA", f(c.beta_ampa)),
        ("BETA_GABA", f(c.beta_gaba)),
        ("KICK_AMPA", f(c.kick_ampa)),
        ("KICK_GABA", f(c.kick_gaba)),
        ("DECAY_FRACTION_AMPA", f(c.decay_fraction_ampa)),
        ("DECAY_FRACTION_GABA", f(c.decay_fraction_gaba)),
        ("OUT_DECAY", f(c.readout.decay)),
        ("OUT_GAIN", f(c.readout.gain)),
        ("OUT_SCALE", f(c.readout.scale)),
        ("OUT_SLOPE", f(c.readout.surrogate_slope)),
        ("OUT_THRESHOLD", f(params.network.readout_threshold as f32)),
        ("RESETS", b(c.readout.resets)),
        ("TAKES_MAX", b(c.readout.takes_max)),
        ("RATE_THETA_HZ", f(params.training.rate_theta_hz as f32)),
        ("RATE_STRENGTH", f(params.training.rate_strength as f32)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::gpu::plan::MemoryPlan;
    use crate::conductance::gpu::plan::tests::{limits, plan_of};
    use crate::conductance::settings::Config;
    use crate::conductance::weights::draw_initial;
    use crate::device::BackwardForm;
    use crate::gpu::translate::translate;
    use crate::gpu::{component_stores, workgroup_size};

    fn plan(backward: BackwardForm) -> GpuPlan {
        let config = Config::default();
        let params = Params::new(&config, 784, 10);
        let weights = draw_initial(&params, &config.weights, 1);
        let memory = plan_of(&config, 256, 1 << 30, &limits()).expect("fits");
        let memory = MemoryPlan { backward, ..memory };
        GpuPlan::new(params, &weights, memory, 256).expect("fits")
    }

    /// Every kernel that some form of the backward pass needs, and how many threads it has.
    fn texts() -> Vec<(KernelId, u32, String)> {
        let mut texts = Vec::new();
        for form in BackwardForm::ALL {
            for (kernel, source) in KernelId::ALL.iter().zip(sources(&plan(form)).unwrap()) {
                let threads = match kernel {
                    KernelId::BackwardStep => StepTiles::of(form).threads as u32,
                    _ => WORKGROUP,
                };
                if let Some(source) = source {
                    texts.push((*kernel, threads, source.text));
                }
            }
        }
        texts.sort_by_key(|(kernel, ..)| *kernel as usize);
        texts.dedup();
        texts
    }

    #[test]
    fn no_kernel_writes_a_component_of_a_shared_vector() {
        for (kernel, _, source) in texts() {
            assert_eq!(component_stores(&source), [""; 0], "{}", kernel.file());
        }
        let bad = "var<workgroup> rows: array<vec4<f32>, 4>;
            @compute @workgroup_size(16)
            fn main(@builtin(local_invocation_index) tid: u32) { rows[tid / 4u][tid % 4u] = 1.0; }";
        assert_eq!(component_stores(bad), ["main"]);
    }

    #[test]
    fn workgroups_are_as_large_as_the_host_reckons() {
        for (kernel, threads, source) in texts() {
            let size = workgroup_size(&source);
            assert_eq!(size, [threads, 1, 1], "{}", kernel.file());
        }
    }

    #[test]
    fn every_kernel_translates_for_every_graphics_api() {
        for (kernel, _, source) in texts() {
            translate(kernel.file(), &source);
        }
    }

    /// What host and shaders share is said by the host alone, and all of it is used.
    #[test]
    fn every_shared_number_is_used_and_none_is_declared_twice() {
        let text: String = SHADERS.iter().map(|(_, text)| *text).collect();
        let words: std::collections::HashSet<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        for (name, _) in constants(&plan(BackwardForm::default())) {
            assert!(words.contains(name), "{name} is used nowhere");
            assert!(!text.contains(&format!("const {name}:")), "{name}");
            assert!(!text.contains(&format!("const {name} =")), "{name}");
        }
    }
}
