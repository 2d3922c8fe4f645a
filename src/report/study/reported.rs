//! What the sources report, beside what the cells measure, and where the sources disagree.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::table::{Entry, NumberTable, column, row_of};
use super::super::text::list;
use super::conditions::mean;
use crate::families::Family;
use crate::study::aggregate::{Spread, spread};
use crate::study::measures::{Measure, late_slope};
use crate::study::spec::{Contradiction, StudySpec};
use crate::study::{CellRecord, Study};

/// What stands above the table.
pub const INTRODUCTION: &str = "Measured numbers are the mean over the finished cells that match, \
    ± the sample standard deviation. Standard error: for an accuracy, binomial for the test set of a single \
    cell; for a slope, from the residuals of the fit. The note states which epoch, rate and weights the \
    reported number refers to; the last column does so for the measured one.";

/// Reported, measured, difference.
pub fn table(study: &Study, cells: &[CellRecord]) -> NumberTable {
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for reported in &study.spec.reported {
        let key = format!("{}: {}", names(&reported.cells), reported.measure);
        let Some(measure) = study.family().measures().find(&reported.measure) else {
            notes.push(format!("{key}: there is no such measure."));
            continue;
        };
        let matching = matching(cells, &reported.cells);
        let selected = selection(&reported.cells, &matching);
        let name = format!("{selected}: {}", measure.label);
        let measured = spread(matching.iter().copied(), measure);
        if !measured.left_out.is_empty() {
            notes.push(format!(
                "{name}: not included: {}.",
                list(&measured.left_out)
            ));
        }
        let entries = vec![
            Entry::Exact(reported.value),
            mean(&measured),
            Entry::Difference(measured.mean - reported.value),
            Entry::Number(standard_error(measure, &measured, &matching)),
            Entry::text(&reported.note),
            Entry::text(&measure.meaning),
        ];
        rows.push(row_of(name, measure.unit, entries).keyed(key));
    }
    NumberTable {
        id: "reported-table".into(),
        caption: "Reported and measured values".into(),
        corner: "cells and measure".into(),
        columns: [
            "reported",
            "measured",
            "difference",
            "standard error",
            "note on the reported number",
            "what was measured",
        ]
        .map(column)
        .into(),
        rows,
        notes,
    }
}

/// Names of the values that select cells.
fn names(values: &BTreeMap<String, String>) -> String {
    let names: Vec<_> = values.values().cloned().collect();
    names.join(" ")
}

/// Labels of the values that select cells, in the order of the axes.
pub fn selection(values: &BTreeMap<String, String>, matching: &[&CellRecord]) -> String {
    if values.is_empty() {
        return "all cells".into();
    }
    let Some(cell) = matching.first() else {
        return names(values);
    };
    let chosen = cell.cell.values.iter();
    let chosen = chosen.filter(|(axis, _)| values.contains_key(axis));
    let labels = chosen.map(|(_, value)| value.shown());
    labels.collect::<Vec<_>>().join(", ")
}

pub(super) fn matching<'a>(
    cells: &'a [CellRecord],
    values: &BTreeMap<String, String>,
) -> Vec<&'a CellRecord> {
    cells
        .iter()
        .filter(|cell| cell.cell.matches(values))
        .collect()
}

/// Standard error of a measure over its cells: binomial of one cell's test set for an accuracy, that of
/// the residuals for a slope over epochs; NaN of other measures.
pub fn standard_error(measure: &Measure, measured: &Spread, cells: &[&CellRecord]) -> f64 {
    if let Some(metric) = measure.slope_of {
        let errors = cells
            .iter()
            .filter_map(|cell| Some(late_slope(cell.finished()?, metric)?.error));
        let errors: Vec<f64> = errors.filter(|error| error.is_finite()).collect();
        let squares: f64 = errors.iter().map(|error| error * error).sum();
        return squares.sqrt() / errors.len() as f64;
    }
    if measure.unit != "%" || !measure.name.contains("accuracy") {
        return f64::NAN;
    }
    let answers = cells
        .iter()
        .filter_map(|cell| cell.record.as_ref()?.answers());
    let trials = answers.map(|answers| answers.labels.len()).min();
    let trials = trials.or_else(|| {
        // The number is configured for drawn subsets, and that of the studies for theirs.
        let known = cells
            .iter()
            .filter_map(|cell| cell.cell.config.test_samples());
        known.min()
    });
    let share = measured.mean / 100.0;
    trials.map_or(f64::NAN, |n| {
        100.0 * (share * (1.0 - share) / n as f64).sqrt()
    })
}

/// Evidence of each contradiction that names some: a table each.
pub fn evidence(study: &Study, cells: &[CellRecord]) -> Vec<NumberTable> {
    let tables = (1..).zip(&study.spec.contradictions);
    tables
        .map(|(number, contradiction)| evidence_table(study.family(), number, contradiction, cells))
        .collect()
}

fn evidence_table(
    family: Family,
    number: usize,
    contradiction: &Contradiction,
    cells: &[CellRecord],
) -> NumberTable {
    let rows = contradiction.evidence.iter().filter_map(|evidence| {
        let measure = family.measures().find(&evidence.measure)?;
        let matching = matching(cells, &evidence.cells);
        let selected = selection(&evidence.cells, &matching);
        let measured = spread(matching, measure);
        let name = format!("{selected}: {}", measure.label);
        let key = format!("{}: {}", names(&evidence.cells), evidence.measure);
        let entries = vec![mean(&measured), Entry::text(&measure.meaning)];
        Some(row_of(name, measure.unit, entries).keyed(key))
    });
    NumberTable {
        id: format!("contradiction-{number}"),
        caption: format!("Measurements for statement {number}"),
        corner: "cells and measure".into(),
        columns: ["measured", "what was measured"].map(column).into(),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

/// What the sources say, what settles it, and the numbers.
pub fn contradictions(spec: &StudySpec, evidence: &[NumberTable]) -> Markup {
    html! {
        @for (number, (contradiction, table)) in (1..).zip(spec.contradictions.iter().zip(evidence)) {
            h3 { "Statement " (number) }
            blockquote { p { (contradiction.claim) } }
            p { (contradiction.resolution) }
            @if !table.rows.is_empty() { (table.html()) }
        }
    }
}
