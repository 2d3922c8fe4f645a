//! The outcome in one table: the key measures of every condition, beside what the sources report.

use super::super::table::{Column, Entry, NumberTable, TableRow, column, column_of, row, row_of};
use crate::families::Family;
use crate::study::aggregate::{Condition, conditions, reported_mean};
use crate::study::measures::Measure;
use crate::study::{CellRecord, Study};

/// What stands above the table.
const INTRODUCTION: &str = "Mean ± sample standard deviation over the finished cells of a \
    condition; a number without ± comes from a single cell. In parentheses: the value reported by the sources \
    for the same cells, if there is one (the mean if there are several).";

/// What stands above the table.
pub fn introduction(family: Family) -> String {
    let more = family.measures().key_intro;
    format!("{INTRODUCTION} {more}").trim_end().to_owned()
}

/// Up to this many conditions stand side by side; more stand below each other.
const MOST_COLUMNS: usize = 4;

/// Key measures by condition; measures that nobody has are left out.
pub fn table(study: &Study, cells: &[CellRecord]) -> NumberTable {
    let conditions = conditions(&study.spec, &study.cells);
    let measures = study.family().measures();
    let shown: Vec<(&Measure, Vec<Entry>)> = measures
        .named(measures.key)
        .filter(|measure| {
            let is_reported = study
                .spec
                .reported
                .iter()
                .any(|r| r.measure == measure.name);
            is_reported || !measures.only_reported.contains(&&measure.name[..])
        })
        .filter_map(|measure| {
            let of = |condition: &Condition| entry(study, cells, condition, measure);
            let entries: Vec<Entry> = conditions.iter().map(of).collect();
            let is_there = |entry: &Entry| !matches!(entry, Entry::Mean { n: 0, .. });
            entries.iter().any(is_there).then_some((measure, entries))
        })
        .collect();
    let notes = if shown.is_empty() {
        vec!["No cell has finished yet.".to_owned()]
    } else {
        measures.key_note.map(str::to_owned).into_iter().collect()
    };
    let (corner, columns, rows) = if conditions.len() <= MOST_COLUMNS {
        let column = |c: &Condition| column(c.label()).keyed(&c.name);
        let rows = shown.into_iter().map(|(measure, entries)| {
            row_of(&measure.label, measure.unit, entries).keyed(&measure.name)
        });
        (
            "measure",
            conditions.iter().map(column).collect(),
            rows.collect(),
        )
    } else {
        turned(&conditions, &shown)
    };
    NumberTable {
        id: "outcome-table".into(),
        caption: "Measured (reported), by condition".into(),
        corner: corner.into(),
        columns,
        rows,
        notes,
    }
}

/// A row per condition.
fn turned(
    conditions: &[Condition],
    shown: &[(&Measure, Vec<Entry>)],
) -> (&'static str, Vec<Column>, Vec<TableRow>) {
    let columns = shown
        .iter()
        .map(|(measure, _)| column_of(&measure.label, measure.unit).keyed(&measure.name));
    let rows = conditions.iter().enumerate().map(|(place, condition)| {
        let entries = shown.iter().map(|(_, entries)| entries[place].clone());
        row(condition.label(), entries.collect()).keyed(&condition.name)
    });
    ("condition", columns.collect(), rows.collect())
}

/// The mean over a condition's cells, with the mean of what is reported of them.
fn entry(study: &Study, cells: &[CellRecord], condition: &Condition, measure: &Measure) -> Entry {
    let mine: Vec<&CellRecord> = condition
        .cells
        .iter()
        .filter_map(|&place| cells.get(place))
        .collect();
    let measured = super::conditions::entry(mine.iter().copied(), measure);
    match reported_mean(&study.spec, &mine, &measure.name) {
        Some(reported) => Entry::Beside(Box::new(measured), reported),
        None => measured,
    }
}
