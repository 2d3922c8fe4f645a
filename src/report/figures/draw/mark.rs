//! What can be drawn into a panel, in the panel's own units.

use super::svg::{At, Colour, Fill, Marker, Stroke, Svg};

/// A place in data units.
pub type Point = (f64, f64);

/// Places on one pixel column beyond which a line is thinned out.
const LINE_POINTS: usize = 1500;

/// One thing drawn.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A line through the points; a point with NaN breaks it.
    Line {
        /// Its points.
        points: Vec<Point>,
        /// How it looks.
        stroke: Stroke,
    },
    /// A marker at each point.
    Points {
        /// Where.
        points: Vec<Point>,
        /// Shape.
        marker: Marker,
        /// Pixels across.
        size: f64,
        /// Colour.
        colour: Colour,
        /// Outline only.
        open: bool,
    },
    /// A histogram: `edges` are one more than `heights`.
    Steps {
        /// Edges of the bins.
        edges: Vec<f64>,
        /// Height of each bin.
        heights: Vec<f64>,
        /// Outline.
        stroke: Option<Stroke>,
        /// Area under it.
        fill: Option<Fill>,
    },
    /// An area between two corners.
    Bar {
        /// One corner.
        from: Point,
        /// The opposite one.
        to: Point,
        /// How it looks.
        fill: Fill,
    },
    /// A vertical interval with end caps.
    Interval {
        /// Where.
        x: f64,
        /// Its ends.
        y: (f64, f64),
        /// How it looks.
        stroke: Stroke,
    },
    /// A spike raster: a vertical stroke a point.
    Spikes {
        /// Time and row.
        points: Vec<Point>,
        /// Rows are this high.
        row: f64,
        /// Colour.
        colour: Colour,
    },
    /// The area between two lines.
    Band {
        /// Place, lower and upper end; where one is NaN the area pauses.
        points: Vec<(f64, f64, f64)>,
        /// How it looks.
        fill: Fill,
    },
    /// A line across the panel at this height, not part of the data.
    Level {
        /// Height.
        y: f64,
        /// How it looks.
        stroke: Stroke,
    },
    /// A line from bottom to top at this place, not part of the data.
    Upright {
        /// Place.
        x: f64,
        /// How it looks.
        stroke: Stroke,
    },
    /// Words, centred on a point.
    Words {
        /// Where.
        at: Point,
        /// How far below the point, pixels.
        down: f64,
        /// What.
        words: String,
        /// Size, pixels.
        size: f64,
        /// Colour.
        colour: Colour,
    },
}

impl Mark {
    /// Every place the axes must show.
    pub fn places(&self) -> Vec<Point> {
        match self {
            Self::Line { points, .. } | Self::Points { points, .. } => points.clone(),
            Self::Spikes { points, row, .. } => points
                .iter()
                .flat_map(|(x, y)| [(*x, y - row / 2.0), (*x, y + row / 2.0)])
                .collect(),
            Self::Steps { edges, heights, .. } => {
                let ends = [edges.first(), edges.last()].into_iter().flatten();
                let flat = ends.map(|x| (*x, f64::NAN));
                flat.chain(heights.iter().map(|h| (f64::NAN, *h))).collect()
            }
            Self::Bar { from, to, .. } => vec![*from, *to],
            Self::Interval { x, y, .. } => vec![(*x, y.0), (*x, y.1)],
            Self::Band { points, .. } => points
                .iter()
                .flat_map(|(x, low, high)| [(*x, *low), (*x, *high)])
                .collect(),
            Self::Level { y, .. } => vec![(f64::NAN, *y)],
            Self::Upright { x, .. } => vec![(*x, f64::NAN)],
            Self::Words { at, .. } => vec![*at],
        }
    }

