//! What is checked in every run: frozen matrices do not move, and a rhythm is one only above chance.

use super::super::table::{Entry, NumberTable, Row, column, row};
use super::super::text::number;
use crate::analysis::record::{MatrixAnalysis, Rhythm, RunAnalysis};
use crate::record::RunRecord;

/// What stands above the table.
pub const INTRODUCTION: &str = "Matrices that are not trained must equal their start bit for bit. \
    Matrices that start at zero are followed: whether training ever leaves zero. A rhythm is \
    claimed only where pairs of different E cells fire together again and again: where the contrast \
    of their correlogram is at least 0.1 and above 99 % of as many spikes put at random (chance).";

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

fn check(name: &str, run: &RunRecord) -> Row {
    let entries = match &run.analysis {
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
        "no two E cells fire".to_owned()
    } else {
        format!(
            "contrast {}, chance {}",
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
