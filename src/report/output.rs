//! What a report leaves behind: `report.html`, `numbers.csv`, and `figures/ID.svg`, `.png`, `.csv`.

use std::fs;
use std::path::{Path, PathBuf};

use super::figures::{self, Figure, FigureError, Missing};
use super::page::Page;
use super::table::{NumberTable, numbers_csv};
use crate::fault::{Blame, Fault};
use crate::files::{FileError, write_atomic};
use crate::record::RecordError;
use crate::study::StudyError;

/// Width of the figures' pixel versions, px.
const PNG_WIDTH_PX: u32 = 1600;

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The study cannot be read.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A figure cannot be made to pixels.
    #[error("figure `{id}`: {source}")]
    Figure {
        /// Name of the figure.
        id: String,
        /// Why.
        source: FigureError,
    },
    /// The numbers cannot be written as CSV.
    #[error("a table cannot be written as CSV: {0}")]
    Table(#[from] csv::Error),
    /// The folder holds neither a run nor a study.
    #[error(
        "{} holds neither a run (config.json) nor a study (study.json); check the path",
        folder.display()
    )]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
}

impl Blame for ReportError {
    fn fault(&self) -> Fault {
        match self {
            // A damaged run or study is not this program's to mend.
            Self::Nothing { .. } | Self::Record(_) | Self::Study(_) => Fault::User,
            Self::File(_) | Self::Figure { .. } | Self::Table(_) => Fault::Program,
        }
    }
}

/// A page with everything that belongs to it.
#[derive(Debug)]
pub struct Report {
    /// The page.
    pub page: Page,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Figures that could not be drawn.
    pub missing: Vec<Missing>,
    /// Its tables with numbers.
    pub tables: Vec<NumberTable>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// Figures drawn.
    pub figures: usize,
    /// Titles of figures that could not be drawn, and why.
    pub missing: Vec<(String, String)>,
}

impl Report {
    /// Writes all files into `folder`, made if absent. The page comes last, so that it never
    /// links to what is not there.
    ///
    /// # Errors
    /// [`ReportError::File`], [`ReportError::Figure`] or [`ReportError::Table`].
    pub fn write(&self, folder: &Path) -> Result<Written, ReportError> {
        let drawings = folder.join("figures");
        write_figures(&drawings, &self.figures)?;
        for missing in &self.missing {
            // An older page may have had the figure; nobody should take it for one of this page.
            for kind in ["svg", "png", "csv"] {
                let _ = fs::remove_file(drawings.join(format!("{}.{kind}", missing.id)));
            }
        }
        write_atomic(&folder.join("numbers.csv"), &numbers_csv(&self.tables)?)?;
        let page = folder.join("report.html");
        write_atomic(&page, self.page.html().as_bytes())?;
        let missing = self.missing.iter();
        Ok(Written {
            page,
            figures: self.figures.len(),
            missing: missing
                .map(|m| (m.title.clone(), m.reason.clone()))
                .collect(),
        })
    }
}

/// Writes figures as `ID.svg`, `.png` and `.csv` into `folder`, made if absent.
///
/// # Errors
/// [`ReportError::File`], [`ReportError::Figure`] or [`ReportError::Table`].
pub fn write_figures(folder: &Path, all: &[Figure]) -> Result<(), ReportError> {
    fs::create_dir_all(folder).map_err(FileError::io("create folder", folder))?;
    for figure in all {
        let file = |kind: &str| folder.join(format!("{}.{kind}", figure.id));
        let png = figures::png(&figure.svg, PNG_WIDTH_PX).map_err(|source| {
            let id = figure.id.clone();
            ReportError::Figure { id, source }
        })?;
        write_atomic(&file("svg"), figure.svg.as_bytes())?;
        write_atomic(&file("png"), &png)?;
        write_atomic(&file("csv"), &figure.table.csv()?)?;
    }
    Ok(())
}

/// Divides what the figures return into drawn and missing.
pub fn divide(figures: Vec<Result<Figure, Missing>>) -> (Vec<Figure>, Vec<Missing>) {
    let mut drawn = Vec::new();
    let mut missing = Vec::new();
    for figure in figures {
        match figure {
            Ok(figure) => drawn.push(figure),
            Err(reason) => missing.push(reason),
        }
    }
    (drawn, missing)
}
