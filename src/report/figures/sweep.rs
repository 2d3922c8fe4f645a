//! Figures of the sweep over the loop's gains.

use super::super::text::capitalised;
use super::budget::{sum_key, sum_stroke};
use super::draw::bar::ColourBar;
use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Fill, Marker, Stroke};
use super::draw::text;
use super::groups::{Groups, Run};
use super::table::Table;
use super::{Missing, Sheet};
use crate::analysis::record::{LoopSweep, SweepPoint};
use crate::text::exact;

fn swept<'a>(
    groups: &'a Groups<'a>,
) -> impl Iterator<Item = (&'a str, &'a Run<'a>, &'a LoopSweep)> {
    groups
        .runs()
        .filter_map(|(group, run)| Some((group.label.as_str(), run, run.record.sweep.as_ref()?)))
}

const NO_SWEEP: &str = "no cell has a sweep of loop multipliers; `dalenet sweep` makes one";

/// The grid of loop multipliers of the first swept cell.
pub fn grid(groups: &Groups) -> Result<Sheet, Missing> {
    let Some((condition, run, sweep)) = swept(groups).next() else {
        return Err(Missing::new(GRID.0, GRID.1, NO_SWEEP));
    };
    let more = swept(groups).count() - 1;
    let others = if more > 0 {
        format!(" {more} more swept cells are in the table.")
    } else {
        String::new()
    };
    let sheet = grid_of(&format!("{condition}, cell {}, ", run.cell), sweep, &others)?;
    Ok(Sheet {
        table: sweep_table(groups, |_| true),
        ..sheet
    })
}

/// The grid of loop multipliers of one run.
pub fn grid_of_run(run: &Run) -> Result<Sheet, Missing> {
    let Some(sweep) = &run.record.sweep else {
        let reason = "the run has no sweep of loop multipliers; `dalenet sweep` makes one";
        return Err(Missing::new(GRID.0, GRID.1, reason));
    };
    let sheet = grid_of("", sweep, "")?;
    let mut table = Table::new(&SWEEP_COLUMNS);
    tabulate(&mut table, ["", run.cell], sweep, |_| true);
    Ok(Sheet { table, ..sheet })
}

const GRID: (&str, &str) = ("loop_grid", "Rates over the loop's gains");

/// One grid, without its table: W_IE to the right, W_EI upwards, as in the source.
fn grid_of(whose: &str, sweep: &LoopSweep, others: &str) -> Result<Sheet, Missing> {
    let (id, title) = GRID;
    let missing = |reason: &str| Err(Missing::new(id, title, reason));
    let total = |p: &SweepPoint| p.e_rate_hz + p.i_rate_hz;
    let finite = sweep.points.iter().map(total).filter(|t| t.is_finite());
    let low = finite.fold(f64::INFINITY, f64::min);
    if low.is_infinite() || sweep.ei.is_empty() || sweep.ie.is_empty() {
        return missing("the sweep has no point with finite rates");
    }
    // Rates span decades, but a silent network has no logarithm.
    let scale = if low > 0.0 { Scale::Log } else { Scale::Linear };
    let totals = sweep.points.iter().map(total);
    let Some(bar) = ColourBar::new(Axis::new("E + I (Hz)").scaled(scale), totals) else {
        return missing("the sweep has no point with finite rates");
    };
    let axis = |matrix: &str, values: &[f64]| {
        let names = values
            .iter()
            .enumerate()
            .map(|(k, v)| (k as f64, exact(*v)))
            .collect();
        let ends = Axis::new(&format!("multiplier of {matrix}"))
            .from(-0.5)
            .to(values.len() as f64 - 0.5);
        ends.named(names)
    };
    let mut panel = Panel::new("", axis("W_{IE}", &sweep.ie), axis("W_{EI}", &sweep.ei));
    panel.grid = false;
    let width = 600.0 / sweep.ie.len() as f64;
    for point in &sweep.points {
        let at = |values: &[f64], v: f64| values.iter().position(|x| *x == v).map(|k| k as f64);
        let (Some(x), Some(y), true) = (
            at(&sweep.ie, point.ie),
            at(&sweep.ei, point.ei),
            total(point).is_finite(),
        ) else {
            continue;
        };
        let colour = bar.colour(total(point));
        let fill = Fill {
            colour,
            opacity: 1.0,
        };
        panel.marks.push(Mark::Bar {
            from: (x - 0.49, y - 0.49),
            to: (x + 0.49, y + 0.49),
            fill,
        });
        let ink = contrast(colour);
        let fitting =
            |words: &str, size: f64| size.min(size * (width - 6.0) / text::width(words, size));
        let words = rate(total(point));
        let size = fitting(&words, 13.0);
        panel.marks.push(Mark::Words {
            at: (x, y),
            down: -6.0,
            words,
            size,
            colour: ink,
        });
        let words = format!("({} | {})", rate(point.e_rate_hz), rate(point.i_rate_hz));
        let size = fitting(&words, 10.0);
        panel.marks.push(Mark::Words {
            at: (x, y),
            down: 9.0,
            words,
            size,
            colour: ink,
        });
        if point.ei == 1.0 && point.ie == 1.0 {
            let points = vec![(x + 0.38, y + 0.32)];
            panel.marks.push(Mark::Points {
                points,
                marker: Marker::Star,
                size: 10.0,
                colour: ink,
                open: false,
            });
        }
    }
    let star = Sample::Spot(Marker::Star, Colour::Ink, false);
    let key = vec![
        Key::new(Sample::Nothing, "Large: E + I, small: (E | I), all in Hz"),
        Key::new(star, "as trained"),
    ];
    let caption = format!(
        "{whose}{} checkpoint (epoch {}), {} test trials a point: mean E rate + mean I rate in Hz with each loop matrix \
         multiplied; in parentheses (E | I).{others}",
        sweep.checkpoint, sweep.epoch, sweep.trials
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: capitalised(&caption),
        alt: "Heat map of the total rate over multipliers of both loop matrices.".into(),
        page: Page::grid(vec![panel], 1, 40.0 * sweep.ei.len() as f64)
            .with_key(key)
            .with_bar(bar),
        table: Table::default(),
    })
}

