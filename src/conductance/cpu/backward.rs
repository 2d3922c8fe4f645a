//! The backward pass of a block of trials, step by step from the end.

use super::cells::{self, add_scaled};
use super::clock::{Clock, CpuStage};
use super::network::PreparedNetwork;
use super::state::{Trace, TrialRecord, TrialScratch};
use crate::conductance::TRIAL_GROUP;
use crate::conductance::batch::Batch;
use crate::conductance::params::{CellConstants, Constants};
use crate::conductance::settings::MatrixName;
use crate::data::Event;
use crate::product::sum_products;
use crate::real::{Lines, Real, zeros};

/// Adjoints of one population of all trials of a block, `[trial, cell]`.
struct Lambda<R> {
    s: Lines<R>,
    v: Lines<R>,
    ge: Lines<R>,
    gi: Lines<R>,
}

impl<R: Real> Lambda<R> {
    fn new(len: usize, has_gi: bool) -> Self {
        Self {
            s: zeros(len),
            v: zeros(len),
            ge: zeros(len),
            gi: zeros(if has_gi { len } else { 0 }),
        }
    }

    /// Adjoints after the last step: none.
    fn clear(&mut self) {
        for part in [&mut self.v, &mut self.ge, &mut self.gi] {
            part.fill(R::ZERO);
        }
    }
}

/// Room for the backward pass of a block, kept from block to block.
pub(super) struct BackwardScratch<R> {
    trace_e: Trace<R>,
    trace_i: Trace<R>,
    e: Lambda<R>,
    i: Lambda<R>,
    /// Adjoint of the read-out voltages before their reset, `[trial, class]`.
    out: Vec<R>,
    /// Input events of each trial that lie before the step under way.
    inputs_left: Vec<usize>,
}

impl<R> BackwardScratch<R> {
    /// Most trials of a block.
    pub(super) fn trials(&self) -> usize {
        self.inputs_left.len()
    }
}

/// A block of trials whose forward pass has run.
pub(super) struct Block<'a, R> {
    pub(super) batch: &'a Batch,
    /// First trial in the batch.
    pub(super) first: usize,
    pub(super) records: &'a [TrialRecord<R>],
    /// Gradient of the loss by the logits of the block, `[trial, class]`.
    pub(super) by_logit: &'a [R],
    /// Gradient of the loss by one spike of each E cell; empty without a firing-rate penalty.
    pub(super) by_spike: &'a [R],
    pub(super) segment_steps: usize,
    /// The spikes were imposed.
    pub(super) imposed: bool,
}

impl<R: Real> PreparedNetwork<R> {
    /// Room for blocks of up to `trials` trials.
    pub(super) fn backward_room(&self, trials: usize, segment_steps: usize) -> BackwardScratch<R> {
        let (p, w) = (&self.params, &self.wiring);
        let (n_e, n_i) = (p.n_e(), self.simulated_i());
        let rows = segment_steps.min(p.steps) * trials;
        BackwardScratch {
            trace_e: Trace::new(rows, n_e, w.ie),
            trace_i: Trace::new(rows, n_i, w.ii),
            e: Lambda::new(trials * n_e, w.ie),
            i: Lambda::new(trials * n_i, w.ii),
            out: vec![R::ZERO; trials * p.n_out],
            inputs_left: vec![0; trials],
        }
    }

