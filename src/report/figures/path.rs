//! Paths of the cells through rate and accuracy.

use super::draw::bar::ColourBar;
use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::Axis;
use super::draw::svg::{Colour, Marker, Stroke};
use super::groups::Groups;
use super::table::Table;
use super::training::names;
use super::{Missing, Sheet};
use crate::train::metrics::{E_RATE, TEST_ACCURACY};

/// Paths of the cells through rate and accuracy.
pub fn accuracy_against_rate(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("accuracy_against_rate", "Accuracy against rate");
    let y = Axis::new("test accuracy (%)");
    let mut panel = Panel::new("", Axis::new("E rate (Hz, test mean)").from(0.0), y);
    panel.room = (0.03, 0.05);
    let mut table = Table::new(&[
        "condition",
        "cell",
        "epoch",
        "e_rate_hz",
        "test_accuracy_percent",
    ]);
    let last = groups
        .runs()
        .filter_map(|(_, r)| r.record.last())
        .map(|m| m.epoch())
        .max()
        .unwrap_or(0);
    let runs = groups.runs().count();
    // Enough dots to see the path, few enough for a small file.
    let every = (last as usize * runs / 1200).max(1);
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    let mut dots: std::collections::BTreeMap<u64, Vec<(f64, f64)>> =
        std::collections::BTreeMap::new();
    for (group, run) in groups.runs() {
        let path: Vec<(u64, f64, f64)> = run
            .record
            .epochs
            .iter()
            .filter(|m| m.epoch() > 0)
            .map(|m| (m.epoch(), m[E_RATE], m[TEST_ACCURACY]))
            .collect();
        let points: Vec<(f64, f64)> = path.iter().map(|p| (p.1, p.2)).collect();
        let stroke = Stroke {
            opacity: 0.6,
            ..Stroke::solid(group.colour, 1.0)
        };
        panel.marks.push(Mark::Line {
            points: points.clone(),
            stroke,
        });
        for (epoch, rate, accuracy) in path {
            table.push(&[&group.label, run.cell], &[epoch as f64, rate, accuracy]);
            if (epoch as usize).is_multiple_of(every) {
                dots.entry(epoch).or_default().push((rate, accuracy));
            }
        }
        let ends_at = |p: Option<&(f64, f64)>| p.copied().into_iter().collect::<Vec<_>>();
        let end = |points, marker, size, open| Mark::Points {
            points,
            marker,
            size,
            colour: group.colour,
            open,
        };
        begins.push(end(ends_at(points.first()), Marker::Circle, 8.0, true));
        ends.push(end(ends_at(points.last()), Marker::Star, 12.0, false));
    }
    if !panel.has_data() {
        return Err(Missing::new(id, title, "no cell has finished an epoch yet"));
    }
    let ends_of_bar = [1.0, last.max(2) as f64].into_iter();
    let Some(bar) = ColourBar::new(Axis::new("epoch").counted(), ends_of_bar) else {
        return Err(Missing::new(id, title, "the epochs have no numbers"));
    };
    for (epoch, points) in dots {
        let (marker, colour) = (Marker::Square, bar.colour(epoch as f64));
        panel.marks.push(Mark::Points {
            points,
            marker,
            size: 4.0,
            colour,
            open: false,
        });
    }
    panel.marks.extend(begins);
    panel.marks.extend(ends);
    let mut key = groups.key();
    for entry in &mut key {
        if let Sample::Line(stroke, _) = entry.sample {
            entry.sample = Sample::Line(stroke, None);
        }
    }
    key.truncate(groups.groups.iter().map(|g| g.place.0).max().unwrap_or(0) + 1);
    key.push(Key::new(
        Sample::Spot(Marker::Circle, Colour::Ink, true),
        "epoch 1",
    ));
    key.push(Key::new(
        Sample::Spot(Marker::Star, Colour::Ink, false),
        "last epoch",
    ));
    let caption = format!(
        "Path of each cell through mean E rate and accuracy on the test set; the colour of the dots is the epoch.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Test accuracy against E rate, a path a cell, for {}.",
            names(groups)
        ),
        page: Page::grid(vec![panel], 1, 300.0)
            .with_key(key)
            .with_bar(bar),
        table,
    })
}
