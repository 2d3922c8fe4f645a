//! Spikes by cycle of the rhythm.

use super::activity::NO_ANALYSIS;
use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::Axis;
use super::draw::svg::{Colour, Fill};
use super::groups::{Groups, ORANGE, SKY, VERMILION};
use super::table::Table;
use super::training::names;
use super::{Missing, Sheet};
use crate::study::aggregate::spread_of;

/// Spikes by cycle, stacked.
pub fn participation(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("participation", "Spikes of a cell in a cycle of the rhythm");
    let labels = ["0", "1", "2", "3 or more"];
    let colours = [
        (Colour::Ink, 0.14),
        (SKY, 1.0),
        (ORANGE, 1.0),
        (VERMILION, 1.0),
    ];
    let columns = [
        "condition",
        "population",
        "spikes",
        "share_percent",
        "from_percent",
        "to_percent",
        "runs",
    ];
    let mut table = Table::new(&columns);
    let mut bars: Vec<(String, [[f64; 4]; 2])> = Vec::new();
    let mut without = Vec::new();
    for group in &groups.groups {
        let share = |population: usize, spikes: usize| {
            spread_of(group.cells.iter().copied(), |run| {
                let participation = run.analysis.as_ref().and_then(|a| a.participation.as_ref());
                let shares = participation.map(|p| [p.e_share_percent, p.i_share_percent]);
                let share = shares.map_or(f64::NAN, |shares| shares[population][spikes]);
                // Files are untrusted: a share is a share.
                if (0.0..=100.0).contains(&share) {
                    share
                } else {
                    f64::NAN
                }
            })
        };
        if share(0, 0).n == 0 {
            without.push(group.label.as_str());
            continue;
        }
        let mut shares = [[0.0; 4]; 2];
        for (k, population) in ["E", "I"].into_iter().enumerate() {
            let mut start = 0.0;
            for spikes in 0..4 {
                let spread = share(k, spikes);
                let mean = if spread.n > 0 { spread.mean } else { 0.0 };
                shares[k][spikes] = mean;
                let numbers = [mean, start, start + mean, spread.n as f64];
                table.push(&[&group.label, population, labels[spikes]], &numbers);
                start += mean;
            }
        }
        bars.push((group.label.clone(), shares));
    }
    if bars.is_empty() {
        let reason = if groups.runs().any(|(_, r)| r.record.analysis.is_some()) {
            "no analysed cell has a rhythm, and without one there are no cycles"
        } else {
            NO_ANALYSIS
        };
        return Err(Missing::new(id, title, reason));
    }
    let rows = bars.len();
    let place = |k: usize| (rows - 1 - k) as f64;
    let panel = |population: usize| {
        let names = bars.iter().enumerate().map(|(k, (label, _))| {
            (
                place(k),
                if population == 0 {
                    label.clone()
                } else {
                    String::new()
                },
            )
        });
        let y = Axis::new("")
            .from(-0.6)
            .to(rows as f64 - 0.4)
            .named(names.collect());
        let name = ["E cells", "I cells"][population];
        let mut panel = Panel::new(
            name,
            Axis::new("share of (cell, cycle) pairs (%)")
                .from(0.0)
                .to(100.0),
            y,
        );
        panel.grid = false;
        for (k, (_, shares)) in bars.iter().enumerate() {
            let mut start = 0.0;
            for (share, (colour, opacity)) in shares[population].iter().zip(colours) {
                let (from, to) = ((start, place(k) - 0.38), (start + share, place(k) + 0.38));
                panel.marks.push(Mark::Bar {
                    from,
                    to,
                    fill: Fill { colour, opacity },
                });
                if *share >= 12.0 {
                    let at = (start + share / 2.0, place(k));
                    let colour = if opacity < 1.0 {
                        Colour::Ink
                    } else {
                        Colour::Rgb(0, 0, 0)
                    };
                    panel.marks.push(Mark::Words {
                        at,
                        down: 0.0,
                        words: format!("{share:.1}"),
                        size: 10.0,
                        colour,
                    });
                }
                start += share;
            }
        }
        panel.share = if population == 0 { 1.2 } else { 1.0 };
        panel
    };
    let panels = vec![panel(0), panel(1)];
    let key = labels
        .iter()
        .zip(colours)
        .map(|(label, (colour, opacity))| {
            Key::new(
                Sample::Box(Fill { colour, opacity }, None),
                format!("{label} {}", if *label == "1" { "spike" } else { "spikes" }),
            )
        });
    let mut caption = "Share of (cell, cycle) pairs with 0, 1, 2 and 3 or more spikes over the test set, mean over \
                       finished seeds; cycles are cut at the minima between volleys of I cells (of E cells where I \
                       has none, or a cell of it fires less than once in two cycles)."
        .to_owned();
    if !without.is_empty() {
        caption += &format!(" No rhythm, so no cycles: {}.", without.join("; "));
    }
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Stacked bars of spikes in a cycle of the rhythm for {}.",
            names(groups)
        ),
        page: Page {
            key: key.collect(),
            bar: None,
            rows: vec![super::draw::page::Row {
                height: 26.0 * rows as f64 + 6.0,
                panels,
            }],
        },
        table,
    })
}
