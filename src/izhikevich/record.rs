//! What a stored run of this family has.

use super::analysis::RunAnalysis;
use crate::families::Findings;
use crate::record::RunRecord;

/// The analysis of its newest epoch; none of a run of another family.
pub fn analysis(run: &RunRecord) -> Option<&RunAnalysis> {
    match &run.findings {
        Findings::Izhikevich(findings) => findings.analysis.as_ref(),
        _ => None,
    }
}
