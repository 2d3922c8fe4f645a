//! Rates of the output cells against the orientation, averaged over all offsets, and the input beside them.

use crate::izhikevich::analysis::{Cell, CellTuning, Tuning};
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

const COLUMNS: [&str; 6] = [
    "curve",
    "run",
    "class",
    "angle_deg",
    "rate_hz",
    "input_current",
];

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
    let panels = panels(tuning, cells, ["", ""], &mut table);
    Ok(Sheet {
        id: TITLE.0.into(),
        title: TITLE.1.into(),
        caption: format!(
            "Rate of every output cell against the orientation of gratings (cycles an image: {}), averaged over {} \
             offsets (thin), and the mean of the cells of each class (thick); beside it the mean current that inputs \
             give them by their direct synapses. Checkpoint: {checkpoint}.",
            tuning.frequency,
            tuning.phases.len()
        ),
        alt: "Rate and input current of output cells against the orientation.".into(),
        page: PanelRows::grid(panels, 2, 150.0),
        table,
    })
}

fn panels(tuning: &Tuning, cells: &[Cell], words: [&str; 2], table: &mut Table) -> Vec<Panel> {
    let x = || Axis::new("orientation (deg)").from(0.0).to(180.0);
    let [title, run] = words;
    let title = |what: &str| match title {
        "" => what.to_owned(),
        title => format!("{title}: {what}"),
    };
    let mut rates = Panel::new(title("rate"), x(), Axis::new("rate (Hz)").from(0.0));
    let mut inputs = Panel::new(title("input"), x(), Axis::new("mean current").from(0.0));
    let mut add =
        |table: &mut Table, curve: &str, class: u32, rate: &[f64], input: &[f64], stroke| {
            let of = tuning.angles_deg.iter().zip(rate).zip(input);
            let points = of.map(|((angle, hz), current)| [class.into(), *angle, *hz, *current]);
            let rows = table.add(&[curve, run], points);
            rates
                .marks
                .push(table.line(&rows, ["angle_deg", "rate_hz"], stroke));
            inputs
                .marks
                .push(table.line(&rows, ["angle_deg", "input_current"], stroke));
        };
    for (number, (cell, of)) in tuning.cells.iter().zip(cells).enumerate() {
        let stroke = Stroke {
            opacity: 0.35,
            ..Stroke::solid(colour(of.class), 0.7)
        };
        let name = format!("output {number}");
        add(
            table,
            &name,
            of.class,
            &cell.curve(),
            &cell.input_curve(),
            stroke,
        );
    }
    let mut keys = Vec::new();
    for class in classes(cells) {
        let own = || {
            let pairs = tuning.cells.iter().zip(cells);
            pairs
                .filter(|(_, of)| of.class == class)
                .map(|(cell, _)| cell)
        };
        let [rate, input] =
            [CellTuning::curve, CellTuning::input_curve].map(|of| mean(own().map(of)));
        let stroke = Stroke::solid(colour(class), 2.0);
        add(table, "mean of the class", class, &rate, &input, stroke);
        keys.push(line_key(stroke, format!("class {class}")));
    }
    rates.key = keys;
    vec![rates, inputs]
}

/// Mean of curves, point by point.
pub fn mean(curves: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
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

/// The curves of the first seeds of a condition.
pub fn card(group: &Group) -> Result<Sheet, Missing> {
    let id = format!("tuning_{}", group.id);
    let title = format!("Tuning curves: {}", group.label);
    let mut table = Table::new(&COLUMNS);
    let mut drawn = Vec::new();
    for run in group.runs.iter().take(2) {
        let analysis = record::analysis(run.record);
        if let Some((analysis, tuning)) = analysis.and_then(|a| Some((a, a.tuning.as_ref()?))) {
            let words = [&run.seed[..], run.cell];
            drawn.extend(panels(tuning, &analysis.cells, words, &mut table));
        }
    }
    if drawn.is_empty() {
        let reason =
            "no run of this condition has an analysis with gratings; run `dalenet analyse`";
        return Err(Missing::new(id, title, reason));
    }
    Ok(Sheet {
        id,
        title,
        caption: "Rate of every output cell against the orientation of gratings, averaged over offsets (thin), and the \
            mean of the cells of each class (thick), of at most two cells of the study; beside it the mean current that \
            inputs give them by their direct synapses."
            .into(),
        alt: format!("Tuning curves of output cells of {}.", group.label),
        page: PanelRows::grid(drawn, 2, 120.0),
        table,
    })
}
