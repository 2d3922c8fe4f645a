//! Figures of a single run.

mod classes;
mod rate_rnn;
mod trial;

use super::draw::page::PanelRows;
use super::draw::panel::Panel;
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Stroke};
use super::groups::{BLUE, CellRun, VERMILION};
use super::kit::{RUN_HAS_NO_ANALYSIS, add_epochs, epoch_axis, epoch_columns, line_key};
use super::sheet::{Missing, Sheet, Table};
use super::{cell_rates, sweep, weights};
use crate::analysis::record::RunAnalysis;
use crate::conductance::metrics::{ACTIVE_E, CONFIDENCE, E_RATE, I_RATE, MARGIN, SILENT_E};
use crate::families::Family;
use crate::record::RunRecord;
use crate::train::metrics::{
    EPOCH, GRADIENT_NORM, GRADIENT_NORM_MAX, Metric, TEST_ACCURACY, TEST_LOSS, TRAIN_ACCURACY,
    TRAIN_LOSS,
};

/// Every figure of a run.
pub fn sheets(record: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let run = CellRun {
        cell: record.config.name(),
        seed: "",
        record,
    };
    let of_analysis = |id: &str, title: &str, make: fn(&RunAnalysis) -> Result<Sheet, Missing>| {
        let missing = || Err(Missing::new(id, title, RUN_HAS_NO_ANALYSIS));
        record.analysis.as_ref().map_or_else(missing, make)
    };
    match record.config.family() {
        Family::Conductance => {}
        Family::RateRnn => return vec![rate_rnn::curves_of(&run)],
    }
    let mut all = vec![
        curves(&run, &CURVES, CAPTION, ALT),
        of_analysis("raster", "Spike raster", trial::raster),
        of_analysis("rhythm", "Rhythm", trial::rhythm),
        weights::of_run(&run),
        of_analysis("classes", classes::TITLE, classes::classes),
        cell_rates::of_run(&run),
    ];
    // A run need not be swept.
    if record.sweep.is_some() {
        all.push(sweep::grid_of_run(&run));
    }
    all
}

/// A line of a panel of training curves: what its key says, and how it looks.
type Line = (&'static str, Metric, Colour, Dash);

/// Title, axis and lines of a panel of training curves.
type Curves<const LINES: usize> = (&'static str, &'static str, [Line; LINES]);

/// The panels of a run of a conductance network.
const CURVES: [Curves<2>; 6] = [
    (
        "Accuracy",
        "accuracy (%)",
        [
            ("train", TRAIN_ACCURACY, BLUE, Dash::Dashed),
            ("test", TEST_ACCURACY, Colour::Ink, Dash::Solid),
        ],
    ),
    (
        "Cross-entropy",
        "loss (nats)",
        [
            ("train", TRAIN_LOSS, BLUE, Dash::Dashed),
            ("test", TEST_LOSS, Colour::Ink, Dash::Solid),
        ],
    ),
    (
        "Rates (test mean)",
        "rate (Hz)",
        [
            ("E", E_RATE, BLUE, Dash::Solid),
            ("I", I_RATE, VERMILION, Dash::Dashed),
        ],
    ),
    (
        "E cells",
        "share (%)",
        [
            ("active in a trial", ACTIVE_E, BLUE, Dash::Solid),
            ("silent", SILENT_E, Colour::Ink, Dash::Dashed),
        ],
    ),
    (
        "Gradient norm",
        "norm before clipping",
        [
            ("mean", GRADIENT_NORM, Colour::Ink, Dash::Solid),
            ("largest", GRADIENT_NORM_MAX, VERMILION, Dash::Dotted),
        ],
    ),
    (
        "Margin and confidence",
        "logits; probability",
        [
            ("margin", MARGIN, Colour::Ink, Dash::Solid),
            ("confidence", CONFIDENCE, BLUE, Dash::Dashed),
        ],
    ),
];

const CAPTION: &str = "Test metrics are taken after each epoch, training metrics are means over the epoch while the \
                  weights change; epoch 0 is the untrained network. E cells: share with a spike in a trial \
                  (mean over test trials), and share silent in the whole test set. Gradient norm: mean and \
                  largest over the steps of the epoch, before clipping. Margin: logit of the true class minus \
                  the largest other logit; confidence: softmax probability of the true class; both means over \
                  the test set.";
const ALT: &str = "Accuracy, loss, rates, activity, gradient norm and margin against the epoch.";

fn curves<const LINES: usize>(
    run: &CellRun,
    curves: &[Curves<LINES>],
    caption: &str,
    alt: &str,
) -> Result<Sheet, Missing> {
    let metrics: Vec<Metric> = (curves.iter())
        .flat_map(|(_, _, lines)| lines.map(|(_, metric, ..)| metric))
        .collect();
    let mut table = Table::new(&epoch_columns(&[], &metrics));
    let rows = add_epochs(&mut table, &[], run, &metrics);
    let panels = curves.iter().map(|&(title, axis, lines)| {
        let y = Axis::new(axis);
        let y = match title {
            "Gradient norm" => y.scaled(Scale::Log),
            "Accuracy" | "Rates (test mean)" | "E cells" => y.from(0.0),
            _ => y,
        };
        let mut panel = Panel::new(title, epoch_axis(), y);
        for (label, metric, colour, dash) in lines {
            let stroke = Stroke::solid(colour, 1.5).dashed(dash);
            let line = table.line(&rows, [EPOCH.name, metric.name], stroke);
            panel.marks.push(line);
            panel.key.push(line_key(stroke, label));
        }
        panel
    });
    let page = PanelRows::grid(panels.collect(), 3, 115.0);
    if page.rows.is_empty() {
        return Err(Missing::new(
            "curves",
            "Training curves",
            "no epoch has been measured yet",
        ));
    }
    Ok(Sheet {
        id: "curves".into(),
        title: "Training curves".into(),
        caption: caption.into(),
        alt: alt.into(),
        page,
        table,
    })
}
