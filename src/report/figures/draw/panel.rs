//! One pair of axes with what is drawn on them, its title and its key.

use super::mark::{Frame, Mark, Point};
use super::scale::{Axis, Tick};
use super::svg::{Anchor, Colour, Fill, Marker, Stroke, Svg};
use super::text;

/// Sizes of text, pixels: 8.25 and 9 pt on a page 180 mm wide.
pub const TICK_SIZE: f64 = 11.0;
/// Size of labels, titles and keys.
pub const LABEL_SIZE: f64 = 12.0;
/// Height of a line of a key.
const KEY_LINE: f64 = 16.0;
const TITLE_LINE: f64 = 19.0;
const SWATCH: f64 = 20.0;
/// Room that names beside a vertical axis may take, pixels.
const LONGEST_NAME: f64 = 200.0;

/// How a key shows what it names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LegendSample {
    /// A piece of line, with a marker where there is one.
    Line(Stroke, Option<Marker>),
    /// A marker.
    Spot(Marker, Colour, bool),
    /// A filled box, with an outline where there is one.
    Box(Fill, Option<Stroke>),
    /// Nothing: words only.
    Nothing,
}

/// An entry of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its sign.
    pub sample: LegendSample,
    /// Its name.
    pub label: String,
}

impl Key {
    /// An entry.
    pub fn new(sample: LegendSample, label: impl Into<String>) -> Self {
        Self {
            sample,
            label: label.into(),
        }
    }

    /// The entry in as many as are needed for none to be wider than `width` pixels.
    fn in_pieces(&self, width: f64) -> Vec<Self> {
        let swatch = self.width() - text::width(&self.label, TICK_SIZE) - 14.0;
        let mut pieces: Vec<Self> = wrapped(&self.label, width - swatch, TICK_SIZE)
            .into_iter()
            .map(|label| Self {
                sample: LegendSample::Nothing,
                label,
            })
            .collect();
        if let Some(first) = pieces.first_mut() {
            first.sample = self.sample;
        }
        pieces
    }

    fn width(&self) -> f64 {
        let swatch = if self.sample == LegendSample::Nothing {
            0.0
        } else {
            SWATCH + 5.0
        };
        swatch + text::width(&self.label, TICK_SIZE) + 14.0
    }
}

/// A panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Words above it.
    pub title: String,
    /// Key above the data, never on them.
    pub key: Vec<Key>,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What is drawn, lowest first.
    pub marks: Vec<Mark>,
    /// Width over that of the others in the row.
    pub share: f64,
    /// Whether light lines cross the panel at the ticks of the vertical axis.
    pub grid: bool,
    /// Margins of the data range: shares of it at ends that the axes leave open.
    pub room: (f64, f64),
}

