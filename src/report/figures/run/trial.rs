//! The example trial of a run and its rhythm.

use super::super::activity::{has_raster, raster_panel, rhythm_words, spectrum_panel};
use super::super::draw::mark::Mark;
use super::super::draw::page::{Page, Row};
use super::super::draw::panel::{Key, Panel, Sample};
use super::super::draw::scale::Axis;
use super::super::draw::svg::{Dash, Fill, Stroke};
use super::super::groups::{BLUE, VERMILION};
use super::super::table::Table;
use super::super::{Missing, Sheet, weights};
use crate::analysis::record::{ExampleTrial, RunAnalysis};

/// Width of the bins of population rates, ms.
const RATE_BIN_MS: f64 = 2.0;

/// Spikes of one trial and their rates.
pub fn raster(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let trial = &analysis.raster;
    if !has_raster(trial) {
        return Err(Missing::new(
            "raster",
            "Spike raster",
            "the example trial has no spikes",
        ));
    }
    let mut table = Table::new(&["quantity", "time_ms", "value"]);
    for (name, spikes) in [("e_spike_of_cell", &trial.e), ("i_spike_of_cell", &trial.i)] {
        for (time, cell) in spikes {
            table.push(&[name], &[f64::from(*time), f64::from(*cell)]);
        }
    }
    let x = Axis::new("time (ms)").from(0.0).to(trial.duration_ms);
    let mut rates = Panel::new(
        "Rate of the cells shown",
        x,
        Axis::new("rate (Hz)").from(0.0),
    );
    for (name, cells, spikes, colour) in [
        ("E", trial.e_cells, &trial.e, BLUE),
        ("I", trial.i_cells, &trial.i, VERMILION),
    ] {
        let Some((edges, heights)) = binned_rate(trial, spikes, cells) else {
            continue;
        };
        for (edge, height) in edges.iter().zip(&heights) {
            table.push(
                &[&format!("{}_rate_hz_from", name.to_lowercase())],
                &[*edge, *height],
            );
        }
        let stroke = Stroke::solid(colour, 1.2);
        rates.key.push(Key::new(Sample::Line(stroke, None), name));
        rates.marks.push(Mark::Steps {
            edges,
            heights,
            stroke: Some(stroke),
            fill: Some(Fill {
                colour,
                opacity: 0.12,
            }),
        });
    }
    let mut above = raster_panel(trial);
    above.x.label.clear();
    Ok(Sheet {
        id: "raster".into(),
        title: "Spike raster".into(),
        caption: format!(
            "One test trial ({} checkpoint, epoch {}): the first {} E and {} I cells; their rates in bins of {} ms. \
             Over all cells E fires at {:.1} Hz and I at {:.1} Hz in this trial.",
            analysis.checkpoint,
            analysis.epoch,
            trial.e_cells,
            trial.i_cells,
            RATE_BIN_MS,
            trial.e_rate_hz,
            trial.i_rate_hz
        ),
        alt: "Spikes of E and I cells in one test trial and their rates.".into(),
        page: Page {
            key: Vec::new(),
            bar: None,
            rows: vec![
                Row {
                    height: 300.0,
                    panels: vec![above],
                },
                Row {
                    height: 90.0,
                    panels: vec![rates],
                },
            ],
        },
        table,
    })
}

/// Edges of bins and the rate of `cells` cells in each, Hz; none without cells.
fn binned_rate(
    trial: &ExampleTrial,
    spikes: &[(f32, u32)],
    cells: u32,
) -> Option<(Vec<f64>, Vec<f64>)> {
    // Trials of an hour would have a million bins.
    let bins = (trial.duration_ms / RATE_BIN_MS).round().clamp(1.0, 2000.0) as usize;
    let width = trial.duration_ms / bins as f64;
    if cells == 0 {
        return None;
    }
    let mut rates = vec![0.0; bins];
    for (time, cell) in spikes {
        let place = f64::from(*time) / width;
        if *cell < cells && (0.0..bins as f64).contains(&place) {
            rates[place as usize] += 1000.0 / (width * f64::from(cells));
        }
    }
    Some(((0..=bins).map(|k| k as f64 * width).collect(), rates))
}

