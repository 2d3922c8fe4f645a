//! The conductance network a second time: dense loops in f64, and smooth in its weights.
//!
//! A first run decides spikes hard and writes down its trajectory. A later run with other weights
//! takes resets and refractoriness from that trajectory, but its spikes and read-out resets move
//! smoothly around the decisions: s = s_hard + can · (f(v) − f(v_ref)), f(u) = k u / (1 + k |u|),
//! whose derivative is the surrogate. The damping of the gradient becomes a damping of the change:
//! v + dv/γ + dv_ref (1 − 1/γ). So finite differences of this model are the gradient that the adjoint
//! equations define, and at the weights of the first run both have the same value.

use std::collections::BTreeMap;

use dalenet::conductance::batch::Batch;
use dalenet::conductance::params::Params;
use dalenet::conductance::settings::{
    Integrator, MatrixName, Readout, ReadoutReset, RefractoryTiming, SynapseKick,
};

/// Effective weights by name, row-major `[pre, post]`.
pub type Effective = BTreeMap<MatrixName, Vec<f64>>;

/// A deliberate error of a perturbed run; the comparison must notice each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// γ is a tenth of a percent larger.
    Gamma,
    /// The surrogate is a tenth of a percent steeper.
    Slope,
    /// Spikes do not move the loop: its backward pass is left out.
    LoopDetached,
    /// Resets of the read-out do not move.
    ReadoutResetDetached,
    /// Input conductances decay in the step in which they arrive.
    InputDecays,
}

/// What a population did in a hard run, `[trial, step, cell]`.
#[derive(Default)]
struct Path {
    v: Vec<f64>,
    dv: Vec<f64>,
    fired: Vec<bool>,
    can: Vec<bool>,
}

/// Trajectory of a hard run.
#[derive(Default)]
pub struct Trajectory {
    cells: [Path; 2],
    v_out: Vec<f64>,
    resets: Vec<bool>,
}

/// Result of a run.
pub struct Outcome {
    pub loss: f64,
    pub logits: Vec<f64>,
    /// Hard spikes as (trial, step, cell), E and I.
    pub spikes: [Vec<(usize, usize, usize)>; 2],
}

/// One population in flight.
struct Cells {
    c_m_nf: f64,
    g_l_us: f64,
    ref_steps: u32,
    v: Vec<f64>,
    ge: Vec<f64>,
    gi: Vec<f64>,
    refractory: Vec<u32>,
    /// Spikes of the step before: 0 or 1, or nearby in a smooth run.
    s: Vec<f64>,
}

pub struct Model<'a> {
    pub params: &'a Params,
    pub batch: &'a Batch,
    pub fault: Fault,
}

