//! An engine whose results are altered on their way out: what a faulty engine looks like.

use std::collections::BTreeMap;

use dalenet::conductance::batch::{Batch, Forward, Request};
use dalenet::conductance::engine::{
    Engine, EngineError, Gradient, Quantity, StageTime, StepReport, Usage,
};
use dalenet::conductance::params::Params;
use dalenet::conductance::parity::Case;
use dalenet::conductance::settings::MatrixName;
use dalenet::conductance::weights::Weights;
use dalenet::parity::CaseReport;

use super::golden;
use super::networks::Device;

pub type Matrices = BTreeMap<MatrixName, Vec<f64>>;

/// One alteration. The functions run after the true engine.
#[derive(Clone, Copy)]
pub enum Meddle<'a> {
    Nothing,
    /// Of a pass; told whether spikes are imposed.
    Pass(&'a (dyn Fn(&mut Gradient, bool) + Sync)),
    /// Of what is read.
    Read(&'a (dyn Fn(Quantity, &mut Matrices) + Sync)),
    /// Of the report of an optimiser step.
    Step(&'a (dyn Fn(&mut StepReport) + Sync)),
}

struct Meddled<'a> {
    inner: Box<dyn Engine>,
    meddle: Meddle<'a>,
}

impl Engine for Meddled<'_> {
    fn params(&self) -> &Params {
        self.inner.params()
    }

    fn forward(&mut self, batch: &Batch, request: Request<'_>) -> Result<Forward, EngineError> {
        self.inner.forward(batch, request)
    }

    fn gradient(&mut self, batch: &Batch, request: Request<'_>) -> Result<Gradient, EngineError> {
        let mut result = self.inner.gradient(batch, request)?;
        if let Meddle::Pass(alter) = self.meddle {
            alter(&mut result, request.imposed.is_some());
        }
        Ok(result)
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let mut report = self.inner.step()?;
        if let Meddle::Step(alter) = self.meddle {
            alter(&mut report);
        }
        Ok(report)
    }

    fn read(&mut self, quantity: Quantity) -> Result<Matrices, EngineError> {
        let mut values = self.inner.read(quantity)?;
        if let Meddle::Read(alter) = self.meddle {
            alter(quantity, &mut values);
        }
        Ok(values)
    }

    fn optimiser_steps(&self) -> u64 {
        self.inner.optimiser_steps()
    }

    fn load(&mut self, weights: &Weights) -> Result<(), EngineError> {
        self.inner.load(weights)
    }

    fn restore(&mut self, m: &Weights, v: &Weights, steps: u64) -> Result<(), EngineError> {
        self.inner.restore(m, v, steps)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn time_stages(&mut self, on: bool) {
        self.inner.time_stages(on);
    }

    fn stage_times(&mut self) -> Result<Vec<StageTime>, EngineError> {
        self.inner.stage_times()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

/// Compares a meddled device with a case.
pub fn run(case: &Case, device: &Device, meddle: Meddle<'static>) -> CaseReport {
    golden::run_with(case, device, |inner| Box::new(Meddled { inner, meddle }))
}
