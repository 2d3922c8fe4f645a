//! The page of a study, which may be under way: what is missing is named.

pub mod answer;
pub mod conditions;
pub(crate) mod outcome;
pub(crate) mod paired;
pub(crate) mod reported;

use std::path::Path;

use maud::{Markup, html};

use super::figures::Missing;
use super::method::{Method, words};
use super::output::{Report, ReportError, Written, divide};
use super::page::{self, Page, Part, Section};
use super::provenance;
use super::table::NumberTable;
use super::text::list;
use crate::families::Family;
use crate::record::RunRecord;
use crate::study::spec::StudySpec;
use crate::study::{CellRecord, CellState, Study, StudyFolder};
use crate::text::count;

/// Writes the report of the study in `folder` into `out`.
///
/// # Errors
/// The study cannot be read, or a file not written. Cells that cannot be read are named on the page.
pub fn write(folder: &Path, out: &Path) -> Result<Written, ReportError> {
    let (study, cells) = StudyFolder::at(folder).load()?;
    report(&study, &cells).write(out)
}

/// The report of a study.
pub fn report(study: &Study, cells: &[CellRecord]) -> Report {
    let spec = &study.spec;
    let family = study.family();
    let (figures, missing) = divide(family.figures_of_study(spec, cells));
    let configs = cells.iter().map(|cell| match &cell.record {
        Some(run) => &run.config,
        None => &cell.cell.config,
    });
    let method = Method::of(configs).with_runs(cells.iter().filter_map(|c| c.record.as_ref()));
    let settings = method.shared_tables();
    let runs: Vec<(String, &RunRecord)> = cells
        .iter()
        .filter_map(|cell| Some((cell.cell.name.clone(), cell.record.as_ref()?)))
        .collect();

    let outcome = outcome::table(study, cells);
    let reported = reported::table(study, cells);
    let by_condition = conditions::by_condition(study, cells);
    let by_cell = conditions::by_cell(family, cells);
    let paired = paired::table(study, cells);
    let convergence = conditions::convergence(family, &runs);
    let parts = family.parts_of_study(&runs);
    let evidence = reported::evidence(study, cells);
    let provenance = provenance_table(cells);

    let above_outcome = outcome::introduction(family);
    let mut sections = vec![
        Section::new("answer", "Summary", answer::html(study, cells)),
        Section::of_tables(
            "outcome",
            "Key measures by condition",
            &above_outcome,
            &[&outcome],
        ),
        Section::new("method", "Method", method_body(study, &method, &settings)),
        Section::new("figures", "Figures", page::figures(&figures, 1)),
    ];
    if !spec.reported.is_empty() {
        let title = "Reported and measured";
        let intro = reported::INTRODUCTION;
        sections.push(Section::of_tables("reported", title, intro, &[&reported]));
    }
    sections.extend([
        Section::new(
            "conditions",
            "Conditions",
            conditions_body(family, &by_condition),
        ),
        Section::of_tables("cells", "Cells", "", &[&by_cell]),
    ]);
    sections.extend(
        paired.iter().map(|table| {
            Section::of_tables("paired", "Paired tests", paired::INTRODUCTION, &[table])
        }),
    );
    sections.extend(convergence.iter().map(|table| {
        let above = conditions::above_convergence(family);
        Section::of_tables("convergence", "Convergence", &above, &[table])
    }));
    sections.extend(parts.iter().map(Part::section));
    if !spec.contradictions.is_empty() {
        let body = reported::contradictions(spec, &evidence);
        sections.push(Section::new(
            "contradictions",
            "Contradictions in the sources",
            body,
        ));
    }
    sections.extend([
        Section::new(
            "not-measured",
            "What could not be measured",
            not_measured(study, cells, &missing),
        ),
        Section::new(
            "provenance",
            "Provenance",
            provenance_body(&provenance, &runs),
        ),
    ]);

    let page = Page {
        title: spec.title.clone(),
        kind: format!("dalenet · study “{}”", spec.name),
        lead: lead(spec),
        facts: facts(cells, &runs),
        sections,
    };
    let mut tables = vec![outcome, reported, by_condition, by_cell];
    tables.extend(paired);
    tables.extend(convergence);
    tables.extend(parts.into_iter().map(|part| part.table));
    tables.extend(evidence);
    tables.extend(settings);
    Report {
        page,
        figures,
        missing,
        tables,
    }
}

/// The question of the study, and where it comes from.
fn lead(spec: &StudySpec) -> Vec<String> {
    let mut lead = page::paragraphs(&spec.question);
    if !spec.source.is_empty() {
        lead.push(format!("Source: {}", spec.source));
    }
    lead
}

fn conditions_body(family: Family, by_condition: &NumberTable) -> Markup {
    let measures = count(by_condition.rows.len(), "measure", "measures");
    html! {
        p { (conditions::introduction(family)) }
        details {
            summary { (measures) " by condition" }
            (by_condition.html())
        }
    }
}

