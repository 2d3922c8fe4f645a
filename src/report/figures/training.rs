//! Figures of what is measured every epoch.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Fill, Marker, Stroke};
use super::groups::{Group, Groups, Run};
use super::table::Table;
use super::{Missing, Sheet};
use crate::train::metrics::EpochMetrics;

/// A measure of an epoch: title, axis label, whether its axis is logarithmic, and the number.
type Measure = (&'static str, &'static str, bool, fn(&EpochMetrics) -> f64);

const MEASURES: [Measure; 6] = [
    ("Test accuracy", "accuracy (%)", false, |m| {
        m.test_accuracy_percent
    }),
    ("Cross-entropy", "loss (nats)", false, |m| m.test_loss_nats),
    ("E rate (test mean)", "rate (Hz)", false, |m| m.e_rate_hz),
    ("I rate (test mean)", "rate (Hz)", false, |m| m.i_rate_hz),
    ("Active E cells per trial", "share (%)", false, |m| {
        m.active_e_percent
    }),
    ("Gradient norm", "norm before clipping", true, |m| {
        m.gradient_norm
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
        .map(|m| (m.epoch as f64, measure(m)))
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
    let first = every / 2 + place * every / group.runs.len().max(1);
    let few = measured
        .iter()
        .copied()
        .skip(first)
        .step_by(every)
        .collect();
    let colour = stroke.colour;
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
    Axis::new("epoch").from(0.0)
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
            if unit == "loss (nats)" {
                let points = series(run, |m| m.train_loss_nats);
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
            let mut numbers = vec![m.epoch as f64];
            numbers.extend(MEASURES.map(|(_, _, _, measure)| measure(m)));
            numbers.push(m.train_loss_nats);
            table.push(&[&group.label, run.cell], &numbers);
        }
    }
    let mut key = groups.key();
    key.push(Key::new(
        Sample::Line(Stroke::solid(Colour::Ink, 1.3).dashed(Dash::Dashed), None),
        "training loss",
    ));
    let caption = format!(
        "Measures of every epoch, a line a cell; epoch 0 is the untrained network. Rates, accuracy and activity \
         are means over the test set; the training loss is the mean over an epoch while the weights change.{}",
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

/// Total rate with its parts.
pub fn spike_budget(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("spike_budget", "Spike budget");
    let mut panels = Vec::new();
    let mut table = Table::new(&[
        "condition",
        "cell",
        "epoch",
        "e_rate_hz",
        "i_rate_hz",
        "total_rate_hz",
    ]);
    let together = groups.groups.len() <= 2;
    let mut largest = 0.0_f64;
    for group in &groups.groups {
        if panels.is_empty() || !together {
            let name = if together {
                String::new()
            } else {
                group.label.clone()
            };
            panels.push(Panel::new(
                name,
                epoch_axis(),
                Axis::new("rate (Hz)").from(0.0),
            ));
        }
        for run in &group.runs {
            let stroke = Stroke::solid(group.colour, 1.8);
            let total = series(run, |m| m.e_rate_hz + m.i_rate_hz);
            largest = total.iter().map(|p| p.1).fold(largest, f64::max);
            if let Some(panel) = panels.last_mut() {
                let part = |points, dash| Mark::Line {
                    points,
                    stroke: Stroke {
                        width: 1.2,
                        ..stroke
                    }
                    .dashed(dash),
                };
                panel
                    .marks
                    .push(part(series(run, |m| m.e_rate_hz), Dash::Dotted));
                panel
                    .marks
                    .push(part(series(run, |m| m.i_rate_hz), Dash::Dashed));
                panel.marks.extend(curve(group, run, total, stroke));
            }
            for m in &run.record.epochs {
                let numbers = [
                    m.epoch as f64,
                    m.e_rate_hz,
                    m.i_rate_hz,
                    m.e_rate_hz + m.i_rate_hz,
                ];
                table.push(&[&group.label, run.cell], &numbers);
            }
        }
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(id, title, "no cell has measured rates yet"));
    }
    for panel in &mut panels {
        panel.y.high = Some(1.05 * largest).filter(|high| *high > 0.0);
    }
    let ink = Stroke::solid(Colour::Ink, 1.2);
    let mut key = groups.key();
    key.push(Key::new(
        Sample::Line(Stroke { width: 1.8, ..ink }, None),
        "E + I",
    ));
    key.push(Key::new(Sample::Line(ink.dashed(Dash::Dotted), None), "E"));
    key.push(Key::new(Sample::Line(ink.dashed(Dash::Dashed), None), "I"));
    let (columns, height) = if together { (1, 210.0) } else { (3, 115.0) };
    let caption = format!(
        "Sum of the mean rate of an E cell and of an I cell (test set), and both parts. The sum is not weighted by \
         the sizes of the populations.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Total, E and I rate against the epoch for {}.",
            names(groups)
        ),
        page: Page::grid(panels, columns, height).with_key(key),
        table,
    })
}

