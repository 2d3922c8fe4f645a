//! What a stored run of this family has.

use super::analysis::record::{LoopSweep, RunAnalysis};
use super::findings::Findings;
use crate::families;
use crate::record::RunRecord;

/// What was measured on the trained network; none of a run of another family.
pub fn findings(run: &RunRecord) -> Option<&Findings> {
    match &run.findings {
        families::Findings::Conductance(findings) => Some(findings),
        _ => None,
    }
}

/// The analysis of its newest epoch.
pub fn analysis(run: &RunRecord) -> Option<&RunAnalysis> {
    findings(run)?.analysis.as_ref()
}

/// The grid of loop multipliers of its newest epoch.
pub fn sweep(run: &RunRecord) -> Option<&LoopSweep> {
    findings(run)?.sweep.as_ref()
}

/// What was measured on a made-up run, to be changed.
#[cfg(test)]
pub fn findings_mut(run: &mut RunRecord) -> &mut Findings {
    match &mut run.findings {
        families::Findings::Conductance(findings) => findings,
        _ => panic!("a run of another family"),
    }
}
