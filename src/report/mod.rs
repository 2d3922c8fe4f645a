//! What people look at: figures and pages made from run folders, never from live state.
//!
//! `dalenet report` writes beside a run or a study: `report.html` (one file that needs no other),
//! `figures/ID.svg`, `.png` and `.csv` (drawing, pixels, the numbers drawn), and `numbers.csv` (every
//! number of the page's tables: table, row, column, value, unit).

pub mod accuracy;
pub mod figures;
pub mod finished;
pub mod method;
pub mod output;
pub mod page;
pub mod provenance;
pub mod run;
pub mod spectra;
pub mod study;
pub mod table;
pub mod text;

use std::path::Path;

use crate::study::StudyFolder;
use crate::train::run_folder::RunFiles;
pub use output::{ReportError, Written, write_figures};

/// Writes the report of the run or the study in `folder` into `out`.
///
/// # Errors
/// [`ReportError::Nothing`] where `folder` holds neither, and any other [`ReportError`].
pub fn write(folder: &Path, out: &Path) -> Result<Written, ReportError> {
    if StudyFolder::at(folder).study().is_file() {
        study::write(folder, out)
    } else if RunFiles::at(folder).config().is_file() {
        run::write(folder, out)
    } else {
        let folder = folder.to_path_buf();
        Err(ReportError::Nothing { folder })
    }
}
