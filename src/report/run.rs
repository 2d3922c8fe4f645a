//! The page of a run.

use std::path::Path;

use maud::html;

use super::figures;
use super::method::{self, Method};
use super::output::{Report, ReportError, Written, divide};
use super::page::{self, Page, Section};
use super::provenance;
use super::study::{answer, checks, conditions};
use super::table::{Entry, NumberTable, column, column_of, row, row_of};
use super::text::number;
use crate::analysis::compare::wilson_percent;
use crate::conductance::metrics::{E_RATE, I_RATE};
use crate::rate_rnn::metrics::TEST_ERROR;
use crate::record::RunRecord;
use crate::study::CellState;
use crate::study::measures::by_group;
use crate::text::count;
use crate::train::metrics::{EpochMetrics, TEST_ACCURACY};

/// Writes the report of the run in `folder` into `out`.
///
/// # Errors
/// The run cannot be read, or a file not written.
pub fn write(folder: &Path, out: &Path) -> Result<Written, ReportError> {
    report(&RunRecord::load(folder)?).write(out)
}

/// The report of a run, which may be under way.
pub fn report(run: &RunRecord) -> Report {
    let (figures, missing) = divide(figures::of_run(run));
    let method = Method::of([&run.config]).with_runs([run]);
    let differences = method::differences_from_defaults(&run.config);
    let settings = method.shared_tables();
    let measured = measured(run);
    let classes = classes(run);
    let is_spiking = run.config.as_conductance().is_some();
    let checks = is_spiking.then(|| checks::table(&[(run.config.name().to_owned(), run)]));
    let mut provenance = provenance::table("Program, device, data and times");
    provenance
        .rows
        .push(provenance::run_row(run.config.name(), run));

    let mut sections = vec![
        Section::new("figures", "Figures", page::figures(&figures, 1)),
        Section::of_tables("measures", "Measures", "", &[&measured]),
    ];
    if let Some(classes) = &classes {
        let intro = "Classification of the test set at the analysed checkpoint.";
        sections.push(Section::of_tables(
            "classes",
            "Accuracy by class",
            intro,
            &[classes],
        ));
    }
    if let Some(checks) = &checks {
        let intro = checks::INTRODUCTION;
        sections.push(Section::of_tables("checks", "Checks", intro, &[checks]));
    }
    sections.extend([
        Section::new(
            "method",
            "Method",
            html! {
                @for paragraph in method.paragraphs() { p { (paragraph) } }
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
    tables.extend(classes);
    tables.extend(checks);
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
    let Some(last) = run.last() else {
        return vec!["Nothing has been measured yet.".into()];
    };
    let interval = run.analysis.as_ref().map_or_else(String::new, |analysis| {
        let test = &analysis.test;
        let pairs = test.labels.iter().zip(&test.predicted);
        let correct = pairs.filter(|(label, answer)| label == answer).count() as u64;
        let [low, high] = wilson_percent(correct, test.labels.len() as u64);
        format!(" (95 % interval {low:.1} to {high:.1} %)")
    });
    let epochs = count(last.epoch() as usize, "epoch", "epochs");
    if last[TEST_ACCURACY].is_nan() {
        return vec![lead_of_values(run, last, &epochs)];
    }
    let mut accuracy = format!(
        "Test accuracy is {} %{interval} after {epochs}",
        number(last[TEST_ACCURACY])
    );
    if let Some(best) = run.best() {
        let rule = if run.config.has_validation() {
            "best by validation"
        } else {
            "best"
        };
        accuracy += &format!(
            "; {rule}: {} % after epoch {}",
            number(best[TEST_ACCURACY]),
            best.epoch()
        );
    }
    accuracy += ".";
    if run.config.as_conductance().is_none() {
        return vec![accuracy];
    }
    let rates = format!(
        "Over the test set E cells fire at {} Hz and I cells at {} Hz on average.",
        number(last[E_RATE]),
        number(last[I_RATE])
    );
    let mut lead = vec![format!("{accuracy} {rates}")];
    let outcome = answer::of_run(run);
    if !outcome.is_empty() {
        lead.push(outcome.join(" "));
    }
    lead
}

/// The first sentence of a run whose targets are values.
fn lead_of_values(run: &RunRecord, last: &EpochMetrics, epochs: &str) -> String {
    let error = number(last[TEST_ERROR]);
    let best = run.best().map_or_else(String::new, |best| {
        format!(
            "; best: {} after epoch {}",
            number(best[TEST_ERROR]),
            best.epoch()
        )
    });
    format!("The mean squared error over the test set is {error} after {epochs}{best}.")
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
    let lasting = by_group()
        .into_iter()
        .filter(|measure| !measure.is_timing && measure.is_of(run.config.family()));
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

/// Trials, correct answers and E rate of each class.
fn classes(run: &RunRecord) -> Option<NumberTable> {
    let test = &run.analysis.as_ref()?.test;
    let count = test.labels.iter().max().map_or(0, |class| class + 1);
    let of_class = |class: u32| {
        let answers = test.labels.iter().zip(&test.predicted);
        let mine = answers.filter(|(label, _)| **label == class);
        let (trials, correct) = mine.fold((0_u32, 0_u32), |(trials, correct), (label, answer)| {
            (trials + 1, correct + u32::from(label == answer))
        });
        let rate = test.class_e_rate_hz.get(class as usize).copied();
        let entries = vec![
            Entry::Number(f64::from(trials)),
            Entry::Number(f64::from(correct)),
            Entry::Number(100.0 * f64::from(correct) / f64::from(trials)),
            Entry::Number(rate.unwrap_or(f64::NAN)),
        ];
        row(format!("class {class}"), entries)
    };
    Some(NumberTable {
        id: "classes-table".into(),
        caption: "Accuracy and E rate by class".into(),
        corner: "class".into(),
        columns: vec![
            column("test trials"),
            column("correct"),
            column_of("accuracy", "%"),
            column_of("E rate", "Hz"),
        ],
        // More classes than trials are no classes.
        rows: (0..count.min(test.labels.len() as u32))
            .map(of_class)
            .collect(),
        ..NumberTable::default()
    })
}

fn not_shown(run: &RunRecord, missing: &[figures::Missing]) -> Section {
    let folder = run.files.folder().display().to_string();
    let lacks_analysis = run.analysis.is_none() && run.config.as_conductance().is_some();
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
