//! From the `data` section of a configuration to samples and their split.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::samples::hex;
use super::{
    DataError, STUDIES_SAMPLES, Samples, Split, SplitSamples, digits, load_events_npz,
    load_images_idx, load_images_npz, load_mnist, stratified, studies_split,
};
use crate::config::{self, Subset};
use crate::text;

/// Share of the samples that train where a whole source without parts of its own is used.
const FULL_TRAIN_SHARE: (usize, usize) = (4, 5);

/// Most digits drawn for one set (784 MB of pixels).
const MOST_DIGITS: usize = 1_000_000;

/// A data set, where it was found, and what to tell the user about it.
#[derive(Clone, Debug)]
pub struct LoadedData {
    /// Samples and split.
    pub dataset: SplitSamples,
    /// File, folder or "built-in".
    pub origin: String,
    /// What is unusual about it.
    pub warnings: Vec<String>,
}

impl SplitSamples {
    /// SHA-256, in hexadecimal, of the samples in use and of their indices: all that results
    /// depend on.
    pub fn sha256(&self) -> String {
        let Split {
            train,
            validation,
            test,
        } = &self.split;
        let used = [&train[..], validation, test].concat();
        let mut hash = Sha256::new_with_prefix(b"dataset");
        hash.update(self.samples.select(&used).sha256());
        for part in [train, validation, test] {
            hash.update((part.len() as u64).to_le_bytes());
            for &index in part {
                hash.update((index as u64).to_le_bytes());
            }
        }
        hex(&hash.finalize())
    }
}

/// Loads what `data` describes and splits it by `seed`. `place` says where the files are now: the
/// folder of MNIST, the user's file, or a folder that holds a file of the configured name.
///
/// # Errors
/// Files that are missing or malformed, or a split they cannot serve.
pub fn load_dataset(
    data: &config::Data,
    seed: u64,
    place: Option<&Path>,
) -> Result<LoadedData, DataError> {
    let (train, test) = (data.train_samples, data.test_samples);
    let mut warnings = Vec::new();
    let mut parts = None;
    let (samples, origin) = match data.dataset {
        config::Dataset::Mnist => {
            let mnist = load_mnist(place)?;
            warnings.extend(mnist.warning);
            parts = Some(mnist.training_file_samples);
            let origin = mnist.folder.display().to_string();
            (Samples::Images(mnist.images), origin)
        }
        config::Dataset::Digits => {
            let count = train.saturating_add(test);
            if count > MOST_DIGITS {
                return Err(DataError::Setting {
                    setting: "data.train_samples + data.test_samples",
                    value: count.to_string(),
                    problem: format!("at most {MOST_DIGITS} digits are drawn"),
                });
            }
            let set = digits(count, seed);
            (Samples::Images(set), "built-in".to_owned())
        }
        config::Dataset::Images => {
            let path = user_file(data, place)?;
            let set = match &data.labels_path {
                Some(labels) => load_images_idx(&path, &beside(labels, place))?,
                None => load_images_npz(&path)?,
            };
            (Samples::Images(set), path.display().to_string())
        }
        config::Dataset::Events => {
            let path = user_file(data, place)?;
            let origin = path.display().to_string();
            (Samples::Events(load_events_npz(&path)?), origin)
        }
    };
    let (labels, classes, count) = (samples.labels(), samples.classes(), samples.len());
    let split = match data.subset {
        Subset::Studies if count != STUDIES_SAMPLES => {
            return Err(DataError::Split(format!(
                "the published split is made for the {STUDIES_SAMPLES} samples of MNIST, but {origin} has \
                 {count}; set data.subset to \"stratified\""
            )));
        }
        Subset::Studies => studies_split()?,
        Subset::Stratified => stratified(labels, classes, train, test, seed)?,
        Subset::Full => match parts {
            Some(first_test) => Split {
                train: (0..first_test).collect(),
                validation: Vec::new(),
                test: (first_test..count).collect(),
            },
            None => {
                let n_train = count * FULL_TRAIN_SHARE.0 / FULL_TRAIN_SHARE.1;
                stratified(labels, classes, n_train, count - n_train, seed)?
            }
        },
    };
    let split = split.hold_out(labels, classes, data.validation_percent / 100.0, seed)?;
    if split.train.is_empty() || split.test.is_empty() {
        return Err(DataError::Split(format!(
            "{} {} for training and {} for testing, and both are needed; add samples (data.path)",
            text::count(count, "sample leaves", "samples leave"),
            split.train.len(),
            split.test.len()
        )));
    }
    let name = match &samples {
        Samples::Images(set) => set.name.clone(),
        Samples::Events(set) => set.name.clone(),
    };
    let dataset = SplitSamples {
        name,
        samples,
        split,
    };
    Ok(LoadedData {
        dataset,
        origin,
        warnings,
    })
}

/// The user's file, where it is now.
fn user_file(data: &config::Data, place: Option<&Path>) -> Result<PathBuf, DataError> {
    let configured = data
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .ok_or_else(|| DataError::Setting {
            setting: "data.path",
            value: "null".into(),
            problem: "must name your file".into(),
        })?;
    Ok(match place {
        Some(file) if !file.is_dir() => file.to_path_buf(),
        _ => beside(configured, place),
    })
}

/// A configured file, looked for in the folder `place` where one is given, or beside that file.
fn beside(configured: &str, place: Option<&Path>) -> PathBuf {
    let configured = Path::new(configured);
    let folder = place.and_then(|place| {
        if place.is_dir() {
            Some(place)
        } else {
            place.parent()
        }
    });
    match (folder, configured.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => configured.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ArrayValues, NamedArray, write_npz};

    fn digits_config(train: usize, test: usize) -> config::Data {
        config::Data {
            dataset: config::Dataset::Digits,
            subset: Subset::Stratified,
            train_samples: train,
            test_samples: test,
            ..config::Data::default()
        }
    }

    #[test]
    fn the_hash_sees_samples_and_split() {
        let load = |train, test, seed, validation_percent| {
            let data = config::Data {
                validation_percent,
                ..digits_config(train, test)
            };
            load_dataset(&data, seed, None).unwrap().dataset.sha256()
        };
        let first = load(30, 20, 1, 0.0);
        assert_eq!(load(30, 20, 1, 0.0), first);
        for other in [
            load(20, 30, 1, 0.0),
            load(30, 20, 2, 0.0),
            load(30, 20, 1, 20.0),
        ] {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn a_moved_file_is_found_by_folder_or_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.npz");
        let array = |name, shape, values| NamedArray {
            name,
            shape,
            values,
        };
        let pixels = [7u8; 40];
        write_npz(
            &file,
            &[
                array("images", &[10, 2, 2], ArrayValues::U8(&pixels)),
                array(
                    "labels",
                    &[10],
                    ArrayValues::I64(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
                ),
            ],
        )
        .unwrap();
        let data = config::Data {
            dataset: config::Dataset::Images,
            path: Some("gone/mine.npz".into()),
            subset: Subset::Full,
            ..config::Data::default()
        };
        assert!(load_dataset(&data, 1, None).is_err());
        for place in [dir.path(), &file] {
            let loaded = load_dataset(&data, 1, Some(place)).unwrap();
            let split = loaded.dataset.split;
            assert_eq!((split.train.len(), split.test.len()), (8, 2));
        }
    }

    #[test]
    fn the_published_split_needs_the_published_samples() {
        let data = config::Data {
            subset: Subset::Studies,
            ..digits_config(5, 5)
        };
        let message = load_dataset(&data, 1, None).unwrap_err().to_string();
        assert!(
            message.contains("70000") && message.contains("stratified"),
            "{message}"
        );
    }
}
