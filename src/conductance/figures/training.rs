//! Training, epoch by epoch: the curves of this family, the spike budget, norms of the matrices, and paths through
//! rate and accuracy.

use std::collections::BTreeMap;

use super::kit::{MATRICES, sum_key, sum_stroke, unit};
use crate::conductance::metrics::{ACTIVE_E, CONFIDENCE, E_RATE, I_RATE, MARGIN, SILENT_E};
use crate::report::figures::draw::bar::ColourBar;
use crate::report::figures::draw::mark::{Mark, Point};
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Dash, Marker, Stroke};
use crate::report::figures::groups::{BLUE, CellRun, Group, Groups, VERMILION};
use crate::report::figures::kit::{curve, epoch_axis, epoch_columns, names};
use crate::report::figures::sheet::{Dots, Missing, Rows, Sheet, Table};
use crate::report::figures::training::{
    ACCURACY, CROSS_ENTROPY, Curve, Curves, Epochs, GRADIENT, Lines, RunCurves,
};
use crate::train::metrics::{
    EPOCH, GRADIENT_NORM, GRADIENT_RATIO, TEST_ACCURACY, TEST_LOSS, WEIGHT_NORM,
};

/// The curves of one run.
pub const OF_RUN: RunCurves = RunCurves {
    panels: &[
        ACCURACY,
        CROSS_ENTROPY,
        Lines {
            title: "Rates (test mean)",
            axis: "rate (Hz)",
            from_zero: true,
            lines: [
                ("E", E_RATE, BLUE, Dash::Solid),
                ("I", I_RATE, VERMILION, Dash::Dashed),
            ],
        },
        Lines {
            title: "E cells",
            axis: "share (%)",
            from_zero: true,
            lines: [
                ("active in a trial", ACTIVE_E, BLUE, Dash::Solid),
                ("silent", SILENT_E, Colour::Ink, Dash::Dashed),
            ],
        },
        GRADIENT,
        Lines {
            title: "Margin and confidence",
            axis: "logits; probability",
            from_zero: false,
            lines: [
                ("margin", MARGIN, Colour::Ink, Dash::Solid),
                ("confidence", CONFIDENCE, BLUE, Dash::Dashed),
            ],
        },
    ],
    caption: "E cells: share with a spike in a trial (mean over test trials), and share silent in the whole test set. \
        Gradient norm: mean and largest over the steps of the epoch, before clipping. Margin: logit of the true class \
        minus the largest other logit; confidence: softmax probability of the true class; both means over the test \
        set.",
    alt: "Accuracy, loss, rates, activity, gradient norm and margin against the epoch.",
};

/// The curves of a study.
pub const OF_STUDY: Curves = Curves {
    panels: &[
        Curve("Test accuracy", "accuracy (%)", TEST_ACCURACY),
        Curve("Cross-entropy", "loss (nats)", TEST_LOSS),
        Curve("E rate (test mean)", "rate (Hz)", E_RATE),
        Curve("I rate (test mean)", "rate (Hz)", I_RATE),
        Curve("Active E cells per trial", "share (%)", ACTIVE_E),
        Curve("Gradient norm", "norm before clipping", GRADIENT_NORM),
    ],
    measured: "Accuracy, cross-entropy, rates and active E cells: test set, after each epoch. Active: share of E \
        cells with at least one spike in a trial, mean over test trials.",
};

/// Column of the sum of both rates.
const TOTAL_RATE: &str = "total_rate_hz";

