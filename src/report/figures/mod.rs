//! Publishable figures of runs and studies: SVG with the numbers drawn beside it, and PNG.
//!
//! Lines and letters are drawn in the text colour of the page around (`currentColor`), so that one
//! file suits light and dark pages. The same records give the same bytes.
//!
//! A figure is a function from records to a `sheet::Sheet`: it fills a table, and makes marks of its rows.
//! Below it are `kit` (what several figures share), `groups` (conditions and their colours) and `draw`
//! (panels, axes, letters). Here are the figures that suit every family; each family lists its own
//! and these in its folder, and `choice` picks those that a study asks for.

pub(crate) mod choice;
pub(crate) mod classes;
pub(crate) mod comparison;
pub(crate) mod draw;
pub(crate) mod groups;
pub(crate) mod kit;
mod png;
pub(crate) mod sheet;
pub(crate) mod spectra;
pub(crate) mod training;

pub use png::{FigureError, png};
pub use sheet::{Figure, Missing, Table};
