//! Cells of a study by condition: which are repeats of each other, and the colours they wear.

use std::collections::BTreeMap;

use super::draw::panel::{Key, LegendSample};
use super::draw::svg::{Colour, Dash, Marker, Stroke};
use crate::families::Family;
use crate::record::RunRecord;
use crate::study::aggregate::{Spread, is_seed_axis, reported_mean, spread};
use crate::study::measures::Measure;
use crate::study::spec::{AxisValue, StudySpec};
use crate::study::{Cell, CellRecord};
use crate::text;
use crate::train::manifest::Status;

/// Okabe-Ito, told apart with any colour vision; without yellow, which is lost on white.
pub const PALETTE: [Colour; 7] = [Colour::Ink, VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY];
/// Of the palette.
pub const VERMILION: Colour = Colour::Rgb(213, 94, 0);
/// Of the palette, a little lighter so that it can be seen on dark pages, too.
pub const BLUE: Colour = Colour::Rgb(0, 124, 193);
/// Of the palette.
pub const GREEN: Colour = Colour::Rgb(0, 158, 115);
/// Of the palette.
pub const PURPLE: Colour = Colour::Rgb(204, 121, 167);
/// Of the palette.
pub const ORANGE: Colour = Colour::Rgb(230, 159, 0);
/// Of the palette.
pub const SKY: Colour = Colour::Rgb(86, 180, 233);

const MARKERS: [Marker; 6] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::TriangleDown,
    Marker::Star,
];

/// So many absent cells are named below a figure.
const MOST_NAMED: usize = 4;

/// A run and the cell it belongs to.
#[derive(Clone, Copy)]
pub struct CellRun<'a> {
    /// Name of the cell.
    pub cell: &'a str,
    /// Value of its seed axis; its name where there is none.
    pub seed: &'a str,
    /// What its folder holds.
    pub record: &'a RunRecord,
}

impl<'a> CellRun<'a> {
    /// A run that is no cell of a study.
    pub fn alone(record: &'a RunRecord) -> Self {
        Self {
            cell: record.config.name(),
            seed: "",
            record,
        }
    }

    /// Whether it ended before its last epoch since the gradient was not finite.
    pub fn diverged(&self) -> bool {
        self.record.manifest.status == Status::Diverged
    }
}

/// Runs that differ in their seeds only.
#[derive(Clone)]
pub struct Group<'a> {
    /// Names of its values, joined by `_`.
    pub id: String,
    /// For titles and keys.
    pub label: String,
    /// Which value of the first axis, and which of the others.
    pub place: (usize, usize),
    /// Colour of its lines.
    pub colour: Colour,
    /// Marker of its lines.
    pub marker: Marker,
    /// Pattern of its lines, where there is a second axis.
    pub dash: Dash,
    /// Its runs.
    pub runs: Vec<CellRun<'a>>,
    /// All of its cells, with and without runs.
    pub cells: Vec<&'a CellRecord>,
}

/// An axis of a study that gives numbers to one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the axis.
    pub axis: String,
    /// The key.
    pub key: String,
    /// Name and number of each value, ascending.
    pub values: Vec<(String, f64)>,
}

/// A group at each value of a parameter.
pub type Curve<'g, 'a> = Vec<(f64, &'g Group<'a>)>;

/// All conditions of a study that have runs.
pub struct Groups<'a> {
    /// In the order of the cells.
    pub groups: Vec<Group<'a>>,
    /// Labels of the first axis.
    firsts: Vec<String>,
    /// Labels of the other axes' combinations.
    seconds: Vec<String>,
    /// Cells that have no run, and why as far as known.
    pub absent: Vec<String>,
    spec: &'a StudySpec,
}

