//! Histograms of weights, at the start and now.

use super::kit::{MATRICES, matrix_colour, unit};
use crate::conductance::analysis::record::MatrixAnalysis;
use crate::conductance::record;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::{Key, LegendSample, Panel};
use crate::report::figures::draw::scale::{Axis, Scale};
use crate::report::figures::draw::svg::{Colour, Fill, Stroke};
use crate::report::figures::groups::{CellRun, Group, Groups, VERMILION};
use crate::report::figures::kit::{brief, fill, names};
use crate::report::figures::sheet::{Missing, Rows, Sheet, Table};

const COLUMNS: [&str; 12] = [
    "condition",
    "cell",
    "matrix",
    "bin_low",
    "bin_high",
    "entries_at_start",
    "entries_now",
    "norm_at_start",
    "norm_now",
    "effective_mean_now",
    "not_positive_percent_now",
    "really_pruned_percent_now",
];

fn before() -> (Fill, Stroke) {
    (fill(Colour::Ink, 0.0), Stroke::solid(Colour::Ink, 1.2))
}

fn after(colour: Colour) -> Fill {
    fill(colour, if colour == Colour::Ink { 0.3 } else { 0.6 })
}

/// A norm as keys have it.
fn norm_words(short: &str, norm: f64) -> String {
    let unit = unit(short).trim_matches([' ', '(', ')']);
    format!(", norm {} {unit}", brief(norm))
        .trim_end()
        .to_owned()
}

/// What keys add to start and now: the norms.
fn norms_words(short: &str, matrix: &MatrixAnalysis) -> [String; 2] {
    [matrix.initial.norm, matrix.now.norm].map(|norm| norm_words(short, norm))
}

/// Adds the bins of a matrix.
fn add(table: &mut Table, words: [&str; 3], matrix: &MatrixAnalysis, more: &[f64]) -> Rows {
    let bins = matrix.edges.windows(2).enumerate();
    let row = bins.map(|(k, pair)| {
        let count = |counts: &[u64]| counts.get(k).map_or(f64::NAN, |c| *c as f64);
        let now = &matrix.now;
        let numbers = [
            pair[0],
            pair[1],
            count(&matrix.initial_count),
            count(&matrix.now_count),
            matrix.initial.norm,
            now.norm,
            now.effective_mean,
            now.not_positive_percent,
            matrix.really_pruned_percent,
        ];
        [&numbers[..], more].concat()
    });
    table.add(&words, row)
}

/// A panel of the bins of one matrix; `words` say what its key adds to start and now.
fn panel(
    (short, name): (&str, &str),
    table: &Table,
    rows: &Rows,
    title: String,
    colour: Colour,
    words: [String; 2],
) -> Panel {
    let x = Axis::new(&format!("effective {name}{}", unit(short)));
    let y = Axis::new("number of entries").scaled(Scale::Log).from(0.7);
    let mut panel = Panel::new(title, x, y);
    let (fill, outline) = before();
    for (column, stroke, fill) in [
        ("entries_now", None, Some(after(colour))),
        ("entries_at_start", Some(outline), None),
    ] {
        let columns = ["bin_low", "bin_high", column];
        panel.marks.push(table.steps(rows, columns, stroke, fill));
    }
    let [start, now] = words;
    for (sample, label) in [
        (
            LegendSample::Box(fill, Some(outline)),
            format!("before{start}"),
        ),
        (
            LegendSample::Box(after(colour), None),
            format!("after{now}"),
        ),
    ] {
        panel.key.push(Key::new(sample, label));
    }
    panel
}

/// A histogram can be drawn of it: files are untrusted.
fn drawable(matrix: &MatrixAnalysis) -> bool {
    let bins = matrix.edges.len().saturating_sub(1);
    bins > 0
        && matrix.initial_count.len() == bins
        && matrix.now_count.len() == bins
        && matrix.edges.iter().all(|e| e.is_finite())
}

fn analysed<'a>(run: &'a CellRun, short: &str) -> Option<&'a MatrixAnalysis> {
    record::analysis(run.record)?
        .weights
        .get(short)
        .filter(|m| drawable(m))
}

const NO_ANALYSIS: &str = "no cell has been analysed with weights; run `dalenet analyse`";

