//! Whatever bytes a data file holds, reading it gives an error or a valid result, never a panic.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use dalenet::data::{
    ArrayValues, IdxImages, NamedArray, load_events_npz, load_images_idx, load_images_npz,
    read_images, read_labels, read_npz_f32, write_images, write_labels, write_npz,
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::tempdir;
use zip::{ZipWriter, write::SimpleFileOptions};

/// A change to a file: at a relative place, another byte, or the end.
#[derive(Clone, Debug)]
enum Damage {
    Change(f64, u8),
    Cut(f64),
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => (0.0..1.0f64, 1u8..).prop_map(|(at, flip)| Damage::Change(at, flip)),
        1 => (0.0..1.0f64).prop_map(Damage::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Damage::Append),
    ]
}

fn apply(damages: &[Damage], bytes: &mut Vec<u8>) {
    for damage in damages {
        match damage {
            Damage::Change(at, flip) if !bytes.is_empty() => {
                let at = (at * bytes.len() as f64) as usize;
                bytes[at] ^= flip;
            }
            Damage::Change(..) => {}
            Damage::Cut(at) => bytes.truncate((at * bytes.len() as f64) as usize),
            Damage::Append(more) => bytes.extend(more),
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images_idx(folder: &Path) -> PathBuf {
    let path = folder.join("images");
    let pixels = (0..60).collect();
    write_images(
        &path,
        &IdxImages {
            count: 5,
            height: 3,
            width: 4,
            pixels,
        },
    )
    .unwrap();
    path
}

/// An `.npz` file that holds both images and events.
fn npz(folder: &Path) -> PathBuf {
    let path = folder.join("data.npz");
    let times = [0.5, 2.5, 1.0];
    let array = |name, shape, values| NamedArray {
        name,
        shape,
        values,
    };
    let arrays = [
        array(
            "images",
            &[2, 4][..],
            ArrayValues::U8(&[0, 9, 9, 9, 255, 7, 7, 7]),
        ),
        array("labels", &[2], ArrayValues::I64(&[0, 1])),
        array("trial", &[3], ArrayValues::I32(&[0, 1, 1])),
        array("time_ms", &[3], ArrayValues::F32(&times)),
        array("input", &[3], ArrayValues::I32(&[2, 0, 1])),
    ];
    write_npz(&path, &arrays).unwrap();
    path
}

/// Reads a file in every way; each result is checked for being consistent in itself.
fn read_every_way(path: &Path) {
    for error in [
        read_images(path).err(),
        read_labels(path).err(),
        load_images_idx(path, path).err(),
    ] {
        assert!(error.is_none_or(|error| error.to_string().contains("data file")));
    }
    if let Ok(images) = read_images(path) {
        assert_eq!(
            images.pixels.len(),
            images.count * images.height * images.width
        );
    }
    match load_images_npz(path) {
        Ok(set) => {
            assert_eq!(set.pixels.len(), set.len() * set.height * set.width);
            assert!(
                set.labels
                    .iter()
                    .all(|&label| usize::from(label) < set.classes)
            );
        }
        Err(error) => assert!(error.to_string().contains("data file")),
    }
    match load_events_npz(path) {
        Ok(set) => {
            assert_eq!(set.trials.len(), set.len());
            let mut events = set.trials.iter().flatten();
            assert!(
                events
                    .all(|&(time, input)| time < set.duration_ms && (input as usize) < set.inputs)
            );
        }
        Err(error) => assert!(error.to_string().contains("data file")),
    }
    if let Ok(matrices) = read_npz_f32(path) {
        assert!(
            matrices
                .values()
                .all(|(shape, values)| shape.iter().product::<usize>() == values.len())
        );
    }
}

fn read_bytes(bytes: &[u8]) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("data file");
    fs::write(&path, bytes).unwrap();
    read_every_way(&path);
}

/// A zip archive with a right checksum around an array file of any content.
fn npz_around(name: &str, content: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, SimpleFileOptions::default()).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap().into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..5usize) {
        let starts: [&[u8]; 5] = [&[], &[0x1f, 0x8b, 8, 0], &[0, 0, 8, 3], &[0, 0, 8, 1], b"PK\x03\x04"];
        let bytes = [starts[kind], &bytes].concat();
        read_bytes(&bytes);
        read_bytes(&gzip(&bytes));
    }

    #[test]
    fn damaged_idx_never_panics(damages in prop::collection::vec(damage(), 1..4)) {
        let dir = tempdir().unwrap();
        let good = fs::read(images_idx(dir.path())).unwrap();
        let mut inside = good.clone();
        apply(&damages, &mut inside);
        read_bytes(&inside);
        read_bytes(&gzip(&inside));
        let mut outside = gzip(&good);
        apply(&damages, &mut outside);
        read_bytes(&outside);
    }

    #[test]
    fn damaged_npz_never_panics(damages in prop::collection::vec(damage(), 1..4)) {
        let dir = tempdir().unwrap();
        let mut bytes = fs::read(npz(dir.path())).unwrap();
        apply(&damages, &mut bytes);
        read_bytes(&bytes);
    }

    #[test]
    fn damaged_arrays_in_a_sound_archive_never_panic(
        damages in prop::collection::vec(damage(), 0..3),
        descr in "[<>|=][a-z][0-9]{1,2}",
        order in "(True|False)",
        shape in "\\((-?[0-9]{1,20},? ?){0,4}\\)",
    ) {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        let mut bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &[1; 24]].concat();
        apply(&damages, &mut bytes);
        for name in ["labels.npy", "w.npy"] {
            read_bytes(&npz_around(name, &bytes));
        }
    }

    #[test]
    fn every_cut_of_a_sound_file_is_an_error(at in 0.0..1.0f64) {
        let dir = tempdir().unwrap();
        for path in [images_idx(dir.path()), npz(dir.path())] {
            let whole = fs::read(&path).unwrap();
            for bytes in [whole.clone(), gzip(&whole)] {
                fs::write(&path, &bytes[..(at * bytes.len() as f64) as usize]).unwrap();
                prop_assert!(read_images(&path).is_err());
                prop_assert!(load_images_npz(&path).is_err());
                prop_assert!(load_events_npz(&path).is_err());
            }
        }
    }
}

/// The files the tests above damage are sound themselves.
#[test]
fn the_undamaged_files_are_read() {
    let dir = tempdir().unwrap();
    let (images, labels) = (images_idx(dir.path()), dir.path().join("labels"));
    write_labels(&labels, &[0, 1, 2, 0, 1]).unwrap();
    assert_eq!(load_images_idx(&images, &labels).unwrap().len(), 5);
    let path = npz(dir.path());
    assert_eq!(load_images_npz(&path).unwrap().len(), 2);
    assert_eq!(load_events_npz(&path).unwrap().inputs, 3);
    assert_eq!(read_npz_f32(&path).unwrap().len(), 5);
}
