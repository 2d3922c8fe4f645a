//! Figures of the loop between E and I cells: its gains, its silencing, its drive.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Fill, Marker, Stroke};
use super::draw::text;
use super::groups::{Groups, Run, VERMILION};
use super::table::{Table, number};
use super::training::{curve, names, viridis};
use super::weights::histogram;
use super::{Missing, Sheet};
use crate::analysis::record::{LoopSweep, SweepPoint};

/// Epochs whose optimiser steps are shown.
const FIRST_EPOCHS: u64 = 15;

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
    let (id, title) = ("loop_grid", "Rates over the loop's gains");
    let missing = |reason: &str| Err(Missing::new(id, title, reason));
    let Some((_, run, sweep)) = swept(groups).next() else {
        return missing(NO_SWEEP);
    };
    let total = |p: &SweepPoint| p.e_rate_hz + p.i_rate_hz;
    let finite = sweep.points.iter().map(total).filter(|t| t.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, 0.0_f64), |(a, b), t| (a.min(t), b.max(t)));
    if low > high || sweep.ei.is_empty() || sweep.ie.is_empty() {
        return missing("the sweep has no point with finite rates");
    }
    // Rates span decades: the colour follows their logarithm.
    let shade = |t: f64| libm::log1p(t - low) / libm::log1p(high - low).max(1e-9);
    let axis = |matrix: &str, values: &[f64]| {
        let names = values
            .iter()
            .enumerate()
            .map(|(k, v)| (k as f64, number(*v)))
            .collect();
        let ends = Axis::new(&format!("multiplier of {matrix}"))
            .from(-0.5)
            .to(values.len() as f64 - 0.5);
        ends.named(names)
    };
    let mut panel = Panel::new("", axis("W_{EI}", &sweep.ei), axis("W_{IE}", &sweep.ie));
    panel.grid = false;
    let width = 600.0 / sweep.ei.len() as f64;
    for point in &sweep.points {
        let at = |values: &[f64], v: f64| values.iter().position(|x| *x == v).map(|k| k as f64);
        let (Some(x), Some(y), true) = (
            at(&sweep.ei, point.ei),
            at(&sweep.ie, point.ie),
            total(point).is_finite(),
        ) else {
            continue;
        };
        let colour = viridis(shade(total(point)));
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
    let key = (0..5).map(|k| {
        let value = low + libm::expm1(libm::log1p(high - low) * f64::from(k) / 4.0);
        let fill = Fill {
            colour: viridis(f64::from(k) / 4.0),
            opacity: 1.0,
        };
        Key::new(Sample::Box(fill, None), format!("{} Hz", rate(value)))
    });
    let mut key: Vec<Key> = key.collect();
    key.insert(0, Key::new(Sample::Nothing, "E + I:"));
    key.push(Key::new(
        Sample::Spot(Marker::Star, Colour::Ink, false),
        "as trained",
    ));
    key.push(Key::new(Sample::Nothing, "small: (E | I)"));
    let more = swept(groups).count() - 1;
    let others = if more > 0 {
        format!(" {more} more swept cells are in the table.")
    } else {
        String::new()
    };
    let caption = format!(
        "Cell {}, {} checkpoint (epoch {}), {} test trials a point: mean E rate + mean I rate in Hz with both loop \
         matrices multiplied; in parentheses (E | I).{others}",
        run.cell, sweep.checkpoint, sweep.epoch, sweep.trials
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Heat map of the total rate over multipliers of both loop matrices, cell {}.",
            run.cell
        ),
        page: Page::grid(vec![panel], 1, 40.0 * sweep.ie.len() as f64).with_key(key),
        table: sweep_table(groups, |_| true),
    })
}