impl Panel {
    /// An empty panel.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        let title = title.into();
        Self {
            title,
            key: Vec::new(),
            x,
            y,
            marks: Vec::new(),
            share: 1.0,
            grid: true,
            room: (0.0, 0.05),
        }
    }

    /// Whether anything has a place on both axes.
    pub fn has_data(&self) -> bool {
        self.ranges().is_some()
    }

    fn ranges(&self) -> Option<(Point, Point)> {
        let places: Vec<Point> = self.marks.iter().flat_map(Mark::places).collect();
        let x = self.x.range(places.iter().map(|p| p.0), self.room.0)?;
        let y = self.y.range(places.iter().map(|p| p.1), self.room.1)?;
        Some((x, y))
    }

    fn y_ticks(&self, height: f64) -> Vec<Tick> {
        let Some((_, range)) = self.ranges() else {
            return Vec::new();
        };
        let mut ticks = self.y.ticks(range, height, TICK_SIZE, false);
        for tick in &mut ticks {
            tick.label = shortened(&tick.label, LONGEST_NAME, TICK_SIZE);
        }
        ticks
    }

    /// Room left of the data for labels, pixels.
    pub fn left(&self, height: f64) -> f64 {
        let ticks = self.y_ticks(height);
        let widest = ticks
            .iter()
            .map(|t| text::width(&t.label, TICK_SIZE))
            .fold(0.0, f64::max);
        let label = if self.y.label.is_empty() {
            0.0
        } else {
            LABEL_SIZE + 7.0
        };
        (label + widest + 9.0).max(20.0)
    }

    /// Room right of the data, pixels.
    pub const RIGHT: f64 = 15.0;

    /// Room above the data in a panel whose data are `width` pixels wide.
    pub fn head(&self, width: f64) -> f64 {
        let title = TITLE_LINE * self.title_lines(width).len() as f64;
        title + key_lines(&self.key, width).len() as f64 * KEY_LINE + 6.0
    }

    /// The title in as many lines as it takes above data that are `width` pixels wide.
    fn title_lines(&self, width: f64) -> Vec<String> {
        if self.title.is_empty() {
            return Vec::new();
        }
        wrapped(&self.title, width + Self::RIGHT, LABEL_SIZE)
    }

    /// Room below the data.
    pub fn foot(&self) -> f64 {
        7.0 + TICK_SIZE
            + if self.x.label.is_empty() {
                2.0
            } else {
                LABEL_SIZE + 8.0
            }
    }

    /// Draws the panel around its data area.
    pub fn draw(&self, svg: &mut Svg, frame: Frame, head: f64, letter: Option<char>) {
        let Some(ranges) = self.ranges() else {
            return;
        };
        let span = |scale: super::scale::Scale, range: Point, from: f64, to: f64| {
            let (low, high) = (scale.forward(range.0), scale.forward(range.1));
            move |value: f64| from + (scale.forward(value) - low) / (high - low) * (to - from)
        };
        let x = span(self.x.scale, ranges.0, frame.left, frame.right);
        let y = span(self.y.scale, ranges.1, frame.bottom, frame.top);
        let place = |(a, b): Point| (x(a), y(b));
        let ticks = [
            (self.x).ticks(ranges.0, frame.right - frame.left, TICK_SIZE, true),
            self.y_ticks(frame.bottom - frame.top),
        ];
        self.draw_head(svg, frame, head, letter);
        self.draw_axes(svg, frame, ranges, &place, &ticks);
        // Above the axes, which would hide rates of 0.
        for mark in &self.marks {
            mark.draw(svg, &place, frame);
        }
        draw_tick_labels(svg, frame, &place, &ticks);
        self.draw_axis_labels(svg, frame, head);
    }

    /// The letter, the title and the key above the data.
    fn draw_head(&self, svg: &mut Svg, frame: Frame, head: f64, letter: Option<char>) {
        let Frame { left, right, .. } = frame;
        let mut head_at = frame.top - head;
        if let Some(letter) = letter {
            let at = left - self.left(frame.bottom - frame.top) + 2.0;
            svg.bold((at, head_at + 12.0), &letter.to_string(), 13.0);
        }
        for title in self.title_lines(right - left) {
            let at = (left, head_at + 12.0);
            svg.text(at, &title, LABEL_SIZE, Anchor::Start, Colour::Ink);
            head_at += TITLE_LINE;
        }
        draw_key(svg, &self.key, (left, head_at), right - left);
    }

    /// The grid, the axes and their ticks.
    fn draw_axes(
        &self,
        svg: &mut Svg,
        frame: Frame,
        (x_range, y_range): (Point, Point),
        place: &dyn Fn(Point) -> Point,
        [x_ticks, y_ticks]: &[Vec<Tick>; 2],
    ) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = frame;
        let x = |value: f64| place((value, y_range.0)).0;
        let y = |value: f64| place((x_range.0, value)).1;
        if self.grid {
            let light = Stroke {
                opacity: 0.13,
                ..Stroke::solid(Colour::Ink, 0.8)
            };
            let lines = (y_ticks.iter()).map(|t| vec![(left, y(t.value)), (right, y(t.value))]);
            svg.lines(&lines.collect::<Vec<_>>(), light);
        }
        let mut lines = vec![vec![(left, top), (left, bottom), (right, bottom)]];
        let at_x = x_ticks.iter().map(|t| x(t.value));
        lines.extend(at_x.map(|at| vec![(at, bottom), (at, bottom + 4.0)]));
        let labelled = y_ticks.iter().filter(|t| !t.label.is_empty());
        let at_y = labelled.map(|t| y(t.value));
        lines.extend(at_y.map(|at| vec![(left - 4.0, at), (left, at)]));
        svg.lines(&lines, Stroke::solid(Colour::Ink, 0.9));
        let at_x = self.x.minor_ticks(x_range).into_iter().map(x);
        let mut minor: Vec<_> = at_x
            .map(|at| vec![(at, bottom), (at, bottom + 2.5)])
            .collect();
        let at_y = self.y.minor_ticks(y_range).into_iter().map(y);
        minor.extend(at_y.map(|at| vec![(left - 2.5, at), (left, at)]));
        svg.lines(&minor, Stroke::solid(Colour::Ink, 0.6));
    }

    /// What the axes show.
    fn draw_axis_labels(&self, svg: &mut Svg, frame: Frame, head: f64) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = frame;
        let middle = (left + right) / 2.0;
        let at = (middle, bottom + 6.0 + TICK_SIZE + LABEL_SIZE + 4.0);
        let label = shortened(&self.x.label, right - left + 2.0 * Self::RIGHT, LABEL_SIZE);
        svg.text(at, &label, LABEL_SIZE, Anchor::Middle, Colour::Ink);
        if !self.y.label.is_empty() {
            let at = left - self.left(bottom - top) + LABEL_SIZE;
            let label = shortened(&self.y.label, bottom - top + head, LABEL_SIZE);
            svg.upward((at, (top + bottom) / 2.0), &label, LABEL_SIZE);
        }
    }
}

