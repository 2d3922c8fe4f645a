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
use crate::analysis::record::{ExampleTrial, PopulationRhythm, Rhythm};

/// Why figures of the analysis are missing.
pub const NO_ANALYSIS: &str = "no cell has an analysis; `dalenet analyse` makes one";
const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];
const BINS: usize = 40;
/// Up to where spectra are drawn, Hz.
const SHOWN_HZ: f64 = 150.0;

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

/// A panel for spectra, up to 150 Hz, with their white-noise levels.
pub fn spectrum_panel(title: &str, rhythms: &[(&Rhythm, Colour)]) -> Panel {
    let x = Axis::new("frequency (Hz)").from(0.0).to(SHOWN_HZ);
    let mut panel = Panel::new(title, x, Axis::new("power (Hz²/Hz)").scaled(Scale::Log));
    for (rhythm, colour) in rhythms {
        let spectrum = &rhythm.spectrum;
        let bins = spectrum.frequency_hz.iter().zip(&spectrum.power);
        let shown = bins.filter(|(f, _)| **f <= SHOWN_HZ);
        let points: Vec<(f64, f64)> = shown.map(|(f, power)| (*f, *power)).collect();
        let level = Stroke::solid(*colour, 1.2).dashed(Dash::Dotted);
        let white = points.iter().map(|(f, _)| (*f, spectrum.white_power));
        panel.marks.push(Mark::Line {
            points: white.collect(),
            stroke: level,
        });
        panel.marks.push(Mark::Line {
            points,
            stroke: Stroke::solid(*colour, 1.5),
        });
    }
    panel
}

/// The correlograms of one population in some runs, each with its null, and the fundamental.
pub fn correlogram_panel(title: &str, rhythms: &[&PopulationRhythm], colour: Colour) -> Panel {
    let x = Axis::new("lag (ms)").from(0.0);
    let mut panel = Panel::new(title, x, Axis::new("pairs / chance").from(0.0));
    for rhythm in rhythms {
        let ends = rhythm.null_low.iter().zip(&rhythm.null_high);
        let band = rhythm.lag_ms.iter().zip(ends);
        panel.marks.push(Mark::Band {
            points: band.map(|(lag, (low, high))| (*lag, *low, *high)).collect(),
            fill: null_fill(),
        });
        let points = rhythm.lag_ms.iter().zip(&rhythm.correlation);
        panel.marks.push(Mark::Line {
            points: points.map(|(lag, c)| (*lag, *c)).collect(),
            stroke: Stroke::solid(colour, 1.5),
        });
        if rhythm.is_rhythmic {
            panel.marks.push(Mark::Upright {
                x: 1000.0 / rhythm.f_hz,
                stroke: period_stroke(),
            });
        }
    }
    panel
}

/// How the null of a correlogram looks.
fn null_fill() -> Fill {
    Fill {
        colour: Colour::Ink,
        opacity: 0.25,
    }
}

/// How the period of a rhythm looks.
fn period_stroke() -> Stroke {
    Stroke {
        opacity: 0.7,
        ..Stroke::solid(VERMILION, 1.2)
    }
}

/// Key of correlograms: the null, and the period where somebody has one.
pub fn correlogram_key(rhythms: &[&PopulationRhythm]) -> Vec<Key> {
    let mut key = vec![Key::new(
        Sample::Box(null_fill(), None),
        "98 % of random spikes",
    )];
    if rhythms.iter().any(|rhythm| rhythm.is_rhythmic) {
        key.push(Key::new(Sample::Line(period_stroke(), None), "period"));
    }
    key
}

/// Adds the correlograms of a run and their nulls, from lag to lag.
pub fn tabulate_correlograms(table: &mut Table, words: &[&str], rhythm: &Rhythm) {
    for (name, population) in [("e", &rhythm.e), ("i", &rhythm.i)] {
        if population.is_rhythmic {
            let quantity = format!("{name}_period_ms");
            let words: Vec<&str> = words.iter().copied().chain([quantity.as_str()]).collect();
            table.push(&words, &[1000.0 / population.f_hz, f64::NAN]);
        }
        for (quantity, values) in [
            ("correlation", &population.correlation),
            ("random_1_percent", &population.null_low),
            ("random_99_percent", &population.null_high),
        ] {
            let quantity = format!("{name}_{quantity}_at_lag_ms");
            let words: Vec<&str> = words.iter().copied().chain([quantity.as_str()]).collect();
            for (lag, value) in population.lag_ms.iter().zip(values) {
                table.push(&words, &[*lag, *value]);
            }
        }
    }
}

/// What a key says of a rhythm.
pub fn rhythm_words(rhythm: &Rhythm) -> String {
    if rhythm.f_gamma_hz.is_finite() {
        format!("f_{{γ}} = {} Hz", brief(rhythm.f_gamma_hz))
    } else if rhythm.is_rhythmic {
        format!("rhythm of {} Hz", brief(rhythm.f_hz))
    } else {
        "no rhythm".into()
    }
}

/// The contrast of a population beside what random spikes give.
pub fn contrast_words(rhythm: &PopulationRhythm) -> String {
    if rhythm.contrast.is_nan() {
        "no two cells fire".into()
    } else {
        format!(
            "contrast {} (chance {})",
            brief(rhythm.contrast),
            brief(rhythm.null_contrast)
        )
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
    let spikes = |list: &[(f64, u32)], base: f64, cells: u32, colour| Mark::Spikes {
        points: list
            .iter()
            .filter(|(t, cell)| *cell < cells && (0.0..=trial.duration_ms).contains(t))
            .map(|(t, cell)| (*t, base + f64::from(*cell)))
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
