//! The user's own images or spike events from an `.npz` file.

use std::path::Path;

use super::npy::NpyArray;
use super::npz::Npz;
use super::{DataError, EventSet, ImageSet};
use crate::text;

/// Trials of a file without labels are numbered below this.
const MOST_UNLABELLED_TRIALS: i64 = 10_000_000;

/// Loads images: `images` (`[n, height, width]` or `[n, pixels]`) and `labels` (`[n]`).
///
/// Integers are intensities 0..=255; floats are 0..=1 and are multiplied by 255 and rounded. Rows
/// of a square number of pixels become square images, others one line. The set is named after the
/// file and has as many classes as the largest label asks for.
///
/// # Errors
/// The file is malformed, an array is missing, or its shape, type or a value does not fit.
pub fn load_images_npz(path: &Path) -> Result<ImageSet, DataError> {
    let (set, _) = images_npz(path, true)?;
    Ok(set)
}

/// As [`load_images_npz`]; where labels are not needed and not there, all are 0 and the result is
/// `false`.
pub(crate) fn images_npz(path: &Path, needs_labels: bool) -> Result<(ImageSet, bool), DataError> {
    let mut npz = Npz::open(path)?;
    let images = npz.array("images")?;
    let found = labels_npz(path, &mut npz, needs_labels)?;
    let error = |problem| DataError::array(path, "images", problem);

    let (count, height, width) = match images.shape[..] {
        [count, height, width] => (count, height, width),
        [count, pixels] if pixels.isqrt().pow(2) == pixels => {
            (count, pixels.isqrt(), pixels.isqrt())
        }
        [count, pixels] => (count, 1, pixels),
        _ => {
            let shape = &images.shape;
            return Err(error(format!(
                "its shape is {shape:?}; expected [n, height, width] or [n, pixels]"
            )));
        }
    };
    if images.len() == 0 {
        return Err(error(format!(
            "its shape is {:?}: there are no pixels",
            images.shape
        )));
    }
    let is_labelled = found.is_some();
    let (labels, classes) = found.unwrap_or_else(|| (vec![0; count], 1));
    if count != labels.len() {
        return Err(error(format!(
            "its shape is {:?}, but the file has {}",
            images.shape,
            text::count(labels.len(), "label", "labels")
        )));
    }
    let pixels = read_pixels(&images).map_err(error)?;
    let set = ImageSet {
        name: name(path),
        height,
        width,
        classes,
        pixels,
        labels,
    };
    Ok((set, is_labelled))
}

/// Loads spike events: `trial`, `time_ms` and `input`, one entry a spike in any order, and
/// `labels` (`[trials]`).
///
/// Optional scalars are `inputs` (by default one more than the largest input) and `duration_ms`
/// (by default the first whole millisecond after the last spike). The set is named after the file
/// and has as many classes as the largest label asks for.
///
/// # Errors
/// The file is malformed, an array is missing, or its shape, type or a value does not fit.
pub fn load_events_npz(path: &Path) -> Result<EventSet, DataError> {
    let (set, _) = events_npz(path, true)?;
    Ok(set)
}

/// As [`load_events_npz`]; where labels are not needed and not there, all are 0, there are as many
/// trials as the largest number in `trial` asks for, and the result is `false`.
pub(crate) fn events_npz(path: &Path, needs_labels: bool) -> Result<(EventSet, bool), DataError> {
    let mut npz = Npz::open(path)?;
    let found = labels_npz(path, &mut npz, needs_labels)?;
    let is_labelled = found.is_some();
    let [trial, time, input] = npz.lists(["trial", "time_ms", "input"])?;
    let (labels, classes) = match found {
        Some(found) => found,
        None => {
            let last = trial.integers().flatten().fold(0, i64::max);
            if last >= MOST_UNLABELLED_TRIALS {
                let problem =
                    format!("names trial {last}; expected below {MOST_UNLABELLED_TRIALS}");
                return Err(DataError::array(path, "trial", problem));
            }
            (vec![0; last as usize + 1], 1)
        }
    };

    let inputs = inputs_npz(path, &mut npz, &input)?;
    let duration_ms = duration_npz(path, &mut npz, &time)?;
    let mut trials = vec![Vec::new(); labels.len()];
    let spikes = trial.integers().zip(time.floats()).zip(input.integers());
    for (spike, ((trial, time_ms), input)) in spikes.enumerate() {
        let wrong = |array, value: String, expected: String| {
            DataError::array(
                path,
                array,
                format!("entry {spike} is {value}; expected {expected}"),
            )
        };
        let events = trial
            .and_then(|i| trials.get_mut(usize::try_from(i).ok()?))
            .ok_or_else(|| {
                wrong(
                    "trial",
                    show(trial),
                    format!("0 to below {}, the number of labels", labels.len()),
                )
            })?;
        if !(0.0..duration_ms).contains(&time_ms) {
            return Err(wrong(
                "time_ms",
                time_ms.to_string(),
                format!("0 to below {duration_ms}"),
            ));
        }
        let Some(input) = input
            .and_then(|i| u32::try_from(i).ok())
            .filter(|&i| (i as usize) < inputs)
        else {
            return Err(wrong("input", show(input), format!("0 to below {inputs}")));
        };
        events.push((time_ms, input));
    }
    for events in &mut trials {
        events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
    let set = EventSet {
        name: name(path),
        inputs,
        classes,
        duration_ms,
        trials,
        labels,
    };
    Ok((set, is_labelled))
}

/// The number of inputs: as the file says, else one more than the largest that spikes.
fn inputs_npz(path: &Path, npz: &mut Npz, input: &NpyArray) -> Result<usize, DataError> {
    match scalar(path, npz, "inputs")? {
        Some(value) if value.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&value) => {
            Ok(value as usize)
        }
        Some(value) => {
            let problem = format!("is {value}; expected a whole number from 1 to {}", u32::MAX);
            Err(DataError::array(path, "inputs", problem))
        }
        None => Ok(input.integers().flatten().fold(0, i64::max) as usize + 1),
    }
}