/// Spectrum, autocorrelogram and inter-spike intervals.
pub fn spectrum(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let rhythm = &analysis.rhythm;
    let mut power = spectrum_panel("Spectrum of the E population", &[(rhythm, BLUE)]);
    power.key.push(Key::new(
        Sample::Line(Stroke::solid(BLUE, 1.5), None),
        "measured",
    ));
    power.key.push(Key::new(
        Sample::Line(Stroke::solid(BLUE, 1.5).dashed(Dash::Dotted), None),
        "shuffled",
    ));
    power
        .key
        .push(Key::new(Sample::Nothing, rhythm_words(rhythm)));
    let points: Vec<_> = rhythm
        .lag_ms
        .iter()
        .copied()
        .zip(rhythm.autocorrelation.iter().copied())
        .collect();
    let mut lags = Panel::new(
        "Autocorrelogram",
        Axis::new("lag (ms)"),
        Axis::new("correlation"),
    );
    lags.marks.push(Mark::Line {
        points: points.clone(),
        stroke: Stroke::solid(BLUE, 1.4),
    });
    lags.key.push(Key::new(
        Sample::Nothing,
        format!("contrast {}", weights::brief(rhythm.contrast)),
    ));
    let mut intervals = Panel::new(
        "Inter-spike intervals of E",
        Axis::new("interval (ms)").from(0.0),
        Axis::new("intervals").from(0.0),
    );
    let counts: Vec<f64> = rhythm.interval_count.iter().map(|c| *c as f64).collect();
    let mut table = Table::new(&["quantity", "x", "y"]);
    for (name, values) in [
        ("power", &rhythm.power),
        ("shuffled_power", &rhythm.raised_null_power()),
    ] {
        for (frequency, value) in rhythm.frequency_hz.iter().zip(values) {
            table.push(&[name], &[*frequency, *value]);
        }
    }
    for (lag, value) in points {
        table.push(&["autocorrelation_at_ms"], &[lag, value]);
    }
    for (edge, count) in rhythm.interval_ms.iter().zip(&counts) {
        table.push(&["intervals_from_ms"], &[*edge, *count]);
    }
    let numbers = [
        ("peak_hz", rhythm.peak_hz),
        ("contrast", rhythm.contrast),
        ("cv", rhythm.cv),
    ];
    for (name, value) in numbers {
        table.push(&[name], &[value, f64::NAN]);
    }
    if let [first, second, ..] = rhythm.interval_ms[..] {
        let mut edges = rhythm.interval_ms.clone();
        edges.push(edges[edges.len() - 1] + second - first);
        edges.truncate(counts.len() + 1);
        let heights = counts.iter().copied().take(edges.len() - 1).collect();
        let stroke = Some(Stroke::solid(BLUE, 1.0));
        intervals.marks.push(Mark::Steps {
            edges,
            heights,
            stroke,
            fill: Some(Fill {
                colour: BLUE,
                opacity: 0.4,
            }),
        });
        intervals.key.push(Key::new(
            Sample::Nothing,
            format!("CV {}", weights::brief(rhythm.cv)),
        ));
    }
    let page = Page::grid(vec![power, lags, intervals], 3, 150.0);
    if page.rows.is_empty() {
        return Err(Missing::new(
            "spectrum",
            "Rhythm",
            "the analysis has no spectrum",
        ));
    }
    Ok(Sheet {
        id: "spectrum".into(),
        title: "Rhythm of the E population".into(),
        caption: format!(
            "Power density of the E population rate, mean over test trials, and that of rate-matched shuffled trains \
             (dotted); autocorrelogram and inter-spike intervals. {} checkpoint, epoch {}.",
            analysis.checkpoint, analysis.epoch
        ),
        alt: "Spectrum with its null, autocorrelogram and inter-spike intervals.".into(),
        page,
        table,
    })
}
