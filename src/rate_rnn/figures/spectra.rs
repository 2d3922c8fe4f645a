//! Singular values of the matrices, at the start and now.

use crate::rate_rnn::analysis::{MatrixAnalysis, RunAnalysis};
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::{Colour, Dash, Stroke};
use crate::report::figures::groups::BLUE;
use crate::report::figures::kit::{brief, columns, line_key};
use crate::report::figures::sheet::{Missing, Sheet, Table};

/// Title of the figure.
pub const TITLE: &str = "Singular values of the matrices";

/// Singular values in their order, a panel a matrix.
pub fn spectra(analysis: &RunAnalysis, checkpoint: &str) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["matrix", "rank", "at_start", "now"]);
    let matrices = analysis.matrices.iter();
    let panels = matrices.filter_map(|(name, matrix)| panel(name, matrix, &mut table));
    let panels: Vec<Panel> = panels.collect();
    if panels.is_empty() {
        let reason = "the analysis has no singular values; the weights are not finite";
        return Err(Missing::new("spectra", TITLE, reason));
    }
    let columns = columns(panels.len());
    Ok(Sheet {
        id: "spectra".into(),
        title: TITLE.into(),
        caption: format!(
            "Singular values of every matrix as the forward pass uses it (input l0.u, recurrent l0.w, …, read-out \
             out.w), largest first, at the start (dashed) and at the checkpoint (solid). H: entropy of the singular \
             values divided by that of equal ones, 1 where all are equal and 0 where one is alone. Checkpoint: \
             {checkpoint}."
        ),
        alt: "Singular values against their rank, a panel for each matrix.".into(),
        page: PanelRows::grid(panels, columns, 130.0),
        table,
    })
}

/// The panel of a matrix; none where it has no singular values.
fn panel(name: &str, matrix: &MatrixAnalysis, table: &mut Table) -> Option<Panel> {
    let (start, now) = (&matrix.initial.singular_values, &matrix.now.singular_values);
    if start.is_empty() || start.len() != now.len() {
        return None;
    }
    let both = (1..).zip(start.iter().zip(now));
    let rows = both.map(|(rank, (start, now))| [f64::from(rank), *start, *now]);
    let rows = table.add(&[name], rows);
    let y = Axis::new("singular value").from(0.0);
    let mut panel = Panel::new(name, Axis::new("rank").from(0.0).counted(), y);
    let ink = Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dashed);
    let blue = Stroke::solid(BLUE, 1.5);
    for (column, stroke, words, spectrum) in [
        ("at_start", ink, "start", &matrix.initial),
        ("now", blue, "now", &matrix.now),
    ] {
        panel
            .marks
            .push(table.line(&rows, ["rank", column], stroke));
        let words = format!("{words}: H {}", brief(spectrum.entropy));
        panel.key.push(line_key(stroke, words));
    }
    if matrix.now.radius.is_finite() {
        let words = format!("radius {}", brief(matrix.now.radius));
        panel.key.push(Key::new(LegendSample::Nothing, words));
    }
    Some(panel)
}
