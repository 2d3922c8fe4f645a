//! Element-wise loops over one population, compiled for the widest vector instructions of the
//! processor that runs them. Every array is an argument of its own and constants come by value:
//! only then does the compiler know that nothing overlaps, and vectorises.

use crate::conductance::LEAST_CONDUCTANCE_US;
use crate::conductance::params::{CellConstants, ReadoutConstants};
use crate::real::Real;

/// Recorded instead of the voltage of a cell that was refractory in a step: such a cell passes no
/// gradient, so its voltage is not needed. Far below any voltage floor a config may have.
const REFRACTORY: f64 = -1e30;

/// Cells that are looked at before they are gone through: what they take fits the nearest cache.
const STRETCH: usize = 1024;

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
            *y = factor.mul_add(w, *y);
        }
    }
}

vectorised! {
    /// `g ← β g`, with `loss` = 1 − β: subtracting the small share that decays keeps many more digits
    /// of β than multiplying by its rounded value.
    fn decay(g: &mut [R], loss: R) {
        for g in g {
            *g = decayed(*g, loss);
        }
    }
}

vectorised! {
    /// One whole step of cells that run free: membranes, spikes, resets, and the decay of the
    /// conductances for the next step.
    ///
    /// * `losses`: 1 − β of excitation and inhibition;
    /// * `v`, `ge`, `gi`, `refractory`: state, mV, µS and steps left; the conductances hold what the
    ///   membrane sees; `gi` may be empty (population without inhibition);
    /// * `fires`: 1 where a cell spikes;
    /// * `trace_v`, `trace_ge`, `trace_gi`: empty, or what the backward pass needs of the step: the
    ///   voltage before it (marked where the cell is refractory) and the conductances.
    fn step(
        k: CellConstants<R>,
        losses: [R; 2],
        v: &mut [R],
        ge: &mut [R],
        gi: &mut [R],
        refractory: &mut [R],
        fires: &mut [u8],
        trace_v: &mut [R],
        trace_ge: &mut [R],
        trace_gi: &mut [R],
    ) {
        let all_unreduced = k.exp_euler && are_unreduced(k, ge, gi);
        macro_rules! as_constants {
            ($($method:ident $inhibited:literal $traced:literal),*) => {
                match (Integration::of(k, all_unreduced), !gi.is_empty(), !trace_v.is_empty()) {
                    $((Integration::$method, $inhibited, $traced) => {
                        step_all::<R, { Integration::$method as u8 }, $inhibited, $traced>(
                            k, losses, v, ge, gi, refractory, fires, trace_v, trace_ge, trace_gi,
                        );
                    })*
                }
            };
        }
        as_constants!(
            Euler false false, Euler false true, Euler true false, Euler true true,
            Unreduced false false, Unreduced false true, Unreduced true false, Unreduced true true,
            Exact false false, Exact false true, Exact true false, Exact true true
        );
    }
}

vectorised! {
    /// The first half of [`step`], for cells that are watched or whose spikes are imposed: membranes,
    /// and in `fires` the cells at or above threshold that are not refractory.
    fn integrate(
        k: CellConstants<R>,
        v: &mut [R],
        ge: &[R],
        gi: &[R],
        refractory: &mut [R],
        fires: &mut [u8],
    ) {
        let n = v.len();
        let (ge, refractory, fires) = (&ge[..n], &mut refractory[..n], &mut fires[..n]);
        for c in 0..n {
            let gi = if gi.is_empty() { R::ZERO } else { gi[c] };
            let integrated = match k.exp_euler {
                true => advance::<R, { Integration::Exact as u8 }>(k, v[c], ge[c], gi),
                false => advance::<R, { Integration::Euler as u8 }>(k, v[c], ge[c], gi),
            };
            v[c] = integrated.at_least(k.v_floor_mv);
            refractory[c] = one_less(refractory[c]);
            fires[c] = u8::from(is_spike(k, v[c], refractory[c]));
        }
    }
}

