//! Spectra of matrices: singular values, eigenvalues, how they change along training, and their entropy against the
//! error.

use super::draw::mark::Mark;
use super::draw::page::{PanelRows, WIDTH};
use super::draw::panel::{Key, LegendSample, Panel};
use super::draw::scale::Axis;
use super::draw::svg::{Colour, Dash, Marker, Stroke};
use super::groups::BLUE;
use super::kit::{brief, columns, epoch_axis, faint, fill, histogram, line_key};
use super::sheet::{Dots, Missing, Sheet, Table};
use crate::analysis::compare::{RankCorrelation, rank_correlation};
use crate::spectra::MatrixSpectrum;
use crate::text::count;

/// Bins of a histogram.
const BINS: usize = 30;

/// Height of a panel, pixels.
const HEIGHT: f64 = 120.0;

/// The same where circles are drawn.
const DISC_HEIGHT: f64 = 170.0;

/// What axes take of a panel's width, pixels, about.
const AXIS_WIDTH: f64 = 62.0;

/// Panels of a figure at the most.
const MOST_PANELS: usize = 24;

/// A matrix before and after training; without `start` the one there is.
pub struct Compared<'a> {
    /// What it is of.
    pub title: String,
    /// Before training.
    pub start: Option<&'a MatrixSpectrum>,
    /// At the newest checkpoint.
    pub now: &'a MatrixSpectrum,
}

/// A figure of panels, of which too many are left out and counted.
fn sheet(
    id: &str,
    title: &str,
    caption: &str,
    alt: &str,
    height: f64,
    mut panels: Vec<Panel>,
    table: Table,
) -> Result<Sheet, Missing> {
    let left_out = panels.len().saturating_sub(MOST_PANELS);
    panels.truncate(MOST_PANELS);
    if panels.is_empty() {
        let reason = "there is no matrix with such a spectrum";
        return Err(Missing::new(id, title, reason));
    }
    let more = match left_out {
        0 => String::new(),
        n => format!(
            " Of {} the numbers are in the table alone.",
            count(n, "more panel", "more panels")
        ),
    };
    let columns = columns(panels.len());
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!("{caption}{more}"),
        alt: alt.into(),
        page: PanelRows::grid(panels, columns, height),
        table,
    })
}

