//! Sequences and their targets: images row by row or pixel by pixel, the adding problem, text, the user's own.

mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::batch::{Batch, Targets};
use super::params::Loss;
use super::settings::{Adding, Config, Task};
use crate::data::{DataError, ImageSet, Samples, Split, load_dataset, read_npz_f32};
use crate::random::{Purpose, Stream};
use crate::text::count;
use crate::train::model::{Encoder, ModelError};

/// Most numbers drawn for the adding problem (800 MB with their marks).
const MOST_NUMBERS: usize = 100_000_000;

/// Share of the user's own sequences that is trained on.
const TRAIN_SHARE: (usize, usize) = (4, 5);

/// Sequences of one task, all of the same length.
#[derive(Clone, Debug)]
pub struct Sequences {
    /// What the data are called.
    pub name: String,
    /// Where they come from.
    pub origin: String,
    /// What is unusual about them.
    pub warnings: Vec<String>,
    /// SHA-256 of the samples in use.
    pub sha256: String,
    /// Steps of a sequence.
    pub steps: usize,
    /// Channels of a step.
    pub n_in: usize,
    /// Classes, or values of a target.
    pub n_out: usize,
    /// Which samples train, validate and test.
    pub split: Split,
    inputs: Inputs,
    targets: Targets,
    /// Targets of a sample.
    per_sample: usize,
}

#[derive(Clone, Debug)]
enum Inputs {
    /// Pixels, divided by 255.
    Images(Arc<ImageSet>),
    /// `[sample, step, channel]`.
    Values(Arc<Vec<f32>>),
    /// The channel that is 1 of each step, `[sample, step]`.
    OneOf(Arc<Vec<u32>>),
}

impl Sequences {
    /// Loads or makes the sequences of a configuration; `place` is where a file of them is now.
    ///
    /// # Errors
    /// Data that cannot be used.
    pub fn load(config: &Config, place: Option<&Path>) -> Result<Self, DataError> {
        match config.data.task {
            Task::ImageRows | Task::ImagePixels => images(config, place),
            Task::Text => text::load(&config.data.text, config.seeds.data, place),
            Task::Adding => {
                let settings = &config.data.adding;
                let samples = settings.train_samples.saturating_add(settings.test_samples);
                let numbers = samples.saturating_mul(settings.steps);
                if numbers > MOST_NUMBERS {
                    return Err(DataError::Setting {
                        setting: "data.adding",
                        value: format!(
                            "{} of {}",
                            count(samples, "sample", "samples"),
                            count(settings.steps, "step", "steps")
                        ),
                        problem: format!("at most {MOST_NUMBERS} numbers are drawn"),
                    });
                }
                Ok(adding(settings, config.seeds.data))
            }
            Task::Sequences => {
                let named = PathBuf::from(config.data.path.clone().unwrap_or_default());
                let path = match place {
                    Some(folder) if folder.is_dir() => {
                        folder.join(named.file_name().unwrap_or_default())
                    }
                    Some(file) => file.to_path_buf(),
                    None => named,
                };
                own(&path, config)
            }
        }
    }

    /// Images whose classes are to be found, of `classes`; none of them trains or tests.
    pub fn of_images(set: ImageSet, classes: usize, task: Task) -> Self {
        let (steps, n_in) = shape_of(&set, task);
        Self {
            name: set.name.clone(),
            origin: String::new(),
            warnings: Vec::new(),
            sha256: String::new(),
            steps,
            n_in,
            n_out: classes,
            split: Split {
                train: Vec::new(),
                validation: Vec::new(),
                test: Vec::new(),
            },
            targets: Targets::Classes(vec![0; set.len()]),
            per_sample: 1,
            inputs: Inputs::Images(Arc::new(set)),
        }
    }

    /// Whether targets are classes rather than values.
    pub fn has_classes(&self) -> bool {
        matches!(self.targets, Targets::Classes(_))
    }

    /// These samples as a batch.
    pub fn batch(&self, samples: &[usize]) -> Batch {
        let (steps, n_in) = (self.steps, self.n_in);
        let brightness: [f32; 256] = std::array::from_fn(|pixel| pixel as f32 / 255.0);
        let mut x = Vec::with_capacity(steps * samples.len() * n_in);
        for step in 0..steps {
            for &sample in samples {
                let at = step * n_in..(step + 1) * n_in;
                match &self.inputs {
                    Inputs::Images(set) => {
                        let pixels = set.image(sample)[at].iter();
                        x.extend(pixels.map(|&p| brightness[usize::from(p)]));
                    }
                    Inputs::Values(values) => {
                        x.extend_from_slice(&values[sample * steps * n_in..][at]);
                    }
                    Inputs::OneOf(tokens) => {
                        let first = x.len();
                        x.resize(first + n_in, 0.0);
                        x[first + tokens[sample * steps + step] as usize] = 1.0;
                    }
                }
            }
        }
        let targets = match &self.targets {
            Targets::Classes(classes) => {
                // [step, trial], as the inputs.
                let of = |step| {
                    samples
                        .iter()
                        .map(move |s| classes[s * self.per_sample + step])
                };
                Targets::Classes((0..self.per_sample).flat_map(of).collect())
            }
            Targets::Values(values) => {
                let of = |&sample: &usize| &values[sample * self.n_out..][..self.n_out];
                Targets::Values(samples.iter().flat_map(of).copied().collect())
            }
        };
        Batch {
            steps,
            trials: samples.len(),
            x,
            targets,
        }
    }
}