/// Total rate with its parts.
pub fn spike_budget(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("spike_budget", "Spike budget");
    let mut table = Table::new(&[
        "condition",
        "cell",
        EPOCH.name,
        E_RATE.name,
        I_RATE.name,
        TOTAL_RATE,
    ]);
    let mut panels = Vec::new();
    let together = groups.groups.len() <= 2;
    let mut largest = 0.0_f64;
    for group in &groups.groups {
        if panels.is_empty() || !together {
            let name = if together { "" } else { &group.label };
            let y = Axis::new("rate (Hz)").from(0.0);
            panels.push(Panel::new(name, epoch_axis(), y));
        }
        for run in &group.runs {
            let rates = run.record.epochs.iter().map(|m| (m, m[E_RATE], m[I_RATE]));
            let rows = rates.map(|(m, e, i)| [m[EPOCH], e, i, e + i]);
            let rows = table.add(&[&group.label, run.cell], rows);
            let totals = table.column(&rows, TOTAL_RATE).into_iter();
            largest = totals.fold(largest, f64::max);
            if let Some(panel) = panels.last_mut() {
                panel.marks.extend(budget_marks(group, run, &table, &rows));
            }
        }
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(id, title, "no cell has measured rates yet"));
    }
    for panel in &mut panels {
        panel.y.high = Some(1.05 * largest).filter(|high| *high > 0.0);
    }
    let mut key = groups.key();
    key.extend(sum_key());
    let (columns, height) = if together { (1, 210.0) } else { (3, 115.0) };
    let caption = format!(
        "Mean E rate, mean I rate and their sum over the test set after each epoch, a line for each cell of \
         the study. The sum is not weighted by the sizes of the populations.{}",
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
        page: PanelRows::grid(panels, columns, height).with_key(key),
        table,
    })
}

fn budget_marks(group: &Group, run: &CellRun, table: &Table, rows: &Rows) -> Vec<Mark> {
    let stroke = Stroke::solid(group.colour, 1.3);
    let total = table.points(rows, [EPOCH.name, TOTAL_RATE]);
    let mut marks = curve(group, run, total, sum_stroke(group.colour));
    for (metric, dash) in [(E_RATE, Dash::Solid), (I_RATE, Dash::Dashed)] {
        marks.push(table.line(rows, [EPOCH.name, metric.name], stroke.dashed(dash)));
    }
    marks
}

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
        EPOCH.name,
        WEIGHT_NORM.name,
        GRADIENT_RATIO.name,
    ]);
    for (short, name) in MATRICES {
        let is_trained = |run: &CellRun| {
            let mut epochs = run.record.epochs.iter();
            epochs.any(|m| m.by_matrix(GRADIENT_RATIO).contains_key(short))
        };
        if groups.runs().any(|(_, run)| is_trained(run)) {
            panels.extend(norm_panels(groups, (short, name), &mut table));
        }
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(
            id,
            title,
            "no cell has trained a matrix for an epoch yet",
        ));
    }
    let caption = format!(
        "Frobenius norm of the stored matrix after each epoch, and its gradient norm divided by its weight \
         norm, mean over the optimiser steps of the epoch. Cells that do not train a matrix have no ratio for it.{}",
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
        page: PanelRows::grid(panels, 2, 130.0).with_key(groups.key()),
        table,
    })
}

/// The two panels of a matrix.
fn norm_panels(groups: &Groups, (short, name): (&str, &str), table: &mut Table) -> [Panel; 2] {
    let log = Axis::new("gradient / norm").scaled(Scale::Log);
    let y = Axis::new(&format!("norm of {name}{}", unit(short)));
    let mut norm = Panel::new(format!("Norm of {name}"), epoch_axis(), y);
    let mut ratio = Panel::new(format!("Relative gradient of {name}"), epoch_axis(), log);
    for (group, run) in groups.runs() {
        let rows = run.record.epochs.iter().map(|m| {
            let of = |metric| m.of_matrix(metric, short);
            [m[EPOCH], of(WEIGHT_NORM), of(GRADIENT_RATIO)]
        });
        let rows = table.add(&[&group.label, run.cell, short], rows);
        for (panel, metric) in [(&mut norm, WEIGHT_NORM), (&mut ratio, GRADIENT_RATIO)] {
            let points = table.points(&rows, [EPOCH.name, metric.name]);
            let stroke = Stroke::solid(group.colour, 1.3);
            panel.marks.extend(curve(group, run, points, stroke));
        }
    }
    [norm, ratio]
}

/// Dots of all paths together: enough to see them, few enough for a small file.
const MOST_DOTS: usize = 1200;

