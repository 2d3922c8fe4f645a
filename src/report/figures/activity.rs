//! Figures of cells, cycles and rhythm.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Fill, Stroke};
use super::groups::{BLUE, GREEN, Groups, Run, VERMILION};
use super::table::Table;
use super::training::names;
use super::weights::{brief, histogram};
use super::{Missing, Sheet};
use crate::analysis::record::{ExampleTrial, Rhythm};

/// Why figures of the analysis are missing.
pub const NO_ANALYSIS: &str = "no cell has an analysis; `dalenet analyse` makes one";
const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];
const BINS: usize = 40;

/// Rates of the E cells, a panel a condition.
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
    let mut panels = Vec::new();
    for group in &groups.groups {
        let x = Axis::new("rate of an E cell (Hz)");
        let mut panel = Panel::new(&group.label, x, Axis::new("E cells").from(0.0));
        let rates = |run: &Run| {
            run.record
                .analysis
                .as_ref()
                .map(|a| a.e_cell_rate_hz.clone())
        };
        let lists: Vec<(usize, Vec<f64>)> = group
            .runs
            .iter()
            .enumerate()
            .filter_map(|(k, run)| Some((k, rates(run)?)))
            .collect();
        let slices: Vec<&[f64]> = lists.iter().map(|(_, list)| list.as_slice()).collect();
        let Some((edges, counts)) = histogram(&slices, BINS) else {
            continue;
        };
        let mut silent = Vec::new();
        for ((place, list), heights) in lists.iter().zip(counts) {
            let run = &group.runs[*place];
            let share = 100.0 * list.iter().filter(|r| **r == 0.0).count() as f64
                / list.len().max(1) as f64;
            for (pair, count) in edges.windows(2).zip(&heights) {
                table.push(
                    &[&group.label, run.cell],
                    &[pair[0], pair[1], *count, share],
                );
            }
            silent.push(share);
            let stroke = Some(Stroke::solid(group.colour, 1.2).dashed(DASHES[place % 3]));
            let fill = Some(Fill {
                colour: group.colour,
                opacity: 0.15,
            });
            panel.marks.push(Mark::Steps {
                edges: edges.clone(),
                heights,
                stroke,
                fill,
            });
        }
        let words: Vec<String> = silent.iter().map(|s| format!("{s:.1}")).collect();
        panel.key.push(Key::new(
            Sample::Nothing,
            format!("silent: {} %", words.join(", ")),
        ));
        panels.push(panel);
    }
    if panels.is_empty() {
        return Err(Missing::new(id, title, NO_ANALYSIS));
    }
    let columns = if panels.len() > 4 { 3 } else { 2 };
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Mean rate of each E cell over the test set at the analysed checkpoint; seeds overlaid (solid, dashed, \
                  dotted). Silent: cells without any spike, for each seed."
            .into(),
        alt: format!("Histograms of the rates of E cells for {}.", names(groups)),
        page: Page::grid(panels, columns, 120.0),
        table,
    })
}

/// The spectrum of one rhythm with its null, without a title.
pub fn spectrum_marks(rhythm: &Rhythm, colour: Colour) -> Vec<Mark> {
    let line = |power: &[f64], stroke| Mark::Line {
        points: rhythm
            .frequency_hz
            .iter()
            .copied()
            .zip(power.iter().copied())
            .collect(),
        stroke,
    };
    vec![
        line(
            &rhythm.raised_null_power(),
            Stroke::solid(colour, 1.5).dashed(Dash::Dotted),
        ),
        line(&rhythm.power, Stroke::solid(colour, 1.5)),
    ]
}

/// A panel for spectra, up to 150 Hz.
pub fn spectrum_panel(title: &str, rhythms: &[(&Rhythm, Colour)]) -> Panel {
    let x = Axis::new("frequency (Hz)").from(0.0).to(150.0);
    let mut panel = Panel::new(title, x, Axis::new("power (Hz²/Hz)").scaled(Scale::Log));
    for (rhythm, colour) in rhythms {
        let mut shown = Rhythm {
            ..(*rhythm).clone()
        };
        let kept = shown
            .frequency_hz
            .iter()
            .take_while(|f| **f <= 150.0)
            .count();
        shown.frequency_hz.truncate(kept);
        panel.marks.extend(spectrum_marks(&shown, *colour));
        if rhythm.is_rhythmic {
            let light = Stroke {
                opacity: 0.6,
                ..Stroke::solid(VERMILION, 1.0)
            };
            panel.marks.push(Mark::Upright {
                x: rhythm.peak_hz,
                stroke: light,
            });
        }
    }
    panel
}

