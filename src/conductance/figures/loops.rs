//! Figures of what training does to the loop between E and I cells: slopes, silencing, drive.

use super::kit::MATRICES;
use crate::conductance::record;
use crate::conductance::settings::Network;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Dash, Stroke};
use crate::report::figures::groups::{CellRun, Group, Groups, VERMILION};
use crate::report::figures::kit::{columns, curve, faint, fill, histogram, line_key, names};
use crate::report::figures::sheet::{Dots, Missing, Sheet, Table};

/// Bins of input weights, over all panels.
const INPUT_BINS: usize = 72;
/// Epochs whose optimiser steps are shown.
const FIRST_EPOCHS: u64 = 15;

/// Slopes of the loss along the loop's gains.
pub fn slopes(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = (
        "loop_slopes",
        "Derivative of the loss with respect to the loop gains",
    );
    let mut table = Table::new(&[
        "condition",
        "cell",
        "matrix",
        "surrogate_nats",
        "measured_nats",
        "measured_error_nats",
        "low_nats",
        "high_nats",
    ]);
    let identity = faint(1.0, 0.7).dashed(Dash::Dashed);
    let panels = MATRICES.into_iter();
    let panels: Vec<Panel> = panels
        .filter_map(|matrix| slope_panel(groups, matrix, identity, &mut table))
        .collect();
    if panels.is_empty() {
        return Err(Missing::new(
            id,
            title,
            "no analysis measured the derivative of the loss with respect to the loop gains",
        ));
    }
    let mut key = groups.key();
    key.push(line_key(identity, "measured = surrogate"));
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Derivative of the mean test loss with respect to the gain of W_EI or W_IE at gain 1, in nats \
                  per unit gain. Measured: central difference between gains 0.95 and 1.05, same test trials \
                  and noise; bars: ± 1 standard error over trials. Surrogate: sum of weight × surrogate \
                  gradient. Dashed: equality. In the upper left and lower right quadrants the signs differ, \
                  provided that the bar does not reach 0."
            .into(),
        alt: "Measured derivative of the loss against the surrogate's, a panel for each loop matrix.".into(),
        page: PanelRows::grid(panels, 2, 200.0).with_key(key),
        table,
    })
}

/// The slopes of one matrix; none where nothing was measured.
fn slope_panel(
    groups: &Groups,
    (short, name): (&str, &str),
    identity: Stroke,
    table: &mut Table,
) -> Option<Panel> {
    let x = Axis::new("slope by the surrogate gradient (nats)");
    let y = Axis::new("measured slope (nats)");
    let mut panel = Panel::new(format!("Gain of {name}"), x, y);
    panel.room = (0.08, 0.08);
    let light = faint(1.0, 0.5);
    let mut ends = [0.0_f64, 0.0];
    let mut marks = Vec::new();
    for (group, run) in groups.runs() {
        let slopes = record::analysis(run.record)
            .into_iter()
            .flat_map(|a| &a.loop_slopes);
        for slope in slopes.filter(|s| s.matrix == short) {
            let (x, y, error) = (slope.surrogate, slope.measured, slope.measured_error);
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            let (low, high) = (y - error, y + error);
            ends = [ends[0].min(x).min(low), ends[1].max(x).max(high)];
            let row = table.row(&[&group.label, run.cell, short], &[x, y, error, low, high]);
            let bar = ["surrogate_nats", "low_nats", "high_nats"];
            marks.extend(table.intervals(&row, bar, Stroke::solid(group.colour, 1.1)));
            let dots = Dots::full(group.marker, 7.0, group.colour);
            marks.push(table.dots(&row, ["surrogate_nats", "measured_nats"], dots));
        }
    }
    let [low, high] = ends;
    let guides = [
        Mark::Upright {
            x: 0.0,
            stroke: light,
        },
        Mark::Level {
            y: 0.0,
            stroke: light,
        },
    ];
    let equal = Mark::Line {
        points: vec![(low, low), (high, high)],
        stroke: identity,
    };
    let is_empty = marks.is_empty();
    panel.marks.extend(guides);
    panel.marks.extend(marks);
    panel.marks.push(equal);
    (!is_empty).then_some(panel)
}

