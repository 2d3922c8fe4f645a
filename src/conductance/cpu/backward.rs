//! The backward pass of one group of trials, step by step from the end.

use super::Network;
use super::cells::{self, add_scaled};
use super::state::{PopulationState, State, TrialRecord};
use crate::conductance::batch::Batch;
use crate::conductance::params::{CellConstants, Constants};
use crate::config::MatrixName;
use crate::data::Event;
use crate::real::Real;

/// Recorded states of one population over a segment, `[step, trial, cell]`.
struct Trace<R> {
    v: Vec<R>,
    ge: Vec<R>,
    gi: Vec<R>,
}

/// Adjoints of one population of all trials of the group, `[trial, cell]`.
struct Lambda<R> {
    s: Vec<R>,
    v: Vec<R>,
    ge: Vec<R>,
    gi: Vec<R>,
}

impl<R: Real> Lambda<R> {
    fn new(len: usize, len_gi: usize) -> Self {
        let zeros = |n| vec![R::ZERO; n];
        Self {
            s: zeros(len),
            v: zeros(len),
            ge: zeros(len),
            gi: zeros(len_gi),
        }
    }
}

impl<R: Real> Trace<R> {
    fn new(len: usize, len_gi: usize) -> Self {
        let zeros = |n| vec![R::ZERO; n];
        Self {
            v: zeros(len),
            ge: zeros(len),
            gi: zeros(len_gi),
        }
    }
}

/// Sizes of the group in flight.
struct Sizes {
    trials: usize,
    n_e: usize,
    /// Simulated I cells.
    n_i: usize,
}

impl<R: Real> Network<R> {
    /// Gradient of the trained matrices summed over the trials `first..first + records.len()`, in
    /// the order (step descending, trial ascending). `by_logit` is the loss's gradient by all logits
    /// of the batch, `by_spike` by one spike of each E cell.
    pub(super) fn backward(
        &self,
        batch: &Batch,
        first: usize,
        records: &[TrialRecord<R>],
        by_logit: &[R],
        by_spike: &[R],
        segment_steps: usize,
    ) -> Vec<R> {
        let (p, w) = (&self.params, &self.wiring);
        let n_i = if w.i_cells { p.n_i() } else { 0 };
        let size = Sizes {
            trials: records.len(),
            n_e: p.n_e(),
            n_i,
        };
        let (len_e, len_i) = (size.trials * size.n_e, size.trials * size.n_i);
        let with = |there: bool, n: usize| if there { n } else { 0 };
        let mut trace_e = Trace::new(segment_steps * len_e, segment_steps * with(w.ie, len_e));
        let mut trace_i = Trace::new(segment_steps * len_i, segment_steps * with(w.ii, len_i));
        let mut e = Lambda::new(len_e, with(w.ie, len_e));
        let mut i = Lambda::new(len_i, with(w.ii, len_i));
        let mut lambda_out = vec![R::ZERO; size.trials * p.n_out];
        let mut gradient = vec![R::ZERO; self.layout.trained_len];
        let events: Vec<&[Event]> = (first..first + size.trials)
            .map(|trial| batch.events_of(trial))
            .collect();
        let mut inputs_left: Vec<usize> = events.iter().map(|e| e.len()).collect();

        for segment in (0..p.steps.div_ceil(segment_steps)).rev() {
            let start = segment * segment_steps;
            let steps = start..(start + segment_steps).min(p.steps);
            self.record_segment(
                &events,
                records,
                segment,
                &steps,
                &mut trace_e,
                &mut trace_i,
            );
            for step in steps.clone().rev() {
                self.spike_adjoints(&size, &mut e, &mut i);
                let by_logit = &by_logit[first * p.n_out..];
                self.read_out_adjoint(step, records, by_logit, &mut lambda_out, &mut e.s);
                for (trial, record) in records.iter().enumerate() {
                    for &cell in record.spikes_e.at(step) {
                        e.v[trial * size.n_e + cell as usize] = R::ZERO;
                    }
                    for &cell in record.spikes_i.at(step) {
                        i.v[trial * size.n_i + cell as usize] = R::ZERO;
                    }
                    cells::add(
                        self.arch,
                        &mut e.s[trial * size.n_e..][..size.n_e],
                        by_spike,
                    );
                }
                let at = step - start;
                self.cell_adjoints(at, (&trace_e, &mut e), (&trace_i, &mut i));
                for (trial, record) in records.iter().enumerate() {
                    let left = &mut inputs_left[trial];
                    let begin =
                        events[trial][..*left].partition_point(|e| (e.step as usize) < step);
                    let inputs = &events[trial][begin..*left];
                    *left = begin;
                    let lambda_out = &lambda_out[trial * p.n_out..][..p.n_out];
                    let at = (trial, step);
                    self.add_gradients(
                        &size,
                        at,
                        inputs,
                        record,
                        &e,
                        &i,
                        lambda_out,
                        &mut gradient,
                    );
                }
            }
        }
        gradient
    }