/// What a key says of a rhythm.
pub fn rhythm_words(rhythm: &Rhythm) -> String {
    if rhythm.is_rhythmic {
        format!("f_{{γ}} = {} Hz", brief(rhythm.peak_hz))
    } else {
        "no rhythm above the null".into()
    }
}

/// The raster of the example trial.
pub fn raster_panel(trial: &ExampleTrial) -> Panel {
    let (e, i) = (f64::from(trial.e_cells), f64::from(trial.i_cells));
    let gap = 0.03 * (e + i);
    let names = [(e / 2.0, "E"), (e + gap + i / 2.0, "I")]
        .into_iter()
        .filter(|(at, n)| *n == "E" && *at > 0.0 || *n == "I" && i > 0.0);
    let y = Axis::new("")
        .from(-0.5)
        .to(e + gap + i - 0.5)
        .named(names.map(|(at, n)| (at, n.to_owned())).collect());
    let title = format!("Trial of class {} (sample {})", trial.label, trial.sample);
    let x = Axis::new("time (ms)").from(0.0).to(trial.duration_ms);
    let mut panel = Panel::new(title, x, y);
    panel.grid = false;
    let spikes = |list: &[(f32, u32)], base: f64, cells: u32, colour| Mark::Spikes {
        points: list
            .iter()
            .filter(|(t, cell)| *cell < cells && (0.0..=trial.duration_ms).contains(&f64::from(*t)))
            .map(|(t, cell)| (f64::from(*t), base + f64::from(*cell)))
            .collect(),
        row: 1.0,
        colour,
    };
    panel.marks.push(spikes(&trial.e, 0.0, trial.e_cells, BLUE));
    panel
        .marks
        .push(spikes(&trial.i, e + gap, trial.i_cells, VERMILION));
    panel
}

/// Whether there is a trial to draw.
pub fn has_raster(trial: &ExampleTrial) -> bool {
    trial.duration_ms > 0.0
        && trial.duration_ms.is_finite()
        && trial.e_cells > 0
        && !(trial.e.is_empty() && trial.i.is_empty())
}

/// Rates of E and I cells of one run.
pub fn run_cell_rates(run: &Run) -> Result<Sheet, Missing> {
    let (id, title) = ("cell_rates", "Rates of the cells");
    let Some(analysis) = &run.record.analysis else {
        return Err(Missing::new(
            id,
            title,
            "the run has no analysis; `dalenet analyse` makes one",
        ));
    };
    let mut table = Table::new(&["population", "bin_low_hz", "bin_high_hz", "cells"]);
    let mut panels = Vec::new();
    for (name, rates, colour) in [
        ("E", &analysis.e_cell_rate_hz, BLUE),
        ("I", &analysis.i_cell_rate_hz, VERMILION),
    ] {
        let Some((edges, counts)) = histogram(&[rates.as_slice()], BINS) else {
            continue;
        };
        let x = Axis::new(&format!("rate of an {name} cell (Hz)"));
        let mut panel = Panel::new(format!("{name} cells"), x, Axis::new("cells").from(0.0));
        for (pair, count) in edges.windows(2).zip(&counts[0]) {
            table.push(&[name], &[pair[0], pair[1], *count]);
        }
        let fill = Some(Fill {
            colour,
            opacity: 0.5,
        });
        let heights = counts[0].clone();
        panel.marks.push(Mark::Steps {
            edges,
            heights,
            stroke: Some(Stroke::solid(colour, 1.0)),
            fill,
        });
        panels.push(panel);
    }
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
        caption: "Mean rate of each cell over the test set at the analysed checkpoint.".into(),
        alt: "Histograms of the rates of E and I cells.".into(),
        page: Page::grid(panels, 2, 150.0),
        table,
    })
}

/// Colours of the matrices in lines.
pub fn matrix_colour(short: &str) -> Colour {
    match short {
        "out" => GREEN,
        "ei" => BLUE,
        "ie" => VERMILION,
        _ => Colour::Ink,
    }
}
