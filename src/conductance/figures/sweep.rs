//! Figures of the sweep over the loop's gains.

use super::kit::{sum_key, sum_stroke};
use crate::conductance::analysis::record::{LoopSweep, SweepPoint};
use crate::conductance::record;
use crate::report::figures::draw::bar::ColourBar;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Dash, Marker, Stroke};
use crate::report::figures::draw::text;
use crate::report::figures::groups::{CellRun, Group, Groups};
use crate::report::figures::kit::{faint, fill};
use crate::report::figures::sheet::{Dots, Missing, Rows, Sheet, Table};
use crate::report::text::capitalised;
use crate::text::{count, exact};

const GRID: (&str, &str) = ("loop_grid", "Rates as a function of the loop gains");
const NO_SWEEP: &str = "no cell has a sweep of loop gains; run `dalenet sweep`";

const EI: &str = "ei_multiplier";
const IE: &str = "ie_multiplier";
const E_RATE: &str = "e_rate_hz";
const I_RATE: &str = "i_rate_hz";
const TOTAL: &str = "total_rate_hz";
const ACCURACY: &str = "accuracy_percent";
const COLUMNS: [&str; 8] = ["condition", "cell", EI, IE, E_RATE, I_RATE, TOTAL, ACCURACY];

fn swept<'a>(
    groups: &'a Groups<'a>,
) -> impl Iterator<Item = (&'a Group<'a>, &'a CellRun<'a>, &'a LoopSweep)> {
    groups
        .runs()
        .filter_map(|(group, run)| Some((group, run, record::sweep(run.record)?)))
}

/// Adds points of a sweep.
fn add<'a>(
    table: &mut Table,
    words: [&str; 2],
    points: impl Iterator<Item = &'a SweepPoint>,
) -> Rows {
    let row = |p: &SweepPoint| {
        let (e, i) = (p.e_rate_hz, p.i_rate_hz);
        [p.ei, p.ie, e, i, e + i, p.accuracy_percent]
    };
    table.add(&words, points.map(row))
}

/// The grid of loop multipliers of the first swept cell.
pub fn grid(groups: &Groups) -> Result<Sheet, Missing> {
    let mut table = Table::new(&COLUMNS);
    let mut all = swept(groups).map(|(group, run, sweep)| {
        let rows = add(&mut table, [&group.label, run.cell], sweep.points.iter());
        (group, run, sweep, rows)
    });
    let Some((group, run, sweep, rows)) = all.next() else {
        return Err(Missing::new(GRID.0, GRID.1, NO_SWEEP));
    };
    let others = match all.count() {
        0 => String::new(),
        n => format!(" The data file has {n} more."),
    };
    let whose = format!("{}, cell {}, ", group.label, run.cell);
    grid_of(&whose, sweep, &others, table, &rows)
}

/// The grid of loop multipliers of one run.
pub fn grid_of_run(run: &CellRun) -> Result<Sheet, Missing> {
    let Some(sweep) = record::sweep(run.record) else {
        let reason = "the run has no sweep of loop gains; run `dalenet sweep`";
        return Err(Missing::new(GRID.0, GRID.1, reason));
    };
    let mut table = Table::new(&COLUMNS);
    let rows = add(&mut table, ["", run.cell], sweep.points.iter());
    grid_of("", sweep, "", table, &rows)
}

/// One grid of the rows of its points: W_IE to the right, W_EI upwards, as in the source.
fn grid_of(
    whose: &str,
    sweep: &LoopSweep,
    others: &str,
    table: Table,
    rows: &Rows,
) -> Result<Sheet, Missing> {
    let (id, title) = GRID;
    let missing = || Missing::new(id, title, "the sweep has no point with finite rates");
    let totals = table.column(rows, TOTAL);
    let finite = totals.iter().filter(|total| total.is_finite());
    let low = finite.fold(f64::INFINITY, |low, total| low.min(*total));
    if low.is_infinite() || sweep.ei.is_empty() || sweep.ie.is_empty() {
        return Err(missing());
    }
    // Rates span decades, but a silent network has no logarithm.
    let scale = if low > 0.0 { Scale::Log } else { Scale::Linear };
    let axis = Axis::new("E + I (Hz)").scaled(scale);
    let bar = ColourBar::new(axis, totals.into_iter()).ok_or_else(missing)?;
    let panel = grid_panel(sweep, &table, rows, &bar);
    let star = LegendSample::Spot(Marker::Star, Colour::Ink, false);
    let key = vec![
        Key::new(
            LegendSample::Nothing,
            "Large: E + I, small: (E | I), all in Hz",
        ),
        Key::new(star, "as trained"),
    ];
    let caption = format!(
        "{whose}{} checkpoint, epoch {}: mean E rate + mean I rate (Hz) over {} with W_EI and W_IE multiplied \
         by the gains on the axes; in parentheses: E rate | I rate.{others}",
        sweep.checkpoint,
        sweep.epoch,
        count(sweep.trials as usize, "test trial", "test trials")
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: capitalised(&caption),
        alt: "Heat map of the total rate over the gains of both loop matrices.".into(),
        page: PanelRows::grid(vec![panel], 1, 40.0 * sweep.ei.len() as f64)
            .with_key(key)
            .with_bar(bar),
        table,
    })
}

