//! What several figures share: epochs as rows, curves of runs, histograms, words and axes.

use super::draw::mark::{Mark, Point};
use super::draw::panel::{Key, LegendSample, Panel};
use super::draw::scale::Axis;
use super::draw::svg::{Colour, Dash, Fill, Marker, Stroke};
use super::groups::{CellRun, Group, Groups};
use super::sheet::{Dots, Rows, Table};
use crate::train::metrics::{EPOCH, Metric};

/// Why figures of the analysis are missing.
pub const NO_ANALYSIS: &str = "no cell has been analysed yet; run `dalenet analyse`";
/// Why figures of a run's analysis are missing.
pub const RUN_HAS_NO_ANALYSIS: &str = "the run has not been analysed yet; run `dalenet analyse`";

/// Three digits, as in keys.
pub fn brief(value: f64) -> String {
    if !value.is_finite() {
        return "none".into();
    }
    let magnitude = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-4..1e5).contains(&magnitude) {
        let text = format!("{value:.2e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{mantissa}·10^{{{}}}", super::draw::scale::signed(power))
    } else {
        let digits = (2 - libm::log10(magnitude).floor() as i32).clamp(0, 6) as usize;
        super::draw::scale::signed(&format!("{value:.digits$}"))
    }
}

/// The conditions, for texts.
pub fn names(groups: &Groups) -> String {
    let labels: Vec<&str> = groups.groups.iter().map(|g| g.label.as_str()).collect();
    labels.join("; ")
}

/// Panels in a row of so many.
pub fn columns(panels: usize) -> usize {
    if panels > 4 { 3 } else { 2 }
}

/// A stroke that does not stand before the data.
pub fn faint(width: f64, opacity: f64) -> Stroke {
    Stroke {
        opacity,
        ..Stroke::solid(Colour::Ink, width)
    }
}

/// A filled area.
pub fn fill(colour: Colour, opacity: f64) -> Fill {
    Fill { colour, opacity }
}

/// An entry of a key that shows a line.
pub fn line_key(stroke: Stroke, label: impl Into<String>) -> Key {
    Key::new(LegendSample::Line(stroke, None), label)
}

/// A plain horizontal axis of epochs.
pub fn epoch_axis() -> Axis {
    Axis::new("epoch").from(0.0).counted()
}

/// Columns of [`add_epochs`]: words, the epoch, the metrics.
pub fn epoch_columns(words: &[&'static str], metrics: &[Metric]) -> Vec<&'static str> {
    let metrics = metrics.iter().map(|metric| metric.name);
    words
        .iter()
        .copied()
        .chain([EPOCH.name])
        .chain(metrics)
        .collect()
}

/// Adds every epoch of a run: its number and its metrics.
pub fn add_epochs(table: &mut Table, words: &[&str], run: &CellRun, metrics: &[Metric]) -> Rows {
    let epochs = run.record.epochs.iter();
    let row = epochs.map(|m| {
        let numbers = metrics.iter().map(|metric| m[*metric]);
        std::iter::once(m[EPOCH]).chain(numbers).collect::<Vec<_>>()
    });
    table.add(words, row)
}

/// A line of a run with a few markers of its condition, and a cross at the end of a diverged run.
pub fn curve(group: &Group, run: &CellRun, points: Vec<Point>, stroke: Stroke) -> Vec<Mark> {
    let place = group
        .runs
        .iter()
        .position(|r| r.cell == run.cell)
        .unwrap_or(0);
    let measured: Vec<Point> = points.iter().copied().filter(|p| p.1.is_finite()).collect();
    let every = (measured.len() / 4).max(1);
    // Markers of equal curves stand beside each other.
    let turn = 2 * group.place.0 + 5 * group.place.1 + 3 * place;
    let first = (every / 4 + turn * every / 7) % every;
    let few = measured.iter().copied().skip(first).step_by(every);
    let colour = stroke.colour;
    let stroke = if stroke.dash == Dash::Solid {
        stroke.dashed(group.dash)
    } else {
        stroke
    };
    let mut marks = vec![
        Mark::Line { points, stroke },
        Dots::full(group.marker, 5.0, colour).at(few.collect()),
    ];
    if run.diverged() {
        let end = measured.last().copied().into_iter().collect();
        marks.push(Dots::open(Marker::Cross, 9.0, colour).at(end));
    }
    marks
}

/// An empty panel with a row per condition, the first one above; without `is_named` the rows are bare.
pub fn rows_panel(title: &str, x: Axis, labels: &[&str], is_named: bool) -> Panel {
    let rows = labels.len();
    let name = |label: &str| {
        if is_named {
            label.to_owned()
        } else {
            String::new()
        }
    };
    let names = (0..rows).map(|k| (row_place(rows, k), name(labels[k])));
    let y = Axis::new("").from(-0.6).to(rows as f64 - 0.4);
    Panel::new(title, x, y.named(names.collect()))
}

/// The height of row `k` of so many, from above.
pub fn row_place(rows: usize, k: usize) -> f64 {
    (rows - 1 - k) as f64
}

/// Common bins for several lists, and the counts of each; none without finite values.
pub fn histogram(lists: &[&[f64]], bins: usize) -> Option<(Vec<f64>, Vec<Vec<f64>>)> {
    let finite = || {
        lists
            .iter()
            .flat_map(|list| list.iter().copied())
            .filter(|v| v.is_finite())
    };
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
        (a.min(v), b.max(v))
    });
    if low > high {
        return None;
    }
    let low = if low > 0.0 && low < 0.3 * high {
        0.0
    } else {
        low
    };
    // Equal values: bins around them that an axis can still tell apart.
    let spread = if high - low > 1e-6 * high.abs() {
        high - low
    } else {
        0.1 * high.abs().max(1.0)
    };
    let width = spread / bins as f64;
    let edges: Vec<f64> = (0..=bins).map(|k| low + k as f64 * width).collect();
    let count = |list: &&[f64]| {
        let mut counts = vec![0.0; bins];
        for value in list.iter().filter(|v| v.is_finite()) {
            counts[(((value - low) / width) as usize).min(bins - 1)] += 1.0;
        }
        counts
    };
    Some((edges, lists.iter().map(count).collect()))
}
