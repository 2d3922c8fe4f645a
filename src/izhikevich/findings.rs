//! What is measured on a trained network once and lies in its run's folder beside the metrics.

use super::analysis::{FORMAT, RunAnalysis};
use crate::analysis::answers::Answers;
use crate::train::origin::{self, Origin, ReadError};
use crate::train::run_folder::RunFiles;

/// The analysis of the newest epoch, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The analysis.
    pub analysis: Option<RunAnalysis>,
}

impl Findings {
    /// Reads what belongs to the network `expected`; what does not is named in `left_out`.
    ///
    /// # Errors
    /// A file that cannot be read, or is damaged.
    pub fn read(
        files: &RunFiles,
        expected: &Origin,
        left_out: &mut Vec<String>,
    ) -> Result<Self, ReadError> {
        let analysis = files.analysis();
        Ok(Self {
            analysis: origin::read(&analysis, FORMAT, expected, "dalenet analyse", left_out)?,
        })
    }

    /// Whether the network has been analysed.
    pub fn is_analysed(&self) -> bool {
        self.analysis.is_some()
    }

    /// Whether the network has been swept, which none of this family can be.
    pub fn is_swept(&self) -> bool {
        false
    }

    /// The answers to the test trials.
    pub fn answers(&self) -> Option<Answers<'_>> {
        let analysis = self.analysis.as_ref()?;
        let test = &analysis.test;
        (!test.labels.is_empty()).then_some(Answers {
            data_sha256: &analysis.data_sha256,
            labels: &test.labels,
            predicted: &test.predicted,
        })
    }

    /// Which checkpoint the file is of, and what made it.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let of = |a: &RunAnalysis| {
            let (checkpoint, epoch) = (&a.checkpoint, a.epoch);
            let said = format!(
                "checkpoint {checkpoint}, epoch {epoch}, by {} on {}",
                a.program, a.device
            );
            ("Analysis", said)
        };
        self.analysis.iter().map(of).collect()
    }
}
