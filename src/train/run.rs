//! A run under way: trained to its end, its end recorded.

use std::path::{Path, PathBuf};

use super::epochs::{Outcome, Recipe, train};
use super::interrupt::Interrupt;
use super::manifest::Status;
use super::model::{Encoder, Model};
use super::progress::{Log, Reporter, Schedule};
use super::session::{Session, TrainError};
use crate::fault::{Blame, Fault};
use crate::text;

/// Training stopped before its end.
#[derive(Debug, thiserror::Error)]
#[error("training stopped: {source}\nThe last checkpoint is kept; continue from it with: dalenet resume {}", folder.display())]
pub struct Stopped {
    /// The run folder.
    pub folder: PathBuf,
    /// Why.
    pub source: TrainError,
}

impl Blame for Stopped {
    fn fault(&self) -> Fault {
        self.source.fault()
    }
}

/// A run under way: its folder, its model on an engine, and what there is to do.
pub struct TrainingRun<M, E> {
    /// The folder.
    pub session: Session,
    /// The model.
    pub model: M,
    /// Makes its batches.
    pub encoder: E,
    /// What there is to do.
    pub recipe: Recipe,
    /// What to change where training diverges.
    pub advice: &'static str,
}

impl<M, E> TrainingRun<M, E>
where
    M: Model,
    E: Encoder<Batch = M::Batch>,
{
    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.session.files().folder()
    }

    /// A reporter that knows how much there is to do.
    pub fn reporter(&self, log: Log) -> Reporter {
        Reporter::new(log, self.schedule())
    }

    /// How much there is to do.
    pub fn schedule(&self) -> Schedule {
        let progress = self.session.progress();
        let batches = self
            .recipe
            .train
            .len()
            .div_ceil(self.recipe.batch_size.max(1));
        Schedule {
            epochs: self.recipe.epochs,
            epochs_done: progress.epochs_done,
            batches_per_epoch: batches as u64,
            batches_done: progress.batches_done_in_epoch,
        }
    }

    /// Trains to the last epoch or until somebody asks to stop, and records how it ended. `close` is called once
    /// where all is trained; the run stays trained whatever happens there: what went wrong goes into the manifest.
    ///
    /// # Errors
    /// The model failed or a file could not be written.
    pub fn train(
        &mut self,
        reporter: &mut Reporter,
        interrupt: &Interrupt,
        close: impl FnOnce(&mut M, &Session, &mut Reporter) -> Result<(), String>,
    ) -> Result<Outcome, Stopped> {
        let folder = self.folder().to_path_buf();
        let Self {
            session,
            model,
            encoder,
            recipe,
            ..
        } = self;
        let outcome = train(model, encoder, recipe, session, reporter, interrupt);
        let unclosed = match &outcome {
            Ok(Outcome::Finished | Outcome::Diverged) => close(model, session, reporter).err(),
            _ => None,
        };
        let (status, mut notes, message) = self.ending(&outcome);
        notes.extend(unclosed);
        let recorded = self.session.end(status, notes);
        reporter.end(status, &message);
        let ended = outcome.and_then(|outcome| recorded.map(|()| outcome));
        ended.map_err(|source| Stopped { folder, source })
    }

    /// Status, notes for the manifest, and the last line for the user.
    fn ending(&self, outcome: &Result<Outcome, TrainError>) -> (Status, Vec<String>, String) {
        let progress = self.session.progress();
        match outcome {
            Ok(Outcome::Finished) => (Status::Finished, Vec::new(), self.summary()),
            Ok(Outcome::Diverged) => {
                let message = format!(
                    "diverged: no optimiser step of epoch {} had a finite gradient; the last finite \
                     weights are kept. {}",
                    progress.epochs_done, self.advice
                );
                (Status::Diverged, vec![message.clone()], message)
            }
            Ok(Outcome::Interrupted { .. }) => {
                let message = format!(
                    "stopped after {} and {}; continue with: dalenet resume {}",
                    text::count(progress.epochs_done as usize, "epoch", "epochs"),
                    text::count(progress.batches_done_in_epoch as usize, "batch", "batches"),
                    self.folder().display()
                );
                (Status::Interrupted, Vec::new(), message)
            }
            Err(error) => (Status::Failed, vec![error.to_string()], "failed".to_owned()),
        }
    }

    fn summary(&self) -> String {
        let progress = self.session.progress();
        let score = self.model.score().test;
        let best = match (progress.best_epoch, progress.best_score) {
            (Some(epoch), Some(best)) if score.unit == "%" => {
                format!("; best {best:.1} % in epoch {epoch}")
            }
            (Some(epoch), Some(best)) => {
                format!(
                    "; best {} {} in epoch {epoch}",
                    score.label,
                    text::number(best)
                )
            }
            _ => String::new(),
        };
        format!(
            "{} done{best}; results in {}",
            text::count(progress.epochs_done as usize, "epoch", "epochs"),
            self.folder().display()
        )
    }
}
