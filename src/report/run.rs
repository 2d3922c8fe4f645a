//! The page of a run.

use std::path::Path;

use maud::html;

use super::accuracy;
use super::figures::Missing;
use super::method::{self, Method};
use super::output::{Report, ReportError, Written, divide};
use super::page::{self, Page, Part, Section};
use super::provenance;
use super::study::conditions;
use super::table::{Entry, NumberTable, column, row_of};
use crate::record::RunRecord;
use crate::study::CellState;

/// Writes the report of the run in `folder` into `out`.
///
/// # Errors
/// The run cannot be read, or a file not written.
pub fn write(folder: &Path, out: &Path) -> Result<Written, ReportError> {
    report(&RunRecord::load(folder)?).write(out)
}

/// The report of a run, which may be under way.
pub fn report(run: &RunRecord) -> Report {
    let family = run.config.family();
    let (figures, missing) = divide(family.figures_of_run(run));
    let method = Method::of([&run.config]).with_runs([run]);
    let differences = method::differences_from_defaults(&run.config);
    let settings = method.shared_tables();
    let measured = measured(run);
    let parts = family.parts_of_run(run);
    let mut provenance = provenance::table("Program, device, data and times");
    provenance
        .rows
        .push(provenance::run_row(run.config.name(), run));

    let mut sections = vec![
        Section::new("figures", "Figures", page::figures(&figures, 1)),
        Section::of_tables("measures", "Measures", "", &[&measured]),
    ];
    sections.extend(parts.iter().map(Part::section));
    sections.extend([
        Section::new(
            "method",
            "Method",
            html! {
                @for paragraph in family.method(&method) { p { (paragraph) } }
                (differences.html())
                h3 { "All settings" }
                (Method::folded(&settings))
            },
        ),
        not_shown(run, &missing),
        Section::new(
            "provenance",
            "Provenance",
            html! { (provenance.html()) (provenance::details(run)) },
        ),
    ]);
    let page = Page {
        title: run.config.name().to_owned(),
        kind: "dalenet · run".into(),
        lead: lead(run),
        facts: facts(run),
        sections,
    };
    let mut tables = vec![measured];
    tables.extend(parts.into_iter().map(|part| part.table));
    tables.push(differences);
    tables.extend(settings);
    Report {
        page,
        figures,
        missing,
        tables,
    }
}

fn lead(run: &RunRecord) -> Vec<String> {
    if run.last().is_none() {
        return vec!["Nothing has been measured yet.".into()];
    }
    let mut said = run.config.family().sentences_of_run(run);
    // The first of them goes on where the accuracy ends.
    if let Some(accuracy) = accuracy::of_run(run) {
        match said.first_mut() {
            Some(first) => *first = format!("{accuracy} {first}"),
            None => said.push(accuracy),
        }
    }
    said
}

fn facts(run: &RunRecord) -> Vec<(String, String)> {
    let done = run.last().map_or(0, |epoch| epoch.epoch());
    let epochs = format!("{done} of {}", run.config.epochs());
    let mut facts: Vec<_> = [
        (
            "Status",
            CellState::from(run.manifest.status).word().to_owned(),
        ),
        ("Epochs", epochs),
        ("Started (UTC)", run.manifest.started_utc.clone()),
    ]
    .map(|(label, value)| (label.to_owned(), value))
    .into();
    facts.extend(provenance::summary(std::iter::once(run)));
    facts
}

/// Every measure that the run has.
fn measured(run: &RunRecord) -> NumberTable {
    // How long it took stands with the provenance.
    let measures = run.config.family().measures().by_group().into_iter();
    let lasting = measures.filter(|measure| !measure.is_timing);
    let values = lasting.map(|measure| (measure, measure.of(run)));
    let rows = values.filter_map(|(measure, value)| {
        let entry = match value.is_finite() {
            true => Entry::Number(value),
            false if conditions::is_none(run, measure) => Entry::text(conditions::NONE),
            false => return None,
        };
        let row = row_of(
            &measure.label,
            measure.unit,
            vec![entry, Entry::text(&measure.meaning)],
        );
        Some(row.keyed(&measure.name).among(measure.group))
    });
    NumberTable {
        id: "measures-table".into(),
        caption: "What was measured".into(),
        corner: "measure".into(),
        columns: vec![column("value"), column("meaning")],
        rows: rows.collect(),
        ..NumberTable::default()
    }
}

fn not_shown(run: &RunRecord, missing: &[Missing]) -> Section {
    let folder = run.files.folder().display().to_string();
    let lacks_analysis = !run.findings.is_analysed();
    let body = html! {
        @if missing.is_empty() && !lacks_analysis && run.left_out.is_empty() { p { "Nothing." } }
        ul {
            @for sentence in &run.left_out { li { (sentence) "." } }
            @if lacks_analysis && run.left_out.is_empty() {
                li {
                    "There is no analysis of the trained network (analysis.json); make it with "
                    code { "dalenet analyse " (folder) } "."
                }
            }
            @for figure in missing { li { "Figure “" (figure.title) "”: " (figure.reason) } }
        }
    };
    Section::new("missing", "What is not shown", body)
}