fn facts(cells: &[CellRecord], runs: &[(String, &RunRecord)]) -> Vec<(String, String)> {
    let counts = CellState::STORED.iter().filter_map(|state| {
        let n = cells.iter().filter(|cell| cell.state() == *state).count();
        (n > 0).then(|| format!("{n} {}", state.word()))
    });
    let cells = format!(
        "{}: {}",
        count(cells.len(), "cell", "cells"),
        counts.collect::<Vec<_>>().join(", ")
    );
    let mut facts = vec![("Cells".to_owned(), cells)];
    facts.extend(provenance::summary(runs.iter().map(|(_, run)| *run)));
    facts
}

fn method_body(study: &Study, method: &Method, settings: &[NumberTable]) -> Markup {
    html! {
        @for paragraph in study.family().method(method) { p { (paragraph) } }
        @if study.spec.axes.is_empty() {
            p { "The study has a single cell." }
        } @else {
            p {
                "The cells are all combinations of the values below"
                @if !study.spec.except.is_empty() { ", except some that are left out" }
                "; all other settings are the same."
                @if !method.varied().is_empty() { " Settings that differ: " (list(method.varied())) "." }
            }
            (axes_table(study).html())
        }
        h3 { "Settings that all cells share" }
        (Method::folded(settings))
    }
}

/// What each value of each axis sets.
fn axes_table(study: &Study) -> NumberTable {
    use super::table::{Entry, column, row};
    let mut rows: Vec<super::table::TableRow> = Vec::new();
    for (place, axis) in study.spec.axes.iter().enumerate() {
        let mut names: Vec<&str> = Vec::new();
        for cell in &study.cells {
            let Some((_, value)) = cell.values.get(place) else {
                continue;
            };
            if names.contains(&&value.name[..]) {
                continue;
            }
            names.push(&value.name);
            let set =
                |(key, value): (&String, &serde_json::Value)| format!("{key} = {}", words(value));
            let keys: Vec<_> = value.set.iter().map(set).collect();
            let keys = if keys.is_empty() {
                "nothing (base configuration)".into()
            } else {
                keys.join("; ")
            };
            let entries = vec![
                Entry::text(&value.name),
                Entry::text(if value.label == value.name {
                    ""
                } else {
                    &value.label
                }),
                Entry::Text(keys),
            ];
            rows.push(row(&axis.name, entries));
        }
    }
    NumberTable {
        id: "axes".into(),
        caption: "Axes of the study".into(),
        corner: "axis".into(),
        columns: ["value", "label", "sets"].map(column).into(),
        rows,
        ..NumberTable::default()
    }
}

fn provenance_table(cells: &[CellRecord]) -> NumberTable {
    let mut table = provenance::table("Program, device, data and times of every cell");
    table.rows = cells
        .iter()
        .map(|cell| match &cell.record {
            Some(run) => provenance::run_row(&cell.cell.name, run),
            None => provenance::empty_row(&cell.cell.name, cell.state().word()),
        })
        .collect();
    table
}

fn provenance_body(table: &NumberTable, runs: &[(String, &RunRecord)]) -> Markup {
    html! {
        (table.html())
        @for (name, run) in runs {
            details {
                summary { "Command, hashes and notes of " (name) }
                (provenance::details(run))
            }
        }
    }
}

fn not_measured(study: &Study, cells: &[CellRecord], missing: &[Missing]) -> Markup {
    let named = |wanted: &dyn Fn(&CellRecord) -> bool| -> Vec<String> {
        let found = cells.iter().filter(|cell| wanted(cell));
        found.map(|cell| cell.cell.name.clone()).collect()
    };
    let is = |state: CellState| named(&|cell| cell.state() == state);
    let lacks = |cell: &CellRecord| {
        cell.finished()
            .is_some_and(|run| !run.findings.is_analysed())
    };
    let groups = [
        ("Not begun: ", is(CellState::Pending)),
        (
            "Begun, not finished, and not included in any mean: ",
            is(CellState::Begun),
        ),
        (
            "Diverged (no finite gradient), not included in any mean; the last finite weights are kept: ",
            is(CellState::Diverged),
        ),
        (
            "Finished, but not analysed (no analysis.json; run `dalenet analyse`): ",
            named(&lacks),
        ),
    ];
    let failed = cells
        .iter()
        .filter_map(|cell| Some((&cell.cell.name, cell.problem.as_ref()?)));
    let failed: Vec<_> = failed.collect();
    let left_out: Vec<(&str, &String)> = cells
        .iter()
        .filter_map(|cell| Some((&cell.cell.name[..], cell.record.as_ref()?)))
        .flat_map(|(name, run)| run.left_out.iter().map(move |sentence| (name, sentence)))
        .collect();
    let nothing = study.spec.not_measured.is_empty()
        && missing.is_empty()
        && failed.is_empty()
        && left_out.is_empty()
        && groups.iter().all(|(_, names)| names.is_empty());
    html! {
        @if nothing { p { "Nothing: every cell finished and every figure was made." } }
        ul {
            @for sentence in &study.spec.not_measured { li { (sentence) } }
            @for (what, names) in &groups {
                @if !names.is_empty() { li { (what) (list(names)) "." } }
            }
            @for (name, problem) in &failed { li { "Failed: " (name) ": " (problem) } }
            @for (cell, sentence) in &left_out { li { (cell) ": " (sentence) "." } }
            @for figure in missing { li { "Figure “" (figure.title) "”: " (figure.reason) } }
        }
    }
}
