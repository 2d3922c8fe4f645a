//! Tables of what was measured: by condition, by cell, and how far training has settled.

use super::super::table::{Column, Entry, NumberTable, column, column_of, row, row_of};
use super::super::text::list;
use crate::analysis::convergence::Slope;
use crate::families::Family;
use crate::record::RunRecord;
use crate::study::aggregate::{conditions, spread};
use crate::study::measures::{Measure, late_slope};
use crate::study::{CellRecord, Study};

/// What stands above the table by condition.
pub fn introduction(family: Family) -> String {
    format!(
        "Mean ± sample standard deviation over the finished cells of a condition (seeds); a number without ± comes from a \
         single cell. {}",
        family.measures().words
    )
}

/// What stands above the table of slopes.
pub fn above_convergence(family: Family) -> String {
    format!(
        "Least-squares slopes over the last 10 epochs. {}; no verdict is given if the criterion lies within two standard \
         errors of the slope.",
        family.measures().settling_words
    )
}

/// Measures that are equal for equal runs; how long they took stands with their provenance.
fn comparable(family: Family) -> impl Iterator<Item = &'static Measure> {
    family
        .measures()
        .by_group()
        .into_iter()
        .filter(|measure| !measure.is_timing)
}

/// A row per measure, a column per condition; measures that no cell has are left out.
pub fn by_condition(study: &Study, cells: &[CellRecord]) -> NumberTable {
    let conditions = conditions(&study.spec, &study.cells);
    let of_row = |measure: &Measure| {
        let spreads = conditions.iter().map(|condition| {
            let mine = condition.cells.iter().filter_map(|&index| cells.get(index));
            let entry = entry(mine, measure);
            (!matches!(entry, Entry::Mean { n: 0, .. }), entry)
        });
        let (has, entries): (Vec<bool>, Vec<Entry>) = spreads.unzip();
        has.contains(&true).then(|| {
            let row = row_of(&measure.label, measure.unit, entries);
            row.keyed(&measure.name).among(measure.group)
        })
    };
    let mut table = NumberTable {
        id: "conditions-table".into(),
        caption: "Measures by condition".into(),
        corner: "measure".into(),
        columns: conditions
            .iter()
            .map(|condition| column(condition.label()).keyed(&condition.name))
            .collect(),
        rows: comparable(study.family()).filter_map(of_row).collect(),
        notes: left_out(cells),
    };
    if table.rows.is_empty() {
        table.notes.push("No cell has finished yet.".into());
    }
    table
}

/// The mean of a measure over cells, or “none” where they were analysed and have no such rhythm.
pub fn entry<'a>(cells: impl Iterator<Item = &'a CellRecord> + Clone, measure: &Measure) -> Entry {
    let spread = spread(cells.clone(), measure);
    let mut finished = cells.filter_map(CellRecord::finished);
    if spread.n == 0 && finished.any(|run| is_none(run, measure)) {
        return Entry::text(NONE);
    }
    mean(&spread)
}

/// What stands for a rhythm that is not there.
pub const NONE: &str = "none";

/// Whether an analysed run lacks the rhythm that a measure is of.
pub fn is_none(run: &RunRecord, measure: &Measure) -> bool {
    measure.may_be_none && run.findings.is_analysed() && !measure.of(run).is_finite()
}

/// A mean over cells as an entry.
pub fn mean(spread: &crate::study::aggregate::Spread) -> Entry {
    Entry::Mean {
        mean: spread.mean,
        sd: spread.sd,
        n: spread.n,
        of: spread.of,
    }
}

/// Names the cells that are in no mean.
fn left_out(cells: &[CellRecord]) -> Vec<String> {
    let unfinished = cells.iter().filter(|cell| cell.finished().is_none());
    let names: Vec<_> = unfinished
        .map(|cell| format!("{} ({})", cell.cell.name, cell.state().word()))
        .collect();
    if names.is_empty() {
        Vec::new()
    } else {
        vec![format!("Not included in any mean: {}.", list(&names))]
    }
}

/// A row per cell, unfinished ones included.
pub fn by_cell(family: Family, cells: &[CellRecord]) -> NumberTable {
    let measures = family.measures();
    let shown: Vec<&Measure> = measures
        .named(measures.by_cell)
        .filter(|measure| {
            let mut runs = cells.iter().filter_map(|cell| cell.record.as_ref());
            runs.any(|run| measure.of(run).is_finite())
        })
        .collect();
    let mut columns = vec![column("status"), column("epochs")];
    columns.extend(shown.iter().map(|measure| head(measure)));
    let rows = cells.iter().map(|cell| {
        let run = cell.record.as_ref();
        let epoch = run.and_then(|run| run.last()).map(|epoch| epoch.epoch());
        let mut entries = vec![
            Entry::text(cell.state().word()),
            Entry::Number(epoch.map_or(f64::NAN, |epoch| epoch as f64)),
        ];
        let value = |measure: &&Measure| match run {
            Some(run) if is_none(run, measure) => Entry::text(NONE),
            _ => Entry::Number(run.map_or(f64::NAN, |run| measure.of(run))),
        };
        entries.extend(shown.iter().map(value));
        row(&cell.cell.name, entries)
    });
    NumberTable {
        id: "cells-table".into(),
        caption: "Cells, each after its newest epoch".into(),
        corner: "cell".into(),
        rows: rows.collect(),
        columns,
        notes: Vec::new(),
    }
}

/// A column named after a measure.
fn head(measure: &Measure) -> Column {
    column_of(&measure.label, measure.unit).keyed(&measure.name)
}

/// Slopes and whether they meet their criteria.
///
/// None where a family has no metric that must settle.
pub fn convergence(family: Family, runs: &[(String, &RunRecord)]) -> Option<NumberTable> {
    let verdict = |slope: Option<Slope>, limit: f64| match slope {
        None => Entry::Verdict(None, "fewer than 10 epochs".into()),
        Some(slope) => match slope.is_below(limit) {
            Some(true) => Entry::Verdict(Some(true), "met".into()),
            Some(false) => Entry::Verdict(Some(false), "not met".into()),
            None => Entry::Verdict(None, "within its error".into()),
        },
    };
    let settling = family.measures().settling;
    let rows = runs.iter().map(|(name, run)| {
        let entries = settling.iter().flat_map(|(metric, limit)| {
            let slope = late_slope(run, *metric);
            let (value, error) = slope.map_or((f64::NAN, f64::NAN), |s| (s.value, s.error));
            let measured = [Entry::Difference(value), Entry::Number(error)];
            measured
                .into_iter()
                .chain(limit.map(|limit| verdict(slope, limit)))
        });
        row(name, entries.collect())
    });
    let columns = settling.iter().flat_map(|(metric, limit)| {
        let unit = format!("{}/epoch", metric.unit);
        let name = metric.label.trim_start_matches("test ");
        let measured =
            ["slope", "slope error"].map(|part| column_of(format!("{name} {part}"), &unit));
        let criterion = limit.map(|_| column(format!("{name} criterion")));
        measured.into_iter().chain(criterion)
    });
    (!settling.is_empty()).then(|| NumberTable {
        id: "convergence-table".into(),
        caption: "Slopes over the last 10 epochs".into(),
        corner: "cell".into(),
        columns: columns.collect(),
        rows: rows.collect(),
        notes: Vec::new(),
    })
}
