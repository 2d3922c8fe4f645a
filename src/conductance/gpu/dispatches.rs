//! The dispatches of one chunk of trials, in order, with what each is told.

use super::flags::forward;
use super::input_rows::InputRows;
use super::kernels::TraceOffsets;
use super::plan::{Chunk, GpuPlan};
use super::steps::{
    BackwardOneStep, BackwardReadoutStep, BackwardStep, ForwardStep, GradientInputsStep,
    GradientSpikesStep, LossStep, STEP_WORDS, SpikeTotalsStep, Step, SumGroupsStep,
};
use super::tiles::{StepTiles, WORKGROUP, WORKGROUP_COLUMNS};
use crate::conductance::batch::{Population, SpikeBits};
use crate::conductance::settings::MatrixName;
use crate::gpu::linear_grid;

/// One dispatch of a kernel of this family.
pub(super) type KernelDispatch = crate::gpu::Dispatch<STEP_WORDS>;

/// A dispatch of the kernel that `step` is for.
pub(super) fn dispatch<S: Step>(stage: &'static str, grid: [usize; 3], step: S) -> KernelDispatch {
    KernelDispatch {
        stage,
        kernel: S::KERNEL as usize,
        grid: grid.map(|n| n as u32),
        uniform: step.words(),
    }
}

/// Lists the dispatches of one chunk under one plan.
pub(super) struct DispatchBuilder<'a> {
    pub(super) plan: &'a GpuPlan,
    pub(super) chunk: Chunk,
    /// Steps of one forward dispatch.
    pub(super) forward_steps: usize,
}

