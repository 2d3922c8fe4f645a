//! What the network sees in a trial, and the input spikes that are drawn from it.

use std::f64::consts::{PI, TAU};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::engine::TrialInput;
use super::settings::{Channels, Config, Data, GratingClass, Offset, Task};
use crate::data::{DataError, Event, ImageSet, NoiseKey, Samples, Split, hex, load_dataset};
use crate::random::{Purpose, Stream};
use crate::train::model::{Encoder, ModelError};

/// A grating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grating {
    /// Cycles an image.
    pub frequency: f64,
    /// Orientation, radians.
    pub angle: f64,
    /// Offset, radians.
    pub phase: f64,
}

/// Trials of a block with their classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// What goes into each trial.
    pub trials: Vec<TrialInput>,
    /// The class of each.
    pub labels: Vec<u32>,
}

/// The trials of a task.
#[derive(Clone, Debug)]
pub struct Stimuli {
    /// What the data are called.
    pub name: String,
    /// Where they come from.
    pub origin: String,
    /// What is unusual about them.
    pub warnings: Vec<String>,
    /// SHA-256 of all that trials depend on.
    pub sha256: String,
    /// Classes.
    pub classes: usize,
    /// Which trials train, validate and test.
    pub split: Split,
    /// Trials by which output cells are given classes afterwards.
    pub assignment: Vec<usize>,
    data: Data,
    steps: u32,
    dt_ms: f64,
    data_seed: u64,
    noise_seed: u64,
    is_supervised: bool,
    /// Images, of the size that inputs see.
    images: Option<Arc<Images>>,
}

#[derive(Debug)]
struct Images {
    /// Brightness, `[sample, pixel]`, 0 to 1.
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

/// Which draw of a trial's stimulus and noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draw {
    /// Of an epoch of training.
    Training(u64),
    /// The same every time.
    Frozen,
}

impl Stimuli {
    /// Loads or makes the trials of a configuration; `place` is where a file of them is now.
    ///
    /// # Errors
    /// Data that cannot be used.
    pub fn load(config: &Config, place: Option<&Path>) -> Result<Self, DataError> {
        let data = config.data.clone();
        let mut stimuli = Self {
            name: String::new(),
            origin: "built-in".into(),
            warnings: Vec::new(),
            sha256: String::new(),
            classes: 0,
            split: Split {
                train: Vec::new(),
                validation: Vec::new(),
                test: Vec::new(),
            },
            assignment: Vec::new(),
            steps: config.steps() as u32,
            dt_ms: config.network.dt_ms,
            data_seed: config.seeds.data,
            noise_seed: config.seeds.noise,
            is_supervised: config.plasticity.mask < 1.0,
            images: None,
            data,
        };
        let mut hash = Sha256::new_with_prefix(b"stimuli");
        match config.data.task {
            Task::Gratings => {
                let gratings = &config.data.gratings;
                stimuli.classes = match gratings.class {
                    GratingClass::Orientation => gratings.orientations_deg.len(),
                    GratingClass::Frequency => gratings.frequencies.len(),
                };
                let [train, test] = [gratings.train_trials, gratings.test_trials];
                stimuli.name = "gratings".into();
                stimuli.split.train = (0..train).collect();
                stimuli.split.test = (train..train + test).collect();
                let used = train + test;
                stimuli.assignment = (used..used + config.data.assignment_trials).collect();
                let settings = json!([
                    gratings,
                    config.data.size,
                    config.data.channels,
                    config.seeds.data
                ]);
                hash.update(settings.to_string());
            }
            Task::Images => stimuli.take_images(config, place, &mut hash)?,
        }
        stimuli.sha256 = hex(&hash.finalize());
        Ok(stimuli)
    }

