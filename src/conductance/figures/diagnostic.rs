//! One condition on one card.

use crate::conductance::record;
use std::collections::BTreeSet;

use super::activity::{
    PopulationCorrelogram, add_correlograms, add_spectrum, add_spikes, correlogram_key,
    correlogram_panel, has_raster, raster_panel, rhythm_words, spectrum_panel, white_stroke,
};
use super::kit::{MATRICES, matrix_colour};
use crate::conductance::analysis::record::{Rhythm, RunAnalysis};
use crate::conductance::metrics::{E_RATE, I_RATE};
use crate::report::figures::draw::page::{PanelRow, PanelRows};
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Dash, Stroke};
use crate::report::figures::groups::{BLUE, CellRun, Group, VERMILION};
use crate::report::figures::kit::{brief, curve, epoch_axis, line_key};
use crate::report::figures::sheet::{Missing, Sheet, Table};
use crate::train::metrics::{EPOCH, EpochMetrics, TEST_ACCURACY, WEIGHT_NORM};

/// The runs of a condition that have an analysis.
type Analyses<'a> = Vec<(&'a CellRun<'a>, &'a RunAnalysis)>;

/// Norms, rates and accuracy against the epoch; spectrum and raster of the analysed checkpoint.
pub fn diagnostic(group: &Group) -> Result<Sheet, Missing> {
    let id = format!("diagnostic_{}", group.id);
    let title = format!("Diagnostics: {}", group.label);
    // Alone on its card, a condition needs no pattern to be told apart.
    let group = &Group {
        dash: Dash::Solid,
        ..group.clone()
    };
    // Long format: quantity, and its x and y.
    let mut table = Table::new(&["cell", "quantity", "x", "y"]);
    let mut page = PanelRows::grid(epoch_panels(group, &mut table), 3, 110.0);
    let runs = group.runs.iter();
    let analyses: Analyses = runs
        .filter_map(|run| Some((run, record::analysis(run.record)?)))
        .collect();
    let mut lower = rhythm_panels(&analyses, &mut table);
    let example = analyses.iter().find(|(_, a)| has_raster(&a.raster));
    if let Some((run, analysis)) = example {
        let names = ["e_spike_ms_of_cell", "i_spike_ms_of_cell"];
        let rows = add_spikes(&mut table, &[run.cell], names, &analysis.raster);
        let mut raster = raster_panel(&analysis.raster, &table, &rows, ["x", "y"]);
        raster.share = 1.7;
        lower.push(raster);
    }
    if !lower.is_empty() {
        page.rows.push(PanelRow {
            height: 170.0,
            panels: lower,
        });
    }
    if page.rows.is_empty() {
        return Err(Missing::new(
            id,
            title,
            "no run of this condition has finished an epoch or an analysis",
        ));
    }
    Ok(Sheet {
        id,
        title,
        caption: caption(group, &analyses),
        alt: format!(
            "Norms, rates, accuracy, spectrum and raster of {}.",
            group.label
        ),
        page,
        table,
    })
}

/// Norms, rates and accuracy against the epoch.
fn epoch_panels(group: &Group, table: &mut Table) -> Vec<Panel> {
    let log = Axis::new("norm / norm at start").scaled(Scale::Log);
    let y = |label: &str| Axis::new(label).from(0.0);
    let mut norms = Panel::new("Norms", epoch_axis(), log);
    let mut rates = Panel::new("Rates (test mean)", epoch_axis(), y("rate (Hz)"));
    let mut accuracy = Panel::new("Test accuracy", epoch_axis(), y("accuracy (%)"));
    let mut line = |panel: &mut Panel,
                    run: &CellRun,
                    quantity: &str,
                    colour: Colour,
                    of: &dyn Fn(&EpochMetrics) -> f64| {
        let epochs = run.record.epochs.iter().map(|m| [m[EPOCH], of(m)]);
        let rows = table.add(&[run.cell, quantity], epochs);
        let points = table.points(&rows, ["x", "y"]);
        let stroke = Stroke::solid(colour, 1.3);
        panel.marks.extend(curve(group, run, points, stroke));
    };
    for run in &group.runs {
        for (short, name) in MATRICES {
            let norm = |m: &EpochMetrics| m.of_matrix(WEIGHT_NORM, short);
            let start = run.record.epochs.first().map_or(f64::NAN, norm);
            if !run
                .record
                .epochs
                .iter()
                .any(|m| (norm(m) / start).is_finite())
            {
                continue;
            }
            let quantity = format!("norm_{short}_over_start");
            let colour = matrix_colour(short);
            line(&mut norms, run, &quantity, colour, &|m| norm(m) / start);
            if !norms.key.iter().any(|k| k.label == name) {
                norms.key.push(line_key(Stroke::solid(colour, 2.0), name));
            }
        }
        for (metric, colour) in [(E_RATE, BLUE), (I_RATE, VERMILION)] {
            line(&mut rates, run, metric.name, colour, &|m| m[metric]);
        }
        let name = TEST_ACCURACY.name;
        line(&mut accuracy, run, name, Colour::Ink, &|m| m[TEST_ACCURACY]);
    }
    for (label, colour) in [("E", BLUE), ("I", VERMILION)] {
        rates.key.push(line_key(Stroke::solid(colour, 2.0), label));
    }
    vec![norms, rates, accuracy]
}

