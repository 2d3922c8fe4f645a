//! Golden cases of the family: networks with exact expected spikes, gradients and weights, and the comparison of an
//! engine with them. `scripts/make_case.py` writes cases; `dalenet parity` runs them.

mod case;
mod compare;

use crate::conductance::cpu::CpuEngine;
use crate::conductance::engine::{Engine, EngineError};
use crate::conductance::open::open_selected;
use crate::conductance::plan::default_segment_steps;
use crate::device::DeviceOptions;
use crate::gpu::Selection;
use crate::parity::{CaseFile, CaseReport, ParityError, Precision};
use crate::text::count;

pub use case::Case;
pub use compare::{MakeEngine, run};

/// Compares the engine of a selected device with a case.
///
/// # Errors
/// What is no case of this family, or an engine that fails.
pub fn compare(
    file: &CaseFile,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<CaseReport, ParityError> {
    let case = Case::of(file)?;
    let made = run(&case, precision, &mut |case| {
        engine(case, precision, selection, options)
    });
    let report = made.map_err(|error| ParityError::Engine(Box::new(error)))?;
    let p = &case.params;
    let sizes = [
        count(p.n_e(), "E cell", "E cells"),
        count(p.n_i(), "I cell", "I cells"),
        count(p.steps, "time step", "time steps"),
        count(case.batch.trials(), "trial", "trials"),
    ];
    Ok(CaseReport {
        sizes: sizes.join(", "),
        ..report
    })
}

fn engine(
    case: &Case,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let (params, weights) = (&case.params, &case.weights);
    if precision == Precision::F64 {
        let segment = default_segment_steps(params.steps);
        let threads = options.threads();
        let engine = CpuEngine::<f64>::new(params.clone(), weights, threads, segment)?;
        return Ok(Box::new(engine));
    }
    let trials = case.batch.trials();
    Ok(open_selected(selection.clone(), params, weights, options, trials)?.engine)
}
