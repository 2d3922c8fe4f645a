//! Labelled samples: images, or trials of input spikes.

use sha2::{Digest, Sha256};

use super::Split;

/// Images with labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// What the set is called in reports.
    pub name: String,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Number of classes; every label is below it.
    pub classes: usize,
    /// Row-major `[samples, height, width]`, 0..=255.
    pub pixels: Vec<u8>,
    /// The class of each image, `[samples]`.
    pub labels: Vec<u16>,
}

impl ImageSet {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels `[height · width]` of sample `i`, which must be below [`ImageSet::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.height * self.width;
        &self.pixels[i * size..(i + 1) * size]
    }

    /// The samples at `indices` (each below [`ImageSet::len`]), in that order.
    pub fn select(&self, indices: &[usize]) -> ImageSet {
        ImageSet {
            name: self.name.clone(),
            pixels: indices
                .iter()
                .flat_map(|&i| self.image(i))
                .copied()
                .collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            ..*self
        }
    }

    /// SHA-256 of shape, pixels and labels, in hexadecimal. The name is not part of it.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"images");
        hash_counts(
            &mut hash,
            &[self.len(), self.height, self.width, self.classes],
        );
        hash.update(&self.pixels);
        hash_labels(hash, &self.labels)
    }
}

/// Input spikes of trials given by the user, with labels.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSet {
    /// What the set is called in reports.
    pub name: String,
    /// Number of inputs; every event's input is below it.
    pub inputs: usize,
    /// Number of classes; every label is below it.
    pub classes: usize,
    /// Duration of each trial; every event's time is in 0..duration_ms.
    pub duration_ms: f64,
    /// The (time_ms, input) of each trial's spikes, sorted.
    pub trials: Vec<Vec<(f64, u32)>>,
    /// The class of each trial, `[trials]`.
    pub labels: Vec<u16>,
}

impl EventSet {
    /// Number of trials.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no trials.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The trials at `indices` (each below [`EventSet::len`]), in that order.
    pub fn select(&self, indices: &[usize]) -> EventSet {
        EventSet {
            name: self.name.clone(),
            trials: indices.iter().map(|&i| self.trials[i].clone()).collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            ..*self
        }
    }

    /// SHA-256 of sizes, events and labels, in hexadecimal. The name is not part of it.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"events");
        hash_counts(&mut hash, &[self.len(), self.inputs, self.classes]);
        hash.update(self.duration_ms.to_le_bytes());
        for trial in &self.trials {
            hash_counts(&mut hash, &[trial.len()]);
            for (time_ms, input) in trial {
                hash.update(time_ms.to_le_bytes());
                hash.update(input.to_le_bytes());
            }
        }
        hash_labels(hash, &self.labels)
    }
}

/// Labelled samples of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Images, from which input spikes are drawn.
    Images(ImageSet),
    /// Given input spikes.
    Events(EventSet),
}

impl Samples {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }

    /// Number of input cells a sample drives.
    pub fn inputs(&self) -> usize {
        match self {
            Samples::Images(set) => set.height * set.width,
            Samples::Events(set) => set.inputs,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Samples::Images(set) => set.classes,
            Samples::Events(set) => set.classes,
        }
    }

    /// The labels `[samples]`, each below [`Samples::classes`].
    pub fn labels(&self) -> &[u16] {
        match self {
            Samples::Images(set) => &set.labels,
            Samples::Events(set) => &set.labels,
        }
    }

    /// The samples at `indices` (each below [`Samples::len`]), in that order.
    pub fn select(&self, indices: &[usize]) -> Samples {
        match self {
            Samples::Images(set) => Samples::Images(set.select(indices)),
            Samples::Events(set) => Samples::Events(set.select(indices)),
        }
    }

    /// SHA-256 of everything but the name, in hexadecimal.
    pub fn sha256(&self) -> String {
        match self {
            Samples::Images(set) => set.sha256(),
            Samples::Events(set) => set.sha256(),
        }
    }
}

/// Samples and which of them train, validate and test.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitSamples {
    /// What the data set is called in reports.
    pub name: String,
    /// All samples.
    pub samples: Samples,
    /// Indices into the samples.
    pub split: Split,
}

fn hash_counts(hash: &mut Sha256, counts: &[usize]) {
    counts
        .iter()
        .for_each(|&count| hash.update((count as u64).to_le_bytes()));
}

fn hash_labels(mut hash: Sha256, labels: &[u16]) -> String {
    labels
        .iter()
        .for_each(|label| hash.update(label.to_le_bytes()));
    hex(&hash.finalize())
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_keeps_order_and_the_hash_sees_every_part() {
        let set = ImageSet {
            name: "a".into(),
            height: 1,
            width: 2,
            classes: 3,
            pixels: vec![1, 2, 3, 4, 5, 6],
            labels: vec![0, 1, 2],
        };
        let chosen = set.select(&[2, 0]);
        assert_eq!(
            (&chosen.pixels[..], &chosen.labels[..]),
            (&[5, 6, 1, 2][..], &[2, 0][..])
        );
        let changed = [
            chosen.clone(),
            ImageSet {
                height: 2,
                width: 1,
                ..set.clone()
            },
            ImageSet {
                classes: 4,
                ..set.clone()
            },
            ImageSet {
                labels: vec![0, 1, 1],
                ..set.clone()
            },
        ];
        assert!(changed.iter().all(|other| other.sha256() != set.sha256()));
        assert_eq!(
            ImageSet {
                name: "b".into(),
                ..set.clone()
            }
            .sha256(),
            set.sha256()
        );

        let trials = vec![vec![(0.5, 1)], vec![]];
        let events = EventSet {
            name: "e".into(),
            inputs: 2,
            classes: 2,
            duration_ms: 1.0,
            trials,
            labels: vec![0, 1],
        };
        let swapped = Samples::Events(events.select(&[1, 0]));
        assert_eq!(
            (swapped.len(), swapped.inputs(), swapped.labels()),
            (2, 2, &[1, 0][..])
        );
        assert_ne!(swapped.sha256(), events.sha256());
        assert_eq!(swapped.select(&[1, 0]).sha256(), events.sha256());
    }
}
