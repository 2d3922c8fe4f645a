//! A run under way: trained to its end, its end recorded.

use std::path::Path;

use super::{AnalysedWeights, Experiment, ExperimentError, write_analysis};
use crate::analysis::rhythm::Settings;
use crate::conductance::model::{NetworkModel, Trials, weights_of};
use crate::conductance::weights::Weights;
use crate::text;
use crate::train::checkpoint::{Checkpoint, NonFinite};
use crate::train::epochs::Outcome;
use crate::train::interrupt::Interrupt;
use crate::train::progress::{Log, Reporter, Schedule};
use crate::train::run::TrainingRun;
use crate::train::session::{Session, TrainError};

/// A run under way: its folder, its network on an engine, and the device in words.
pub struct Run<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) training: TrainingRun<NetworkModel, Trials>,
    /// Device and why it was chosen.
    pub device: String,
}

impl Run<'_> {
    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.training.folder()
    }

    /// How much there is to do.
    pub fn schedule(&self) -> Schedule {
        self.training.schedule()
    }

    /// A reporter that knows how much there is to do.
    pub fn reporter(&self, log: Log) -> Reporter {
        self.training.reporter(log)
    }

    /// Trains to the last epoch or until somebody asks to stop, then measures the trained network, and records how it
    /// ended.
    ///
    /// # Errors
    /// [`ExperimentError::Stopped`]: the model failed or a file could not be written.
    pub fn train(
        &mut self,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Outcome, ExperimentError> {
        let experiment = self.experiment;
        let close = |network: &mut NetworkModel, session: &Session, reporter: &mut Reporter| {
            analyse(experiment, network, session, reporter, interrupt)
        };
        Ok(self.training.train(reporter, interrupt, close)?)
    }
}

/// Measures the trained network and writes `analysis.json`. The run is trained and stays so whatever happens here: what
/// went wrong is said, and comes back as a note for the manifest.
fn analyse(
    experiment: &Experiment,
    network: &mut NetworkModel,
    session: &Session,
    reporter: &mut Reporter,
    interrupt: &Interrupt,
) -> Result<(), String> {
    let trials = experiment.split.test.len();
    let trials = text::count(trials, "test trial", "test trials");
    reporter.note(&format!("analysing {trials}\u{2026}"));
    let problem = match try_analysis(experiment, network, session, interrupt) {
        Ok(true) => return Ok(()),
        Ok(false) => "interrupted".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "no analysis: {problem}; make it with: dalenet analyse {}",
        session.files().folder().display()
    );
    reporter.warning(&message);
    Err(message)
}

/// `false` where somebody asked to stop.
fn try_analysis(
    experiment: &Experiment,
    network: &mut NetworkModel,
    session: &Session,
    interrupt: &Interrupt,
) -> Result<bool, ExperimentError> {
    let files = session.files().clone();
    let weights = |path: &Path| -> Result<Weights, ExperimentError> {
        let checkpoint =
            Checkpoint::load(path, NonFinite::Allow).map_err(TrainError::Checkpoint)?;
        Ok(weights_of(&experiment.params, &checkpoint.weights)?.0)
    };
    let subject = AnalysedWeights {
        checkpoint: "last",
        epoch: session.progress().epochs_done,
        initial: &weights(&files.initial())?,
        now: &weights(&files.last())?,
        device: &session.manifest().device.name.clone(),
        settings: Settings::default(),
    };
    let mut go_on = || interrupt.requested().is_none();
    let Some(analysis) = experiment.analyse(network.engine(), &subject, &mut go_on)? else {
        return Ok(false);
    };
    write_analysis(&files, &analysis)?;
    Ok(true)
}