impl Model<'_> {
    /// Decides spikes hard and returns the trajectory.
    pub fn hard(&self, w: &Effective) -> (Outcome, Trajectory) {
        let mut trajectory = Trajectory::default();
        let outcome = self.run(w, &mut trajectory, true);
        (outcome, trajectory)
    }

    /// The loss under weights near those of the trajectory.
    pub fn smooth(&self, w: &Effective, trajectory: &mut Trajectory) -> f64 {
        self.run(w, trajectory, false).loss
    }

    fn run(&self, w: &Effective, path: &mut Trajectory, hard: bool) -> Outcome {
        let (p, n, t) = (self.params, &self.params.network, &self.params.training);
        let trials = self.batch.trials();
        let beta = |tau_ms: f64| (-n.dt_ms / tau_ms).exp();
        let mut rates = vec![0.0; p.n_e()];
        let mut outcome = Outcome {
            loss: 0.0,
            logits: Vec::new(),
            spikes: [Vec::new(), Vec::new()],
        };
        for trial in 0..trials {
            let mut cells = [
                self.rest(p.n_e(), n.c_m_e_nf, n.g_l_e_us, n.ref_e_ms),
                self.rest(p.n_i(), n.c_m_i_nf, n.g_l_i_us, n.ref_i_ms),
            ];
            let mut v_out = vec![0.0; p.n_out];
            let mut logits = vec![0.0; p.n_out];
            let mut peak = vec![f64::NEG_INFINITY; p.n_out];
            let mut events = self.batch.events_of(trial).iter().peekable();
            for step in 0..p.steps {
                let before = [cells[0].s.clone(), cells[1].s.clone()];
                let recurrent = if self.fault == Fault::LoopDetached && step > 0 {
                    let of = |pop: usize| {
                        let len = before[pop].len();
                        let at = (trial * p.steps + step - 1) * len;
                        let fired = &path.cells[pop].fired[at..][..len];
                        fired.iter().map(|&f| f64::from(u8::from(f))).collect()
                    };
                    [of(0), of(1)]
                } else {
                    before
                };
                for (pop, from_e, from_i) in [
                    (0, MatrixName::WEe, MatrixName::WIe),
                    (1, MatrixName::WEi, MatrixName::WIi),
                ] {
                    let c = &mut cells[pop];
                    let (ampa, gaba) = (beta(n.tau_ampa_ms), beta(n.tau_gaba_ms));
                    kick(
                        &mut c.ge,
                        &recurrent[0],
                        w.get(&from_e),
                        ampa,
                        n.synapse_kick,
                    );
                    kick(
                        &mut c.gi,
                        &recurrent[1],
                        w.get(&from_i),
                        gaba,
                        n.synapse_kick,
                    );
                }
                while let Some(event) = events.next_if(|e| e.step as usize == step) {
                    let decay = match self.fault {
                        Fault::InputDecays => beta(n.tau_ampa_ms),
                        _ => 1.0,
                    };
                    for (cell, g) in cells[0].ge.iter_mut().enumerate() {
                        *g += decay * w[&MatrixName::WIn][event.input as usize * p.n_e() + cell];
                    }
                }
                for (pop, c) in cells.iter_mut().enumerate() {
                    self.membranes(c, &mut path.cells[pop], (trial, step), hard);
                    let at = (trial * p.steps + step) * c.v.len();
                    let fired = path.cells[pop].fired[at..][..c.v.len()].iter().enumerate();
                    let fired = fired.filter(|&(_, &fired)| fired);
                    outcome.spikes[pop].extend(fired.map(|(cell, _)| (trial, step, cell)));
                }
                for (rate, s) in rates.iter_mut().zip(&cells[0].s) {
                    *rate += s / (trials as f64 * p.steps as f64 * n.dt_ms / 1000.0);
                }
                self.read_out(
                    &cells[0].s,
                    w,
                    (&mut v_out, &mut logits, &mut peak),
                    path,
                    (trial * p.steps + step) * p.n_out,
                    hard,
                );
            }
            for (logit, peak) in logits.iter_mut().zip(&peak) {
                *logit = match n.readout {
                    Readout::MemMean | Readout::Rate => *logit / p.steps as f64,
                    Readout::SpikeCount => *logit,
                    Readout::Li => *peak,
                };
            }
            let sum: f64 = logits.iter().map(|x| x.exp()).sum();
            let label = self.batch.labels[trial] as usize;
            outcome.loss += (sum.ln() - logits[label]) / trials as f64;
            outcome.logits.append(&mut logits);
        }
        for rate in rates {
            outcome.loss += t.rate_strength * (rate - t.rate_theta_hz).max(0.0).powi(2);
        }
        outcome
    }

    fn rest(&self, cells: usize, c_m_nf: f64, g_l_us: f64, ref_ms: f64) -> Cells {
        let n = &self.params.network;
        let ratio = ref_ms / n.dt_ms;
        // Half to even, written out.
        let whole = ratio.floor();
        let up = ratio - whole > 0.5 || (ratio - whole == 0.5 && whole % 2.0 == 1.0);
        Cells {
            c_m_nf,
            g_l_us,
            ref_steps: (whole as u32 + u32::from(up)).max(1),
            v: vec![n.e_l_mv; cells],
            ge: vec![0.0; cells],
            gi: vec![0.0; cells],
            refractory: vec![0; cells],
            s: vec![0.0; cells],
        }
    }

    /// f of slope k, around a reference: f(u) − f(u_ref).
    fn moved(&self, k: f64, u: f64, u_ref: f64) -> f64 {
        let k = match self.fault {
            Fault::Slope => 1.001 * k,
            _ => k,
        };
        let f = |u: f64| k * u / (1.0 + k * u.abs());
        f(u) - f(u_ref)
    }

    fn membranes(&self, c: &mut Cells, path: &mut Path, (trial, step): (usize, usize), hard: bool) {
        let n = &self.params.network;
        let gamma = match self.fault {
            Fault::Gamma => 1.001 * n.grad_dampen,
            _ => n.grad_dampen,
        };
        let count = c.v.len();
        for cell in 0..count {
            let at = (trial * self.params.steps + step) * count + cell;
            let (v, ge, gi) = (c.v[cell], c.ge[cell], c.gi[cell]);
            let dv = match n.integrator {
                Integrator::ExpEuler => {
                    let g = c.g_l_us + ge + gi;
                    let v_inf = (c.g_l_us * n.e_l_mv + ge * n.e_exc_mv + gi * n.e_inh_mv) / g;
                    (v_inf - v) * (1.0 - (-n.dt_ms * g / c.c_m_nf).exp())
                }
                Integrator::Euler => {
                    let current =
                        -c.g_l_us * (v - n.e_l_mv) + ge * (n.e_exc_mv - v) + gi * (n.e_inh_mv - v);
                    n.dt_ms / c.c_m_nf * current
                }
            };
            if hard {
                let v = (v + dv).max(n.v_floor_mv);
                let before = c.refractory[cell];
                c.refractory[cell] = before.saturating_sub(1);
                let can = match n.refractory_timing {
                    RefractoryTiming::Preceding => c.refractory[cell] == 0,
                    RefractoryTiming::Following => before == 0,
                };
                path.v.push(v);
                path.dv.push(dv);
                path.can.push(can);
                path.fired.push(can && v >= n.v_th_mv);
                if path.fired[at] {
                    c.refractory[cell] = c.ref_steps;
                }
            }
            let change = dv / gamma + path.dv[at] * (1.0 - 1.0 / gamma);
            let v = (v + change).max(n.v_floor_mv);
            let (fired, can) = (path.fired[at], path.can[at]);
            c.s[cell] = f64::from(u8::from(fired));
            if can {
                c.s[cell] += self.moved(n.surrogate_slope, v - n.v_th_mv, path.v[at] - n.v_th_mv);
            }
            c.v[cell] = if fired || !can { n.v_reset_mv } else { v };
        }
    }

    fn read_out(
        &self,
        s: &[f64],
        w: &Effective,
        (v_out, sum, peak): (&mut [f64], &mut [f64], &mut [f64]),
        path: &mut Trajectory,
        at: usize,
        hard: bool,
    ) {
        let n = &self.params.network;
        let (classes, theta) = (self.params.n_out, n.readout_threshold);
        let beta = (-n.dt_ms / n.tau_out_ms).exp();
        for class in 0..classes {
            let weights = w[&MatrixName::WOut][class..].iter().step_by(classes);
            let drive: f64 = s.iter().zip(weights).map(|(s, w)| s * w).sum();
            let v = &mut v_out[class];
            *v = match n.readout {
                Readout::MemMean => beta * *v + (1.0 - beta) / n.dt_ms * drive,
                Readout::SpikeCount | Readout::Rate => drive,
                Readout::Li => beta * *v + (1.0 - beta) * drive,
            };
            sum[class] += *v;
            peak[class] = peak[class].max(*v);
            if n.readout != Readout::MemMean || n.readout_reset != ReadoutReset::Subtract {
                continue;
            }
            if hard {
                path.v_out.push(*v);
                path.resets.push(*v >= theta);
            }
            let mut reset = f64::from(u8::from(path.resets[at + class]));
            if self.fault != Fault::ReadoutResetDetached {
                let k = n.readout_slope.unwrap_or(n.surrogate_slope);
                reset += self.moved(k, *v - theta, path.v_out[at + class] - theta);
            }
            *v -= theta * reset;
        }
    }
}

/// `g ← β (g + s W)`, or `g ← β g + s W`.
fn kick(g: &mut [f64], s: &[f64], w: Option<&Vec<f64>>, beta: f64, kick: SynapseKick) {
    let post = g.len();
    for (cell, g) in g.iter_mut().enumerate() {
        let rows = w.iter().flat_map(|w| w[cell..].iter().step_by(post));
        let sum: f64 = s.iter().zip(rows).map(|(s, w)| s * w).sum();
        *g = match kick {
            SynapseKick::Decayed => beta * (*g + sum),
            SynapseKick::Full => beta * *g + sum,
        };
    }
}
