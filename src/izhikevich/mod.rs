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
//! Where synapses tire ([`params::Redistribution`]), a spike passes on a share of their weights: u R with u ← U + u (1 − U)
//! e^(−Δ/τ_facil), R ← 1 − (1 − R) e^(−Δ/τ_rec) and R ← R (1 − u) after it (Tsodyks & Markram 1997), or all or nothing by
//! chance with the same mean.
//!
//! [`params`] holds sizes and rules, [`network`] cells and synapses, [`settings`] what the user writes and [`init`] the
//! network it describes, in the blocks of [`weights`]; [`stimuli`] makes trials, [`trial`] runs one step by step through
//! [`synapses`], [`plasticity`] changes weights; [`engine`] says what engines do, and [`cpu`] and [`gpu`] do it. [`model`] and
//! [`experiment`] train, the other modules tell of what came out, and [`parity`] compares engines with cases of an
//! independent implementation.

pub mod analyse;
pub mod analysis;
pub mod bench;
pub mod check;
pub mod cpu;
pub mod engine;
pub mod evaluate;
pub mod experiment;
pub mod figures;
pub mod findings;
pub mod gpu;
pub mod init;
pub mod lanes;
pub mod measures;
pub mod method;
pub mod metrics;
pub mod model;
pub mod network;
pub mod open;
pub mod pages;
pub mod params;
pub mod parity;
pub mod plasticity;
pub mod predict;
pub mod probe;
pub mod read_out;
pub mod record;
pub mod sentences;
pub mod settings;
pub mod stimuli;
pub mod synapses;
pub mod trial;
pub mod weights;
