//! Norms, clipping, optimiser steps and the renewal of what passes use of the weights.

use super::GpuEngine;
use super::dispatches::{KernelDispatch, dispatch, linear_grid};
use super::flags::update;
use super::kernels;
use super::steps::{EffectiveStep, NormsStep, Step, UpdateStep};
use super::tiles::{MAX_PARTIALS, WORKGROUP};
use crate::conductance::engine::{EngineError, StepReport};
use crate::conductance::weights::Slot;
use crate::config::{MatrixName, Optimiser, Parametrisation};
use crate::gpu::GpuError;

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
                optimiser_dispatch([norm_groups(slot), 1, 1], step)
            })
            .collect()
    }

    /// Clips, takes one optimiser step and keeps Dale's law.
    pub(super) fn optimise(&mut self) -> Result<StepReport, EngineError> {
        let slots: Vec<Slot> = self.plan.layout.trained_slots().cloned().collect();
        let all = slots.len() * MAX_PARTIALS as usize;
        let partials: Vec<[f32; 2]> = self.program.read("partials", 0..all)?;
        let mut report = StepReport::default();
        let mut total = 0.0;
        for (slot, partials) in slots
            .iter()
            .zip(partials.chunks_exact(MAX_PARTIALS as usize))
        {
            let used = &partials[..norm_groups(slot)];
            let squares: f64 = used.iter().map(|p| f64::from(p[0])).sum();
            let weights: f64 = used.iter().map(|p| f64::from(p[1])).sum();
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
            let (rate, root) = self.adam.rates(&slot.rule, self.optimiser_steps);
            let step = UpdateStep {
                offset: slot.offset as u32,
                len: slot.len() as u32,
                flags: flags_of(slot),
                clip_factor: report.clip_factor as f32,
                rate: rate as f32,
                root: root as f32,
                beta1: self.adam.beta1 as f32,
                beta2: self.adam.beta2 as f32,
                keep1: (1.0 - self.adam.beta1) as f32,
                keep2: (1.0 - self.adam.beta2) as f32,
                epsilon: self.adam.epsilon as f32,
                unused: 0,
            };
            dispatches.push(optimiser_dispatch(linear_grid(slot.len()), step));
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
        optimiser_dispatch(linear_grid(slot.len()), step)
    }
}

fn is_log(slot: &Slot) -> bool {
    slot.rule.parametrisation == Parametrisation::Log
}

/// What the update kernel is told of a matrix.
fn flags_of(slot: &Slot) -> u32 {
    let flag = |wanted: bool, flag: u32| if wanted { flag } else { 0 };
    let descends = slot.rule.optimiser == Optimiser::Sgd;
    flag(slot.projected, update::PROJECT)
        | flag(descends, update::DESCENT)
        | flag(is_log(slot), update::LOG)
}

fn optimiser_dispatch<S: Step>(grid: [usize; 3], step: S) -> KernelDispatch {
    dispatch("optimiser", grid, step)
}

/// Workgroups of the norm kernel for one matrix.
fn norm_groups(slot: &Slot) -> usize {
    slot.len()
        .div_ceil(WORKGROUP as usize)
        .min(MAX_PARTIALS as usize)
}
