//! How the classes of a run are told apart.

use super::super::draw::mark::Mark;
use super::super::draw::page::PanelRows;
use super::super::draw::panel::Panel;
use super::super::draw::scale::Axis;
use super::super::draw::svg::{Colour, Dash, Stroke};
use super::super::groups::{BLUE, VERMILION};
use super::super::kit::{brief, fill, line_key};
use super::super::sheet::{Missing, Rows, Sheet, Table};
use crate::analysis::record::RunAnalysis;

/// Title of the figure.
pub const TITLE: &str = "Accuracy, E rate and confusion matrix by class";

/// Most classes for which a confusion matrix is drawn.
const MOST_IN_CONFUSION: usize = 12;

/// Accuracy, rate and predictions by class.
pub fn classes(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let test = &analysis.test;
    let classes = test.labels.iter().chain(&test.predicted).max();
    let classes = classes.map_or(0, |class| *class as usize + 1);
    // Labels are bounded by the data sets read; a damaged file must not ask for a picture of 4 billion bars.
    if classes == 0 || classes > 1000 {
        return Err(Missing::new(
            "classes",
            TITLE,
            "the analysis has no usable predictions",
        ));
    }
    let mut table = Table::new(&["class", "trials", "accuracy_percent", "e_rate_hz"]);
    let rows = add_classes(analysis, classes, &mut table);
    let accuracy = Axis::new("accuracy (%)").from(0.0).to(100.0);
    let panels = vec![
        bars(
            "Accuracy by class",
            accuracy,
            classes,
            &table,
            &rows,
            ("accuracy_percent", test.accuracy_percent),
        ),
        bars(
            "E rate by class",
            Axis::new("rate (Hz)").from(0.0),
            classes,
            &table,
            &rows,
            ("e_rate_hz", test.e_rate_hz),
        ),
    ];
    let means = [test.accuracy_percent, test.e_rate_hz];
    table.row(
        &["mean"],
        &[&[test.labels.len() as f64], &means[..]].concat(),
    );
    let mut page = PanelRows::grid(panels, 2, 130.0);
    if classes <= MOST_IN_CONFUSION {
        let panel = confusion(analysis, classes, &mut table);
        page = page.above(PanelRows::grid(vec![panel], 1, 22.0 * classes as f64));
    }
    Ok(Sheet {
        id: "classes".into(),
        title: TITLE.into(),
        caption: format!(
            "Test accuracy and mean E rate of the trials of each class (dashed: mean over all test trials); \
             confusion matrix: number of test trials of each true class (rows) by predicted class (columns). \
             Checkpoint: {}, epoch {}.",
            analysis.checkpoint, analysis.epoch
        ),
        alt: "Accuracy and E rate by class, and the confusion matrix.".into(),
        page,
        table,
    })
}

/// Adds a row for each class.
fn add_classes(analysis: &RunAnalysis, classes: usize, table: &mut Table) -> Rows {
    let test = &analysis.test;
    let row = |class: usize| {
        let pairs = test.labels.iter().zip(&test.predicted);
        let of_class = pairs.filter(|(label, _)| **label as usize == class);
        let (trials, correct) =
            of_class.fold((0.0, 0.0), |(trials, correct), (label, predicted)| {
                (
                    trials + 1.0,
                    correct + f64::from(u8::from(label == predicted)),
                )
            });
        let rate = test.class_e_rate_hz.get(class).copied().unwrap_or(f64::NAN);
        [class as f64, trials, 100.0 * correct / trials, rate]
    };
    table.add(&[], (0..classes).map(row))
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
fn confusion(analysis: &RunAnalysis, classes: usize, table: &mut Table) -> Panel {
    let mut counts = vec![vec![0_u32; classes]; classes];
    for (label, predicted) in analysis.test.labels.iter().zip(&analysis.test.predicted) {
        counts[*label as usize][*predicted as usize] += 1;
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
