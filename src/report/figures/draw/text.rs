//! Text as outlines of the built-in typeface (Noto Sans): a figure looks the same on every machine.
//!
//! `_{…}` makes a subscript and `^{…}` a superscript, as in `W_{EI}` and `10^{3}`.

use std::fmt::Write;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve, Point};

/// Size of sub- and superscripts over that of their line.
const SCRIPT_SIZE: f32 = 0.72;
/// How far scripts are moved down and up, in units of the line's size.
const SUB_SHIFT: f32 = 0.16;
const SUPER_SHIFT: f32 = -0.36;

/// Part of the program: none only if the typeface were damaged, which a test excludes.
static FONT: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(notosans::REGULAR_TTF).ok());

/// A glyph in its place on a line of size 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Number in the typeface.
    pub glyph: u16,
    /// Pen position.
    pub x: f32,
    /// Baseline, downwards.
    pub y: f32,
    /// Size over that of the line.
    pub size: f32,
}

/// Glyphs of a text and their total width, both for size 1.
pub fn set(text: &str) -> (Vec<Placed>, f32) {
    let Some(font) = FONT.as_ref() else {
        return (Vec::new(), 0.0);
    };
    let em = font.units_per_em().unwrap_or(1000.0);
    let (mut placed, mut pen) = (Vec::new(), 0.0);
    let (mut size, mut y) = (1.0, 0.0);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if matches!(character, '_' | '^') && characters.peek() == Some(&'{') {
            characters.next();
            let shift = if character == '_' {
                SUB_SHIFT
            } else {
                SUPER_SHIFT
            };
            (size, y) = (SCRIPT_SIZE, shift);
            continue;
        }
        if character == '}' && size < 1.0 {
            (size, y) = (1.0, 0.0);
            continue;
        }
        let glyph = font.glyph_id(character);
        placed.push(Placed {
            glyph: glyph.0,
            x: pen,
            y,
            size,
        });
        pen += size * font.h_advance_unscaled(glyph) / em;
    }
    (placed, pen)
}

/// Width of a text, in units of `size`.
pub fn width(text: &str, size: f64) -> f64 {
    f64::from(set(text).1) * size
}

/// Outline of a glyph as SVG path data, 1000 units to the size, baseline at 0, downwards. Empty for
/// spaces.
pub fn outline(glyph: u16) -> String {
    let mut path = String::new();
    let Some(font) = FONT.as_ref() else {
        return path;
    };
    let Some(outline) = font.outline(GlyphId(glyph)) else {
        return path;
    };
    let scale = 1000.0 / font.units_per_em().unwrap_or(1000.0);
    let mut pen = Pen {
        path: &mut path,
        scale,
        at: (i32::MIN, i32::MIN),
    };
    for curve in &outline.curves {
        match curve {
            OutlineCurve::Line(a, b) => pen.draw('l', a, &[b]),
            OutlineCurve::Quad(a, b, c) => pen.draw('q', a, &[b, c]),
            OutlineCurve::Cubic(a, b, c, d) => pen.draw('c', a, &[b, c, d]),
        }
    }
    path
}

struct Pen<'a> {
    path: &'a mut String,
    scale: f32,
    at: (i32, i32),
}

impl Pen<'_> {
    fn whole(&self, point: &Point) -> (i32, i32) {
        let round = |x: f32| (x * self.scale).round() as i32;
        (round(point.x), -round(point.y))
    }

    fn draw(&mut self, command: char, from: &Point, to: &[&Point]) {
        let start = self.whole(from);
        // Writing to a string cannot fail.
        if start != self.at {
            let _ = write!(self.path, "M{} {}", start.0, start.1);
        }
        self.path.push(command);
        for (i, point) in to.iter().enumerate() {
            self.at = self.whole(point);
            push_pair(self.path, i == 0, self.at.0 - start.0, self.at.1 - start.1);
        }
    }
}

/// Appends two numbers with the separators they need.
pub fn push_pair(path: &mut String, first: bool, x: i32, y: i32) {
    // Writing to a string cannot fail.
    let _ = match (first || x < 0, y < 0) {
        (true, true) => write!(path, "{x}{y}"),
        (true, false) => write!(path, "{x} {y}"),
        (false, true) => write!(path, " {x}{y}"),
        (false, false) => write!(path, " {x} {y}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_typeface_has_every_character_the_figures_use() {
        let font = FONT.as_ref().unwrap();
        let used = "0123456789.,-+−×±µγθσ‖·…–²→∂≤≥<>()|%/=:; ABCDEFGHIabcdefghijklmnopqrstuvwxyz";
        let missing: Vec<char> = used.chars().filter(|c| font.glyph_id(*c).0 == 0).collect();
        assert_eq!(missing, [' '; 0]);
        assert_eq!(
            font.glyph_id('\u{12000}').0,
            0,
            "the check must be able to fail"
        );
    }

    #[test]
    fn scripts_are_smaller_and_moved() {
        let (glyphs, width) = set("W_{E}^{2}x");
        let sizes: Vec<f32> = glyphs.iter().map(|g| g.size).collect();
        assert_eq!(sizes, [1.0, SCRIPT_SIZE, SCRIPT_SIZE, 1.0]);
        assert!(glyphs[1].y > 0.0 && glyphs[2].y < 0.0 && glyphs[3].y == 0.0);
        assert!(width > glyphs[3].x);
        // Plain underscores of names stay what they are, and so do braces.
        assert_eq!(set("a_b}").0.len(), 4);
    }

    #[test]
    fn outlines_start_and_stay_near_the_line() {
        let letter = outline(set("H").0[0].glyph);
        assert!(letter.starts_with('M') && letter.len() < 200, "{letter}");
        assert_eq!(outline(set(" ").0[0].glyph), "");
    }
}
