//! What is measured on a trained network once and lies in its run's folder beside the metrics: the analysis, of families
//! that have nothing else.

use serde::de::DeserializeOwned;

use super::origin::{self, Origin, ReadError};
use super::run_folder::RunFiles;
use crate::analysis::answers::Answers;

/// The content of a run's `analysis.json`.
pub trait Analysis: DeserializeOwned {
    /// Version of its layout.
    const FORMAT: u64;

    /// Checkpoint, and epochs trained.
    fn of(&self) -> (&str, u64);

    /// Program and device that made it.
    fn by(&self) -> (&str, &str);

    /// The answers to the test samples; none where they are no classes.
    fn answers(&self) -> Option<Answers<'_>>;
}

/// The analysis of the newest epoch, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Findings<A> {
    /// The analysis.
    pub analysis: Option<A>,
}

impl<A: Analysis> Findings<A> {
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
            analysis: origin::read(&analysis, A::FORMAT, expected, "dalenet analyse", left_out)?,
        })
    }

    /// Whether the network has been analysed.
    pub fn is_analysed(&self) -> bool {
        self.analysis.is_some()
    }

    /// Whether the network has been swept, which only those with a loop can be.
    pub fn is_swept(&self) -> bool {
        false
    }

    /// The answers to the test samples; none where they are no classes.
    pub fn answers(&self) -> Option<Answers<'_>> {
        self.analysis.as_ref()?.answers()
    }

    /// Which checkpoint the file is of, and what made it.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let of = |analysis: &A| {
            let ((checkpoint, epoch), (program, device)) = (analysis.of(), analysis.by());
            let said = format!("checkpoint {checkpoint}, epoch {epoch}, by {program} on {device}");
            ("Analysis", said)
        };
        self.analysis.iter().map(of).collect()
    }
}
