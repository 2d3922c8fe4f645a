//! Figures of what is measured every epoch.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Marker, Stroke};
use super::groups::{Group, Groups, Run};
use super::table::Table;
use super::{Missing, Sheet};
use crate::train::metrics::{
    ACTIVE_E, E_RATE, EpochMetrics, GRADIENT_NORM, I_RATE, TEST_ACCURACY, TEST_LOSS, TRAIN_LOSS,
};

/// A measure of an epoch: title, axis label, whether its axis is logarithmic, and the number.
type Measure = (&'static str, &'static str, bool, fn(&EpochMetrics) -> f64);

const MEASURES: [Measure; 6] = [
    ("Test accuracy", "accuracy (%)", false, |m| m[TEST_ACCURACY]),
    ("Cross-entropy", "loss (nats)", false, |m| m[TEST_LOSS]),
    ("E rate (test mean)", "rate (Hz)", false, |m| m[E_RATE]),
    ("I rate (test mean)", "rate (Hz)", false, |m| m[I_RATE]),
    ("Active E cells per trial", "share (%)", false, |m| {
        m[ACTIVE_E]
    }),
    ("Gradient norm", "norm before clipping", true, |m| {
        m[GRADIENT_NORM]
    }),
];
const MEASURE_COLUMNS: [&str; 7] = [
    "test_accuracy_percent",
    "test_loss_nats",
    "e_rate_hz",
    "i_rate_hz",
    "active_e_percent",
    "gradient_norm",
    "train_loss_nats",
];

/// Points of a measure against the epoch.
pub fn series(run: &Run, measure: impl Fn(&EpochMetrics) -> f64) -> Vec<(f64, f64)> {
    run.record
        .epochs
        .iter()
        .map(|m| (m.epoch() as f64, measure(m)))
        .collect()
}

/// A line of a run with a few markers of its condition, and a cross at the end of a diverged run.
pub fn curve(group: &Group, run: &Run, points: Vec<(f64, f64)>, stroke: Stroke) -> Vec<Mark> {
    let place = group
        .runs
        .iter()
        .position(|r| r.cell == run.cell)
        .unwrap_or(0);
    let measured: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1.is_finite()).collect();
    let every = (measured.len() / 4).max(1);
    // Markers of equal curves stand beside each other.
    let turn = 2 * group.place.0 + 5 * group.place.1 + 3 * place;
    let first = (every / 4 + turn * every / 7) % every;
    let few = measured
        .iter()
        .copied()
        .skip(first)
        .step_by(every)
        .collect();
    let colour = stroke.colour;
    let stroke = if stroke.dash == Dash::Solid {
        stroke.dashed(group.dash)
    } else {
        stroke
    };
    let mut marks = vec![
        Mark::Line { points, stroke },
        Mark::Points {
            points: few,
            marker: group.marker,
            size: 5.0,
            colour,
            open: false,
        },
    ];
    if run.diverged() {
        marks.push(Mark::Points {
            points: measured.last().copied().into_iter().collect(),
            marker: Marker::Cross,
            size: 9.0,
            colour,
            open: true,
        });
    }
    marks
}

/// A plain horizontal axis of epochs.
pub fn epoch_axis() -> Axis {
    Axis::new("epoch").from(0.0).counted()
}

/// The six curves of training.
pub fn curves(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("training_curves", "Training curves");
    let mut panels = Vec::new();
    for (name, unit, log, measure) in MEASURES {
        let mut y = Axis::new(unit);
        if log {
            y = y.scaled(Scale::Log);
        } else if unit != "loss (nats)" {
            y = y.from(0.0);
        }
        let mut panel = Panel::new(name, epoch_axis(), y);
        for (group, run) in groups.runs() {
            let stroke = Stroke::solid(group.colour, 1.3);
            // With a second axis, dashes tell its values apart.
            if unit == "loss (nats)" && !groups.is_crossed() {
                let points = series(run, |m| m[TRAIN_LOSS]);
                panel.marks.push(Mark::Line {
                    points,
                    stroke: stroke.dashed(Dash::Dashed),
                });
            }
            panel
                .marks
                .extend(curve(group, run, series(run, measure), stroke));
        }
        panels.push(panel);
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(id, title, "no cell has finished an epoch yet"));
    }
    let mut columns = vec!["condition", "cell", "epoch"];
    columns.extend(MEASURE_COLUMNS);
    let mut table = Table::new(&columns);
    for (group, run) in groups.runs() {
        for m in &run.record.epochs {
            let mut numbers = vec![m.epoch() as f64];
            numbers.extend(MEASURES.map(|(_, _, _, measure)| measure(m)));
            numbers.push(m[TRAIN_LOSS]);
            table.push(&[&group.label, run.cell], &numbers);
        }
    }
    let mut key = groups.key();
    let loss = if groups.is_crossed() {
        "The cross-entropy is that of the test set; that of training is in the data file."
    } else {
        key.push(Key::new(
            Sample::Line(Stroke::solid(Colour::Ink, 1.3).dashed(Dash::Dashed), None),
            "training loss",
        ));
        "The training loss is the mean over an epoch while the weights change."
    };
    let caption = format!(
        "Measures of every epoch, a line a cell; epoch 0 is the untrained network. Rates, accuracy and activity \
         are means over the test set. {loss}{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!("Six panels against the epoch for {}.", names(groups)),
        page: Page::grid(panels, 3, 125.0).with_key(key),
        table,
    })
}

/// The conditions, for texts.
pub fn names(groups: &Groups) -> String {
    groups
        .groups
        .iter()
        .map(|g| g.label.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}