    /// Draws the mark; `place` turns data into pixels (NaN: nowhere), `bottom` and `top` are the ends
    /// of the panel, `left` and `right` its sides.
    pub fn draw(&self, svg: &mut Svg, place: &dyn Fn(Point) -> At, frame: Frame) {
        let shown = |points: &[Point]| -> Vec<At> {
            let placed = points.iter().map(|p| place(*p));
            placed.filter(is_shown).collect()
        };
        match self {
            Self::Line { points, stroke } => draw_line(svg, points, *stroke, place),
            Self::Points {
                points,
                marker,
                size,
                colour,
                open,
            } => {
                svg.markers(&shown(points), *marker, *size, *colour, *open);
            }
            Self::Steps {
                edges,
                heights,
                stroke,
                fill,
            } => {
                let outline = steps_outline(edges, heights, place, frame.bottom);
                if let Some(fill) = fill {
                    svg.area(&outline, *fill);
                }
                if let Some(stroke) = stroke {
                    svg.lines(&[outline], *stroke);
                }
            }
            Self::Bar { from, to, fill } => {
                let (a, b) = (place(*from), place(*to));
                if is_shown(&a) && is_shown(&b) {
                    let at = (a.0.min(b.0), a.1.min(b.1));
                    svg.rectangle(at, (a.0 - b.0).abs(), (a.1 - b.1).abs(), *fill);
                }
            }
            Self::Interval { x, y, stroke } => {
                let ends = shown(&[(*x, y.0), (*x, y.1)]);
                if let [low, high] = ends[..] {
                    let cap = |at: At| vec![(at.0 - 3.0, at.1), (at.0 + 3.0, at.1)];
                    svg.lines(&[vec![low, high], cap(low), cap(high)], *stroke);
                }
            }
            Self::Spikes {
                points,
                row,
                colour,
            } => {
                draw_spikes(
                    svg,
                    shown(points),
                    (place((0.0, 0.0)).1, place((0.0, *row)).1),
                    *colour,
                );
            }
            Self::Band { points, fill } => draw_band(svg, points, *fill, place),
            Self::Level { y, stroke } => {
                let y = place((f64::NAN, *y)).1;
                svg.lines(&[vec![(frame.left, y), (frame.right, y)]], *stroke);
            }
            Self::Upright { x, stroke } => {
                let x = place((*x, f64::NAN)).0;
                svg.lines(&[vec![(x, frame.top), (x, frame.bottom)]], *stroke);
            }
            Self::Words {
                at,
                down,
                words,
                size,
                colour,
            } => {
                let (x, y) = place(*at);
                if x.is_finite() && y.is_finite() {
                    let anchor = super::svg::Anchor::Middle;
                    svg.text((x, y + down + 0.36 * size), words, *size, anchor, *colour);
                }
            }
        }
    }
}

/// Strokes as high as a row, which lies between two heights.
fn draw_spikes(svg: &mut Svg, mut spots: Vec<At>, (low, high): (f64, f64), colour: Colour) {
    // Spikes that fall on the same half pixel look the same: one stroke for them.
    let spot = |at: &At| ((at.0 * 2.0).round() as i64, (at.1 * 10.0).round() as i64);
    spots.sort_by_key(|at| (spot(at).1, spot(at).0));
    spots.dedup_by_key(|at| spot(at));
    let height = (low - high).abs().max(3.0);
    svg.ticks(&spots, height, Stroke::solid(colour, 1.4));
}

fn is_shown(at: &At) -> bool {
    at.0.is_finite() && at.1.is_finite()
}

/// A line in pieces between its gaps; a point alone is a dot.
fn draw_line(svg: &mut Svg, points: &[Point], stroke: Stroke, place: &dyn Fn(Point) -> At) {
    let placed: Vec<At> = points.iter().map(|p| place(*p)).collect();
    let pieces = placed.split(|at| !is_shown(at));
    let pieces = pieces.filter(|piece| !piece.is_empty());
    let mut lines: Vec<Vec<At>> = pieces.map(thinned).collect();
    let single = lines.iter().filter(|line| line.len() == 1);
    let alone: Vec<At> = single.map(|line| line[0]).collect();
    svg.markers(&alone, Marker::Circle, 3.0, stroke.colour, false);
    lines.retain(|line| line.len() > 1);
    svg.lines(&lines, stroke);
}

