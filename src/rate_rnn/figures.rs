//! The figures of this family.

mod answers;
mod spectra;

use super::measures::{MEASURES, entropy_and_error};
use super::metrics::{TEST_ERROR, TRAIN_ERROR};
use super::record;
use crate::record::RunRecord;
use crate::report::figures::choice::StudyFigure;
use crate::report::figures::classes;
use crate::report::figures::comparison;
use crate::report::figures::draw::svg::{Colour, Dash};
use crate::report::figures::groups::{BLUE, CellRun, Groups};
use crate::report::figures::kit::RUN_HAS_NO_ANALYSIS;
use crate::report::figures::sheet::{Missing, Sheet};
use crate::report::figures::spectra::{ENTROPY_ERROR, EntropyPoint, entropy_against_error};
use crate::report::figures::training::{
    self, ACCURACY, CROSS_ENTROPY, Curve, Curves, GRADIENT, Lines, RunCurves,
};
use crate::report::spectra::{Subject, along};
use crate::train::metrics::{GRADIENT_NORM, TEST_ACCURACY, TEST_LOSS};
use crate::train::spectra::TrainingSpectra;

const CAPTION: &str = "Gradient norm: mean and largest over the steps of the epoch, corrected (dann) and before \
    clipping.";

/// The curves of a run whose targets are classes.
const OF_CLASSES: RunCurves = RunCurves {
    panels: &[ACCURACY, CROSS_ENTROPY, GRADIENT],
    caption: CAPTION,
    alt: "Accuracy, loss and gradient norm against the epoch.",
};

/// The curves of a run whose targets are values.
const OF_VALUES: RunCurves = RunCurves {
    panels: &[
        Lines {
            title: "Squared error",
            axis: "mean squared error",
            from_zero: true,
            lines: [
                ("train", TRAIN_ERROR, BLUE, Dash::Dashed),
                ("test", TEST_ERROR, Colour::Ink, Dash::Solid),
            ],
        },
        GRADIENT,
    ],
    caption: CAPTION,
    alt: "Squared error and gradient norm against the epoch.",
};

/// Every figure of a run, in the order of a page.
pub fn of_run(run: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let curves = match has_values(run) {
        true => &OF_VALUES,
        false => &OF_CLASSES,
    };
    let mut all = vec![training::of_run(&CellRun::alone(run), curves)];
    let Some(analysis) = record::analysis(run) else {
        let missing = |id, title| Err(Missing::new(id, title, RUN_HAS_NO_ANALYSIS));
        all.extend([
            missing("answers", answers::TITLE),
            missing("spectra", spectra::TITLE),
        ]);
        return all;
    };
    let checkpoint = format!("{}, epoch {}", analysis.checkpoint, analysis.epoch);
    if let Some(answers) = run.answers() {
        all.push(classes::classes(answers, &checkpoint, None));
    } else if has_values(run) {
        all.push(answers::answers(&analysis.test, &checkpoint));
    }
    all.push(spectra::spectra(analysis, &checkpoint));
    all.extend(run.spectra.as_ref().map(along_of_run));
    all
}

/// Entropies and radii along training.
fn along_of_run(spectra: &TrainingSpectra) -> Result<Sheet, Missing> {
    let subject = Subject {
        name: String::new(),
        along: spectra.along.clone(),
        error: None,
        recurrent: None,
    };
    along(&[subject])
}

/// Whether the targets of a run are values.
fn has_values(run: &RunRecord) -> bool {
    let newest = run.last();
    newest.is_some_and(|epoch| epoch[TEST_ERROR].is_finite())
}

const MEASURED: &str = "Test set, after each epoch.";
const GRADIENT_CURVE: Curve = Curve("Gradient norm", "norm before clipping", GRADIENT_NORM);

const STUDY_OF_CLASSES: Curves = Curves {
    panels: &[
        Curve("Test accuracy", "accuracy (%)", TEST_ACCURACY),
        Curve("Cross-entropy", "loss (nats)", TEST_LOSS),
        GRADIENT_CURVE,
    ],
    measured: MEASURED,
};

const STUDY_OF_VALUES: Curves = Curves {
    panels: &[
        Curve("Squared error", "mean squared error", TEST_ERROR),
        GRADIENT_CURVE,
    ],
    measured: MEASURED,
};

fn curves_of_study(groups: &Groups) -> Result<Sheet, Missing> {
    let has_values = groups.runs().any(|(_, run)| has_values(run.record));
    let curves = match has_values {
        true => &STUDY_OF_VALUES,
        false => &STUDY_OF_CLASSES,
    };
    training::of_study(groups, curves)
}

/// Entropy at the start against the error of every finished cell.
fn entropy_error(groups: &Groups) -> Result<Sheet, Missing> {
    let mut points = Vec::new();
    let mut kind = None;
    for group in &groups.groups {
        for run in group.cells.iter().filter_map(|cell| cell.finished()) {
            let Some((what, [entropy, error])) = entropy_and_error(run) else {
                continue;
            };
            // Errors of one kind alone can be compared.
            if *kind.get_or_insert(what) == what {
                points.push(EntropyPoint {
                    label: group.label.clone(),
                    colour: group.colour,
                    marker: group.marker,
                    entropy,
                    error,
                });
            }
        }
    }
    entropy_against_error(&points, kind.unwrap_or("error"))
}

/// The figures of a study, in the order of a page.
pub const OF_STUDY: &[StudyFigure] = &[
    StudyFigure::of_study("training_curves", |groups, _| curves_of_study(groups)),
    StudyFigure::of_study(ENTROPY_ERROR, |groups, _| entropy_error(groups)),
    StudyFigure::of_study("comparison", |groups, _| {
        comparison::comparison(groups, &MEASURES)
    }),
    StudyFigure::of_parameter("against_parameter", |groups| {
        comparison::against_parameter(groups, &MEASURES)
    }),
];
