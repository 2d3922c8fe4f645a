//! The figures of this family.

mod maps;
mod phase;
mod tuning;
mod weights;

use super::measures::MEASURES;
use super::metrics::{OTHER_RATE, OWN_RATE, THETA, TRAIN_RATE};
use super::record;
use crate::record::RunRecord;
use crate::report::figures::choice::StudyFigure;
use crate::report::figures::classes;
use crate::report::figures::comparison;
use crate::report::figures::draw::svg::{Colour, Dash};
use crate::report::figures::groups::{BLUE, CellRun, VERMILION};
use crate::report::figures::kit::RUN_HAS_NO_ANALYSIS;
use crate::report::figures::sheet::{Missing, Sheet};
use crate::report::figures::training::{self, ACCURACY, Curve, Curves, Lines, RunCurves};
use crate::train::metrics::TEST_ACCURACY;

const CURVES: RunCurves = RunCurves {
    panels: &[
        ACCURACY,
        Lines {
            title: "Output cells in test trials",
            axis: "rate (Hz)",
            from_zero: true,
            lines: [
                ("of their class", OWN_RATE, Colour::Ink, Dash::Solid),
                ("of others", OTHER_RATE, VERMILION, Dash::Dashed),
            ],
        },
        Lines {
            title: "Output cells in training",
            axis: "Hz",
            from_zero: true,
            lines: [
                ("rate", TRAIN_RATE, BLUE, Dash::Dashed),
                ("threshold", THETA, Colour::Ink, Dash::Solid),
            ],
        },
    ],
    caption: "Rates and sliding thresholds are means over the output cells.",
    alt: "Accuracy, rates and thresholds of output cells against the epoch.",
};

/// Every figure of a run, in the order of a page.
pub fn of_run(run: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let cell = CellRun::alone(run);
    let mut all = vec![training::of_run(&cell, &CURVES), weights::over_time(&cell)];
    let Some(analysis) = record::analysis(run) else {
        let missing = |(id, title)| Err(Missing::new(id, title, RUN_HAS_NO_ANALYSIS));
        let titles = [tuning::TITLE, maps::CELLS, weights::MATRIX];
        all.extend(titles.map(missing));
        return all;
    };
    let checkpoint = format!("{}, epoch {}", analysis.checkpoint, analysis.epoch);
    if let Some(tuning) = &analysis.tuning {
        all.push(tuning::curves(tuning, &analysis.cells, &checkpoint));
        all.push(phase::curves(tuning, &analysis.cells, &checkpoint));
        all.push(phase::accuracy(&analysis.test, &checkpoint));
    }
    all.push(maps::cells_by_class(&analysis.cells, &checkpoint));
    all.push(weights::matrix(&analysis.blocks, &checkpoint));
    if let Some(answers) = run.answers() {
        all.push(classes::classes(answers, &checkpoint, None));
    }
    all
}

const OF_STUDY_CURVES: Curves = Curves {
    panels: &[
        Curve("Test accuracy", "accuracy (%)", TEST_ACCURACY),
        Curve("Output cells, own class", "rate (Hz)", OWN_RATE),
        Curve("Output cells, other classes", "rate (Hz)", OTHER_RATE),
    ],
    measured: "Test trials, after each epoch.",
};

/// The figures of a study, in the order of a page.
pub const OF_STUDY: &[StudyFigure] = &[
    StudyFigure::of_study("training_curves", |groups, _| {
        training::of_study(groups, &OF_STUDY_CURVES)
    }),
    StudyFigure::of_study("comparison", |groups, _| {
        comparison::comparison(groups, &MEASURES)
    }),
    StudyFigure::of_parameter("against_parameter", |groups| {
        comparison::against_parameter(groups, &MEASURES)
    }),
    StudyFigure::of_condition("tuning", "Tuning curves", tuning::card),
];