const SWEEP_COLUMNS: [&str; 8] = [
    "condition",
    "cell",
    "ei_multiplier",
    "ie_multiplier",
    "e_rate_hz",
    "i_rate_hz",
    "total_rate_hz",
    "accuracy_percent",
];

fn sweep_table(groups: &Groups, wanted: impl Fn(&SweepPoint) -> bool) -> Table {
    let mut table = Table::new(&SWEEP_COLUMNS);
    for (condition, run, sweep) in swept(groups) {
        tabulate(&mut table, [condition, run.cell], sweep, &wanted);
    }
    table
}

fn tabulate(
    table: &mut Table,
    words: [&str; 2],
    sweep: &LoopSweep,
    wanted: impl Fn(&SweepPoint) -> bool,
) {
    for p in sweep.points.iter().filter(|p| wanted(p)) {
        let numbers = [
            p.ei,
            p.ie,
            p.e_rate_hz,
            p.i_rate_hz,
            p.e_rate_hz + p.i_rate_hz,
            p.accuracy_percent,
        ];
        table.push(&words, &numbers);
    }
}

/// A rate as short as it can be read: one decimal below 100 Hz, none above.
fn rate(hz: f64) -> String {
    if hz.abs() < 99.95 {
        format!("{hz:.1}")
    } else {
        format!("{hz:.0}")
    }
}

/// Black or white, whichever can be read on the colour.
fn contrast(colour: Colour) -> Colour {
    let Colour::Rgb(r, g, b) = colour else {
        return Colour::Ink;
    };
    let linear = |c: u8| libm::pow(f64::from(c) / 255.0, 2.2);
    let light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    // Where (light + 0.05) / 0.05 is 1.05 / (light + 0.05).
    if light > 0.179 {
        Colour::Rgb(0, 0, 0)
    } else {
        Colour::Rgb(255, 255, 255)
    }
}

/// Both matrices multiplied alike.
pub fn diagonal(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("loop_diagonal", "Both gains of the loop together");
    let x = || Axis::new("multiplier of W_{EI} and W_{IE}");
    let mut rates = Panel::new("Rates", x(), Axis::new("rate (Hz)").from(0.0));
    let mut accuracy = Panel::new("Accuracy", x(), Axis::new("test accuracy (%)"));
    (rates.room.0, accuracy.room.0) = (0.02, 0.02);
    let mut shown = Vec::new();
    for (group, run) in groups.runs() {
        let Some(sweep) = &run.record.sweep else {
            continue;
        };
        let diagonal: Vec<&SweepPoint> = sweep.points.iter().filter(|p| p.ei == p.ie).collect();
        let of =
            |f: fn(&SweepPoint) -> f64| diagonal.iter().map(|p| (p.ei, f(p))).collect::<Vec<_>>();
        let stroke = Stroke::solid(group.colour, 1.6);
        shown.push(run.cell);
        for (panel, points, stroke) in [
            (
                &mut rates,
                of(|p| p.e_rate_hz + p.i_rate_hz),
                sum_stroke(group.colour),
            ),
            (
                &mut accuracy,
                of(|p| p.accuracy_percent),
                stroke.dashed(group.dash),
            ),
        ] {
            let (marker, colour) = (group.marker, group.colour);
            panel.marks.push(Mark::Line {
                points: points.clone(),
                stroke,
            });
            panel.marks.push(Mark::Points {
                points,
                marker,
                size: 5.0,
                colour,
                open: false,
            });
        }
        for (points, dash) in [
            (of(|p| p.e_rate_hz), Dash::Solid),
            (of(|p| p.i_rate_hz), Dash::Dashed),
        ] {
            let stroke = Stroke::solid(group.colour, 1.3).dashed(dash);
            rates.marks.push(Mark::Line { points, stroke });
        }
    }
    let light = Stroke {
        opacity: 0.5,
        ..Stroke::solid(Colour::Ink, 1.0)
    };
    if !rates.has_data() {
        let none = swept(groups).next().is_none();
        let reason = if none {
            NO_SWEEP
        } else {
            "the sweep has no points with equal multipliers"
        };
        return Err(Missing::new(id, title, reason));
    }
    for panel in [&mut rates, &mut accuracy] {
        panel.marks.push(Mark::Upright {
            x: 1.0,
            stroke: light,
        });
    }
    let mut key = groups.key_of(|group| group.runs.iter().any(|run| run.record.sweep.is_some()));
    key.extend(sum_key());
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "Rates and accuracy over the test set with both loop matrices multiplied by the same number; the \
             upright line marks the weights as trained. Cells: {}.",
            shown.join(", ")
        ),
        alt: "Rates and test accuracy against the common multiplier of the loop matrices.".into(),
        page: Page::grid(vec![rates, accuracy], 2, 170.0).with_key(key),
        table: sweep_table(groups, |p| p.ei == p.ie),
    })
}
