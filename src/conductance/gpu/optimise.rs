//! Norms, clipping, optimiser steps and the renewal of what passes use of the weights.

use super::GpuEngine;
use super::dispatches::{KernelDispatch, dispatch};
use super::kernels;
use super::steps::{EffectiveStep, Step};
use super::tiles::WORKGROUP;
use crate::conductance::engine::StepReport;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::Slot;
use crate::gpu::{GpuError, linear_grid};
use crate::optim::Parametrisation;
use crate::optim::gpu::{ClipStep, NormsStep, StepNumber, factor_at, norm_groups, update_step};

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

    /// Clips, takes one optimiser step and keeps Dale's law, as the norms on the device say: nothing is waited for.
    /// `t` is the number of the step if no step under way is skipped.
    pub(super) fn optimise(&mut self, t: u64) -> Result<(), GpuError> {
        let slots: Vec<Slot> = self.plan.layout.trained_slots().cloned().collect();
        let clip = ClipStep {
            matrices: slots.len() as u32,
            clip_norm: self.adam.clip_norm as f32,
            ..Default::default()
        };
        let mut dispatches = vec![optimiser_dispatch([1, 1, 1], clip)];
        let number = StepNumber {
            t,
            skipped: self.skipped_steps,
        };
        for slot in &slots {
            let place = [slot.offset, slot.len()];
            let step = update_step(place, (&slot.rule, &self.adam), number, 0, slot.constraint);
            dispatches.push(optimiser_dispatch(linear_grid(slot.len(), WORKGROUP), step));
            dispatches.push(self.effective_of(slot));
        }
        self.program.run(&dispatches)
    }

    /// What became of a step, from the squares of gradients and weights and the words of `clip`.
    pub(super) fn step_report(&mut self, squares: &[[f64; 2]], clip: &[u32]) -> StepReport {
        let mut report = StepReport::default();
        let mut total = 0.0;
        for (slot, [gradient, weights]) in self.plan.layout.trained_slots().zip(squares) {
            total += gradient;
            report.gradient_norm_of.insert(slot.name, gradient.sqrt());
            report.weight_norm_of.insert(slot.name, weights.sqrt());
        }
        report.gradient_norm = total.sqrt();
        self.skipped_steps = clip[0];
        let factor = f32::from_bits(clip[factor_at(0)]);
        report.skipped = factor < 0.0;
        if report.skipped {
            report.clip_factor = self.adam.clip_factor(report.gradient_norm);
        } else {
            report.clip_factor = f64::from(factor);
            self.optimiser_steps += 1;
        }
        report
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
