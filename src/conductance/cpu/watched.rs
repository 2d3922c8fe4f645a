//! Steps that are watched: voltages traced, or spikes imposed by the caller or by a record. Slower than a
//! free step, in the same arithmetic.

use super::cells::{decay, integrate, record_voltage, settle};
use super::network::PreparedNetwork;
use super::state::{TraceRow, TrialRecord, TrialScratch, TrialState};
use crate::conductance::batch::{Disagreement, Population, SpikeBits, Traces, set_bits};
use crate::real::Real;

impl<R: Real> PreparedNetwork<R> {
    /// A step whose voltages are traced or whose spikes are imposed by the caller.
    pub(super) fn watched_step(
        &self,
        trial_scratch: &mut TrialScratch<R>,
        record: &mut TrialRecord<R>,
        imposed: Option<&SpikeBits>,
        at: (usize, usize),
        row: &mut Option<&mut [u32]>,
    ) {
        self.integrate_all(trial_scratch);
        if let Some(traces) = &mut record.traces {
            self.trace(&trial_scratch.state, traces);
        }
        let p = &self.params;
        let layout = SpikeBits::silent(0, p.steps, [p.n_e(), p.n_i(), p.n_out]);
        let TrialScratch {
            state,
            fires_e,
            fires_i,
            ..
        } = trial_scratch;
        let populations = [
            (Population::E, &state.e.v, fires_e),
            (Population::I, &state.i.v, fires_i),
        ];
        for (population, v, fires) in populations {
            if let Some(row) = row {
                mark(fires, &mut row[layout.words_of(population)]);
            }
            if let Some(imposed) = imposed {
                impose(imposed, at, population, v, fires, &mut record.disagreements);
            }
        }
        self.settle_all(trial_scratch);
    }

    /// A replayed step under recorded spikes.
    pub(super) fn imposed_step(
        &self,
        trial_scratch: &mut TrialScratch<R>,
        record: &TrialRecord<R>,
        step: usize,
        [trace_e, trace_i]: [TraceRow<'_, R>; 2],
    ) {
        for (p, trace) in [
            (&trial_scratch.state.e, trace_e),
            (&trial_scratch.state.i, trace_i),
        ] {
            record_voltage(self.arch, trace.v, &p.v, &p.refractory);
            trace.ge.copy_from_slice(&p.ge);
            trace.gi.copy_from_slice(&p.gi);
        }
        self.integrate_all(trial_scratch);
        for (flags, spikes) in [
            (&mut trial_scratch.fires_e, record.spikes_e.at(step)),
            (&mut trial_scratch.fires_i, record.spikes_i.at(step)),
        ] {
            flags.fill(0);
            for &c in spikes {
                flags[c as usize] = 1;
            }
        }
        self.settle_all(trial_scratch);
    }

    fn integrate_all(&self, trial_scratch: &mut TrialScratch<R>) {
        let c = &self.constants;
        let TrialState { e, i } = &mut trial_scratch.state;
        for (k, p, fires) in [
            (c.e, e, &mut trial_scratch.fires_e),
            (c.i, i, &mut trial_scratch.fires_i),
        ] {
            integrate(
                self.arch,
                k,
                &mut p.v,
                &p.ge,
                &p.gi,
                &mut p.refractory,
                fires,
            );
        }
    }

    /// Resets, and the decay of the conductances for the next step.
    fn settle_all(&self, trial_scratch: &mut TrialScratch<R>) {
        let c = &self.constants;
        let TrialState { e, i } = &mut trial_scratch.state;
        for (k, p, fires) in [
            (c.e, e, &trial_scratch.fires_e),
            (c.i, i, &trial_scratch.fires_i),
        ] {
            settle(self.arch, k, &mut p.v, &mut p.refractory, fires);
            decay(self.arch, &mut p.ge, c.decay_fraction_ampa);
            decay(self.arch, &mut p.gi, c.decay_fraction_gaba);
        }
    }

    /// Appends the state of all cells; cells that are not simulated rest.
    fn trace(&self, state: &TrialState<R>, traces: &mut Traces) {
        let put = |to: &mut Vec<f64>, from: &[R], cells: usize, rest: f64| {
            to.extend(from.iter().map(|x| x.to_f64()));
            to.extend(std::iter::repeat_n(rest, cells - from.len()));
        };
        let (n_e, n_i) = (self.params.n_e(), self.params.n_i());
        put(&mut traces.v_e, &state.e.v, n_e, 0.0);
        put(&mut traces.g_exc_e, &state.e.ge, n_e, 0.0);
        put(&mut traces.g_inh_e, &state.e.gi, n_e, 0.0);
        put(&mut traces.v_i, &state.i.v, n_i, self.params.network.e_l_mv);
        put(&mut traces.g_exc_i, &state.i.ge, n_i, 0.0);
        put(&mut traces.g_inh_i, &state.i.gi, n_i, 0.0);
    }
}

/// Sets the bits of the flagged cells.
pub(super) fn mark(flags: &[u8], words: &mut [u32]) {
    for (cell, &flag) in flags.iter().enumerate() {
        words[cell / 32] |= u32::from(flag) << (cell % 32);
    }
}

/// Replaces the engine's decisions by those of the imposed spikes and lists the differing ones.
fn impose<R: Real>(
    imposed: &SpikeBits,
    (trial, step): (usize, usize),
    population: Population,
    v: &[R],
    flags: &mut [u8],
    disagreements: &mut Vec<Disagreement>,
) {
    let mut expected = vec![0u8; flags.len()];
    for cell in set_bits(&imposed.row(trial, step)[imposed.words_of(population)]) {
        if cell < expected.len() {
            expected[cell] = 1;
        } else {
            // A cell that is not simulated rests at E_L and can never fire.
            disagreements.push(Disagreement {
                trial,
                step,
                population,
                cell,
                value: f64::NEG_INFINITY,
                fires: false,
            });
        }
    }
    for (cell, (own, &expected)) in flags.iter_mut().zip(&expected).enumerate() {
        if *own != expected {
            let value = v[cell].to_f64();
            let fires = *own != 0;
            disagreements.push(Disagreement {
                trial,
                step,
                population,
                cell,
                value,
                fires,
            });
            *own = expected;
        }
    }
}
