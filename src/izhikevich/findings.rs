//! What is measured on a trained network once and lies in its run's folder beside the metrics.

use super::analysis::{FORMAT, RunAnalysis};
use crate::analysis::answers::Answers;
use crate::train::findings::{self, Analysis};

/// The analysis of the newest epoch, where there is one.
pub type Findings = findings::Findings<RunAnalysis>;

impl Analysis for RunAnalysis {
    const FORMAT: u64 = FORMAT;

    fn of(&self) -> (&str, u64) {
        (&self.checkpoint, self.epoch)
    }

    fn by(&self) -> (&str, &str) {
        (&self.program, &self.device)
    }

    fn answers(&self) -> Option<Answers<'_>> {
        let test = &self.test;
        (!test.labels.is_empty()).then_some(Answers {
            data_sha256: &self.data_sha256,
            labels: &test.labels,
            predicted: &test.predicted,
        })
    }
}
