//! The epoch loop: the only one, whatever the model.

use std::sync::mpsc;
use std::time::Instant;

use super::interrupt::Interrupt;
use super::metrics::{BEST, EVAL_SECONDS, EpochMetrics, OPTIMISER_STEPS, WEIGHT_NORM};
use super::model::{Encoder, Measured, Model, ModelState, Part};
use super::progress::{BatchDone, Reporter};
use super::session::{Session, TrainError};
use super::steps::StepRecord;
use super::sums::EpochSums;
use crate::random::{Purpose, Stream};

/// What the loop has to do.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Trials of a batch.
    pub batch_size: usize,
    /// Epochs between two writes of the last checkpoint.
    pub checkpoint_every_epochs: u64,
    /// Epochs between two checkpoints that are kept for good; none are where nothing is said.
    pub keep_every_epochs: Option<u64>,
    /// Seed of the order of the samples.
    pub shuffle_seed: u64,
    /// Indices of the training samples.
    pub train: Vec<usize>,
    /// There is a validation part, which chooses the best epoch; otherwise the test part does.
    pub has_validation: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// No step of the newest epoch had a finite gradient: the same weights would be tried for ever.
    /// They are finite and in the last checkpoint.
    Diverged,
    /// Somebody asked to stop; a checkpoint was written.
    Interrupted {
        /// The exit code asked for.
        exit_code: i32,
    },
}

/// Trains from where `session` stands to the last epoch, or until `interrupt` asks to stop. The
/// untrained network is measured first, as epoch 0.
///
/// # Errors
/// The model fails or a file cannot be written. The last checkpoint stays as it was.
pub fn train<M, E>(
    model: &mut M,
    encoder: &E,
    recipe: &Recipe,
    session: &mut Session,
    reporter: &mut Reporter,
    interrupt: &Interrupt,
) -> Result<Outcome, TrainError>
where
    M: Model,
    E: Encoder<Batch = M::Batch>,
{
    let mut run = EpochLoop {
        recipe,
        session,
        reporter,
        interrupt,
        warned: false,
        has_diverged: false,
    };
    // A run whose metrics are still empty has not been measured untrained.
    if run.session.progress().metrics_bytes == 0
        && let Some(exit_code) = run.untrained(model)?
    {
        return Ok(Outcome::Interrupted { exit_code });
    }
    while run.session.progress().epochs_done < recipe.epochs {
        if let Some(exit_code) = run.epoch(model, encoder)? {
            run.session
                .save_last(model.state().map_err(TrainError::Model)?)?;
            return Ok(Outcome::Interrupted { exit_code });
        }
        if run.has_diverged {
            run.session
                .save_last(model.state().map_err(TrainError::Model)?)?;
            return Ok(Outcome::Diverged);
        }
    }
    Ok(Outcome::Finished)
}

/// The order of the training samples in `epoch` (from 0).
pub fn epoch_order(train: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    let mut order = train.to_vec();
    Stream::new(Purpose::Shuffle, seed, epoch, 0).shuffle(&mut order);
    order
}

struct EpochLoop<'a> {
    recipe: &'a Recipe,
    session: &'a mut Session,
    reporter: &'a mut Reporter,
    interrupt: &'a Interrupt,
    warned: bool,
    has_diverged: bool,
}