fn sweep_table(groups: &Groups, wanted: impl Fn(&SweepPoint) -> bool) -> Table {
    let columns = [
        "condition",
        "cell",
        "ei_multiplier",
        "ie_multiplier",
        "e_rate_hz",
        "i_rate_hz",
        "total_rate_hz",
        "accuracy_percent",
    ];
    let mut table = Table::new(&columns);
    for (condition, run, sweep) in swept(groups) {
        for p in sweep.points.iter().filter(|p| wanted(p)) {
            let numbers = [
                p.ei,
                p.ie,
                p.e_rate_hz,
                p.i_rate_hz,
                p.e_rate_hz + p.i_rate_hz,
                p.accuracy_percent,
            ];
            table.push(&[condition, run.cell], &numbers);
        }
    }
    table
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
    let light = 0.3 * f64::from(r) + 0.59 * f64::from(g) + 0.11 * f64::from(b);
    if light > 135.0 {
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
    for (group, run) in groups.runs() {
        let Some(sweep) = &run.record.sweep else {
            continue;
        };
        let diagonal: Vec<&SweepPoint> = sweep.points.iter().filter(|p| p.ei == p.ie).collect();
        let of =
            |f: fn(&SweepPoint) -> f64| diagonal.iter().map(|p| (p.ei, f(p))).collect::<Vec<_>>();
        let stroke = Stroke::solid(group.colour, 1.6);
        let thin = Stroke {
            width: 1.2,
            ..stroke
        };
        rates.marks.push(Mark::Line {
            points: of(|p| p.e_rate_hz),
            stroke: thin.dashed(Dash::Dotted),
        });
        rates.marks.push(Mark::Line {
            points: of(|p| p.i_rate_hz),
            stroke: thin.dashed(Dash::Dashed),
        });
        for (panel, points) in [
            (&mut rates, of(|p| p.e_rate_hz + p.i_rate_hz)),
            (&mut accuracy, of(|p| p.accuracy_percent)),
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
    let ink = Stroke::solid(Colour::Ink, 1.2);
    let mut key = groups.key();
    key.push(Key::new(
        Sample::Line(Stroke { width: 1.6, ..ink }, None),
        "E + I",
    ));
    key.push(Key::new(Sample::Line(ink.dashed(Dash::Dotted), None), "E"));
    key.push(Key::new(Sample::Line(ink.dashed(Dash::Dashed), None), "I"));
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Rates and accuracy over the test set with both loop matrices multiplied by the same number; the \
                  upright line marks the weights as trained."
            .into(),
        alt: "Rates and test accuracy against the common multiplier of the loop matrices.".into(),
        page: Page::grid(vec![rates, accuracy], 2, 170.0).with_key(key),
        table: sweep_table(groups, |p| p.ei == p.ie),
    })
}

/// Slopes of the loss along the loop's gains.
pub fn slopes(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("loop_slopes", "Slope of the loss along the loop's gains");
    let columns = [
        "condition",
        "cell",
        "matrix",
        "surrogate_nats",
        "measured_nats",
        "measured_error_nats",
        "low_nats",
        "high_nats",
    ];
    let mut table = Table::new(&columns);
    let mut panels = Vec::new();
    for (short, name) in super::training::MATRICES {
        let x = Axis::new("slope by the surrogate gradient (nats)");
        let mut panel = Panel::new(
            format!("Gain of {name}"),
            x,
            Axis::new("measured slope (nats)"),
        );
        panel.room = (0.08, 0.08);
        for (group, run) in groups.runs() {
            let slopes = run.record.analysis.iter().flat_map(|a| &a.loop_slopes);
            for slope in slopes.filter(|s| s.matrix == short) {
                let (x, y, error) = (slope.surrogate, slope.measured, slope.measured_error);
                if !(x.is_finite() && y.is_finite()) {
                    continue;
                }
                let (low, high) = (y - error, y + error);
                table.push(&[&group.label, run.cell, short], &[x, y, error, low, high]);
                let (marker, colour) = (group.marker, group.colour);
                panel.marks.push(Mark::Interval {
                    x,
                    y: (low, high),
                    stroke: Stroke::solid(colour, 1.1),
                });
                panel.marks.push(Mark::Points {
                    points: vec![(x, y)],
                    marker,
                    size: 7.0,
                    colour,
                    open: false,
                });
            }
        }
        if panel.has_data() {
            let light = Stroke {
                opacity: 0.5,
                ..Stroke::solid(Colour::Ink, 1.0)
            };
            panel.marks.insert(
                0,
                Mark::Level {
                    y: 0.0,
                    stroke: light,
                },
            );
            panel.marks.insert(
                0,
                Mark::Upright {
                    x: 0.0,
                    stroke: light,
                },
            );
            panels.push(panel);
        }
    }
    if panels.is_empty() {
        return Err(Missing::new(
            id,
            title,
            "no analysis measured the slope of the loss along the loop's gains",
        ));
    }
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "d loss / d gain around gain 1: measured by paired forward runs (same images, weights and noise; bars \
                  are standard errors over trials) against the sum of weight times surrogate gradient. Points in the \
                  upper left and lower right disagree in sign."
            .into(),
        alt: "Measured slope of the loss against the surrogate's, a panel a loop matrix.".into(),
        page: Page::grid(panels, 2, 200.0).with_key(groups.key()),
        table,
    })
}

