//! Norms, clipping, optimiser steps and the renewal of what passes use of the weights.

use super::GpuEngine;
use super::dispatches::{KernelDispatch, dispatch};
use super::kernels;
use super::steps::{EffectiveStep, Step};
use super::tiles::WORKGROUP;
use crate::conductance::engine::{EngineError, StepReport};
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::Slot;
use crate::gpu::{GpuError, linear_grid};
use crate::optim::Parametrisation;
use crate::optim::gpu::{NormsStep, norm_groups, update_step};

impl GpuEngine {
    /// Finishes the gradient and leaves its norms.
    pub(super) fn norms(&self) -> Vec<KernelDispatch> {
        let slots = self.plan.layout.trained_slots().enumerate();
        slots
            .map(|(matrix, slot)| {
                let step = NormsStep {
                    offset: slot.offset as u32,
                    len: slot.len() as u32,
                    clamped: u32::from(slot.clamped),
                    matrix: matrix as u32,
                    log: u32::from(is_log(slot)),
                    ..Default::default()
                };
                optimiser_dispatch([norm_groups(slot.len()), 1, 1], step)
            })
            .collect()
    }

    /// Clips, takes one optimiser step and keeps Dale's law.
    pub(super) fn optimise(&mut self) -> Result<StepReport, EngineError> {
        let slots: Vec<Slot> = self.plan.layout.trained_slots().cloned().collect();
        let mut report = StepReport::default();
        let mut total = 0.0;
        for (slot, [squares, weights]) in slots.iter().zip(&self.squares) {
            total += squares;
            report.gradient_norm_of.insert(slot.name, squares.sqrt());
            report.weight_norm_of.insert(slot.name, weights.sqrt());
        }
        report.gradient_norm = total.sqrt();
        report.clip_factor = self.adam.clip_factor(report.gradient_norm);
        report.skipped = !report.gradient_norm.is_finite();
        if report.skipped {
            return Ok(report);
        }
        self.optimiser_steps += 1;
        let mut dispatches = Vec::new();
        for slot in &slots {
            let place = [slot.offset, slot.len()];
            let rules = (&slot.rule, &self.adam);
            let factor = report.clip_factor;
            let step = update_step(place, rules, self.optimiser_steps, factor, slot.projected);
            dispatches.push(optimiser_dispatch(linear_grid(slot.len(), WORKGROUP), step));
            dispatches.push(self.effective_of(slot));
        }
        self.program.run(&dispatches)?;
        Ok(report)
    }

    /// Renews effective and transposed weights after the stored ones have changed.
    pub(super) fn renew_effective(&mut self) -> Result<(), GpuError> {
        let dispatches: Vec<KernelDispatch> = self
            .plan
            .layout
            .slots
            .iter()
            .map(|slot| self.effective_of(slot))
            .collect();
        self.program.run(&dispatches)
    }

    fn effective_of(&self, slot: &Slot) -> KernelDispatch {
        let step = EffectiveStep {
            offset: slot.offset as u32,
            pre: slot.pre as u32,
            post: slot.post as u32,
            clamped: u32::from(slot.clamped),
            has_transposed: u32::from(slot.name != MatrixName::WIn),
            transposed_at: kernels::transposed_at(&self.plan.layout, slot.name) as u32,
            unused_a: 0,
            unused_b: 0,
        };
        optimiser_dispatch(linear_grid(slot.len(), WORKGROUP), step)
    }
}

fn is_log(slot: &Slot) -> bool {
    slot.rule.parametrisation == Parametrisation::Log
}

fn optimiser_dispatch<S: Step>(grid: [usize; 3], step: S) -> KernelDispatch {
    dispatch("optimiser", grid, step)
}