    fn take_images(
        &mut self,
        config: &Config,
        place: Option<&Path>,
        hash: &mut Sha256,
    ) -> Result<(), DataError> {
        let loaded = load_dataset(&config.data.images, config.seeds.data, place)?;
        hash.update(loaded.dataset.sha256());
        hash.update(json!([config.data.size, config.data.channels]).to_string());
        let Samples::Images(set) = loaded.dataset.samples else {
            return Err(DataError::Setting {
                setting: "data.images.dataset",
                value: "events".into(),
                problem: "must be a set of images".into(),
            });
        };
        self.name = format!(
            "{} at {size} × {size}",
            loaded.dataset.name,
            size = self.data.size
        );
        self.origin = loaded.origin;
        self.warnings = loaded.warnings;
        self.classes = set.classes;
        self.split = loaded.dataset.split;
        // Classes of training images are known.
        let train = self.split.train.iter();
        self.assignment = train.copied().take(config.data.assignment_trials).collect();
        self.images = Some(Arc::new(reduced(&set, self.data.size)));
        Ok(())
    }

    /// The same task with other images, whose classes are not known.
    pub fn with_images(&self, set: &ImageSet) -> Self {
        Self {
            images: Some(Arc::new(reduced(set, self.data.size))),
            ..self.clone()
        }
    }

    /// Mean rate of an input over the task's stimuli, Hz, to which drives are scaled.
    pub fn mean_rate_hz(&self) -> f64 {
        let all: Vec<f64> = match &self.images {
            Some(images) => {
                let size = self.data.size * self.data.size;
                let all = images.pixels.chunks_exact(size);
                let channels = |pixels: &[f32]| self.rates_of(pixels.iter().map(|&x| x.into()));
                all.flat_map(channels).collect()
            }
            None => {
                // Over all offsets, in which a wave is the same wherever it is.
                let phases = (0..64).map(|i| TAU * f64::from(i) / 64.0);
                let wave = phases.map(|phase| self.brightness(phase));
                self.rates_of(wave)
            }
        };
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }

    /// Class of a trial.
    pub fn label(&self, sample: usize) -> u32 {
        match &self.images {
            Some(images) => images.labels[sample],
            None => (sample % self.classes) as u32,
        }
    }

    /// A training trial of `epoch`, from 0.
    pub fn training_trial(&self, epoch: u64, sample: usize) -> TrialInput {
        let target = self.is_supervised.then(|| self.label(sample));
        self.trial(sample, Draw::Training(epoch), target)
    }

    /// A trial that is the same every time.
    pub fn frozen_trial(&self, sample: usize) -> TrialInput {
        self.trial(sample, Draw::Frozen, None)
    }

    /// A trial of a given grating, with noise of its own number.
    pub fn grating_trial(&self, grating: Grating, number: u64) -> TrialInput {
        // Numbers past those of all samples.
        let noise = NoiseKey::Eval {
            seed: self.noise_seed,
            sample: (1 << 40) + number,
        };
        let drift = self.data.gratings.drift_hz;
        self.encode(
            &self.rates_of_grating(grating, 0.0),
            Some((grating, drift)),
            noise,
            None,
        )
    }

    /// Rates of the inputs at a grating, Hz, `seconds` after the start of a trial.
    pub fn rates_of_grating(&self, grating: Grating, seconds: f64) -> Vec<f64> {
        let size = self.data.size;
        let [along, down] = [libm::cos(grating.angle), libm::sin(grating.angle)];
        let phase = grating.phase + TAU * self.data.gratings.drift_hz * seconds;
        let brightness = (0..size * size).map(|pixel| {
            let [x, y] = [pixel % size, pixel / size].map(|i| i as f64 / size as f64);
            self.brightness(TAU * grating.frequency * (along * x + down * y) + phase)
        });
        self.rates_of(brightness)
    }

    fn brightness(&self, phase: f64) -> f64 {
        0.5 * (1.0 + self.data.gratings.contrast * libm::cos(phase))
    }

    /// Rates of the inputs of pixels, Hz.
    fn rates_of(&self, brightness: impl Iterator<Item = f64>) -> Vec<f64> {
        let full = self.data.rate_hz;
        match self.data.channels {
            Channels::Brightness => brightness.map(|x| full * x).collect(),
            Channels::OnOff => {
                let all: Vec<f64> = brightness.map(|x| 2.0 * x - 1.0).collect();
                let on = all.iter().map(|x| full * x.max(0.0));
                on.chain(all.iter().map(|x| full * (-x).max(0.0))).collect()
            }
        }
    }

