//! Publishable figures of runs and studies: SVG with the numbers drawn beside it, and PNG.
//!
//! Lines and letters are drawn in the text colour of the page around (`currentColor`), so that one
//! file suits light and dark pages. The same records give the same bytes.
//!
//! A figure is a function from records to a `sheet::Sheet`: it fills a table, and makes marks of its rows.
//! Below it are `kit` (what several figures share), `groups` (conditions and their colours) and `draw`
//! (panels, axes, letters); above it is the list of them, `choice`.

mod activity;
mod cell_rates;
mod choice;
mod comparison;
mod diagnostic;
mod draw;
mod groups;
mod kit;
mod loops;
mod participation;
mod png;
mod run;
mod sheet;
mod sweep;
mod training;
mod weights;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use png::{FigureError, png};
pub use sheet::{Figure, Missing, Table};

use crate::record::RunRecord;
use crate::study::CellRecord;
use crate::study::spec::StudySpec;
use groups::Groups;
use sheet::Sheet;

/// Every figure of one run, in the order of a page.
pub fn of_run(record: &RunRecord) -> Vec<Result<Figure, Missing>> {
    run::sheets(record)
        .into_iter()
        .map(|sheet| sheet.map(Sheet::drawn))
        .collect()
}

/// Every figure of a study, or those that the study names, in its order. A name is that of a figure;
/// `diagnostic` and `weights` are cards of all conditions, and `weights_CONDITION` is the card of one, with all
/// values of further axes.
pub fn of_study(spec: &StudySpec, cells: &[CellRecord]) -> Vec<Result<Figure, Missing>> {
    study_sheets(spec, cells)
        .into_iter()
        .map(|sheet| sheet.map(Sheet::drawn))
        .collect()
}

fn study_sheets(spec: &StudySpec, cells: &[CellRecord]) -> Vec<Result<Sheet, Missing>> {
    choice::sheets(&Groups::new(spec, cells), &spec.figures)
}
