//! Histograms of weights, at the start and now.

use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Fill, Stroke};
use super::groups::{Group, Groups, Run, VERMILION};
use super::norms::MATRICES;
use super::table::Table;
use super::training::names;
use super::{Missing, Sheet};
use crate::analysis::record::MatrixAnalysis;

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
    let outline = Stroke::solid(Colour::Ink, 1.2);
    (
        Fill {
            colour: Colour::Ink,
            opacity: 0.0,
        },
        outline,
    )
}

fn after(colour: Colour) -> Fill {
    Fill {
        colour,
        opacity: if colour == Colour::Ink { 0.3 } else { 0.6 },
    }
}

/// The unit of a matrix, as axis labels have it.
pub fn unit(short: &str) -> &'static str {
    if short == "out" { "" } else { " (µS)" }
}

/// Three digits, as in keys.
pub fn brief(value: f64) -> String {
    if !value.is_finite() {
        return "none".into();
    }
    let magnitude = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-4..1e5).contains(&magnitude) {
        let text = format!("{value:.2e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{mantissa}·10^{{{}}}", super::draw::scale::signed(power))
    } else {
        let digits = (2 - libm::log10(magnitude).floor() as i32).clamp(0, 6) as usize;
        super::draw::scale::signed(&format!("{value:.digits$}"))
    }
}

/// A norm as keys have it.
fn norm_words(short: &str, norm: f64) -> String {
    let unit = unit(short).trim_matches([' ', '(', ')']);
    format!(", norm {} {unit}", brief(norm))
        .trim_end()
        .to_owned()
}

/// A panel of one matrix; `words` say what its key adds to start and now.
fn panel(
    (short, name): (&str, &str),
    matrix: &MatrixAnalysis,
    title: String,
    colour: Colour,
    words: [String; 2],
) -> Panel {
    let x = Axis::new(&format!("effective {name}{}", unit(short)));
    let y = Axis::new("entries").scaled(Scale::Log).from(0.7);
    let mut panel = Panel::new(title, x, y);
    let (fill, outline) = before();
    let steps = |counts: &[u64], stroke, fill| Mark::Steps {
        edges: matrix.edges.clone(),
        heights: counts.iter().map(|c| *c as f64).collect(),
        stroke,
        fill,
    };
    panel
        .marks
        .push(steps(&matrix.now_count, None, Some(after(colour))));
    panel
        .marks
        .push(steps(&matrix.initial_count, Some(outline), None));
    let [start, now] = words;
    panel.key.push(Key::new(
        Sample::Box(fill, Some(outline)),
        format!("start{start}"),
    ));
    panel.key.push(Key::new(
        Sample::Box(after(colour), None),
        format!("now{now}"),
    ));
    panel
}

fn tabulate(table: &mut Table, words: [&str; 3], matrix: &MatrixAnalysis) {
    for (k, pair) in matrix.edges.windows(2).enumerate() {
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
        table.push(&words, &numbers);
    }
}

/// A histogram can be drawn of it: files are untrusted.
fn drawable(matrix: &MatrixAnalysis) -> bool {
    let bins = matrix.edges.len().saturating_sub(1);
    bins > 0
        && matrix.initial_count.len() == bins
        && matrix.now_count.len() == bins
        && matrix.edges.iter().all(|e| e.is_finite())
}

fn analysed<'a>(run: &'a Run, short: &str) -> Option<&'a MatrixAnalysis> {
    run.record
        .analysis
        .as_ref()?
        .weights
        .get(short)
        .filter(|m| drawable(m))
}

const NO_ANALYSIS: &str = "no cell has an analysis with weights; `dalenet analyse` makes one";

/// Histograms of every trained matrix and condition, of the first seed.
pub fn histograms(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = ("weight_histograms", "Weights before and after training");
    let mut table = Table::new(&COLUMNS);
    let mut panels = Vec::new();
    let mut shown = Vec::new();
    // Many conditions: the loop has cards of its own, where the study has them.
    let matrices = if groups.groups.len() > 4 && groups.has_figure("weights") {
        &MATRICES[..2]
    } else {
        &MATRICES[..]
    };
    for (short, name) in matrices {
        let trained = groups
            .runs()
            .any(|(_, run)| analysed(run, short).is_some_and(|m| m.trained));
        for group in groups.groups.iter().filter(|_| trained) {
            let Some((run, matrix)) = group
                .runs
                .iter()
                .find_map(|run| Some((run, analysed(run, short)?)))
            else {
                continue;
            };
            let norm = |norm: f64| norm_words(short, norm);
            let words = [norm(matrix.initial.norm), norm(matrix.now.norm)];
            let title = format!("{name}, {}", group.label);
            panels.push(panel((short, name), matrix, title, group.colour, words));
            tabulate(&mut table, [&group.label, run.cell, short], matrix);
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
            "Entries of the effective matrices (max(w, 0)) at the start and at the analysed checkpoint, logarithmic \
             counts; norms are those of the stored matrices. Cells shown: {}.",
            shown.join(", ")
        ),
        alt: format!(
            "Histograms of trained matrices before and after training for {}.",
            names(groups)
        ),
        page: Page::grid(panels, columns, 105.0),
        table,
    })
}

