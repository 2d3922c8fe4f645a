//! A run under way: trained to its end, its end recorded.

use std::path::Path;

use super::{AnalysedWeights, Experiment, ExperimentError, write_analysis};
use crate::analysis::rhythm::Settings;
use crate::conductance::model::{NetworkModel, weights_of};
use crate::conductance::weights::Weights;
use crate::text;
use crate::train::checkpoint::{Checkpoint, NonFinite};
use crate::train::epochs::{Outcome, Recipe, train};
use crate::train::interrupt::Interrupt;
use crate::train::manifest::Status;
use crate::train::progress::{Log, Reporter, Schedule};
use crate::train::session::{Session, TrainError};

/// A run under way: its folder, its network on an engine, and the device in words.
pub struct Run<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) session: Session,
    pub(super) network: NetworkModel,
    /// Device and why it was chosen.
    pub device: String,
}

impl Run<'_> {
    /// How far the run has come.
    pub fn epochs_done(&self) -> u64 {
        self.session.progress().epochs_done
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.session.files().folder()
    }

    /// A reporter that knows how much there is to do.
    pub fn reporter(&self, log: Log) -> Reporter {
        Reporter::new(log, self.schedule())
    }

    /// What there is to do.
    pub fn schedule(&self) -> Schedule {
        let progress = self.session.progress();
        Schedule {
            epochs: self.experiment.config.training.epochs,
            epochs_done: progress.epochs_done,
            batches_per_epoch: self.experiment.plan.batches_per_epoch as u64,
            batches_done: progress.batches_done_in_epoch,
        }
    }

    /// Trains to the last epoch or until somebody asks to stop, and records how it ended.
    ///
    /// # Errors
    /// [`ExperimentError::Stopped`]: the model failed or a file could not be written.
    pub fn train(
        &mut self,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
    ) -> Result<Outcome, ExperimentError> {
        let training = &self.experiment.config.training;
        let split = &self.experiment.split;
        let recipe = Recipe {
            epochs: training.epochs,
            batch_size: training.batch_size,
            checkpoint_every_epochs: training.checkpoint_every_epochs,
            shuffle_seed: self.experiment.config.seeds.shuffle,
            train: &split.train,
            has_validation: !split.validation.is_empty(),
        };
        let folder = self.folder().to_path_buf();
        let outcome = train(
            &mut self.network,
            &self.experiment.trials,
            recipe,
            &mut self.session,
            reporter,
            interrupt,
        );
        let outcome = outcome.map_err(|source| ExperimentError::Stopped { folder, source });
        let unanalysed = match &outcome {
            Ok(Outcome::Finished | Outcome::Diverged) => self.analyse(reporter, interrupt).err(),
            _ => None,
        };
        let (status, mut notes, message) = match &outcome {
            Ok(Outcome::Finished) => (Status::Finished, Vec::new(), self.summary()),
            Ok(Outcome::Diverged) => {
                let epoch = self.session.progress().epochs_done;
                let message = format!(
                    "diverged: no optimiser step of epoch {epoch} had a finite gradient; the last finite \
                     weights are kept. Lower training.learning_rate or raise network.grad_dampen"
                );
                (Status::Diverged, vec![message.clone()], message)
            }
            Ok(Outcome::Interrupted { .. }) => {
                let at = self.session.progress();
                let message = format!(
                    "stopped after {} and {}; continue with: dalenet resume {}",
                    text::count(at.epochs_done as usize, "epoch", "epochs"),
                    text::count(at.batches_done_in_epoch as usize, "batch", "batches"),
                    self.folder().display()
                );
                (Status::Interrupted, Vec::new(), message)
            }
            Err(error) => {
                let text = error.to_string();
                (Status::Failed, vec![text], "failed".to_owned())
            }
        };
        notes.extend(unanalysed);
        let recorded = self.session.end(status, notes);
        reporter.end(status, &message);
        let outcome = outcome?;
        recorded?;
        Ok(outcome)
    }

    fn summary(&self) -> String {
        let progress = self.session.progress();
        let best = match (progress.best_epoch, progress.best_accuracy) {
            (Some(epoch), Some(accuracy)) => {
                format!("; best {accuracy:.1} % in epoch {epoch}")
            }
            _ => String::new(),
        };
        format!(
            "{} done{best}; results in {}",
            text::count(progress.epochs_done as usize, "epoch", "epochs"),
            self.folder().display()
        )
    }

    /// Measures the trained network and writes `analysis.json`. The run is trained and stays so
    /// whatever happens here: what went wrong is said, and comes back as a note for the manifest.
    fn analyse(&mut self, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<(), String> {
        let trials = self.experiment.split.test.len() as u64;
        let trials = text::count(trials as usize, "test trial", "test trials");
        reporter.note(&format!("analysing {trials}\u{2026}"));
        let problem = match self.try_analysis(interrupt) {
            Ok(true) => return Ok(()),
            Ok(false) => "interrupted".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!(
            "no analysis: {problem}; make it with: dalenet analyse {}",
            self.folder().display()
        );
        reporter.warning(&message);
        Err(message)
    }

    /// `false` where somebody asked to stop.
    fn try_analysis(&mut self, interrupt: &Interrupt) -> Result<bool, ExperimentError> {
        let files = self.session.files().clone();
        let weights = |path: &Path| -> Result<Weights, ExperimentError> {
            let checkpoint =
                Checkpoint::load(path, NonFinite::Allow).map_err(TrainError::Checkpoint)?;
            Ok(weights_of(&self.experiment.params, &checkpoint.weights)?.0)
        };
        let subject = AnalysedWeights {
            checkpoint: "last",
            epoch: self.session.progress().epochs_done,
            initial: &weights(&files.initial())?,
            now: &weights(&files.last())?,
            device: &self.session.manifest().device.name.clone(),
            settings: Settings::default(),
        };
        let mut go_on = || interrupt.requested().is_none();
        let engine = self.network.engine();
        let analysis = self.experiment.analyse(engine, &subject, &mut go_on)?;
        let Some(analysis) = analysis else {
            return Ok(false);
        };
        write_analysis(&files, &analysis)?;
        Ok(true)
    }
}
