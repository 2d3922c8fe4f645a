//! The answers of a trained network to new images.

use super::experiment::ExperimentError;
use super::open::open_selected;
use super::settings::{Config, Task};
use super::tasks::Sequences;
use super::weights::Layout;
use crate::data::Samples;
use crate::device::DeviceOptions;
use crate::gpu::select;
use crate::train::stored::{StoredRun, WhichCheckpoint};

/// The class scores of the first `count` of `samples`, a row a sample, of a checkpoint of a run.
///
/// # Errors
/// A run of another task, a checkpoint that is damaged, images that do not fit the network, or a device that fails.
pub fn predict(
    run: &StoredRun<Config>,
    which: WhichCheckpoint,
    samples: Samples,
    count: usize,
    device: DeviceOptions,
) -> Result<Vec<Vec<f64>>, ExperimentError> {
    let checkpoint = run.checkpoint(which)?;
    let task = run.config.data.task;
    let wrong = |problem: String| ExperimentError::Samples(problem);
    let (Samples::Images(set), Task::ImageRows | Task::ImagePixels) = (samples, task) else {
        let problem = "only images can be answered, by a network that was trained on images";
        return Err(wrong(problem.into()));
    };
    let biases = checkpoint.content.weights.get("out.b");
    let classes = biases.map_or(0, |tensor| tensor.data.len());
    let sequences = Sequences::of_images(set, classes, task);
    let params = run.config.params(sequences.n_in, classes, true);
    let weights = Layout::new(&params).flatten(&checkpoint.content.weights)?;
    let batch_size = run.config.training.batch_size;
    let shape = [sequences.steps, batch_size];
    let selection = select(device.device)?;
    let mut opened = open_selected(selection, params, &weights, &device, shape)?;
    let all: Vec<usize> = (0..count).collect();
    let mut answers = Vec::with_capacity(count);
    for indices in all.chunks(batch_size) {
        let forward = opened.engine.forward(&sequences.batch(indices), false)?;
        answers.extend(forward.outputs.chunks_exact(classes).map(<[f64]>::to_vec));
    }
    Ok(answers)
}
