//! A small plotting layer: [`page::Page`]s of [`panel::Panel`]s that hold [`mark::Mark`]s, written as
//! SVG with text as outlines.
//!
//! What the figures need of a plotting layer: lines that go on after a gap (NaN), text as outlines of
//! one built-in typeface, so that pictures have the same bytes on every machine, a text colour that is
//! left to the page around (`currentColor`), keys above panels, and logarithmic ticks.

pub mod bar;
pub mod mark;
pub mod marker;
pub mod page;
pub mod panel;
pub mod path;
pub mod scale;
pub mod svg;
pub mod text;
