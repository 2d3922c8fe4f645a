//! Trials on their way to the device, and results on their way back.

use super::GpuEngine;
use super::input_rows::Shape;
use super::kernels::TraceOffsets;
use super::plan::Chunk;
use super::plan::{MAX_DISAGREEMENTS, disagreement_words};
use crate::conductance::batch::{
    Batch, Disagreement, Forward, Population, Request, SpikeBits, Traces,
};
use crate::conductance::engine::{EngineError, Gradient};
use crate::conductance::loss::{cross_entropy, rate_penalty};
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::Slot;
use crate::conductance::{TRIAL_GROUP, check_batch};
use crate::gpu::{GpuError, Reading};
use crate::optim::gpu::{clip_words, partials, squares};
use crate::text::count;

/// A batch whose results are on their way.
pub(super) struct Begun {
    reading: Reading<4>,
    labels: Vec<u32>,
}

/// What came of a batch.
pub(super) struct Finished {
    pub(super) gradient: Gradient,
    /// Σ g² and Σ w² of each trained matrix.
    pub(super) squares: Vec<[f64; 2]>,
    /// Words of the clip factor.
    pub(super) clip: Vec<u32>,
}

impl GpuEngine {
    /// Refuses a batch that does not fit the network or the plan.
    pub(super) fn checked(&self, batch: &Batch, request: Request<'_>) -> Result<(), EngineError> {
        check_batch(&self.plan.params, batch, request)?;
        if self.plan.memory.chunk_trials < batch.trials()
            && self.plan.memory.chunk_trials < TRIAL_GROUP
        {
            return Err(EngineError::Memory(format!(
                "the engine was made for batches of up to {}, this one has {}",
                count(self.plan.batch_trials, "trial", "trials"),
                batch.trials()
            )));
        }
        Ok(())
    }