impl<'a> Groups<'a> {
    /// The groups of these cells.
    pub fn new(spec: &'a StudySpec, cells: &'a [CellRecord]) -> Self {
        let mut cells_at: BTreeMap<(usize, usize), Vec<&'a CellRecord>> = BTreeMap::new();
        let mut all = Self {
            spec,
            groups: Vec::new(),
            firsts: Vec::new(),
            seconds: Vec::new(),
            absent: Vec::new(),
        };
        for whole in cells {
            let CellRecord {
                cell,
                record,
                problem,
            } = whole;
            let conditions: Vec<&AxisValue> = cell
                .values
                .iter()
                .filter(|(axis, _)| !is_seed_axis(spec, axis))
                .map(|(_, v)| v)
                .collect();
            let label = |values: &[&AxisValue]| {
                values
                    .iter()
                    .map(|v| v.shown())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let split = conditions.len().min(1);
            let first = position(&mut all.firsts, label(&conditions[..split]));
            let second = position(&mut all.seconds, label(&conditions[split..]));
            cells_at.entry((first, second)).or_default().push(whole);
            let Some(record) = record else {
                let why = problem
                    .as_ref()
                    .map(|p| format!(" ({p})"))
                    .unwrap_or_default();
                all.absent.push(format!("{}{why}", cell.name));
                continue;
            };
            let run = CellRun {
                cell: &cell.name,
                seed: seed_name(spec, cell),
                record,
            };
            let place = (first, second);
            if let Some(group) = all.groups.iter_mut().find(|g| g.place == place) {
                group.runs.push(run);
                continue;
            }
            let names: Vec<&str> = conditions.iter().map(|v| v.name.as_str()).collect();
            let (id, label) = match names.len() {
                0 => ("all".to_owned(), spec.name.clone()),
                _ => (names.join("_"), label(&conditions)),
            };
            let (colour, marker) = (Colour::Ink, Marker::Circle);
            all.groups.push(Group {
                id,
                label,
                place,
                colour,
                marker,
                dash: Self::dash(second),
                runs: vec![run],
                cells: Vec::new(),
            });
        }
        let colours = colours(&all.firsts);
        let many = all.seconds.len() > 1;
        for group in &mut all.groups {
            group.cells = cells_at.remove(&group.place).unwrap_or_default();
            group.colour = colours[group.place.0];
            let shape = if many { group.place.1 } else { group.place.0 };
            group.marker = MARKERS[shape % MARKERS.len()];
        }
        all
    }

    /// The family of the runs.
    pub fn family(&self) -> Family {
        let first = self.groups.iter().flat_map(|group| &group.cells).next();
        first.map_or(Family::ALL[0], |cell| cell.cell.config.family())
    }

    /// Every run and its group.
    pub fn runs(&self) -> impl Iterator<Item = (&Group<'a>, &CellRun<'a>)> {
        self.groups
            .iter()
            .flat_map(|group| group.runs.iter().map(move |run| (group, run)))
    }

    /// Mean and spread of a measure over the finished cells of a group, as in every table.
    pub fn spread(&self, group: &Group, measure: &Measure) -> Spread {
        spread(group.cells.iter().copied(), measure)
    }

    /// What the sources report of a measure for a group.
    pub fn reported(&self, group: &Group, measure: &Measure) -> Option<f64> {
        reported_mean(self.spec, &group.cells, &measure.name)
    }

    /// Whether an axis only repeats.
    pub fn repeats(&self, axis: &str) -> bool {
        is_seed_axis(self.spec, axis)
    }

    /// The first axis, seeds left out, whose values are numbers for one key.
    pub fn parameter(&self) -> Option<Parameter> {
        let axes = self
            .spec
            .axes
            .iter()
            .filter(|axis| !is_seed_axis(self.spec, &axis.name));
        axes.filter_map(|axis| {
            let key = axis.key.clone()?;
            let of_cell = |cell: &CellRecord| {
                let values = cell.cell.values.iter().find(|(name, _)| *name == axis.name);
                let (_, value) = values?;
                Some((value.name.clone(), value.set.get(&key)?.as_f64()?))
            };
            let cells = self.groups.iter().flat_map(|group| &group.cells);
            let mut values = cells
                .map(|cell| of_cell(cell))
                .collect::<Option<Vec<_>>>()?;
            values.sort_by(|a, b| a.1.total_cmp(&b.1));
            values.dedup();
            let axis = axis.name.clone();
            (values.len() > 1).then_some(Parameter { axis, key, values })
        })
        .next()
    }

    /// The groups in the order of a parameter, those that differ in nothing else together.
    pub fn along(&self, parameter: &Parameter) -> Vec<Curve<'_, 'a>> {
        let mut curves: Vec<(Vec<&str>, Curve<'_, 'a>)> = Vec::new();
        for (name, x) in &parameter.values {
            for group in &self.groups {
                let Some(cell) = group.cells.first() else {
                    continue;
                };
                let values = &cell.cell.values;
                let is_here = |(axis, value): &(String, AxisValue)| {
                    *axis == parameter.axis && value.name == *name
                };
                if !values.iter().any(is_here) {
                    continue;
                }
                let others = values
                    .iter()
                    .filter(|(axis, _)| *axis != parameter.axis && !is_seed_axis(self.spec, axis));
                let others: Vec<&str> = others.map(|(_, value)| &value.name[..]).collect();
                match curves.iter_mut().find(|(known, _)| *known == others) {
                    Some((_, curve)) => curve.push((*x, group)),
                    None => curves.push((others, vec![(*x, group)])),
                }
            }
        }
        curves.into_iter().map(|(_, curve)| curve).collect()
    }

    /// Whether conditions differ in a second axis.
    pub fn is_crossed(&self) -> bool {
        self.seconds.len() > 1
    }

    /// The dash of the values of the second axis.
    fn dash(place: usize) -> Dash {
        [Dash::Solid, Dash::Dashed, Dash::Dotted][if place == 0 { 0 } else { 1 + (place - 1) % 2 }]
    }

    /// Key of lines: colours for the first axis, markers for the others.
    pub fn key(&self) -> Vec<Key> {
        self.key_of(|_| true)
    }

    /// [`Self::key`] of those groups only that have something to show.
    pub fn key_of(&self, shown: impl Fn(&Group) -> bool) -> Vec<Key> {
        let mut key: Vec<Key> = Vec::new();
        let many = self.seconds.len() > 1;
        for group in self.groups.iter().filter(|group| shown(group)) {
            let marker = Some(group.marker).filter(|_| !many);
            let sample = LegendSample::Line(Stroke::solid(group.colour, 2.0), marker);
            let label = if self.firsts[group.place.0].is_empty() {
                &group.label
            } else {
                &self.firsts[group.place.0]
            };
            if !key.iter().any(|k| k.label == *label) {
                key.push(Key::new(sample, label));
            }
        }
        let has_second = |place| {
            let mut of_place = self.groups.iter().filter(|group| group.place.1 == place);
            of_place.any(&shown)
        };
        let seconds = self.seconds.iter().enumerate().filter(|_| many);
        for (place, label) in seconds.filter(|(place, _)| has_second(*place)) {
            let stroke = Stroke::solid(Colour::Ink, 1.3).dashed(Self::dash(place));
            let sample = LegendSample::Line(stroke, Some(MARKERS[place % MARKERS.len()]));
            key.push(Key::new(sample, label));
        }
        key
    }

    /// Label of the group's value of the first axis.
    pub fn first_label(&self, group: &Group) -> String {
        let label = &self.firsts[group.place.0];
        if label.is_empty() {
            group.label.clone()
        } else {
            label.clone()
        }
    }

    /// Colour where panels tell the first axis apart: that of the other axes, where there are any.
    pub fn second_colour(&self, group: &Group) -> Colour {
        if self.seconds.len() > 1 {
            PALETTE[group.place.1 % PALETTE.len()]
        } else {
            group.colour
        }
    }

    /// Key to [`Self::second_colour`]; empty without other axes.
    pub fn second_key(&self) -> Vec<Key> {
        let many = self.seconds.len() > 1;
        let labels = self.seconds.iter().enumerate().filter(|_| many);
        let key = labels.map(|(place, label)| {
            let stroke =
                Stroke::solid(PALETTE[place % PALETTE.len()], 1.6).dashed(Self::dash(place));
            Key::new(
                LegendSample::Line(stroke, Some(MARKERS[place % MARKERS.len()])),
                label,
            )
        });
        key.collect()
    }

    /// A sentence about cells that are not in the figures or did not end well; empty where there are none.
    pub fn remarks(&self) -> String {
        let mut remarks = String::new();
        let diverged: Vec<&str> = self
            .runs()
            .filter(|(_, r)| r.diverged())
            .map(|(_, r)| r.cell)
            .collect();
        if !diverged.is_empty() {
            remarks += &format!(
                " Diverged (last finite state kept, end marked by a cross): {}.",
                diverged.join(", ")
            );
        }
        if self.absent.len() > MOST_NAMED {
            remarks += &format!(
                " Not measured: {} of the study, listed under “What could not be measured”.",
                text::count(self.absent.len(), "cell", "cells")
            );
        } else if !self.absent.is_empty() {
            remarks += &format!(" Not measured: {}.", self.absent.join(", "));
        }
        remarks
    }
}

fn seed_name<'a>(spec: &StudySpec, cell: &'a Cell) -> &'a str {
    let mut values = cell.values.iter();
    let seed = values.find(|(axis, _)| is_seed_axis(spec, axis));
    seed.map_or(&cell.name, |(_, value)| value.shown())
}

fn position(labels: &mut Vec<String>, label: String) -> usize {
    labels.iter().position(|l| *l == label).unwrap_or_else(|| {
        labels.push(label);
        labels.len() - 1
    })
}

/// A colour a label: ink for PING and vermilion for COBA, as in the studies, others in order.
fn colours(labels: &[String]) -> Vec<Colour> {
    let fixed = |label: &String| match label.to_lowercase().as_str() {
        "ping" => Some(Colour::Ink),
        "coba" => Some(VERMILION),
        _ => None,
    };
    let taken: Vec<Colour> = labels.iter().filter_map(fixed).collect();
    let mut free = PALETTE
        .into_iter()
        .filter(|c| !taken.contains(c))
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    labels
        .iter()
        .map(|label| fixed(label).or_else(|| free.next()).unwrap_or(Colour::Ink))
        .collect()
}
