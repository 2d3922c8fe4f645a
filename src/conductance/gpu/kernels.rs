//! The kernels of the family: their sources, and the constants that are put in front of them.

use rayon::prelude::*;

use super::backward::{Backward, LambdaRows, SLICES, SharedRows, looped};
use super::plan::{MemoryPlan, Rows, WORKGROUP};
use crate::conductance::batch::{Population, Raster};
use crate::conductance::params::{CellConstants, Params};
use crate::conductance::weights::{Layout, Wiring};
use crate::conductance::{LEAST_CONDUCTANCE_US, TRIAL_GROUP};
use crate::config::MatrixName;
use crate::gpu::{Constant, Gpu, GpuError, Kernel, resolve_imports, with_constants};

/// Columns of a workgroup of the spike-gradient kernel: few, for the read-out has a class a column.
pub(super) const WORKGROUP_COLUMNS: u32 = 64;

/// Threads of the per-step backward kernel: a tile of 64 × 32 or 32 × 16 sums, the latter in 4 slices.
const WORKGROUP_TILE: u32 = 128;

/// Workgroups of the norm kernel at the most.
pub(super) const MAX_PARTIALS: u32 = 256;

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
    "optim/update.wgsl",
    "optim/effective.wgsl",
);

/// Which kernel a dispatch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
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
    Update,
    Effective,
}

impl Which {
    pub(super) const ALL: [Self; 12] = [
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
            Self::Update => "optim/update.wgsl",
            Self::Effective => "optim/effective.wgsl",
        }
    }
}

/// Offsets of the parts of a trace row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TraceRow {
    pub(super) v_e: usize,
    pub(super) ge_e: usize,
    pub(super) gi_e: usize,
    pub(super) v_i: usize,
    pub(super) ge_i: usize,
    pub(super) gi_i: usize,
    pub(super) out: usize,
}

