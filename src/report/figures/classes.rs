//! How the classes of a run are told apart.

use super::draw::mark::Mark;
use super::draw::page::PanelRows;
use super::draw::panel::Panel;
use super::draw::scale::Axis;
use super::draw::svg::{Colour, Dash, Stroke};
use super::groups::{BLUE, VERMILION};
use super::kit::{brief, fill, line_key};
use super::sheet::{Missing, Rows, Sheet, Table};
use crate::analysis::answers::Answers;

/// Most classes for which a confusion matrix is drawn.
const MOST_IN_CONFUSION: usize = 12;

/// A quantity of the trials of each class, drawn beside their accuracy.
#[derive(Clone, Copy)]
pub struct ByClass<'a> {
    /// Its name in sentences, as `E rate`.
    pub name: &'static str,
    /// Its column of the table.
    pub column: &'static str,
    /// Title of its axis.
    pub axis: &'static str,
    /// Its mean over the trials of each class.
    pub of_class: &'a [f64],
    /// Its mean over all trials.
    pub mean: f64,
}

/// Title of the figure.
pub fn title(more: Option<&'static str>) -> String {
    match more {
        Some(name) => format!("Accuracy, {name} and confusion matrix by class"),
        None => "Accuracy and confusion matrix by class".into(),
    }
}

/// Accuracy and predictions by class, of a checkpoint in words.
pub fn classes(
    answers: Answers<'_>,
    checkpoint: &str,
    more: Option<ByClass<'_>>,
) -> Result<Sheet, Missing> {
    let title = title(more.map(|more| more.name));
    let classes = answers.labels.iter().chain(answers.predicted).max();
    let classes = classes.map_or(0, |class| *class as usize + 1);
    // Labels are bounded by the data sets read; a damaged file must not ask for a picture of 4 billion bars.
    if classes == 0 || classes > 1000 {
        let reason = "the analysis has no usable predictions";
        return Err(Missing::new("classes", title, reason));
    }
    let mut columns = vec!["class", "trials", "accuracy_percent"];
    columns.extend(more.map(|more| more.column));
    let mut table = Table::new(&columns);
    let row = |class: usize| {
        let (trials, correct) = answers.of_class(class as u32);
        let (trials, correct) = (trials as f64, correct as f64);
        let mut row = vec![class as f64, trials, 100.0 * correct / trials];
        let of_class = |more: ByClass<'_>| more.of_class.get(class).copied();
        row.extend(more.map(|more| of_class(more).unwrap_or(f64::NAN)));
        row
    };
    let rows = table.add(&[], (0..classes).map(row));
    let accuracy = answers.accuracy_percent();
    let axis = Axis::new("accuracy (%)").from(0.0).to(100.0);
    let drawn = ("accuracy_percent", accuracy);
    let mut panels = vec![bars(
        "Accuracy by class",
        axis,
        classes,
        &table,
        &rows,
        drawn,
    )];
    let mut means = vec![answers.labels.len() as f64, accuracy];
    if let Some(more) = more {
        let (title, axis) = (format!("{} by class", more.name), Axis::new(more.axis));
        let drawn = (more.column, more.mean);
        panels.push(bars(&title, axis.from(0.0), classes, &table, &rows, drawn));
        means.push(more.mean);
    }
    table.row(&["mean"], &means);
    let mut page = PanelRows::grid(panels, 2, 130.0);
    if classes <= MOST_IN_CONFUSION {
        let panel = confusion(answers, classes, &mut table);
        page = page.above(PanelRows::grid(vec![panel], 1, 22.0 * classes as f64));
    }
    let shown = match more {
        Some(more) => format!("Test accuracy and mean {}", more.name),
        None => "Test accuracy".into(),
    };
    Ok(Sheet {
        id: "classes".into(),
        caption: format!(
            "{shown} of the trials of each class (dashed: mean over all test trials); confusion matrix: number of \
             test trials of each true class (rows) by predicted class (columns). Checkpoint: {checkpoint}."
        ),
        alt: format!("{title}."),
        title,
        page,
        table,
    })
}

/// A bar for each class, and their mean.
fn bars(
    title: &str,
    y: Axis,
    classes: usize,
    table: &Table,
    rows: &Rows,
    (column, mean): (&str, f64),
) -> Panel {
    let names = (0..classes).step_by(classes.div_ceil(12));
    let names = names.map(|class| (class as f64, class.to_string()));
    let x = Axis::new("class").from(-0.6).to(classes as f64 - 0.4);
    let mut panel = Panel::new(title, x.named(names.collect()), y);
    let bars = table.columns(rows, ["class", column], 0.36, fill(BLUE, 0.75));
    panel.marks.extend(bars);
    let stroke = Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dashed);
    panel.marks.push(Mark::Level { y: mean, stroke });
    let words = format!("mean {}", brief(mean));
    panel.key.push(line_key(stroke, words));
    panel
}

/// Trials by true and predicted class; adds a column for each predicted class.
fn confusion(answers: Answers<'_>, classes: usize, table: &mut Table) -> Panel {
    let mut counts = vec![vec![0_u32; classes]; classes];
    for (label, predicted) in answers.pairs() {
        counts[label as usize][predicted as usize] += 1;
    }
    let upwards = |class: usize| (classes - 1 - class) as f64;
    let axis = |title: &str, place: &dyn Fn(usize) -> f64| {
        let names = (0..classes).map(|class| (place(class), class.to_string()));
        let axis = Axis::new(title).from(-0.5).to(classes as f64 - 0.5);
        axis.named(names.collect())
    };
    let x = axis("predicted class", &|class| class as f64);
    let mut panel = Panel::new("Confusion matrix (trials)", x, axis("true class", &upwards));
    panel.grid = false;
    table
        .header
        .extend((0..classes).map(|c| format!("answered_{c}")));
    for (label, row) in counts.iter().enumerate() {
        table.rows[label].extend(row.iter().map(u32::to_string));
        let most = row.iter().sum::<u32>().max(1);
        for (predicted, count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let at = (predicted as f64, upwards(label));
            let colour = if label == predicted { BLUE } else { VERMILION };
            let opacity = 0.12 + 0.5 * f64::from(*count) / f64::from(most);
            panel.marks.push(Mark::Bar {
                from: (at.0 - 0.48, at.1 - 0.47),
                to: (at.0 + 0.48, at.1 + 0.47),
                fill: fill(colour, opacity),
            });
            panel.marks.push(Mark::Words {
                at,
                down: 0.0,
                words: count.to_string(),
                size: 11.0,
                colour: Colour::Ink,
            });
        }
    }
    table.complete();
    panel
}
