//! Input spikes of a trial as a short, sorted event list.

use bytemuck::{Pod, Zeroable};

use super::{DataError, Samples};
use crate::random::{Purpose, Stream};

/// One input spike. Ordered by step, then input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct Event {
    /// Time step, from 0.
    pub step: u32,
    /// Input cell, from 0.
    pub input: u32,
}

/// The input spikes of one trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialEvents {
    /// Sorted; at most one spike of an input in a step.
    pub events: Vec<Event>,
}

/// What the input noise of a trial depends on, and nothing else: not its place in a batch, not the
/// size of the batch, not the other trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseKey {
    /// Fresh noise each epoch.
    Train {
        /// Noise seed.
        seed: u64,
        /// Epoch, from 0.
        epoch: u64,
        /// Index of the sample in its data set.
        sample: u64,
    },
    /// The same noise whenever the sample is evaluated.
    Eval {
        /// Noise seed.
        seed: u64,
        /// Index of the sample in its data set.
        sample: u64,
    },
}

impl NoiseKey {
    pub(crate) fn stream(self) -> Stream {
        match self {
            NoiseKey::Train {
                seed,
                epoch,
                sample,
            } => Stream::new(Purpose::TrainNoise, seed, epoch, sample),
            NoiseKey::Eval { seed, sample } => Stream::new(Purpose::EvalNoise, seed, sample, 0),
        }
    }
}

/// Checks that a white pixel's spike probability per step, rate_hz · dt_ms / 1000, is at most 1.
///
/// # Errors
/// It is more, or one of the two is negative or not a number.
pub fn check_rate(rate_hz: f64, dt_ms: f64) -> Result<(), DataError> {
    let error = |setting, value: f64, problem: String| {
        Err(DataError::Setting {
            setting,
            value: value.to_string(),
            problem,
        })
    };
    if !(dt_ms > 0.0 && dt_ms.is_finite()) {
        return error("network.dt_ms", dt_ms, "must be above 0".into());
    }
    let highest_hz = 1000.0 / dt_ms;
    if !(0.0..=highest_hz).contains(&rate_hz) {
        let problem = format!(
            "must be 0 to {highest_hz} Hz: an input spikes at most once per step of {dt_ms} ms"
        );
        return error("rate_hz", rate_hz, problem);
    }
    Ok(())
}

/// Draws the input spikes of an image: in each step, pixel i spikes with probability
/// `pixels[i]` / 255 · rate_hz · dt_ms / 1000, independently. [`check_rate`] must have passed
/// (a probability above 1 acts as 1).
pub fn encode_image(
    pixels: &[u8],
    steps: u32,
    dt_ms: f64,
    rate_hz: f64,
    key: NoiseKey,
) -> Vec<Event> {
    let mut stream = key.stream();
    let mut events = Vec::new();
    for (input, &pixel) in (0u32..).zip(pixels) {
        if pixel > 0 {
            let p = f64::from(pixel) / 255.0 * rate_hz * dt_ms / 1000.0;
            events.extend(
                stream
                    .bernoulli_gaps(p, steps)
                    .map(|step| Event { step, input }),
            );
        }
    }
    events.sort_unstable();
    events
}

/// The step in which a time lies: floor(time / dt), but the next one where the time is that step's start
/// as far as 32-bit floats can tell. None where it is negative, not a number, or beyond 32 bits.
pub(crate) fn step_of(time_ms: f64, dt_ms: f64) -> Option<u32> {
    let in_steps = time_ms / dt_ms;
    let nearest = in_steps.round();
    let is_start = (in_steps - nearest).abs() <= f64::from(f32::EPSILON) * nearest.max(1.0);
    let step = if is_start { nearest } else { in_steps.floor() };
    (0.0..=f64::from(u32::MAX))
        .contains(&step)
        .then_some(step as u32)
}

