//! What the offset of a grating changes.

use std::f64::consts::TAU;

use super::tuning::{classes, colour};
use crate::analysis::compare::wilson_percent;
use crate::izhikevich::analysis::{Cell, CellTuning, TestResult, Tuning};
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::Panel;
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::{Colour, Dash, Marker, Stroke};
use crate::report::figures::groups::BLUE;
use crate::report::figures::kit::line_key;
use crate::report::figures::sheet::{Dots, Missing, Sheet, Table};

/// Bins of the offset.
const BINS: usize = 16;

const COLUMNS: [&str; 7] = [
    "curve",
    "cell",
    "class",
    "offset_deg",
    "angle_deg",
    "rate_hz",
    "f1_over_f0",
];

const ACCURACY: (&str, &str) = ("accuracy_by_offset", "Accuracy against the offset");

/// Curves of the classes at each offset, and each cell's modulation by the offset.
pub fn curves(tuning: &Tuning, cells: &[Cell], checkpoint: &str) -> Result<Sheet, Missing> {
    let mut table = Table::new(&COLUMNS);
    let mut panels = Vec::new();
    for class in classes(cells) {
        let x = Axis::new("orientation (deg)").from(0.0).to(180.0);
        let title = format!("class {class}, a line an offset");
        let mut panel = Panel::new(title, x, Axis::new("rate (Hz)").from(0.0));
        for (phase, offset) in tuning.phases.iter().enumerate() {
            let own = tuning
                .cells
                .iter()
                .zip(cells)
                .filter(|(_, of)| of.class == class);
            let own: Vec<_> = own.map(|(cell, _)| cell).collect();
            let point = |angle: usize| {
                let hz: f64 = own.iter().map(|cell| rate(cell, angle, phase)).sum();
                let angle_deg = tuning.angles_deg[angle];
                let hz = hz / own.len() as f64;
                let offset_deg = offset * 360.0 / TAU;
                [f64::NAN, class.into(), offset_deg, angle_deg, hz, f64::NAN]
            };
            let points = (0..tuning.angles_deg.len()).map(point);
            let rows = table.add(&["mean of the class"], points);
            let stroke = Stroke {
                opacity: 0.3 + 0.7 * phase as f64 / tuning.phases.len() as f64,
                ..Stroke::solid(colour(class), 1.0)
            };
            panel
                .marks
                .push(table.line(&rows, ["angle_deg", "rate_hz"], stroke));
        }
        panels.push(panel);
    }
    panels.truncate(4);
    let y = Axis::new("F1/F0").from(0.0);
    let mut ratio = Panel::new(
        "Modulation by the offset",
        Axis::new("output cell").counted(),
        y,
    );
    for (number, (cell, of)) in tuning.cells.iter().zip(cells).enumerate() {
        let nothing = f64::NAN;
        let numbers = [
            number as f64,
            of.class.into(),
            nothing,
            nothing,
            nothing,
            cell.f1_over_f0,
        ];
        let rows = table.row(&["modulation"], &numbers);
        let dots = Dots::full(Marker::Circle, 5.0, colour(of.class));
        ratio
            .marks
            .push(table.dots(&rows, ["cell", "f1_over_f0"], dots));
    }
    ratio.room = (0.04, 0.05);
    panels.push(ratio);
    Ok(Sheet {
        id: "tuning_by_offset".into(),
        title: "Tuning curves at each offset".into(),
        caption: format!(
            "Mean rate of the cells of a class against the orientation, a line for each of {} offsets (fainter: nearer \
             0), and the modulation F1/F0 of each cell's rate by the offset at its best orientation: 0 where it does \
             not matter, 2 where the cell fires at one offset alone. Checkpoint: {checkpoint}.",
            tuning.phases.len()
        ),
        alt: "Rates of the classes against the orientation at each offset, and F1/F0 of the cells."
            .into(),
        page: PanelRows::grid(panels, 3, 120.0),
        table,
    })
}

/// Rate at an angle and an offset; NaN where a damaged file has none.
fn rate(cell: &CellTuning, angle: usize, phase: usize) -> f64 {
    let row = cell.rates_hz.get(angle);
    row.and_then(|row| row.get(phase))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Accuracy of the test trials by their offset.
pub fn accuracy(test: &TestResult, checkpoint: &str) -> Result<Sheet, Missing> {
    let mut counts = [[0u64; 2]; BINS];
    let answers = test.labels.iter().zip(&test.predicted).zip(&test.phases);
    for ((label, answer), phase) in answers {
        let share = (phase / TAU).rem_euclid(1.0);
        let bin = &mut counts[((share * BINS as f64) as usize).min(BINS - 1)];
        bin[0] += 1;
        bin[1] += u64::from(label == answer);
    }
    let x = Axis::new("offset (deg)").from(0.0).to(360.0);
    let y = Axis::new("accuracy (%)").from(0.0).to(100.0);
    let mut table = Table::new(&["offset_deg", "trials", "accuracy_percent", "low", "high"]);
    let filled = counts
        .iter()
        .enumerate()
        .filter(|(_, [trials, _])| *trials > 0);
    let points = filled.map(|(bin, &[trials, correct])| {
        let [low, high] = wilson_percent(correct, trials);
        let middle = 360.0 * (bin as f64 + 0.5) / BINS as f64;
        [
            middle,
            trials as f64,
            100.0 * correct as f64 / trials as f64,
            low,
            high,
        ]
    });
    let rows = table.add(&[], points);
    if table.rows.is_empty() {
        return Err(Missing::new(
            ACCURACY.0,
            ACCURACY.1,
            "the analysis has no offsets",
        ));
    }
    let mut panel = Panel::new("", x, y);
    let stroke = Stroke::solid(BLUE, 1.2);
    let intervals = table.intervals(&rows, ["offset_deg", "low", "high"], stroke);
    panel.marks.extend(intervals);
    let dots = Dots::full(Marker::Circle, 5.0, BLUE);
    panel
        .marks
        .push(table.dots(&rows, ["offset_deg", "accuracy_percent"], dots));
    let mean = Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dashed);
    panel.marks.push(Mark::Level {
        y: test.accuracy_percent,
        stroke: mean,
    });
    panel.key.push(line_key(mean, "all test trials"));
    Ok(Sheet {
        id: ACCURACY.0.into(),
        title: ACCURACY.1.into(),
        caption: format!(
            "Share of test trials classified correctly, by the offset of their grating, with 95 % intervals (Wilson). \
             Checkpoint: {checkpoint}."
        ),
        alt: "Accuracy against the offset of the grating.".into(),
        page: PanelRows::grid(vec![panel], 1, 150.0),
        table,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_analysis_is_drawn_as_far_as_it_goes() {
        let cell = CellTuning {
            rates_hz: vec![vec![1.0, 2.0], vec![3.0]],
            input: Vec::new(),
            f1_over_f0: 0.5,
            range_hz: 1.0,
            selectivity: 0.1,
            half_width_deg: 20.0,
        };
        let tuning = Tuning {
            frequency: 2.0,
            angles_deg: vec![0.0, 60.0, 120.0],
            phases: vec![0.0, 3.0],
            cells: vec![cell],
            mean_correlation: f64::NAN,
        };
        let cells = [Cell {
            class: 0,
            assigned: None,
            by_class_hz: vec![1.0],
        }];
        assert!(curves(&tuning, &cells, "last").is_ok());
    }
}
