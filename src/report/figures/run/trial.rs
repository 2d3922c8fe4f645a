//! The example trial of a run, and the rhythm of all trials.

use super::super::activity::{
    contrast_words, correlogram_key, correlogram_panel, has_raster, raster_panel, spectrum_panel,
    tabulate_correlograms,
};
use super::super::draw::mark::Mark;
use super::super::draw::page::{Page, Row};
use super::super::draw::panel::{Key, Panel, Sample};
use super::super::draw::scale::Axis;
use super::super::draw::svg::{Dash, Fill, Stroke};
use super::super::groups::{BLUE, VERMILION};
use super::super::table::Table;
use super::super::weights::brief;
use super::super::{Missing, Sheet};
use crate::analysis::record::{ExampleTrial, PopulationRhythm, Rhythm, RunAnalysis};
use crate::analysis::rhythm::{LEAST_CONTRAST, NULL_DRAWS};

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
            table.push(&[name], &[*time, f64::from(*cell)]);
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
    let mut table = Table::new(&["quantity", "x", "y"]);
    tabulate_correlograms(&mut table, &[], rhythm);
    let of_population = |name: &str, population: &PopulationRhythm, colour| {
        let mut panel = correlogram_panel(&format!("Pairs of {name} cells"), &[population], colour);
        let words = Key::new(Sample::Nothing, contrast_words(population));
        panel.key.push(words);
        panel.key.extend(correlogram_key(&[population]));
        panel
    };
    let correlograms = vec![
        of_population("E", &rhythm.e, BLUE),
        of_population("I", &rhythm.i, VERMILION),
    ];
    let mut power = spectrum_panel("Spectrum of the E population", &[(rhythm, BLUE)]);
    power.key.push(Key::new(
        Sample::Line(Stroke::solid(BLUE, 1.5), None),
        "measured",
    ));
    power.key.push(Key::new(
        Sample::Line(Stroke::solid(BLUE, 1.2).dashed(Dash::Dotted), None),
        "white noise",
    ));
    let spectrum = &rhythm.spectrum;
    for (frequency, value) in spectrum.frequency_hz.iter().zip(&spectrum.power) {
        table.push(&["e_power_at_hz"], &[*frequency, *value]);
    }
    let numbers = [
        ("e_white_noise_power", spectrum.white_power),
        ("f_hz", rhythm.f_hz),
        ("e_contrast", rhythm.e.contrast),
        ("e_contrast_of_random_spikes", rhythm.e.null_contrast),
        ("i_contrast", rhythm.i.contrast),
        ("i_contrast_of_random_spikes", rhythm.i.null_contrast),
        ("cv", rhythm.cv),
    ];
    for (name, value) in numbers {
        table.push(&[name], &[f64::NAN, value]);
    }
    let mut rows = vec![intervals(rhythm, &mut table)];
    rows.insert(0, power);
    let page = Page::grid(correlograms, 2, 140.0).above(Page::grid(rows, 2, 120.0));
    if page.rows.is_empty() {
        return Err(Missing::new(id, title, "no cell fires in the test trials"));
    }
    Ok(Sheet {
        id: id.into(),
        title: format!("{title}: {}", outcome(rhythm)),
        caption: format!(
            "How often two different cells fire at a lag, over what independent cells would; the grey band holds              98 % of {NULL_DRAWS} draws of as many spikes put at random. The first {} ms of each trial are left out. There is a              rhythm where the contrast between the first side peak and the trough before it is at least              {LEAST_CONTRAST} and above 99 % of the draws; the E cells decide. The spectrum (bins of {} Hz) decides nothing. {}              checkpoint, epoch {}.",
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
        format!("volleys at {} Hz", brief(rhythm.f_hz))
    } else {
        format!("none above {} Hz", brief(rhythm.lowest_hz))
    }
}

fn intervals(rhythm: &Rhythm, table: &mut Table) -> Panel {
    let mut panel = Panel::new(
        "Inter-spike intervals of E",
        Axis::new("interval (ms)").from(0.0),
        Axis::new("intervals").from(0.0),
    );
    let counts: Vec<f64> = rhythm.interval_count.iter().map(|c| *c as f64).collect();
    for (edge, count) in rhythm.interval_ms.iter().zip(&counts) {
        table.push(&["intervals_from_ms"], &[*edge, *count]);
    }
    if let [first, second, ..] = rhythm.interval_ms[..] {
        let mut edges = rhythm.interval_ms.clone();
        edges.push(edges[edges.len() - 1] + second - first);
        edges.truncate(counts.len() + 1);
        let heights = counts.iter().copied().take(edges.len() - 1).collect();
        panel.marks.push(Mark::Steps {
            edges,
            heights,
            stroke: Some(Stroke::solid(BLUE, 1.0)),
            fill: Some(Fill {
                colour: BLUE,
                opacity: 0.4,
            }),
        });
        panel.key.push(Key::new(
            Sample::Nothing,
            format!("CV {}", brief(rhythm.cv)),
        ));
    }
    panel
}