    /// Sends the trials of a batch to the device.
    pub(super) fn upload(&mut self, batch: &Batch) -> Result<(), GpuError> {
        let (trials, events, n_out) = (batch.trials(), batch.events.len(), self.plan.params.n_out);
        for (name, words) in [
            ("events", 2 * events),
            ("row_events", events),
            // Each event may have a row of its own; one more entry ends the last.
            ("rows", 2 * (events + 1)),
            ("offsets", batch.offsets.len()),
            ("labels", batch.labels.len()),
            ("by_logit", 2 * trials * n_out),
            ("logits", trials * n_out),
        ] {
            self.program.fit(name, words)?;
        }
        let most = batch
            .offsets
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as usize);
        let most = most.max().unwrap_or(0);
        self.forward_steps = self.plan.memory.forward_steps_with(most, &self.plan.params);
        self.program.write("events", 0, &batch.events)?;
        self.program.write("offsets", 0, &batch.offsets)?;
        self.program.write("labels", 0, &batch.labels)
    }

    /// Sends the input events of a chunk ordered for the gradient.
    pub(super) fn upload_input_rows(
        &mut self,
        batch: &Batch,
        chunk: Chunk,
    ) -> Result<(), GpuError> {
        let Some(slot) = self.plan.layout.trained(MatrixName::WIn) else {
            return Ok(());
        };
        let shape = Shape {
            n_in: slot.pre,
            columns: slot.post,
            steps: self.plan.params.steps,
            segment_steps: self.plan.memory.segment_steps,
            trained_len: self.plan.layout.trained_len,
            gradient_at: slot.offset,
        };
        self.input_rows.renew(batch, chunk, shape);
        let lists = &self.input_rows;
        self.program.write("rows", 0, &lists.rows)?;
        self.program.write("row_events", 0, &lists.events)
    }

    /// Words of spikes of `trials` trials.
    pub(super) fn raster_words(&self, trials: usize) -> usize {
        let (p, cells) = (
            &self.plan.params,
            [
                self.plan.params.n_e(),
                self.plan.params.n_i(),
                self.plan.params.n_out,
            ],
        );
        SpikeBits::silent(0, p.steps, cells).row_words() * p.steps * trials
    }

    /// Forward pass of one chunk; counts and raster are read back where `forward` wants them.
    pub(super) fn forward_chunk(
        &mut self,
        chunk: Chunk,
        request: Request<'_>,
        keep_states: bool,
        forward: &mut Forward,
    ) -> Result<(), GpuError> {
        let words = self.raster_words(chunk.offset)..self.raster_words(chunk.offset + chunk.trials);
        if let Some(imposed) = request.imposed {
            self.program
                .write("spikes", 0, &imposed.words[words.clone()])?;
        }
        let dispatches = self.dispatches(chunk).forward(keep_states);
        self.program.run(&dispatches)?;
        if let Some(raster) = &mut forward.raster {
            let read = self.program.read("spikes", 0..words.len())?;
            raster.words[words].copy_from_slice(&read);
        }
        Ok(())
    }

    pub(super) fn empty_forward(&self, batch: &Batch, request: Request<'_>) -> Forward {
        let p = &self.plan.params;
        let cells = [p.n_e(), p.n_i(), p.n_out];
        let raster = request
            .raster
            .then(|| SpikeBits::silent(batch.trials(), p.steps, cells));
        Forward {
            raster,
            ..Forward::default()
        }
    }

    /// Spike counts of a chunk that has run.
    pub(super) fn read_counts(&self, chunk: Chunk, forward: &mut Forward) -> Result<(), GpuError> {
        let (n_e, n_i) = (self.plan.params.n_e(), self.plan.params.n_i());
        let counts = self
            .program
            .read::<u32>("counts", 0..chunk.trials * (n_e + n_i))?;
        for row in counts.chunks_exact(n_e + n_i) {
            forward.counts_e.extend_from_slice(&row[..n_e]);
            forward.counts_i.extend_from_slice(&row[n_e..]);
        }
        Ok(())
    }

    pub(super) fn read_logits(&self, batch: &Batch) -> Result<Vec<f64>, GpuError> {
        let n = batch.trials() * self.plan.params.n_out;
        let logits = self.program.read::<f32>("logits", 0..n)?;
        Ok(logits.into_iter().map(f64::from).collect())
    }

    /// Begins to read what a gradient and the step after it leave: logits, spikes as
    /// [`read_totals`](Self::read_totals) does, norms and clip factor.
    pub(super) fn start_reading_outcome(&self, batch: &Batch) -> Result<Begun, GpuError> {
        let params = &self.plan.params;
        let parts = [
            ("logits", 0..batch.trials() * params.n_out),
            ("totals", 0..params.n_e() + params.n_i()),
            partials(self.plan.layout.trained_slots().count()),
            clip_words(1),
        ];
        Ok(Begun {
            reading: self.program.start_reading(parts)?,
            labels: batch.labels.clone(),
        })
    }

    /// Waits for that: loss and spikes, and what is needed of the step.
    pub(super) fn finish_reading_outcome(&self, begun: Begun) -> Result<Finished, GpuError> {
        let Begun { reading, labels } = begun;
        let [logits, totals, partials, clip] = self.gpu.finish_reading(reading)?;
        let params = &self.plan.params;
        let logits = logits.into_iter().map(f32::from_bits);
        let forward = Forward {
            logits: logits.map(f64::from).collect(),
            ..Forward::default()
        };
        let (scores, _) = cross_entropy(&forward.logits, &labels, params.n_out);
        let trials = labels.len() as f64;
        let mut loss = scores.cross_entropy_sum / trials;
        let (of_e, of_i) = totals.split_at(params.n_e());
        let strength = params.training.rate_strength;
        if strength > 0.0 {
            let theta = params.training.rate_theta_hz;
            let seconds = params.duration_s() * trials;
            loss += rate_penalty(of_e, params.n_e(), seconds, theta, strength).0;
        }
        let sum = |counts: &[u32]| counts.iter().map(|&n| u64::from(n)).sum();
        let lens: Vec<usize> = self.plan.layout.trained_slots().map(Slot::len).collect();
        Ok(Finished {
            gradient: Gradient {
                scores,
                loss,
                spikes_e: sum(of_e),
                spikes_i: sum(of_i),
                forward,
            },
            squares: squares(&partials, &lens),
            clip,
        })
    }

    /// Empties the list of disagreements, to which only batches with imposed spikes write.
    pub(super) fn forget_disagreements(&mut self, request: Request<'_>) -> Result<(), GpuError> {
        if request.imposed.is_none() {
            return Ok(());
        }
        let words = disagreement_words(MAX_DISAGREEMENTS);
        self.program.fit("disagreements", words)?;
        self.program.write("disagreements", 0, &[0u32; 4])
    }

    pub(super) fn read_disagreements(&self) -> Result<Vec<Disagreement>, GpuError> {
        let count = self.program.read::<u32>("disagreements", 0..1)?[0] as usize;
        let listed = count.min(MAX_DISAGREEMENTS);
        let words = self
            .program
            .read::<u32>("disagreements", 0..disagreement_words(listed))?;
        let mut all: Vec<Disagreement> = words[4..]
            .chunks_exact(4)
            .map(|w| Disagreement {
                trial: w[0] as usize,
                step: w[1] as usize,
                population: match (w[2] >> 20) & 3 {
                    0 => Population::E,
                    1 => Population::I,
                    _ => Population::Out,
                },
                cell: (w[2] & 0xf_ffff) as usize,
                value: f64::from(f32::from_bits(w[3])),
                fires: w[2] >> 24 == 1,
            })
            .collect();
        all.sort_by_key(|d| (d.trial, d.step, d.population, d.cell));
        Ok(all)
    }

    /// Traces of the batch's first trial, from the saved states of a chunk that has run.
    pub(super) fn read_traces(&mut self, chunk: Chunk) -> Result<Traces, GpuError> {
        let (p, w) = (self.plan.params.clone(), self.plan.wiring);
        let (n_e, n_i) = (p.n_e(), p.n_i());
        let at = TraceOffsets::new(&p, &w);
        let row_len = self.plan.rows.trace;
        let mut traces = Traces::default();
        for segment in 0..p.steps.div_ceil(self.plan.memory.segment_steps) {
            let mut dispatches = self.dispatches(chunk).enter_stretch(segment, false);
            dispatches.extend(self.dispatches(chunk).replay(segment, true));
            self.program.run(&dispatches)?;
            let first = segment * self.plan.memory.segment_steps;
            let steps = self.plan.memory.segment_steps.min(p.steps - first);
            let rows = self
                .program
                .read::<f32>("trace", 0..((steps - 1) * chunk.trials + 1) * row_len)?;
            for step in 0..steps {
                let row = &rows[step * chunk.trials * row_len..][..row_len];
                let put = |to: &mut Vec<f64>, there: bool, at: usize, n: usize, rest: f64| {
                    to.extend((0..n).map(|c| if there { f64::from(row[at + c]) } else { rest }));
                };
                put(&mut traces.v_e, true, at.v_e, n_e, 0.0);
                put(&mut traces.g_exc_e, true, at.ge_e, n_e, 0.0);
                put(&mut traces.g_inh_e, w.ie, at.gi_e, n_e, 0.0);
                put(&mut traces.v_i, w.i_cells, at.v_i, n_i, p.network.e_l_mv);
                put(&mut traces.g_exc_i, w.i_cells, at.ge_i, n_i, 0.0);
                put(&mut traces.g_inh_i, w.ii, at.gi_i, n_i, 0.0);
            }
        }
        Ok(traces)
    }

    /// Spikes of each E cell, then of each I cell, over the trials of the batch that have run.
    pub(super) fn read_totals(&self) -> Result<Vec<u32>, GpuError> {
        let cells = self.plan.params.n_e() + self.plan.params.n_i();
        self.program.read("totals", 0..cells)
    }
}
