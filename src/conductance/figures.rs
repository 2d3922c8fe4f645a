//! The figures of this family.

mod activity;
mod cell_rates;
mod diagnostic;
mod kit;
mod loops;
mod participation;
mod spectra;
mod sweep;
mod training;
mod trial;
mod weights;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use super::analysis::record::RunAnalysis;
use super::measures::MEASURES;
use super::record;
use crate::analysis::answers::Answers;
use crate::record::RunRecord;
use crate::report::figures::choice::StudyFigure;
use crate::report::figures::classes::{self, ByClass};
use crate::report::figures::comparison;
use crate::report::figures::groups::CellRun;
use crate::report::figures::kit::RUN_HAS_NO_ANALYSIS;
use crate::report::figures::sheet::{Missing, Sheet};
use crate::report::figures::training::{of_run as curves_of_run, of_study as curves_of_study};

/// Every figure of a run, in the order of a page.
pub fn of_run(run: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let run = &CellRun::alone(run);
    let of_analysis = |id: &str, title: &str, make: fn(&RunAnalysis) -> Result<Sheet, Missing>| {
        let missing = || Err(Missing::new(id, title, RUN_HAS_NO_ANALYSIS));
        record::analysis(run.record).map_or_else(missing, make)
    };
    let mut all = vec![
        curves_of_run(run, &training::OF_RUN),
        of_analysis("raster", "Spike raster", trial::raster),
        of_analysis("rhythm", "Rhythm", trial::rhythm),
        weights::of_run(run),
        of_analysis("classes", &classes::title(Some(E_RATE)), of_classes),
        cell_rates::of_run(run),
    ];
    // A run need not be swept.
    if record::sweep(run.record).is_some() {
        all.push(sweep::grid_of_run(run));
    }
    all.extend(spectra::of_run(run.record));
    all
}

const E_RATE: &str = "E rate";

fn of_classes(analysis: &RunAnalysis) -> Result<Sheet, Missing> {
    let test = &analysis.test;
    let answers = Answers {
        data_sha256: &analysis.data_sha256,
        labels: &test.labels,
        predicted: &test.predicted,
    };
    let checkpoint = format!("{}, epoch {}", analysis.checkpoint, analysis.epoch);
    let rates = ByClass {
        name: E_RATE,
        column: "e_rate_hz",
        axis: "rate (Hz)",
        of_class: &test.class_e_rate_hz,
        mean: test.e_rate_hz,
    };
    classes::classes(answers, &checkpoint, Some(rates))
}

/// The figures of a study, in the order of a page.
pub const OF_STUDY: &[StudyFigure] = &[
    StudyFigure::of_study("training_curves", |groups, _| {
        curves_of_study(groups, &training::OF_STUDY)
    }),
    StudyFigure::of_study("spike_budget", |groups, _| training::spike_budget(groups)),
    StudyFigure::of_study("loop_grid", |groups, _| sweep::grid(groups)),
    StudyFigure::of_study("loop_diagonal", |groups, _| sweep::diagonal(groups)),
    StudyFigure::of_study("norms", |groups, _| training::norms(groups)),
    StudyFigure::of_study("weight_histograms", |groups, cards| {
        weights::histograms(groups, cards.contains(&"weights"))
    }),
    StudyFigure::of_study("accuracy_against_rate", |groups, _| {
        training::accuracy_against_rate(groups)
    }),
    StudyFigure::of_study("cell_rates", |groups, _| cell_rates::cell_rates(groups)),
    StudyFigure::of_study("participation", |groups, _| {
        participation::participation(groups)
    }),
    StudyFigure::of_study("comparison", |groups, _| {
        comparison::comparison(groups, &MEASURES)
    }),
    StudyFigure::of_parameter("against_parameter", |groups| {
        comparison::against_parameter(groups, &MEASURES)
    }),
    StudyFigure::of_study("i_silencing", |groups, _| loops::i_silencing(groups)),
    StudyFigure::of_study("i_input", |groups, _| loops::i_input(groups)),
    StudyFigure::of_study("loop_slopes", |groups, _| loops::slopes(groups)),
    StudyFigure::of_study("loop_spectra", |groups, _| spectra::of_study(groups)),
    StudyFigure::of_study("loop_eigenvalues", |groups, _| spectra::operators(groups)),
    StudyFigure::of_condition("diagnostic", "Diagnostics", diagnostic::diagnostic),
    StudyFigure::of_condition("weights", "Loop weights", weights::card),
];
