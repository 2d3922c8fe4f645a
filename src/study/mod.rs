//! Studies: a base configuration, axes along which it changes, and what is reported of the runs.
//!
//! A study file ([`spec`]) becomes cells ([`expand`]), each cell a run in a folder of its own
//! ([`folder`]). The [`runner`] has every cell trained by a process of its own; the [`table`]
//! collects their [`measures`], and [`aggregate`] their means over seeds.

use crate::families::Family;
use std::path::Path;

use serde_json::Value;

pub mod aggregate;
pub mod expand;
pub mod folder;
pub mod measures;
pub mod runner;
pub mod spec;
pub mod table;

mod error;
mod load;

pub use error::StudyError;
pub use expand::Cell;
pub use folder::{CellRecord, CellState, CellStatus, StudyFolder, short_name, shown_metrics};
pub use load::{BUILTINS, builtin};

use spec::StudySpec;

/// A study and its cells.
#[derive(Clone, Debug)]
pub struct Study {
    /// What the user wrote; the base with every key.
    pub spec: StudySpec,
    /// All combinations of the axes' values, the last axis fastest.
    pub cells: Vec<Cell>,
}

impl Study {
    /// The family of its networks.
    pub fn family(&self) -> Family {
        let first = self.cells.first();
        first.map_or(Family::ALL[0], |cell| cell.config.family())
    }

    /// The study of a file, or a built-in one by name, as `audit`.
    ///
    /// # Errors
    /// Any [`StudyError`] of a file that cannot be read or does not describe a study.
    pub fn load(path: &Path) -> Result<Self, StudyError> {
        let (source, text) = load::read(path)?;
        Self::parse(&text, &source)
    }

    /// The study that `text` describes; messages call it `source`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, source: &str) -> Result<Self, StudyError> {
        let mut spec = load::parse(text, source)?;
        load::check_references(&spec, source)?;
        let (base, cells) = expand::expand(&spec, source)?;
        load::check_measures(&spec, base.family(), source)?;
        let other = cells
            .iter()
            .find(|cell| cell.config.as_conductance().is_none());
        if let (Some(other), Some(sweep)) = (other, &spec.sweep) {
            let message = format!(
                "a sweep multiplies the E–I loop of spiking networks, and cell {} is of the family {}; leave it out",
                other.name,
                other.config.family().name()
            );
            let value = serde_json::to_value(sweep).unwrap_or(Value::Null);
            return Err(error::invalid(source, "sweep", &value, message));
        }
        spec.base = serde_json::to_value(base).unwrap_or(Value::Null);
        Ok(Self { spec, cells })
    }

    /// The cell of this name, or of this index from 0.
    ///
    /// # Errors
    /// [`StudyError::NoCell`].
    pub fn cell(&self, name_or_index: &str) -> Result<&Cell, StudyError> {
        let by_index = || {
            let index: usize = name_or_index.parse().ok()?;
            self.cells.get(index)
        };
        let by_name = self.cells.iter().find(|cell| cell.name == name_or_index);
        by_name.or_else(by_index).ok_or_else(|| StudyError::NoCell {
            wanted: name_or_index.to_owned(),
            last_index: self.cells.len().saturating_sub(1),
            first: self
                .cells
                .first()
                .map_or_else(String::new, |cell| cell.name.clone()),
        })
    }
}
