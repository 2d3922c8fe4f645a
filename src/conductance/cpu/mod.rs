//! The CPU engine, generic over `f32` (a product for machines without a GPU) and `f64` (the
//! reference).
//!
//! Trials are independent, so the forward pass runs one trial after another on each thread with its
//! whole state in the nearest cache; spikes travel as lists, so a step costs what it must. The
//! backward pass takes a group of [`TRIAL_GROUP`] trials at a time: the transposed loop products
//! of all its trials are then two real matrix products a step. States are not kept but replayed
//! from checkpoints, a segment at a time.
//!
//! Gradients are summed within a group in one fixed order and then over groups in order, so
//! neither the number of threads nor the segment length changes a bit.

mod backward;
mod cells;
mod state;
mod trial;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::conductance::batch::{Batch, Forward, Raster, Request};
use crate::conductance::engine::{Engine, EngineError, Gradient, Quantity, StepReport};
use crate::conductance::loss::{cross_entropy, rate_penalty};
use crate::conductance::params::{Constants, Params};
use crate::conductance::weights::{Layout, Weights, Wiring};
use crate::conductance::{TRIAL_GROUP, check_batch};
use crate::config::MatrixName;
use crate::optim::{Adam, sum_of_squares};
use crate::real::Real;
use state::{Keep, TrialRecord};

/// The equations with their constants and effective weights: all that a pass reads.
struct Network<R> {
    params: Params,
    constants: Constants<R>,
    layout: Layout,
    wiring: Wiring,
    /// Weights as the forward pass uses them, flat.
    effective: Vec<R>,
    /// The same transposed, `[post, pre]` each, of all matrices but W_in: the backward pass reads
    /// them in this direction.
    transposed: BTreeMap<MatrixName, Vec<R>>,
    /// Offset and row length of each matrix in `effective`.
    rows: [(usize, usize); 6],
    arch: pulp::Arch,
}

impl<R: Real> Network<R> {
    /// One row of an effective matrix.
    #[inline(always)]
    fn row(&self, name: MatrixName, pre: usize) -> &[R] {
        let (offset, post) = self.rows[name as usize];
        &self.effective[offset + pre * post..][..post]
    }

    /// One effective matrix, `[post, pre]`; empty where there is none.
    fn transposed(&self, name: MatrixName) -> &[R] {
        self.transposed.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Takes over changed stored weights.
    fn refresh(&mut self, stored: &[R]) {
        for slot in &self.layout.slots {
            let effective = &mut self.effective[slot.range()];
            for (to, &w) in effective.iter_mut().zip(&stored[slot.range()]) {
                *to = if slot.clamped { w.at_least(R::ZERO) } else { w };
            }
        }
        for slot in self
            .layout
            .slots
            .iter()
            .filter(|s| s.name != MatrixName::WIn && s.active)
        {
            let fresh = !self.transposed.contains_key(&slot.name);
            if slot.trained || fresh {
                let from = &self.effective[slot.range()];
                let to = self.transposed.entry(slot.name).or_default();
                to.clear();
                to.extend(
                    (0..slot.post).flat_map(|c| from[c..].iter().step_by(slot.post).copied()),
                );
            }
        }
    }
}

/// Trains and runs one network on the CPU.
pub struct CpuEngine<R> {
    network: Network<R>,
    adam: Adam,
    stored: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
    gradient: Vec<R>,
    optimiser_steps: u64,
    segment_steps: usize,
    pool: rayon::ThreadPool,
}

impl<R: Real> CpuEngine<R> {
    /// An engine on `threads` threads (0: all cores) with fresh optimiser state. `segment_steps` is
    /// the distance of the checkpoints; it changes memory and time, not results.
    ///
    /// # Errors
    /// Weights that do not fit the network, or threads that cannot be started.
    pub fn new(
        params: Params,
        weights: &Weights,
        threads: usize,
        segment_steps: usize,
    ) -> Result<Self, EngineError> {
        let layout = Layout::new(&params, weights)?;
        let stored: Vec<R> = layout
            .flatten(weights)
            .into_iter()
            .map(|w| R::from_f64(f64::from(w)))
            .collect();
        let mut rows = [(0, 0); 6];
        for slot in &layout.slots {
            rows[slot.name as usize] = (slot.offset, slot.post);
        }
        let mut network = Network {
            constants: params.constants(),
            wiring: Wiring::new(&params, &layout),
            effective: stored.clone(),
            transposed: BTreeMap::new(),
            rows,
            arch: pulp::Arch::new(),
            layout,
            params,
        };
        network.refresh(&stored);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| EngineError::Threads(e.to_string()))?;
        let trained = network.layout.trained_len;
        Ok(Self {
            adam: Adam::new(&network.params.training),
            stored,
            m: vec![R::ZERO; trained],
            v: vec![R::ZERO; trained],
            gradient: vec![R::ZERO; trained],
            optimiser_steps: 0,
            segment_steps: segment_steps.clamp(1, network.params.steps),
            network,
            pool,
        })
    }