impl Encoder for Sequences {
    type Batch = Batch;

    fn training_batch(&self, _: u64, samples: &[usize]) -> Result<Batch, ModelError> {
        Ok(self.batch(samples))
    }
}

fn images(config: &Config, place: Option<&Path>) -> Result<Sequences, DataError> {
    let loaded = load_dataset(&config.data.images, config.seeds.data, place)?;
    let sha256 = loaded.dataset.sha256();
    let Samples::Images(set) = loaded.dataset.samples else {
        return Err(DataError::Setting {
            setting: "data.images.dataset",
            value: "events".into(),
            problem: "must be a set of images".into(),
        });
    };
    let (steps, n_in) = shape_of(&set, config.data.task);
    let labels = set.labels.iter().map(|&label| u32::from(label));
    Ok(Sequences {
        name: loaded.dataset.name,
        origin: loaded.origin,
        warnings: loaded.warnings,
        sha256,
        steps,
        n_in,
        n_out: set.classes,
        split: loaded.dataset.split,
        targets: Targets::Classes(labels.collect()),
        per_sample: 1,
        inputs: Inputs::Images(Arc::new(set)),
    })
}

/// Steps of an image, and channels of a step.
fn shape_of(set: &ImageSet, task: Task) -> (usize, usize) {
    match task {
        Task::ImagePixels => (set.height * set.width, 1),
        _ => (set.height, set.width),
    }
}

/// The adding problem (Hochreiter & Schmidhuber 1997): of each step a number in 0 to 1 and a mark, which two steps have,
/// one in each half; the target is the sum of the two.
fn adding(settings: &Adding, seed: u64) -> Sequences {
    let (steps, train) = (settings.steps, settings.train_samples);
    let samples = train + settings.test_samples;
    let mut x = Vec::with_capacity(samples * steps * 2);
    let mut sums = Vec::with_capacity(samples);
    for sample in 0..samples {
        let mut stream = Stream::new(Purpose::Sequences, seed, sample as u64, 0);
        let first = stream.below(steps as u64 / 2) as usize;
        let half = steps / 2;
        let second = half + stream.below((steps - half) as u64) as usize;
        let mut sum = 0.0;
        for step in 0..steps {
            let number = stream.uniform_f64_open() as f32;
            let is_marked = step == first || step == second;
            x.extend([number, f32::from(u8::from(is_marked))]);
            sum += if is_marked { number } else { 0.0 };
        }
        sums.push(sum);
    }
    let split = Split {
        train: (0..train).collect(),
        validation: Vec::new(),
        test: (train..samples).collect(),
    };
    let inputs = Inputs::Values(Arc::new(x));
    let targets = Targets::Values(sums);
    Sequences {
        name: format!("adding problem of {}", count(steps, "step", "steps")),
        origin: "built-in".into(),
        warnings: Vec::new(),
        sha256: hash(&inputs, &targets, &split),
        steps,
        n_in: 2,
        n_out: 1,
        split,
        inputs,
        targets,
        per_sample: 1,
    }
}