/// Histograms of every trained matrix and condition, of the first seed.
pub fn histograms(groups: &Groups, has_cards: bool) -> Result<Sheet, Missing> {
    let (id, title) = ("weight_histograms", "Weights before and after training");
    let mut table = Table::new(&COLUMNS);
    let mut panels = Vec::new();
    let mut shown = Vec::new();
    // Many conditions: the loop has cards of its own, where the study has them.
    let matrices = if groups.groups.len() > 4 && has_cards {
        &MATRICES[..2]
    } else {
        &MATRICES[..]
    };
    for &(short, name) in matrices {
        let is_trained = |run: &CellRun| analysed(run, short).is_some_and(|m| m.trained);
        let trained = groups.runs().any(|(_, run)| is_trained(run));
        for group in groups.groups.iter().filter(|_| trained) {
            let mut runs = group.runs.iter();
            let first = runs.find_map(|run| Some((run, analysed(run, short)?)));
            let Some((run, matrix)) = first else {
                continue;
            };
            let rows = add(&mut table, [&group.label, run.cell, short], matrix, &[]);
            let title = format!("{name}, {}", group.label);
            let words = norms_words(short, matrix);
            let of = (short, name);
            panels.push(panel(of, &table, &rows, title, group.colour, words));
            if !shown.contains(&run.cell) {
                shown.push(run.cell);
            }
        }
    }
    if panels.is_empty() {
        return Err(Missing::new(id, title, NO_ANALYSIS));
    }
    let columns = groups.groups.len().clamp(2, 4);
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "Histograms of the effective weights max(w, 0) before training and at the analysed checkpoint, one \
             cell of the study per panel, logarithmic counts; norms are those of the stored matrices. Cells \
             shown: {}.",
            shown.join(", ")
        ),
        alt: format!(
            "Histograms of trained matrices before and after training for {}.",
            names(groups)
        ),
        page: PanelRows::grid(panels, columns, 105.0),
        table,
    })
}

/// The weight card of a condition: effective W_EI and W_IE of each seed.
pub fn card(group: &Group) -> Result<Sheet, Missing> {
    let id = format!("weights_{}", group.id);
    let title = format!("Loop weights: {}", group.label);
    let columns = [&COLUMNS[..], &["effective_mean_at_start"]].concat();
    let mut table = Table::new(&columns);
    let mut panels = Vec::new();
    for run in &group.runs {
        for (short, name) in MATRICES {
            let matrix = analysed(run, short).filter(|_| ["ei", "ie"].contains(&short));
            let Some(matrix) = matrix else {
                continue;
            };
            let start = matrix.initial.effective_mean;
            let words = [&group.label, run.cell, short];
            let rows = add(&mut table, words, matrix, &[start]);
            let mean = |m: f64| format!(": mean {}", brief(m));
            let pruned = if matrix.really_pruned_percent.is_finite() {
                format!(", pruned {:.1} %", matrix.really_pruned_percent)
            } else {
                String::new()
            };
            let title = if group.runs.len() > 1 {
                format!("{name}, {}", run.seed)
            } else {
                name.to_owned()
            };
            let words = [mean(start), mean(matrix.now.effective_mean) + &pruned];
            let colour = matrix_colour(short);
            panels.push(panel((short, name), &table, &rows, title, colour, words));
        }
    }
    if panels.is_empty() {
        let reason =
            "no run of this condition has an analysis with W_EI or W_IE; run `dalenet analyse`";
        return Err(Missing::new(id, title, reason));
    }
    Ok(Sheet {
        id,
        title,
        caption: "Effective weights max(w, 0); outline: before training, filled: analysed checkpoint. Means \
                  are of max(w, 0) in µS; pruned: share of the initially positive entries now at or below 0."
            .into(),
        alt: format!("Histograms of the loop matrices of {} before and after training.", group.label),
        page: PanelRows::grid(panels, 2, 120.0),
        table,
    })
}

/// Every matrix of one run.
pub fn of_run(run: &CellRun) -> Result<Sheet, Missing> {
    let mut table = Table::new(&COLUMNS);
    let mut panels = Vec::new();
    let mut frozen: Vec<String> = Vec::new();
    for (short, name) in MATRICES {
        let Some(matrix) = analysed(run, short) else {
            continue;
        };
        let rows = add(&mut table, ["", run.cell, short], matrix, &[]);
        // A frozen matrix is as it was: nothing to look at.
        if matrix.trained || !matrix.unchanged {
            let words = norms_words(short, matrix);
            let title = name.to_owned();
            panels.push(panel((short, name), &table, &rows, title, VERMILION, words));
        } else {
            let plain = name.replace(['{', '}'], "");
            frozen.push(format!("{plain}{}", norm_words(short, matrix.now.norm)));
        }
    }
    if panels.is_empty() {
        let reason = if frozen.is_empty() {
            NO_ANALYSIS.to_owned()
        } else {
            format!("nothing is trained: {} did not change", frozen.join(", "))
        };
        return Err(Missing::new("weights", "Weights", reason));
    }
    Ok(Sheet {
        id: "weights".into(),
        title: "Weights before and after training".into(),
        caption: format!(
            "Histograms of the effective weights max(w, 0) before training and at the analysed checkpoint, \
             logarithmic counts; norms are those of the stored matrices.{}",
            if frozen.is_empty() {
                String::new()
            } else {
                format!(" Not trained, and unchanged: {}.", frozen.join(", "))
            }
        ),
        alt: "Histograms of every weight matrix before and after training.".into(),
        page: PanelRows::grid(panels, 2, 115.0),
        table,
    })
}
