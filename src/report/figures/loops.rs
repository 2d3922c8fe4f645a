//! Figures of what training does to the loop between E and I cells: slopes, silencing, drive.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Fill, Stroke};
use super::groups::{Group, Groups, Run, VERMILION};
use super::table::Table;
use super::training::{curve, names};
use super::weights::histogram;
use super::{Missing, Sheet};
use crate::config::Network;

/// Bins of input weights, over all panels.
const INPUT_BINS: usize = 72;
/// Epochs whose optimiser steps are shown.
const FIRST_EPOCHS: u64 = 15;

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
    let identity = Stroke {
        opacity: 0.7,
        ..Stroke::solid(Colour::Ink, 1.0)
    }
    .dashed(Dash::Dashed);
    for (short, name) in super::norms::MATRICES {
        let x = Axis::new("slope by the surrogate gradient (nats)");
        let mut panel = Panel::new(
            format!("Gain of {name}"),
            x,
            Axis::new("measured slope (nats)"),
        );
        panel.room = (0.08, 0.08);
        let mut ends = [0.0_f64, 0.0];
        for (group, run) in groups.runs() {
            let slopes = run.record.analysis.iter().flat_map(|a| &a.loop_slopes);
            for slope in slopes.filter(|s| s.matrix == short) {
                let (x, y, error) = (slope.surrogate, slope.measured, slope.measured_error);
                if !(x.is_finite() && y.is_finite()) {
                    continue;
                }
                let (low, high) = (y - error, y + error);
                ends = [ends[0].min(x).min(low), ends[1].max(x).max(high)];
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
            let [low, high] = ends;
            panel.marks.push(Mark::Line {
                points: vec![(low, low), (high, high)],
                stroke: identity,
            });
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
                  are standard errors over trials) against the sum of weight times surrogate gradient. On the dashed line \
                  both are equal; points in the upper left and lower right disagree in sign, where their bars do not reach \
                  0."
            .into(),
        alt: "Measured slope of the loss against the surrogate's, a panel a loop matrix.".into(),
        page: Page::grid(panels, 2, 200.0).with_key(slopes_key(groups, identity)),
        table,
    })
}

fn slopes_key(groups: &Groups, identity: Stroke) -> Vec<Key> {
    let mut key = groups.key();
    key.push(Key::new(Sample::Line(identity, None), "equal"));
    key
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
                        Axis::new("optimiser step").from(0.0).counted(),
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
    // One scale and the same bins in all panels.
    let pooled = |group: &Group, k: usize| -> Vec<f64> {
        let analyses = group
            .runs
            .iter()
            .filter_map(|run| run.record.analysis.as_ref());
        analyses
            .flat_map(|a| a.i_cell_input_us[k].clone())
            .collect()
    };
    let lists: Vec<[Vec<f64>; 2]> = (groups.groups.iter())
        .map(|group| [pooled(group, 0), pooled(group, 1)])
        .collect();
    let slices: Vec<&[f64]> = lists.iter().flatten().map(Vec::as_slice).collect();
    let (edges, all_counts) = histogram(&slices, INPUT_BINS).unwrap_or_default();
    let threshold_of = |group: &Group| {
        let thresholds: Vec<f64> = group.runs.iter().filter_map(threshold_us).collect();
        thresholds.iter().sum::<f64>() / thresholds.len() as f64
    };
    let low = edges.first().map_or(0.0, |edge| edge.min(0.0));
    let thresholds = groups.groups.iter().map(threshold_of);
    let high = edges.iter().copied().chain(thresholds).fold(0.0, f64::max);
    for ((group, lists), counts) in groups.groups.iter().zip(&lists).zip(all_counts.chunks(2)) {
        if !lists.iter().flatten().any(|x| x.is_finite()) {
            continue;
        }
        let threshold = threshold_of(group);
        let x = Axis::new("Σ W_{EI} into an I cell (µS)").from(low);
        let x = if high > low {
            x.to(high + 0.02 * (high - low))
        } else {
            x
        };
        let mut panel = Panel::new(&group.label, x, Axis::new("I cells").from(0.0));
        // A threshold at the end of the axis must not look like a frame.
        panel.room.0 = 0.06;
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
        Key::new(Sample::Line(limit, None), "threshold of a volley"),
    ];
    let columns = if panels.len() > 4 { 3 } else { 2 };
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: "Sum over E cells of the effective W_EI into each I cell, all seeds pooled; one scale for all panels. \
                  The dashed line is the sum at which a volley, in which as many E cells fire at once as do in a mean cycle of \
                  the rhythm, just brings a resting I cell to threshold. Without a rhythm there are no volleys and no line."
            .into(),
        alt: format!("Histograms of the input weight of I cells for {}.", names(groups)),
        page: Page::grid(panels, columns, 115.0).with_key(key),
        table,
    })
}

/// Input weight at which a volley of the run's rhythm brings a resting I cell to threshold, µS; none
/// without a rhythm.
fn threshold_us(run: &Run) -> Option<f64> {
    let participation = run.record.analysis.as_ref()?.participation.as_ref()?;
    let sum = volley_threshold_us(&run.record.config.network) / participation.e_spikes_per_cycle;
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