/// The user's own sequences, of which four fifths, drawn by `seeds.data`, are trained on.
fn own(path: &Path, config: &Config) -> Result<Sequences, DataError> {
    let mut arrays = read_npz_f32(path)?;
    let wrong = |array: &str, problem: String| DataError::Array {
        path: path.to_path_buf(),
        array: array.to_owned(),
        problem,
    };
    let mut take = |name: &str| {
        let found = arrays.remove(name);
        found.ok_or_else(|| wrong(name, "is missing; a file of sequences holds x and y".into()))
    };
    let (x_shape, x) = take("x")?;
    let (y_shape, y) = take("y")?;
    let [samples, steps, n_in] = x_shape[..] else {
        let problem = format!("its shape is {x_shape:?}; expected [samples, steps, inputs]");
        return Err(wrong("x", problem));
    };
    if x.is_empty() || samples < 2 {
        return Err(wrong(
            "x",
            format!("its shape is {x_shape:?}; two samples are needed at the least"),
        ));
    }
    for (name, values) in [("x", &x), ("y", &y)] {
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return Err(wrong(
                name,
                format!("holds {} at entry {at}; numbers must be finite", values[at]),
            ));
        }
    }
    let loss = config.training.loss.unwrap_or(match y_shape.len() {
        1 => Loss::CrossEntropyLast,
        _ => Loss::MseLast,
    });
    let expected = match loss {
        Loss::CrossEntropyLast => vec![samples],
        Loss::CrossEntropyAll => vec![samples, steps],
        Loss::MseLast => vec![samples, y_shape.get(1).copied().unwrap_or(1)],
    };
    if y_shape != expected && !(loss == Loss::MseLast && y_shape == [samples]) {
        let problem = format!("its shape is {y_shape:?}; this loss needs {expected:?}");
        return Err(wrong("y", problem));
    }
    let (targets, n_out) = match loss {
        Loss::MseLast => (Targets::Values(y), expected[1]),
        Loss::CrossEntropyLast | Loss::CrossEntropyAll => {
            let class =
                |x: &f32| (*x >= 0.0 && x.fract() == 0.0 && *x < 65_536.0).then_some(*x as u32);
            let classes: Option<Vec<u32>> = y.iter().map(class).collect();
            let classes = classes.ok_or_else(|| {
                wrong(
                    "y",
                    "holds numbers that are no classes: whole, from 0 to 65535".into(),
                )
            })?;
            let n_out = classes.iter().max().map_or(1, |most| *most as usize + 1);
            (Targets::Classes(classes), n_out)
        }
    };
    let mut order: Vec<usize> = (0..samples).collect();
    Stream::new(Purpose::Split, config.seeds.data, 0, 0).shuffle(&mut order);
    let test = order.split_off((samples * TRAIN_SHARE.0 / TRAIN_SHARE.1).max(1));
    let split = Split {
        train: order,
        validation: Vec::new(),
        test,
    };
    let inputs = Inputs::Values(Arc::new(x));
    let stem = path.file_stem().unwrap_or_default();
    Ok(Sequences {
        name: stem.to_string_lossy().into_owned(),
        origin: path.display().to_string(),
        warnings: Vec::new(),
        sha256: hash(&inputs, &targets, &split),
        steps,
        n_in,
        n_out,
        split,
        inputs,
        targets,
        per_sample: if loss == Loss::CrossEntropyAll {
            steps
        } else {
            1
        },
    })
}

/// SHA-256 of sequences, targets and split, in hexadecimal.
fn hash(inputs: &Inputs, targets: &Targets, split: &Split) -> String {
    let mut hash = Sha256::new_with_prefix(b"sequences");
    match inputs {
        Inputs::Values(values) => hash.update(bytemuck::cast_slice(values)),
        Inputs::OneOf(tokens) => hash.update(bytemuck::cast_slice(tokens)),
        Inputs::Images(set) => hash.update(set.sha256()),
    }
    match targets {
        Targets::Classes(classes) => hash.update(bytemuck::cast_slice(classes)),
        Targets::Values(values) => hash.update(bytemuck::cast_slice(values)),
    }
    for part in [&split.train, &split.validation, &split.test] {
        hash.update((part.len() as u64).to_le_bytes());
        for &index in part {
            hash.update((index as u64).to_le_bytes());
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_an_adding_problem_is_the_sum_of_the_marked_numbers() {
        let settings = Adding {
            steps: 7,
            train_samples: 50,
            test_samples: 20,
        };
        let sequences = adding(&settings, 3);
        let all: Vec<usize> = (0..70).collect();
        let batch = sequences.batch(&all);
        let Targets::Values(sums) = &batch.targets else {
            panic!("values")
        };
        for (trial, sum) in sums.iter().enumerate() {
            let at = |step: usize| &batch.x[(step * 70 + trial) * 2..][..2];
            let marked: Vec<usize> = (0..7).filter(|&step| at(step)[1] == 1.0).collect();
            assert!(
                marked.len() == 2 && marked[0] < 3 && marked[1] >= 3,
                "{marked:?}"
            );
            assert_eq!(marked.iter().map(|&step| at(step)[0]).sum::<f32>(), *sum);
        }
        assert_eq!(sequences.sha256, adding(&settings, 3).sha256);
        assert_ne!(sequences.sha256, adding(&settings, 4).sha256);
        assert_eq!(
            [sequences.split.train.len(), sequences.split.test.len()],
            [50, 20]
        );
    }

    #[test]
    fn images_are_shown_row_by_row_or_pixel_by_pixel() {
        let config = |task| {
            let text = format!(
                r#"{{"data": {{"task": "{task}", "images": {{"dataset": "digits", "train_samples": 20, "test_samples": 10}}}}}}"#
            );
            crate::config::resolve::<Config>(&text, "test", &[], None).unwrap()
        };
        let rows = Sequences::load(&config("image_rows"), None).unwrap();
        let pixels = Sequences::load(&config("image_pixels"), None).unwrap();
        assert_eq!([rows.steps, rows.n_in, rows.n_out], [28, 28, 10]);
        assert_eq!([pixels.steps, pixels.n_in], [784, 1]);
        let (a, b) = (rows.batch(&[3]), pixels.batch(&[3]));
        assert_eq!((a.x, &a.targets), (b.x, &b.targets));
        // Step 5 of the second of two trials.
        let two = rows.batch(&[3, 7]);
        assert_eq!(
            two.x[(5 * 2 + 1) * 28..][..28],
            rows.batch(&[7]).x[5 * 28..][..28]
        );
    }
}
