//! Conditions side by side, and along a parameter that the study varies by numbers.

use super::draw::mark::Mark;
use super::draw::page::{PanelRow, PanelRows};
use super::draw::panel::{Key, LegendSample, Panel};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Marker, Stroke};
use super::groups::{Group, Groups, PALETTE, Parameter};
use super::kit::{names, row_place, rows_panel};
use super::sheet::{Dots, Missing, Rows, Sheet, Table};
use crate::study::measures::{Measure, Measures};

/// Key measures of every condition, finished seeds as points with mean and standard deviation,
/// and what the sources report.
pub fn comparison(groups: &Groups, measures: &Measures) -> Result<Sheet, Missing> {
    let (id, title) = ("comparison", "Conditions compared");
    let mut table = Table::new(&["condition", "cell", "measure", "value", "low", "high"]);
    let labels: Vec<&str> = groups.groups.iter().map(|g| g.label.as_str()).collect();
    let rows = labels.len();
    let mut panels: Vec<Panel> = Vec::new();
    let mut has_reported = false;
    for measure in measures.named(measures.compared.measures) {
        let is_first = panels.is_empty();
        let x = Axis::new(measure.unit);
        let mut panel = rows_panel(&measure.label, x, &labels, is_first);
        panel.room = (0.08, 0.0);
        // The names beside the first panel take nothing from its data.
        panel.share = if is_first { 1.01 } else { 1.0 };
        for (k, group) in groups.groups.iter().enumerate() {
            let place = row_place(rows, k);
            has_reported |= compare(groups, group, measure, place, &mut panel, &mut table);
        }
        if panel.has_data() {
            panels.push(panel);
        }
    }
    if panels.is_empty() {
        return Err(Missing::new(id, title, "no cell has finished yet"));
    }
    table.complete();
    let spot = |marker, open, label| Key::new(LegendSample::Spot(marker, Colour::Ink, open), label);
    let mut key = vec![
        spot(Marker::Circle, true, "one seed"),
        spot(
            Marker::Diamond,
            false,
            "mean ± standard deviation over seeds",
        ),
    ];
    key.extend(has_reported.then(|| spot(Marker::Cross, true, "reported")));
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "{} after the last epoch of each finished cell. Circles: single seeds; diamonds: mean ± standard \
             deviation over seeds.{}{}",
            measures.compared.words,
            measures.compared.note,
            groups.remarks()
        ),
        alt: format!(
            "Dot plots of {} for {}.",
            measures.compared.short,
            names(groups)
        ),
        page: PanelRows {
            key,
            bar: None,
            rows: vec![PanelRow {
                height: 26.0 * rows as f64 + 8.0,
                panels,
            }],
        },
        table,
    })
}

/// Draws one condition in one panel; whether the sources report something of it.
fn compare(
    groups: &Groups,
    group: &Group,
    measure: &Measure,
    place: f64,
    panel: &mut Panel,
    table: &mut Table,
) -> bool {
    let (colour, name) = (group.colour, &measure.name[..]);
    let across = |values: Vec<f64>, up: f64| values.into_iter().map(|x| (x, place + up)).collect();
    let cells = add_finished(table, group, measure, &[]);
    let spread = groups.spread(group, measure);
    if spread.n > 1 {
        let (low, high) = (spread.mean - spread.sd, spread.mean + spread.sd);
        let words = [&group.label[..], "mean ± standard deviation", name];
        let row = table.row(&words, &[spread.mean, low, high]);
        let ends = ["low", "high"].map(|end| table.column(&row, end)).concat();
        panel.marks.push(Mark::Line {
            points: across(ends, 0.0),
            stroke: Stroke::solid(colour, 1.6),
        });
        let mean = across(table.column(&row, "value"), 0.0);
        let dots = Dots::full(Marker::Diamond, 8.0, colour);
        panel.marks.push(dots.at(mean));
    }
    let points = across(table.column(&cells, "value"), 0.22);
    let dots = Dots::open(Marker::Circle, 5.0, colour);
    panel.marks.push(dots.at(points));
    let Some(reported) = groups.reported(group, measure) else {
        return false;
    };
    let row = table.row(&[&group.label, "reported", name], &[reported]);
    let points = across(table.column(&row, "value"), -0.22);
    let dots = Dots::open(Marker::Cross, 7.0, colour);
    panel.marks.push(dots.at(points));
    true
}

