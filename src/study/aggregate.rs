//! Means over seeds: cells that differ in their seed only make a condition.

use serde::Serialize;

use super::Study;
use super::folder::CellRecord;
use super::measures::Measure;
use super::spec::{AxisValue, StudySpec};
use crate::analysis::float::nan_number;

/// Cells that differ in their seed only.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Names of the values of all axes but that of the seed, joined by `-`.
    pub name: String,
    /// Axis and value, but for the seed.
    pub values: Vec<(String, AxisValue)>,
    /// Indices of its cells in the study.
    pub cells: Vec<usize>,
}

/// Mean and spread of a measure over cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean of the finite values; NaN without any.
    #[serde(with = "nan_number")]
    pub mean: f64,
    /// Sample standard deviation (n − 1) of the finite values; NaN for fewer than two.
    #[serde(with = "nan_number")]
    pub sd: f64,
    /// Finite values.
    pub n: usize,
    /// Cells.
    pub of: usize,
    /// Cells without a finite value: not finished, diverged, failed, or not measured.
    pub left_out: Vec<String>,
}

/// Name of the axis of seeds: called `seed`, or its key one of `seeds`.
pub fn seed_axis(spec: &StudySpec) -> Option<&str> {
    let is_seed = |key: &Option<String>| key.as_ref().is_some_and(|key| key.starts_with("seeds"));
    let found = spec
        .axes
        .iter()
        .find(|axis| axis.name == "seed" || is_seed(&axis.key));
    found.map(|axis| axis.name.as_str())
}

/// The conditions of a study, in the order of their first cells.
pub fn conditions(study: &Study) -> Vec<Condition> {
    let seed = seed_axis(&study.spec);
    let mut all: Vec<Condition> = Vec::new();
    for cell in &study.cells {
        let values: Vec<_> = cell
            .values
            .iter()
            .filter(|(axis, _)| Some(axis.as_str()) != seed)
            .cloned()
            .collect();
        match all.iter_mut().find(|condition| condition.values == values) {
            Some(condition) => condition.cells.push(cell.index),
            None => {
                let names: Vec<_> = values.iter().map(|(_, value)| &value.name[..]).collect();
                let name = if names.is_empty() {
                    study.spec.name.clone()
                } else {
                    names.join("-")
                };
                all.push(Condition {
                    name,
                    values,
                    cells: vec![cell.index],
                });
            }
        }
    }
    all
}

/// Mean and spread of `measure` over the finished ones of `cells`. A diverged run ended earlier
/// than the others and is left out, as the sources do.
pub fn spread<'a>(cells: impl IntoIterator<Item = &'a CellRecord>, measure: &Measure) -> Spread {
    let (mut finite, mut left_out) = (Vec::new(), Vec::new());
    for cell in cells {
        match cell.finished().map(|run| measure.of(run)) {
            Some(value) if value.is_finite() => finite.push(value),
            _ => left_out.push(cell.cell.name.clone()),
        }
    }
    let n = finite.len();
    let mean = finite.iter().sum::<f64>() / n as f64;
    let squares: f64 = finite.iter().map(|x| (x - mean).powi(2)).sum();
    Spread {
        mean,
        sd: if n < 2 {
            f64::NAN
        } else {
            (squares / (n as f64 - 1.0)).sqrt()
        },
        n,
        of: n + left_out.len(),
        left_out,
    }
}