/// Histograms of singular values.
pub fn singular_values(matrices: &[Compared<'_>]) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["matrix", "bin_low", "bin_high", "at_start", "now"]);
    let mut panels = Vec::new();
    for Compared { title, start, now } in matrices {
        let before = start.map_or(&[][..], |spectrum| &spectrum.singular_values);
        let lists = [before, &now.singular_values];
        let Some((edges, counts)) = histogram(&lists, BINS) else {
            continue;
        };
        let bins = edges.windows(2).enumerate();
        let rows = bins.map(|(k, ends)| [ends[0], ends[1], counts[0][k], counts[1][k]]);
        let rows = table.add(&[title], rows);
        let y = Axis::new("number").from(0.0);
        let mut panel = Panel::new(title.clone(), Axis::new("singular value"), y);
        let columns = |height| ["bin_low", "bin_high", height];
        let full = fill(BLUE, 0.6);
        panel
            .marks
            .push(table.steps(&rows, columns("now"), None, Some(full)));
        let said = |spectrum: &MatrixSpectrum| {
            format!(
                "H {}, dip p {}",
                brief(spectrum.entropy),
                brief(spectrum.dip_p)
            )
        };
        let outline = Stroke::solid(Colour::Ink, 1.2);
        if let Some(start) = start {
            let mark = table.steps(&rows, columns("at_start"), Some(outline), None);
            panel.marks.push(mark);
            panel
                .key
                .push(line_key(outline, format!("start: {}", said(start))));
        }
        let sample = LegendSample::Box(full, None);
        panel
            .key
            .push(Key::new(sample, format!("now: {}", said(now))));
        panels.push(panel);
    }
    sheet(
        "singular_values",
        "Singular values",
        "Histograms of singular values, at the start (outline) and at the newest checkpoint (filled). H: their entropy \
         divided by that of equal ones; dip p: how often values that are spread evenly look as if they had more than one \
         mode as much as these (Hartigan's test).",
        "Histograms of singular values, a panel a matrix.",
        HEIGHT,
        panels,
        table,
    )
}

/// Eigenvalues in the complex plane.
pub fn eigenvalues(matrices: &[Compared<'_>]) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["matrix", "when", "real", "imaginary"]);
    let mut panels = Vec::new();
    // Circles are to be round.
    let is_square = |compared: &&Compared<'_>| !compared.now.eigenvalues.is_empty();
    let discs = matrices.iter().filter(is_square).count();
    let columns = columns(discs).min(discs).max(1);
    let wider = (WIDTH / columns as f64 - AXIS_WIDTH) / DISC_HEIGHT;
    for Compared { title, start, now } in matrices {
        let both = [("start", *start), ("now", Some(*now))];
        let both = both.map(|(when, s)| (when, s.filter(|s| !s.eigenvalues.is_empty())));
        let radius = both.iter().filter_map(|(_, s)| s.map(|s| s.radius));
        let radius = radius.fold(0.0, f64::max);
        if radius <= 0.0 {
            continue;
        }
        let reach = 1.08 * radius;
        let axis = |label, reach: f64| Axis::new(label).from(-reach).to(reach);
        let (x, y) = (
            axis("real part", wider * reach),
            axis("imaginary part", reach),
        );
        let mut panel = Panel::new(title.clone(), x, y);
        for (when, spectrum) in both {
            let Some(spectrum) = spectrum else { continue };
            let rows = table.add(&[title, when], &spectrum.eigenvalues);
            let (colour, dots) = match when {
                "start" => (Colour::Ink, Dots::open(Marker::Circle, 2.5, Colour::Ink)),
                _ => (BLUE, Dots::full(Marker::Circle, 2.5, BLUE)),
            };
            panel
                .marks
                .push(table.dots(&rows, ["real", "imaginary"], dots));
            // The circle of the spectral radius.
            let circle = (0..=72).map(|k| {
                let angle = f64::from(k) * std::f64::consts::TAU / 72.0;
                let (sin, cos) = libm::sincos(angle);
                (spectrum.radius * cos, spectrum.radius * sin)
            });
            panel.marks.push(Mark::Line {
                points: circle.collect(),
                stroke: Stroke {
                    colour,
                    ..faint(0.8, 0.6)
                },
            });
            let sample = LegendSample::Spot(Marker::Circle, colour, when == "start");
            let words = format!("{when}: radius {}", brief(spectrum.radius));
            panel.key.push(Key::new(sample, words));
        }
        panels.push(panel);
    }
    sheet(
        "eigenvalues",
        "Eigenvalues",
        "Eigenvalues of square matrices in the complex plane, at the start (open) and at the newest checkpoint (full), \
         with circles of the spectral radius.",
        "Eigenvalues in the complex plane, a panel a matrix.",
        DISC_HEIGHT,
        panels,
        table,
    )
}

/// A quantity along training: a panel.
pub struct Along {
    /// What is drawn.
    pub title: String,
    /// Label of its axis.
    pub axis: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of a panel.
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its colour.
    pub colour: Colour,
    /// Its pattern.
    pub dash: Dash,
    /// Values by epochs trained.
    pub points: Vec<[f64; 2]>,
    /// Whether the key names it.
    pub in_key: bool,
}

/// Quantities against the epoch.
pub fn along_training(
    id: &str,
    title: &str,
    caption: &str,
    panels: Vec<Along>,
) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["panel", "line", "epoch", "value"]);
    let mut drawn = Vec::new();
    for along in panels {
        let y = Axis::new(along.axis);
        let mut panel = Panel::new(along.title.clone(), epoch_axis(), y);
        for line in along.lines {
            let Line {
                name,
                colour,
                dash,
                points,
                in_key,
            } = line;
            let rows = table.add(&[&along.title, &name], points);
            let stroke = Stroke::solid(colour, 1.5).dashed(dash);
            panel
                .marks
                .push(table.line(&rows, ["epoch", "value"], stroke));
            let dots = Dots::full(Marker::Circle, 3.0, colour);
            panel
                .marks
                .push(table.dots(&rows, ["epoch", "value"], dots));
            if in_key {
                panel.key.push(line_key(stroke, name));
            }
        }
        if panel.has_data() {
            drawn.push(panel);
        }
    }
    let alt = "Measures of spectra against the epoch.";
    sheet(id, title, caption, alt, HEIGHT, drawn, table)
}