impl DispatchBuilder<'_> {
    fn segments(&self) -> usize {
        self.plan
            .params
            .steps
            .div_ceil(self.plan.memory.segment_steps)
    }

    /// First step and end of a segment.
    fn segment(&self, segment: usize) -> std::ops::Range<usize> {
        let first = segment * self.plan.memory.segment_steps;
        first..(first + self.plan.memory.segment_steps).min(self.plan.params.steps)
    }

    fn stretches(&self) -> usize {
        self.segments().div_ceil(self.plan.memory.stretch_segments)
    }

    /// Segments of a stretch.
    fn stretch(&self, stretch: usize) -> std::ops::Range<usize> {
        let first = stretch * self.plan.memory.stretch_segments;
        first..(first + self.plan.memory.stretch_segments).min(self.segments())
    }

    /// Where the state at the start of a segment is saved: one place for each stretch, then one for the end, then
    /// those within the stretch under way.
    fn slot(&self, segment: usize) -> usize {
        let most = self.plan.memory.stretch_segments;
        match segment % most {
            0 => segment / most,
            within => self.stretches() + within,
        }
    }

    /// The place of states that a replay goes through.
    fn replay_slot(&self) -> usize {
        self.stretches() + self.plan.memory.stretch_segments
    }

    /// Steps of one segment from slot `from` to slot `to`, in as many dispatches as the device needs.
    fn steps(
        &self,
        out: &mut Vec<KernelDispatch>,
        stage: &'static str,
        steps: std::ops::Range<usize>,
        [from, to]: [usize; 2],
        flags: u32,
    ) {
        let mut slot_in = from;
        for first in steps.clone().step_by(self.forward_steps) {
            let count = self.forward_steps.min(steps.end - first);
            let fresh = if first == 0 { forward::FRESH } else { 0 };
            let step = ForwardStep {
                first: first as u32,
                count: count as u32,
                slot_in: slot_in as u32,
                slot_out: to as u32,
                flags: flags | fresh,
                trial_offset: self.chunk.offset as u32,
                trials: self.chunk.trials as u32,
                trace_first: steps.start as u32,
            };
            out.push(dispatch(stage, [self.chunk.trials, 1, 1], step));
            slot_in = to;
        }
    }

    /// The whole forward pass; with `keep_states` every stretch's first state stays in its slot.
    pub(super) fn forward(&self, keep_states: bool) -> Vec<KernelDispatch> {
        let mut out = Vec::new();
        let imposed = forward::IMPOSE | forward::IMPOSE_OUT | forward::REPORT;
        let flags = if self.chunk.imposed { imposed } else { 0 };
        if keep_states {
            for stretch in 0..self.stretches() {
                let segments = self.stretch(stretch);
                let steps = self.segment(segments.start).start..self.segment(segments.end - 1).end;
                let slots = [stretch, stretch + 1];
                self.steps(&mut out, "forward", steps, slots, flags);
            }
        } else {
            self.steps(
                &mut out,
                "forward",
                0..self.plan.params.steps,
                [0, 0],
                flags,
            );
        }
        let slot = if keep_states { self.stretches() } else { 0 };
        self.loss(&mut out, slot);
        out
    }

    fn loss(&self, out: &mut Vec<KernelDispatch>, slot: usize) {
        let (slot, trials) = (slot as u32, self.chunk.trials as u32);
        let (trial_offset, batch) = (self.chunk.offset as u32, self.chunk.batch as u32);
        let groups = |n: usize| [n.div_ceil(WORKGROUP as usize), 1, 1];
        let step = LossStep {
            slot,
            trials,
            trial_offset,
            batch,
        };
        out.push(dispatch("loss", groups(self.chunk.trials), step));
        let step = SpikeTotalsStep {
            slot,
            trials,
            trial_offset,
            batch,
        };
        let cells = self.plan.params.n_e() + self.plan.params.n_i();
        out.push(dispatch("loss", groups(cells), step));
    }

    /// Saves the states within the stretch that begins or ends with this segment, as the caller goes through them; of
    /// other segments nothing.
    pub(super) fn enter_stretch(&self, segment: usize, from_its_end: bool) -> Vec<KernelDispatch> {
        let segments = self.stretch(segment / self.plan.memory.stretch_segments);
        let entered = if from_its_end {
            segments.end - 1
        } else {
            segments.start
        };
        let mut out = Vec::new();
        if segment == entered {
            for within in segments.start + 1..segments.end {
                let slots = [within - 1, within].map(|segment| self.slot(segment));
                let flags = forward::IMPOSE | forward::IMPOSE_OUT;
                self.steps(&mut out, "replay", self.segment(within - 1), slots, flags);
            }
        }
        out
    }

    /// Records the traces of one segment by replaying it under the spikes and resets of the forward pass.
    pub(super) fn replay(&self, segment: usize, probe: bool) -> Vec<KernelDispatch> {
        let mut out = Vec::new();
        let probe = if probe { forward::PROBE } else { 0 };
        let flags = forward::IMPOSE | forward::IMPOSE_OUT | forward::TRACE | probe;
        let slots = [self.slot(segment), self.replay_slot()];
        self.steps(&mut out, "replay", self.segment(segment), slots, flags);
        out
    }

    /// The backward pass and the weight gradients, those of the input over the events `inputs`.
    pub(super) fn backward(&self, inputs: &InputRows) -> Vec<KernelDispatch> {
        let mut out = Vec::new();
        for segment in (0..self.segments()).rev() {
            let steps = self.segment(segment);
            out.extend(self.enter_stretch(segment, true));
            out.extend(self.replay(segment, false));
            self.adjoints(&mut out, steps.clone());
            self.input_gradients(&mut out, segment, inputs);
            self.spike_gradients(&mut out, steps);
        }
        let entries = self.plan.layout.trained_len.max(1);
        let step = SumGroupsStep {
            groups: self.chunk.groups() as u32,
            ..Default::default()
        };
        out.push(dispatch(
            "weight gradients",
            linear_grid(entries, WORKGROUP),
            step,
        ));
        out
    }

    fn adjoints(&self, out: &mut Vec<KernelDispatch>, steps: std::ops::Range<usize>) {
        let hz = 1.0 / (self.chunk.batch as f64 * self.plan.params.duration_s());
        let of = |first: usize, count: usize| BackwardStep {
            first: first as u32,
            count: count as u32,
            trace_first: steps.start as u32,
            trials: self.chunk.trials as u32,
            trial_offset: self.chunk.offset as u32,
            fresh: u32::from(first + count == self.plan.params.steps),
            spikes_to_hz: hz as f32,
            unused: 0,
        };
        if self.plan.is_per_step() {
            let read_outs = linear_grid(self.chunk.trials * self.plan.params.n_out, WORKGROUP);
            for (first, count) in descending(&steps, self.plan.memory.backward_steps) {
                let step: BackwardReadoutStep = bytemuck::cast(of(first, count));
                out.push(dispatch("backward", read_outs, step));
            }
            let grid = [self.tiles(), 1, 1];
            for first in steps.clone().rev() {
                let step: BackwardOneStep = bytemuck::cast(of(first, 1));
                out.push(dispatch("backward", grid, step));
            }
            return;
        }
        let groups = self
            .chunk
            .trials
            .div_ceil(self.plan.memory.trials_per_workgroup);
        for (first, count) in descending(&steps, self.plan.memory.backward_steps) {
            out.push(dispatch("backward", [groups, 1, 1], of(first, count)));
        }
    }

    /// Tiles of a step of the per-step backward pass.
    fn tiles(&self) -> usize {
        let of = |cells: usize, tile: [usize; 2]| {
            cells.div_ceil(tile[0]) * self.chunk.trials.div_ceil(tile[1])
        };
        let i_cells = if self.plan.wiring.i_cells {
            self.plan.params.n_i()
        } else {
            0
        };
        let tiles = StepTiles::of(self.plan.memory.backward);
        of(self.plan.params.n_e(), tiles.e) + of(i_cells, tiles.i)
    }

    fn input_gradients(&self, out: &mut Vec<KernelDispatch>, segment: usize, inputs: &InputRows) {
        let rows = inputs.of_segment(segment);
        if self.plan.layout.trained(MatrixName::WIn).is_none() || rows.is_empty() {
            return;
        }
        for skip in (0..inputs.most_events).step_by(self.plan.memory.gradient_events) {
            let step = GradientInputsStep {
                first_row: rows.start as u32,
                rows: rows.len() as u32,
                skip: skip as u32,
                limit: u32::try_from(self.plan.memory.gradient_events).unwrap_or(u32::MAX),
            };
            let columns = self.plan.params.n_e().div_ceil(WORKGROUP as usize);
            let planes = rows.len().div_ceil(65_535);
            let grid = [columns, rows.len().div_ceil(planes), planes];
            out.push(dispatch("weight gradients", grid, step));
        }
    }

    fn spike_gradients(&self, out: &mut Vec<KernelDispatch>, steps: std::ops::Range<usize>) {
        let GpuPlan { params, wiring, .. } = self.plan;
        let (w, c) = (wiring, params.constants::<f32>());
        let row = TraceOffsets::new(params, w);
        let (ampa, gaba) = (c.kick_ampa, c.kick_gaba);
        let matrices = [
            (
                MatrixName::WOut,
                true,
                Population::E,
                row.out,
                0,
                c.readout.gain,
            ),
            (MatrixName::WEe, w.ee, Population::E, row.ge_e, 1, ampa),
            (MatrixName::WEi, w.ei, Population::E, row.ge_i, 1, ampa),
            (MatrixName::WIe, w.ie, Population::I, row.gi_e, 1, gaba),
            (MatrixName::WIi, w.ii, Population::I, row.gi_i, 1, gaba),
        ];
        let raster = SpikeBits::silent(
            0,
            1,
            [
                self.plan.params.n_e(),
                self.plan.params.n_i(),
                self.plan.params.n_out,
            ],
        );
        for (name, there, from, lambda_at, delay, factor) in matrices {
            let Some(slot) = self.plan.layout.trained(name).filter(|_| there) else {
                continue;
            };
            let words = raster.words_of(from);
            for (first, count) in descending(&steps, self.plan.memory.gradient_steps) {
                let step = GradientSpikesStep {
                    first: first as u32,
                    count: count as u32,
                    trace_first: steps.start as u32,
                    trials: self.chunk.trials as u32,
                    words_at: words.start as u32,
                    lambda_at: lambda_at as u32,
                    pre: slot.pre as u32,
                    columns: slot.post as u32,
                    gradient_at: slot.offset as u32,
                    delay,
                    factor,
                    unused: 0,
                };
                let columns = slot.post.div_ceil(WORKGROUP_COLUMNS as usize);
                let grid = [columns, words.len(), self.chunk.groups()];
                out.push(dispatch("weight gradients", grid, step));
            }
        }
    }
}

/// Pieces of at most `most` steps, last piece first.
fn descending(
    steps: &std::ops::Range<usize>,
    most: usize,
) -> impl Iterator<Item = (usize, usize)> + use<> {
    let steps = steps.clone();
    steps
        .clone()
        .step_by(most)
        .rev()
        .map(move |first| (first, most.min(steps.end - first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_step_once_from_the_end() {
        let pieces: Vec<_> = descending(&(10..17), 3).collect();
        assert_eq!(pieces, [(16, 1), (13, 3), (10, 3)]);
    }
}
