//! One condition on one card, and all conditions side by side.

use std::collections::BTreeSet;

use super::activity::{
    correlogram_key, correlogram_panel, has_raster, matrix_colour, raster_panel, rhythm_words,
    spectrum_panel, tabulate_correlograms,
};
use super::draw::mark::Mark;
use super::draw::page::{Page, Row};
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Marker, Stroke};
use super::groups::{BLUE, Group, Groups, VERMILION};
use super::norms::MATRICES;
use super::table::Table;
use super::training::{curve, epoch_axis, names, series};
use super::weights::brief;
use super::{Missing, Sheet};
use crate::study::measures::{Measure, find};
use crate::train::metrics::{E_RATE, EpochMetrics, I_RATE, TEST_ACCURACY, WEIGHT_NORM};

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
    let mut line =
        |panel: &mut Panel, group: &Group, run, quantity: &str, points: Vec<(f64, f64)>, colour| {
            for (x, y) in points.iter().filter(|p| p.1.is_finite()) {
                table.push(&[cell_of(run), quantity], &[*x, *y]);
            }
            panel
                .marks
                .extend(curve(group, run, points, Stroke::solid(colour, 1.3)));
        };
    let log = Axis::new("norm / norm at start").scaled(Scale::Log);
    let mut norms = Panel::new("Norms", epoch_axis(), log);
    let mut rates = Panel::new(
        "Rates (test mean)",
        epoch_axis(),
        Axis::new("rate (Hz)").from(0.0),
    );
    let mut accuracy = Panel::new(
        "Test accuracy",
        epoch_axis(),
        Axis::new("accuracy (%)").from(0.0),
    );
    for run in &group.runs {
        for (short, name) in MATRICES {
            let norm = |m: &EpochMetrics| {
                m.by_matrix(WEIGHT_NORM)
                    .get(short)
                    .copied()
                    .unwrap_or(f64::NAN)
            };
            let start = run.record.epochs.first().map_or(f64::NAN, norm);
            let points = series(run, |m| norm(m) / start);
            if !points.iter().any(|p| p.1.is_finite()) {
                continue;
            }
            line(
                &mut norms,
                group,
                run,
                &format!("norm_{short}_over_start"),
                points,
                matrix_colour(short),
            );
            if !norms.key.iter().any(|k| k.label == name) {
                norms.key.push(Key::new(
                    Sample::Line(Stroke::solid(matrix_colour(short), 2.0), None),
                    name,
                ));
            }
        }
        line(
            &mut rates,
            group,
            run,
            "e_rate_hz",
            series(run, |m| m[E_RATE]),
            BLUE,
        );
        line(
            &mut rates,
            group,
            run,
            "i_rate_hz",
            series(run, |m| m[I_RATE]),
            VERMILION,
        );
        line(
            &mut accuracy,
            group,
            run,
            "test_accuracy_percent",
            series(run, |m| m[TEST_ACCURACY]),
            Colour::Ink,
        );
    }
    for (label, colour) in [("E", BLUE), ("I", VERMILION)] {
        rates.key.push(Key::new(
            Sample::Line(Stroke::solid(colour, 2.0), None),
            label,
        ));
    }
    let upper = Page::grid(vec![norms, rates, accuracy], 3, 110.0);
    let analyses: Vec<_> = group
        .runs
        .iter()
        .filter_map(|run| Some((run, run.record.analysis.as_ref()?)))
        .collect();
    let mut lower = Vec::new();
    let rhythms: Vec<_> = analyses.iter().map(|(_, a)| &a.rhythm.e).collect();
    let mut pairs = correlogram_panel("Pairs of E cells", &rhythms, Colour::Ink);
    let words: BTreeSet<String> = (analyses.iter().map(|(_, a)| rhythm_words(&a.rhythm))).collect();
    let words: Vec<String> = words.into_iter().collect();
    (pairs.key).push(Key::new(Sample::Nothing, words.join("; ")));
    pairs.key.extend(correlogram_key(&rhythms));
    let spectra: Vec<_> = (analyses.iter().map(|(_, a)| (&a.rhythm, Colour::Ink))).collect();
    let mut spectrum = spectrum_panel("Spectrum of E", &spectra);
    spectrum.key.push(Key::new(
        Sample::Line(Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dotted), None),
        "white noise",
    ));
    for (run, analysis) in &analyses {
        let rhythm = &analysis.rhythm;
        tabulate_correlograms(&mut table, &[run.cell], rhythm);
        let spectrum = &rhythm.spectrum;
        for (x, y) in spectrum.frequency_hz.iter().zip(&spectrum.power) {
            table.push(&[run.cell, "e_power_at_hz"], &[*x, *y]);
        }
        for (quantity, value) in [
            ("e_white_noise_power", spectrum.white_power),
            ("f_hz", rhythm.f_hz),
            ("e_contrast", rhythm.e.contrast),
        ] {
            table.push(&[run.cell, quantity], &[f64::NAN, value]);
        }
    }
    lower.extend([pairs, spectrum].into_iter().filter(Panel::has_data));
    let example = analyses.iter().find(|(_, a)| has_raster(&a.raster));
    if let Some((run, analysis)) = example {
        let mut raster = raster_panel(&analysis.raster);
        raster.share = 1.7;
        lower.push(raster);
        for (quantity, spikes) in [
            ("e_spike_ms_of_cell", &analysis.raster.e),
            ("i_spike_ms_of_cell", &analysis.raster.i),
        ] {
            for (time, cell) in spikes {
                table.push(&[run.cell, quantity], &[*time, f64::from(*cell)]);
            }
        }
    }
    let mut page = upper;
    if !lower.is_empty() {
        page.rows.push(Row {
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
    let lacking = if analyses.is_empty() {
        " No analysis yet: spectrum and raster are missing."
    } else {
        ""
    };
    let resolution = analyses.first().map_or_else(String::new, |(_, a)| {
        format!(" in bins of {} Hz", brief(a.rhythm.spectrum.resolution_hz))
    });
    let shown = example.map_or_else(String::new, |(run, a)| {
        format!(
            " Raster: cell {}, {} checkpoint, the first {} E and {} I cells.",
            run.cell, a.checkpoint, a.raster.e_cells, a.raster.i_cells
        )
    });
    let ends: Vec<&str> = group
        .runs
        .iter()
        .filter(|r| r.diverged())
        .map(|r| r.cell)
        .collect();
    let ends = if ends.is_empty() {
        String::new()
    } else {
        format!(" Diverged (cross): {}.", ends.join(", "))
    };
    Ok(Sheet {
        id,
        title,
        caption: format!(
            "Norms of stored matrices over those at the start, rates and accuracy against the epoch, a line a seed; \
             how often pairs of different E cells fire at a lag, over chance, with the band of random spikes and an \
             upright line at the period where there is a rhythm; spectrum of the E population rate{resolution}, for the \
             eye.{shown}{lacking}{ends}"
        ),
        alt: format!(
            "Norms, rates, accuracy, spectrum and raster of {}.",
            group.label
        ),
        page,
        table,
    })
}

/// Measures that conditions are compared by.
const COMPARED: [&str; 4] = [
    "test_accuracy_percent",
    "e_rate_hz",
    "i_rate_hz",
    "f_gamma_hz",
];

/// Accuracy and rates of every condition, finished seeds as points with mean and standard deviation,
/// and what the sources report.
pub fn comparison(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("comparison", "Conditions compared");
    let mut table = Table::new(&["condition", "cell", "measure", "value", "low", "high"]);
    let rows = groups.groups.len();
    let mut panels = Vec::new();
    let mut has_reported = false;
    for measure in COMPARED.iter().filter_map(|name| find(name)) {
        let mut panel = comparison_panel(groups, measure, panels.is_empty());
        for (k, group) in groups.groups.iter().enumerate() {
            let place = (rows - 1 - k) as f64;
            has_reported |= compare(groups, group, measure, place, &mut panel, &mut table);
        }
        if panel.has_data() {
            panels.push(panel);
        }
    }
    if panels.is_empty() {
        return Err(Missing::new(id, title, "no cell has finished yet"));
    }
    for row in &mut table.rows {
        row.resize(table.header.len(), String::new());
    }
    let mut key = vec![
        Key::new(Sample::Spot(Marker::Circle, Colour::Ink, true), "one seed"),
        Key::new(
            Sample::Spot(Marker::Diamond, Colour::Ink, false),
            "mean ± standard deviation over seeds",
        ),
    ];
    if has_reported {
        let cross = Sample::Spot(Marker::Cross, Colour::Ink, true);
        key.push(Key::new(cross, "reported"));
    }
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "Test accuracy, mean rates over the test set and frequency of gamma after the last epoch of each finished \
             cell; a cell without gamma has no point there.{}",
            groups.remarks()
        ),
        alt: format!(
            "Dot plots of accuracy, rates and gamma frequency for {}.",
            names(groups)
        ),
        page: Page {
            key,
            bar: None,
            rows: vec![Row {
                height: 26.0 * rows as f64 + 8.0,
                panels,
            }],
        },
        table,
    })
}

