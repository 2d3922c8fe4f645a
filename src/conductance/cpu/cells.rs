//! Element-wise loops over one population, compiled for the widest vector instructions of the
//! processor that runs them. Every array is an argument of its own and constants come by value:
//! only then does the compiler know that nothing overlaps, and vectorises.

use crate::conductance::params::CellConstants;
use crate::real::Real;

/// Recorded instead of the voltage of a cell that was refractory in a step: such a cell passes no
/// gradient, so its voltage is not needed. Far below any voltage floor a config may have.
const REFRACTORY: f64 = -1e30;

/// Makes a function over slices that picks the instructions at run time.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        pub(super) fn $name<R: Real>(arch: pulp::Arch, $($arg: $type),*) {
            #[inline(always)]
            fn inner<R: Real>($($arg: $type),*) $body
            // Moving the arguments out makes the closure callable once only: any other kind is called
            // through a shim that is not inlined, and so not compiled for the vector instructions.
            let arguments = ($($arg,)*);
            arch.dispatch(
                #[inline(always)]
                move || {
                    let ($($arg,)*) = arguments;
                    inner($($arg),*)
                },
            );
        }
    };
}

vectorised! {
    /// `y += row`.
    fn add(y: &mut [R], row: &[R]) {
        for (y, &w) in y.iter_mut().zip(row) {
            *y += w;
        }
    }
}

vectorised! {
    /// `y += factor · row`.
    fn add_scaled(y: &mut [R], factor: R, row: &[R]) {
        for (y, &w) in y.iter_mut().zip(row) {
            *y += factor * w;
        }
    }
}

vectorised! {
    /// `g ← β g`, with `loss` = 1 − β: subtracting the small share that decays keeps many more digits
    /// of β than multiplying by its rounded value.
    fn decay(g: &mut [R], loss: R) {
        for g in g {
            *g -= *g * loss;
        }
    }
}

vectorised! {
    /// `g ← β (g + kick)`, with `loss` = 1 − β.
    fn kick_and_decay(g: &mut [R], kick: &[R], loss: R) {
        for (g, &w) in g.iter_mut().zip(kick) {
            let sum = *g + w;
            *g = sum - sum * loss;
        }
    }
}

vectorised! {
    /// Integrates the membranes in place and marks in `fires` the cells at or above threshold that
    /// are not refractory; `refractory` counts the steps left and is lowered by one. `gi` may be
    /// empty (population without inhibition).
    fn integrate(
        k: CellConstants<R>,
        v: &mut [R],
        ge: &[R],
        gi: &[R],
        refractory: &mut [u32],
        fires: &mut [u8],
    ) {
        match (k.exp_euler, gi.is_empty()) {
            (true, true) => advance_all::<R, true, false>(k, v, ge, gi),
            (true, false) => advance_all::<R, true, true>(k, v, ge, gi),
            (false, true) => advance_all::<R, false, false>(k, v, ge, gi),
            (false, false) => advance_all::<R, false, true>(k, v, ge, gi),
        }
        let n = v.len();
        let (refractory, fires) = (&mut refractory[..n], &mut fires[..n]);
        for c in 0..n {
            let left = refractory[c].saturating_sub(1);
            refractory[c] = left;
            fires[c] = u8::from((v[c] >= k.v_th_mv) & (left == 0));
        }
    }
}

vectorised! {
    /// Resets the cells that fire and holds those that are refractory.
    fn settle(k: CellConstants<R>, v: &mut [R], refractory: &mut [u32], fires: &[u8]) {
        for ((v, refractory), &fires) in v.iter_mut().zip(refractory).zip(fires) {
            let fires = fires != 0;
            *v = if fires | (*refractory != 0) { k.v_reset_mv } else { *v };
            *refractory = if fires { k.ref_steps } else { *refractory };
        }
    }
}

vectorised! {
    /// Copies the voltages before a step for the backward pass, marking cells that will be refractory
    /// in it.
    fn record_voltage(trace: &mut [R], v: &[R], refractory: &[u32]) {
        let mark = R::from_f64(REFRACTORY);
        for ((trace, &v), &refractory) in trace.iter_mut().zip(v).zip(refractory) {
            *trace = if refractory > 1 { mark } else { v };
        }
    }
}

