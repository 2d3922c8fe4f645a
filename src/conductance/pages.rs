//! What pages of this family's runs and studies have beside that of every family.

#[cfg(test)]
mod tests;

use super::{checks, record};
use crate::record::RunRecord;
use crate::report::accuracy;
use crate::report::page::Part;
use crate::report::table::column_of;

/// What the page of a run has more.
pub fn of_run(run: &RunRecord) -> Vec<Part> {
    let classes = record::analysis(run)
        .zip(run.answers())
        .map(|(analysis, answers)| Part {
            id: "classes",
            title: "Accuracy by class",
            intro: "Classification of the test set at the analysed checkpoint.",
            table: accuracy::by_class(
                answers,
                "Accuracy and E rate by class",
                &[(column_of("E rate", "Hz"), &analysis.test.class_e_rate_hz)],
            ),
        });
    let runs = [(run.config.name().to_owned(), run)];
    classes.into_iter().chain(of_study(&runs)).collect()
}

/// What the page of a study has more, of its runs by name.
pub fn of_study(runs: &[(String, &RunRecord)]) -> Vec<Part> {
    vec![Part {
        id: "checks",
        title: "Checks",
        intro: checks::INTRODUCTION,
        table: checks::table(runs),
    }]
}
