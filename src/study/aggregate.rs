//! Means over seeds: cells that differ in their seed only make a condition.

use serde::Serialize;

use super::expand::Cell;
use super::folder::CellRecord;
use super::measures::Measure;
use super::spec::{AxisValue, StudySpec};
use crate::analysis::compare::Sample;
use crate::analysis::float::nan_number;
use crate::record::RunRecord;

/// Cells that differ in their seed only.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Names of the values of all axes but that of the seed, joined by `-`.
    pub name: String,
    /// Axis and value, but for the seed.
    pub values: Vec<(String, AxisValue)>,
    /// Places of its cells among all.
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
    /// 95 % interval of the mean over cells (Student's t); NaN for fewer than two.
    #[serde(skip)]
    pub interval: [f64; 2],
    /// Cells without a finite value: not finished, diverged, failed, or not measured.
    pub left_out: Vec<String>,
}

impl Condition {
    /// The label of its values.
    pub fn label(&self) -> String {
        if self.values.is_empty() {
            return self.name.clone();
        }
        let labels = self.values.iter().map(|(_, value)| value.shown());
        labels.collect::<Vec<_>>().join(", ")
    }
}

/// Whether an axis only repeats: it is called `seed` or `seeds`, or its key is one of `seeds`.
pub fn is_seed_axis(spec: &StudySpec, name: &str) -> bool {
    let axis = spec.axes.iter().find(|axis| axis.name == name);
    let key = axis.and_then(|axis| axis.key.as_deref());
    ["seed", "seeds"].contains(&name) || key.is_some_and(|key| key.starts_with("seeds."))
}

/// The conditions of cells, in the order of their first cells.
pub fn conditions<'a>(
    spec: &StudySpec,
    cells: impl IntoIterator<Item = &'a Cell>,
) -> Vec<Condition> {
    let mut all: Vec<Condition> = Vec::new();
    for (place, cell) in cells.into_iter().enumerate() {
        let values: Vec<_> = cell
            .values
            .iter()
            .filter(|(axis, _)| !is_seed_axis(spec, axis))
            .cloned()
            .collect();
        match all.iter_mut().find(|condition| condition.values == values) {
            Some(condition) => condition.cells.push(place),
            None => {
                let names: Vec<_> = values.iter().map(|(_, value)| &value.name[..]).collect();
                let name = if names.is_empty() {
                    spec.name.clone()
                } else {
                    names.join("-")
                };
                all.push(Condition {
                    name,
                    values,
                    cells: vec![place],
                });
            }
        }
    }
    all
}

/// The mean of what the sources report of a measure for `mine`, the cells of a condition: a number
/// belongs to it where all cells that it selects do. Numbers of cells that have not finished are in
/// neither mean, unless none has.
pub fn reported_mean(spec: &StudySpec, mine: &[&CellRecord], measure: &str) -> Option<f64> {
    let of_measure = spec.reported.iter().filter(|r| r.measure == measure);
    let selected = of_measure.filter_map(|reported| {
        let own = mine
            .iter()
            .filter(|cell| cell.cell.matches(&reported.cells));
        let names_all = spec.axes.iter().all(|axis| {
            is_seed_axis(spec, &axis.name)
                || reported.cells.contains_key(&axis.name)
                || axis.values.len() <= 1
        });
        let finished = own.clone().any(|cell| cell.finished().is_some());
        (own.count() > 0 && names_all).then_some((reported.value, finished))
    });
    let selected: Vec<(f64, bool)> = selected.collect();
    let any_finished = selected.iter().any(|(_, finished)| *finished);
    let values: Vec<f64> = selected
        .iter()
        .filter(|(_, finished)| *finished || !any_finished)
        .map(|(value, _)| *value)
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Mean and spread of `measure` over the finished ones of `cells`. A diverged run ended earlier
/// than the others and is left out, as the sources do.
pub fn spread<'a>(cells: impl IntoIterator<Item = &'a CellRecord>, measure: &Measure) -> Spread {
    spread_of(cells, |run| measure.of(run))
}

/// As [`spread`], of any number of a run.
pub fn spread_of<'a>(
    cells: impl IntoIterator<Item = &'a CellRecord>,
    of: impl Fn(&RunRecord) -> f64,
) -> Spread {
    let (mut finite, mut left_out) = (Vec::new(), Vec::new());
    for cell in cells {
        match cell.finished().map(&of) {
            Some(value) if value.is_finite() => finite.push(value),
            _ => left_out.push(cell.cell.name.clone()),
        }
    }
    let sample = Sample::of(&finite);
    Spread {
        mean: sample.mean,
        sd: sample.sd(),
        n: sample.n,
        of: sample.n + left_out.len(),
        interval: sample.interval(),
        left_out,
    }
}