    /// Forward pass of all trials in parallel.
    fn run(
        &self,
        batch: &Batch,
        request: Request<'_>,
        segment_steps: Option<usize>,
    ) -> (Forward, Vec<TrialRecord<R>>) {
        let (net, p) = (&self.network, &self.network.params);
        let trials = batch.trials();
        let cells = [p.n_e(), p.n_i(), p.n_out];
        let mut raster = request
            .raster
            .then(|| Raster::silent(trials, p.steps, cells));
        let row = Raster::silent(0, p.steps, cells).row_words() * p.steps;
        let rows: Vec<Option<&mut [u32]>> = match &mut raster {
            Some(raster) => raster.words.chunks_exact_mut(row).map(Some).collect(),
            None => (0..trials).map(|_| None).collect(),
        };
        let records: Vec<TrialRecord<R>> = self.pool.install(|| {
            rows.into_par_iter()
                .enumerate()
                .map(|(trial, row)| {
                    let keep = Keep {
                        segment_steps,
                        history: request.history,
                        traces: request.traces && trial == 0,
                    };
                    net.run_trial(trial, batch.events_of(trial), keep, row)
                })
                .collect()
        });
        let mut forward = Forward {
            raster,
            ..Forward::default()
        };
        for record in &records {
            forward
                .logits
                .extend(record.logits.iter().map(|x| x.to_f64()));
            forward.counts_e.extend(record.spikes_e.counts(p.n_e()));
            forward.counts_i.extend(record.spikes_i.counts(p.n_i()));
            forward
                .disagreements
                .extend_from_slice(&record.disagreements);
            forward.traces = forward.traces.or_else(|| record.traces.clone());
        }
        (forward, records)
    }

    fn by_matrix(&self, flat: &[R]) -> BTreeMap<MatrixName, Vec<f64>> {
        let slots = self
            .network
            .layout
            .slots
            .iter()
            .filter(|s| s.range().end <= flat.len());
        slots
            .map(|s| (s.name, flat[s.range()].iter().map(|x| x.to_f64()).collect()))
            .collect()
    }
}

impl<R: Real> Engine for CpuEngine<R> {
    fn params(&self) -> &Params {
        &self.network.params
    }

    fn forward(&mut self, batch: &Batch, request: Request<'_>) -> Result<Forward, EngineError> {
        check_batch(&self.network.params, batch, request)?;
        Ok(self.run(batch, request, None).0)
    }

    fn gradient(&mut self, batch: &Batch, request: Request<'_>) -> Result<Gradient, EngineError> {
        check_batch(&self.network.params, batch, request)?;
        let (mut forward, records) = self.run(batch, request, Some(self.segment_steps));
        let (net, p) = (&self.network, &self.network.params);
        let (scores, by_logit) = cross_entropy(&forward.logits, &batch.labels, p.n_out);
        let (penalty, by_spike) = rate_penalty(
            &forward.counts_e,
            p.n_e(),
            p.duration_s(),
            p.training.rate_theta_hz,
            p.training.rate_strength,
        );
        let by_logit: Vec<R> = by_logit.into_iter().map(R::from_f64).collect();
        let by_spike: Vec<R> = by_spike.into_iter().map(R::from_f64).collect();
        let groups: Vec<Vec<R>> = self.pool.install(|| {
            records
                .par_chunks(TRIAL_GROUP)
                .enumerate()
                .map(|(group, records)| {
                    let first = group * TRIAL_GROUP;
                    let segment = self.segment_steps;
                    net.backward(batch, first, records, &by_logit, &by_spike, segment)
                })
                .collect()
        });
        self.gradient.fill(R::ZERO);
        for group in &groups {
            cells::add(net.arch, &mut self.gradient, group);
        }
        for slot in net.layout.trained_slots().filter(|s| s.clamped) {
            for (g, w) in self.gradient[slot.range()]
                .iter_mut()
                .zip(&self.stored[slot.range()])
            {
                if *w < R::ZERO {
                    *g = R::ZERO;
                }
            }
        }
        forward.counts_e.clear();
        forward.counts_i.clear();
        let loss = scores.cross_entropy_sum / batch.trials() as f64 + penalty;
        Ok(Gradient {
            forward,
            scores,
            loss,
        })
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let layout = &self.network.layout;
        let mut report = StepReport::default();
        let mut total = 0.0;
        for slot in layout.trained_slots() {
            let squares = sum_of_squares(&self.gradient[slot.range()]);
            total += squares;
            report.gradient_norm_of.insert(slot.name, squares.sqrt());
            let weights = sum_of_squares(&self.stored[slot.range()]);
            report.weight_norm_of.insert(slot.name, weights.sqrt());
        }
        report.gradient_norm = total.sqrt();
        report.clip_factor = self.adam.clip_factor(report.gradient_norm);
        report.skipped = !report.gradient_norm.is_finite();
        if report.skipped {
            return Ok(report);
        }
        self.optimiser_steps += 1;
        for slot in layout.trained_slots() {
            let range = slot.range();
            self.adam.update(
                self.optimiser_steps,
                report.clip_factor,
                slot.projected,
                &self.gradient[range.clone()],
                &mut self.m[range.clone()],
                &mut self.v[range.clone()],
                &mut self.stored[range],
            );
        }
        self.network.refresh(&self.stored);
        Ok(report)
    }

    fn read(&mut self, quantity: Quantity) -> Result<BTreeMap<MatrixName, Vec<f64>>, EngineError> {
        Ok(self.by_matrix(match quantity {
            Quantity::Weights => &self.stored,
            Quantity::Gradient => &self.gradient,
            Quantity::AdamM => &self.m,
            Quantity::AdamV => &self.v,
        }))
    }

    fn optimiser_steps(&self) -> u64 {
        self.optimiser_steps
    }

    fn restore(&mut self, m: &Weights, v: &Weights, steps: u64) -> Result<(), EngineError> {
        for (flat, from) in [(&mut self.m, m), (&mut self.v, v)] {
            for slot in self.network.layout.trained_slots() {
                let values = crate::conductance::engine::moment(slot, from)?;
                for (to, &x) in flat[slot.range()].iter_mut().zip(values) {
                    *to = R::from_f64(f64::from(x));
                }
            }
        }
        self.optimiser_steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        format!("CPU engine, {} threads", self.pool.current_num_threads())
    }
}