impl TraceRow {
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

/// Compiles the kernels that one network needs under its plan, each in its place of [`Which::ALL`].
pub(super) fn compile(
    gpu: &Gpu,
    params: &Params,
    layout: &Layout,
    wiring: &Wiring,
    plan: &MemoryPlan,
) -> Result<Vec<Option<Kernel>>, GpuError> {
    let per_step = plan.backward == Backward::PerStep && looped(wiring);
    let constants = constants(params, layout, wiring, plan);
    let compile = |which: Which| {
        let needed = match which {
            Which::Backward => !per_step,
            Which::BackwardReadout | Which::BackwardStep => per_step,
            _ => true,
        };
        if !needed {
            return Ok(None);
        }
        let source = resolve_imports(which.file(), SHADERS)?;
        Kernel::new(
            gpu,
            which.file(),
            &with_constants(&source, &constants)?,
            "main",
        )
        .map(Some)
    };
    // Drivers compile in the calling thread, so each kernel gets one; the API's error scopes belong to
    // threads, too.
    Which::ALL.into_par_iter().map(compile).collect()
}

fn constants(
    params: &Params,
    layout: &Layout,
    wiring: &Wiring,
    plan: &MemoryPlan,
) -> Vec<(&'static str, Constant)> {
    let c = params.constants::<f32>();
    let n = &params.network;
    let (e, i, out) = (params.n_e(), params.n_i(), params.n_out);
    let rows = Rows::new(params, layout, wiring);
    let trace = TraceRow::new(params, wiring);
    let words = Raster::silent(0, 1, [e, i, out]);
    let u = |x: usize| Constant::U32(x as u32);
    let f = Constant::F32;
    let b = Constant::Bool;
    let per = |cells: usize| u(cells.div_ceil(WORKGROUP as usize));
    let at = |name| u(layout.active(name).map_or(0, |s| s.offset));
    let transposed = |name| u(transposed_at(layout, name));
    let shared = SharedRows::new(params, wiring);
    let lambda = LambdaRows::new(params, wiring, plan.chunk_trials);
    let alone = plan.trials_per_workgroup == 1;
    let [quad_rows, single_rows] = if alone {
        [1, shared.rows]
    } else {
        [shared.rows * plan.trials_per_workgroup.div_ceil(4), 1]
    };
    let cell = |k: &CellConstants<f32>| [k.g_l_us, k.leak_na, k.dt_over_c, k.ref_steps];
    let [e_cell, i_cell] = [cell(&c.e), cell(&c.i)];
    vec![
        ("WG", Constant::U32(WORKGROUP)),
        ("WG_X", Constant::U32(WORKGROUP_COLUMNS)),
        ("MAX_PARTIALS", Constant::U32(MAX_PARTIALS)),
        ("TRIAL_GROUP", u(TRIAL_GROUP)),
        ("TRIALS", u(plan.trials_per_workgroup)),
        ("STEPS", u(params.steps)),
        ("N_E", u(e)),
        ("N_I", u(i)),
        ("N_OUT", u(out)),
        ("E_PER", per(e)),
        ("I_PER", per(i)),
        ("OUT_PER", per(out)),
        ("WORDS_E", u(words.words_of(Population::E).len())),
        ("WORDS_I", u(words.words_of(Population::I).len())),
        ("ROW_WORDS", u(words.row_words())),
        ("STATE_LEN", u(rows.state)),
        ("TRACE_LEN", u(rows.trace)),
        ("ADJOINT_LEN", u(rows.adjoint)),
        ("TRAINED_LEN", u(layout.trained_len)),
        ("TRACE_V_E", u(trace.v_e)),
        ("TRACE_GE_E", u(trace.ge_e)),
        ("TRACE_GI_E", u(trace.gi_e)),
        ("TRACE_V_I", u(trace.v_i)),
        ("TRACE_GE_I", u(trace.ge_i)),
        ("TRACE_GI_I", u(trace.gi_i)),
        ("TRACE_OUT", u(trace.out)),
        ("SLICES", u(SLICES)),
        ("I_LANES", u(i.div_ceil(4))),
        ("SHARED_ROWS", u(shared.rows)),
        ("QUAD_ROWS", u(quad_rows)),
        ("SINGLE_ROWS", u(single_rows)),
        ("WORK_ROW", u(shared.work)),
        ("GE_I_ROW", u(shared.ge_i)),
        ("GE_E_ROW", u(shared.ge_e)),
        ("GI_I_ROW", u(shared.gi_i)),
        ("OUT_ROW", u(shared.out)),
        ("WG_T", Constant::U32(WORKGROUP_TILE)),
        ("LAMBDA_QUADS", u(lambda.trials / 4)),
        ("LAMBDA_ROWS", u(lambda.rows)),
        ("LAMBDA_GE_I", u(lambda.ge_i)),
        ("LAMBDA_GI_E", u(lambda.gi_e)),
        ("LAMBDA_GE_E", u(lambda.ge_e)),
        ("LAMBDA_GI_I", u(lambda.gi_i)),
        ("LAMBDA_OUT_ROW", u(2 * lambda.rows)),
        ("LOOPED", b(looped(wiring))),
        ("INTO_I", b(wiring.ie || wiring.ii)),
        ("I_CELLS", b(wiring.i_cells)),
        ("HAS_EE", b(wiring.ee)),
        ("HAS_EI", b(wiring.ei)),
        ("HAS_IE", b(wiring.ie)),
        ("HAS_II", b(wiring.ii)),
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
        ("LOSS_AMPA", f(c.loss_ampa)),
        ("LOSS_GABA", f(c.loss_gaba)),
        ("OUT_DECAY", f(c.readout.decay)),
        ("OUT_GAIN", f(c.readout.gain)),
        ("OUT_SCALE", f(c.readout.scale)),
        ("OUT_THRESHOLD", f(n.readout_threshold as f32)),
        ("RESETS", b(c.readout.resets)),
        ("TAKES_MAX", b(c.readout.takes_max)),
        ("RATE_THETA_HZ", f(params.training.rate_theta_hz as f32)),
        ("RATE_STRENGTH", f(params.training.rate_strength as f32)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::gpu::plan::tests::{limits, plan_of};
    use crate::conductance::weights::draw_initial;
    use crate::config::Config;
    use crate::gpu::component_stores;

    #[test]
    fn no_kernel_writes_a_component_of_a_shared_vector() {
        let config = Config::default();
        let params = Params::new(&config, 784, 10);
        let weights = draw_initial(&params, &config.weights, 1);
        let layout = Layout::new(&params, &weights).expect("fits");
        let wiring = Wiring::new(&params, &layout);
        let plan = plan_of(&config, 256, 1 << 30, &limits()).expect("fits");
        let constants = constants(&params, &layout, &wiring, &plan);
        for which in Which::ALL {
            let source = resolve_imports(which.file(), SHADERS).expect("resolves");
            let source = with_constants(&source, &constants).expect("valid");
            assert_eq!(component_stores(&source), [""; 0], "{}", which.file());
        }
        let bad = "var<workgroup> rows: array<vec4<f32>, 4>;
            @compute @workgroup_size(16)
            fn main(@builtin(local_invocation_index) tid: u32) { rows[tid / 4u][tid % 4u] = 1.0; }";
        assert_eq!(component_stores(bad), ["main"]);
    }
}
