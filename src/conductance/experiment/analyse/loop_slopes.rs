//! Does the loss fall where the surrogate gradient says? Its slope along the gain of each loop
//! matrix, measured by running the same trials with gains 0.95 and 1.05, beside Σ w · ∂loss/∂w.

use crate::analysis::compare::Sample;
use crate::conductance::analysis::record::LoopSlope;
use crate::conductance::batch::Request;
use crate::conductance::engine::{Engine, Quantity};
use crate::conductance::experiment::{Experiment, ExperimentError};
use crate::conductance::loss::cross_entropy;
use crate::conductance::params::Params;
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Weights, scale};

/// Gains are 1 − STEP and 1 + STEP.
const STEP: f64 = 0.05;
/// W_EI and W_IE, which make the loop together.
const LOOP: [MatrixName; 2] = [MatrixName::WEi, MatrixName::WIe];

/// The slopes along W_EI and W_IE at `weights`, which `engine` has then again; empty where one of
/// them has no effect, since a loop that is not closed has no gain. None where `go_on` said no.
///
/// # Errors
/// Samples that cannot be encoded, weights that do not fit, or a failure of the device.
pub(super) fn measure(
    experiment: &Experiment,
    engine: &mut dyn Engine,
    weights: &Weights,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Vec<LoopSlope>>, ExperimentError> {
    if !is_closed(experiment, weights)? {
        return Ok(Some(Vec::new()));
    }
    let Some(surrogate) = surrogate_slopes(experiment, weights, go_on)? else {
        return Ok(None);
    };
    let mut slopes = Vec::new();
    for (name, surrogate) in LOOP.into_iter().zip(surrogate) {
        let mut losses = [Vec::new(), Vec::new()];
        for (gain, losses) in [1.0 - STEP, 1.0 + STEP].into_iter().zip(&mut losses) {
            engine.load(&scaled(weights, name, gain))?;
            let Some(found) = losses_by_trial(experiment, engine, go_on)? else {
                engine.load(weights)?;
                return Ok(None);
            };
            *losses = found;
        }
        slopes.push(slope(name, &losses, surrogate));
    }
    engine.load(weights)?;
    Ok(Some(slopes))
}

/// Whether both loop matrices are there and do something.
fn is_closed(experiment: &Experiment, weights: &Weights) -> Result<bool, ExperimentError> {
    let layout = Layout::new(&experiment.params, weights)?;
    Ok(LOOP.into_iter().all(|name| {
        let slot = layout.slots.iter().find(|slot| slot.name == name);
        slot.is_some_and(|slot| slot.has_effect(&weights[&name].data))
    }))
}

fn scaled(weights: &Weights, name: MatrixName, gain: f64) -> Weights {
    let mut weights = weights.clone();
    scale(&mut weights, name, gain);
    weights
}

/// Cross-entropy of every test trial, nats.
fn losses_by_trial(
    experiment: &Experiment,
    engine: &mut dyn Engine,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Vec<f64>>, ExperimentError> {
    let classes = experiment.params.n_out;
    let mut losses = Vec::new();
    for samples in experiment.test_batches() {
        if !go_on() {
            return Ok(None);
        }
        let batch = experiment.trials.evaluation_batch(samples)?;
        let forward = engine.forward(&batch, Request::default())?;
        let trials = forward.logits.chunks_exact(classes).zip(&batch.labels);
        losses.extend(trials.map(|(logits, &label)| {
            let (scores, _) = cross_entropy(logits, &[label], classes);
            scores.cross_entropy_sum
        }));
    }
    Ok(Some(losses))
}

/// Σ w · ∂loss/∂w of the mean test cross-entropy for each matrix of the loop. The gradient is that of
/// a network like this one that trains just the loop, and without rate penalty.
fn surrogate_slopes(
    experiment: &Experiment,
    weights: &Weights,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<[f64; 2]>, ExperimentError> {
    let mut params: Params = experiment.params.clone();
    params.training.trainable = LOOP.to_vec();
    params.training.rate_strength = 0.0;
    let mut engine = experiment
        .open_as(&params, weights, experiment.device.backward)?
        .engine;
    let mut sums = [0.0; 2];
    for samples in experiment.test_batches() {
        if !go_on() {
            return Ok(None);
        }
        let batch = experiment.trials.evaluation_batch(samples)?;
        engine.gradient(&batch, Request::default())?;
        let gradient = engine.read(Quantity::Gradient)?;
        for (sum, name) in sums.iter_mut().zip(LOOP) {
            if let Some(gradient) = gradient.get(&name) {
                let pairs = weights[&name].data.iter().zip(gradient);
                let along: f64 = pairs.map(|(&w, g)| f64::from(w) * g).sum();
                *sum += along * samples.len() as f64;
            }
        }
    }
    let trials = experiment.split.test.len() as f64;
    Ok(Some(sums.map(|sum| sum / trials)))
}

/// The slope from the losses of the same trials at the lower and the higher gain.
fn slope(name: MatrixName, losses: &[Vec<f64>; 2], surrogate: f64) -> LoopSlope {
    let n = losses[0].len() as f64;
    let pairs = losses[0].iter().zip(&losses[1]);
    let slopes: Vec<f64> = pairs
        .map(|(low, high)| (high - low) / (2.0 * STEP))
        .collect();
    let sample = Sample::of(&slopes);
    LoopSlope {
        matrix: name.short().to_owned(),
        step: STEP,
        loss_nats: [0, 1].map(|side| losses[side].iter().sum::<f64>() / n),
        measured: sample.mean,
        measured_error: sample.standard_error(),
        surrogate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_the_paired_difference() {
        let losses = [vec![1.0, 5.0, 9.0], vec![1.1, 5.3, 9.2]];
        let slope = slope(MatrixName::WEi, &losses, 0.5);
        assert!((slope.measured - 2.0).abs() < 1e-12);
        // Slopes 1, 3, 2 of single trials: sample variance 1.
        assert!((slope.measured_error - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((slope.loss_nats[1] - 5.2).abs() < 1e-12);
        assert_eq!((slope.matrix.as_str(), slope.surrogate), ("ei", 0.5));
    }
}
