//! A small plotting layer: [`page::Page`]s of [`panel::Panel`]s that hold [`mark::Mark`]s, written as
//! SVG with text as outlines.
//!
//! Why none of the libraries: `kuva` 0.6 (the best fit) ends a line for good at its first NaN, so a
//! gap hides the rest of a run; it writes text for the reader's fonts, or embeds a typeface of 1 MB
//! in every figure; its legends take the width of each panel, and no colour can be left to the page.
//! `plotters` 0.3.7 (2024) measures text with the machine's fonts, writes it as `<text>`, and leaves
//! panels, legends and log ticks to the caller. Others draw through a browser (`charming`,
//! `plotlars`) or are young. What the figures here need is this folder.

pub mod mark;
pub mod page;
pub mod panel;
pub mod scale;
pub mod svg;
pub mod text;