/// A network of the figure of entropy against error.
pub struct EntropyPoint {
    /// Condition or name.
    pub label: String,
    /// Colour of its condition.
    pub colour: Colour,
    /// Marker of its condition.
    pub marker: Marker,
    /// H of the recurrent matrix at the start.
    pub entropy: f64,
    /// Error after training.
    pub error: f64,
}

/// The rank correlation of entropy with error.
pub fn entropy_and_error(points: &[EntropyPoint]) -> RankCorrelation {
    let pairs = points.iter().map(|point| [point.entropy, point.error]);
    let pairs: Vec<_> = pairs
        .filter(|pair| pair.iter().all(|x| x.is_finite()))
        .collect();
    rank_correlation(&pairs)
}

/// Name of the figure of entropy against error.
pub const ENTROPY_ERROR: &str = "entropy_error";

/// Entropy at the start against the error after training; `error`: what the error is.
pub fn entropy_against_error(points: &[EntropyPoint], error: &str) -> Result<Sheet, Missing> {
    let title = "Entropy of the spectrum at the start and error after training";
    let mut table = Table::new(&["condition", "entropy_at_start", "error"]);
    let mut panel = Panel::new(
        "",
        Axis::new("H of W at the start"),
        Axis::new(error).from(0.0),
    );
    panel.room = (0.05, 0.08);
    let mut known: Vec<&str> = Vec::new();
    let mut keys = Vec::new();
    for point in points {
        let numbers = [point.entropy, point.error];
        if !numbers.iter().all(|x| x.is_finite()) {
            continue;
        }
        let row = table.row(&[&point.label], &numbers);
        let dots = Dots::open(point.marker, 6.0, point.colour);
        panel
            .marks
            .push(table.dots(&row, ["entropy_at_start", "error"], dots));
        if !known.contains(&&point.label[..]) {
            known.push(&point.label);
            let sample = LegendSample::Spot(point.marker, point.colour, true);
            keys.push(Key::new(sample, point.label.clone()));
        }
    }
    let correlation = entropy_and_error(points);
    if correlation.n < 2 {
        let reason = "fewer than two networks have both";
        return Err(Missing::new(ENTROPY_ERROR, title, reason));
    }
    Ok(Sheet {
        id: ENTROPY_ERROR.into(),
        title: title.into(),
        caption: format!(
            "Each mark is a network: normalised entropy H of the singular values of the recurrent matrix of its first \
             layer before training, and its error after training. {}",
            correlation_words(&correlation)
        ),
        alt: "Error against entropy, a mark a network.".into(),
        page: PanelRows::grid(vec![panel], 1, 220.0).with_key(keys),
        table,
    })
}

/// A rank correlation as a sentence.
pub fn correlation_words(correlation: &RankCorrelation) -> String {
    let RankCorrelation { rho, interval, n } = correlation;
    let interval = match interval[0].is_finite() {
        true => format!(", 95 % interval {:.2} to {:.2}", interval[0], interval[1]),
        false => String::new(),
    };
    match rho.is_finite() {
        true => format!(
            "Rank correlation of H with the error (Spearman): {rho:.2}{interval}, over {}.",
            count(*n, "network", "networks")
        ),
        false => "H or the error is the same in all of them: there is no rank correlation.".into(),
    }
}
