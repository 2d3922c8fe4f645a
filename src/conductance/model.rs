//! A network with its data, as the epoch loop sees it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::conductance::batch::{Batch, Request};
use crate::conductance::engine::{Engine, EngineError, Gradient, Quantity, StepReport};
use crate::conductance::evaluation::Evaluation;
use crate::conductance::metrics::{E_RATE, EPOCH_MEANS, I_RATE, METRICS};
use crate::conductance::params::Params;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Matrix, Weights, WeightsError};
use crate::data::{DataError, NoiseKey, Samples, Split, encode_sample};
use crate::train::checkpoint::Tensor;
use crate::train::metrics::{Metric, TEST_ACCURACY, VALIDATION_ACCURACY};
use crate::train::model::{
    Encoder, EpochMean, Measured, Model, ModelError, ModelState, Part, Score, TrainedBatch,
};

/// Samples and how they become trials.
#[derive(Clone, Debug)]
pub struct Trials {
    /// The samples of the source.
    pub samples: Arc<Samples>,
    /// Steps of a trial.
    pub steps: usize,
    /// Time step, ms.
    pub dt_ms: f64,
    /// Poisson rate of a white pixel, Hz.
    pub rate_hz: f64,
    /// Seed of the input noise.
    pub noise_seed: u64,
}

impl Trials {
    /// The trials of these sample indices with the noise of an evaluation.
    ///
    /// # Errors
    /// An event outside the trial, or a rate above one spike a step.
    pub fn evaluation_batch(&self, samples: &[usize]) -> Result<Batch, DataError> {
        self.batch(samples, |sample| NoiseKey::Eval {
            seed: self.noise_seed,
            sample,
        })
    }

    fn batch(&self, samples: &[usize], key: impl Fn(u64) -> NoiseKey) -> Result<Batch, DataError> {
        let labels = self.samples.labels();
        let steps = u32::try_from(self.steps).unwrap_or(u32::MAX);
        let encode = |&index: &usize| {
            encode_sample(
                &self.samples,
                index,
                steps,
                self.dt_ms,
                self.rate_hz,
                key(index as u64),
            )
        };
        let trials = samples.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let labels = samples.iter().map(|&index| u32::from(labels[index]));
        Ok(Batch::new(
            trials.iter().map(|trial| &trial.events[..]).zip(labels),
        ))
    }
}

impl Encoder for Trials {
    type Batch = Batch;

    fn training_batch(&self, epoch: u64, samples: &[usize]) -> Result<Batch, ModelError> {
        let seed = self.noise_seed;
        Ok(self.batch(samples, |sample| NoiseKey::Train {
            seed,
            epoch,
            sample,
        })?)
    }
}

/// A network on its engine, and the parts of the data it is measured on.
pub struct NetworkModel {
    engine: Box<dyn Engine>,
    trials: Trials,
    split: Split,
    batch_size: usize,
    /// Encoded evaluation batches by part, where they are kept.
    kept: Option<BTreeMap<bool, Vec<Arc<Batch>>>>,
    /// Training batches that are begun and not finished: their trials, and what came of them where that is known.
    begun: VecDeque<(usize, Option<(Gradient, StepReport)>)>,
    most_begun: usize,
}

