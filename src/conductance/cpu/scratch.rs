//! What one thread works in, kept from batch to batch.

use super::backward::{BackwardScratch, Block};
use super::clock::{Clock, CpuStage};
use super::network::PreparedNetwork;
use super::state::{Keep, TrialRecord, TrialScratch};
use crate::conductance::batch::{Batch, Disagreement, Forward, Request, Traces};
use crate::conductance::loss::cross_entropy;
use crate::real::Real;

/// Room for the trials of one thread, and the time it spends on them.
pub(super) struct ThreadScratch<R> {
    trial_scratch: TrialScratch<R>,
    /// Records of the trials of a block.
    records: Vec<TrialRecord<R>>,
    backward: Option<BackwardScratch<R>>,
    pub(super) clock: Clock,
}

/// What the blocks of a training batch have in common.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a, R> {
    pub(super) batch: &'a Batch,
    pub(super) request: Request<'a>,
    /// Gradient of the loss by one spike of each E cell; empty without a firing-rate penalty.
    pub(super) by_spike: &'a [R],
    pub(super) segment_steps: usize,
    /// Most trials of a block.
    pub(super) block_trials: usize,
}

/// What a block of trials leaves for the batch.
pub(super) struct BlockResult<R> {
    pub(super) logits: Vec<R>,
    pub(super) traces: Option<Traces>,
    pub(super) disagreements: Vec<Disagreement>,
    /// Spikes of all E and all I cells.
    pub(super) spikes: [u64; 2],
}

impl<R: Real> ThreadScratch<R> {
    /// Room for forward passes; the rest is made by the first block.
    pub(super) fn new(network: &PreparedNetwork<R>) -> Self {
        Self {
            trial_scratch: network.trial_scratch(),
            records: vec![TrialRecord::new(network.params.n_out)],
            backward: None,
            clock: Clock::new(),
        }
    }

    /// Runs one trial. `rows` receives its spikes.
    pub(super) fn forward(
        &mut self,
        network: &PreparedNetwork<R>,
        batch: &Batch,
        trial: usize,
        request: Request<'_>,
        rows: Option<&mut [u32]>,
    ) -> Forward {
        self.clock.start();
        let keep = Keep {
            segment_steps: None,
            imposed: request.imposed,
            traces: request.traces && trial == 0,
        };
        let (p, record) = (&network.params, &mut self.records[0]);
        let events = batch.events_of(trial);
        network.run_trial(trial, events, keep, rows, &mut self.trial_scratch, record);
        self.clock.lap(CpuStage::Forward);
        Forward {
            logits: record.logits.iter().map(|x| x.to_f64()).collect(),
            counts_e: record.spikes_e.counts(p.n_e()),
            counts_i: record.spikes_i.counts(p.n_i()),
            raster: None,
            traces: record.traces.take(),
            disagreements: std::mem::take(&mut record.disagreements),
        }
    }

    /// Runs the trials from `first` on forward and backward, as many as `gradients` has trial groups
    /// for; one flat vector a group is its gradient then. `rows` receive the trials' spikes.
    pub(super) fn train(
        &mut self,
        network: &PreparedNetwork<R>,
        pass: Pass<'_, R>,
        first: usize,
        rows: Vec<&mut [u32]>,
        gradients: &mut [R],
    ) -> BlockResult<R> {
        self.clock.start();
        let (p, batch) = (&network.params, pass.batch);
        let trials = pass.block_trials.min(batch.trials() - first);
        if self.records.len() < trials {
            self.records.resize(trials, TrialRecord::new(p.n_out));
        }
        let records = &mut self.records[..trials];
        let mut rows = rows.into_iter();
        for (trial, record) in (first..).zip(records.iter_mut()) {
            let keep = Keep {
                segment_steps: Some(pass.segment_steps),
                imposed: pass.request.imposed,
                traces: pass.request.traces && trial == 0,
            };
            let events = batch.events_of(trial);
            network.run_trial(
                trial,
                events,
                keep,
                rows.next(),
                &mut self.trial_scratch,
                record,
            );
        }
        self.clock.lap(CpuStage::Forward);

        let logits: Vec<R> = records.iter().flat_map(|r| &r.logits).copied().collect();
        let as_f64: Vec<f64> = logits.iter().map(|x| x.to_f64()).collect();
        let labels = &batch.labels[first..first + trials];
        let (_, by_logit) = cross_entropy(&as_f64, labels, p.n_out);
        let n = batch.trials() as f64;
        let by_logit: Vec<R> = by_logit.iter().map(|g| R::from_f64(g / n)).collect();
        let room = (self.backward.take())
            .filter(|room| room.trials() >= trials)
            .unwrap_or_else(|| network.backward_room(pass.block_trials, pass.segment_steps));
        let room = self.backward.insert(room);
        let block = Block {
            batch,
            first,
            records,
            by_logit: &by_logit,
            by_spike: pass.by_spike,
            segment_steps: pass.segment_steps,
            imposed: pass.request.imposed.is_some(),
        };
        gradients.fill(R::ZERO);
        network.backward(
            &block,
            room,
            &mut self.trial_scratch,
            gradients,
            &mut self.clock,
        );
        let spikes = [
            records.iter().map(|r| r.spikes_e.total()).sum(),
            records.iter().map(|r| r.spikes_i.total()).sum(),
        ];
        let disagreements = records
            .iter_mut()
            .map(|r| std::mem::take(&mut r.disagreements));
        BlockResult {
            logits,
            disagreements: disagreements.flatten().collect(),
            traces: records.iter_mut().find_map(|r| r.traces.take()),
            spikes,
        }
    }
}
