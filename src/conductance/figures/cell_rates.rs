//! Histograms of the rates of cells.

use crate::conductance::record;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::{Colour, Dash, Stroke};
use crate::report::figures::groups::{BLUE, CellRun, Group, Groups, VERMILION};
use crate::report::figures::kit::{
    NO_ANALYSIS, RUN_HAS_NO_ANALYSIS, columns, fill, histogram, names,
};
use crate::report::figures::sheet::{Missing, Sheet, Table};

const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];
const BINS: usize = 40;

/// Rates of the E cells, a panel per condition.
pub fn cell_rates(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("cell_rates", "Rates of the E cells");
    let mut table = Table::new(&[
        "condition",
        "cell",
        "bin_low_hz",
        "bin_high_hz",
        "e_cells",
        "silent_e_percent",
    ]);
    let panels = groups.groups.iter();
    let panels: Vec<Panel> = panels
        .filter_map(|group| panel(group, &mut table))
        .collect();
    if panels.is_empty() {
        return Err(Missing::new(id, title, NO_ANALYSIS));
    }
    let columns = columns(panels.len());
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Histogram of the mean rate of each E cell over the test set, analysed checkpoint; seeds \
                  overlaid (solid, dashed, dotted). Silent: share of E cells without a spike in the test set, \
                  one value per seed."
            .into(),
        alt: format!("Histograms of the rates of E cells for {}.", names(groups)),
        page: PanelRows::grid(panels, columns, 120.0),
        table,
    })
}

/// The panel of a condition; none without rates.
fn panel(group: &Group, table: &mut Table) -> Option<Panel> {
    let x = Axis::new("rate of an E cell (Hz)");
    let mut panel = Panel::new(&group.label, x, Axis::new("number of E cells").from(0.0));
    let rates = |run: &CellRun| Some(record::analysis(run.record)?.e_cell_rate_hz.clone());
    let runs = group.runs.iter().enumerate();
    let lists: Vec<(usize, &CellRun, Vec<f64>)> = runs
        .filter_map(|(place, run)| Some((place, run, rates(run)?)))
        .collect();
    let slices: Vec<&[f64]> = lists.iter().map(|(_, _, list)| list.as_slice()).collect();
    let (edges, counts) = histogram(&slices, BINS)?;
    let mut silent = Vec::new();
    for ((place, run, list), heights) in lists.iter().zip(counts) {
        let none = list.iter().filter(|rate| **rate == 0.0).count();
        let share = 100.0 * none as f64 / list.len().max(1) as f64;
        let bins = edges.windows(2).zip(&heights);
        let bins = bins.map(|(pair, count)| [pair[0], pair[1], *count, share]);
        let rows = table.add(&[&group.label, run.cell], bins);
        silent.push(format!("{share:.1}"));
        panel.marks.push(table.steps(
            &rows,
            ["bin_low_hz", "bin_high_hz", "e_cells"],
            Some(Stroke::solid(group.colour, 1.2).dashed(DASHES[place % 3])),
            Some(fill(group.colour, 0.15)),
        ));
    }
    let words = format!("silent: {} %", silent.join(", "));
    panel.key.push(Key::new(LegendSample::Nothing, words));
    Some(panel)
}

/// Rates of E and I cells of one run.
pub fn of_run(run: &CellRun) -> Result<Sheet, Missing> {
    let (id, title) = ("cell_rates", "Rates of the cells");
    let Some(analysis) = record::analysis(run.record) else {
        return Err(Missing::new(id, title, RUN_HAS_NO_ANALYSIS));
    };
    let mut table = Table::new(&["population", "bin_low_hz", "bin_high_hz", "cells"]);
    let mut panel = |name: &str, rates: &[f64], colour: Colour| {
        let (edges, counts) = histogram(&[rates], BINS)?;
        let x = Axis::new(&format!("rate of an {name} cell (Hz)"));
        let mut panel = Panel::new(
            format!("{name} cells"),
            x,
            Axis::new("number of cells").from(0.0),
        );
        let bins = edges.windows(2).zip(&counts[0]);
        let rows = table.add(
            &[name],
            bins.map(|(pair, count)| [pair[0], pair[1], *count]),
        );
        panel.marks.push(table.steps(
            &rows,
            ["bin_low_hz", "bin_high_hz", "cells"],
            Some(Stroke::solid(colour, 1.0)),
            Some(fill(colour, 0.5)),
        ));
        Some(panel)
    };
    let panels = [
        panel("E", &analysis.e_cell_rate_hz, BLUE),
        panel("I", &analysis.i_cell_rate_hz, VERMILION),
    ];
    let panels: Vec<Panel> = panels.into_iter().flatten().collect();
    if panels.is_empty() {
        return Err(Missing::new(
            id,
            title,
            "the analysis has no rates of cells",
        ));
    }
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Histogram of the mean rate of each cell over the test set, analysed checkpoint."
            .into(),
        alt: "Histograms of the rates of E and I cells.".into(),
        page: PanelRows::grid(panels, 2, 150.0),
        table,
    })
}