/// The numbers beside the ticks.
fn draw_tick_labels(
    svg: &mut Svg,
    frame: Frame,
    place: &dyn Fn(Point) -> Point,
    [x_ticks, y_ticks]: &[Vec<Tick>; 2],
) {
    for tick in x_ticks {
        // A wide label at the end of the axis must not leave the picture.
        let half = text::width(&tick.label, TICK_SIZE) / 2.0;
        let at = (place((tick.value, 0.0)).0).min(frame.right + Panel::RIGHT - half);
        let at = (at, frame.bottom + 6.0 + TICK_SIZE);
        svg.text(at, &tick.label, TICK_SIZE, Anchor::Middle, Colour::Ink);
    }
    for tick in y_ticks {
        let at = place((0.0, tick.value)).1;
        let at = (frame.left - 6.5, at + 0.36 * TICK_SIZE);
        svg.text(at, &tick.label, TICK_SIZE, Anchor::End, Colour::Ink);
    }
}

/// The entries of each line of a key that may be `width` pixels wide.
pub fn key_lines(key: &[Key], width: f64) -> Vec<Vec<Key>> {
    let mut lines: Vec<Vec<Key>> = Vec::new();
    let mut used = f64::INFINITY;
    for entry in key.iter().flat_map(|entry| entry.in_pieces(width)) {
        if used + entry.width() - 14.0 > width {
            lines.push(Vec::new());
            used = 0.0;
        }
        used += entry.width();
        if let Some(line) = lines.last_mut() {
            line.push(entry);
        }
    }
    lines
}

/// Height of a key, pixels.
pub fn key_height(key: &[Key], width: f64) -> f64 {
    key_lines(key, width).len() as f64 * KEY_LINE
}

/// Draws a key from its upper left corner on.
pub fn draw_key(svg: &mut Svg, key: &[Key], (left, top): (f64, f64), width: f64) {
    for (row, line) in key_lines(key, width).into_iter().enumerate() {
        let middle = top + KEY_LINE * (row as f64 + 0.5);
        let mut x = left;
        for entry in line {
            let centre = (x + SWATCH / 2.0, middle);
            match entry.sample {
                LegendSample::Line(stroke, marker) => {
                    svg.lines(&[vec![(x, middle), (x + SWATCH, middle)]], stroke);
                    if let Some(marker) = marker {
                        svg.markers(&[centre], marker, 6.0, stroke.colour, false);
                    }
                }
                LegendSample::Spot(marker, colour, open) => {
                    svg.markers(&[centre], marker, 8.0, colour, open)
                }
                LegendSample::Box(fill, stroke) => {
                    svg.rectangle((x + 3.0, middle - 5.0), SWATCH - 6.0, 10.0, fill);
                    if let Some(stroke) = stroke {
                        let (l, r, t, b) = (x + 3.0, x + SWATCH - 3.0, middle - 5.0, middle + 5.0);
                        svg.lines(&[vec![(l, b), (l, t), (r, t), (r, b), (l, b)]], stroke);
                    }
                }
                LegendSample::Nothing => {}
            }
            let start = if entry.sample == LegendSample::Nothing {
                x
            } else {
                x + SWATCH + 5.0
            };
            let label = shortened(&entry.label, width - (start - x), TICK_SIZE);
            svg.text(
                (start, middle + 0.36 * TICK_SIZE),
                &label,
                TICK_SIZE,
                Anchor::Start,
                Colour::Ink,
            );
            x += entry.width();
        }
    }
}

/// The text in lines of at most `width` pixels, broken between words; a longer word is cut.
pub fn wrapped(label: &str, width: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in label.split(' ') {
        match lines.last_mut() {
            Some(line) if text::width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
        .iter()
        .map(|line| shortened(line, width, size))
        .collect()
}

/// The text, cut where it is wider than `width` pixels.
pub fn shortened(label: &str, width: f64, size: f64) -> String {
    if text::width(label, size) <= width {
        return label.into();
    }
    // No letter is narrower than a pixel.
    let mut kept: Vec<char> = label.chars().take(width.max(1.0) as usize).collect();
    while kept.len() > 1
        && text::width(&kept.iter().chain(&['…']).collect::<String>(), size) > width
    {
        kept.pop();
    }
    kept.into_iter().chain(['…']).collect()
}
