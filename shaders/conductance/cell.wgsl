// The membrane equation and its adjoint, for one cell, and the adjoint of a read-out. Units ms, mV, nF, µS, nA.
// Twin: src/conductance/cpu/cells.rs.
#import "common/expm1.wgsl"

// Recorded instead of the voltage of a cell that is refractory in a step: it passes no gradient.
const REFRACTORY: f32 = -1e30;

// Constants of one population.
struct Cell {
    g_l_us: f32,
    leak_na: f32,
    dt_over_c: f32,
    ref_steps: f32,
}

const E_CELL = Cell(E_G_L_US, E_LEAK_NA, E_DT_OVER_C, E_REF_STEPS);
const I_CELL = Cell(I_G_L_US, I_LEAK_NA, I_DT_OVER_C, I_REF_STEPS);

// Total conductance g, its steady state v∞, and 1 − exp(−dt g/C).
struct Relaxation {
    g: f32,
    v_inf: f32,
    closed: f32,
}

// At g = 0 the update takes 0/0 although its limit is finite.
fn relax(k: Cell, ge: f32, gi: f32) -> Relaxation {
    let sum = k.g_l_us + ge + gi;
    let g = select(sum, LEAST_CONDUCTANCE_US, abs(sum) < LEAST_CONDUCTANCE_US);
    let v_inf = (k.leak_na + ge * E_EXC_MV + gi * E_INH_MV) / g;
    return Relaxation(g, v_inf, -expm1(-(k.dt_over_c * g)));
}

// Voltage after one step and before the floor.
fn advance(k: Cell, v: f32, ge: f32, gi: f32) -> f32 {
    if EXP_EULER {
        let r = relax(k, ge, gi);
        return v + (r.v_inf - v) * r.closed;
    }
    return v + k.dt_over_c * (-(k.g_l_us * (v - E_L_MV)) + ge * (E_EXC_MV - v) + gi * (E_INH_MV - v));
}

// The floor, which lets a NaN through.
fn at_floor(v: f32) -> f32 {
    return select(v, V_FLOOR_MV, v < V_FLOOR_MV);
}

// Derivative of a spike by the distance u from its threshold: k / (1 + k|u|)².
fn surrogate(u: f32) -> f32 {
    let distance = 1.0 + SURROGATE_SLOPE * abs(u);
    return SURROGATE_SLOPE / (distance * distance);
}

// Adjoints of the voltage before a step and of the step's two conductances.
struct CellAdjoint {
    v: f32,
    ge: f32,
    gi: f32,
}

// lambda_v: adjoint of the stored voltage (0 where the cell fired); lambda_s: of the spike.
fn adjoint(k: Cell, v_before: f32, ge: f32, gi: f32, lambda_s: f32, lambda_v: f32) -> CellAdjoint {
    let v = advance(k, v_before, ge, gi);
    let passes = !(v < V_FLOOR_MV) && v_before > 0.5 * REFRACTORY;
    let total = lambda_v + surrogate(at_floor(v) - V_TH_MV) * lambda_s;
    let lambda = select(0.0, total, passes);
    let damped = lambda * INVERSE_DAMPEN;
    if EXP_EULER {
        let r = relax(k, ge, gi);
        let drift = (r.v_inf - v_before) * (1.0 - r.closed) * k.dt_over_c;
        let share = r.closed / r.g;
        return CellAdjoint(
            lambda - damped * r.closed,
            damped * (share * (E_EXC_MV - r.v_inf) + drift),
            damped * (share * (E_INH_MV - r.v_inf) + drift),
        );
    }
    let g = k.g_l_us + ge + gi;
    return CellAdjoint(
        lambda - damped * k.dt_over_c * g,
        damped * k.dt_over_c * (E_EXC_MV - v_before),
        damped * k.dt_over_c * (E_INH_MV - v_before),
    );
}

// λ_out(t) = seed + decay · λ_out(t + 1) · (1 − θ σ'), of the read-out before its reset.
fn readout_adjoint(by_logit: f32, peak_step: f32, t: u32, v_out: f32, after: f32) -> f32 {
    var seed = by_logit * OUT_SCALE;
    if TAKES_MAX {
        seed = select(0.0, by_logit, peak_step == f32(t));
    }
    var passed = 1.0;
    if RESETS {
        passed = 1.0 - OUT_THRESHOLD * surrogate(v_out - OUT_THRESHOLD);
    }
    return fma(OUT_DECAY * after, passed, seed);
}
