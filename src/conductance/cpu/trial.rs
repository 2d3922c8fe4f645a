//! The forward pass of one trial: free, under an imposed history, or replayed for its traces.

use super::Network;
use super::cells::{add, decay, integrate, kick_and_decay, settle};
use super::state::{Keep, PopulationState, Scratch, SpikeList, State, TrialRecord};
use crate::conductance::batch::{Disagreement, Population, Raster, Traces, set_bits};
use crate::config::MatrixName;
use crate::data::Event;
use crate::real::Real;

impl<R: Real> Network<R> {
    /// The state in which every trial starts.
    pub(super) fn fresh_state(&self) -> State<R> {
        let (w, p) = (&self.wiring, &self.params);
        let i_cells = if w.i_cells { p.n_i() } else { 0 };
        State {
            e: PopulationState::new(p.n_e(), w.ie, self.constants.e.e_l_mv),
            i: PopulationState::new(i_cells, w.ii, self.constants.i.e_l_mv),
            v_out: vec![R::ZERO; p.n_out],
        }
    }

    /// Runs one trial from its start. `raster` receives the engine's own decisions.
    pub(super) fn run_trial(
        &self,
        trial: usize,
        events: &[Event],
        keep: Keep<'_>,
        mut raster: Option<&mut [u32]>,
    ) -> TrialRecord<R> {
        let p = &self.params;
        let mut state = self.fresh_state();
        let mut scratch = self.scratch();
        let mut record = TrialRecord {
            spikes_e: SpikeList::default(),
            spikes_i: SpikeList::default(),
            logits: vec![R::ZERO; p.n_out],
            v_out: Vec::new(),
            peak_step: vec![0; p.n_out],
            checkpoints: Vec::new(),
            traces: keep.traces.then(Traces::default),
            disagreements: Vec::new(),
        };
        if keep.segment_steps.is_some() {
            record.v_out.reserve_exact(p.steps * p.n_out);
        }
        let layout = Raster::silent(0, p.steps, [p.n_e(), p.n_i(), p.n_out]);
        let row_words = layout.row_words();
        let mut cursor = 0;
        for step in 0..p.steps {
            if keep.segment_steps.is_some_and(|k| step % k == 0) {
                record.checkpoints.push(state.clone());
            }
            let inputs = take_step(events, &mut cursor, step);
            self.conduct(
                &mut state,
                &mut scratch,
                record.spikes_e.before(step),
                record.spikes_i.before(step),
                inputs,
            );
            self.integrate_all(&mut state, &mut scratch);
            if let Some(traces) = &mut record.traces {
                self.trace(&state, traces);
            }
            let mut row = raster
                .as_deref_mut()
                .map(|r| &mut r[step * row_words..][..row_words]);
            if let Some(row) = &mut row {
                mark(&scratch.e, &mut row[layout.words_of(Population::E)]);
                mark(&scratch.i, &mut row[layout.words_of(Population::I)]);
            }
            if let Some(history) = keep.history {
                let at = (trial, step);
                let differing = &mut record.disagreements;
                impose(
                    history,
                    at,
                    Population::E,
                    &state.e.v,
                    &mut scratch.e,
                    differing,
                );
                impose(
                    history,
                    at,
                    Population::I,
                    &state.i.v,
                    &mut scratch.i,
                    differing,
                );
            }
            self.settle_all(&mut state, &scratch);
            record.spikes_e.push(&scratch.e);
            record.spikes_i.push(&scratch.i);
            self.read_out(trial, step, &mut state.v_out, keep, row, &mut record);
        }
        if !self.constants.readout.takes_max {
            for logit in &mut record.logits {
                *logit *= self.constants.readout.scale;
            }
        }
        record
    }

    /// Replays steps `from..to` from their checkpoint under the recorded spikes; `keep` receives the
    /// state that each step's membranes see.
    pub(super) fn replay(
        &self,
        events: &[Event],
        record: &TrialRecord<R>,
        state: &mut State<R>,
        scratch: &mut Scratch<R>,
        steps: std::ops::Range<usize>,
        mut keep: impl FnMut(usize, &State<R>),
    ) {
        let mut cursor = events.partition_point(|e| (e.step as usize) < steps.start);
        for step in steps {
            let inputs = take_step(events, &mut cursor, step);
            self.conduct(
                state,
                scratch,
                record.spikes_e.before(step),
                record.spikes_i.before(step),
                inputs,
            );
            keep(step, state);
            self.integrate_all(state, scratch);
            for (flags, spikes) in [
                (&mut scratch.e, record.spikes_e.at(step)),
                (&mut scratch.i, record.spikes_i.at(step)),
            ] {
                flags.fill(0);
                for &c in spikes {
                    flags[c as usize] = 1;
                }
            }
            self.settle_all(state, scratch);
        }
    }

    /// Scratch for one trial at a time.
    pub(super) fn scratch(&self) -> Scratch<R> {
        let (n_e, n_i) = (self.params.n_e(), self.params.n_i());
        let i_cells = if self.wiring.i_cells { n_i } else { 0 };
        Scratch {
            e: vec![0; n_e],
            i: vec![0; i_cells],
            kick: vec![R::ZERO; n_e.max(n_i)],
        }
    }

