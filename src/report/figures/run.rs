//! Figures of a single run.

mod classes;
mod trial;

use super::activity::run_cell_rates;
use super::draw::mark::Mark;
use super::draw::page::Page;
use super::draw::panel::{Key, Panel, Sample};
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Stroke};
use super::groups::{BLUE, Run, VERMILION};
use super::table::Table;
use super::training::{epoch_axis, series};
use super::{Missing, Sheet, weights};
use crate::analysis::record::RunAnalysis;
use crate::record::RunRecord;
use crate::train::metrics::{
    ACTIVE_E, CONFIDENCE, E_RATE, EpochMetrics, GRADIENT_NORM, GRADIENT_NORM_MAX, I_RATE, MARGIN,
    SILENT_E, TEST_ACCURACY, TEST_LOSS, TRAIN_ACCURACY, TRAIN_LOSS,
};

const NO_ANALYSIS: &str = "the run has no analysis; `dalenet analyse` makes one";
/// Every figure of a run.
pub fn sheets(record: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let run = Run {
        cell: &record.config.name,
        seed: "",
        record,
    };
    let of_analysis = |id: &str, title: &str, make: fn(&RunAnalysis) -> Result<Sheet, Missing>| {
        record
            .analysis
            .as_ref()
            .map_or_else(|| Err(Missing::new(id, title, NO_ANALYSIS)), make)
    };
    let mut all = vec![
        curves(&run),
        of_analysis("raster", "Spike raster", trial::raster),
        of_analysis("rhythm", "Rhythm", trial::rhythm),
        weights::of_run(&run),
        of_analysis("classes", "Classes", classes::classes),
        run_cell_rates(&run),
    ];
    // A run need not be swept.
    if record.sweep.is_some() {
        all.push(super::sweep::grid_of_run(&run));
    }
    all
}

fn curves(run: &Run) -> Result<Sheet, Missing> {
    type Line = (
        &'static str,
        &'static str,
        Colour,
        Dash,
        fn(&EpochMetrics) -> f64,
    );
    let panels: [(&str, &str, Vec<Line>); 6] = [
        (
            "Accuracy",
            "accuracy (%)",
            vec![
                ("train", "train_accuracy_percent", BLUE, Dash::Dashed, |m| {
                    m[TRAIN_ACCURACY]
                }),
                (
                    "test",
                    "test_accuracy_percent",
                    Colour::Ink,
                    Dash::Solid,
                    |m| m[TEST_ACCURACY],
                ),
            ],
        ),
        (
            "Cross-entropy",
            "loss (nats)",
            vec![
                ("train", "train_loss_nats", BLUE, Dash::Dashed, |m| {
                    m[TRAIN_LOSS]
                }),
                ("test", "test_loss_nats", Colour::Ink, Dash::Solid, |m| {
                    m[TEST_LOSS]
                }),
            ],
        ),
        (
            "Rates (test mean)",
            "rate (Hz)",
            vec![
                ("E", "e_rate_hz", BLUE, Dash::Solid, |m| m[E_RATE]),
                ("I", "i_rate_hz", VERMILION, Dash::Dashed, |m| m[I_RATE]),
            ],
        ),
        (
            "E cells",
            "share (%)",
            vec![
                (
                    "active in a trial",
                    "active_e_percent",
                    BLUE,
                    Dash::Solid,
                    |m| m[ACTIVE_E],
                ),
                (
                    "silent",
                    "silent_e_percent",
                    Colour::Ink,
                    Dash::Dashed,
                    |m| m[SILENT_E],
                ),
            ],
        ),
        (
            "Gradient norm",
            "norm before clipping",
            vec![
                ("mean", "gradient_norm", Colour::Ink, Dash::Solid, |m| {
                    m[GRADIENT_NORM]
                }),
                (
                    "largest",
                    "gradient_norm_max",
                    VERMILION,
                    Dash::Dotted,
                    |m| m[GRADIENT_NORM_MAX],
                ),
            ],
        ),
        (
            "Answers",
            "margin, confidence",
            vec![
                ("margin", "margin", Colour::Ink, Dash::Solid, |m| m[MARGIN]),
                ("confidence", "confidence", BLUE, Dash::Dashed, |m| {
                    m[CONFIDENCE]
                }),
            ],
        ),
    ];
    let mut columns = vec!["epoch"];
    columns.extend(
        panels
            .iter()
            .flat_map(|(_, _, lines)| lines.iter().map(|l| l.1)),
    );
    let mut table = Table::new(&columns);
    for m in &run.record.epochs {
        let measures = panels
            .iter()
            .flat_map(|(_, _, lines)| lines.iter().map(|l| (l.4)(m)));
        table.push(
            &[],
            &std::iter::once(m.epoch() as f64)
                .chain(measures)
                .collect::<Vec<_>>(),
        );
    }
    let panels = panels.into_iter().map(|(name, unit, lines)| {
        let y = Axis::new(unit);
        let y = if unit.starts_with("norm") {
            y.scaled(Scale::Log)
        } else {
            y
        };
        let y = if unit.ends_with("(%)") || unit.ends_with("(Hz)") {
            y.from(0.0)
        } else {
            y
        };
        let mut panel = Panel::new(name, epoch_axis(), y);
        for (label, _, colour, dash, measure) in lines {
            let stroke = Stroke::solid(colour, 1.5).dashed(dash);
            panel.marks.push(Mark::Line {
                points: series(run, measure),
                stroke,
            });
            panel.key.push(Key::new(Sample::Line(stroke, None), label));
        }
        panel
    });
    let page = Page::grid(panels.collect(), 3, 115.0);
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
        caption: "Measures of every epoch; epoch 0 is the untrained network. Training measures are means over an epoch \
                  while the weights change, the others are taken on the test set after it."
            .into(),
        alt: "Accuracy, loss, rates, activity, gradient norm and margin against the epoch.".into(),
        page,
        table,
    })
}
