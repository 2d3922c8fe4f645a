//! Conductance-based networks of excitatory and inhibitory cells (PING with the loop, COBA without).
//!
//! A step of 0.1 ms, in this order (units ms, mV, nF, µS; arrays `[pre, post]`):
//!
//! 1. conductances: kicked by the spikes of the step before, then decayed by β = exp(−dt/τ);
//!    input spikes are added after the decay;
//! 2. membranes: g = g_L + g_e + g_i, v∞ = (g_L E_L + g_e E_exc + g_i E_inh)/g,
//!    v ← max(v + (v∞ − v)(1 − exp(−dt g/C)), floor);
//! 3. spikes: s = [v ≥ V_th] unless refractory; reset;
//! 4. read-out from the E spikes of the same step.
//!
//! The gradient goes backwards through exactly this, from the last step to the first. With λ for the
//! derivative of the loss with respect to a quantity, a = 1 − exp(−dt g/C) and the damping d:
//!
//! 1. read-out: λ_out(t) = ∂loss/∂v_out(t) + β_out λ_out(t+1), times 1 − θ k/(1 + k|v_out(t) − θ|)² where it is reset;
//! 2. spikes: λ_s,E(t) = gain λ_out(t) W_outᵀ + β (λ_ge,I(t+1) W_EIᵀ + λ_ge,E(t+1) W_EEᵀ), for I cells
//!    likewise with λ_gi and W_IE, W_II; a firing-rate penalty adds its own derivative;
//! 3. membranes: λ = λ_v(t) + k/(1 + k|v − V_th|)² λ_s(t), where λ_v(t) is 0 for a cell that fires, and
//!    λ is 0 for one that is refractory or held by the floor; then λ_v(t−1) = λ − a λ/d;
//! 4. conductances: λ_gx(t) = β λ_gx(t+1) + λ/d ((E_x − v∞) a/g + (v∞ − v(t−1))(1 − a) dt/C);
//! 5. weights: ∂loss/∂W_in += x(t) λ_ge,E(t), ∂loss/∂W_EI += β s_E(t−1) λ_ge,I(t), the others of the loop
//!    likewise, ∂loss/∂W_out += gain s_E(t) λ_out(t).
//!
//! With `synapse_kick` `full` a spike reaches its conductance undecayed: the β before weights is 1. With
//! `refractory_timing` `following` a cell is refractory for one step more. The surrogate of the read-out's reset may have a
//! slope of its own. These are the conventions of a later engine of the networks' author.
//!
//! With `euler` integration a = dt g/C in step 3, and step 4 adds λ/d (E_x − v(t−1)) dt/C.
//!
//! [`params`] holds the settings and derived constants, [`weights`] the matrices, [`batch`] what goes
//! in and comes out, [`engine`] what engines can do, [`work`] what a batch costs at the least; [`cpu`]
//! and [`gpu`] are the two engines, which do not depend on each other.

pub mod analyse;
pub mod analysis;
pub mod batch;
pub mod bench;
pub mod check;
pub mod checks;
pub mod cpu;
pub mod engine;
pub mod evaluate;
pub mod evaluation;
pub mod experiment;
pub mod figures;
pub mod findings;
pub mod form;
pub mod gpu;
pub mod loss;
pub mod measures;
pub mod method;
pub mod metrics;
pub mod model;
pub mod open;
pub mod operator;
pub mod pages;
pub mod params;
pub mod parity;
pub mod plan;
pub mod predict;
pub mod record;
pub mod sentences;
pub mod settings;
pub mod weights;
pub mod work;

use batch::{Batch, Request};
use engine::EngineError;
use params::Params;

/// Total conductances nearer to 0 than this count as this, µS, in the exponential update, whose quotient
/// at g = 0 is 0/0 though its limit is finite. Only weights below 0 lead there (the modes `signed` and
/// `signed_loop`): otherwise g is never below g_L, which is at least as large.
pub const LEAST_CONDUCTANCE_US: f64 = 1e-6;

/// Gradients are summed within groups of this many trials and then over groups, on every engine;
/// memory plans and threads deal out whole groups, so they change no bit.
pub const TRIAL_GROUP: usize = 16;

/// Trials that a thread of the CPU engine takes through the backward pass together: two groups where
/// every thread has that many, since the loop products then read each weight half as often; else one.
pub fn block_trials(trials: usize, threads: usize) -> usize {
    let groups = trials.div_ceil(TRIAL_GROUP);
    TRIAL_GROUP * (groups / threads.max(1)).clamp(1, 2)
}

/// Refuses batches that would index outside the network.
fn check_batch(params: &Params, batch: &Batch, request: Request<'_>) -> Result<(), EngineError> {
    if batch.trials() == 0 {
        return Err(EngineError::Empty);
    }
    for trial in 0..batch.trials() {
        let bad = |what, value, limit| EngineError::Batch {
            trial,
            what,
            value,
            limit,
        };
        let label = batch.labels[trial] as usize;
        if label >= params.n_out {
            return Err(bad("class", label, params.n_out));
        }
        for event in batch.events_of(trial) {
            let (input, step) = (event.input as usize, event.step as usize);
            if input >= params.n_in {
                return Err(bad("input", input, params.n_in));
            }
            if step >= params.steps {
                return Err(bad("step", step, params.steps));
            }
        }
    }
    match request.imposed {
        Some(h)
            if (h.trials, h.steps, h.cells)
                != (
                    batch.trials(),
                    params.steps,
                    [params.n_e(), params.n_i(), params.n_out],
                ) =>
        {
            Err(EngineError::Imposed)
        }
        _ => Ok(()),
    }
}