/// I rate of every training batch in the first epochs.
pub fn i_silencing(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("i_silencing", "I rate at every optimiser step");
    let mut table = Table::new(&["condition", "cell", "step", "epoch", "i_rate_hz"]);
    let mut panels: Vec<(usize, Panel)> = Vec::new();
    for (group, run) in groups.runs() {
        let steps = run
            .record
            .steps
            .iter()
            .enumerate()
            .take_while(|(_, s)| s.epoch <= FIRST_EPOCHS);
        let points: Vec<(f64, f64)> = steps
            .clone()
            .map(|(k, s)| (k as f64 + 1.0, s.i_rate_hz))
            .collect();
        for (k, step) in steps {
            table.push(
                &[&group.label, run.cell],
                &[k as f64 + 1.0, step.epoch as f64, step.i_rate_hz],
            );
        }
        let place = panels
            .iter()
            .position(|(first, _)| *first == group.place.0)
            .unwrap_or_else(|| {
                let y = Axis::new("I rate (Hz)")
                    .from(0.0)
                    .scaled(Scale::Symlog(0.1));
                panels.push((
                    group.place.0,
                    Panel::new(
                        groups.first_label(group),
                        Axis::new("optimiser step").from(0.0),
                        y,
                    ),
                ));
                panels.len() - 1
            });
        let stroke = Stroke::solid(groups.second_colour(group), 1.2);
        panels[place]
            .1
            .marks
            .extend(curve(group, run, points, stroke));
    }
    let mut panels: Vec<Panel> = panels
        .into_iter()
        .map(|(_, p)| p)
        .filter(Panel::has_data)
        .collect();
    if panels.is_empty() {
        let reason =
            "no cell logged its optimiser steps (steps.jsonl); runs of older versions have none";
        return Err(Missing::new(id, title, reason));
    }
    let level = Stroke {
        opacity: 0.6,
        ..Stroke::solid(Colour::Ink, 1.0)
    }
    .dashed(Dash::Dashed);
    for panel in &mut panels {
        panel.marks.insert(
            0,
            Mark::Level {
                y: 1.0,
                stroke: level,
            },
        );
    }
    let mut key = groups.second_key();
    key.push(Key::new(Sample::Line(level, None), "1 Hz"));
    let columns = if panels.len() > 4 { 3 } else { 2 };
    let caption = format!(
        "Mean I rate over each training batch in the first {FIRST_EPOCHS} epochs, a line a cell; the axis is linear \
         below 0.1 Hz and logarithmic above.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!("I rate against the optimiser step for {}.", names(groups)),
        page: Page::grid(panels, columns, 130.0).with_key(key),
        table,
    })
}

