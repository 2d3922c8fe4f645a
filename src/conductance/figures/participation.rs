//! Spikes by cycle of the rhythm.

use crate::conductance::record;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::{PanelRow, PanelRows};
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::Colour;
use crate::report::figures::groups::{Group, Groups, ORANGE, SKY, VERMILION};
use crate::report::figures::kit::{NO_ANALYSIS, fill, names, row_place, rows_panel};
use crate::report::figures::sheet::{Missing, Rows, Sheet, Table};
use crate::study::aggregate::{Spread, spread_of};

/// What is stacked: the number of spikes, and how it looks.
const SPIKES: [(&str, Colour, f64); 4] = [
    ("0", Colour::Ink, 0.14),
    ("1", SKY, 1.0),
    ("2", ORANGE, 1.0),
    ("3 or more", VERMILION, 1.0),
];

/// Narrowest bar that has room for its share, %.
const ROOM_FOR_WORDS_PERCENT: f64 = 12.0;

/// The rows of a condition, of E and of I cells: one for each number of spikes.
type Bars<'a> = (&'a str, [Vec<Rows>; 2]);

/// Spikes by cycle, stacked.
pub fn participation(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("participation", "Spikes per cell and cycle");
    let mut table = Table::new(&[
        "condition",
        "population",
        "spikes",
        "share_percent",
        "from_percent",
        "to_percent",
        "runs",
    ]);
    let mut bars: Vec<Bars> = Vec::new();
    let mut without = Vec::new();
    for group in &groups.groups {
        if share(group, 0, 0).n == 0 {
            without.push(group.label.as_str());
        } else {
            bars.push((&group.label, add_shares(group, &mut table)));
        }
    }
    if bars.is_empty() {
        let reason = if groups
            .runs()
            .any(|(_, r)| record::analysis(r.record).is_some())
        {
            "no analysed cell has a rhythm, and without one there are no cycles"
        } else {
            NO_ANALYSIS
        };
        return Err(Missing::new(id, title, reason));
    }
    let panels = [0, 1].map(|population| panel(population, &bars, &table));
    let key = SPIKES.map(|(label, colour, opacity)| {
        let noun = if label == "1" { "spike" } else { "spikes" };
        let sample = LegendSample::Box(fill(colour, opacity), None);
        Key::new(sample, format!("{label} {noun}"))
    });
    let mut caption = "Share of (cell, cycle) pairs with 0, 1, 2 and 3 or more spikes over the test set, mean over \
                       finished seeds; cycles are delimited by the minima of the I population rate between \
                       volleys (of the E rate if the I cells have no rhythm or fire on average less than once \
                       in two cycles)."
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
        page: PanelRows {
            key: key.into(),
            bar: None,
            rows: vec![PanelRow {
                height: 26.0 * bars.len() as f64 + 6.0,
                panels: panels.into(),
            }],
        },
        table,
    })
}

/// The share of pairs with so many spikes, over the finished cells of a condition.
fn share(group: &Group, population: usize, spikes: usize) -> Spread {
    spread_of(group.cells.iter().copied(), |run| {
        let participation = record::analysis(run).and_then(|a| a.participation.as_ref());
        let shares = participation.map(|p| [p.e_share_percent, p.i_share_percent]);
        let share = shares.map_or(f64::NAN, |shares| shares[population][spikes]);
        // Files are untrusted: a share is a share.
        if (0.0..=100.0).contains(&share) {
            share
        } else {
            f64::NAN
        }
    })
}

/// Adds the shares of a condition, one after the other from 0.
fn add_shares(group: &Group, table: &mut Table) -> [Vec<Rows>; 2] {
    [(0, "E"), (1, "I")].map(|(population, name)| {
        let mut rows = Vec::new();
        let mut start = 0.0;
        for (spikes, (label, ..)) in SPIKES.iter().enumerate() {
            let spread = share(group, population, spikes);
            let mean = if spread.n > 0 { spread.mean } else { 0.0 };
            let numbers = [mean, start, start + mean, spread.n as f64];
            rows.push(table.row(&[&group.label, name, label], &numbers));
            start += mean;
        }
        rows
    })
}

/// The stacks of one population, a row per condition.
fn panel(population: usize, bars: &[Bars], table: &Table) -> Panel {
    let labels: Vec<&str> = bars.iter().map(|(label, _)| *label).collect();
    let x = Axis::new("share of (cell, cycle) pairs (%)")
        .from(0.0)
        .to(100.0);
    let is_first = population == 0;
    let mut panel = rows_panel(["E cells", "I cells"][population], x, &labels, is_first);
    panel.grid = false;
    panel.share = if is_first { 1.2 } else { 1.0 };
    for (k, (_, rows)) in bars.iter().enumerate() {
        let place = row_place(bars.len(), k);
        for (row, (_, colour, opacity)) in rows[population].iter().zip(SPIKES) {
            let ends = ["from_percent", "to_percent"];
            let bar = table.bars(row, ends, (place, 0.38), fill(colour, opacity));
            panel.marks.extend(bar);
            let [start, share] = ["from_percent", "share_percent"].map(|c| table.number(row, c));
            if share >= ROOM_FOR_WORDS_PERCENT {
                panel.marks.push(Mark::Words {
                    at: (start + share / 2.0, place),
                    down: 0.0,
                    words: format!("{share:.1}"),
                    size: 10.0,
                    colour: match opacity < 1.0 {
                        true => Colour::Ink,
                        false => Colour::Rgb(0, 0, 0),
                    },
                });
            }
        }
    }
    panel
}
