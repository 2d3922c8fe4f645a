//! State of a trial, and what a trial leaves behind.

use super::cells::record_voltage;
use crate::conductance::batch::{Disagreement, Raster, Traces};
use crate::real::Real;

/// Spiking cells of every step of one trial.
#[derive(Clone, Debug, Default)]
pub(super) struct SpikeList {
    ends: Vec<u32>,
    cells: Vec<u32>,
}

impl SpikeList {
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

    /// Appends the next step from its flags.
    pub(super) fn push(&mut self, fires: &[u8]) {
        let (eights, rest) = fires.as_chunks::<8>();
        for (i, eight) in eights.iter().enumerate() {
            if u64::from_ne_bytes(*eight) != 0 {
                let marked = eight.iter().enumerate().filter(|&(_, &f)| f != 0);
                self.cells.extend(marked.map(|(j, _)| (i * 8 + j) as u32));
            }
        }
        let first = eights.len() * 8;
        let marked = rest.iter().enumerate().filter(|&(_, &f)| f != 0);
        self.cells.extend(marked.map(|(j, _)| (first + j) as u32));
        self.ends.push(self.cells.len() as u32);
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

/// State of one population between two steps.
#[derive(Clone, Debug)]
pub(super) struct PopulationState<R> {
    pub(super) v: Vec<R>,
    pub(super) ge: Vec<R>,
    pub(super) gi: Vec<R>,
    pub(super) refractory: Vec<u32>,
}

impl<R: Real> PopulationState<R> {
    /// Cells at rest.
    pub(super) fn new(cells: usize, has_gi: bool, e_l_mv: R) -> Self {
        Self {
            v: vec![e_l_mv; cells],
            ge: vec![R::ZERO; cells],
            gi: vec![R::ZERO; if has_gi { cells } else { 0 }],
            refractory: vec![0; cells],
        }
    }
}

/// State of a trial between two steps.
#[derive(Clone, Debug)]
pub(super) struct State<R> {
    pub(super) e: PopulationState<R>,
    pub(super) i: PopulationState<R>,
    pub(super) v_out: Vec<R>,
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
    /// States at the start of every segment.
    pub(super) checkpoints: Vec<State<R>>,
    pub(super) traces: Option<Traces>,
    pub(super) disagreements: Vec<Disagreement>,
}

/// What to keep of a trial.
#[derive(Clone, Copy, Default)]
pub(super) struct Keep<'a> {
    /// Length of a segment, where checkpoints and read-out voltages are kept.
    pub(super) segment_steps: Option<usize>,
    /// The imposed history.
    pub(super) history: Option<&'a Raster>,
    /// Keep traces of all cells.
    pub(super) traces: bool,
}

/// Scratch of a trial in flight: which cells fire, and a sum of synaptic rows.
pub(super) struct Scratch<R> {
    pub(super) e: Vec<u8>,
    pub(super) i: Vec<u8>,
    pub(super) kick: Vec<R>,
}

impl<R: Real> State<R> {
    /// Copies what the adjoint of a step needs of one population.
    pub(super) fn record(
        arch: pulp::Arch,
        population: &PopulationState<R>,
        v: &mut [R],
        ge: &mut [R],
        gi: &mut [R],
    ) {
        record_voltage(arch, v, &population.v, &population.refractory);
        ge.copy_from_slice(&population.ge);
        gi.copy_from_slice(&population.gi);
    }
}