/// Order and names of the matrices.
pub const MATRICES: [(&str, &str); 6] = [
    ("in", "W_{in}"),
    ("out", "W_{out}"),
    ("ei", "W_{EI}"),
    ("ie", "W_{IE}"),
    ("ee", "W_{EE}"),
    ("ii", "W_{II}"),
];

/// Norm and relative gradient of every trained matrix.
pub fn norms(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = (
        "norms",
        "Norms and relative gradients of the trained matrices",
    );
    let mut panels = Vec::new();
    let mut table = Table::new(&[
        "condition",
        "cell",
        "matrix",
        "epoch",
        "weight_norm",
        "gradient_to_weight_ratio",
    ]);
    for (short, name) in MATRICES {
        let trained = |run: &Run| {
            run.record
                .epochs
                .iter()
                .any(|m| m.gradient_to_weight_ratio.contains_key(short))
        };
        if !groups.runs().any(|(_, run)| trained(run)) {
            continue;
        }
        let log = Axis::new(&format!("‖∇‖ / ‖{name}‖")).scaled(Scale::Log);
        let mut norm = Panel::new(
            format!("Norm of {name}"),
            epoch_axis(),
            Axis::new(&format!("‖{name}‖")),
        );
        let mut ratio = Panel::new(format!("Gradient over {name}"), epoch_axis(), log);
        let of = |map: &std::collections::BTreeMap<String, f64>| {
            map.get(short).copied().unwrap_or(f64::NAN)
        };
        for (group, run) in groups.runs() {
            let stroke = Stroke::solid(group.colour, 1.3);
            norm.marks.extend(curve(
                group,
                run,
                series(run, |m| of(&m.weight_norm)),
                stroke,
            ));
            let points = series(run, |m| of(&m.gradient_to_weight_ratio));
            ratio.marks.extend(curve(group, run, points, stroke));
            for m in &run.record.epochs {
                let numbers = [
                    m.epoch as f64,
                    of(&m.weight_norm),
                    of(&m.gradient_to_weight_ratio),
                ];
                table.push(&[&group.label, run.cell, short], &numbers);
            }
        }
        panels.extend([norm, ratio]);
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(
            id,
            title,
            "no cell has trained a matrix for an epoch yet",
        ));
    }
    let caption = format!(
        "Frobenius norm of the stored matrix after each epoch, and the gradient's norm over the matrix's norm, mean \
         over the epoch's steps. An untrained matrix has no ratio.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Norm and relative gradient of each trained matrix against the epoch for {}.",
            names(groups)
        ),
        page: Page::grid(panels, 2, 130.0).with_key(groups.key()),
        table,
    })
}

/// Colour of a share from 0 to 1; ends that are lost on white or on black are left out.
pub fn viridis(share: f64) -> Colour {
    let colour = colorous::VIRIDIS.eval_continuous(0.2 + 0.72 * share.clamp(0.0, 1.0));
    Colour::Rgb(colour.r, colour.g, colour.b)
}