/// Effective input weight of the I cells, at the start and now.
pub fn i_input(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("i_input", "Input weight of the I cells");
    let columns = [
        "condition",
        "bin_low_us",
        "bin_high_us",
        "i_cells_at_start",
        "i_cells_now",
        "threshold_us",
    ];
    let mut table = Table::new(&columns);
    let mut panels = Vec::new();
    let before = Fill {
        colour: Colour::Ink,
        opacity: 0.18,
    };
    let outline = Stroke {
        opacity: 0.7,
        ..Stroke::solid(Colour::Ink, 1.0)
    };
    let limit = Stroke::solid(VERMILION, 1.4).dashed(Dash::Dashed);
    for group in &groups.groups {
        let inputs = || {
            group
                .runs
                .iter()
                .filter_map(|run| Some(&run.record.analysis.as_ref()?.i_cell_input_us))
        };
        let pooled = |k: usize| {
            inputs()
                .flat_map(|both| both[k].clone())
                .collect::<Vec<f64>>()
        };
        let (start, now) = (pooled(0), pooled(1));
        let Some((edges, counts)) = histogram(&[&start, &now], 36) else {
            continue;
        };
        let thresholds: Vec<f64> = group.runs.iter().filter_map(threshold_us).collect();
        let threshold = thresholds.iter().sum::<f64>() / thresholds.len() as f64;
        let x = Axis::new("Σ W_{EI} into an I cell (µS)").from(edges[0].min(0.0));
        let mut panel = Panel::new(&group.label, x, Axis::new("I cells").from(0.0));
        let steps = |k: usize, stroke, fill| Mark::Steps {
            edges: edges.clone(),
            heights: counts[k].clone(),
            stroke,
            fill,
        };
        panel.marks.push(steps(0, Some(outline), Some(before)));
        let colour = group.colour;
        panel.marks.push(steps(
            1,
            Some(Stroke::solid(colour, 1.0)),
            Some(Fill {
                colour,
                opacity: 0.55,
            }),
        ));
        if threshold.is_finite() {
            panel.marks.push(Mark::Upright {
                x: threshold,
                stroke: limit,
            });
        }
        for (k, pair) in edges.windows(2).enumerate() {
            table.push(
                &[&group.label],
                &[pair[0], pair[1], counts[0][k], counts[1][k], threshold],
            );
        }
        panels.push(panel);
    }
    if panels.is_empty() {
        return Err(Missing::new(
            id,
            title,
            "no cell has an analysis with the input of its I cells (W_EI absent?)",
        ));
    }
    let key = vec![
        Key::new(Sample::Box(before, Some(outline)), "start"),
        Key::new(
            Sample::Box(
                Fill {
                    colour: VERMILION,
                    opacity: 0.55,
                },
                None,
            ),
            "now (colour of the condition)",
        ),
        Key::new(Sample::Line(limit, None), "threshold at the mean E rate"),
    ];
    let columns = if panels.len() > 4 { 3 } else { 2 };
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Sum over E cells of the effective W_EI into each I cell, all seeds pooled. The dashed line is the sum \
                  whose mean conductance, if every E cell fired at the mean E rate, would just hold an I cell at \
                  threshold: g_L (V_th − E_L) / (E_exc − V_th) / (rate · τ_AMPA)."
            .into(),
        alt: format!("Histograms of the input weight of I cells for {}.", names(groups)),
        page: Page::grid(panels, columns, 115.0).with_key(key),
        table,
    })
}

/// Input weight at which the mean excitation of an I cell meets its threshold, µS.
fn threshold_us(run: &Run) -> Option<f64> {
    let network = &run.record.config.network;
    let rate_per_ms = run.record.analysis.as_ref()?.test.e_rate_hz / 1000.0;
    let g_us = network.g_l_i_us * (network.v_th_mv - network.e_l_mv)
        / (network.e_exc_mv - network.v_th_mv);
    let sum = g_us / (rate_per_ms * network.tau_ampa_ms);
    (sum.is_finite() && sum > 0.0).then_some(sum)
}
