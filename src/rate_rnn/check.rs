//! What is checked of this family on a device: golden cases, and a few training steps twice.

use super::engine::Quantity;
use super::experiment::ExperimentError;
use super::init::draw;
use super::open::open_selected;
use super::params::Kind;
use super::settings::{Config, Task};
use super::tasks::Sequences;
use super::{bench, parity};
use crate::bench::BenchOptions;
use crate::check::{BuiltInCase, Checked, Checklist, Verdict};
use crate::parity::ParityError;
use crate::summary::Summary;
use crate::text::count;

macro_rules! cases {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltInCase {
            name: $name,
            bytes: include_bytes!(concat!("../../tests/golden/rate_rnn/", $name, ".safetensors")),
        }),*]
    };
}

/// Cases inside the program.
const CASES: &[BuiltInCase] = cases!(
    "rnn_standard",
    "rnn_standard_clip",
    "rnn_col_ei",
    "rnn_col_ei_deep",
    "rnn_dann",
    "rnn_dann_deep",
);

/// Sequences and optimiser steps of the small training.
const TRIALS: usize = 40;
const STEPS: usize = 5;

/// Checks this family on a device.
pub fn check(checked: &Checked<'_>, checklist: &mut Checklist<'_>) {
    for case in CASES {
        checklist.case(&format!("case {}", case.name), || {
            let file = case.file().map_err(ParityError::Case)?;
            let target = checked.target;
            parity::compare(&file, checked.precision, &target.selection, &target.options)
        });
    }
    checklist.check(
        "rate_rnn: training twice",
        || -> Result<_, ExperimentError> {
            let same = train(checked)? == train(checked)?;
            let steps = count(STEPS, "optimiser step", "optimiser steps");
            let seen = match same {
                true => format!("{steps} give the same bits"),
                false => format!("{steps} give other weights the second time"),
            };
            Ok((Verdict::of(same), seen))
        },
    );
}

/// Every bit of the weights of a small DANN after a few steps of the adding problem.
fn train(checked: &Checked<'_>) -> Result<Vec<f64>, ExperimentError> {
    let mut config = Config::default();
    config.data.task = Task::Adding;
    config.data.adding.steps = 12;
    config.data.adding.train_samples = TRIALS;
    config.data.adding.test_samples = 1;
    config.network.kind = Kind::Dann;
    config.network.layers = vec![37];
    config.training.learning_rate = 0.05;
    let sequences = Sequences::load(&config, None)?;
    let params = config.params(sequences.n_in, sequences.n_out, sequences.has_classes());
    let weights = draw(&params, &config.initial())?;
    let target = checked.target;
    let selection = target.selection.clone();
    let shape = [sequences.steps, TRIALS];
    let mut opened = open_selected(selection, params, &weights, &target.options, shape)?;
    let batch = sequences.batch(&sequences.split.train);
    for _ in 0..STEPS {
        opened.engine.gradient(&batch)?;
        opened.engine.step()?;
    }
    Ok(opened.engine.read(Quantity::Weights)?)
}

/// How fast networks of this family train and run.
///
/// # Errors
/// A device that fails.
pub fn speed(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Summary, ExperimentError> {
    let networks = ["rnn_standard", "rnn_dann"].map(str::to_owned).into();
    bench::run(
        &BenchOptions {
            networks,
            ..options.clone()
        },
        progress,
    )
}
