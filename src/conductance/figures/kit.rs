//! What several figures of this family share: the matrices, and sums of rates.

use crate::report::figures::draw::panel::Key;
use crate::report::figures::draw::svg::{Colour, Dash, Stroke};
use crate::report::figures::groups::{BLUE, GREEN, VERMILION};
use crate::report::figures::kit::line_key;

/// Order and names of the matrices.
pub const MATRICES: [(&str, &str); 6] = [
    ("in", "W_{in}"),
    ("out", "W_{out}"),
    ("ei", "W_{EI}"),
    ("ie", "W_{IE}"),
    ("ee", "W_{EE}"),
    ("ii", "W_{II}"),
];

/// Colours of the matrices in lines.
pub fn matrix_colour(short: &str) -> Colour {
    match short {
        "out" => GREEN,
        "ei" => BLUE,
        "ie" => VERMILION,
        _ => Colour::Ink,
    }
}

/// The unit of a matrix, as axis labels have it.
pub fn unit(short: &str) -> &'static str {
    if short == "out" { "" } else { " (µS)" }
}

/// A sum of rates: wide and pale, so that a part that is all of the sum still shows on it.
pub fn sum_stroke(colour: Colour) -> Stroke {
    Stroke {
        opacity: 0.35,
        ..Stroke::solid(colour, 4.0)
    }
}

/// Key to a sum of rates and its parts.
pub fn sum_key() -> [Key; 3] {
    let ink = Stroke::solid(Colour::Ink, 1.3);
    [
        line_key(sum_stroke(Colour::Ink), "E + I"),
        line_key(ink, "E"),
        line_key(ink.dashed(Dash::Dashed), "I"),
    ]
}
