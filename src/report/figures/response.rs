//! Measures against a parameter that the study varies by numbers.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Marker, Stroke};
use super::groups::{Group, Groups, PALETTE, Parameter};
use super::table::Table;
use super::training::names;
use super::{Missing, Sheet};
use crate::study::measures::{Measure, find};

/// Measures that are drawn.
const MEASURES: [&str; 4] = [
    "test_accuracy_percent",
    "e_rate_hz",
    "i_rate_hz",
    "f_gamma_hz",
];

/// Largest over smallest value of a parameter from which on its axis is logarithmic.
const LOG_FROM: f64 = 30.0;

/// Each measure against the first axis that varies a key by numbers: a curve through the means, the
/// finished seeds as points, for each combination of the other axes.
pub fn against_parameter(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("against_parameter", "Measures against the parameter");
    let Some(parameter) = groups.parameter() else {
        let reason = "no axis of the study gives numbers to one key";
        return Err(Missing::new(id, title, reason));
    };
    let mut table = Table::new(&["condition", "cell", "measure", "parameter", "value"]);
    let x_axis = || {
        let axis = Axis::new(&parameter.key);
        let values = || parameter.values.iter().map(|(_, x)| *x);
        let (low, high) = (
            values().fold(f64::INFINITY, f64::min),
            values().fold(f64::NEG_INFINITY, f64::max),
        );
        if low > 0.0 && high / low > LOG_FROM {
            axis.scaled(Scale::Log)
        } else {
            axis
        }
    };
    let mut panels = Vec::new();
    for measure in MEASURES.iter().filter_map(|name| find(name)) {
        let y = format!("{} ({})", measure.label, measure.unit);
        let mut panel = Panel::new(&measure.label, x_axis(), Axis::new(&y));
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
            "After the last epoch, over the test set: the line joins means over finished cells, points are the cells. A \
             cell without gamma has no point in its panel.{}",
            groups.remarks()
        ),
        alt: format!("Measures against {} for {}.", parameter.key, names(groups)),
        page: Page::grid(panels, 2, 150.0).with_key(key(groups, &parameter)),
        table,
    })
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
            Sample::Line(stroke, Some(Marker::Circle)),
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
    let (mut means, mut points) = (Vec::new(), Vec::new());
    for (x, group) in curve {
        for cell in &group.cells {
            let value = cell.finished().map_or(f64::NAN, |run| measure.of(run));
            if value.is_finite() {
                let words = [&group.label[..], &cell.cell.name, &measure.name];
                table.push(&words, &[*x, value]);
                points.push((*x, value));
            }
        }
        let mean = groups.spread(group, measure).mean;
        table.push(&[&group.label, "mean", &measure.name], &[*x, mean]);
        means.push((*x, mean));
    }
    panel.marks.push(Mark::Line {
        points: means,
        stroke: Stroke::solid(colour, 1.5),
    });
    panel.marks.push(Mark::Points {
        points,
        marker: Marker::Circle,
        size: 5.0,
        colour,
        open: true,
    });
}
