//! The CPU engine: groups of trials on worker threads, every sum in a fixed order.

mod effective;
mod group;
mod workers;

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use super::TRIAL_GROUP;
use super::batch::Batch;
use super::engine::{Engine, EngineError, Forward, Quantity, StepPlan, StepReport, rule_at};
use super::loss::Scores;
use super::params::Params;
use super::weights::{Layout, Link};
use crate::optim::sum_of_squares;
use crate::real::{Lines, Real, zeros};
use effective::{Effective, chain, combine};
use group::Network;

pub use workers::Workers;

/// Trains and runs one network on the CPU, in single (`f32`) or double precision.
pub struct CpuEngine<R> {
    params: Params,
    layout: Layout,
    workers: Arc<Workers<R>>,
    arch: Arch,
    stored: Lines<R>,
    effective: Effective<R>,
    /// By the stored tensors.
    gradient: Lines<R>,
    m: Lines<R>,
    v: Lines<R>,
    steps: u64,
}

/// What a group of trials leaves behind.
struct GroupResult<R> {
    scores: Scores,
    outputs: Vec<R>,
    /// By effective matrices, then biases; empty without learning.
    gradient: Vec<R>,
}

impl<R: Real> CpuEngine<R> {
    /// An engine with fresh optimiser state; `weights` as [`Layout::flatten`] gives them.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(params: Params, weights: &[f32], threads: usize) -> Result<Self, EngineError> {
        Ok(Self::with_workers(
            params,
            weights,
            Arc::new(Workers::new(threads)?),
        ))
    }

    /// The same on worker threads that other engines may use, too.
    pub fn with_workers(params: Params, weights: &[f32], workers: Arc<Workers<R>>) -> Self {
        let layout = Layout::new(&params);
        let mut engine = Self {
            workers,
            arch: Arch::new(),
            stored: zeros(layout.len),
            effective: Effective::new(&layout),
            gradient: zeros(layout.len),
            m: zeros(layout.len),
            v: zeros(layout.len),
            steps: 0,
            params,
            layout,
        };
        take(&mut engine.stored, weights);
        engine
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.workers.threads()
    }

    /// Runs the groups of a batch, each on a thread, and hands their results over in order.
    fn run(&mut self, batch: &Batch, learn: bool, every_step: bool) -> Vec<GroupResult<R>> {
        self.effective
            .renew(self.arch, &self.layout, &self.stored, learn);
        let network = Network {
            arch: self.arch,
            params: &self.params,
            layout: &self.layout,
            effective: &self.effective,
            stored: &self.stored,
        };
        let workers = &self.workers;
        let run = |first: usize| {
            let own = workers.scratch().pop();
            let mut own = own.unwrap_or_default();
            let rows = TRIAL_GROUP.min(batch.trials - first);
            own.begin(&network, batch, first..first + rows);
            own.forward(&network, batch, every_step);
            let scores = own.score(&network, batch);
            let gradient = match learn {
                true => own.backward(&network),
                false => Vec::new(),
            };
            let outputs = own.outputs(every_step);
            workers.scratch().push(own);
            GroupResult {
                scores,
                outputs,
                gradient,
            }
        };
        let firsts: Vec<usize> = (0..batch.trials).step_by(TRIAL_GROUP).collect();
        // Where there are engines enough for all threads, each computes on the thread that asks: to wake another takes up
        // to a tenth of a small batch.
        let engines = Arc::strong_count(&self.workers);
        if firsts.len() == 1 || engines > self.workers.threads() {
            let _turn = self.workers.turn();
            return firsts.into_iter().map(run).collect();
        }
        self.workers
            .pool
            .install(|| firsts.into_par_iter().map(run).collect())
    }
}