    /// Adds the gradient of the trained matrices to `gradients`, one flat vector a trial group of the
    /// block, in the order (step descending, trial ascending).
    pub(super) fn backward(
        &self,
        block: &Block<'_, R>,
        room: &mut BackwardScratch<R>,
        trial_scratch: &mut TrialScratch<R>,
        gradients: &mut [R],
        clock: &mut Clock,
    ) {
        let trials = block.records.len();
        let steps = self.params.steps;
        room.e.clear();
        room.i.clear();
        room.out.fill(R::ZERO);
        for (trial, left) in room.inputs_left[..trials].iter_mut().enumerate() {
            *left = block.batch.events_of(block.first + trial).len();
        }
        for segment in (0..steps.div_ceil(block.segment_steps)).rev() {
            let start = segment * block.segment_steps;
            let steps = start..(start + block.segment_steps).min(steps);
            for (trial, record) in block.records.iter().enumerate() {
                self.replay(
                    block.batch.events_of(block.first + trial),
                    record,
                    trial_scratch,
                    segment,
                    steps.clone(),
                    block.imposed,
                    [&mut room.trace_e, &mut room.trace_i],
                    (trial, trials),
                );
            }
            clock.lap(CpuStage::Replay);
            for step in steps.rev() {
                self.read_out_adjoint(step, block, &mut room.out);
                clock.lap(CpuStage::Backward);
                self.spike_adjoints(trials, room);
                clock.lap(CpuStage::LoopProducts);
                self.cell_adjoints(step, step - start, block, room);
                clock.lap(CpuStage::Backward);
                self.add_gradients(step, block, room, gradients);
                clock.lap(CpuStage::WeightGradients);
            }
        }
    }

    /// Adjoints of this step's spikes, through the conductances of the next step and the read-out of
    /// this one: λ_s = Σ (factor · W) λ over the matrices that leave a population.
    fn spike_adjoints(&self, trials: usize, room: &mut BackwardScratch<R>) {
        let BackwardScratch { e, i, out, .. } = room;
        let (e_len, i_len) = (trials * self.params.n_e(), trials * self.simulated_i());
        let w = &self.wiring;
        let of = |there: bool, name: MatrixName| there.then(|| &self.strips[name as usize]);
        let reads = self.layout.active(MatrixName::WOut).is_some();
        let into_e = [
            of(reads, MatrixName::WOut).map(|w| (w, &out[..])),
            of(w.ei, MatrixName::WEi).map(|w| (w, &i.ge[..])),
            of(w.ee, MatrixName::WEe).map(|w| (w, &e.ge[..])),
        ];
        sum_products(self.arch, &mut e.s[..e_len], &into_e, trials);
        let into_i = [
            of(w.ie, MatrixName::WIe).map(|w| (w, &e.gi[..])),
            of(w.ii, MatrixName::WIi).map(|w| (w, &i.gi[..])),
        ];
        sum_products(self.arch, &mut i.s[..i_len], &into_i, trials);
    }

    /// Adjoints of the read-out voltages before their reset.
    fn read_out_adjoint(&self, step: usize, block: &Block<'_, R>, lambda_out: &mut [R]) {
        let (c, n_out) = (&self.constants.readout, self.params.n_out);
        let rows = lambda_out.chunks_exact_mut(n_out);
        for ((record, lambda), by_logit) in
            (block.records.iter().zip(rows)).zip(block.by_logit.chunks_exact(n_out))
        {
            if c.takes_max {
                for class in 0..n_out {
                    let is_peak = record.peak_step[class] as usize == step;
                    let seed = if is_peak { by_logit[class] } else { R::ZERO };
                    lambda[class] = seed + c.decay * lambda[class];
                }
            } else {
                let v_out = &record.v_out[step * n_out..][..n_out];
                cells::read_out_adjoint(self.arch, *c, v_out, by_logit, lambda);
            }
        }
    }

    /// Adjoints through the membranes of all trials at a step, row `at` of the segment.
    fn cell_adjoints(
        &self,
        step: usize,
        at: usize,
        block: &Block<'_, R>,
        room: &mut BackwardScratch<R>,
    ) {
        let (n_e, n_i) = (self.params.n_e(), self.simulated_i());
        let (e, i) = (&mut room.e, &mut room.i);
        for (trial, record) in block.records.iter().enumerate() {
            for &cell in record.spikes_e.at(step) {
                e.v[trial * n_e + cell as usize] = R::ZERO;
            }
            for &cell in record.spikes_i.at(step) {
                i.v[trial * n_i + cell as usize] = R::ZERO;
            }
            if !block.by_spike.is_empty() {
                cells::add(self.arch, &mut e.s[trial * n_e..][..n_e], block.by_spike);
            }
        }
        let (c, trials) = (&self.constants, block.records.len());
        population_adjoint(self.arch, c.e, c, room.trace_e.step(at, trials), e);
        population_adjoint(self.arch, c.i, c, room.trace_i.step(at, trials), i);
    }

