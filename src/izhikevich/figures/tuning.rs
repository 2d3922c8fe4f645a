//! Rates of the output cells against the orientation, averaged over all offsets, and the input beside them.

use crate::izhikevich::analysis::{Cell, Tuning, averages};
use crate::izhikevich::record;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::Panel;
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::{Colour, Stroke};
use crate::report::figures::groups::{Group, PALETTE};
use crate::report::figures::kit::line_key;
use crate::report::figures::sheet::{Missing, Sheet, Table};

/// Name and title of the figure.
pub const TITLE: (&str, &str) = ("tuning", "Tuning curves");

const COLUMNS: [&str; 7] = [
    "curve",
    "run",
    "offset",
    "class",
    "angle_deg",
    "rate_hz",
    "input_current",
];

/// What is seen of a cell's numbers `[angle][offset]`: in words, in the table, and a curve over the angles.
type View = (&'static str, &'static str, fn(&[Vec<f64>]) -> Vec<f64>);

/// Averaged over all offsets, or at the offset 0 alone.
const VIEWS: [View; 2] = [
    ("over all offsets", "all", averages),
    ("at the offset 0", "0", at_no_offset),
];

/// The first offset is 0.
fn at_no_offset(rows: &[Vec<f64>]) -> Vec<f64> {
    let first = |row: &Vec<f64>| row.first().copied().unwrap_or(f64::NAN);
    rows.iter().map(first).collect()
}

/// The colour of a class.
pub fn colour(class: u32) -> Colour {
    PALETTE[(class as usize + 1) % PALETTE.len()]
}

/// Classes of the cells, each once.
pub fn classes(cells: &[Cell]) -> Vec<u32> {
    let mut classes: Vec<u32> = cells.iter().map(|cell| cell.class).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// A curve a cell (faint) and their mean by class, and the current that the inputs give them.
pub fn curves(tuning: &Tuning, cells: &[Cell], checkpoint: &str) -> Result<Sheet, Missing> {
    let mut table = Table::new(&COLUMNS);
    let panels = panels(tuning, cells, "", &mut table);
    Ok(Sheet {
        id: TITLE.0.into(),
        title: TITLE.1.into(),
        caption: format!(
            "Rate of every output cell against the orientation of gratings (cycles an image: {}), averaged over {} \
             offsets and at the offset 0 alone (thin), and the mean of the cells of each class (thick); beside it the \
             mean current that inputs give them by their direct synapses. Checkpoint: {checkpoint}.",
            tuning.frequency,
            tuning.phases.len()
        ),
        alt: "Rate and input current of output cells against the orientation.".into(),
        page: PanelRows::grid(panels, 2, 120.0),
        table,
    })
}

fn panels(tuning: &Tuning, cells: &[Cell], run: &str, table: &mut Table) -> Vec<Panel> {
    let views = VIEWS.into_iter();
    views
        .flat_map(|(words, offset, of)| {
            let x = || Axis::new("orientation (deg)").from(0.0).to(180.0);
            let mut rates = Panel::new(
                format!("rate {words}"),
                x(),
                Axis::new("rate (Hz)").from(0.0),
            );
            let y = Axis::new("mean current").from(0.0);
            let mut inputs = Panel::new(format!("input {words}"), x(), y);
            let mut add = |name: &str, class: u32, rate: &[f64], input: &[f64], stroke| {
                let points = tuning.angles_deg.iter().zip(rate).zip(input);
                let points =
                    points.map(|((angle, hz), current)| [class.into(), *angle, *hz, *current]);
                let rows = table.add(&[name, run, offset], points);
                let columns = ["angle_deg", "rate_hz"];
                rates.marks.push(table.line(&rows, columns, stroke));
                let columns = ["angle_deg", "input_current"];
                inputs.marks.push(table.line(&rows, columns, stroke));
            };
            let curves = tuning
                .cells
                .iter()
                .map(|cell| [of(&cell.rates_hz), of(&cell.input)]);
            let curves: Vec<[Vec<f64>; 2]> = curves.collect();
            for (number, ([rate, input], cell)) in curves.iter().zip(cells).enumerate() {
                let stroke = Stroke {
                    opacity: 0.35,
                    ..Stroke::solid(colour(cell.class), 0.7)
                };
                add(&format!("output {number}"), cell.class, rate, input, stroke);
            }
            let mut keys = Vec::new();
            for class in classes(cells) {
                let own = || curves.iter().zip(cells).filter(|(_, of)| of.class == class);
                let [rate, input] = [0, 1].map(|which| mean(own().map(|(of, _)| &of[which])));
                let stroke = Stroke::solid(colour(class), 2.0);
                add("mean of the class", class, &rate, &input, stroke);
                keys.push(line_key(stroke, format!("class {class}")));
            }
            rates.key = keys;
            [rates, inputs]
        })
        .collect()
}

/// Mean of curves, point by point.
fn mean<'a>(curves: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let mut count = 0.0;
    let mut sums: Vec<f64> = Vec::new();
    for curve in curves {
        sums.resize(curve.len(), 0.0);
        count += 1.0;
        for (sum, x) in sums.iter_mut().zip(curve) {
            *sum += x;
        }
    }
    sums.iter().map(|sum| sum / count).collect()
}

/// The curves of the first cell of a condition that has them.
pub fn card(group: &Group) -> Result<Sheet, Missing> {
    let id = format!("tuning_{}", group.id);
    let title = format!("Tuning curves: {}", group.label);
    let mut table = Table::new(&COLUMNS);
    let found = group.runs.iter().find_map(|run| {
        let analysis = record::analysis(run.record)?;
        Some((run.cell, analysis, analysis.tuning.as_ref()?))
    });
    let Some((run, analysis, tuning)) = found else {
        let reason =
            "no run of this condition has an analysis with gratings; run `dalenet analyse`";
        return Err(Missing::new(id, title, reason));
    };
    let panels = panels(tuning, &analysis.cells, run, &mut table);
    Ok(Sheet {
        id,
        title,
        caption: format!(
            "Rate of every output cell against the orientation of gratings, averaged over offsets and at the offset 0 \
             alone (thin), and the mean of the cells of each class (thick); beside it the mean current that inputs give \
             them by their direct synapses. Cell shown: {run}."
        ),
        alt: format!("Tuning curves of output cells of {}.", group.label),
        page: PanelRows::grid(panels, 2, 110.0),
        table,
    })
}