vectorised! {
    /// The second half of [`step`]: resets the cells that fire and holds those that are refractory.
    fn settle(k: CellConstants<R>, v: &mut [R], refractory: &mut [R], fires: &[u8]) {
        for ((v, refractory), &fires) in v.iter_mut().zip(refractory).zip(fires) {
            (*v, *refractory) = settled(k, *v, *refractory, fires != 0);
        }
    }
}

vectorised! {
    /// Copies the voltages before a step for the backward pass, marking cells that will be refractory
    /// in it.
    fn record_voltage(trace: &mut [R], v: &[R], refractory: &[R]) {
        for ((trace, &v), &refractory) in trace.iter_mut().zip(v).zip(refractory) {
            *trace = recorded(v, refractory);
        }
    }
}

vectorised! {
    /// Adjoints of one trial's read-out voltages before their reset, where logits are sums:
    /// λ ← seed + decay · λ · (1 − θ σ'(v − θ)), the last factor only with resets.
    fn read_out_adjoint(
        c: ReadoutConstants<R>,
        v_out: &[R],
        by_logit: &[R],
        lambda: &mut [R],
    ) {
        for ((lambda, &v), &by_logit) in lambda.iter_mut().zip(v_out).zip(by_logit) {
            let distance = R::ONE + c.surrogate_slope * (v - c.threshold).abs();
            let through_reset = c.threshold * c.surrogate_slope / (distance * distance);
            let passed = if c.resets { R::ONE - through_reset } else { R::ONE };
            *lambda = by_logit * c.scale + c.decay * *lambda * passed;
        }
    }
}

vectorised! {
    /// One step of the adjoint equations of one population: the surrogate derivative of the spike,
    /// the damped derivative of the voltage change, and Λ(t) = λ_g(t) + β Λ(t + 1).
    ///
    /// * `v_before`, `ge`, `gi`: what the forward pass left of the step (mV, µS); `gi` may be empty;
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
        // A stretch at a time, so that what is looked at first is still near when it is used.
        for first in (0..v_before.len()).step_by(STRETCH) {
            let range = first..(first + STRETCH).min(v_before.len());
            let gi_range = if gi.is_empty() { 0..0 } else { range.clone() };
            let (ge, gi) = (&ge[range.clone()], &gi[gi_range.clone()]);
            let all_unreduced = k.exp_euler && are_unreduced(k, ge, gi);
            macro_rules! as_constants {
                ($($method:ident $inhibited:literal),*) => {
                    match (Integration::of(k, all_unreduced), !gi.is_empty()) {
                        $((Integration::$method, $inhibited) => {
                            adjoint_all::<R, { Integration::$method as u8 }, $inhibited>(
                                k,
                                betas,
                                &v_before[range.clone()],
                                ge,
                                gi,
                                &lambda_s[range.clone()],
                                &mut lambda_v[range.clone()],
                                &mut lambda_ge[range],
                                &mut lambda_gi[gi_range],
                            );
                        })*
                    }
                };
            }
            as_constants!(
                Euler false, Euler true, Unreduced false, Unreduced true, Exact false, Exact true
            );
        }
    }
}

/// How a membrane is integrated, known before a loop over cells begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Integration {
    /// Forward Euler.
    Euler = 0,
    /// Exponential Euler.
    Exact = 1,
    /// Exponential Euler where dt g/C is so small in every cell that the exponential needs no
    /// reduction of its argument, which is nearly always so; the same bits.
    Unreduced = 2,
}

impl Integration {
    #[inline(always)]
    fn of<R: Real>(k: CellConstants<R>, all_unreduced: bool) -> Self {
        match (k.exp_euler, all_unreduced) {
            (false, _) => Self::Euler,
            (true, false) => Self::Exact,
            (true, true) => Self::Unreduced,
        }
    }
}