impl<R: Real> Engine for CpuEngine<R> {
    fn params(&self) -> &Params {
        &self.params
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn forward(&mut self, batch: &Batch, every_step: bool) -> Result<Forward, EngineError> {
        batch.check(&self.params)?;
        let results = self.run(batch, false, every_step);
        let n_out = self.params.n_out;
        let steps = if every_step {
            batch.steps
        } else {
            batch.scored_steps(&self.params)
        };
        let mut forward = Forward {
            outputs: vec![0.0; steps * batch.trials * n_out],
            ..Forward::default()
        };
        for (group, result) in results.iter().enumerate() {
            forward.scores.add(&result.scores);
            let rows = result.outputs.len() / (steps * n_out);
            for (step, outputs) in result.outputs.chunks_exact(rows * n_out).enumerate() {
                let first = step * batch.trials + group * TRIAL_GROUP;
                let to = &mut forward.outputs[first * n_out..][..outputs.len()];
                for (to, x) in to.iter_mut().zip(outputs) {
                    *to = x.to_f64();
                }
            }
        }
        Ok(forward)
    }

    fn gradient(&mut self, batch: &Batch) -> Result<Scores, EngineError> {
        batch.check(&self.params)?;
        let results = self.run(batch, true, false);
        let mut scores = Scores::default();
        let mut total = zeros(0);
        for result in results {
            scores.add(&result.scores);
            if total.is_empty() {
                total.extend_from_slice(&result.gradient);
            } else {
                for (sum, g) in total.iter_mut().zip(&result.gradient) {
                    *sum += *g;
                }
            }
        }
        chain(
            self.arch,
            &self.layout,
            &self.stored,
            &total,
            &mut self.gradient,
        );
        Ok(scores)
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let norms = |flat: &[R]| -> Vec<f64> {
            let tensors = self.layout.tensors.iter();
            tensors
                .map(|t| sum_of_squares(&flat[t.range()]).sqrt())
                .collect()
        };
        let (gradients, weights) = (norms(&self.gradient), norms(&self.stored));
        let plan = StepPlan::new(&self.params, &self.layout, &gradients, &weights);
        if plan.report.skipped {
            return Ok(plan.report);
        }
        self.steps += 1;
        let (rule, adam) = rule_at(&self.params, self.steps);
        for (tensor, factor) in self.layout.tensors.iter().zip(&plan.factors) {
            let range = tensor.range();
            adam.update(
                &rule,
                self.steps,
                *factor,
                tensor.constraint,
                &self.gradient[range.clone()],
                &mut self.m[range.clone()],
                &mut self.v[range.clone()],
                &mut self.stored[range],
            );
        }
        Ok(plan.report)
    }

    fn read(&mut self, quantity: Quantity) -> Result<Vec<f64>, EngineError> {
        let flat = match quantity {
            Quantity::Weights => &self.stored,
            Quantity::Gradient => &self.gradient,
            Quantity::AdamM => &self.m,
            Quantity::AdamV => &self.v,
        };
        Ok(flat.iter().map(|x| x.to_f64()).collect())
    }

    fn optimiser_steps(&self) -> u64 {
        self.steps
    }

    fn load(&mut self, weights: &[f32]) -> Result<(), EngineError> {
        take(&mut self.stored, weights);
        Ok(())
    }

    fn restore(&mut self, m: &[f32], v: &[f32], steps: u64) -> Result<(), EngineError> {
        take(&mut self.m, m);
        take(&mut self.v, v);
        self.steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        let threads = crate::text::count(self.workers.threads(), "thread", "threads");
        format!("CPU engine, {threads}")
    }
}

/// An effective matrix, `[post, pre]`, in double precision.
pub fn effective_matrix(layout: &Layout, link: &Link, stored: &[f64]) -> Vec<f64> {
    let mut matrix = vec![0.0; link.post * link.pre];
    combine(Arch::new(), layout, link, stored, &mut matrix);
    matrix
}

fn take<R: Real>(to: &mut [R], from: &[f32]) {
    for (to, &x) in to.iter_mut().zip(from) {
        *to = R::from_f64(x.into());
    }
}