    /// Replays a segment of every trial into the traces.
    fn record_segment(
        &self,
        events: &[&[Event]],
        records: &[TrialRecord<R>],
        segment: usize,
        steps: &std::ops::Range<usize>,
        trace_e: &mut Trace<R>,
        trace_i: &mut Trace<R>,
    ) {
        let trials = records.len();
        let mut scratch = self.scratch();
        for (trial, record) in records.iter().enumerate() {
            let mut state = record.checkpoints[segment].clone();
            let start = steps.start;
            let put = |trace: &mut Trace<R>, step: usize, population: &_| {
                let PopulationState { v, gi, .. } = population;
                let (n, n_gi) = (v.len(), gi.len());
                let row = (step - start) * trials + trial;
                State::record(
                    self.arch,
                    population,
                    &mut trace.v[row * n..][..n],
                    &mut trace.ge[row * n..][..n],
                    &mut trace.gi[row * n_gi..][..n_gi],
                );
            };
            self.replay(
                events[trial],
                record,
                &mut state,
                &mut scratch,
                steps.clone(),
                |step, s| {
                    put(trace_e, step, &s.e);
                    put(trace_i, step, &s.i);
                },
            );
        }
    }

    /// Adjoints of this step's spikes through the conductances of the next:
    /// λ_s = β W Λ(t + 1) over the matrices that leave a population.
    fn spike_adjoints(&self, size: &Sizes, e: &mut Lambda<R>, i: &mut Lambda<R>) {
        let (w, c) = (&self.wiring, &self.constants);
        let matrix = |name| self.transposed(name);
        e.s.fill(R::ZERO);
        i.s.fill(R::ZERO);
        let (n_e, n_i, trials) = (size.n_e, size.n_i, size.trials);
        if w.ei {
            back_product(
                &mut e.s,
                &i.ge,
                matrix(MatrixName::WEi),
                [trials, n_e, n_i],
                c.beta_ampa,
            );
        }
        if w.ee {
            back_product(
                &mut e.s,
                &e.ge,
                matrix(MatrixName::WEe),
                [trials, n_e, n_e],
                c.beta_ampa,
            );
        }
        if w.ie {
            back_product(
                &mut i.s,
                &e.gi,
                matrix(MatrixName::WIe),
                [trials, n_i, n_e],
                c.beta_gaba,
            );
        }
        if w.ii {
            back_product(
                &mut i.s,
                &i.gi,
                matrix(MatrixName::WIi),
                [trials, n_i, n_i],
                c.beta_gaba,
            );
        }
    }

    /// Adjoint of the read-out voltage before its reset, and its share in the E spikes.
    fn read_out_adjoint(
        &self,
        step: usize,
        records: &[TrialRecord<R>],
        by_logit: &[R],
        lambda_out: &mut [R],
        lambda_s: &mut [R],
    ) {
        let (c, n_out, n_e) = (
            &self.constants.readout,
            self.params.n_out,
            self.params.n_e(),
        );
        let w_out = self.transposed(MatrixName::WOut);
        for (trial, record) in records.iter().enumerate() {
            for class in 0..n_out {
                let lambda = &mut lambda_out[trial * n_out + class];
                let by_logit = by_logit[trial * n_out + class];
                let seed = match (c.takes_max, record.peak_step[class] as usize == step) {
                    (false, _) => by_logit * c.scale,
                    (true, true) => by_logit,
                    (true, false) => R::ZERO,
                };
                let passed = if c.resets {
                    let u = record.v_out[step * n_out + class] - c.threshold;
                    let distance = R::ONE + c.surrogate_slope * u.abs();
                    R::ONE - c.threshold * c.surrogate_slope / (distance * distance)
                } else {
                    R::ONE
                };
                *lambda = seed + c.decay * *lambda * passed;
                let row = &w_out[class * n_e..][..n_e];
                add_scaled(
                    self.arch,
                    &mut lambda_s[trial * n_e..][..n_e],
                    c.gain * *lambda,
                    row,
                );
            }
        }
    }

