//! A picture to draw on: filled rectangles, smooth lines and text, in pixels from the top left.

use ab_glyph::{Font, FontRef, Glyph, InvalidFont, ScaleFont, point};
use image::{ImageEncoder, ImageError, RgbImage};

/// Red, green and blue, 0 to 255 each.
pub type Colour = [u8; 3];

/// Where the given point lies in a text.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// Which way a text runs.
#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    /// Left to right.
    Across,
    /// Bottom to top, as the labels of vertical axes.
    Up,
}

/// An RGB picture with a typeface.
pub struct Canvas {
    pixels: RgbImage,
    font: FontRef<'static>,
}

impl Canvas {
    /// A white picture. The typeface (Noto Sans) is part of the program: no system font is used.
    pub fn new(width: u32, height: u32) -> Result<Self, InvalidFont> {
        let font = FontRef::try_from_slice(notosans::REGULAR_TTF)?;
        Ok(Self {
            pixels: RgbImage::from_pixel(width, height, image::Rgb([255; 3])),
            font,
        })
    }

    /// Fills the pixels from `(left, top)` on; what lies outside the picture is not drawn.
    pub fn rectangle(&mut self, left: i64, top: i64, width: i64, height: i64, colour: Colour) {
        for y in top..top + height {
            for x in left..left + width {
                self.blend(x, y, 1.0, colour);
            }
        }
    }

    /// A polyline with soft edges, `width` pixels thick.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, colour: Colour) {
        if points.len() < 2 {
            return;
        }
        let (mut left, mut right) = (f32::MAX, f32::MIN);
        let (mut top, mut bottom) = (f32::MAX, f32::MIN);
        for &(x, y) in points {
            (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
        }
        // Cover by the nearest segment, so that joints are not painted twice.
        let columns = (right - left).ceil() as usize + 2 * width as usize + 3;
        let rows = (bottom - top).ceil() as usize + 2 * width as usize + 3;
        let (x_0, y_0) = ((left - width).floor() as i64, (top - width).floor() as i64);
        let mut cover = vec![0.0_f32; columns * rows];
        for pair in points.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let span = |low: f32, high: f32, start: i64, count: usize| {
                let first = ((low - width).floor() as i64 - start).max(0) as usize;
                let last = ((high + width).ceil() as i64 - start).max(0) as usize;
                first..last.min(count)
            };
            for row in span(a.1.min(b.1), a.1.max(b.1), y_0, rows) {
                for column in span(a.0.min(b.0), a.0.max(b.0), x_0, columns) {
                    let centre = (
                        (x_0 + column as i64) as f32 + 0.5,
                        (y_0 + row as i64) as f32 + 0.5,
                    );
                    let inside = (width / 2.0 + 0.5 - distance(centre, a, b)).clamp(0.0, 1.0);
                    let cover = &mut cover[row * columns + column];
                    *cover = cover.max(inside);
                }
            }
        }
        for (index, cover) in cover.into_iter().enumerate() {
            self.blend(
                x_0 + (index % columns) as i64,
                y_0 + (index / columns) as i64,
                cover,
                colour,
            );
        }
    }

    /// Writes a line of text, centred across its direction on the point.
    pub fn text(
        &mut self,
        at: (f32, f32),
        text: &str,
        size: f32,
        colour: Colour,
        anchor: Anchor,
        direction: Direction,
    ) {
        let scaled = self.font.as_scaled(size);
        let length = self.text_width(text, size);
        let start = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -length / 2.0,
            Anchor::End => -length,
        };
        // Half the height of the capitals, about 0.7 of the ascent.
        let baseline = 0.35 * scaled.ascent();
        let mut pen = start;
        for character in text.chars() {
            let glyph: Glyph = scaled
                .glyph_id(character)
                .with_scale_and_position(size, point(0.0, 0.0));
            let advance = scaled.h_advance(glyph.id);
            if let Some(outline) = self.font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                // Whole pixels for the origin of a glyph keep its stems sharp.
                let (pen_x, pen_y) = match direction {
                    Direction::Across => (
                        (at.0 + pen).round() as i64,
                        (at.1 + baseline).round() as i64,
                    ),
                    Direction::Up => (
                        (at.0 + baseline).round() as i64,
                        (at.1 - pen).round() as i64,
                    ),
                };
                outline.draw(|x, y, cover| {
                    let (x, y) = (
                        i64::from(x) + bounds.min.x as i64,
                        i64::from(y) + bounds.min.y as i64,
                    );
                    let (x, y) = match direction {
                        Direction::Across => (pen_x + x, pen_y + y),
                        Direction::Up => (pen_x + y, pen_y - x - 1),
                    };
                    blend(&mut self.pixels, x, y, cover, colour);
                });
            }
            pen += advance;
        }
    }

    /// Width of a line of text, pixels.
    pub fn text_width(&self, text: &str, size: f32) -> f32 {
        let scaled = self.font.as_scaled(size);
        text.chars()
            .map(|character| scaled.h_advance(scaled.glyph_id(character)))
            .sum()
    }

    fn blend(&mut self, x: i64, y: i64, cover: f32, colour: Colour) {
        blend(&mut self.pixels, x, y, cover, colour);
    }

    /// The picture as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes).write_image(
            self.pixels.as_raw(),
            self.pixels.width(),
            self.pixels.height(),
            image::ExtendedColorType::Rgb8,
        )?;
        Ok(bytes)
    }
}

/// Mixes a colour into a pixel; outside the picture, nothing happens.
fn blend(pixels: &mut RgbImage, x: i64, y: i64, cover: f32, colour: Colour) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
        return;
    };
    if let Some(pixel) = pixels.get_pixel_mut_checked(x, y) {
        for (old, new) in pixel.0.iter_mut().zip(colour) {
            *old = (f32::from(*old) + cover.clamp(0.0, 1.0) * (f32::from(new) - f32::from(*old)))
                .round() as u8;
        }
    }
}

/// Distance of a point from a segment.
fn distance(p: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length_squared = dx * dx + dy * dy;
    let along = if length_squared > 0.0 {
        ((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length_squared
    } else {
        0.0
    };
    let along = along.clamp(0.0, 1.0);
    (p.0 - a.0 - along * dx).hypot(p.1 - a.1 - along * dy)
}