    fn trial(&self, sample: usize, draw: Draw, target: Option<u32>) -> TrialInput {
        let noise = match draw {
            Draw::Training(epoch) => NoiseKey::Train {
                seed: self.noise_seed,
                epoch,
                sample: sample as u64,
            },
            Draw::Frozen => NoiseKey::Eval {
                seed: self.noise_seed,
                sample: sample as u64,
            },
        };
        match &self.images {
            Some(images) => {
                let size = self.data.size * self.data.size;
                let pixels = &images.pixels[sample * size..][..size];
                let rates = self.rates_of(pixels.iter().map(|&x| x.into()));
                self.encode(&rates, None, noise, target)
            }
            None => {
                let grating = self.grating(sample, draw);
                let rates = self.rates_of_grating(grating, 0.0);
                let drift = self.data.gratings.drift_hz;
                self.encode(&rates, Some((grating, drift)), noise, target)
            }
        }
    }

    /// The grating of a frozen trial; none of images.
    pub fn frozen_grating(&self, sample: usize) -> Option<Grating> {
        match self.images {
            Some(_) => None,
            None => Some(self.grating(sample, Draw::Frozen)),
        }
    }

    fn grating(&self, sample: usize, draw: Draw) -> Grating {
        let settings = &self.data.gratings;
        let draw = match draw {
            Draw::Training(epoch) => epoch + 1,
            Draw::Frozen => 0,
        };
        let mut stream = Stream::new(Purpose::Stimuli, self.data_seed, draw, sample as u64);
        let class = self.label(sample) as usize;
        let mut any = |values: &[f64]| values[stream.below(values.len() as u64) as usize];
        let (frequency, angle_deg) = match settings.class {
            GratingClass::Orientation => {
                (any(&settings.frequencies), settings.orientations_deg[class])
            }
            GratingClass::Frequency => {
                (settings.frequencies[class], any(&settings.orientations_deg))
            }
        };
        let offset = match draw {
            0 => settings.test_offset.unwrap_or(settings.offset),
            _ => settings.offset,
        };
        let phase = match offset {
            Offset::Fixed => settings.offset_deg * PI / 180.0,
            Offset::Random => match settings.offset_steps {
                0 => TAU * stream.uniform_f64_open(),
                steps => TAU * stream.below(steps.into()) as f64 / f64::from(steps),
            },
        };
        Grating {
            frequency,
            angle: angle_deg * PI / 180.0,
            phase,
        }
    }

    /// Draws input spikes: in each step input i fires with the chance rate · dt, independently. Of a grating that drifts,
    /// spikes at the full rate are kept with the share that the rate of their step has of it.
    fn encode(
        &self,
        rates_hz: &[f64],
        grating: Option<(Grating, f64)>,
        noise: NoiseKey,
        target: Option<u32>,
    ) -> TrialInput {
        let mut stream = noise.stream();
        let drifting = grating.filter(|(_, drift)| *drift != 0.0);
        let mut events = Vec::new();
        for (input, &rate) in (0u32..).zip(rates_hz) {
            let rate = drifting.map_or(rate, |_| self.data.rate_hz);
            let p = rate * self.dt_ms / 1000.0;
            let steps = stream.bernoulli_gaps(p, self.steps);
            events.extend(steps.map(|step| Event { step, input }));
        }
        events.sort_unstable();
        if let Some((grating, _)) = drifting {
            let mut now = (u32::MAX, Vec::new());
            events.retain(|event| {
                if now.0 != event.step {
                    let seconds = f64::from(event.step) * self.dt_ms / 1000.0;
                    now = (event.step, self.rates_of_grating(grating, seconds));
                }
                let share = now.1[event.input as usize] / self.data.rate_hz;
                stream.uniform_f64_open() <= share
            });
        }
        let word = stream.below(u64::MAX);
        TrialInput {
            events,
            target,
            release_key: [word as u32, (word >> 32) as u32],
        }
    }
}

