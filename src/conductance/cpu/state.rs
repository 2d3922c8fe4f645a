//! State of a trial, and what a trial leaves behind. All of it is kept from batch to batch and only
//! begun anew, so that nothing is allocated while trials run.

use crate::conductance::batch::{Disagreement, SpikeBits, Traces};
use crate::real::{Lines, Real, zeros};

/// Spiking cells of every step of one trial.
#[derive(Clone, Debug, Default)]
pub(super) struct SpikeList {
    ends: Vec<u32>,
    cells: Vec<u32>,
}

impl SpikeList {
    fn clear(&mut self) {
        self.ends.clear();
        self.cells.clear();
    }

    /// Cells that fired in `step`, ascending.
    pub(super) fn at(&self, step: usize) -> &[u32] {
        let begin = if step == 0 {
            0
        } else {
            self.ends[step - 1] as usize
        };
        &self.cells[begin..self.ends[step] as usize]
    }

    /// Cells that fired in the step before `step`.
    pub(super) fn before(&self, step: usize) -> &[u32] {
        if step == 0 { &[] } else { self.at(step - 1) }
    }

    /// Appends the next step from its flags, which are 0 or 1. Most of 64 cells are silent in most steps, and such a
    /// stretch is passed over at once.
    pub(super) fn push(&mut self, fires: &[u8]) {
        for (i, stretch) in fires.chunks(64).enumerate() {
            if stretch.iter().fold(0, |any, &f| any | f) == 0 {
                continue;
            }
            for (j, eight) in stretch.chunks(8).enumerate() {
                let mut flags = [0; 8];
                flags[..eight.len()].copy_from_slice(eight);
                let mut left = u64::from_le_bytes(flags);
                while left != 0 {
                    let cell = i * 64 + j * 8 + left.trailing_zeros() as usize / 8;
                    self.cells.push(cell as u32);
                    left &= left - 1;
                }
            }
        }
        self.ends.push(self.cells.len() as u32);
    }

    /// Spikes of all cells.
    pub(super) fn total(&self) -> u64 {
        self.cells.len() as u64
    }

    /// Spikes of each of `cells` cells.
    pub(super) fn counts(&self, cells: usize) -> Vec<u32> {
        let mut counts = vec![0; cells];
        for &c in &self.cells {
            counts[c as usize] += 1;
        }
        counts
    }
}

/// State of one population between two steps. The conductances have already decayed for the next one.
#[derive(Clone, Debug)]
pub(super) struct PopulationState<R> {
    pub(super) v: Lines<R>,
    pub(super) ge: Lines<R>,
    pub(super) gi: Lines<R>,
    /// Steps left.
    pub(super) refractory: Lines<R>,
}

impl<R: Real> PopulationState<R> {
    /// Cells of a population with or without inhibition, not yet at rest.
    pub(super) fn new(cells: usize, has_gi: bool) -> Self {
        Self {
            v: zeros(cells),
            ge: zeros(cells),
            gi: zeros(if has_gi { cells } else { 0 }),
            refractory: zeros(cells),
        }
    }

    fn rest(&mut self, e_l_mv: R) {
        self.v.fill(e_l_mv);
        self.ge.fill(R::ZERO);
        self.gi.fill(R::ZERO);
        self.refractory.fill(R::ZERO);
    }

    fn parts_mut(&mut self) -> [&mut [R]; 4] {
        [
            &mut self.v,
            &mut self.ge,
            &mut self.gi,
            &mut self.refractory,
        ]
    }
}

/// State of the cells of a trial between two steps.
#[derive(Clone, Debug)]
pub(super) struct TrialState<R> {
    pub(super) e: PopulationState<R>,
    pub(super) i: PopulationState<R>,
}

impl<R: Real> TrialState<R> {
    /// The state in which every trial starts.
    pub(super) fn rest(&mut self, e_l_mv: R) {
        self.e.rest(e_l_mv);
        self.i.rest(e_l_mv);
    }

    /// Numbers in a checkpoint.
    pub(super) fn len(&self) -> usize {
        [&self.e, &self.i]
            .map(|p| 3 * p.v.len() + p.gi.len())
            .iter()
            .sum()
    }

    /// Appends this state to a trial's checkpoints.
    pub(super) fn save(&self, checkpoints: &mut Lines<R>) {
        for p in [&self.e, &self.i] {
            for part in [&p.v, &p.ge, &p.gi, &p.refractory] {
                checkpoints.extend_from_slice(part);
            }
        }
    }