/// An empty panel with a row a condition; the first one names them.
fn comparison_panel(groups: &Groups, measure: &Measure, is_first: bool) -> Panel {
    let rows = groups.groups.len();
    let label = |k: usize| {
        if is_first {
            groups.groups[k].label.clone()
        } else {
            String::new()
        }
    };
    let y = Axis::new("").from(-0.6).to(rows as f64 - 0.4);
    let places = (0..rows).map(|k| ((rows - 1 - k) as f64, label(k)));
    let mut panel = Panel::new(
        &measure.label,
        Axis::new(measure.unit),
        y.named(places.collect()),
    );
    panel.room = (0.08, 0.0);
    // The names beside the first panel take nothing from its data.
    panel.share = if is_first { 1.01 } else { 1.0 };
    panel
}

/// Draws one condition in one panel; whether the sources report something of it.
fn compare(
    groups: &Groups,
    group: &Group,
    measure: &Measure,
    place: f64,
    panel: &mut Panel,
    table: &mut Table,
) -> bool {
    let (colour, name) = (group.colour, &measure.name[..]);
    let mut points = Vec::new();
    for cell in &group.cells {
        let value = cell.finished().map_or(f64::NAN, |run| measure.of(run));
        if value.is_finite() {
            table.push(&[&group.label, &cell.cell.name, name], &[value]);
            points.push((value, place + 0.22));
        }
    }
    let spread = groups.spread(group, measure);
    if spread.n > 1 {
        let (low, high) = (spread.mean - spread.sd, spread.mean + spread.sd);
        panel.marks.push(Mark::Line {
            points: vec![(low, place), (high, place)],
            stroke: Stroke::solid(colour, 1.6),
        });
        table.push(
            &[&group.label, "mean ± standard deviation", name],
            &[spread.mean, low, high],
        );
        panel.marks.push(Mark::Points {
            points: vec![(spread.mean, place)],
            marker: Marker::Diamond,
            size: 8.0,
            colour,
            open: false,
        });
    }
    panel.marks.push(Mark::Points {
        points,
        marker: Marker::Circle,
        size: 5.0,
        colour,
        open: true,
    });
    let Some(reported) = groups.reported(group, measure) else {
        return false;
    };
    table.push(&[&group.label, "reported", name], &[reported]);
    panel.marks.push(Mark::Points {
        points: vec![(reported, place - 0.22)],
        marker: Marker::Cross,
        size: 7.0,
        colour,
        open: true,
    });
    true
}

fn cell_of<'a>(run: &super::groups::Run<'a>) -> &'a str {
    run.cell
}
