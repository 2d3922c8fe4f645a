//! Panels of rhythm and spikes: correlograms, spectra, rasters, and what keys say of them.

use crate::analysis::rhythm::PopulationRhythm;
use crate::conductance::analysis::record::{ExampleTrial, Rhythm};
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Dash, Fill, Stroke};
use crate::report::figures::groups::{BLUE, VERMILION};
use crate::report::figures::kit::{brief, fill, line_key};
use crate::report::figures::sheet::{Rows, Table};

/// Up to where spectra are drawn, Hz.
const SHOWN_HZ: f64 = 150.0;

/// The correlogram of a population in a table: a row per lag.
pub struct PopulationCorrelogram<'a> {
    /// The population.
    pub population: &'a PopulationRhythm,
    /// Its correlation.
    correlation: Rows,
    /// The lower and the upper end of the band of random spikes.
    random: [Rows; 2],
}

/// Adds the correlograms of E and I and their nulls, from lag to lag, with their periods.
pub fn add_correlograms<'a>(
    table: &mut Table,
    words: &[&str],
    rhythm: &'a Rhythm,
) -> [PopulationCorrelogram<'a>; 2] {
    [("e", &rhythm.e), ("i", &rhythm.i)].map(|(name, population)| {
        let mut add = |quantity: &str, rows: Vec<[f64; 2]>| {
            let quantity = format!("{name}_{quantity}");
            let words: Vec<&str> = words.iter().copied().chain([&quantity[..]]).collect();
            table.add(&words, rows)
        };
        if population.is_rhythmic {
            add("period_ms", vec![[1000.0 / population.f_hz, f64::NAN]]);
        }
        let mut add_lags = |quantity: &str, values: &[f64]| {
            let lags = population.lag_ms.iter().zip(values);
            let rows = lags.map(|(lag, value)| [*lag, *value]).collect();
            add(&format!("{quantity}_at_lag_ms"), rows)
        };
        PopulationCorrelogram {
            population,
            correlation: add_lags("correlation", &population.correlation),
            random: [
                add_lags("random_1_percent", &population.null_low),
                add_lags("random_99_percent", &population.null_high),
            ],
        }
    })
}

/// The correlograms of one population in some runs, each with its null, and the fundamental; the table has
/// them in its columns `x` and `y`.
pub fn correlogram_panel(
    title: &str,
    table: &Table,
    correlograms: &[&PopulationCorrelogram],
    colour: Colour,
) -> Panel {
    let x = Axis::new("lag (ms)").from(0.0);
    let mut panel = Panel::new(title, x, Axis::new("pairs / chance").from(0.0));
    let columns = ["x", "y"];
    for correlogram in correlograms {
        let [low, high] = &correlogram.random;
        panel
            .marks
            .push(table.band(low, high, columns, null_fill()));
        let stroke = Stroke::solid(colour, 1.5);
        let rows = &correlogram.correlation;
        panel.marks.push(table.line(rows, columns, stroke));
        if correlogram.population.is_rhythmic {
            panel.marks.push(Mark::Upright {
                x: 1000.0 / correlogram.population.f_hz,
                stroke: period_stroke(),
            });
        }
    }
    panel
}

/// How the null of a correlogram looks.
fn null_fill() -> Fill {
    fill(Colour::Ink, 0.25)
}

/// How the period of a rhythm looks.
fn period_stroke() -> Stroke {
    Stroke {
        opacity: 0.7,
        ..Stroke::solid(VERMILION, 1.2)
    }
}

/// Key of correlograms: the null, and the period where somebody has one.
pub fn correlogram_key(correlograms: &[&PopulationCorrelogram]) -> Vec<Key> {
    let mut key = vec![Key::new(
        LegendSample::Box(null_fill(), None),
        "98 % band of random spikes",
    )];
    if correlograms.iter().any(|c| c.population.is_rhythmic) {
        key.push(line_key(period_stroke(), "period"));
    }
    key
}

