//! Publishable figures of runs and studies: SVG with the numbers drawn beside it, and PNG.
//!
//! Lines and letters are drawn in the text colour of the page around (`currentColor`), so that one
//! file suits light and dark pages. The same records give the same bytes.

mod activity;
mod budget;
mod cards;
mod draw;
mod groups;
mod loops;
mod norms;
mod participation;
mod path;
mod png;
mod response;
mod run;
mod sweep;
mod table;
mod training;
mod weights;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use png::{FigureError, png};
pub use table::Table;

use crate::record::RunRecord;
use crate::study::CellRecord;
use crate::study::spec::StudySpec;
use draw::page::Page;
use groups::Groups;

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Name of its files.
    pub id: String,
    /// A few words above it.
    pub title: String,
    /// What it shows, and of which weights, epochs and cells.
    pub caption: String,
    /// What a reader who sees no picture is told.
    pub alt: String,
    /// The picture.
    pub svg: String,
    /// The numbers drawn.
    pub table: Table,
}

/// A figure that the data do not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name the figure would have.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What is lacking.
    pub reason: String,
}

impl Missing {
    fn new(id: impl Into<String>, title: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            reason: reason.into(),
        }
    }
}

/// A figure before it is drawn.
#[derive(Clone, Debug)]
struct Sheet {
    id: String,
    title: String,
    caption: String,
    alt: String,
    page: Page,
    table: Table,
}

impl Sheet {
    fn drawn(self) -> Figure {
        let svg = self.page.svg(&self.id, &self.alt);
        Figure {
            id: self.id,
            title: self.title,
            caption: self.caption,
            alt: self.alt,
            svg,
            table: self.table,
        }
    }
}

/// Every figure of one run, in the order of a page.
pub fn of_run(record: &RunRecord) -> Vec<Result<Figure, Missing>> {
    run::sheets(record)
        .into_iter()
        .map(|sheet| sheet.map(Sheet::drawn))
        .collect()
}

/// Every figure of a study, or those that the study names, in its order. A name may be that of a
/// figure, or its beginning: `diagnostic` or `weights` for the cards of all conditions,
/// `weights_CONDITION` for those of a condition with all values of the other axes.
pub fn of_study(spec: &StudySpec, cells: &[CellRecord]) -> Vec<Result<Figure, Missing>> {
    study_sheets(spec, cells)
        .into_iter()
        .map(|sheet| sheet.map(Sheet::drawn))
        .collect()
}

/// Why there is no figure of this name.
fn absent(name: &str) -> Missing {
    let of_cards = |(stem, what): (&str, &str)| {
        let rest = name.strip_prefix(stem)?;
        let condition = rest.strip_prefix('_').filter(|c| *c != "CONDITION");
        (rest.is_empty() || rest.starts_with('_')).then(|| match condition {
            Some(condition) => format!("{what}: {condition}"),
            None => what.to_owned(),
        })
    };
    let cards = [("diagnostic", "Diagnostics"), ("weights", "Loop weights")];
    match cards.into_iter().find_map(of_cards) {
        Some(title) => Missing::new(name, title, "no cell of it has a run yet"),
        None => {
            let reason = "no figure of this name; see the list of figures in the documentation";
            Missing::new(name, name, reason)
        }
    }
}

fn study_sheets(spec: &StudySpec, cells: &[CellRecord]) -> Vec<Result<Sheet, Missing>> {
    let groups = Groups::new(spec, cells);
    let mut sheets = vec![
        training::curves(&groups),
        budget::spike_budget(&groups),
        sweep::grid(&groups),
        sweep::diagonal(&groups),
        norms::norms(&groups),
        weights::histograms(&groups),
        path::accuracy_against_rate(&groups),
        activity::cell_rates(&groups),
        participation::participation(&groups),
        cards::comparison(&groups),
        response::against_parameter(&groups),
        loops::i_silencing(&groups),
        loops::i_input(&groups),
        loops::slopes(&groups),
    ];
    for group in &groups.groups {
        sheets.push(cards::diagnostic(group));
        sheets.push(weights::card(group));
    }
    if spec.figures.is_empty() {
        // Nobody misses a figure of a parameter where there is none.
        let is_idle = |sheet: &Result<Sheet, Missing>| {
            groups.parameter().is_none() && matches!(sheet, Err(m) if m.id == "against_parameter")
        };
        sheets.retain(|sheet| !is_idle(sheet));
        return sheets;
    }
    let mut chosen = Vec::new();
    for name in &spec.figures {
        let stem = name.strip_suffix("_CONDITION").unwrap_or(name);
        let all = ["diagnostic", "weights"]
            .contains(&stem)
            .then(|| format!("{stem}_"));
        let named = |sheet: &&Result<Sheet, Missing>| {
            let id = sheet.as_ref().map_or_else(|m| &m.id, |s| &s.id);
            id == name
                || id
                    .strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.starts_with('_'))
                || all
                    .as_ref()
                    .is_some_and(|stem| id.starts_with(stem) && id != "weight_histograms")
        };
        let before = chosen.len();
        chosen.extend(sheets.iter().filter(named).cloned());
        if chosen.len() == before {
            chosen.push(Err(absent(name)));
        }
    }
    chosen
}