/// Whether no cell's exponential has an argument above [`Real::UNREDUCED_MOST`].
#[inline(always)]
fn are_unreduced<R: Real>(k: CellConstants<R>, ge: &[R], gi: &[R]) -> bool {
    // Counted by what is small, so that a NaN is not.
    let mut unreduced = 1u32;
    let is_unreduced = |g: R| u32::from((k.dt_over_c * g).abs() <= R::UNREDUCED_MOST);
    if gi.is_empty() {
        for &ge in ge {
            unreduced &= is_unreduced(k.g_l_us + ge);
        }
    } else {
        for (&ge, &gi) in ge.iter().zip(gi) {
            unreduced &= is_unreduced(k.g_l_us + ge + gi);
        }
    }
    unreduced == 1
}

#[inline(always)]
fn decayed<R: Real>(g: R, loss: R) -> R {
    g - g * loss
}

#[inline(always)]
fn one_less<R: Real>(refractory: R) -> R {
    (refractory - R::ONE).at_least(R::ZERO)
}

#[inline(always)]
fn is_spike<R: Real>(k: CellConstants<R>, v: R, refractory: R) -> bool {
    (v >= k.v_th_mv) & (refractory == R::ZERO)
}

/// Voltage and refractory time after the decision.
#[inline(always)]
fn settled<R: Real>(k: CellConstants<R>, v: R, refractory: R, fires: bool) -> (R, R) {
    let held = fires | (refractory != R::ZERO);
    (
        if held { k.v_reset_mv } else { v },
        if fires { k.ref_steps } else { refractory },
    )
}

#[inline(always)]
fn recorded<R: Real>(v: R, refractory: R) -> R {
    if refractory > R::ONE {
        R::from_f64(REFRACTORY)
    } else {
        v
    }
}

#[inline(always)]
fn step_all<R: Real, const METHOD: u8, const INHIBITED: bool, const TRACED: bool>(
    k: CellConstants<R>,
    [decay_fraction_ampa, decay_fraction_gaba]: [R; 2],
    v: &mut [R],
    ge: &mut [R],
    gi: &mut [R],
    refractory: &mut [R],
    fires: &mut [u8],
    trace_v: &mut [R],
    trace_ge: &mut [R],
    trace_gi: &mut [R],
) {
    let n = v.len();
    let (ge, refractory, fires) = (&mut ge[..n], &mut refractory[..n], &mut fires[..n]);
    let if_ = |there: bool| if there { n } else { 0 };
    let gi = &mut gi[..if_(INHIBITED)];
    let (trace_v, trace_ge) = (&mut trace_v[..if_(TRACED)], &mut trace_ge[..if_(TRACED)]);
    let trace_gi = &mut trace_gi[..if_(TRACED && INHIBITED)];
    for c in 0..n {
        let g_exc = ge[c];
        let g_inh = if INHIBITED { gi[c] } else { R::ZERO };
        if TRACED {
            trace_v[c] = recorded(v[c], refractory[c]);
            trace_ge[c] = g_exc;
            if INHIBITED {
                trace_gi[c] = g_inh;
            }
        }
        let integrated = advance::<R, METHOD>(k, v[c], g_exc, g_inh).at_least(k.v_floor_mv);
        let left = one_less(refractory[c]);
        let spikes = is_spike(k, integrated, left);
        (v[c], refractory[c]) = settled(k, integrated, left, spikes);
        fires[c] = u8::from(spikes);
        ge[c] = decayed(g_exc, decay_fraction_ampa);
        if INHIBITED {
            gi[c] = decayed(g_inh, decay_fraction_gaba);
        }
    }
}

/// Total conductance g, and its steady state v∞ times g.
#[inline(always)]
fn currents<R: Real>(k: CellConstants<R>, ge: R, gi: R) -> (R, R) {
    let drive = ge.mul_add(k.e_exc_mv, gi.mul_add(k.e_inh_mv, k.leak_na));
    (k.g_l_us + ge + gi, drive)
}

/// g for the exponential update, which takes 0/0 at g = 0 although its limit is finite.
#[inline(always)]
fn off_zero<R: Real>(g: R) -> R {
    let least = R::from_f64(LEAST_CONDUCTANCE_US);
    if g.abs() < least { least } else { g }
}