vectorised! {
    /// One step of the adjoint equations of one population: the surrogate derivative of the spike,
    /// the damped derivative of the voltage change, and Λ(t) = λ_g(t) + β Λ(t + 1).
    ///
    /// * `v_before`, `ge`, `gi`: what [`record_voltage`] and the forward pass left of the step (mV, µS);
    ///   `gi` may be empty;
    /// * `lambda_s`: adjoint of the spike;
    /// * `lambda_v`: adjoint of the stored voltage, on entry of this step's (0 where the cell fired),
    ///   on return of the step before;
    /// * `lambda_ge`, `lambda_gi`: Λ, on entry of the step after, on return of this step;
    ///   `lambda_gi` is empty where `gi` is;
    /// * `betas`: decay of excitation and inhibition.
    fn adjoint(
        k: CellConstants<R>,
        betas: [R; 2],
        v_before: &[R],
        ge: &[R],
        gi: &[R],
        lambda_s: &[R],
        lambda_v: &mut [R],
        lambda_ge: &mut [R],
        lambda_gi: &mut [R],
    ) {
        if k.exp_euler {
            adjoint_all::<R, true>(k, betas, v_before, ge, gi, lambda_s, lambda_v, lambda_ge, lambda_gi);
        } else {
            adjoint_all::<R, false>(k, betas, v_before, ge, gi, lambda_s, lambda_v, lambda_ge, lambda_gi);
        }
    }
}

/// One membrane step: total conductance g, its steady state v∞ and 1 − exp(−dt g/C).
struct Relaxation<R> {
    g: R,
    v_inf: R,
    closed: R,
}

#[inline(always)]
fn relax<R: Real>(k: CellConstants<R>, ge: R, gi: R) -> Relaxation<R> {
    let g = k.g_l_us + ge + gi;
    let v_inf = (k.leak_na + ge * k.e_exc_mv + gi * k.e_inh_mv) / g;
    let closed = -(-(k.dt_over_c * g)).expm1();
    Relaxation { g, v_inf, closed }
}

/// Voltage after one step and before the floor.
#[inline(always)]
fn advance<R: Real, const EXP_EULER: bool>(k: CellConstants<R>, v: R, ge: R, gi: R) -> R {
    if EXP_EULER {
        let r = relax(k, ge, gi);
        v + (r.v_inf - v) * r.closed
    } else {
        v + k.dt_over_c
            * (-(k.g_l_us * (v - k.e_l_mv)) + ge * (k.e_exc_mv - v) + gi * (k.e_inh_mv - v))
    }
}

#[inline(always)]
fn advance_all<R: Real, const EXP_EULER: bool, const INHIBITED: bool>(
    k: CellConstants<R>,
    v: &mut [R],
    ge: &[R],
    gi: &[R],
) {
    let n = v.len();
    let ge = &ge[..n];
    let gi = if INHIBITED { &gi[..n] } else { gi };
    for c in 0..n {
        let gi = if INHIBITED { gi[c] } else { R::ZERO };
        v[c] = advance::<R, EXP_EULER>(k, v[c], ge[c], gi).at_least(k.v_floor_mv);
    }
}

#[inline(always)]
fn adjoint_all<R: Real, const EXP_EULER: bool>(
    k: CellConstants<R>,
    [beta_ampa, beta_gaba]: [R; 2],
    v_before: &[R],
    ge: &[R],
    gi: &[R],
    lambda_s: &[R],
    lambda_v: &mut [R],
    lambda_ge: &mut [R],
    lambda_gi: &mut [R],
) {
    let n = v_before.len();
    let (ge, lambda_s) = (&ge[..n], &lambda_s[..n]);
    let (lambda_v, lambda_ge) = (&mut lambda_v[..n], &mut lambda_ge[..n]);
    if gi.is_empty() {
        for c in 0..n {
            let a = cell::<R, EXP_EULER>(k, v_before[c], ge[c], R::ZERO, lambda_s[c], lambda_v[c]);
            lambda_v[c] = a.0;
            lambda_ge[c] = a.1 + beta_ampa * lambda_ge[c];
        }
    } else {
        let (gi, lambda_gi) = (&gi[..n], &mut lambda_gi[..n]);
        for c in 0..n {
            let a = cell::<R, EXP_EULER>(k, v_before[c], ge[c], gi[c], lambda_s[c], lambda_v[c]);
            lambda_v[c] = a.0;
            lambda_ge[c] = a.1 + beta_ampa * lambda_ge[c];
            lambda_gi[c] = a.2 + beta_gaba * lambda_gi[c];
        }
    }
}

/// Adjoints of the voltage before the step and of the two conductances.
#[inline(always)]
fn cell<R: Real, const EXP_EULER: bool>(
    k: CellConstants<R>,
    v_before: R,
    ge: R,
    gi: R,
    lambda_s: R,
    lambda_v: R,
) -> (R, R, R) {
    let damp = k.inverse_dampen;
    let r = relax(k, ge, gi);
    let v = advance::<R, EXP_EULER>(k, v_before, ge, gi);
    // The floor passes gradient where it is only touched, as the clamp of an autograd library does.
    let floored = v < k.v_floor_mv;
    let passes = !floored & (v_before > R::from_f64(0.5 * REFRACTORY));
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