/// Paths of the cells through rate and accuracy.
pub fn accuracy_against_rate(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("accuracy_against_rate", "Accuracy against rate");
    let y = Axis::new("test accuracy (%)");
    let mut panel = Panel::new("", Axis::new("E rate (Hz, test mean)").from(0.0), y);
    panel.room = (0.03, 0.05);
    let mut table = Table::new(&[
        "condition",
        "cell",
        "epoch",
        "e_rate_hz",
        "test_accuracy_percent",
    ]);
    let last = groups
        .runs()
        .filter_map(|(_, r)| r.record.last())
        .map(|m| m.epoch)
        .max()
        .unwrap_or(0);
    let runs = groups.runs().count();
    // Enough dots to see the path, few enough for a small file.
    let every = (last as usize * runs / 1200).max(1);
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    let mut dots: std::collections::BTreeMap<u64, Vec<(f64, f64)>> =
        std::collections::BTreeMap::new();
    for (group, run) in groups.runs() {
        let path: Vec<(u64, f64, f64)> = run
            .record
            .epochs
            .iter()
            .filter(|m| m.epoch > 0)
            .map(|m| (m.epoch, m.e_rate_hz, m.test_accuracy_percent))
            .collect();
        let points: Vec<(f64, f64)> = path.iter().map(|p| (p.1, p.2)).collect();
        let stroke = Stroke {
            opacity: 0.6,
            ..Stroke::solid(group.colour, 1.0)
        };
        panel.marks.push(Mark::Line {
            points: points.clone(),
            stroke,
        });
        for (epoch, rate, accuracy) in path {
            table.push(&[&group.label, run.cell], &[epoch as f64, rate, accuracy]);
            if (epoch as usize).is_multiple_of(every) {
                dots.entry(epoch).or_default().push((rate, accuracy));
            }
        }
        let ends_at = |p: Option<&(f64, f64)>| p.copied().into_iter().collect::<Vec<_>>();
        let end = |points, marker, size, open| Mark::Points {
            points,
            marker,
            size,
            colour: group.colour,
            open,
        };
        begins.push(end(ends_at(points.first()), Marker::Circle, 8.0, true));
        ends.push(end(ends_at(points.last()), Marker::Star, 12.0, false));
    }
    if !panel.has_data() {
        return Err(Missing::new(id, title, "no cell has finished an epoch yet"));
    }
    let share = |epoch: u64| (epoch as f64 - 1.0) / (last as f64 - 1.0).max(1.0);
    for (epoch, points) in dots {
        let (marker, colour) = (Marker::Square, viridis(share(epoch)));
        panel.marks.push(Mark::Points {
            points,
            marker,
            size: 4.0,
            colour,
            open: false,
        });
    }
    panel.marks.extend(begins);
    panel.marks.extend(ends);
    let mut key = groups.key();
    for entry in &mut key {
        if let Sample::Line(stroke, _) = entry.sample {
            entry.sample = Sample::Line(stroke, None);
        }
    }
    key.truncate(groups.groups.iter().map(|g| g.place.0).max().unwrap_or(0) + 1);
    key.push(Key::new(
        Sample::Spot(Marker::Circle, Colour::Ink, true),
        "epoch 1",
    ));
    key.push(Key::new(
        Sample::Spot(Marker::Star, Colour::Ink, false),
        "last epoch",
    ));
    let mut shown: Vec<u64> = (0..5).map(|k| 1 + (last.max(1) - 1) * k / 4).collect();
    shown.dedup();
    for epoch in shown {
        let fill = Fill {
            colour: viridis(share(epoch)),
            opacity: 1.0,
        };
        key.push(Key::new(Sample::Box(fill, None), format!("epoch {epoch}")));
    }
    let caption = format!(
        "Path of each cell through mean E rate and accuracy on the test set; the colour of the dots is the epoch.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Test accuracy against E rate, a path a cell, for {}.",
            names(groups)
        ),
        page: Page::grid(vec![panel], 1, 300.0).with_key(key),
        table,
    })
}