impl Encoder for Stimuli {
    type Batch = Block;

    fn training_batch(&self, epoch: u64, samples: &[usize]) -> Result<Block, ModelError> {
        let trials = samples.iter();
        Ok(Block {
            trials: trials
                .map(|&sample| self.training_trial(epoch, sample))
                .collect(),
            labels: samples.iter().map(|&sample| self.label(sample)).collect(),
        })
    }
}

/// Images at another size, each pixel the mean of what it covers.
fn reduced(set: &ImageSet, size: usize) -> Images {
    let covered = |length: usize, at: usize| -> Vec<(usize, f64)> {
        let scale = length as f64 / size as f64;
        let (from, to) = (at as f64 * scale, (at + 1) as f64 * scale);
        let first = from.floor() as usize;
        let pixels = first..(to.ceil() as usize).min(length);
        pixels
            .map(|i| (i, (to.min((i + 1) as f64) - from.max(i as f64)).max(0.0)))
            .collect()
    };
    let rows: Vec<_> = (0..size).map(|at| covered(set.height, at)).collect();
    let columns: Vec<_> = (0..size).map(|at| covered(set.width, at)).collect();
    let mut pixels = Vec::with_capacity(set.len() * size * size);
    for sample in 0..set.len() {
        let image = set.image(sample);
        for row in &rows {
            for column in &columns {
                let (mut sum, mut area) = (0.0, 0.0);
                for (y, tall) in row {
                    for (x, wide) in column {
                        sum += tall * wide * f64::from(image[y * set.width + x]);
                        area += tall * wide;
                    }
                }
                pixels.push((sum / area / 255.0) as f32);
            }
        }
    }
    Images {
        pixels,
        labels: set.labels.iter().map(|&label| label.into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stimuli(edit: impl FnOnce(&mut Config)) -> Stimuli {
        let mut config = Config::default();
        edit(&mut config);
        Stimuli::load(&config, None).unwrap()
    }

    /// Spikes of each input in many trials over those expected of these rates, largest deviation in standard errors.
    fn deviation(stimuli: &Stimuli, grating: Grating, from_s: f64, rates_hz: &[f64]) -> f64 {
        let trials = 300;
        let mut counts = vec![0.0; rates_hz.len()];
        for number in 0..trials {
            for event in stimuli.grating_trial(grating, number).events {
                let seconds = f64::from(event.step) * 1e-4;
                if (from_s..from_s + 0.05).contains(&seconds) {
                    counts[event.input as usize] += 1.0;
                }
            }
        }
        let expected = rates_hz.iter().map(|hz| hz * 0.05 * trials as f64);
        let pairs = counts.iter().zip(expected);
        let errors = pairs.map(|(count, mean)| (count - mean).abs() / (mean + 1.0).sqrt());
        errors.fold(0.0, f64::max)
    }

    const GRATING: Grating = Grating {
        frequency: 2.0,
        angle: 0.4,
        phase: 1.1,
    };

    #[test]
    fn inputs_fire_as_bright_as_their_pixels_are() {
        let plain = stimuli(|_| ());
        let rates = plain.rates_of_grating(GRATING, 0.0);
        // Pixel 3 of row 5, by hand.
        let place = TAU * 2.0 * (3.0 * libm::cos(0.4) + 5.0 * libm::sin(0.4)) / 8.0 + 1.1;
        assert!((rates[43] - 20.0 * (1.0 + libm::cos(place))).abs() < 1e-9);
        assert!(deviation(&plain, GRATING, 0.3, &rates) < 4.5);
        assert!((plain.mean_rate_hz() - 20.0).abs() < 1e-9);
        let faint = stimuli(|c| c.data.gratings.contrast = 0.5);
        let halved = faint.rates_of_grating(GRATING, 0.0);
        assert!((halved[43] - 20.0 - 0.5 * (rates[43] - 20.0)).abs() < 1e-9);
    }

    #[test]
    fn on_and_off_inputs_share_out_what_is_brighter_and_darker() {
        let both = stimuli(|c| c.data.channels = Channels::OnOff);
        let plain = stimuli(|_| ()).rates_of_grating(GRATING, 0.0);
        let rates = both.rates_of_grating(GRATING, 0.0);
        assert_eq!(rates.len(), 128);
        for pixel in 0..64 {
            let (on, off) = (rates[pixel], rates[64 + pixel]);
            assert!(on == 0.0 || off == 0.0);
            assert!((on - off - 2.0 * (plain[pixel] - 20.0)).abs() < 1e-9);
        }
        // Half-waves have the mean 1/π.
        assert!((both.mean_rate_hz() - 40.0 / PI).abs() < 0.05);
    }

    #[test]
    fn a_grating_that_drifts_fires_as_it_is_seen_at_each_moment() {
        let drifting = stimuli(|c| c.data.gratings.drift_hz = 2.5);
        let mut rates = vec![0.0; 64];
        for moment in 0..50 {
            let now = drifting.rates_of_grating(GRATING, 0.2505 + 0.001 * f64::from(moment));
            rates
                .iter_mut()
                .zip(now)
                .for_each(|(sum, hz)| *sum += hz / 50.0);
        }
        let still = drifting.rates_of_grating(GRATING, 0.0);
        assert!((rates[43] - still[43]).abs() > 1.0);
        let error = deviation(&drifting, GRATING, 0.25, &rates);
        assert!(error < 4.5, "{error}");
        assert!(deviation(&drifting, GRATING, 0.25, &still) > 2.0 * error);
    }

    #[test]
    fn trials_depend_on_epoch_and_sample_and_frozen_ones_do_not() {
        let random = stimuli(|c| c.data.gratings.offset = Offset::Random);
        assert_eq!(random.training_trial(1, 7), random.training_trial(1, 7));
        assert_ne!(random.training_trial(1, 7), random.training_trial(2, 7));
        assert_ne!(random.training_trial(1, 7), random.training_trial(1, 9));
        assert_eq!(random.frozen_trial(7), random.frozen_trial(7));
        assert_eq!(random.training_trial(0, 7).target, Some(1));
        assert_eq!(random.frozen_trial(7).target, None);
        let phases: Vec<f64> = (0..200)
            .map(|sample| random.frozen_grating(sample).unwrap().phase / TAU)
            .collect();
        let mean = phases.iter().sum::<f64>() / 200.0;
        assert!((mean - 0.5).abs() < 0.1 && phases.iter().all(|p| (0.0..=1.0).contains(p)));
        let stepped = stimuli(|c| {
            c.data.gratings.offset = Offset::Random;
            c.data.gratings.offset_steps = 2;
        });
        let two: std::collections::BTreeSet<u64> = (0..50)
            .map(|sample| stepped.frozen_grating(sample).unwrap().phase.to_bits())
            .collect();
        assert_eq!(two.len(), 2);
        let apart = stimuli(|c| c.data.gratings.test_offset = Some(Offset::Random));
        assert_eq!(apart.grating(3, Draw::Training(0)).phase, 0.0);
        assert_ne!(apart.frozen_grating(3).unwrap().phase, 0.0);
    }

    #[test]
    fn images_are_reduced_to_the_mean_of_what_a_pixel_covers() {
        let set = ImageSet {
            name: "one".into(),
            height: 3,
            width: 4,
            classes: 1,
            pixels: vec![0, 0, 255, 255, 0, 0, 255, 255, 255, 255, 0, 0],
            labels: vec![0],
        };
        let reduced = reduced(&set, 2).pixels;
        // A pixel covers two columns and a row and a half.
        let expected = [0.0, 1.0, 2.0 / 3.0, 1.0 / 3.0];
        for (found, expected) in reduced.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{reduced:?}");
        }
    }
}
