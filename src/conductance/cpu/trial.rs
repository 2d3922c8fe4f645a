//! The forward pass of one trial: free, under imposed spikes, or replayed for its traces.

use super::cells::{add, step};
use super::network::PreparedNetwork;
use super::state::{Keep, PopulationState, Trace, TraceRow, TrialRecord, TrialScratch, TrialState};
use super::watched::mark;
use crate::conductance::batch::{Disagreement, Population, SpikeBits, Traces};
use crate::conductance::settings::MatrixName;
use crate::data::Event;
use crate::real::{Real, zeros};

impl<R: Real> PreparedNetwork<R> {
    /// Room for one trial under way.
    pub(super) fn trial_scratch(&self) -> TrialScratch<R> {
        let (w, p) = (&self.wiring, &self.params);
        let i_cells = if w.i_cells { p.n_i() } else { 0 };
        TrialScratch {
            state: TrialState {
                e: PopulationState::new(p.n_e(), w.ie),
                i: PopulationState::new(i_cells, w.ii),
            },
            fires_e: vec![0; p.n_e()],
            fires_i: vec![0; i_cells],
            sum: zeros(p.n_e().max(p.n_i())),
            v_out: vec![R::ZERO; p.n_out],
        }
    }

    /// Runs one trial from its start into `record`. `raster` receives the engine's own decisions.
    pub(super) fn run_trial(
        &self,
        trial: usize,
        events: &[Event],
        keep: Keep<'_>,
        mut raster: Option<&mut [u32]>,
        trial_scratch: &mut TrialScratch<R>,
        record: &mut TrialRecord<R>,
    ) {
        let p = &self.params;
        record.clear();
        record.traces = keep.traces.then(Traces::default);
        trial_scratch.state.rest(self.constants.e.e_l_mv);
        trial_scratch.v_out.fill(R::ZERO);
        let watched = keep.traces || keep.imposed.is_some();
        let layout = SpikeBits::silent(0, p.steps, [p.n_e(), p.n_i(), p.n_out]);
        let row_words = layout.row_words();
        if let Some(k) = keep.segment_steps {
            let segments = p.steps.div_ceil(k);
            record
                .checkpoints
                .reserve_exact(segments * trial_scratch.state.len());
            record.v_out.reserve_exact(p.steps * p.n_out);
        }
        let mut cursor = 0;
        for step in 0..p.steps {
            if keep.segment_steps.is_some_and(|k| step % k == 0) {
                trial_scratch.state.save(&mut record.checkpoints);
            }
            let inputs = take_step(events, &mut cursor, step);
            self.deliver(trial_scratch, record, step, inputs);
            let mut row = raster
                .as_deref_mut()
                .map(|r| &mut r[step * row_words..][..row_words]);
            if watched {
                self.watched_step(trial_scratch, record, keep.imposed, (trial, step), &mut row);
            } else {
                self.free_step(trial_scratch, None);
                if let Some(row) = &mut row {
                    mark(
                        &trial_scratch.fires_e,
                        &mut row[layout.words_of(Population::E)],
                    );
                    mark(
                        &trial_scratch.fires_i,
                        &mut row[layout.words_of(Population::I)],
                    );
                }
            }
            record.spikes_e.push(&trial_scratch.fires_e);
            record.spikes_i.push(&trial_scratch.fires_i);
            self.read_out(trial, step, &mut trial_scratch.v_out, keep, row, record);
        }
        if !self.constants.readout.takes_max {
            for logit in &mut record.logits {
                *logit *= self.constants.readout.scale;
            }
        }
    }

    /// Runs a segment again from its checkpoint, under the recorded spikes where those were imposed,
    /// and records its states as row `trial` of `trials` of every step.
    pub(super) fn replay(
        &self,
        events: &[Event],
        record: &TrialRecord<R>,
        trial_scratch: &mut TrialScratch<R>,
        segment: usize,
        steps: std::ops::Range<usize>,
        imposed: bool,
        [trace_e, trace_i]: [&mut Trace<R>; 2],
        (trial, trials): (usize, usize),
    ) {
        let len = trial_scratch.state.len();
        trial_scratch
            .state
            .load(&record.checkpoints[segment * len..][..len]);
        let mut cursor = events.partition_point(|e| (e.step as usize) < steps.start);
        for step in steps.clone() {
            let inputs = take_step(events, &mut cursor, step);
            self.deliver(trial_scratch, record, step, inputs);
            let row = (step - steps.start) * trials + trial;
            let rows = [trace_e.row_mut(row), trace_i.row_mut(row)];
            if imposed {
                self.imposed_step(trial_scratch, record, step, rows);
            } else {
                self.free_step(trial_scratch, Some(rows));
            }
        }
    }

