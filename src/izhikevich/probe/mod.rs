//! What single cells and synapses do under protocols of the laboratory: rates under a constant current, a resonator as
//! a gate, and what induces potentiation and depression.

mod figures;
mod induction;
mod neurons;
mod resonator;

pub use induction::induction;
pub use neurons::{neurons, rate_hz};
pub use resonator::{Resonance, resonance, resonator, truth_table};

use crate::report::figures::sheet::{Missing, Sheet};
use crate::summary::Summary;

/// What a probe found.
pub struct Probe {
    /// In words and numbers.
    pub summary: Summary,
    /// Its figures, not yet drawn.
    pub figures: Vec<Result<Sheet, Missing>>,
}
