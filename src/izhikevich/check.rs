//! What is checked of this family on a device: golden cases, and a few trials twice.

use super::engine::Learnt;
use super::experiment::ExperimentError;
use super::init::draw;
use super::open::open_selected;
use super::settings::{Config, Offset};
use super::stimuli::Stimuli;
use super::weights::Layout;
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
            bytes: include_bytes!(concat!("../../tests/golden/izhikevich/", $name, ".safetensors")),
        }),*]
    };
}

/// Cases inside the program.
const CASES: &[BuiltInCase] = cases!(
    "network_decay",
    "neuron_decay",
    "no_hidden",
    "synapse_unsupervised",
);

/// Trials of the small training.
const TRIALS: usize = 3;

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
        "izhikevich: training twice",
        || -> Result<_, ExperimentError> {
            let same = train(checked)? == train(checked)?;
            let trials = count(TRIALS, "trial", "trials");
            let seen = match same {
                true => format!("{trials} give the same bits"),
                false => format!("{trials} give other weights the second time"),
            };
            Ok((Verdict::of(same), seen))
        },
    );
}

/// What two lanes have learnt after a few trials.
fn train(checked: &Checked<'_>) -> Result<Vec<Learnt>, ExperimentError> {
    let mut config = Config::default();
    config.data.size = 5;
    config.data.gratings.offset = Offset::Random;
    config.data.gratings.train_trials = TRIALS;
    config.network.trial_ms = 200.0;
    config.network.outputs = 7;
    config.network.hidden = vec![9];
    let stimuli = Stimuli::load(&config, None)?;
    let layout = Layout::new(&config);
    let network = draw(&config, &layout, &stimuli);
    let target = checked.target;
    let mut opened = open_selected(
        target.selection.clone(),
        &config.params(),
        &[network.clone(), network],
        &target.options,
    )?;
    let samples = stimuli.split.train.iter();
    let trials: Vec<_> = samples
        .map(|&sample| stimuli.training_trial(0, sample))
        .collect();
    opened.engine.train(&[(0, &trials), (1, &trials)])?;
    (0..2).map(|lane| Ok(opened.engine.read(lane)?)).collect()
}

/// How fast networks of this family learn and run.
///
/// # Errors
/// A device that fails.
pub fn speed(
    options: &BenchOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Summary, ExperimentError> {
    let networks = vec!["orientation".to_owned()];
    bench::run(
        &BenchOptions {
            networks,
            ..options.clone()
        },
        progress,
    )
}