/// Adds the spectrum of E, a row per frequency.
pub fn add_spectrum(table: &mut Table, words: &[&str], rhythm: &Rhythm) -> Rows {
    let words: Vec<&str> = words.iter().copied().chain(["e_power_at_hz"]).collect();
    let bins = rhythm
        .spectrum
        .frequency_hz
        .iter()
        .zip(&rhythm.spectrum.power);
    table.add(&words, bins.map(|(frequency, power)| [*frequency, *power]))
}

/// A panel for spectra, up to 150 Hz, with their white-noise levels; the table has them in its columns `x`
/// and `y`.
pub fn spectrum_panel(
    title: &str,
    table: &Table,
    spectra: &[(&Rhythm, Rows)],
    colour: Colour,
) -> Panel {
    let x = Axis::new("frequency (Hz)").from(0.0).to(SHOWN_HZ);
    let mut panel = Panel::new(
        title,
        x,
        Axis::new("power density (Hz²/Hz)").scaled(Scale::Log),
    );
    for (rhythm, rows) in spectra {
        let mut points = table.points(rows, ["x", "y"]);
        points.retain(|(frequency, _)| *frequency <= SHOWN_HZ);
        let white = points
            .iter()
            .map(|(f, _)| (*f, rhythm.spectrum.white_power));
        panel.marks.push(Mark::Line {
            points: white.collect(),
            stroke: white_stroke(colour),
        });
        panel.marks.push(Mark::Line {
            points,
            stroke: Stroke::solid(colour, 1.5),
        });
    }
    panel
}

/// How the level of white noise looks.
pub fn white_stroke(colour: Colour) -> Stroke {
    Stroke::solid(colour, 1.2).dashed(Dash::Dotted)
}

/// What a key says of a rhythm.
pub fn rhythm_words(rhythm: &Rhythm) -> String {
    if rhythm.f_gamma_hz.is_finite() {
        format!("f_{{γ}} = {} Hz", brief(rhythm.f_gamma_hz))
    } else if rhythm.is_rhythmic {
        format!("rhythm at {} Hz", brief(rhythm.f_hz))
    } else {
        "no rhythm".into()
    }
}

/// The contrast of a population beside what random spikes give.
pub fn contrast_words(rhythm: &PopulationRhythm) -> String {
    if rhythm.contrast.is_nan() {
        "no pair of cells fires in a trial".into()
    } else {
        format!(
            "contrast {} (99 % of chance: {})",
            brief(rhythm.contrast),
            brief(rhythm.null_contrast)
        )
    }
}

/// Adds the spikes of the example trial, E and I, each in rows that begin with `words` and what they are
/// called.
pub fn add_spikes(
    table: &mut Table,
    words: &[&str],
    names: [&str; 2],
    trial: &ExampleTrial,
) -> [Rows; 2] {
    let mut add = |name: &str, spikes: &[(f64, u32)]| {
        let words: Vec<&str> = words.iter().copied().chain([name]).collect();
        let rows = spikes.iter().map(|(time, cell)| [*time, f64::from(*cell)]);
        table.add(&words, rows)
    };
    [add(names[0], &trial.e), add(names[1], &trial.i)]
}

/// The raster of the example trial, by the columns of its times and cells.
pub fn raster_panel(
    trial: &ExampleTrial,
    table: &Table,
    [e_rows, i_rows]: &[Rows; 2],
    columns: [&str; 2],
) -> Panel {
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
    for (rows, base, cells, colour) in [
        (e_rows, 0.0, trial.e_cells, BLUE),
        (i_rows, e + gap, trial.i_cells, VERMILION),
    ] {
        let spikes = table.points(rows, columns).into_iter();
        let shown = spikes.filter(|(time, cell)| {
            *cell < f64::from(cells) && (0.0..=trial.duration_ms).contains(time)
        });
        panel.marks.push(Mark::Spikes {
            points: shown.map(|(time, cell)| (time, base + cell)).collect(),
            row: 1.0,
            colour,
        });
    }
    panel
}

/// Whether there is a trial to draw.
pub fn has_raster(trial: &ExampleTrial) -> bool {
    trial.duration_ms > 0.0
        && trial.duration_ms.is_finite()
        && trial.e_cells > 0
        && !(trial.e.is_empty() && trial.i.is_empty())
}
