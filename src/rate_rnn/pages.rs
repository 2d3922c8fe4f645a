//! What pages of this family's runs and studies have beside that of every family.

use super::analysis::MatrixAnalysis;
use super::record;
use crate::record::RunRecord;
use crate::report::accuracy;
use crate::report::page::Part;
use crate::report::table::{Entry, NumberTable, column, row};

/// What the page of a run has more.
pub fn of_run(run: &RunRecord) -> Vec<Part> {
    let classes = run.answers().map(|answers| Part {
        id: "classes",
        title: "Accuracy by class",
        intro: "Classification of the test set at the analysed checkpoint.",
        table: accuracy::by_class(answers, "Accuracy by class", &[]),
    });
    let matrices = record::analysis(run).map(|analysis| Part {
        id: "matrices",
        title: "Matrices",
        intro: "Every matrix as the forward pass uses it, at the start and at the analysed checkpoint. H is the entropy \
            of its singular values divided by that of equal ones; the spectral radius is that of square matrices.",
        table: NumberTable {
            id: "matrices-table".into(),
            caption: "Norm and spectrum of every matrix".into(),
            corner: "matrix".into(),
            columns: [
                "norm at start",
                "norm",
                "largest singular value at start",
                "largest singular value",
                "H at start",
                "H",
                "spectral radius at start",
                "spectral radius",
            ]
            .map(column)
            .into(),
            rows: analysis
                .matrices
                .iter()
                .map(|(name, matrix)| row(name, entries(matrix)))
                .collect(),
            ..NumberTable::default()
        },
    });
    classes.into_iter().chain(matrices).collect()
}

fn entries(matrix: &MatrixAnalysis) -> Vec<Entry> {
    let (start, now) = (&matrix.initial, &matrix.now);
    let largest = |values: &[f64]| values.first().copied().unwrap_or(f64::NAN);
    let numbers = [
        start.norm,
        now.norm,
        largest(&start.singular_values),
        largest(&now.singular_values),
        start.entropy,
        now.entropy,
        start.radius,
        now.radius,
    ];
    numbers.map(Entry::Number).into()
}

/// What the page of a study has more, of its runs by name.
pub fn of_study(_: &[(String, &RunRecord)]) -> Vec<Part> {
    Vec::new()
}
