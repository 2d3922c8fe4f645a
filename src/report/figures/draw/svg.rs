//! Writes SVG: paths, rectangles, markers and text in pixels from the top left.
//!
//! Coordinates are written as whole tenths of a pixel, so that a long line takes few bytes and the
//! bytes do not depend on how a machine prints fractions.

use std::collections::BTreeMap;
use std::fmt::Write;

pub use super::marker::Marker;
use super::marker::marker_path;
pub use super::path::{At, polyline, tenths};
use super::text;

/// A colour; ink is the text colour of the page around (`currentColor`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colour {
    /// Dark on light pages, light on dark ones.
    Ink,
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

impl Colour {
    fn name(self) -> String {
        match self {
            Self::Ink => "currentColor".into(),
            Self::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

/// Patterns of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub colour: Colour,
    /// Width, pixels.
    pub width: f64,
    /// Pattern.
    pub dash: Dash,
    /// 0 invisible to 1 opaque.
    pub opacity: f64,
}

impl Stroke {
    /// An unbroken opaque line.
    pub fn solid(colour: Colour, width: f64) -> Self {
        Self {
            colour,
            width,
            dash: Dash::Solid,
            opacity: 1.0,
        }
    }

    /// The same line with another pattern.
    pub fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    fn attributes(self) -> String {
        let mut style = format!(
            r#" fill="none" stroke="{}" stroke-width="{}" stroke-linejoin="round""#,
            self.colour.name(),
            tenths(self.width)
        );
        style += match self.dash {
            Dash::Solid => "",
            Dash::Dashed => r#" stroke-dasharray="55 30""#,
            Dash::Dotted => r#" stroke-dasharray="16 20""#,
        };
        style + &opacity("stroke", self.opacity)
    }
}

/// How an area looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// Colour.
    pub colour: Colour,
    /// 0 invisible to 1 opaque.
    pub opacity: f64,
}

impl Fill {
    fn attributes(self) -> String {
        format!(r#" fill="{}""#, self.colour.name()) + &opacity("fill", self.opacity)
    }
}

fn opacity(what: &str, value: f64) -> String {
    if value >= 1.0 {
        return String::new();
    }
    let hundredths = (value.max(0.0) * 100.0).round();
    format!(r#" {what}-opacity=".{hundredths:02}""#)
}

/// Where the given point lies in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// A picture under way.
pub struct Svg {
    id: String,
    body: String,
    glyphs: BTreeMap<u16, String>,
}

impl Svg {
    /// An empty picture; `id` tells its glyphs apart from those of other pictures of a page.
    pub fn new(id: &str) -> Self {
        Self {
            id: escape(id),
            body: String::new(),
            glyphs: BTreeMap::new(),
        }
    }

    /// Polylines, one path for all.
    pub fn lines(&mut self, lines: &[Vec<At>], stroke: Stroke) {
        let path: String = lines.iter().map(|line| polyline(line)).collect();
        self.path(&path, &stroke.attributes());
    }

    /// A closed area.
    pub fn area(&mut self, outline: &[At], fill: Fill) {
        self.path(&(polyline(outline) + "z"), &fill.attributes());
    }

    /// Vertical strokes of `height` pixels centred on the points, one path for all.
    pub fn ticks(&mut self, points: &[At], height: f64, stroke: Stroke) {
        let mut path = String::new();
        let mut at = (0, 0);
        for &(x, y) in points {
            let next = (tenths(x), tenths(y - height / 2.0));
            path.push('m');
            text::push_pair(&mut path, true, next.0 - at.0, next.1 - at.1);
            let _ = write!(path, "v{}", tenths(height));
            at = (next.0, next.1 + tenths(height));
        }
        self.path(&path, &stroke.attributes());
    }

    /// A rectangle.
    pub fn rectangle(&mut self, (left, top): At, width: f64, height: f64, fill: Fill) {
        let _ = write!(
            self.body,
            r#"<rect x="{}" y="{}" width="{}" height="{}"{}/>"#,
            tenths(left),
            tenths(top),
            tenths(width).max(0),
            tenths(height).max(0),
            fill.attributes()
        );
    }

    /// Markers of `size` pixels across at the points, one path for all; open ones have an outline only.
    pub fn markers(
        &mut self,
        points: &[At],
        marker: Marker,
        size: f64,
        colour: Colour,
        open: bool,
    ) {
        let path: String = points
            .iter()
            .map(|at| marker_path(marker, *at, size / 2.0))
            .collect();
        let style = if open || marker == Marker::Cross {
            Stroke::solid(colour, 1.3).attributes()
        } else {
            Fill {
                colour,
                opacity: 1.0,
            }
            .attributes()
        };
        self.path(&path, &style);
    }

    fn path(&mut self, path: &str, style: &str) {
        if !path.is_empty() {
            let _ = write!(self.body, r#"<path d="{path}"{style}/>"#);
        }
    }

    /// A line of text, its baseline at the point.
    pub fn text(&mut self, at: At, label: &str, size: f64, anchor: Anchor, colour: Colour) {
        self.turned_text(at, label, size, anchor, colour, "");
    }

    /// A line of heavier text.
    pub fn bold(&mut self, at: At, label: &str, size: f64) {
        let stroke = r#" stroke="currentColor" stroke-width="45""#;
        self.turned_text(at, label, size, Anchor::Start, Colour::Ink, stroke);
    }

    /// A line of text that runs upwards, its baseline at the point's right, centred on the point.
    pub fn upward(&mut self, at: At, label: &str, size: f64) {
        self.turned_text(at, label, size, Anchor::Middle, Colour::Ink, "up");
    }

    fn turned_text(
        &mut self,
        at: At,
        label: &str,
        size: f64,
        anchor: Anchor,
        colour: Colour,
        style: &str,
    ) {
        let (placed, width) = text::set(label);
        let offset = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -0.5,
            Anchor::End => -1.0,
        } * f64::from(width)
            * size;
        let (rotation, style, start) = if style == "up" {
            ("rotate(-90)", "", (at.0, at.1 - offset))
        } else {
            ("", style, (at.0 + offset, at.1))
        };
        let _ = write!(
            self.body,
            r#"<g data-text="{}" transform="translate({} {}){rotation}scale(.{:03})" fill="{}"{style}>"#,
            escape(label),
            tenths(start.0),
            tenths(start.1),
            tenths(size),
            colour.name()
        );
        for glyph in placed {
            let outline = self
                .glyphs
                .entry(glyph.glyph)
                .or_insert_with(|| text::outline(glyph.glyph));
            if outline.is_empty() {
                continue;
            }
            let unit = |x: f32| (x * 1000.0).round() as i32;
            let _ = write!(self.body, r##"<use href="#{}-{}""##, self.id, glyph.glyph);
            let _ = if glyph.size < 1.0 {
                write!(
                    self.body,
                    r#" transform="translate({} {})scale({})"/>"#,
                    unit(glyph.x),
                    unit(glyph.y),
                    glyph.size
                )
            } else {
                write!(self.body, r#" x="{}"/>"#, unit(glyph.x))
            };
        }
        self.body.push_str("</g>");
    }

    /// The file; `alt` is what a reader who sees no picture is told.
    pub fn finish(self, width: f64, height: f64, alt: &str) -> String {
        // 96 pixels are 25.4 mm.
        let millimetres = |pixels: f64| format!("{:.1}mm", pixels * 25.4 / 96.0);
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}"><defs>"#,
            tenths(width),
            tenths(height),
            millimetres(width),
            millimetres(height),
            escape(alt)
        );
        for (glyph, outline) in self
            .glyphs
            .iter()
            .filter(|(_, outline)| !outline.is_empty())
        {
            let _ = write!(svg, r#"<path id="{}-{glyph}" d="{outline}"/>"#, self.id);
        }
        svg + "</defs>" + &self.body + "</svg>\n"
    }
}

/// A text as content or attribute of XML. Characters that XML forbids are left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