/// A field for each point, in the colour of its total, with its rates in words.
fn grid_panel(sweep: &LoopSweep, table: &Table, rows: &Rows, bar: &ColourBar) -> Panel {
    let axis = |matrix: &str, values: &[f64]| {
        let names = values.iter().enumerate();
        let names = names.map(|(k, v)| (k as f64, exact(*v))).collect();
        let axis = Axis::new(&format!("multiplier of {matrix}")).from(-0.5);
        axis.to(values.len() as f64 - 0.5).named(names)
    };
    let mut panel = Panel::new("", axis("W_{IE}", &sweep.ie), axis("W_{EI}", &sweep.ei));
    panel.grid = false;
    let width = 600.0 / sweep.ie.len() as f64;
    let place = |values: &[f64], v: f64| values.iter().position(|x| *x == v).map(|k| k as f64);
    let rates = table.points(rows, [E_RATE, I_RATE]).into_iter();
    let points = table.points(rows, [EI, IE]).into_iter().zip(rates);
    for (((ei, ie), (e, i)), total) in points.zip(table.column(rows, TOTAL)) {
        let places = place(&sweep.ie, ie).zip(place(&sweep.ei, ei));
        let Some((x, y)) = places.filter(|_| total.is_finite()) else {
            continue;
        };
        let colour = bar.colour(total);
        let ink = contrast(colour);
        panel.marks.push(Mark::Bar {
            from: (x - 0.49, y - 0.49),
            to: (x + 0.49, y + 0.49),
            fill: fill(colour, 1.0),
        });
        let small = format!("({} | {})", rate(e), rate(i));
        for (words, size, down) in [(rate(total), 13.0, -6.0), (small, 10.0, 9.0)] {
            panel.marks.push(Mark::Words {
                at: (x, y),
                down,
                size: f64::min(size, size * (width - 6.0) / text::width(&words, size)),
                words,
                colour: ink,
            });
        }
        if ei == 1.0 && ie == 1.0 {
            let star = Dots::full(Marker::Star, 10.0, ink);
            panel.marks.push(star.at(vec![(x + 0.38, y + 0.32)]));
        }
    }
    panel
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
    let (id, title) = (
        "loop_diagonal",
        "Rates and accuracy as a function of a common loop gain",
    );
    let x = || Axis::new("multiplier of W_{EI} and W_{IE}");
    let mut rates = Panel::new("Rates", x(), Axis::new("rate (Hz)").from(0.0));
    let mut accuracy = Panel::new("Accuracy", x(), Axis::new("test accuracy (%)"));
    (rates.room.0, accuracy.room.0) = (0.02, 0.02);
    let mut table = Table::new(&COLUMNS);
    let mut shown = Vec::new();
    for (group, run, sweep) in swept(groups) {
        let points = sweep.points.iter().filter(|p| p.ei == p.ie);
        let rows = add(&mut table, [&group.label, run.cell], points);
        shown.push(run.cell);
        let dots = Dots::full(group.marker, 5.0, group.colour);
        let stroke = |width| Stroke::solid(group.colour, width);
        for (panel, column, stroke) in [
            (&mut rates, TOTAL, sum_stroke(group.colour)),
            (&mut accuracy, ACCURACY, stroke(1.6).dashed(group.dash)),
        ] {
            panel.marks.push(table.line(&rows, [EI, column], stroke));
            panel.marks.push(table.dots(&rows, [EI, column], dots));
        }
        for (column, dash) in [(E_RATE, Dash::Solid), (I_RATE, Dash::Dashed)] {
            let line = table.line(&rows, [EI, column], stroke(1.3).dashed(dash));
            rates.marks.push(line);
        }
    }
    if !rates.has_data() {
        let reason = match shown.is_empty() {
            true => NO_SWEEP,
            false => "the sweep has no points with equal gains",
        };
        return Err(Missing::new(id, title, reason));
    }
    let stroke = faint(1.0, 0.5);
    for panel in [&mut rates, &mut accuracy] {
        panel.marks.push(Mark::Upright { x: 1.0, stroke });
    }
    let mut key = groups.key_of(|group| {
        group
            .runs
            .iter()
            .any(|run| record::sweep(run.record).is_some())
    });
    key.extend(sum_key());
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "Mean rates and accuracy over the test set with W_EI and W_IE multiplied by the same gain after \
             training; vertical line: gain 1 (as trained). Cells: {}.",
            shown.join(", ")
        ),
        alt: "Rates and test accuracy against the common gain of the loop matrices.".into(),
        page: PanelRows::grid(vec![rates, accuracy], 2, 170.0).with_key(key),
        table,
    })
}
