//! Figures made of what a run left behind.

mod canvas;
pub mod raster;