    /// Takes over a checkpoint.
    pub(super) fn load(&mut self, mut checkpoint: &[R]) {
        for p in [&mut self.e, &mut self.i] {
            for part in p.parts_mut() {
                let (head, rest) = checkpoint.split_at(part.len());
                part.copy_from_slice(head);
                checkpoint = rest;
            }
        }
    }
}

/// What one trial leaves behind.
#[derive(Clone, Debug)]
pub(super) struct TrialRecord<R> {
    pub(super) spikes_e: SpikeList,
    pub(super) spikes_i: SpikeList,
    pub(super) logits: Vec<R>,
    /// Read-out voltage before its reset, `[step, class]`; kept for the backward pass.
    pub(super) v_out: Vec<R>,
    /// Step of the largest read-out voltage of each class.
    pub(super) peak_step: Vec<u32>,
    /// States at the start of every segment, one after another.
    pub(super) checkpoints: Lines<R>,
    pub(super) traces: Option<Traces>,
    pub(super) disagreements: Vec<Disagreement>,
}

impl<R: Real> TrialRecord<R> {
    /// An empty record for `classes` classes.
    pub(super) fn new(classes: usize) -> Self {
        Self {
            spikes_e: SpikeList::default(),
            spikes_i: SpikeList::default(),
            logits: vec![R::ZERO; classes],
            v_out: Vec::new(),
            peak_step: vec![0; classes],
            checkpoints: zeros(0),
            traces: None,
            disagreements: Vec::new(),
        }
    }

    /// Forgets the trial before.
    pub(super) fn clear(&mut self) {
        self.spikes_e.clear();
        self.spikes_i.clear();
        self.logits.fill(R::ZERO);
        self.v_out.clear();
        self.peak_step.fill(0);
        self.checkpoints.clear();
        self.traces = None;
        self.disagreements.clear();
    }
}

/// What to keep of a trial.
#[derive(Clone, Copy, Default)]
pub(super) struct Keep<'a> {
    /// Length of a segment, where checkpoints and read-out voltages are kept.
    pub(super) segment_steps: Option<usize>,
    /// The imposed spikes.
    pub(super) imposed: Option<&'a SpikeBits>,
    /// Keep traces of all cells.
    pub(super) traces: bool,
}

/// A trial under way: its state, which cells fire, and a sum of synaptic rows.
pub(super) struct TrialScratch<R> {
    pub(super) state: TrialState<R>,
    pub(super) fires_e: Vec<u8>,
    pub(super) fires_i: Vec<u8>,
    pub(super) sum: Lines<R>,
    pub(super) v_out: Vec<R>,
}

/// Where the state of one population in one step is recorded for the backward pass.
#[derive(Default)]
pub(super) struct TraceRow<'a, R> {
    pub(super) v: &'a mut [R],
    pub(super) ge: &'a mut [R],
    pub(super) gi: &'a mut [R],
}

/// Recorded states of one population over a segment, `[step, trial, cell]`.
pub(super) struct Trace<R> {
    v: Lines<R>,
    ge: Lines<R>,
    gi: Lines<R>,
    cells: usize,
    has_gi: bool,
}

impl<R: Real> Trace<R> {
    /// Room for `rows` rows of `cells` cells each.
    pub(super) fn new(rows: usize, cells: usize, has_gi: bool) -> Self {
        let room = |there: bool| zeros(if there { rows * cells } else { 0 });
        Self {
            v: room(true),
            ge: room(true),
            gi: room(has_gi),
            cells,
            has_gi,
        }
    }

    /// One trial in one step.
    pub(super) fn row_mut(&mut self, row: usize) -> TraceRow<'_, R> {
        let range = row * self.cells..(row + 1) * self.cells;
        let gi = if self.has_gi { range.clone() } else { 0..0 };
        TraceRow {
            v: &mut self.v[range.clone()],
            ge: &mut self.ge[range],
            gi: &mut self.gi[gi],
        }
    }

    /// All trials of one step: v, g_exc, g_inh.
    pub(super) fn step(&self, step: usize, trials: usize) -> [&[R]; 3] {
        let len = trials * self.cells;
        let range = step * len..(step + 1) * len;
        let gi = if self.has_gi { range.clone() } else { 0..0 };
        [&self.v[range.clone()], &self.ge[range], &self.gi[gi]]
    }
}
