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
        ("no pixels", ("images", &[2, 0], U8(&[]))),
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
        (
            "expected a whole number from 1 to",
            ("inputs", &[], F32(&[2.5])),
        ),
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
