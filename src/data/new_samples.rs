//! Samples to be answered by a trained network: labels are welcome, not needed.

use std::path::Path;

use super::npz::Npz;
use super::user::{events_npz, images_npz};
use super::{
    DataError, ImageSet, Samples, load_images_idx, load_mnist, read_images as read_idx_images,
};

/// New samples.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSamples {
    /// The samples; without labels, every label is 0.
    pub samples: Samples,
    /// Whether the labels mean something.
    pub is_labelled: bool,
}

/// Loads an `.npz` file of images or events (with or without `labels`), an IDX image file with its
/// label file or without, or the test part of a folder of MNIST files.
///
/// # Errors
/// The file is missing or malformed, or holds neither images nor events.
pub fn load_new_samples(path: &Path, labels: Option<&Path>) -> Result<NewSamples, DataError> {
    let is_npz = path.extension().is_some_and(|extension| extension == "npz");
    if let Some(labels) = labels.filter(|_| is_npz || path.is_dir()) {
        let problem = "a separate file of labels belongs to an IDX image file only";
        return Err(DataError::malformed(labels, problem));
    }
    if path.is_dir() {
        let mnist = load_mnist(Some(path))?;
        let test: Vec<usize> = (mnist.training_file_samples..mnist.images.len()).collect();
        return Ok(NewSamples {
            samples: Samples::Images(mnist.images.select(&test)),
            is_labelled: true,
        });
    }
    if is_npz {
        let names = Npz::open(path)?.names();
        let has = |name: &str| names.iter().any(|known| known == name);
        return if has("images") {
            let (set, is_labelled) = images_npz(path, false)?;
            let samples = Samples::Images(set);
            Ok(NewSamples {
                samples,
                is_labelled,
            })
        } else if has("trial") {
            let (set, is_labelled) = events_npz(path, false)?;
            let samples = Samples::Events(set);
            Ok(NewSamples {
                samples,
                is_labelled,
            })
        } else {
            let problem = format!(
                "holds neither `images` nor events (`trial`, `time_ms`, `input`), only: {}",
                names.join(", ")
            );
            Err(DataError::malformed(path, problem))
        };
    }
    if let Some(labels) = labels {
        return Ok(NewSamples {
            samples: Samples::Images(load_images_idx(path, labels)?),
            is_labelled: true,
        });
    }
    let images = read_idx_images(path)?;
    if images.pixels.is_empty() {
        return Err(DataError::malformed(path, "holds no pixels"));
    }
    let set = ImageSet {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        height: images.height,
        width: images.width,
        classes: 1,
        pixels: images.pixels,
        labels: vec![0; images.count],
    };
    Ok(NewSamples {
        samples: Samples::Images(set),
        is_labelled: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ArrayValues, IdxImages, NamedArray, write_images, write_labels, write_npz};

    #[test]
    fn labels_may_be_missing_everywhere() {
        let dir = tempfile::tempdir().unwrap();
        let array = |name, shape, values| NamedArray {
            name,
            shape,
            values,
        };
        let images = dir.path().join("images.npz");
        let pixels = array("images", &[2, 2, 2], ArrayValues::U8(&[9; 8]));
        write_npz(&images, &[pixels]).unwrap();
        let events = dir.path().join("events.npz");
        let spikes = [
            array("trial", &[2], ArrayValues::I32(&[0, 2])),
            array("time_ms", &[2], ArrayValues::F32(&[0.5, 1.0])),
            array("input", &[2], ArrayValues::I32(&[1, 0])),
        ];
        write_npz(&events, &spikes).unwrap();
        let idx = dir.path().join("images-idx3-ubyte");
        let content = IdxImages {
            count: 2,
            height: 1,
            width: 3,
            pixels: vec![1; 6],
        };
        write_images(&idx, &content).unwrap();
        for (path, count, inputs) in [(&images, 2, 4), (&events, 3, 2), (&idx, 2, 3)] {
            let new = load_new_samples(path, None).unwrap();
            assert!(!new.is_labelled);
            assert_eq!((new.samples.len(), new.samples.inputs()), (count, inputs));
        }
        let labels = dir.path().join("labels-idx1-ubyte");
        write_labels(&labels, &[1, 0]).unwrap();
        let new = load_new_samples(&idx, Some(&labels)).unwrap();
        assert!(new.is_labelled && new.samples.labels() == [1, 0]);
        assert!(load_new_samples(&images, Some(&labels)).is_err());

        let other = dir.path().join("other.npz");
        write_npz(&other, &[array("pictures", &[1], ArrayValues::U8(&[1]))]).unwrap();
        let message = load_new_samples(&other, None).unwrap_err().to_string();
        assert!(message.contains("only: pictures"), "{message}");
    }
}