/// Paths of the cells through rate and accuracy.
pub fn accuracy_against_rate(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("accuracy_against_rate", "Accuracy against rate");
    let metrics = [E_RATE, TEST_ACCURACY];
    let columns = metrics.map(|metric| metric.name);
    let mut table = Table::new(&epoch_columns(&["condition", "cell"], &metrics));
    let mut paths = Epochs::new();
    for (group, run) in groups.runs() {
        let trained = run.record.epochs.iter().filter(|m| m.epoch() > 0);
        let rows = trained.map(|m| [m[EPOCH], m[E_RATE], m[TEST_ACCURACY]]);
        paths.push((group, run, table.add(&[&group.label, run.cell], rows)));
    }
    let y = Axis::new("test accuracy (%)");
    let mut panel = Panel::new("", Axis::new("E rate (Hz, test mean)").from(0.0), y);
    panel.room = (0.03, 0.05);
    for (group, _, rows) in &paths {
        let stroke = Stroke {
            opacity: 0.6,
            ..Stroke::solid(group.colour, 1.0)
        };
        panel.marks.push(table.line(rows, columns, stroke));
    }
    if !panel.has_data() {
        return Err(Missing::new(id, title, "no cell has finished an epoch yet"));
    }
    let epochs = groups
        .runs()
        .filter_map(|(_, run)| Some(run.record.last()?.epoch()));
    let last = epochs.max().unwrap_or(0);
    let ends_of_bar = [1.0, last.max(2) as f64].into_iter();
    let Some(bar) = ColourBar::new(Axis::new("epoch").counted(), ends_of_bar) else {
        return Err(Missing::new(id, title, "the epochs have no numbers"));
    };
    let every = (last as usize * paths.len() / MOST_DOTS).max(1);
    panel.marks.extend(path_dots(&paths, &table, every, &bar));
    panel.marks.extend(path_ends(&paths, &table));
    let caption = format!(
        "Test accuracy against mean E rate over the test set, a line for each cell of the \
         study from epoch 1 to the last; colour of the dots: epoch.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Test accuracy against E rate, a path for each cell, for {}.",
            names(groups)
        ),
        page: PanelRows::grid(vec![panel], 1, 300.0)
            .with_key(path_key(groups))
            .with_bar(bar),
        table,
    })
}

/// A dot in the colour of its epoch, on every so many epochs.
fn path_dots(paths: &Epochs, table: &Table, every: usize, bar: &ColourBar) -> Vec<Mark> {
    let mut dots: BTreeMap<u64, Vec<Point>> = BTreeMap::new();
    for (_, _, rows) in paths {
        let points = table.points(rows, [E_RATE.name, TEST_ACCURACY.name]);
        for (epoch, point) in table.column(rows, EPOCH.name).into_iter().zip(points) {
            if (epoch as usize).is_multiple_of(every) {
                dots.entry(epoch as u64).or_default().push(point);
            }
        }
    }
    let dots = dots.into_iter();
    dots.map(|(epoch, points)| Dots::full(Marker::Square, 4.0, bar.colour(epoch as f64)).at(points))
        .collect()
}

/// Markers at the beginnings of the paths, then at their ends.
fn path_ends(paths: &Epochs, table: &Table) -> Vec<Mark> {
    let end = |at: fn(&[Point]) -> Option<&Point>, dots: fn(Colour) -> Dots| {
        paths.iter().map(move |(group, _, rows)| {
            let points = table.points(rows, [E_RATE.name, TEST_ACCURACY.name]);
            dots(group.colour).at(at(&points).copied().into_iter().collect())
        })
    };
    let begins = end(<[Point]>::first, |c| Dots::open(Marker::Circle, 8.0, c));
    let ends = end(<[Point]>::last, |c| Dots::full(Marker::Star, 12.0, c));
    begins.chain(ends).collect()
}

fn path_key(groups: &Groups) -> Vec<Key> {
    let mut key = groups.key();
    for entry in &mut key {
        if let LegendSample::Line(stroke, _) = entry.sample {
            entry.sample = LegendSample::Line(stroke, None);
        }
    }
    key.truncate(groups.groups.iter().map(|g| g.place.0).max().unwrap_or(0) + 1);
    for (marker, open, label) in [
        (Marker::Circle, true, "epoch 1"),
        (Marker::Star, false, "last epoch"),
    ] {
        key.push(Key::new(
            LegendSample::Spot(marker, Colour::Ink, open),
            label,
        ));
    }
    key
}
