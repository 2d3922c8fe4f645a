//! The spike budget: rates of both populations and their sum.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::Axis;
use super::draw::svg::{Colour, Dash, Stroke};
use super::groups::Groups;
use super::table::Table;
use super::training::{curve, epoch_axis, names, series};
use super::{Missing, Sheet};
use crate::train::metrics::{E_RATE, I_RATE};

/// Total rate with its parts.
pub fn spike_budget(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("spike_budget", "Spike budget");
    let mut panels = Vec::new();
    let mut table = Table::new(&[
        "condition",
        "cell",
        "epoch",
        "e_rate_hz",
        "i_rate_hz",
        "total_rate_hz",
    ]);
    let together = groups.groups.len() <= 2;
    let mut largest = 0.0_f64;
    for group in &groups.groups {
        if panels.is_empty() || !together {
            let name = if together {
                String::new()
            } else {
                group.label.clone()
            };
            panels.push(Panel::new(
                name,
                epoch_axis(),
                Axis::new("rate (Hz)").from(0.0),
            ));
        }
        for run in &group.runs {
            let stroke = Stroke::solid(group.colour, 1.3);
            let total = series(run, |m| m[E_RATE] + m[I_RATE]);
            largest = total.iter().map(|p| p.1).fold(largest, f64::max);
            if let Some(panel) = panels.last_mut() {
                let part = |points, dash| Mark::Line {
                    points,
                    stroke: stroke.dashed(dash),
                };
                panel
                    .marks
                    .extend(curve(group, run, total, sum_stroke(group.colour)));
                panel
                    .marks
                    .push(part(series(run, |m| m[E_RATE]), Dash::Solid));
                panel
                    .marks
                    .push(part(series(run, |m| m[I_RATE]), Dash::Dashed));
            }
            for m in &run.record.epochs {
                let numbers = [
                    m.epoch() as f64,
                    m[E_RATE],
                    m[I_RATE],
                    m[E_RATE] + m[I_RATE],
                ];
                table.push(&[&group.label, run.cell], &numbers);
            }
        }
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(id, title, "no cell has measured rates yet"));
    }
    for panel in &mut panels {
        panel.y.high = Some(1.05 * largest).filter(|high| *high > 0.0);
    }
    let mut key = groups.key();
    key.extend(sum_key());
    let (columns, height) = if together { (1, 210.0) } else { (3, 115.0) };
    let caption = format!(
        "Sum of the mean rate of an E cell and of an I cell (test set), and both parts. The sum is not weighted by \
         the sizes of the populations.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Total, E and I rate against the epoch for {}.",
            names(groups)
        ),
        page: Page::grid(panels, columns, height).with_key(key),
        table,
    })
}

/// A sum of rates: wide and pale, so that a part that is all of the sum still shows on it.
pub fn sum_stroke(colour: Colour) -> Stroke {
    Stroke {
        opacity: 0.35,
        ..Stroke::solid(colour, 4.0)
    }
}

/// Key to a sum of rates and its parts.
pub fn sum_key() -> [Key; 3] {
    let ink = Stroke::solid(Colour::Ink, 1.3);
    [
        Key::new(Sample::Line(sum_stroke(Colour::Ink), None), "E + I"),
        Key::new(Sample::Line(ink, None), "E"),
        Key::new(Sample::Line(ink.dashed(Dash::Dashed), None), "I"),
    ]
}