/// Puts a trial's given spikes, (time_ms, input) in any order, into steps: step = floor(time / dt).
///
/// A time as near to the start of a step as 32-bit floats can tell belongs to that step, so that
/// multiples of `dt_ms` fall where they are meant, whatever the precision they were written in. Several spikes of an input in a step
/// count once.
///
/// # Errors
/// A time is negative, not a number, or not before the end of the last step.
pub fn encode_events(
    trial: &[(f64, u32)],
    steps: u32,
    dt_ms: f64,
) -> Result<Vec<Event>, DataError> {
    let mut events = Vec::with_capacity(trial.len());
    for (at, &(time_ms, input)) in trial.iter().enumerate() {
        let step = step_of(time_ms, dt_ms).filter(|step| *step < steps);
        let Some(step) = step else {
            let duration_ms = f64::from(steps) * dt_ms;
            return Err(DataError::EventTime {
                event: at,
                input,
                time_ms,
                duration_ms,
            });
        };
        events.push(Event { step, input });
    }
    events.sort_unstable();
    events.dedup();
    Ok(events)
}

/// The input spikes of sample `index` (below `samples.len()`): drawn with [`encode_image`], or the
/// given ones through [`encode_events`], for which `rate_hz` and `key` have no meaning.
///
/// # Errors
/// As for [`check_rate`] and [`encode_events`].
pub fn encode_sample(
    samples: &Samples,
    index: usize,
    steps: u32,
    dt_ms: f64,
    rate_hz: f64,
    key: NoiseKey,
) -> Result<TrialEvents, DataError> {
    let events = match samples {
        Samples::Images(set) => {
            check_rate(rate_hz, dt_ms)?;
            encode_image(set.image(index), steps, dt_ms, rate_hz, key)
        }
        Samples::Events(set) => encode_events(&set.trials[index], steps, dt_ms)?,
    };
    Ok(TrialEvents { events })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    const KEY: NoiseKey = NoiseKey::Train {
        seed: 42,
        epoch: 1,
        sample: 5,
    };

    /// A ramp over 784 pixels, about 100 of them lit.
    fn ramp() -> Vec<u8> {
        (0..784)
            .map(|i| if i % 8 == 0 { (i / 3) as u8 } else { 0 })
            .collect()
    }

    #[test]
    fn one_trial_keeps_its_spikes() {
        let events = encode_image(&ramp(), 2000, 0.1, 25.0, KEY);
        assert!(events.is_sorted() && events.windows(2).all(|pair| pair[0] != pair[1]));
        let bytes: Vec<u8> = events
            .iter()
            .flat_map(|e| [e.step.to_le_bytes(), e.input.to_le_bytes()].concat())
            .collect();
        // A separate implementation in Python gave the same spikes. A change here changes every
        // published run.
        let hash = crate::data::samples::hex(&Sha256::digest(&bytes));
        assert_eq!(
            (events.len(), hash.as_str()),
            (
                247,
                "35c0a51566020ca9b169a5f1f1d602a6be679219a987faafdc792a8a110c8f8c"
            )
        );
    }

    #[test]
    fn noise_depends_on_its_key_alone() {
        let draw = |key| encode_image(&ramp(), 2000, 0.1, 25.0, key);
        let keys = [
            KEY,
            NoiseKey::Train {
                seed: 43,
                epoch: 1,
                sample: 5,
            },
            NoiseKey::Train {
                seed: 42,
                epoch: 2,
                sample: 5,
            },
            NoiseKey::Train {
                seed: 42,
                epoch: 1,
                sample: 6,
            },
            NoiseKey::Eval {
                seed: 42,
                sample: 5,
            },
            NoiseKey::Eval {
                seed: 42,
                sample: 1,
            },
        ];
        let forward: Vec<_> = keys.iter().map(|&key| draw(key)).collect();
        let backward: Vec<_> = keys.iter().rev().map(|&key| draw(key)).collect();
        assert!(
            forward.iter().eq(backward.iter().rev()),
            "the place in a batch must not matter"
        );
        for (i, a) in forward.iter().enumerate() {
            assert!(
                forward[..i].iter().all(|b| a != b),
                "key {i} repeats another"
            );
        }
    }

    #[test]
    fn spike_counts_are_binomial_per_pixel() {
        let (pixels, steps, trials) = ([0, 51, 128, 255], 200, 20_000);
        let mut counts = vec![[0.0f64; 4]; trials];
        for (sample, counts) in (0u64..).zip(&mut counts) {
            let events = encode_image(
                &pixels,
                steps,
                1.0,
                100.0,
                NoiseKey::Eval { seed: 3, sample },
            );
            events
                .iter()
                .for_each(|event| counts[event.input as usize] += 1.0);
        }
        for (input, pixel) in pixels.into_iter().enumerate() {
            let p = f64::from(pixel) / 255.0 * 0.1;
            let variance = f64::from(steps) * p * (1.0 - p);
            let n = trials as f64;
            let mean = counts.iter().map(|c| c[input]).sum::<f64>() / n;
            let spread = counts
                .iter()
                .map(|c| (c[input] - mean).powi(2))
                .sum::<f64>()
                / n;
            let error = 5.0 * (variance / n).sqrt();
            assert!(
                (mean - f64::from(steps) * p).abs() <= error,
                "pixel {pixel}: mean {mean}"
            );
            assert!(
                (spread - variance).abs() <= 0.06 * variance,
                "pixel {pixel}: variance {spread}"
            );
        }
        // Neighbouring pixels share a stream but not their spikes.
        let products = counts
            .iter()
            .map(|c| (c[2] - 10.04) * (c[3] - 20.0))
            .sum::<f64>()
            / trials as f64;
        assert!(
            products.abs() < 5.0 * (9.54f64 * 18.0 / trials as f64).sqrt(),
            "covariance {products}"
        );
    }

    #[test]
    fn spikes_spread_evenly_over_the_steps() {
        let mut counts = [0.0f64; 10];
        for sample in 0..3000 {
            let events = encode_image(
                &[200; 5],
                10,
                1.0,
                300.0,
                NoiseKey::Eval { seed: 8, sample },
            );
            events
                .iter()
                .for_each(|event| counts[event.step as usize] += 1.0);
        }
        let (p, draws) = (200.0 / 255.0 * 0.3, 15_000.0);
        let chi2: f64 = counts
            .iter()
            .map(|c| (c - draws * p).powi(2) / (draws * p * (1.0 - p)))
            .sum();
        assert!(chi2 < 35.0, "chi-square {chi2} on 10 degrees of freedom");
    }

    #[test]
    fn rates_that_need_two_spikes_a_step_are_refused() {
        check_rate(1000.0, 1.0).unwrap();
        check_rate(0.0, 0.1).unwrap();
        let message = check_rate(1001.0, 1.0).unwrap_err().to_string();
        assert!(
            message.contains("rate_hz = 1001") && message.contains("1000 Hz"),
            "{message}"
        );
        for (rate_hz, dt_ms) in [
            (-1.0, 1.0),
            (f64::NAN, 1.0),
            (1.0, 0.0),
            (1.0, f64::NAN),
            (1.0, f64::INFINITY),
        ] {
            assert!(check_rate(rate_hz, dt_ms).is_err());
        }
        assert_eq!(encode_image(&[255], 3, 1.0, 1000.0, KEY).len(), 3);
    }

    #[test]
    fn given_spikes_fall_into_their_steps() {
        // 0.3 / 0.1 is below 3 in floating point.
        let trial = [
            (0.3, 7),
            (0.0, 2),
            (0.05, 2),
            (0.35, 7),
            (0.31, 1),
            (0.999, 0),
        ];
        let events = encode_events(&trial, 10, 0.1).unwrap();
        let expected = [(0, 2), (3, 1), (3, 7), (9, 0)].map(|(step, input)| Event { step, input });
        assert_eq!(events, expected);
        for time_ms in [1.0, -0.01, f64::NAN, f64::INFINITY, 1e300] {
            let message = encode_events(&[(0.2, 0), (time_ms, 4)], 10, 0.1)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("event 1 (input 4)") && message.contains("1 ms"),
                "{message}"
            );
        }
    }
}
