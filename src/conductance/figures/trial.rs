//! The example trial of a run, and the rhythm of all trials.

use super::activity::{
    add_correlograms, add_spectrum, add_spikes, contrast_words, correlogram_key, correlogram_panel,
    has_raster, raster_panel, spectrum_panel, white_stroke,
};
use crate::analysis::rhythm::{LEAST_CONTRAST, NULL_DRAWS};
use crate::conductance::analysis::record::{ExampleTrial, Rhythm, RunAnalysis};
use crate::report::figures::draw::page::{PanelRow, PanelRows};
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::Stroke;
use crate::report::figures::groups::{BLUE, VERMILION};
use crate::report::figures::kit::{brief, fill, line_key};
use crate::report::figures::sheet::{Missing, Sheet, Table};

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
    let names = ["e_spike_of_cell", "i_spike_of_cell"];
    let spikes = add_spikes(&mut table, &[], names, trial);
    let mut above = raster_panel(trial, &table, &spikes, ["time_ms", "value"]);
    above.x.label.clear();
    let rates = rates_panel(trial, &mut table);
    let row = |height, panel| PanelRow {
        height,
        panels: vec![panel],
    };
    Ok(Sheet {
        id: "raster".into(),
        title: "Spike raster".into(),
        caption: format!(
            "One test trial ({} checkpoint, epoch {}): the first {} E cells and {} I cells; their rates in bins of {} \
             ms. Over all cells E fires at {:.1} Hz and I at {:.1} Hz in this trial.",
            analysis.checkpoint,
            analysis.epoch,
            trial.e_cells,
            trial.i_cells,
            RATE_BIN_MS,
            trial.e_rate_hz,
            trial.i_rate_hz
        ),
        alt: "Spikes of E and I cells in one test trial and their rates.".into(),
        page: PanelRows {
            key: Vec::new(),
            bar: None,
            rows: vec![row(300.0, above), row(90.0, rates)],
        },
        table,
    })
}

/// The rates of both populations over the trial.
fn rates_panel(trial: &ExampleTrial, table: &mut Table) -> Panel {
    let x = Axis::new("time (ms)").from(0.0).to(trial.duration_ms);
    let y = Axis::new("rate (Hz)").from(0.0);
    let mut panel = Panel::new("Rate of the cells shown", x, y);
    for (name, quantity, cells, spikes, colour) in [
        ("E", "e_rate_hz_from", trial.e_cells, &trial.e, BLUE),
        ("I", "i_rate_hz_from", trial.i_cells, &trial.i, VERMILION),
    ] {
        let Some((edges, rates)) = binned_rate(trial, spikes, cells) else {
            continue;
        };
        let bins = edges.iter().zip(&rates).map(|(edge, rate)| [*edge, *rate]);
        let rows = table.add(&[quantity], bins);
        let end = edges.last().copied().unwrap_or(f64::NAN);
        let stroke = Stroke::solid(colour, 1.2);
        let columns = ["time_ms", "value"];
        let steps = table.steps_to(&rows, columns, end, stroke, fill(colour, 0.12));
        panel.key.push(line_key(stroke, name));
        panel.marks.push(steps);
    }
    panel
}

/// Edges of bins and the rate of `cells` cells in each, Hz; none without cells.
fn binned_rate(
    trial: &ExampleTrial,
    spikes: &[(f64, u32)],
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
        let place = *time / width;
        if *cell < cells && (0.0..bins as f64).contains(&place) {
            rates[place as usize] += 1000.0 / (width * f64::from(cells));
        }
    }
    Some(((0..=bins).map(|k| k as f64 * width).collect(), rates))
}

