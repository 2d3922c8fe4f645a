//! The answers of a trained network to new samples.

use std::sync::Arc;

use super::batch::Request;
use super::experiment::ExperimentError;
use super::model::{Trials, weights_of};
use super::open::open_engine;
use super::params::Params;
use super::settings::Config;
use crate::data::Samples;
use crate::device::DeviceOptions;
use crate::text::count;
use crate::train::stored::{StoredCheckpoint, StoredRun, WhichCheckpoint};

/// The class scores of the first `count` of `samples`, a row a sample, of a checkpoint of a run.
///
/// # Errors
/// A checkpoint that is damaged, samples that do not fit the network, or a device that fails.
pub fn predict(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    samples: Samples,
    count_of: usize,
    device: DeviceOptions,
) -> Result<Vec<Vec<f64>>, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let n_in = axis(&checkpoint, "in", 0)?;
    let n_out = axis(&checkpoint, "out", 1)?;
    let is_image = matches!(samples, Samples::Images(_));
    if samples.inputs() > n_in || (samples.inputs() < n_in && is_image) {
        return Err(ExperimentError::Samples(format!(
            "the samples have {}, but this network takes {n_in}; give samples like those it was trained on",
            count(samples.inputs(), "input", "inputs")
        )));
    }
    let params = Params::new(&run.config, n_in, n_out);
    let (weights, _) = weights_of(&params, &checkpoint.content.weights)?;
    let batch_size = run.config.training.batch_size;
    let mut opened = open_engine(&params, &weights, &device, batch_size)?;
    let trials = Trials {
        samples: Arc::new(without_labels(samples)),
        steps: params.steps,
        dt_ms: params.network.dt_ms,
        rate_hz: run.config.encoding.rate_hz,
        noise_seed: run.config.seeds.noise,
    };
    let all: Vec<usize> = (0..count_of).collect();
    let mut answers = Vec::with_capacity(count_of);
    for indices in all.chunks(batch_size) {
        let batch = trials.evaluation_batch(indices)?;
        let forward = opened.engine.forward(&batch, Request::default())?;
        answers.extend(forward.logits.chunks_exact(n_out).map(<[f64]>::to_vec));
    }
    Ok(answers)
}

/// The length of an axis of a matrix, from which the network's inputs and classes are known.
fn axis(
    checkpoint: &StoredCheckpoint,
    matrix: &str,
    axis: usize,
) -> Result<usize, ExperimentError> {
    let tensor = checkpoint.content.weights.get(matrix);
    let length = tensor.and_then(|tensor| tensor.shape.get(axis).copied());
    length.ok_or_else(|| {
        ExperimentError::Samples(format!(
            "{} has no matrix `{matrix}`; so it is not a checkpoint of a conductance network; check the run folder",
            checkpoint.path.display()
        ))
    })
}

/// New samples may have classes that the network does not know.
fn without_labels(samples: Samples) -> Samples {
    match samples {
        Samples::Images(mut set) => {
            set.labels.fill(0);
            Samples::Images(set)
        }
        Samples::Events(mut set) => {
            set.labels.fill(0);
            Samples::Events(set)
        }
    }
}