    /// Adjoints through the membranes of all trials at one step of the segment.
    fn cell_adjoints(
        &self,
        at: usize,
        (trace_e, e): (&Trace<R>, &mut Lambda<R>),
        (trace_i, i): (&Trace<R>, &mut Lambda<R>),
    ) {
        let c = &self.constants;
        population_adjoint(self.arch, c.e, c, trace_e, e, at);
        population_adjoint(self.arch, c.i, c, trace_i, i, at);
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
        if lambda.is_empty() {
            return;
        }
        for cell in cells {
            let row = slot.offset + cell as usize * slot.post;
            add_scaled(self.arch, &mut gradient[row..][..slot.post], factor, lambda);
        }
    }

    /// Weight gradients of one step of one trial: one row for every event.
    fn add_gradients(
        &self,
        size: &Sizes,
        (trial, step): (usize, usize),
        inputs: &[Event],
        record: &TrialRecord<R>,
        e: &Lambda<R>,
        i: &Lambda<R>,
        lambda_out: &[R],
        gradient: &mut [R],
    ) {
        let c = &self.constants;
        let (n_e, n_i) = (size.n_e, size.n_i);
        let of = |x: &'_ [R], n: usize| {
            if x.is_empty() {
                0..0
            } else {
                trial * n..(trial + 1) * n
            }
        };
        let (ge_e, gi_e) = (&e.ge[of(&e.ge, n_e)], &e.gi[of(&e.gi, n_e)]);
        let (ge_i, gi_i) = (&i.ge[of(&i.ge, n_i)], &i.gi[of(&i.gi, n_i)]);
        let (a, g) = (c.beta_ampa, c.beta_gaba);
        self.add_rows(
            gradient,
            MatrixName::WIn,
            inputs.iter().map(|e| e.input),
            R::ONE,
            ge_e,
        );
        self.add_rows(
            gradient,
            MatrixName::WEe,
            record.spikes_e.before(step).iter().copied(),
            a,
            ge_e,
        );
        self.add_rows(
            gradient,
            MatrixName::WEi,
            record.spikes_e.before(step).iter().copied(),
            a,
            ge_i,
        );
        self.add_rows(
            gradient,
            MatrixName::WIe,
            record.spikes_i.before(step).iter().copied(),
            g,
            gi_e,
        );
        self.add_rows(
            gradient,
            MatrixName::WIi,
            record.spikes_i.before(step).iter().copied(),
            g,
            gi_i,
        );
        let gain = c.readout.gain;
        self.add_rows(
            gradient,
            MatrixName::WOut,
            record.spikes_e.at(step).iter().copied(),
            gain,
            lambda_out,
        );
    }
}

/// One step of the adjoint of all trials' cells of one population.
fn population_adjoint<R: Real>(
    arch: pulp::Arch,
    k: CellConstants<R>,
    c: &Constants<R>,
    trace: &Trace<R>,
    lambda: &mut Lambda<R>,
    at: usize,
) {
    let (len, len_gi) = (lambda.v.len(), lambda.gi.len());
    cells::adjoint(
        arch,
        k,
        [c.beta_ampa, c.beta_gaba],
        &trace.v[at * len..][..len],
        &trace.ge[at * len..][..len],
        &trace.gi[at * len_gi..][..len_gi],
        &lambda.s,
        &mut lambda.v,
        &mut lambda.ge,
        &mut lambda.gi,
    );
}

/// `out[trial, pre] += factor · Σ_post lambda[trial, post] · w[post, pre]`. In the terms of the library,
/// whose matrices are column-major, all three then lie as its kernel reads them and nothing is repacked.
fn back_product<R: Real>(
    out: &mut [R],
    lambda: &[R],
    w: &[R],
    [trials, pre, post]: [usize; 3],
    factor: R,
) {
    assert!(out.len() == trials * pre && lambda.len() == trials * post && w.len() == pre * post);
    let (row, column) = (1, |height: usize| height as isize);
    // SAFETY: the three slices have the sizes their strides address (asserted above), `out` is
    // borrowed exclusively, and `R` is f32 or f64, which the library supports.
    unsafe {
        gemm::gemm(
            pre,
            trials,
            post,
            out.as_mut_ptr(),
            column(pre),
            row,
            true,
            w.as_ptr(),
            column(pre),
            row,
            lambda.as_ptr(),
            column(post),
            row,
            R::ONE,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