    /// Adds what arrives in this step to the conductances: spikes of the step before, and inputs.
    fn deliver(
        &self,
        trial_scratch: &mut TrialScratch<R>,
        record: &TrialRecord<R>,
        step: usize,
        inputs: &[Event],
    ) {
        let w = &self.wiring;
        let (fired_e, fired_i) = (record.spikes_e.before(step), record.spikes_i.before(step));
        let TrialScratch { state, sum, .. } = trial_scratch;
        let TrialState { e, i } = state;
        if !fired_e.is_empty() {
            self.kick(&mut e.ge, MatrixName::WEe, w.ee, fired_e, sum);
            self.kick(&mut i.ge, MatrixName::WEi, w.ei, fired_e, sum);
        }
        if !fired_i.is_empty() {
            self.kick(&mut e.gi, MatrixName::WIe, w.ie, fired_i, sum);
            self.kick(&mut i.gi, MatrixName::WIi, w.ii, fired_i, sum);
        }
        for event in inputs {
            let row = self.row(MatrixName::WIn, event.input as usize);
            add(self.arch, &mut e.ge, row);
        }
    }

    /// Adds the rows of the cells that fired. Spikes that arrive together are summed before they meet
    /// the conductance, which may be much larger than each of them.
    fn kick(
        &self,
        conductance: &mut [R],
        name: MatrixName,
        there: bool,
        fired: &[u32],
        sum: &mut [R],
    ) {
        match *fired {
            _ if !there => {}
            [cell] => add(self.arch, conductance, self.row(name, cell as usize)),
            _ => {
                let sum = &mut sum[..conductance.len()];
                sum.fill(R::ZERO);
                for &cell in fired {
                    add(self.arch, sum, self.row(name, cell as usize));
                }
                add(self.arch, conductance, sum);
            }
        }
    }

    /// A step of cells that decide themselves.
    fn free_step(&self, trial_scratch: &mut TrialScratch<R>, traces: Option<[TraceRow<'_, R>; 2]>) {
        let c = &self.constants;
        let losses = [c.decay_fraction_ampa, c.decay_fraction_gaba];
        let [trace_e, trace_i] = traces.unwrap_or_default();
        let TrialState { e, i } = &mut trial_scratch.state;
        let populations = [
            (c.e, e, &mut trial_scratch.fires_e, trace_e),
            (c.i, i, &mut trial_scratch.fires_i, trace_i),
        ];
        for (k, p, fires, trace) in populations {
            step(
                self.arch,
                k,
                losses,
                &mut p.v,
                &mut p.ge,
                &mut p.gi,
                &mut p.refractory,
                fires,
                trace.v,
                trace.ge,
                trace.gi,
            );
        }
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
        for v in &mut *v_out {
            *v *= c.decay;
        }
        for &cell in record.spikes_e.at(step) {
            let row = self.row(MatrixName::WOut, cell as usize);
            for (v, &w) in v_out.iter_mut().zip(row) {
                *v += w;
            }
        }
        if keep.segment_steps.is_some() {
            record.v_out.extend_from_slice(v_out);
        }
        if !c.takes_max {
            for (logit, &v) in record.logits.iter_mut().zip(&*v_out) {
                *logit += v;
            }
        }
        if !c.takes_max && resets.is_none() && keep.imposed.is_none() {
            for v in v_out.iter_mut().filter(|v| c.resets && **v >= c.threshold) {
                *v -= c.threshold;
            }
            return;
        }
        for (class, v) in v_out.iter_mut().enumerate() {
            let logit = &mut record.logits[class];
            if c.takes_max && (step == 0 || *v > *logit) {
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
            if let Some(imposed) = keep.imposed {
                let words = &imposed.row(trial, step)[imposed.words_of(Population::Out)];
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
}

/// The events of `step`, moving the cursor past them.
fn take_step<'a>(events: &'a [Event], cursor: &mut usize, step: usize) -> &'a [Event] {
    let begin = *cursor;
    while *cursor < events.len() && events[*cursor].step as usize == step {
        *cursor += 1;
    }
    &events[begin..*cursor]
}
