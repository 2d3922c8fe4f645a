//! Shapes of data points.

use super::path::{At, polyline, tenths};

/// Shapes of data points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Marker {
    /// Disc or circle.
    Circle,
    /// Square.
    Square,
    /// Triangle, point up.
    Triangle,
    /// Square on its corner.
    Diamond,
    /// Triangle, point down.
    TriangleDown,
    /// Five-pointed star.
    Star,
    /// Diagonal cross.
    Cross,
}

/// A marker of radius `r` around a point, as SVG path data.
pub fn marker_path(marker: Marker, (x, y): At, r: f64) -> String {
    let corners = |corners: &[At]| {
        let points: Vec<At> = corners
            .iter()
            .map(|(dx, dy)| (x + dx * r, y + dy * r))
            .collect();
        polyline(&points) + "z"
    };
    match marker {
        Marker::Circle => {
            let (d, r) = (2 * tenths(r), tenths(r));
            format!(
                "M{} {}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z",
                tenths(x) - r,
                tenths(y)
            )
        }
        Marker::Square => corners(&[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]),
        Marker::Triangle => corners(&[(0.0, -1.1), (1.0, 0.75), (-1.0, 0.75)]),
        Marker::TriangleDown => corners(&[(0.0, 1.1), (1.0, -0.75), (-1.0, -0.75)]),
        Marker::Diamond => corners(&[(0.0, -1.15), (1.15, 0.0), (0.0, 1.15), (-1.15, 0.0)]),
        Marker::Cross => {
            let arm = |sign: f64| polyline(&[(x - r, y - sign * r), (x + r, y + sign * r)]);
            arm(1.0) + &arm(-1.0)
        }
        Marker::Star => {
            let tip = |k: usize| {
                let (sin, cos) = libm::sincos(std::f64::consts::PI * k as f64 / 5.0);
                let radius = if k.is_multiple_of(2) { 1.25 } else { 0.5 };
                (sin * radius, -cos * radius)
            };
            corners(&(0..10).map(tip).collect::<Vec<_>>())
        }
    }
}
