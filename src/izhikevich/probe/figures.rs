//! Figures of probes.

use super::induction::Point;
use super::neurons::{DT_MS, RateCurve};
use crate::izhikevich::network::Preset;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::Panel;
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Dash, Marker, Stroke};
use crate::report::figures::groups::PALETTE;
use crate::report::figures::kit::line_key;
use crate::report::figures::sheet::{Dots, Missing, Sheet, Table};
use crate::text::count;

/// A panel a kind, a line a time step.
pub(super) fn rates(curves: &[RateCurve]) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["kind", "dt_ms", "current", "rate_hz"]);
    let mut panels = Vec::new();
    for preset in Preset::ALL {
        let x = Axis::new("current").from(0.0);
        let mut panel = Panel::new(preset.label(), x, Axis::new("rate (Hz)").from(0.0));
        for curve in curves.iter().filter(|curve| curve.preset == preset) {
            let points = curve.points.iter().map(|[x, y]| [curve.dt_ms, *x, *y]);
            let rows = table.add(&[preset.name()], points);
            let place = DT_MS.iter().position(|dt| *dt == curve.dt_ms).unwrap_or(0);
            let stroke = Stroke::solid(PALETTE[place % PALETTE.len()], 1.4);
            panel
                .marks
                .push(table.line(&rows, ["current", "rate_hz"], stroke));
            if panels.is_empty() {
                let words = format!("{} ms", curve.dt_ms);
                panel.key.push(line_key(stroke, words));
            }
        }
        panels.push(panel);
    }
    Ok(Sheet {
        id: "rates".into(),
        title: "Rates under a constant current".into(),
        caption: "Rate of each kind of neuron once it has settled, at several time steps.".into(),
        alt: "Rate against current, a panel a kind, a line a time step.".into(),
        page: PanelRows::grid(panels, 3, 120.0),
        table,
    })
}

/// Spikes against the strength of the inputs, a line an arrangement.
pub(super) fn gates(tables: &[(f64, [u32; 3])]) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["inputs", "amplitude", "spikes"]);
    let x = Axis::new("current of an input's spike");
    let mut panel = Panel::new("", x, Axis::new("spikes in a second").from(0.0));
    for (place, words) in ["one", "two together", "two in turn"]
        .into_iter()
        .enumerate()
    {
        let points = tables
            .iter()
            .map(|(x, spikes)| [*x, f64::from(spikes[place])]);
        let rows = table.add(&[words], points);
        let stroke = Stroke::solid(PALETTE[place], 1.4);
        let columns = ["amplitude", "spikes"];
        panel.marks.push(table.line(&rows, columns, stroke));
        let dots = Dots::full(Marker::Circle, 4.0, PALETTE[place]);
        panel.marks.push(table.dots(&rows, columns, dots));
        panel.key.push(line_key(stroke, words));
    }
    Ok(Sheet {
        id: "gates".into(),
        title: "A resonator as a gate".into(),
        caption: "Spikes of a resonator in a second in which one input fires at its resonance, two do together, or two \
            in turn, half a cycle apart."
            .into(),
        alt: "Spikes of a resonator against the strength of its inputs.".into(),
        page: PanelRows::grid(vec![panel], 1, 160.0),
        table,
    })
}

/// What changes by frequency, by the order of spikes, and of inhibition.
pub(super) fn induction(
    by_frequency: &[Point],
    by_distance: &[Point],
    inhibitory: &[Point],
    trials: usize,
) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["protocol", "rule", "at", "change_percent", "post_hz"]);
    let frequency = || Axis::new("frequency of the inputs (Hz)").scaled(Scale::Log);
    let distance = Axis::new("time from pre to post spike (ms)");
    let panels = [
        (
            "frequency",
            "Excitation, a bundle at one frequency",
            frequency(),
            by_frequency,
            false,
        ),
        (
            "pairing",
            "Excitation, pairs of spikes",
            distance,
            by_distance,
            false,
        ),
        (
            "inhibition",
            "Inhibition, all inputs at one frequency",
            frequency(),
            inhibitory,
            true,
        ),
    ];
    let panels = panels.map(|(protocol, title, x, points, is_inhibitory)| {
        let mut panel = Panel::new(title, x, Axis::new("change (% of w_0)"));
        let mut rules: Vec<&str> = points.iter().map(|point| point.rule).collect();
        rules.dedup();
        for (place, rule) in rules.into_iter().enumerate() {
            let own = points.iter().filter(|point| point.rule == rule);
            let rows = own.map(|point| {
                let change = match is_inhibitory {
                    true => point.change.inhibitory,
                    false => point.change.stimulated,
                };
                [point.at, change, point.change.post_hz]
            });
            let rows = table.add(&[protocol, rule], rows);
            let stroke = Stroke::solid(PALETTE[place % PALETTE.len()], 1.4);
            panel
                .marks
                .push(table.line(&rows, ["at", "change_percent"], stroke));
            panel.key.push(line_key(stroke, rule));
        }
        let stroke = Stroke::solid(Colour::Ink, 0.8).dashed(Dash::Dashed);
        panel.marks.push(Mark::Level { y: 0.0, stroke });
        panel
    });
    Ok(Sheet {
        id: "induction".into(),
        title: "What induces potentiation and depression".into(),
        caption: format!(
            "Change of synapses by a protocol ({}), in percent of their default weight, for every rule. A bundle drives \
             the cell by itself; in pairs the cell is made to fire, and the inputs are too weak to matter.",
            count(trials, "trial", "trials")
        ),
        alt: "Change of weights by frequency and by the order of spikes, for every rule.".into(),
        page: PanelRows::grid(panels.into(), 2, 140.0),
        table,
    })
}