/// Correlograms, spectrum and inter-spike intervals.
pub fn rhythm(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let (id, title) = ("rhythm", "Rhythm");
    let rhythm = &analysis.rhythm;
    let spectrum = &rhythm.spectrum;
    let mut table = Table::new(&["quantity", "x", "y"]);
    let [e, i] = add_correlograms(&mut table, &[], rhythm);
    let spectra = [(rhythm, add_spectrum(&mut table, &[], rhythm))];
    for (name, value) in [
        ("e_white_noise_power", spectrum.white_power),
        ("f_hz", rhythm.f_hz),
        ("e_contrast", rhythm.e.contrast),
        ("e_contrast_of_random_spikes", rhythm.e.null_contrast),
        ("i_contrast", rhythm.i.contrast),
        ("i_contrast_of_random_spikes", rhythm.i.null_contrast),
        ("cv", rhythm.cv),
    ] {
        table.row(&[name], &[f64::NAN, value]);
    }
    let correlograms =
        [("E", &e, BLUE), ("I", &i, VERMILION)].map(|(name, correlogram, colour)| {
            let title = format!("Pairs of {name} cells");
            let mut panel = correlogram_panel(&title, &table, &[correlogram], colour);
            let words = contrast_words(correlogram.population);
            panel.key.push(Key::new(LegendSample::Nothing, words));
            panel.key.extend(correlogram_key(&[correlogram]));
            panel
        });
    let mut power = spectrum_panel("Spectrum of the E population", &table, &spectra, BLUE);
    power
        .key
        .push(line_key(Stroke::solid(BLUE, 1.5), "measured"));
    power.key.push(line_key(white_stroke(BLUE), "white noise"));
    let below = vec![power, intervals(rhythm, &mut table)];
    let page =
        PanelRows::grid(correlograms.into(), 2, 140.0).above(PanelRows::grid(below, 2, 120.0));
    if page.rows.is_empty() {
        return Err(Missing::new(id, title, "no cell fires in the test trials"));
    }
    Ok(Sheet {
        id: id.into(),
        title: format!("{title}: {}", outcome(rhythm)),
        caption: format!(
            "Pairs of cells: coincidences of two different E (or I) cells at each lag, relative to independent \
             cells, all test trials; grey: central 98 % of {NULL_DRAWS} draws with the same number of spikes \
             at random times; vertical line: period. The first {} ms of each trial are left out. A rhythm is \
             reported if the contrast of the first side peak of the E cells with the trough before it is at \
             least {LEAST_CONTRAST} and above the 99th percentile of the draws. Spectrum: power spectral \
             density of the E population rate, bins of {} Hz (dotted: independent Poisson cells); not used for \
             this decision. Inter-spike intervals: E cells, CV is the mean over cells. Checkpoint: {}, epoch \
             {}.",
            brief(rhythm.onset_ms),
            brief(spectrum.resolution_hz),
            analysis.checkpoint,
            analysis.epoch
        ),
        alt: "Correlograms of E and I cells with their nulls, spectrum and inter-spike intervals."
            .into(),
        page,
        table,
    })
}

/// The rhythm in a few words.
fn outcome(rhythm: &Rhythm) -> String {
    if rhythm.is_rhythmic {
        format!("{} Hz", brief(rhythm.f_hz))
    } else {
        format!("none detected above {} Hz", brief(rhythm.lowest_hz))
    }
}

/// A histogram of the inter-spike intervals of E.
fn intervals(rhythm: &Rhythm, table: &mut Table) -> Panel {
    let x = Axis::new("interval (ms)").from(0.0);
    let y = Axis::new("number of intervals").from(0.0);
    let mut panel = Panel::new("Inter-spike intervals of E cells", x, y);
    let bins = rhythm.interval_ms.iter().zip(&rhythm.interval_count);
    let rows = table.add(
        &["intervals_from_ms"],
        bins.map(|(from, count)| [*from, *count as f64]),
    );
    let starts = table.column(&rows, "x");
    if let [first, second, ..] = starts[..] {
        let end = starts[starts.len() - 1] + second - first;
        let stroke = Stroke::solid(BLUE, 1.0);
        let steps = table.steps_to(&rows, ["x", "y"], end, stroke, fill(BLUE, 0.4));
        panel.marks.push(steps);
        let words = format!("CV {}", brief(rhythm.cv));
        panel.key.push(Key::new(LegendSample::Nothing, words));
    }
    panel
}