/// Correlograms and spectra of E, where there are some.
fn rhythm_panels(analyses: &Analyses, table: &mut Table) -> Vec<Panel> {
    let mut correlograms: Vec<PopulationCorrelogram> = Vec::new();
    let mut spectra: Vec<(&Rhythm, _)> = Vec::new();
    for (run, analysis) in analyses {
        let rhythm = &analysis.rhythm;
        let [e, _] = add_correlograms(table, &[run.cell], rhythm);
        correlograms.push(e);
        spectra.push((rhythm, add_spectrum(table, &[run.cell], rhythm)));
        for (quantity, value) in [
            ("e_white_noise_power", rhythm.spectrum.white_power),
            ("f_hz", rhythm.f_hz),
            ("e_contrast", rhythm.e.contrast),
        ] {
            table.row(&[run.cell, quantity], &[f64::NAN, value]);
        }
    }
    let correlograms: Vec<&PopulationCorrelogram> = correlograms.iter().collect();
    let mut pairs = correlogram_panel("Pairs of E cells", table, &correlograms, Colour::Ink);
    let words: BTreeSet<String> = (analyses.iter().map(|(_, a)| rhythm_words(&a.rhythm))).collect();
    let words: Vec<String> = words.into_iter().collect();
    (pairs.key).push(Key::new(LegendSample::Nothing, words.join("; ")));
    pairs.key.extend(correlogram_key(&correlograms));
    let mut spectrum = spectrum_panel("Spectrum of E", table, &spectra, Colour::Ink);
    let white = line_key(white_stroke(Colour::Ink), "white noise");
    spectrum.key.push(white);
    let panels = [pairs, spectrum].into_iter();
    panels.filter(Panel::has_data).collect()
}

fn caption(group: &Group, analyses: &Analyses) -> String {
    let lacking = if analyses.is_empty() {
        " No analysis yet: spectrum and raster are missing."
    } else {
        ""
    };
    let resolution = analyses.first().map_or_else(String::new, |(_, a)| {
        format!(" in bins of {} Hz", brief(a.rhythm.spectrum.resolution_hz))
    });
    let example = analyses.iter().find(|(_, a)| has_raster(&a.raster));
    let shown = example.map_or_else(String::new, |(run, a)| {
        format!(
            " Raster: cell {}, {} checkpoint, the first {} E cells and {} I cells.",
            run.cell, a.checkpoint, a.raster.e_cells, a.raster.i_cells
        )
    });
    let diverged = group.runs.iter().filter(|run| run.diverged());
    let ends: Vec<&str> = diverged.map(|run| run.cell).collect();
    let ends = if ends.is_empty() {
        String::new()
    } else {
        format!(" Diverged (cross): {}.", ends.join(", "))
    };
    format!(
        "Norms: Frobenius norm of each stored matrix relative to its initial value. Rates and accuracy: means \
         over the test set after each epoch, one line per seed. Pairs of E cells: coincidences at each lag \
         relative to independent cells, all test trials (grey: central 98 % for spikes at random times; \
         vertical line: period of the rhythm, if any). Spectrum: power spectral density of the E population \
         rate{resolution} (dotted: independent Poisson cells); it does not decide on the \
         rhythm.{shown}{lacking}{ends}"
    )
}
