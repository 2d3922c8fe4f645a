//! Element-wise loops over one population of one trial. Plain slices, no branches that hinder
//! vectorisation; the callers run them under the processor's widest vector instructions.

use crate::conductance::params::CellConstants;
use crate::real::Real;

/// Recorded instead of the voltage of a cell that was refractory in a step: such a cell passes no
/// gradient, so its voltage is not needed. Far below any voltage floor a config may have.
const REFRACTORY: f64 = -1e30;

/// Multiplies every entry.
#[inline(always)]
pub(super) fn scale<R: Real>(x: &mut [R], factor: R) {
    for x in x {
        *x *= factor;
    }
}

/// `y += row`.
#[inline(always)]
pub(super) fn add<R: Real>(y: &mut [R], row: &[R]) {
    for (y, &w) in y.iter_mut().zip(row) {
        *y += w;
    }
}

/// `g ← β (g + kick)`, with `loss` = 1 − β: subtracting the small share that decays keeps many more
/// digits of β than multiplying by its rounded value.
#[inline(always)]
pub(super) fn kick_and_decay<R: Real>(g: &mut [R], kick: &[R], loss: R) {
    for (g, &w) in g.iter_mut().zip(kick) {
        let sum = *g + w;
        *g = sum - sum * loss;
    }
}

/// `g ← β g`, with `loss` = 1 − β.
#[inline(always)]
pub(super) fn decay<R: Real>(g: &mut [R], loss: R) {
    for g in g {
        *g -= *g * loss;
    }
}

/// `y += factor · row`.
#[inline(always)]
pub(super) fn add_scaled<R: Real>(y: &mut [R], factor: R, row: &[R]) {
    for (y, &w) in y.iter_mut().zip(row) {
        *y += factor * w;
    }
}

/// One membrane step: total conductance g, its steady state v∞ and 1 − exp(−dt g/C).
struct Relaxation<R> {
    g: R,
    v_inf: R,
    closed: R,
}

#[inline(always)]
fn relax<R: Real>(k: &CellConstants<R>, ge: R, gi: R) -> Relaxation<R> {
    let g = k.g_l_us + ge + gi;
    let v_inf = (k.leak_na + ge * k.e_exc_mv + gi * k.e_inh_mv) / g;
    let closed = -(-(k.dt_over_c * g)).expm1();
    Relaxation { g, v_inf, closed }
}

/// Voltage after one step and before the floor.
#[inline(always)]
fn advance<R: Real>(k: &CellConstants<R>, exp_euler: bool, v: R, ge: R, gi: R) -> R {
    if exp_euler {
        let r = relax(k, ge, gi);
        v + (r.v_inf - v) * r.closed
    } else {
        v + k.dt_over_c
            * (-(k.g_l_us * (v - k.e_l_mv)) + ge * (k.e_exc_mv - v) + gi * (k.e_inh_mv - v))
    }
}

/// Integrates the membranes in place and marks in `fires` the cells at or above threshold that are
/// not refractory; `refractory` counts the steps left and is lowered by one. `gi` may be empty
/// (population without inhibition).
#[inline(always)]
pub(super) fn integrate<R: Real>(
    k: &CellConstants<R>,
    v: &mut [R],
    ge: &[R],
    gi: &[R],
    refractory: &mut [u32],
    fires: &mut [u8],
) {
    let n = v.len();
    let (ge, refractory, fires) = (&ge[..n], &mut refractory[..n], &mut fires[..n]);
    let mut one = |c: usize, gi: R, exp_euler: bool| {
        v[c] = advance(k, exp_euler, v[c], ge[c], gi).at_least(k.v_floor_mv);
        refractory[c] = refractory[c].saturating_sub(1);
        fires[c] = u8::from((v[c] >= k.v_th_mv) & (refractory[c] == 0));
    };
    match (gi.is_empty(), k.exp_euler) {
        (true, true) => (0..n).for_each(|c| one(c, R::ZERO, true)),
        (true, false) => (0..n).for_each(|c| one(c, R::ZERO, false)),
        (false, true) => gi[..n]
            .iter()
            .enumerate()
            .for_each(|(c, &gi)| one(c, gi, true)),
        (false, false) => gi[..n]
            .iter()
            .enumerate()
            .for_each(|(c, &gi)| one(c, gi, false)),
    }
}

/// Resets the cells that fire and holds those that are refractory.
#[inline(always)]
pub(super) fn settle<R: Real>(
    k: &CellConstants<R>,
    v: &mut [R],
    refractory: &mut [u32],
    fires: &[u8],
) {
    for ((v, refractory), &fires) in v.iter_mut().zip(refractory).zip(fires) {
        let fires = fires != 0;
        *v = if fires | (*refractory != 0) {
            k.v_reset_mv
        } else {
            *v
        };
        *refractory = if fires { k.ref_steps } else { *refractory };
    }
}