impl EpochLoop<'_> {
    /// Measures the network before the first step. `Some` exit code: stopped on the way.
    fn untrained<M: Model>(&mut self, model: &mut M) -> Result<Option<i32>, TrainError> {
        let mut metrics = EpochMetrics::unmeasured(model.metrics(), 0);
        if !self.evaluate(model, &mut metrics)? {
            return Ok(self.interrupt.requested());
        }
        let state = model.state().map_err(TrainError::Model)?;
        metrics.set_by_matrix(WEIGHT_NORM, state.weight_norms());
        self.session.append(&metrics)?;
        self.session.save_last(state)?;
        self.reporter.epoch(&metrics);
        Ok(None)
    }

    /// Trains what is left of the epoch under way and measures it. `Some` exit code: stopped on the
    /// way, with all progress in the session.
    fn epoch<M, E>(&mut self, model: &mut M, encoder: &E) -> Result<Option<i32>, TrainError>
    where
        M: Model,
        E: Encoder<Batch = M::Batch>,
    {
        let epoch = self.session.progress().epochs_done;
        if let Some(exit_code) = self.batches(model, encoder, epoch)? {
            return Ok(Some(exit_code));
        }
        let mut metrics = EpochMetrics::unmeasured(model.metrics(), epoch + 1);
        if !self.evaluate(model, &mut metrics)? {
            return Ok(self.interrupt.requested());
        }
        let state = model.state().map_err(TrainError::Model)?;
        metrics.set_by_matrix(WEIGHT_NORM, state.weight_norms());
        metrics[OPTIMISER_STEPS] = state.optimiser_steps as f64;
        let sums = EpochSums::from_map(self.session.progress().epoch_sums.clone());
        sums.fill(model.epoch_means(), &mut metrics);
        self.has_diverged = sums.steps() == 0 && sums.skipped_steps() > 0;

        let score = model.score();
        let value = match self.recipe.has_validation {
            true => metrics[score.validation],
            false => metrics[score.test],
        };
        let progress = self.session.progress_mut();
        let is_best = progress
            .best_score
            .is_none_or(|best| match score.more_is_better {
                true => value > best,
                false => value < best,
            });
        metrics[BEST] = f64::from(u8::from(is_best));
        if is_best {
            progress.best_epoch = Some(epoch + 1);
            progress.best_score = Some(value);
        }
        progress.epochs_done = epoch + 1;
        progress.batches_done_in_epoch = 0;
        progress.epoch_sums.clear();
        progress.elapsed_seconds += metrics[EVAL_SECONDS];

        self.session.append(&metrics)?;
        if is_best {
            self.session.save_best(state.clone())?;
        }
        let keep = self.recipe.keep_every_epochs;
        if keep.is_some_and(|every| (epoch + 1).is_multiple_of(every)) {
            self.session.save_kept(state.clone())?;
        }
        self.save_if_due(epoch + 1, state)?;
        self.reporter.epoch(&metrics);
        Ok(None)
    }

    fn save_if_due(&self, epochs_done: u64, state: ModelState) -> Result<(), TrainError> {
        let every = self.recipe.checkpoint_every_epochs.max(1);
        if epochs_done.is_multiple_of(every) || epochs_done >= self.recipe.epochs {
            self.session.save_last(state)?;
        }
        Ok(())
    }

    /// Trains the batches of `epoch` that are not done. The next batch is encoded while one is
    /// computed.
    fn batches<M, E>(
        &mut self,
        model: &mut M,
        encoder: &E,
        epoch: u64,
    ) -> Result<Option<i32>, TrainError>
    where
        M: Model,
        E: Encoder<Batch = M::Batch>,
    {
        let order = epoch_order(&self.recipe.train, self.recipe.shuffle_seed, epoch);
        let done = self.session.progress().batches_done_in_epoch;
        let skip = usize::try_from(done).unwrap_or(usize::MAX);
        let left = || order.chunks(self.recipe.batch_size.max(1)).skip(skip);
        std::thread::scope(|scope| {
            let (sender, batches) = mpsc::sync_channel(1);
            let to_encode = left();
            scope.spawn(move || {
                for samples in to_encode {
                    let batch = encoder.training_batch(epoch, samples);
                    // The loop has stopped if nobody takes the batch.
                    if sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            let mut begun = 0;
            let mut since = Instant::now();
            let mut stopped = None;
            for _ in left() {
                stopped = self.interrupt.requested();
                if stopped.is_some() {
                    break;
                }
                let batch = batches.recv().map_err(|_| TrainError::Prefetch)?;
                let batch = batch.map_err(TrainError::Model)?;
                model.begin(&batch).map_err(TrainError::Model)?;
                begun += 1;
                if begun == model.most_begun() {
                    self.finish(model, epoch, &mut since)?;
                    begun -= 1;
                }
            }
            for _ in 0..begun {
                self.finish(model, epoch, &mut since)?;
            }
            Ok(stopped)
        })
    }

    /// Waits for a batch and records it. `since` is when the one before was.
    fn finish<M: Model>(
        &mut self,
        model: &mut M,
        epoch: u64,
        since: &mut Instant,
    ) -> Result<(), TrainError> {
        let Some(trained) = model.finish().map_err(TrainError::Model)? else {
            return Ok(());
        };
        let seconds = since.elapsed().as_secs_f64();
        *since = Instant::now();

        let progress = self.session.progress_mut();
        let mut sums = EpochSums::from_map(std::mem::take(&mut progress.epoch_sums));
        sums.add(&trained, seconds);
        progress.epoch_sums = sums.to_map();
        progress.batches_done_in_epoch += 1;
        progress.elapsed_seconds += seconds;
        if trained.skipped {
            progress.skipped_steps += 1;
        } else {
            progress.optimiser_steps += 1;
        }
        let batches_done = progress.batches_done_in_epoch;
        let step = StepRecord::new(self.session.mark(), epoch + 1, batches_done, &trained);
        self.session.append_step(&step)?;
        if trained.skipped && !self.warned {
            self.warned = true;
            self.reporter.warning(&format!(
                "epoch {}, batch {batches_done}: the gradient is not finite; such optimiser steps are \
                 skipped and counted in skipped_steps",
                epoch + 1
            ));
        }
        self.reporter.batch(BatchDone {
            epoch: epoch + 1,
            batches_done,
            loss: trained.loss,
            loss_name: trained.loss_name(),
            seconds,
        });
        Ok(())
    }

    /// Measures test and validation parts into `metrics`; `false` where the user stopped it.
    fn evaluate<M: Model>(
        &mut self,
        model: &mut M,
        metrics: &mut EpochMetrics,
    ) -> Result<bool, TrainError> {
        let started = Instant::now();
        let score = model.score();
        let interrupt = self.interrupt;
        let mut go_on = || interrupt.requested().is_none();
        let mut measure = |part| -> Result<Option<Measured>, TrainError> {
            model.evaluate(part, &mut go_on).map_err(TrainError::Model)
        };
        if self.recipe.has_validation {
            let Some(validation) = measure(Part::Validation)? else {
                return Ok(false);
            };
            let of_score = validation.iter().find(|(metric, _)| *metric == score.test);
            metrics[score.validation] = of_score.map_or(f64::NAN, |(_, value)| *value);
        }
        let Some(test) = measure(Part::Test)? else {
            return Ok(false);
        };
        for (metric, value) in test {
            metrics[metric] = value;
        }
        metrics[EVAL_SECONDS] = started.elapsed().as_secs_f64();
        Ok(true)
    }
}