/// I rate of every training batch in the first epochs.
pub fn i_silencing(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("i_silencing", "I rate at every optimiser step");
    let mut table = Table::new(&["condition", "cell", "step", "epoch", "i_rate_hz"]);
    let level = faint(1.0, 0.6).dashed(Dash::Dashed);
    let mut panels: Vec<(usize, Panel)> = Vec::new();
    for (group, run) in groups.runs() {
        let steps = run.record.steps.iter().enumerate();
        let steps = steps.take_while(|(_, s)| s.epoch <= FIRST_EPOCHS);
        let rows = steps.map(|(k, s)| [k as f64 + 1.0, s.epoch as f64, s.number("i_rate_hz")]);
        let rows = table.add(&[&group.label, run.cell], rows);
        let first = group.place.0;
        let known = panels.iter().position(|(place, _)| *place == first);
        let place = known.unwrap_or_else(|| {
            panels.push((first, silencing_panel(groups.first_label(group), level)));
            panels.len() - 1
        });
        let points = table.points(&rows, ["step", "i_rate_hz"]);
        let stroke = Stroke::solid(groups.second_colour(group), 1.2);
        let marks = &mut panels[place].1.marks;
        marks.extend(curve(group, run, points, stroke));
    }
    let panels = panels.into_iter().map(|(_, panel)| panel);
    let panels: Vec<Panel> = panels.filter(Panel::has_data).collect();
    if panels.is_empty() {
        let reason =
            "no cell logged its optimiser steps (steps.jsonl); runs of older versions have none";
        return Err(Missing::new(id, title, reason));
    }
    let mut key = groups.second_key();
    key.push(line_key(level, "1 Hz"));
    let columns = columns(panels.len());
    let caption = format!(
        "Mean I rate over each training batch in the first {FIRST_EPOCHS} epochs, a line for each cell of \
         the study; the axis is linear below 0.1 Hz and logarithmic above.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!("I rate against the optimiser step for {}.", names(groups)),
        page: PanelRows::grid(panels, columns, 130.0).with_key(key),
        table,
    })
}

/// An empty panel with the level below which I counts as silent.
fn silencing_panel(title: String, level: Stroke) -> Panel {
    let y = Axis::new("I rate (Hz)").from(0.0);
    let x = Axis::new("optimiser step").from(0.0).counted();
    let mut panel = Panel::new(title, x, y.scaled(Scale::Symlog(0.1)));
    panel.marks.push(Mark::Level {
        y: 1.0,
        stroke: level,
    });
    panel
}

/// The bins of all panels of [`i_input`], and where their axis ends.
struct InputBins {
    edges: Vec<f64>,
    low: f64,
    high: f64,
}

/// Effective input weight of the I cells, at the start and now.
pub fn i_input(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("i_input", "Summed E input weight of the I cells");
    let mut table = Table::new(&[
        "condition",
        "bin_low_us",
        "bin_high_us",
        "i_cells_at_start",
        "i_cells_now",
        "threshold_us",
    ]);
    // One scale and the same bins in all panels.
    let lists: Vec<[Vec<f64>; 2]> = (groups.groups.iter())
        .map(|group| [pooled_input(group, 0), pooled_input(group, 1)])
        .collect();
    let slices: Vec<&[f64]> = lists.iter().flatten().map(Vec::as_slice).collect();
    let (edges, all_counts) = histogram(&slices, INPUT_BINS).unwrap_or_default();
    let thresholds = groups.groups.iter().map(mean_threshold_us);
    let bins = InputBins {
        low: edges.first().map_or(0.0, |edge| edge.min(0.0)),
        high: edges.iter().copied().chain(thresholds).fold(0.0, f64::max),
        edges,
    };
    let mut panels = Vec::new();
    for ((group, lists), counts) in groups.groups.iter().zip(&lists).zip(all_counts.chunks(2)) {
        if lists.iter().flatten().any(|x| x.is_finite()) {
            panels.push(input_panel(group, &bins, counts, &mut table));
        }
    }
    if panels.is_empty() {
        return Err(Missing::new(
            id,
            title,
            "no cell has an analysis with the input of its I cells (W_EI absent?)",
        ));
    }
    let now = fill(VERMILION, 0.55);
    let key = vec![
        Key::new(
            LegendSample::Box(fill(Colour::Ink, 0.18), Some(faint(1.0, 0.7))),
            "before training",
        ),
        Key::new(
            LegendSample::Box(now, None),
            "after training (colour: condition)",
        ),
        line_key(threshold_stroke(), "threshold for one volley"),
    ];
    let columns = columns(panels.len());
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Number of I cells by their summed weight from all E cells (W_EI as used in the forward pass: \
                  max(w, 0), or w if the loop is signed), before training and at the analysed checkpoint; all \
                  seeds pooled, same scale in all panels. Dashed: the sum at which one volley, with as many E \
                  spikes as in a mean cycle of the rhythm, just brings a resting I cell to threshold. Without a \
                  rhythm there are no volleys and no line."
            .into(),
        alt: format!("Histograms of the input weight of I cells for {}.", names(groups)),
        page: PanelRows::grid(panels, columns, 115.0).with_key(key),
        table,
    })
}

/// The input of all I cells of a condition, at the start (0) or now (1).
fn pooled_input(group: &Group, when: usize) -> Vec<f64> {
    let analyses = group
        .runs
        .iter()
        .filter_map(|run| record::analysis(run.record));
    analyses
        .flat_map(|a| a.i_cell_input_us[when].clone())
        .collect()
}

