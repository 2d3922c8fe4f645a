//! A network with its data, as the epoch loop sees it.

use super::batch::Batch;
use std::collections::VecDeque;

use super::engine::{Engine, EngineError, Quantity};
use super::loss::Scores;
use super::metrics::{
    METRICS, OF_CLASSES, OF_VALUES, TEST_ERROR, TEST_PERPLEXITY, VALIDATION_ERROR, VALIDATION_LOSS,
};
use super::params::Loss;
use super::tasks::Sequences;
use crate::train::checkpoint::Tensors;
use crate::train::metrics::{Metric, TEST_ACCURACY, TEST_LOSS, VALIDATION_ACCURACY};
use crate::train::model::{
    EpochMean, Measured, Model, ModelError, ModelState, Part, Score, TrainedBatch,
};

/// A network on its engine, and the sequences it is measured on.
pub struct NetworkModel {
    engine: Box<dyn Engine>,
    sequences: Sequences,
    batch_size: usize,
    /// Batches that are trained and not yet asked for.
    trained: VecDeque<TrainedBatch>,
}

impl NetworkModel {
    /// A network that is evaluated in batches of `batch_size`.
    pub fn new(engine: Box<dyn Engine>, sequences: Sequences, batch_size: usize) -> Self {
        Self {
            engine,
            sequences,
            batch_size: batch_size.max(1),
            trained: VecDeque::new(),
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// Loss and right answers over a part of the data; `None` where `go_on` said no.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn scores(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Scores>, EngineError> {
        let samples = match part {
            Part::Validation => &self.sequences.split.validation,
            Part::Test => &self.sequences.split.test,
        };
        let mut scores = Scores::default();
        for samples in samples.chunks(self.batch_size) {
            if !go_on() {
                return Ok(None);
            }
            let batch = self.sequences.batch(samples);
            scores.add(&self.engine.forward(&batch, false)?.scores);
        }
        Ok(Some(scores))
    }
}

impl Model for NetworkModel {
    type Batch = Batch;

    fn epoch_means(&self) -> &'static [EpochMean] {
        match self.sequences.has_classes() {
            true => OF_CLASSES,
            false => OF_VALUES,
        }
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn score(&self) -> Score {
        if self.engine.params().loss.is_of_every_step() {
            return Score {
                test: TEST_LOSS,
                validation: VALIDATION_LOSS,
                more_is_better: false,
            };
        }
        match self.sequences.has_classes() {
            true => Score {
                test: TEST_ACCURACY,
                validation: VALIDATION_ACCURACY,
                more_is_better: true,
            },
            false => Score {
                test: TEST_ERROR,
                validation: VALIDATION_ERROR,
                more_is_better: false,
            },
        }
    }

    fn begin(&mut self, batch: &Batch) -> Result<(), ModelError> {
        let (scores, step) = self.engine.train(batch)?;
        let (trials, loss) = (batch.trials as f64, scores.mean_loss());
        let right = scores.correct as f64 / scores.outputs as f64;
        let (numbers, sums) = match self.sequences.has_classes() {
            true => (
                vec![("loss_nats", loss), ("accuracy_percent", 100.0 * right)],
                vec![("loss_nats", loss * trials), ("correct", right * trials)],
            ),
            false => (
                vec![("squared_error", loss)],
                vec![("squared_error", loss * trials)],
            ),
        };
        self.trained.push_back(TrainedBatch {
            trials: batch.trials,
            loss,
            numbers,
            sums,
            gradient_norm: step.gradient_norm,
            gradient_norm_of: step.gradient_norm_of,
            weight_norm_of: step.weight_norm_of,
            clipped: step.clipped,
            skipped: step.skipped,
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<TrainedBatch>, ModelError> {
        Ok(self.trained.pop_front())
    }

    fn evaluate(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Measured>, ModelError> {
        let loss = self.engine.params().loss;
        let scores = self.scores(part, go_on)?;
        Ok(scores.map(|scores| measured(&scores, loss)))
    }

    fn state(&mut self) -> Result<ModelState, ModelError> {
        let layout = self.engine.layout().clone();
        let mut read = |quantity| -> Result<Tensors, EngineError> {
            let flat = self.engine.read(quantity)?;
            let flat: Vec<f32> = flat.into_iter().map(|x| x as f32).collect();
            Ok(layout.tensors_of(&flat))
        };
        Ok(ModelState {
            weights: read(Quantity::Weights)?,
            adam_m: read(Quantity::AdamM)?,
            adam_v: read(Quantity::AdamV)?,
            optimiser_steps: self.engine.optimiser_steps(),
        })
    }
}

/// Scores by the metrics of the test part.
pub fn measured(scores: &Scores, loss: Loss) -> Measured {
    let mean = scores.mean_loss();
    if !loss.has_classes() {
        return vec![(TEST_ERROR, mean)];
    }
    let accuracy = 100.0 * scores.correct as f64 / scores.outputs as f64;
    let mut all = vec![(TEST_LOSS, mean), (TEST_ACCURACY, accuracy)];
    if loss.is_of_every_step() {
        all.push((TEST_PERPLEXITY, libm::exp(mean)));
    }
    all
}