/// Copies the voltages before a step for the backward pass, marking cells that will be refractory
/// in it.
#[inline(always)]
pub(super) fn record_voltage<R: Real>(trace: &mut [R], v: &[R], refractory: &[u32]) {
    let mark = R::from_f64(REFRACTORY);
    for ((trace, &v), &refractory) in trace.iter_mut().zip(v).zip(refractory) {
        *trace = if refractory > 1 { mark } else { v };
    }
}

/// Recorded state and adjoints of one population of one trial at one step.
pub(super) struct Adjoint<'a, R> {
    /// Voltage before the step, as [`record_voltage`] wrote it.
    pub v_before: &'a [R],
    /// Excitatory conductance of the step, µS.
    pub ge: &'a [R],
    /// Inhibitory conductance of the step, µS; may be empty.
    pub gi: &'a [R],
    /// Adjoint of the spike.
    pub lambda_s: &'a [R],
    /// Adjoint of the stored voltage: of this step's (0 where the cell fired) on entry, of the step
    /// before on return.
    pub lambda_v: &'a mut [R],
    /// Λ of the excitatory conductance: of the step after on entry, of this step on return.
    pub lambda_ge: &'a mut [R],
    /// Λ of the inhibitory conductance, likewise; empty where `gi` is.
    pub lambda_gi: &'a mut [R],
}

/// One step of the adjoint equations (`spec` of the family, section 4): the surrogate derivative of
/// the spike, the damped derivative of the voltage change, and Λ(t) = λ_g(t) + β Λ(t + 1).
#[inline(always)]
pub(super) fn adjoint<R: Real>(
    k: &CellConstants<R>,
    beta_ampa: R,
    beta_gaba: R,
    a: Adjoint<'_, R>,
) {
    if k.exp_euler {
        adjoint_with::<R, true>(k, beta_ampa, beta_gaba, a);
    } else {
        adjoint_with::<R, false>(k, beta_ampa, beta_gaba, a);
    }
}

#[inline(always)]
fn adjoint_with<R: Real, const EXP_EULER: bool>(
    k: &CellConstants<R>,
    beta_ampa: R,
    beta_gaba: R,
    a: Adjoint<'_, R>,
) {
    let n = a.v_before.len();
    let Adjoint {
        v_before,
        ge,
        gi,
        lambda_s,
        lambda_v,
        lambda_ge,
        lambda_gi,
    } = a;
    let (ge, lambda_s) = (&ge[..n], &lambda_s[..n]);
    let (lambda_v, lambda_ge) = (&mut lambda_v[..n], &mut lambda_ge[..n]);
    let mut excited = |c: usize, gi: R| {
        let (v, e, i) = cell::<R, EXP_EULER>(k, v_before[c], ge[c], gi, lambda_s[c], lambda_v[c]);
        lambda_v[c] = v;
        lambda_ge[c] = e + beta_ampa * lambda_ge[c];
        i
    };
    if gi.is_empty() {
        for c in 0..n {
            excited(c, R::ZERO);
        }
    } else {
        let (gi, lambda_gi) = (&gi[..n], &mut lambda_gi[..n]);
        for c in 0..n {
            lambda_gi[c] = excited(c, gi[c]) + beta_gaba * lambda_gi[c];
        }
    }
}

/// Adjoints of the voltage before the step and of the two conductances.
#[inline(always)]
fn cell<R: Real, const EXP_EULER: bool>(
    k: &CellConstants<R>,
    v_before: R,
    ge: R,
    gi: R,
    lambda_s: R,
    lambda_v: R,
) -> (R, R, R) {
    let damp = k.inverse_dampen;
    let r = relax(k, ge, gi);
    let v = advance(k, EXP_EULER, v_before, ge, gi);
    // The floor passes gradient where it is only touched, as the clamp of an autograd library does.
    let passes = !(v < k.v_floor_mv) & (v_before > R::from_f64(0.5 * REFRACTORY));
    let u = v.at_least(k.v_floor_mv) - k.v_th_mv;
    let distance = R::ONE + k.surrogate_slope * u.abs();
    let surrogate = k.surrogate_slope / (distance * distance);
    let lambda = lambda_v + surrogate * lambda_s;
    let lambda = if passes { lambda } else { R::ZERO };
    let damped = lambda * damp;
    if EXP_EULER {
        let open = R::ONE - r.closed;
        let drift = (r.v_inf - v_before) * open * k.dt_over_c;
        let share = r.closed / r.g;
        (
            lambda - damped * r.closed,
            damped * (share * (k.e_exc_mv - r.v_inf) + drift),
            damped * (share * (k.e_inh_mv - r.v_inf) + drift),
        )
    } else {
        (
            lambda - damped * k.dt_over_c * r.g,
            damped * k.dt_over_c * (k.e_exc_mv - v_before),
            damped * k.dt_over_c * (k.e_inh_mv - v_before),
        )
    }
}
