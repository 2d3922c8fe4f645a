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

// Sums that the CPU rounds once are written as fma, so that a driver has no choice either.

// Total conductance g, which is not 0 where it divides, and its steady state v∞ times g.
struct Currents {
    g: f32,
    drive: f32,
}

fn currents(k: Cell, ge: f32, gi: f32) -> Currents {
    return Currents(k.g_l_us + ge + gi, fma(ge, E_EXC_MV, fma(gi, E_INH_MV, k.leak_na)));
}

// At g = 0 the exponential update takes 0/0 although its limit is finite.
fn off_zero(g: f32) -> f32 {
    return select(g, LEAST_CONDUCTANCE_US, abs(g) < LEAST_CONDUCTANCE_US);
}

// 1 − exp(−dt g/C).
fn closed(k: Cell, g: f32) -> f32 {
    return -expm1(-(k.dt_over_c * g));
}

// Voltage after one step of forward Euler.
fn euler(k: Cell, v: f32, ge: f32, gi: f32) -> f32 {
    let current = ge * (E_EXC_MV - v) + gi * (E_INH_MV - v) - k.g_l_us * (v - E_L_MV);
    return fma(k.dt_over_c, current, v);
}

// Voltage after one step and before the floor.
fn advance(k: Cell, v: f32, ge: f32, gi: f32) -> f32 {
    if EXP_EULER {
        let c = currents(k, ge, gi);
        let g = off_zero(c.g);
        return fma(c.drive / g - v, closed(k, g), v);
    }
    return euler(k, v, ge, gi);
}

// The floor, which lets a NaN through.
fn at_floor(v: f32) -> f32 {
    return select(v, V_FLOOR_MV, v < V_FLOOR_MV);
}

// Derivative of a spike by the distance u from its threshold, with slope k: k / (1 + k|u|)².
fn surrogate(k: f32, u: f32) -> f32 {
    let distance = fma(k, abs(u), 1.0);
    return k / (distance * distance);
}

// Adjoints of the voltage before a step and of the step's two conductances.
struct CellAdjoint {
    v: f32,
    ge: f32,
    gi: f32,
}

// lambda_v: adjoint of the stored voltage (0 where the cell fired); lambda_s: of the spike.
fn adjoint(k: Cell, v_before: f32, ge: f32, gi: f32, lambda_s: f32, lambda_v: f32) -> CellAdjoint {
    let c = currents(k, ge, gi);
    let g = select(c.g, off_zero(c.g), EXP_EULER);
    // One division serves v∞ and the derivatives.
    let inverse_g = 1.0 / g;
    let v_inf = c.drive * inverse_g;
    var share_closed = 0.0;
    var v = 0.0;
    if EXP_EULER {
        share_closed = closed(k, g);
        v = fma(v_inf - v_before, share_closed, v_before);
    } else {
        v = euler(k, v_before, ge, gi);
    }
    let passes = !(v < V_FLOOR_MV) && v_before > 0.5 * REFRACTORY;
    let total = fma(surrogate(SURROGATE_SLOPE, at_floor(v) - V_TH_MV), lambda_s, lambda_v);
    let lambda = select(0.0, total, passes);
    let damped = lambda * INVERSE_DAMPEN;
    if EXP_EULER {
        let drift = (v_inf - v_before) * (1.0 - share_closed) * k.dt_over_c;
        let share = share_closed * inverse_g;
        return CellAdjoint(
            lambda - damped * share_closed,
            damped * fma(share, E_EXC_MV - v_inf, drift),
            damped * fma(share, E_INH_MV - v_inf, drift),
        );
    }
    let through = damped * k.dt_over_c;
    return CellAdjoint(
        lambda - through * g,
        through * (E_EXC_MV - v_before),
        through * (E_INH_MV - v_before),
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
        passed = 1.0 - OUT_THRESHOLD * surrogate(OUT_SLOPE, v_out - OUT_THRESHOLD);
    }
    return fma(OUT_DECAY * after, passed, seed);
}