    /// Weight gradients of one step: one row for every event.
    fn add_gradients(
        &self,
        step: usize,
        block: &Block<'_, R>,
        room: &mut BackwardScratch<R>,
        gradients: &mut [R],
    ) {
        let c = &self.constants;
        let (n_e, n_i, n_out) = (self.params.n_e(), self.simulated_i(), self.params.n_out);
        let (e, i) = (&room.e, &room.i);
        let recurrent = [
            (MatrixName::WEe, c.kick_ampa, &e.ge, n_e),
            (MatrixName::WEi, c.kick_ampa, &i.ge, n_i),
            (MatrixName::WIe, c.kick_gaba, &e.gi, n_e),
            (MatrixName::WIi, c.kick_gaba, &i.gi, n_i),
        ]
        .map(|matrix| Some(matrix).filter(|m| !m.2.is_empty()));
        for (trial, record) in block.records.iter().enumerate() {
            let group = trial / TRIAL_GROUP * self.layout.trained_len;
            let gradient = &mut gradients[group..][..self.layout.trained_len];
            let row = |of: &'_ [R], n: usize| trial * n..trial * n + n.min(of.len());
            let events = block.batch.events_of(block.first + trial);
            let inputs = take_last(events, &mut room.inputs_left[trial], step);
            let inputs = inputs.iter().map(|e| e.input);
            let lambda = &e.ge[row(&e.ge, n_e)];
            self.add_rows(gradient, MatrixName::WIn, inputs, R::ONE, lambda);
            let (of_e, of_i) = (&record.spikes_e, &record.spikes_i);
            let lambda = &room.out[row(&room.out, n_out)];
            let fired = of_e.at(step).iter().copied();
            self.add_rows(gradient, MatrixName::WOut, fired, c.readout.gain, lambda);
            for (name, kick, lambda, n) in recurrent.iter().flatten().copied() {
                let from = match name {
                    MatrixName::WEe | MatrixName::WEi => of_e,
                    _ => of_i,
                };
                let fired = from.before(step).iter().copied();
                self.add_rows(gradient, name, fired, kick, &lambda[row(lambda, n)]);
            }
        }
    }

    /// Adds `factor · lambda` to the gradient rows of some presynaptic cells of a trained matrix.
    fn add_rows(
        &self,
        gradient: &mut [R],
        name: MatrixName,
        cells: impl Iterator<Item = u32>,
        factor: R,
        lambda: &[R],
    ) {
        let Some(slot) = self.layout.trained(name) else {
            return;
        };
        for cell in cells {
            let row = slot.offset + cell as usize * slot.post;
            add_scaled(self.arch, &mut gradient[row..][..slot.post], factor, lambda);
        }
    }
}

/// One step of the adjoint of all trials' cells of one population.
fn population_adjoint<R: Real>(
    arch: pulp::Arch,
    k: CellConstants<R>,
    c: &Constants<R>,
    [v, ge, gi]: [&[R]; 3],
    lambda: &mut Lambda<R>,
) {
    cells::adjoint(
        arch,
        k,
        [c.beta_ampa, c.beta_gaba],
        v,
        ge,
        gi,
        &lambda.s,
        &mut lambda.v,
        &mut lambda.ge,
        &mut lambda.gi,
    );
}

/// The events of `step`, which are the last of the first `left`; `left` moves before them.
fn take_last<'a>(events: &'a [Event], left: &mut usize, step: usize) -> &'a [Event] {
    let end = *left;
    while *left > 0 && events[*left - 1].step as usize == step {
        *left -= 1;
    }
    &events[*left..end]
}
