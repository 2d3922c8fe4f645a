//! Networks of Izhikevich's neurons that learn by local plasticity, once a trial, from mean rates.
//!
//! A step of `dt`, in this order (ms, mV; arrays are `[pre, post]`, pre cells being the inputs and then the neurons):
//!
//! 1. conductances, of the spikes of the step before, inputs as any other: g_exc ← g_exc e^(−dt/τ_exc) + Σ w s over
//!    excitatory pre cells, g_inh likewise over inhibitory ones; the current is I = g_exc − g_inh;
//! 2. neurons (Izhikevich 2003): v ← v + dt (0.04 v² + 5 v + 140 − u + I), then u ← u + dt a (b v − u) with that v;
//! 3. where v ≥ 30 mV a spike: v ← c, u ← u + d.
//!
//! A trial begins at v = −65, u = b v, g = 0. With r the rates of a trial, y those that post cells learn from (halved for
//! output cells of another class than the trial's) and w₀ the weight that synapses of a pre cell have by default:
//!
//! * excitatory synapses (Bienenstock, Cooper & Munro 1982): Δw = η w₀ (r_i/r₀)(y_j/r₀)((y_j − θ_j)/r₀), and
//!   θ_j ← θ_j + (y_j²/r₀ − θ_j)/τ_θ afterwards;
//! * inhibitory synapses: Δw = η_I w₀ times what [`params::InhibitoryRule`] says;
//! * decay: Δw = −λ ⟨w − w₀⟩ over the set that [`params::Decay`] says.
//!
//! All are taken from the weights before the trial's change, which then are kept from 0 to a multiple of w₀.
//!
//! [`params`] holds sizes and rules, [`network`] cells and synapses, [`plasticity`] the change of a trial; [`cpu`] runs
//! trials, and [`parity`] compares it with cases of an independent implementation.

pub mod cpu;
pub mod network;
pub mod params;
pub mod parity;
pub mod plasticity;