/// Mean threshold over the runs of a condition; NaN where none has a rhythm.
fn mean_threshold_us(group: &Group) -> f64 {
    let thresholds: Vec<f64> = group.runs.iter().filter_map(threshold_us).collect();
    thresholds.iter().sum::<f64>() / thresholds.len() as f64
}

fn threshold_stroke() -> Stroke {
    Stroke::solid(VERMILION, 1.4).dashed(Dash::Dashed)
}

/// The histograms of a condition at the start and now.
fn input_panel(group: &Group, bins: &InputBins, counts: &[Vec<f64>], table: &mut Table) -> Panel {
    let threshold = mean_threshold_us(group);
    let (low, high) = (bins.low, bins.high);
    let x = Axis::new("Σ W_{EI} into an I cell (µS)").from(low);
    let x = if high > low {
        x.to(high + 0.02 * (high - low))
    } else {
        x
    };
    let mut panel = Panel::new(&group.label, x, Axis::new("number of I cells").from(0.0));
    // A threshold at the end of the axis must not look like a frame.
    panel.room.0 = 0.06;
    let pairs = bins.edges.windows(2).enumerate();
    let rows = pairs.map(|(k, pair)| [pair[0], pair[1], counts[0][k], counts[1][k], threshold]);
    let rows = table.add(&[&group.label], rows);
    for (column, stroke, fill) in [
        ("i_cells_at_start", faint(1.0, 0.7), fill(Colour::Ink, 0.18)),
        (
            "i_cells_now",
            Stroke::solid(group.colour, 1.0),
            fill(group.colour, 0.55),
        ),
    ] {
        let columns = ["bin_low_us", "bin_high_us", column];
        panel
            .marks
            .push(table.steps(&rows, columns, Some(stroke), Some(fill)));
    }
    if threshold.is_finite() {
        panel.marks.push(Mark::Upright {
            x: threshold,
            stroke: threshold_stroke(),
        });
    }
    panel
}

/// Input weight at which a volley of the run's rhythm brings a resting I cell to threshold, µS; none
/// without a rhythm.
fn threshold_us(run: &CellRun) -> Option<f64> {
    let participation = record::analysis(run.record)?.participation.as_ref()?;
    let network = &run.record.config.as_conductance()?.network;
    let sum = volley_threshold_us(network) / participation.e_spikes_per_cycle;
    (sum.is_finite() && sum > 0.0).then_some(sum)
}

/// Conductance that, arriving at once and decaying with τ_AMPA, just brings a resting I cell to
/// threshold, µS.
fn volley_threshold_us(network: &Network) -> f64 {
    const DT_MS: f64 = 0.02;
    let peak_mv = |g0_us: f64| {
        let (mut v, mut g, mut peak) = (network.e_l_mv, g0_us, network.e_l_mv);
        // Long after the conductance has gone the voltage only falls.
        for _ in 0..(10.0 * network.tau_ampa_ms / DT_MS).clamp(1.0, 1e5) as usize {
            let total = network.g_l_i_us + g;
            let v_inf = (network.g_l_i_us * network.e_l_mv + g * network.e_exc_mv) / total;
            v += (v_inf - v) * (1.0 - libm::exp(-DT_MS * total / network.c_m_i_nf));
            g *= libm::exp(-DT_MS / network.tau_ampa_ms);
            peak = f64::max(peak, v);
        }
        peak
    };
    let (mut low, mut high) = (0.0, 1e3 * network.g_l_i_us.max(network.c_m_i_nf));
    if peak_mv(high) < network.v_th_mv {
        return f64::NAN;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if peak_mv(middle) < network.v_th_mv {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volley_without_leak_and_decay_reaches_what_its_charge_gives() {
        // Slow decay: v∞ = (g_L E_L + g E_exc) / (g_L + g) is reached, so g = g_L (V_th − E_L) / (E_exc − V_th).
        let mut network = Network {
            tau_ampa_ms: 1000.0,
            ..Network::default()
        };
        let expected = network.g_l_i_us * 15.0 / 50.0;
        let found = volley_threshold_us(&network);
        assert!((found / expected - 1.0).abs() < 0.03, "{found} {expected}");
        // Without a leak the whole charge counts: g τ / C = ln((E_exc − E_L) / (E_exc − V_th)).
        network.tau_ampa_ms = 0.5;
        network.g_l_i_us = 1e-6;
        let expected = network.c_m_i_nf / 0.5 * libm::log(65.0 / 50.0);
        let found = volley_threshold_us(&network);
        assert!((found / expected - 1.0).abs() < 0.03, "{found} {expected}");
    }
}
