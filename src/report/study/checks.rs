//! What must hold in every run: frozen matrices do not move, and a rhythm is one only above chance.

use super::super::table::{Entry, NumberTable, Row, column, row};
use super::super::text::number;
use crate::analysis::record::{MatrixAnalysis, Rhythm, RunAnalysis};
use crate::record::RunRecord;

/// What stands above the table.
pub const INTRODUCTION: &str = "Matrices that are not trained must equal their start bit for bit. \
    Matrices that start at zero are followed: whether training ever leaves zero. A rhythm is \
    reported only where the peak of the E spectrum exceeds the 95 % quantile of rate-matched \
    shuffled trains.";

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
    let ratio = rhythm.peak_over_null();
    let against = if ratio.is_finite() {
        format!(" ({} × the null)", number(ratio))
    } else {
        String::new()
    };
    if rhythm.is_rhythmic {
        let claim = ratio > 1.0;
        Entry::Verdict(
            Some(claim),
            format!("{} Hz{against}", number(rhythm.peak_hz)),
        )
    } else {
        Entry::Text(format!("none{against}"))
    }
}
