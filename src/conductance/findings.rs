//! What is measured on a trained network once and lies in its run's folder beside the metrics.

use super::analysis::record::{FORMAT, LoopSweep, RunAnalysis, SWEEP_FORMAT};
use crate::analysis::answers::Answers;
use crate::text::count;
use crate::train::origin::{self, Origin, ReadError};
use crate::train::run_folder::RunFiles;

/// The analysis and the sweep of the newest epoch, where there are any.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The analysis.
    pub analysis: Option<RunAnalysis>,
    /// The grid of loop multipliers.
    pub sweep: Option<LoopSweep>,
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
        let sweep = files.sweep();
        Ok(Self {
            analysis: origin::read(&analysis, FORMAT, expected, "dalenet analyse", left_out)?,
            sweep: origin::read(&sweep, SWEEP_FORMAT, expected, "dalenet sweep", left_out)?,
        })
    }

    /// Whether the network has been analysed.
    pub fn is_analysed(&self) -> bool {
        self.analysis.is_some()
    }

    /// Whether the network has been swept.
    pub fn is_swept(&self) -> bool {
        self.sweep.is_some()
    }

    /// The answers to the test samples.
    pub fn answers(&self) -> Option<Answers<'_>> {
        self.analysis.as_ref().map(|analysis| Answers {
            data_sha256: &analysis.data_sha256,
            labels: &analysis.test.labels,
            predicted: &analysis.test.predicted,
        })
    }

    /// Which checkpoint each file is of, and what made it.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let of = |checkpoint: &str, epoch: u64, more: &str, program: &str, device: &str| {
            format!("checkpoint {checkpoint}, epoch {epoch}, {more}by {program} on {device}")
        };
        let analysis = self.analysis.as_ref().map(|a| {
            let said = of(&a.checkpoint, a.epoch, "", &a.program, &a.device);
            ("Analysis", said)
        });
        let sweep = self.sweep.as_ref().map(|s| {
            let trials = count(s.trials as usize, "trial", "trials");
            let trials = format!("{trials} per point, ");
            let said = of(&s.checkpoint, s.epoch, &trials, &s.program, &s.device);
            ("Loop gains (sweep)", said)
        });
        analysis.into_iter().chain(sweep).collect()
    }
}