/// 1 − exp(−dt g/C).
#[inline(always)]
fn closed<R: Real, const METHOD: u8>(k: CellConstants<R>, g: R) -> R {
    let x = -(k.dt_over_c * g);
    if METHOD == Integration::Unreduced as u8 {
        -x.expm1_unreduced()
    } else {
        -x.expm1()
    }
}

/// Voltage after one step of forward Euler and before the floor.
#[inline(always)]
fn euler<R: Real>(k: CellConstants<R>, v: R, ge: R, gi: R) -> R {
    let current = ge * (k.e_exc_mv - v) + gi * (k.e_inh_mv - v) - k.g_l_us * (v - k.e_l_mv);
    k.dt_over_c.mul_add(current, v)
}

/// Voltage after one step and before the floor.
#[inline(always)]
fn advance<R: Real, const METHOD: u8>(k: CellConstants<R>, v: R, ge: R, gi: R) -> R {
    if METHOD != Integration::Euler as u8 {
        let (g, drive) = currents(k, ge, gi);
        let g = off_zero(g);
        (drive / g - v).mul_add(closed::<R, METHOD>(k, g), v)
    } else {
        euler(k, v, ge, gi)
    }
}

#[inline(always)]
fn adjoint_all<R: Real, const METHOD: u8, const INHIBITED: bool>(
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
    let there = if INHIBITED { n } else { 0 };
    let (gi, lambda_gi) = (&gi[..there], &mut lambda_gi[..there]);
    for c in 0..n {
        let g_inh = if INHIBITED { gi[c] } else { R::ZERO };
        let a = cell::<R, METHOD>(k, v_before[c], ge[c], g_inh, lambda_s[c], lambda_v[c]);
        lambda_v[c] = a.v;
        lambda_ge[c] = beta_ampa.mul_add(lambda_ge[c], a.ge);
        if INHIBITED {
            lambda_gi[c] = beta_gaba.mul_add(lambda_gi[c], a.gi);
        }
    }
}

/// Adjoints of the voltage before the step and of the two conductances.
struct CellAdjoint<R> {
    v: R,
    ge: R,
    gi: R,
}

#[inline(always)]
fn cell<R: Real, const METHOD: u8>(
    k: CellConstants<R>,
    v_before: R,
    ge: R,
    gi: R,
    lambda_s: R,
    lambda_v: R,
) -> CellAdjoint<R> {
    // One division serves v∞ and the derivatives.
    let (g, drive) = currents(k, ge, gi);
    let g = if METHOD != Integration::Euler as u8 {
        off_zero(g)
    } else {
        g
    };
    let inverse_g = R::ONE / g;
    let v_inf = drive * inverse_g;
    let (closed, v) = if METHOD != Integration::Euler as u8 {
        let closed = closed::<R, METHOD>(k, g);
        (closed, (v_inf - v_before).mul_add(closed, v_before))
    } else {
        (R::ZERO, euler(k, v_before, ge, gi))
    };
    // The floor passes gradient where it is only touched, as the clamp of an autograd library does.
    let floored = v < k.v_floor_mv;
    let passes = !floored & (v_before > R::from_f64(0.5 * REFRACTORY));
    let u = v.at_least(k.v_floor_mv) - k.v_th_mv;
    let distance = k.surrogate_slope.mul_add(u.abs(), R::ONE);
    let surrogate = k.surrogate_slope / (distance * distance);
    let lambda = surrogate.mul_add(lambda_s, lambda_v);
    let lambda = if passes { lambda } else { R::ZERO };
    let damped = lambda * k.inverse_dampen;
    if METHOD != Integration::Euler as u8 {
        let drift = (v_inf - v_before) * (R::ONE - closed) * k.dt_over_c;
        let share = closed * inverse_g;
        CellAdjoint {
            v: lambda - damped * closed,
            ge: damped * share.mul_add(k.e_exc_mv - v_inf, drift),
            gi: damped * share.mul_add(k.e_inh_mv - v_inf, drift),
        }
    } else {
        let through = damped * k.dt_over_c;
        CellAdjoint {
            v: lambda - through * g,
            ge: through * (k.e_exc_mv - v_before),
            gi: through * (k.e_inh_mv - v_before),
        }
    }
}