/// Adds the finished cells of a condition that have the measure: `before` and the value.
fn add_finished(table: &mut Table, group: &Group, measure: &Measure, before: &[f64]) -> Rows {
    let mut rows = Rows::default();
    for cell in &group.cells {
        let value = cell.finished().map_or(f64::NAN, |run| measure.of(run));
        if value.is_finite() {
            let words = [&group.label[..], &cell.cell.name, &measure.name];
            rows.extend(table.row(&words, &[before, &[value]].concat()));
        }
    }
    rows
}

/// Largest over smallest value of a parameter from which on its axis is logarithmic.
const LOG_FROM: f64 = 30.0;

/// Each measure against the first axis that varies a key by numbers: a curve through the means, the
/// finished seeds as points, for each combination of the other axes.
pub fn against_parameter(groups: &Groups, measures: &Measures) -> Result<Sheet, Missing> {
    let (id, title) = ("against_parameter", "Measures against the parameter");
    let Some(parameter) = groups.parameter() else {
        let reason = "no axis of the study varies a single numeric key";
        return Err(Missing::new(id, title, reason));
    };
    let mut table = Table::new(&["condition", "cell", "measure", "parameter", "value"]);
    let mut panels = Vec::new();
    for measure in measures.named(measures.compared.measures) {
        let y = format!("{} ({})", measure.label, measure.unit);
        let x = parameter_axis(&parameter);
        let mut panel = Panel::new(&measure.label, x, Axis::new(&y));
        panel.room = (0.05, 0.08);
        for (place, curve) in groups.along(&parameter).iter().enumerate() {
            let colour = PALETTE[place % PALETTE.len()];
            draw(groups, curve, measure, colour, &mut panel, &mut table);
        }
        panels.push(panel);
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(id, title, "no cell has finished yet"));
    }
    Ok(Sheet {
        id: id.into(),
        title: format!("{title} {}", parameter.key),
        caption: format!(
            "Circles: finished cells after the last epoch (test set); line: their mean.{}{}",
            measures.compared.note,
            groups.remarks()
        ),
        alt: format!("Measures against {} for {}.", parameter.key, names(groups)),
        page: PanelRows::grid(panels, 2, 150.0).with_key(key(groups, &parameter)),
        table,
    })
}

fn parameter_axis(parameter: &Parameter) -> Axis {
    let axis = Axis::new(&parameter.key);
    let values = || parameter.values.iter().map(|(_, x)| *x);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if low > 0.0 && high / low > LOG_FROM {
        axis.scaled(Scale::Log)
    } else {
        axis
    }
}

/// What tells the curves apart, where there are several.
fn key(groups: &Groups, parameter: &Parameter) -> Vec<Key> {
    let curves = groups.along(parameter);
    if curves.len() < 2 {
        return Vec::new();
    }
    let entry = |(place, curve): (usize, &Vec<(f64, &Group<'_>)>)| {
        let stroke = Stroke::solid(PALETTE[place % PALETTE.len()], 1.6);
        let cell = curve.first().and_then(|(_, group)| group.cells.first());
        let values = cell
            .map(|cell| cell.cell.values.iter())
            .into_iter()
            .flatten();
        let others = values.filter(|(axis, _)| *axis != parameter.axis);
        let others = others.filter(|(axis, _)| !groups.repeats(axis));
        let labels: Vec<&str> = others.map(|(_, value)| value.shown()).collect();
        Key::new(
            LegendSample::Line(stroke, Some(Marker::Circle)),
            labels.join(", "),
        )
    };
    curves.iter().enumerate().map(entry).collect()
}

/// One curve: a group at each value of the parameter.
fn draw(
    groups: &Groups,
    curve: &[(f64, &Group<'_>)],
    measure: &Measure,
    colour: Colour,
    panel: &mut Panel,
    table: &mut Table,
) {
    let (mut means, mut cells) = (Rows::default(), Rows::default());
    for (x, group) in curve {
        cells.extend(add_finished(table, group, measure, &[*x]));
        let mean = groups.spread(group, measure).mean;
        means.extend(table.row(&[&group.label, "mean", &measure.name], &[*x, mean]));
    }
    let columns = ["parameter", "value"];
    let line = table.line(&means, columns, Stroke::solid(colour, 1.5));
    let dots = Dots::open(Marker::Circle, 5.0, colour);
    panel
        .marks
        .extend([line, table.dots(&cells, columns, dots)]);
}
