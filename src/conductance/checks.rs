//! What is checked in every run: frozen matrices do not move, and a rhythm is one only above chance.

use super::analysis::record::{MatrixAnalysis, Rhythm, RunAnalysis};
use super::record;
use crate::record::RunRecord;
use crate::report::table::{Entry, NumberTable, TableRow, column, row};
use crate::report::text::number;

/// What stands above the table.
pub const INTRODUCTION: &str = "Frozen matrices must be bit-identical to their initial values. For matrices \
    that start at zero, the table says whether training has changed them. A rhythm is reported only if pairs \
    of different E cells repeatedly fire together: if the contrast of their correlogram is at least 0.1 and \
    above the 99th percentile for the same number of spikes at random times (chance).";

/// Every check of every run.
pub fn table(runs: &[(String, &RunRecord)]) -> NumberTable {
    NumberTable {
        id: "checks-table".into(),
        caption: "Checks".into(),
        corner: "cell".into(),
        columns: ["frozen matrices", "zero starts", "rhythm"]
            .map(column)
            .into(),
        rows: runs.iter().map(|(name, run)| check(name, run)).collect(),
        ..NumberTable::default()
    }
}

fn check(name: &str, run: &RunRecord) -> TableRow {
    let entries = match record::analysis(run) {
        Some(analysis) => vec![
            frozen(analysis),
            zero_starts(analysis),
            rhythm(&analysis.rhythm),
        ],
        None => vec![
            open("not analysed"),
            open("not analysed"),
            open("not analysed"),
        ],
    };
    row(name, entries)
}

fn open(why: &str) -> Entry {
    Entry::Verdict(None, why.into())
}

fn names<'a>(
    analysis: &'a RunAnalysis,
    wanted: impl Fn(&MatrixAnalysis) -> bool + 'a,
) -> Vec<String> {
    let found = analysis
        .weights
        .iter()
        .filter(move |(_, matrix)| wanted(matrix));
    found.map(|(name, _)| name.clone()).collect()
}

fn frozen(analysis: &RunAnalysis) -> Entry {
    let all = names(analysis, |matrix| !matrix.trained);
    let moved = names(analysis, |matrix| !matrix.trained && !matrix.unchanged);
    if !moved.is_empty() {
        Entry::Verdict(Some(false), format!("changed: {}", moved.join(", ")))
    } else if all.is_empty() {
        Entry::text("none is frozen")
    } else {
        Entry::Verdict(Some(true), format!("unchanged: {}", all.join(", ")))
    }
}

/// A matrix is zero where its norm is.
fn zero_starts(analysis: &RunAnalysis) -> Entry {
    let all = names(analysis, |matrix| matrix.initial.norm == 0.0);
    let left = names(analysis, |matrix| {
        matrix.initial.norm == 0.0 && matrix.now.norm != 0.0
    });
    if !left.is_empty() {
        Entry::Verdict(Some(false), format!("left zero: {}", left.join(", ")))
    } else if all.is_empty() {
        Entry::text("none starts at zero")
    } else {
        Entry::Verdict(Some(true), format!("still zero: {}", all.join(", ")))
    }
}

fn rhythm(rhythm: &Rhythm) -> Entry {
    let contrast = if rhythm.e.contrast.is_nan() {
        "no pair of E cells fires".to_owned()
    } else {
        format!(
            "contrast {}, 99th percentile of chance: {}",
            number(rhythm.e.contrast),
            number(rhythm.e.null_contrast)
        )
    };
    let found = if rhythm.is_rhythmic {
        format!("{} Hz", number(rhythm.f_hz))
    } else {
        "none".into()
    };
    Entry::Text(format!("{found} ({contrast})"))
}