/// The outline of a histogram, from the bottom of the panel and back.
fn steps_outline(
    edges: &[f64],
    heights: &[f64],
    place: &dyn Fn(Point) -> At,
    bottom: f64,
) -> Vec<At> {
    let mut outline = vec![(place((edges[0], f64::NAN)).0, bottom)];
    for (pair, height) in edges.windows(2).zip(heights) {
        let y = place((pair[0], *height)).1;
        let y = if y.is_finite() { y.min(bottom) } else { bottom };
        outline.extend([pair[0], pair[1]].map(|edge| (place((edge, f64::NAN)).0, y)));
    }
    if let Some(last) = outline.last().copied() {
        outline.push((last.0, bottom));
    }
    outline
}

/// An area in pieces between its gaps.
fn draw_band(svg: &mut Svg, points: &[(f64, f64, f64)], fill: Fill, place: &dyn Fn(Point) -> At) {
    let ends = points.iter();
    let placed: Vec<(At, At)> = ends
        .map(|(x, low, high)| (place((*x, *low)), place((*x, *high))))
        .collect();
    let pieces = placed.split(|(low, high)| !(is_shown(low) && is_shown(high)));
    for piece in pieces.filter(|piece| piece.len() > 1) {
        let there = piece.iter().map(|ends| ends.0);
        let back = piece.iter().rev().map(|ends| ends.1);
        svg.area(&there.chain(back).collect::<Vec<_>>(), fill);
    }
}

/// Sides of a panel's data area, pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Left side.
    pub left: f64,
    /// Right side.
    pub right: f64,
    /// Upper side.
    pub top: f64,
    /// Lower side.
    pub bottom: f64,
}

/// A line of very many points, reduced to the lowest and highest of each half pixel's run: the
/// picture stays the same.
fn thinned(line: &[At]) -> Vec<At> {
    if line.len() <= LINE_POINTS {
        return line.to_vec();
    }
    let run = |at: &At| (at.0 * 2.0).floor() as i64;
    let runs = line.chunk_by(|a, b| run(a) == run(b));
    let ends = runs.flat_map(|points| {
        let by_height = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
        let low = (0..points.len()).min_by(by_height).unwrap_or(0);
        let high = (0..points.len()).max_by(by_height).unwrap_or(0);
        let mut kept = vec![0, low, high, points.len() - 1];
        kept.sort_unstable();
        kept.dedup();
        kept.into_iter().map(|i| points[i]).collect::<Vec<_>>()
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg_of(mark: &Mark) -> String {
        let frame = Frame {
            left: 0.0,
            right: 100.0,
            top: 0.0,
            bottom: 100.0,
        };
        let mut svg = Svg::new("t");
        mark.draw(&mut svg, &|(x, y)| (x, 100.0 - y), frame);
        svg.finish(100.0, 100.0, "")
    }

    fn line(points: Vec<Point>) -> Mark {
        Mark::Line {
            points,
            stroke: Stroke::solid(Colour::Ink, 1.0),
        }
    }

    #[test]
    fn nan_breaks_a_line_and_draws_nothing() {
        let y = |i: usize| if i == 3 { f64::NAN } else { 10.0 };
        let svg = svg_of(&line((0..7).map(|i| (i as f64, y(i))).collect()));
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert!(
            svg.contains("M0 900l10 0 10 0M40 900l10 0 10 0") && !svg.contains("1000l"),
            "{svg}"
        );
        let alone = svg_of(&line(vec![(1.0, 2.0), (f64::NAN, 0.0), (3.0, 4.0)]));
        assert_eq!(alone.matches("a15 15").count(), 4, "{alone}");
    }

    #[test]
    fn a_long_line_keeps_its_extremes() {
        let y = |i: usize| if i == 50_000 { 99.0 } else { (i % 7) as f64 };
        let long: Vec<At> = (0..100_000).map(|i| (i as f64 / 1000.0, y(i))).collect();
        let short = thinned(&long);
        assert!(
            short.len() < 1000 && short.iter().any(|p| p.1 == 99.0),
            "{}",
            short.len()
        );
        assert_eq!((short[0], short[short.len() - 1]), (long[0], long[99_999]));
    }
}
