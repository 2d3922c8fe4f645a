//! The comparison of an engine with a case, quantity by quantity.

use crate::text::count;

/// Precision of the engine under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Single.
    F32,
    /// Double.
    F64,
}

/// One compared quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was compared.
    pub quantity: String,
    /// ‖a − b‖ − floor over ‖b‖, or the largest difference for traces, or a count.
    pub error: f64,
    /// Largest error allowed.
    pub tolerance: f64,
    /// Within it.
    pub passed: bool,
    /// Where it failed or what was done, if there is more to say.
    pub note: String,
}

/// A decision that an engine would have taken otherwise, as good as at threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Tie {
    /// Optimiser step it occurred in.
    pub optimiser_step: usize,
    /// Trial.
    pub trial: usize,
    /// Time step.
    pub step: usize,
    /// Population of the cell.
    pub population: String,
    /// Cell.
    pub cell: usize,
    /// Its voltage.
    pub value: f64,
    /// It fires in this engine.
    pub fires: bool,
}

/// The comparison of one case.
#[derive(Clone, Debug, Default)]
pub struct CaseReport {
    /// Name of the case.
    pub case: String,
    /// Its sizes, in words.
    pub sizes: String,
    /// All quantities.
    pub rows: Vec<Row>,
    /// The rasters differed and the expected spikes were imposed.
    pub imposed: bool,
    /// Ties.
    pub ties: Vec<Tie>,
}

impl CaseReport {
    /// Whether everything holds.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|r| r.passed)
    }

    pub(crate) fn count(&mut self, quantity: impl Into<String>, wrong: usize, note: String) {
        let passed = wrong == 0;
        self.rows.push(Row {
            quantity: quantity.into(),
            error: wrong as f64,
            tolerance: 0.0,
            passed,
            note,
        });
    }

    /// Compares `‖a − b‖ ≤ tolerance · ‖b‖ + floor`.
    pub(crate) fn norm(
        &mut self,
        quantity: String,
        a: &[f64],
        b: &[f64],
        tolerance: f64,
        floor: f64,
    ) {
        let distance =
            |pairs: &mut dyn Iterator<Item = f64>| pairs.map(|x| x * x).sum::<f64>().sqrt();
        let difference = distance(&mut a.iter().zip(b).map(|(a, b)| a - b));
        let size = distance(&mut b.iter().copied());
        let excess = (difference - floor).max(0.0);
        let error = if excess == 0.0 { 0.0 } else { excess / size };
        // A NaN in `a` makes `difference` NaN, which fails the test below.
        let passed = a.len() == b.len() && !b.is_empty() && difference <= tolerance * size + floor;
        let note = if a.len() == b.len() {
            String::new()
        } else {
            format!(
                "{}, expected {}",
                count(a.len(), "value", "values"),
                b.len()
            )
        };
        let error = if difference.is_nan() { f64::NAN } else { error };
        self.rows.push(Row {
            quantity,
            error,
            tolerance,
            passed,
            note,
        });
    }

    /// Compares by the largest difference.
    pub(crate) fn largest(&mut self, quantity: String, a: &[f64], b: &[f64], tolerance: f64) {
        let mut worst = (0.0f64, 0);
        let mut comparable = a.len() == b.len() && !b.is_empty();
        for (at, (a, b)) in a.iter().zip(b).enumerate() {
            let difference = (a - b).abs();
            comparable &= difference.is_finite();
            if difference > worst.0 {
                worst = (difference, at);
            }
        }
        let passed = comparable && worst.0 <= tolerance;
        let note = if passed {
            String::new()
        } else {
            format!("largest at entry {}", worst.1)
        };
        self.rows.push(Row {
            quantity,
            error: worst.0,
            tolerance,
            passed,
            note,
        });
    }
}