impl NetworkModel {
    /// A network that is evaluated in batches of `batch_size`; with `keep`, evaluation trials are
    /// encoded once and kept.
    pub fn new(
        mut engine: Box<dyn Engine>,
        trials: Trials,
        split: Split,
        batch_size: usize,
        keep: bool,
    ) -> Self {
        Self {
            most_begun: if engine.ahead().is_some() { 2 } else { 1 },
            engine,
            trials,
            split,
            batch_size: batch_size.max(1),
            kept: keep.then(BTreeMap::new),
            begun: VecDeque::new(),
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// Evaluates a part of the data; `None` where `go_on` said no.
    ///
    /// # Errors
    /// Samples that cannot be encoded, or a failure of the device.
    pub fn evaluation(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Evaluation>, ModelError> {
        let indices = match part {
            Part::Validation => &self.split.validation,
            Part::Test => &self.split.test,
        };
        let mut evaluation = Evaluation::new(self.engine.params());
        for (at, samples) in indices.chunks(self.batch_size).enumerate() {
            if !go_on() {
                return Ok(None);
            }
            let encode = || Ok::<_, DataError>(Arc::new(self.trials.evaluation_batch(samples)?));
            let batch = match &mut self.kept {
                None => encode()?,
                Some(kept) => {
                    let batches = kept.entry(part == Part::Test).or_default();
                    if batches.len() == at {
                        batches.push(encode()?);
                    }
                    batches[at].clone()
                }
            };
            let forward = self.engine.forward(&batch, Request::default())?;
            evaluation.add(&batch, &forward);
        }
        Ok(Some(evaluation))
    }
}

impl Model for NetworkModel {
    type Batch = Batch;

    fn epoch_means(&self) -> &'static [EpochMean] {
        EPOCH_MEANS
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn score(&self) -> Score {
        Score {
            test: TEST_ACCURACY,
            validation: VALIDATION_ACCURACY,
            more_is_better: true,
        }
    }

    fn begin(&mut self, batch: &Batch) -> Result<(), ModelError> {
        let computed = match self.engine.ahead() {
            Some(ahead) => {
                ahead.begin(batch)?;
                None
            }
            None => {
                let gradient = self.engine.gradient(batch, Request::default())?;
                Some((gradient, self.engine.step()?))
            }
        };
        self.begun.push_back((batch.trials(), computed));
        Ok(())
    }

    fn most_begun(&self) -> usize {
        self.most_begun
    }

    fn finish(&mut self) -> Result<Option<TrainedBatch>, ModelError> {
        let Some((trials, mut computed)) = self.begun.pop_front() else {
            return Ok(None);
        };
        if let Some(ahead) = self.engine.ahead() {
            computed = ahead.finish()?;
        }
        let Some((gradient, step)) = computed else {
            return Ok(None);
        };
        let params = self.engine.params();
        let seconds = params.duration_s() * trials as f64;
        let rate_hz = |spikes: u64, cells: usize| spikes as f64 / (cells as f64 * seconds);
        let by_name = |norms: BTreeMap<MatrixName, f64>| {
            let named = |(name, norm): (MatrixName, f64)| (name.short().to_owned(), norm);
            norms.into_iter().map(named).collect()
        };
        let n = trials as f64;
        let cross_entropy = gradient.scores.cross_entropy_sum / n;
        let penalty = gradient.loss - cross_entropy;
        let correct = gradient.scores.correct as f64;
        Ok(Some(TrainedBatch {
            trials,
            loss: cross_entropy,
            numbers: vec![
                ("loss_nats", cross_entropy),
                ("penalty_nats", penalty),
                ("accuracy_percent", 100.0 * correct / n),
                (E_RATE.name, rate_hz(gradient.spikes_e, params.n_e())),
                (I_RATE.name, rate_hz(gradient.spikes_i, params.n_i())),
            ],
            sums: vec![
                ("loss_nats", cross_entropy * n),
                ("penalty_nats", penalty * n),
                ("correct", correct),
            ],
            gradient_norm: step.gradient_norm,
            gradient_norm_of: by_name(step.gradient_norm_of),
            weight_norm_of: by_name(step.weight_norm_of),
            clipped: step.clip_factor < 1.0,
            skipped: step.skipped,
        }))
    }

    fn evaluate(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Measured>, ModelError> {
        let evaluation = self.evaluation(part, go_on)?;
        Ok(evaluation.map(|e| e.measures().by_metric()))
    }

    fn state(&mut self) -> Result<ModelState, ModelError> {
        Ok(engine_state(self.engine.as_mut())?)
    }
}

/// Everything of an engine that a checkpoint keeps.
///
/// # Errors
/// A failure of the device.
pub fn engine_state(engine: &mut dyn Engine) -> Result<ModelState, EngineError> {
    let mut read = |quantity| -> Result<BTreeMap<String, Tensor>, EngineError> {
        let values = engine.read(quantity)?;
        let params = engine.params();
        let tensor = |(name, values): (MatrixName, Vec<f64>)| {
            let (pre, post) = params.shape(name);
            let data = values.into_iter().map(|x| x as f32).collect();
            let shape = vec![pre, post];
            (name.short().to_owned(), Tensor { shape, data })
        };
        Ok(values.into_iter().map(tensor).collect())
    };
    Ok(ModelState {
        weights: read(Quantity::Weights)?,
        adam_m: read(Quantity::AdamM)?,
        adam_v: read(Quantity::AdamV)?,
        optimiser_steps: engine.optimiser_steps(),
    })
}

/// Weights and untouched optimiser state of a network that has not begun to learn.
pub fn initial_state(params: &Params, weights: &Weights) -> ModelState {
    let trained = weights.iter().filter(|(name, _)| params.is_trained(**name));
    let zeros: BTreeMap<String, Tensor> = trained
        .map(|(name, matrix)| {
            let tensor = Tensor {
                shape: vec![matrix.pre, matrix.post],
                data: vec![0.0; matrix.data.len()],
            };
            (name.short().to_owned(), tensor)
        })
        .collect();
    ModelState {
        weights: tensors_of(weights),
        adam_m: zeros.clone(),
        adam_v: zeros,
        optimiser_steps: 0,
    }
}

/// Weights by their names in files.
pub fn tensors_of(weights: &Weights) -> BTreeMap<String, Tensor> {
    let named = weights.iter().map(|(name, matrix)| {
        let tensor = Tensor {
            shape: vec![matrix.pre, matrix.post],
            data: matrix.data.clone(),
        };
        (name.short().to_owned(), tensor)
    });
    named.collect()
}

/// Tensors of a file as weights of a network: [`matrices_of`], and `in` and `out` must be there.
///
/// # Errors
/// A matrix of another shape than the network, or no `in` or `out`.
pub fn weights_of(
    params: &Params,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(Weights, Vec<String>), WeightsError> {
    let (weights, unknown) = matrices_of(params, tensors)?;
    for needed in [MatrixName::WIn, MatrixName::WOut] {
        if !weights.contains_key(&needed) {
            return Err(WeightsError::Missing(needed.short()));
        }
    }
    Ok((weights, unknown))
}

/// Tensors of a file as matrices; names may be `in`, `w_in` or `w.in`, in any case. Returns the
/// names that are no matrix of this family as well.
///
/// # Errors
/// A matrix of another shape than the network, or one under two names.
pub fn matrices_of(
    params: &Params,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(Weights, Vec<String>), WeightsError> {
    let mut weights = Weights::new();
    let mut unknown = Vec::new();
    for (name, Tensor { shape, data }) in tensors {
        let lower = name.to_ascii_lowercase();
        let short = lower.strip_prefix("w_").or(lower.strip_prefix("w."));
        let Some(matrix) = MatrixName::from_short(short.unwrap_or(&lower)) else {
            unknown.push(name.clone());
            continue;
        };
        let (need_pre, need_post) = params.shape(matrix);
        let (pre, post) = match shape[..] {
            [pre, post] => (pre, post),
            _ => (1, data.len()),
        };
        if (pre, post) != (need_pre, need_post) {
            return Err(WeightsError::Shape {
                name: matrix.short(),
                pre,
                post,
                need_pre,
                need_post,
            });
        }
        let data = data.clone();
        let before = weights.insert(matrix, Matrix { pre, post, data });
        if before.is_some() {
            return Err(WeightsError::Twice(matrix.short()));
        }
    }
    Ok((weights, unknown))
}