    /// Conductances of a step: kick by the spikes of the step before, decay, input.
    fn conduct(
        &self,
        state: &mut State<R>,
        scratch: &mut Scratch<R>,
        fired_e: &[u32],
        fired_i: &[u32],
        inputs: &[Event],
    ) {
        let (w, c) = (&self.wiring, &self.constants);
        let (a, g) = (c.loss_ampa, c.loss_gaba);
        let sum = &mut scratch.kick;
        self.kick(&mut state.e.ge, a, MatrixName::WEe, w.ee, fired_e, sum);
        self.kick(&mut state.i.ge, a, MatrixName::WEi, w.ei, fired_e, sum);
        self.kick(&mut state.e.gi, g, MatrixName::WIe, w.ie, fired_i, sum);
        self.kick(&mut state.i.gi, g, MatrixName::WIi, w.ii, fired_i, sum);
        for event in inputs {
            add(
                self.arch,
                &mut state.e.ge,
                self.row(MatrixName::WIn, event.input as usize),
            );
        }
    }

    /// One conductance: kick and decay. Spikes that arrive together are summed before they meet the
    /// conductance, which may be much larger than each of them.
    fn kick(
        &self,
        conductance: &mut [R],
        loss: R,
        name: MatrixName,
        there: bool,
        fired: &[u32],
        sum: &mut [R],
    ) {
        if !there || fired.is_empty() {
            return decay(self.arch, conductance, loss);
        }
        let sum = &mut sum[..conductance.len()];
        sum.fill(R::ZERO);
        for &cell in fired {
            add(self.arch, sum, self.row(name, cell as usize));
        }
        kick_and_decay(self.arch, conductance, sum, loss);
    }

    fn integrate_all(&self, state: &mut State<R>, scratch: &mut Scratch<R>) {
        let c = &self.constants;
        let State { e, i, .. } = state;
        integrate(
            self.arch,
            c.e,
            &mut e.v,
            &e.ge,
            &e.gi,
            &mut e.refractory,
            &mut scratch.e,
        );
        integrate(
            self.arch,
            c.i,
            &mut i.v,
            &i.ge,
            &i.gi,
            &mut i.refractory,
            &mut scratch.i,
        );
    }

    fn settle_all(&self, state: &mut State<R>, scratch: &Scratch<R>) {
        let c = &self.constants;
        settle(
            self.arch,
            c.e,
            &mut state.e.v,
            &mut state.e.refractory,
            &scratch.e,
        );
        settle(
            self.arch,
            c.i,
            &mut state.i.v,
            &mut state.i.refractory,
            &scratch.i,
        );
    }

    /// The read-out of a step, from the E spikes of the same step.
    fn read_out(
        &self,
        trial: usize,
        step: usize,
        v_out: &mut [R],
        keep: Keep<'_>,
        row: Option<&mut [u32]>,
        record: &mut TrialRecord<R>,
    ) {
        let c = &self.constants.readout;
        let out_words = self.params.n_out.div_ceil(32);
        let mut resets = row.map(|row| {
            let first = row.len() - out_words;
            &mut row[first..]
        });
        let fired = record.spikes_e.at(step);
        for (class, v) in v_out.iter_mut().enumerate() {
            let mut drive = R::ZERO;
            for &cell in fired {
                drive += self.row(MatrixName::WOut, cell as usize)[class];
            }
            *v = c.decay * *v + c.gain * drive;
            if keep.segment_steps.is_some() {
                record.v_out.push(*v);
            }
            let logit = &mut record.logits[class];
            if !c.takes_max {
                *logit += *v;
            } else if step == 0 || *v > *logit {
                *logit = *v;
                record.peak_step[class] = step as u32;
            }
            if !c.resets {
                continue;
            }
            let own = *v >= c.threshold;
            if let Some(words) = &mut resets {
                words[class / 32] |= u32::from(own) << (class % 32);
            }
            let mut resets_now = own;
            if let Some(history) = keep.history {
                let words = &history.row(trial, step)[history.words_of(Population::Out)];
                resets_now = words[class / 32] >> (class % 32) & 1 == 1;
                if own != resets_now {
                    record.disagreements.push(Disagreement {
                        trial,
                        step,
                        population: Population::Out,
                        cell: class,
                        value: v.to_f64(),
                        fires: own,
                    });
                }
            }
            if resets_now {
                *v -= c.threshold;
            }
        }
    }

    /// Appends the state of all cells; cells that are not simulated rest.
    fn trace(&self, state: &State<R>, traces: &mut Traces) {
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

/// The events of `step`, moving the cursor past them.
fn take_step<'a>(events: &'a [Event], cursor: &mut usize, step: usize) -> &'a [Event] {
    let begin = *cursor;
    while *cursor < events.len() && events[*cursor].step as usize == step {
        *cursor += 1;
    }
    &events[begin..*cursor]
}

/// Sets the bits of the flagged cells.
fn mark(flags: &[u8], words: &mut [u32]) {
    for (cell, &flag) in flags.iter().enumerate() {
        words[cell / 32] |= u32::from(flag) << (cell % 32);
    }
}

/// Replaces the engine's decisions by those of the history and lists the differing ones.
fn impose<R: Real>(
    history: &Raster,
    (trial, step): (usize, usize),
    population: Population,
    v: &[R],
    flags: &mut [u8],
    disagreements: &mut Vec<Disagreement>,
) {
    let mut expected = vec![0u8; flags.len()];
    for cell in set_bits(&history.row(trial, step)[history.words_of(population)]) {
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
