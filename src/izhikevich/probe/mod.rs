//! What single cells, synapses and small circuits do under protocols of the laboratory: rates under a constant current, small
//! circuits as gates, and what induces potentiation and depression.

mod figures;
mod gates;
mod induction;
mod neurons;

pub use gates::{Resonance, bistable, feed_forward, gates, resonance, truth_table};
pub use induction::induction;
pub use neurons::{neurons, rate_hz};

use crate::report::figures::sheet::{Missing, Sheet};
use crate::summary::Summary;

/// What a probe found.
pub struct Probe {
    /// In words and numbers.
    pub summary: Summary,
    /// Its figures, not yet drawn.
    pub figures: Vec<Result<Sheet, Missing>>,
}