/// The weight card of a condition: effective W_EI and W_IE of each seed.
pub fn card(group: &Group) -> Result<Sheet, Missing> {
    let id = format!("weights_{}", group.id);
    let title = format!("Loop weights: {}", group.label);
    let mut table = Table::new(&COLUMNS);
    let mut panels = Vec::new();
    let loop_matrices = MATRICES
        .iter()
        .filter(|(short, _)| matches!(*short, "ei" | "ie"));
    for run in &group.runs {
        for (short, name) in loop_matrices.clone() {
            let Some(matrix) = analysed(run, short) else {
                continue;
            };
            let mean = |m: f64| format!(": mean {}", brief(m));
            let pruned = if matrix.really_pruned_percent.is_finite() {
                format!(", pruned {:.1} %", matrix.really_pruned_percent)
            } else {
                String::new()
            };
            let now = mean(matrix.now.effective_mean) + &pruned;
            let colour = if *short == "ei" {
                super::groups::BLUE
            } else {
                VERMILION
            };
            let title = if group.runs.len() > 1 {
                format!("{name}, {}", run.seed)
            } else {
                (*name).to_owned()
            };
            panels.push(panel(
                (short, name),
                matrix,
                title,
                colour,
                [mean(matrix.initial.effective_mean), now],
            ));
            tabulate(&mut table, [&group.label, run.cell, short], matrix);
        }
    }
    if panels.is_empty() {
        let reason = "no run of this condition has an analysis with W_EI or W_IE; `dalenet analyse` makes one";
        return Err(Missing::new(id, title, reason));
    }
    table.header.push("effective_mean_at_start".into());
    for row in &mut table.rows {
        let matrix = group
            .runs
            .iter()
            .find(|run| run.cell == row[1])
            .and_then(|run| analysed(run, &row[2]));
        row.push(crate::text::exact(
            matrix.map_or(f64::NAN, |m| m.initial.effective_mean),
        ));
    }
    Ok(Sheet {
        id,
        title,
        caption: "Effective weights max(w, 0): outline at the start, filled at the analysed checkpoint; means are of the \
                  effective matrices in µS, pruned is the share of the entries that began above 0 and no longer are."
            .into(),
        alt: format!("Histograms of the loop matrices of {} at the start and now.", group.label),
        page: Page::grid(panels, 2, 120.0),
        table,
    })
}

/// Every matrix of one run.
pub fn of_run(run: &Run) -> Result<Sheet, Missing> {
    let mut table = Table::new(&COLUMNS);
    let mut panels = Vec::new();
    let mut frozen: Vec<String> = Vec::new();
    for (short, name) in MATRICES {
        let Some(matrix) = analysed(run, short) else {
            continue;
        };
        let norm = |norm: f64| norm_words(short, norm);
        // A frozen matrix is as it was: nothing to look at.
        if matrix.trained || !matrix.unchanged {
            let words = [norm(matrix.initial.norm), norm(matrix.now.norm)];
            panels.push(panel(
                (short, name),
                matrix,
                name.to_owned(),
                VERMILION,
                words,
            ));
        } else {
            let plain = name.replace(['{', '}'], "");
            frozen.push(format!("{plain}{}", norm_words(short, matrix.now.norm)));
        }
        tabulate(&mut table, ["", run.cell, short], matrix);
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
            "Entries of the effective matrices (max(w, 0)) at the start and at the analysed checkpoint, logarithmic \
             counts; norms are those of the stored matrices.{}",
            if frozen.is_empty() {
                String::new()
            } else {
                format!(" Not trained, and unchanged: {}.", frozen.join(", "))
            }
        ),
        alt: "Histograms of every weight matrix at the start and now.".into(),
        page: Page::grid(panels, 2, 115.0),
        table,
    })
}

/// Common bins for several lists, and the counts of each; none without finite values.
pub fn histogram(lists: &[&[f64]], bins: usize) -> Option<(Vec<f64>, Vec<Vec<f64>>)> {
    let finite = || {
        lists
            .iter()
            .flat_map(|list| list.iter().copied())
            .filter(|v| v.is_finite())
    };
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
        (a.min(v), b.max(v))
    });
    if low > high {
        return None;
    }
    let low = if low > 0.0 && low < 0.3 * high {
        0.0
    } else {
        low
    };
    // Equal values: bins around them that an axis can still tell apart.
    let spread = if high - low > 1e-6 * high.abs() {
        high - low
    } else {
        0.1 * high.abs().max(1.0)
    };
    let width = spread / bins as f64;
    let edges: Vec<f64> = (0..=bins).map(|k| low + k as f64 * width).collect();
    let count = |list: &&[f64]| {
        let mut counts = vec![0.0; bins];
        for value in list.iter().filter(|v| v.is_finite()) {
            counts[(((value - low) / width) as usize).min(bins - 1)] += 1.0;
        }
        counts
    };
    Some((edges, lists.iter().map(count).collect()))
}
