//! Conditions compared on the same images, seed by seed.

use super::super::table::{Entry, NumberTable, column, column_of, row};
use crate::analysis::answers::Answers;
use crate::analysis::compare::Paired;
use crate::record::RunRecord;
use crate::study::{CellRecord, Study};

/// What stands above the table.
pub const INTRODUCTION: &str = "Two conditions with the same seed are tested on the same images. McNemar's \
    exact test compares the numbers of images that only one of the two classifies correctly. The interval is \
    the 95 % confidence interval of the paired difference (second − first).";

/// Pairs of conditions (values of the first axis), each for every combination of the other axes; none where networks
/// were analysed and answer with no classes.
pub fn table(study: &Study, cells: &[CellRecord]) -> Option<NumberTable> {
    let mut analysed = cells.iter().filter_map(CellRecord::finished);
    let has_no_answer = |run: &RunRecord| run.findings.is_analysed() && run.answers().is_none();
    if analysed.next().is_some_and(has_no_answer) && analysed.all(has_no_answer) {
        return None;
    }
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    let all: Vec<&CellRecord> = cells.iter().collect();
    for pair in pairs(study) {
        for (a, b) in partners(&all, &pair) {
            let name = format!("{} → {}", a.cell.name, b.cell.name);
            match compare(a, b) {
                Ok(entries) => rows.push(row(name, entries)),
                Err(reason) => notes.push(format!("{name}: not compared, {reason}.")),
            }
        }
    }
    if rows.is_empty() && notes.is_empty() {
        notes.push("There are no two conditions to compare.".into());
    }
    Some(NumberTable {
        id: "paired-table".into(),
        caption: "Test accuracy of pairs of cells".into(),
        corner: "pair".into(),
        columns: vec![
            column_of("first", "%"),
            column_of("second", "%"),
            column_of("difference", "%"),
            column_of("from", "%"),
            column_of("to", "%"),
            column("only first correct"),
            column("only second correct"),
            column("p (McNemar)"),
        ],
        rows,
        notes,
    })
}

/// The pairs that the study names, or every value of the first axis against its first.
pub fn pairs(study: &Study) -> Vec<[String; 2]> {
    if !study.spec.compare.is_empty() {
        return study.spec.compare.clone();
    }
    let mut names: Vec<&String> = Vec::new();
    for cell in &study.cells {
        if let Some((_, value)) = cell.values.first()
            && !names.contains(&&value.name)
        {
            names.push(&value.name);
        }
    }
    let Some((first, others)) = names.split_first() else {
        return Vec::new();
    };
    others
        .iter()
        .map(|other| [(*first).clone(), (*other).clone()])
        .collect()
}

/// The cells of the first condition with those of the second that differ from them in the first axis
/// alone.
pub fn partners<'a>(
    cells: &'a [&'a CellRecord],
    [first, second]: &'a [String; 2],
) -> impl Iterator<Item = (&'a CellRecord, &'a CellRecord)> {
    let firsts = cells.iter().filter(move |cell| leads_with(cell, first));
    firsts.filter_map(move |a| {
        let mut others = cells.iter().filter(|cell| leads_with(cell, second));
        let b = others.find(|b| differ_only_there(a, b))?;
        Some((*a, *b))
    })
}

fn leads_with(cell: &CellRecord, name: &str) -> bool {
    let first = cell.cell.values.first();
    first.is_some_and(|(_, value)| value.name == name)
}

fn differ_only_there(a: &CellRecord, b: &CellRecord) -> bool {
    let others = |cell: &CellRecord| -> Vec<(String, String)> {
        let values = cell.cell.values.iter().skip(1);
        values
            .map(|(axis, value)| (axis.clone(), value.name.clone()))
            .collect()
    };
    others(a) == others(b)
}

/// The answers of two cells to the same samples.
///
/// # Errors
/// Why they cannot be compared.
pub fn paired(a: &CellRecord, b: &CellRecord) -> Result<Paired, String> {
    let (first, second) = (answers(a)?, answers(b)?);
    let same_samples = first.data_sha256 == second.data_sha256
        && first.labels == second.labels
        && !first.labels.is_empty();
    if !same_samples {
        return Err("the two were tested on different images".into());
    }
    let correct = |answers: Answers<'_>| answers.are_correct().collect::<Vec<_>>();
    Paired::new(&correct(first), &correct(second))
        .ok_or_else(|| "one of them has no prediction for some images".into())
}

fn compare(a: &CellRecord, b: &CellRecord) -> Result<Vec<Entry>, String> {
    let paired = paired(a, b)?;
    let (difference, [low, high]) = paired.difference_percent();
    let accuracy = |cell| answers(cell).map(Answers::accuracy_percent);
    Ok(vec![
        Entry::Number(accuracy(a)?),
        Entry::Number(accuracy(b)?),
        Entry::Difference(difference),
        Entry::Difference(low),
        Entry::Difference(high),
        Entry::Number(paired.only_first as f64),
        Entry::Number(paired.only_second as f64),
        Entry::Number(paired.mcnemar_p()),
    ])
}

fn answers(cell: &CellRecord) -> Result<Answers<'_>, String> {
    let name = &cell.cell.name;
    let run = cell.finished().ok_or(format!("{name} has not finished"))?;
    run.answers().ok_or(format!("{name} is not analysed"))
}