/// The duration of trials: as the file says, else the next millisecond after the last spike.
fn duration_npz(path: &Path, npz: &mut Npz, time: &NpyArray) -> Result<f64, DataError> {
    match scalar(path, npz, "duration_ms")? {
        Some(value) if value > 0.0 && value.is_finite() => Ok(value),
        Some(value) => {
            let problem = format!("is {value}; expected milliseconds above 0");
            Err(DataError::array(path, "duration_ms", problem))
        }
        None => Ok(time.floats().fold(0.0, f64::max).floor() + 1.0),
    }
}

fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn show(value: Option<i64>) -> String {
    value.map_or("not a whole number".into(), |value| value.to_string())
}

/// The labels of a file and the number of classes they ask for; `None` where they are not needed
/// and not there.
fn labels_npz(
    path: &Path,
    npz: &mut Npz,
    needed: bool,
) -> Result<Option<(Vec<u16>, usize)>, DataError> {
    let array = if needed {
        Some(npz.array("labels")?)
    } else {
        npz.optional("labels")?
    };
    array.map(|array| read_labels(path, &array)).transpose()
}

/// Labels and the number of classes they ask for.
fn read_labels(path: &Path, array: &NpyArray) -> Result<(Vec<u16>, usize), DataError> {
    let error = |problem| DataError::array(path, "labels", problem);
    if array.shape.len() != 1 || array.len() == 0 {
        return Err(error(format!(
            "its shape is {:?}; expected [samples]",
            array.shape
        )));
    }
    let mut labels = Vec::with_capacity(array.len());
    for (at, value) in array.integers().enumerate() {
        let label = value.and_then(|value| u16::try_from(value).ok());
        labels.push(label.ok_or_else(|| {
            error(format!(
                "entry {at} is {}; expected a whole number from 0 to 65535",
                show(value)
            ))
        })?);
    }
    let classes = labels
        .iter()
        .max()
        .map_or(0, |&label| usize::from(label) + 1);
    Ok((labels, classes))
}

fn read_pixels(images: &NpyArray) -> Result<Vec<u8>, String> {
    if let Some(bytes) = images.as_bytes() {
        return Ok(bytes.to_vec());
    }
    let (scale, highest) = if images.is_float() {
        (255.0, 1.0)
    } else {
        (1.0, 255.0)
    };
    let mut pixels = Vec::with_capacity(images.len());
    for value in images.floats() {
        if !(0.0..=highest).contains(&value) {
            return Err(format!(
                "holds the value {value}; expected integers 0 to 255 or floats 0 to 1"
            ));
        }
        pixels.push((value * scale).round() as u8);
    }
    Ok(pixels)
}

/// An optional array of one element.
pub(super) fn scalar(path: &Path, npz: &mut Npz, name: &str) -> Result<Option<f64>, DataError> {
    let Some(array) = npz.optional(name)? else {
        return Ok(None);
    };
    let mut values = array.floats();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(Some(value)),
        _ => Err(DataError::array(
            path,
            name,
            format!("its shape is {:?}; expected one number", array.shape),
        )),
    }
}

#[cfg(test)]
mod tests;
