//! The user's own images or spike events from an `.npz` file.

use std::path::Path;

use super::npy::NpyArray;
use super::npz::Npz;
use super::{DataError, EventSet, ImageSet};

/// Loads images: `images` (`[n, height, width]` or `[n, pixels]`) and `labels` (`[n]`).
///
/// Integers are intensities 0..=255; floats are 0..=1 and are multiplied by 255 and rounded. Rows
/// of a square number of pixels become square images, others one line. The set is named after the
/// file and has as many classes as the largest label asks for.
///
/// # Errors
/// The file is malformed, an array is missing, or its shape, type or a value does not fit.
pub fn load_images_npz(path: &Path) -> Result<ImageSet, DataError> {
    let mut npz = Npz::open(path)?;
    let images = npz.array("images")?;
    let (labels, classes) = read_labels(path, &npz.array("labels")?)?;
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
    if count != labels.len() || images.len() == 0 {
        let (shape, labels) = (&images.shape, labels.len());
        return Err(error(format!(
            "its shape is {shape:?}, but there are {labels} labels"
        )));
    }
    let pixels = read_pixels(&images).map_err(error)?;
    Ok(ImageSet {
        name: name(path),
        height,
        width,
        classes,
        pixels,
        labels,
    })
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
    let mut npz = Npz::open(path)?;
    let (labels, classes) = read_labels(path, &npz.array("labels")?)?;
    let trial = npz.array("trial")?;
    let time = npz.array("time_ms")?;
    let input = npz.array("input")?;
    for (array, name) in [(&trial, "trial"), (&time, "time_ms"), (&input, "input")] {
        if array.shape != [trial.len()] {
            let (shape, count) = (&array.shape, trial.len());
            let problem = format!(
                "its shape is {shape:?}; expected [{count}], one entry a spike as in `trial`"
            );
            return Err(DataError::array(path, name, problem));
        }
    }

    let inputs = match scalar(path, &mut npz, "inputs")? {
        Some(value) if value.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&value) => {
            value as usize
        }
        Some(value) => {
            return Err(DataError::array(
                path,
                "inputs",
                format!("{value} is not a number of inputs"),
            ));
        }
        None => input.integers().flatten().fold(0, i64::max) as usize + 1,
    };
    let duration_ms = match scalar(path, &mut npz, "duration_ms")? {
        Some(value) if value > 0.0 && value.is_finite() => value,
        Some(value) => {
            return Err(DataError::array(
                path,
                "duration_ms",
                format!("{value} is not a duration"),
            ));
        }
        None => time.floats().fold(0.0, f64::max).floor() + 1.0,
    };

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
                    format!("0 to {}, as there are {0} labels", labels.len()),
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
    Ok(EventSet {
        name: name(path),
        inputs,
        classes,
        duration_ms,
        trials,
        labels,
    })
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
fn scalar(path: &Path, npz: &mut Npz, name: &str) -> Result<Option<f64>, DataError> {
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
mod tests {
    use super::*;
    use crate::data::ArrayValues::{F32, I32, I64, U8};
    use crate::data::{ArrayValues, NamedArray, write_npz};
    use std::path::PathBuf;
    use tempfile::{TempDir, tempdir};

    type Array<'a> = (&'a str, &'a [usize], ArrayValues<'a>);
    type Arrays<'a> = Vec<Array<'a>>;

    fn file(arrays: &Arrays<'_>) -> (TempDir, PathBuf) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("mine.npz");
        let named = |&(name, shape, values)| NamedArray {
            name,
            shape,
            values,
        };
        write_npz(&path, &arrays.iter().map(named).collect::<Vec<_>>()).unwrap();
        (dir, path)
    }

    /// The arrays with one of them replaced, or added.
    fn with<'a>(arrays: &Arrays<'a>, other: (&'a str, &'a [usize], ArrayValues<'a>)) -> Arrays<'a> {
        let rest = arrays.iter().filter(|array| array.0 != other.0);
        rest.copied().chain([other]).collect()
    }

    const LABELS: (&str, &[usize], ArrayValues<'static>) = ("labels", &[2], I64(&[0, 3]));

    #[test]
    fn images_of_every_accepted_form_agree() {
        let forms: [Array<'_>; 4] = [
            ("images", &[2, 2, 2], U8(&[0, 51, 102, 255, 0, 0, 0, 51])),
            ("images", &[2, 4], U8(&[0, 51, 102, 255, 0, 0, 0, 51])),
            ("images", &[2, 4], I32(&[0, 51, 102, 255, 0, 0, 0, 51])),
            (
                "images",
                &[2, 2, 2],
                F32(&[0.0, 0.2, 0.4, 1.0, 0.0, 0.0, 0.0, 0.2]),
            ),
        ];
        for form in forms {
            let (_dir, path) = file(&vec![form, LABELS]);
            let set = load_images_npz(&path).unwrap();
            assert_eq!((set.height, set.width, set.classes), (2, 2, 4));
            assert_eq!(
                (set.name.as_str(), set.image(0)),
                ("mine", &[0, 51, 102, 255][..])
            );
            assert_eq!(
                (set.image(1), &set.labels[..]),
                (&[0, 0, 0, 51][..], &[0, 3][..])
            );
        }
        let (_dir, path) = file(&vec![("images", &[2, 3], U8(&[1; 6])), LABELS]);
        let set = load_images_npz(&path).unwrap();
        assert_eq!((set.height, set.width), (1, 3));
    }

    #[test]
    fn wrong_images_are_named() {
        let good: Arrays<'_> = vec![("images", &[2, 1, 1], U8(&[1, 2])), LABELS];
        let cases: [(&str, Array<'_>); 9] = [
            ("[2]", ("images", &[2], U8(&[1, 2]))),
            ("2 labels", ("images", &[1, 2], U8(&[1, 2]))),
            ("2 labels", ("images", &[2, 0], U8(&[]))),
            ("value 256", ("images", &[2, 1], I32(&[1, 256]))),
            ("value 1.5", ("images", &[2, 1], F32(&[1.0, 1.5]))),
            ("value NaN", ("images", &[2, 1], F32(&[1.0, f32::NAN]))),
            ("entry 1 is -1", ("labels", &[2], I32(&[0, -1]))),
            ("entry 0 is 65536", ("labels", &[2], I32(&[65536, 0]))),
            ("not a whole number", ("labels", &[2], F32(&[0.5, 0.0]))),
        ];
        for (expected, other) in cases {
            let (_dir, path) = file(&with(&good, other));
            let message = load_images_npz(&path).unwrap_err().to_string();
            for part in [expected, "mine.npz", other.0] {
                assert!(message.contains(part), "{message} instead of {part}");
            }
        }
        assert!(load_images_npz(&file(&vec![LABELS]).1).is_err());
    }

    fn events() -> Arrays<'static> {
        vec![
            LABELS,
            ("trial", &[4], I32(&[1, 0, 1, 1])),
            ("time_ms", &[4], F32(&[7.5, 1.0, 0.5, 0.5])),
            ("input", &[4], F32(&[3.0, 0.0, 2.0, 1.0])),
        ]
    }

    #[test]
    fn events_are_sorted_into_trials() {
        let (_dir, path) = file(&events());
        let set = load_events_npz(&path).unwrap();
        assert_eq!(
            set.trials,
            [vec![(1.0, 0)], vec![(0.5, 1), (0.5, 2), (7.5, 3)]]
        );
        assert_eq!((set.inputs, set.classes, set.duration_ms), (4, 4, 8.0));
        let given = with(&events(), ("inputs", &[], I32(&[10])));
        let (_dir, path) = file(&with(&given, ("duration_ms", &[1], F32(&[12.5]))));
        let set = load_events_npz(&path).unwrap();
        assert_eq!((set.inputs, set.duration_ms), (10, 12.5));
    }

    #[test]
    fn wrong_events_are_named() {
        let cases: [(&str, Array<'_>); 12] = [
            ("entry 0 is -1", ("input", &[4], I32(&[-1; 4]))),
            ("expected [4]", ("input", &[3], I32(&[1, 2, 3]))),
            ("expected [4]", ("trial", &[2, 2], I32(&[1, 0, 1, 0]))),
            ("entry 2 is 2", ("trial", &[4], I32(&[1, 0, 2, 1]))),
            ("entry 0 is -1", ("trial", &[4], I32(&[-1, 0, 2, 1]))),
            (
                "entry 1 is -1",
                ("time_ms", &[4], F32(&[1.0, -1.0, 1.0, 1.0])),
            ),
            (
                "entry 0 is NaN",
                ("time_ms", &[4], F32(&[f32::NAN, 1.0, 1.0, 1.0])),
            ),
            (
                "entry 0 is inf",
                ("time_ms", &[4], F32(&[f32::INFINITY, 1.0, 1.0, 1.0])),
            ),
            ("entry 3 is -2", ("input", &[4], I32(&[0, 0, 0, -2]))),
            ("below 3", ("inputs", &[], I32(&[3]))),
            ("not a number of inputs", ("inputs", &[], F32(&[2.5]))),
            ("below 7", ("duration_ms", &[], F32(&[7.0]))),
        ];
        for (expected, other) in cases {
            let (_dir, path) = file(&with(&events(), other));
            let message = load_events_npz(&path).unwrap_err().to_string();
            assert!(
                message.contains(expected) && message.contains("mine.npz"),
                "{message} instead of {expected}"
            );
        }
    }
}
