//! How the classes of a run are told apart.

use super::super::draw::mark::Mark;
use super::super::draw::page::Page;
use super::super::draw::panel::{Key, Panel, Sample};
use super::super::draw::scale::Axis;
use super::super::draw::svg::{Colour, Dash, Fill, Stroke};
use super::super::groups::{BLUE, VERMILION};
use super::super::table::Table;
use super::super::{Missing, Sheet, weights};
use crate::analysis::record::RunAnalysis;

/// Accuracy, rate and answers by class.
pub fn classes(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let test = &analysis.test;
    let pairs = || test.labels.iter().zip(&test.predicted);
    let classes = test
        .labels
        .iter()
        .chain(&test.predicted)
        .max()
        .map_or(0, |c| *c as usize + 1);
    // Labels are bounded by the data sets read; a damaged file must not ask for a picture of 4 billion bars.
    if classes == 0 || classes > 1000 {
        return Err(Missing::new(
            "classes",
            "Classes",
            "the analysis has no usable answers",
        ));
    }
    let mut table = Table::new(&["class", "trials", "accuracy_percent", "e_rate_hz"]);
    let names = |step: usize| {
        (0..classes)
            .step_by(step)
            .map(|c| (c as f64, c.to_string()))
            .collect()
    };
    let step = classes.div_ceil(12);
    let x = || {
        Axis::new("class")
            .from(-0.6)
            .to(classes as f64 - 0.4)
            .named(names(step))
    };
    let mut accuracy = Panel::new(
        "Accuracy by class",
        x(),
        Axis::new("accuracy (%)").from(0.0).to(100.0),
    );
    let mut rates = Panel::new("E rate by class", x(), Axis::new("rate (Hz)").from(0.0));
    let fill = Fill {
        colour: BLUE,
        opacity: 0.75,
    };
    for class in 0..classes {
        let of_class = || pairs().filter(|(label, _)| **label as usize == class);
        let trials = of_class().count() as f64;
        let share =
            100.0 * of_class().filter(|(label, answer)| label == answer).count() as f64 / trials;
        let rate = test.class_e_rate_hz.get(class).copied().unwrap_or(f64::NAN);
        table.push(&[], &[class as f64, trials, share, rate]);
        for (panel, value) in [(&mut accuracy, share), (&mut rates, rate)] {
            let at = class as f64;
            panel.marks.push(Mark::Bar {
                from: (at - 0.36, 0.0),
                to: (at + 0.36, value),
                fill,
            });
        }
    }
    for (panel, mean) in [
        (&mut accuracy, test.accuracy_percent),
        (&mut rates, test.e_rate_hz),
    ] {
        let stroke = Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dashed);
        panel.marks.push(Mark::Level { y: mean, stroke });
        panel.key.push(Key::new(
            Sample::Line(stroke, None),
            format!("mean {}", weights::brief(mean)),
        ));
    }
    table.push(
        &["mean"],
        &[
            test.labels.len() as f64,
            test.accuracy_percent,
            test.e_rate_hz,
        ],
    );
    // The most frequent errors, as a grid of answers.
    let confusion = (classes <= 12).then(|| confusion(analysis, classes, &mut table));
    let mut page = Page::grid(vec![accuracy, rates], 2, 130.0);
    if let Some(panel) = confusion {
        page = page.above(Page::grid(vec![panel], 1, 22.0 * classes as f64));
    }
    Ok(Sheet {
        id: "classes".into(),
        title: "Classes".into(),
        caption: format!(
            "Accuracy and mean E rate in the test trials of each class, and how many trials of a class (rows) were \
             answered with which class (columns). {} checkpoint, epoch {}.",
            analysis.checkpoint, analysis.epoch
        ),
        alt: "Accuracy and E rate by class, and a table of answers by class.".into(),
        page,
        table,
    })
}

fn confusion(analysis: &RunAnalysis, classes: usize, table: &mut Table) -> Panel {
    let mut counts = vec![vec![0_u32; classes]; classes];
    for (label, answer) in analysis.test.labels.iter().zip(&analysis.test.predicted) {
        counts[*label as usize][*answer as usize] += 1;
    }
    let axis = |name: &str, flip: bool| {
        let place = |c: usize| {
            if flip {
                (classes - 1 - c) as f64
            } else {
                c as f64
            }
        };
        let names = (0..classes).map(|c| (place(c), c.to_string())).collect();
        Axis::new(name)
            .from(-0.5)
            .to(classes as f64 - 0.5)
            .named(names)
    };
    let mut panel = Panel::new(
        "Answers (trials)",
        axis("class answered", false),
        axis("class shown", true),
    );
    panel.grid = false;
    table
        .header
        .extend((0..classes).map(|c| format!("answered_{c}")));
    for (label, row) in counts.iter().enumerate() {
        let most = row.iter().sum::<u32>().max(1);
        for (answer, count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let at = (answer as f64, (classes - 1 - label) as f64);
            let colour = if label == answer { BLUE } else { VERMILION };
            let fill = Fill {
                colour,
                opacity: 0.12 + 0.5 * f64::from(*count) / f64::from(most),
            };
            panel.marks.push(Mark::Bar {
                from: (at.0 - 0.48, at.1 - 0.47),
                to: (at.0 + 0.48, at.1 + 0.47),
                fill,
            });
            panel.marks.push(Mark::Words {
                at,
                down: 0.0,
                words: count.to_string(),
                size: 11.0,
                colour: Colour::Ink,
            });
        }
        table.rows[label].extend(row.iter().map(u32::to_string));
    }
    for row in &mut table.rows {
        row.resize(table.header.len(), String::new());
    }
    panel
}
