//! Lines as SVG path data.

use std::fmt::Write;

use super::text;

/// A point, pixels from the left and from the top.
pub type At = (f64, f64);

/// Whole tenths of a pixel.
pub fn tenths(pixels: f64) -> i32 {
    (pixels * 10.0).round() as i32
}

/// A line through points, as SVG path data.
pub fn polyline(points: &[At]) -> String {
    let mut path = String::new();
    let mut at = None;
    for &(x, y) in points {
        let next = (tenths(x), tenths(y));
        match at {
            None => {
                let _ = write!(path, "M{} {}l", next.0, next.1);
            }
            Some(last) if last == next => continue,
            Some((x, y)) => {
                let first = path.ends_with('l');
                text::push_pair(
                    &mut path,
                    first,
                    next.0.saturating_sub(x),
                    next.1.saturating_sub(y),
                );
            }
        }
        at = Some(next);
    }
    // A line of one place would be invisible: a stroke of no length has round ends only.
    if path.ends_with('l') {
        path.push_str("1 0");
    }
    path
}
