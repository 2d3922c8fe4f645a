//! Checkpoints come back bit for bit, and a damaged one never comes back at all.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::LazyLock;

use dalenet::train::checkpoint::{
    Checkpoint, CheckpointError, NonFinite, Progress, Tensor, read_weights,
};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn tensor(shape: &[usize], values: impl Fn(usize) -> f32) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        data: (0..shape.iter().product()).map(values).collect(),
    }
}

fn example() -> Checkpoint {
    let moments = |scale: f32| {
        BTreeMap::from([(
            "in".to_owned(),
            tensor(&[3, 5], |i| scale * (i as f32).sin()),
        )])
    };
    Checkpoint {
        weights: BTreeMap::from([
            (
                "in".to_owned(),
                tensor(&[3, 5], |i| (i as f32).sqrt() / 3.0),
            ),
            // Values that a careless copy changes: signed zero, a subnormal, the extremes.
            (
                "out".to_owned(),
                Tensor {
                    shape: vec![1, 4],
                    data: vec![-0.0, f32::from_bits(1), f32::MAX, f32::MIN_POSITIVE],
                },
            ),
            ("empty".to_owned(), tensor(&[0, 7], |_| 0.0)),
        ]),
        adam_m: moments(1e-3),
        adam_v: moments(1e-9),
        progress: Progress {
            epochs_done: 12,
            batches_done_in_epoch: 3,
            optimiser_steps: u64::MAX,
            skipped_steps: 1,
            best_epoch: Some(7),
            best_score: Some(86.333_333_333_333_33),
            epoch_sums: BTreeMap::from([
                ("loss_nats".to_owned(), 0.1 + 0.2),
                ("spikes_e".to_owned(), f64::from_bits(0x4340_0000_0000_0001)),
                ("diverged".to_owned(), f64::NEG_INFINITY),
                ("zero".to_owned(), -0.0),
            ]),
            elapsed_seconds: 1_234.567_890_123_456_7,
            metrics_bytes: 4096,
            steps_bytes: 7,
        },
        config_sha256: "c".repeat(64),
        data_sha256: "d".repeat(64),
    }
}

fn folder_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn saved(checkpoint: &Checkpoint) -> Vec<u8> {
    let (_folder, path) = folder_with(b"");
    checkpoint.save(&path).unwrap();
    std::fs::read(&path).unwrap()
}

fn load(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let (_folder, path) = folder_with(bytes);
    Checkpoint::load(&path, NonFinite::Refuse)
}

/// Name, shape and bits of a tensor.
type TensorBits = (String, Vec<usize>, Vec<u32>);

/// Every bit of a checkpoint, for `==` calls -0 and 0 the same and NaN different from itself.
fn bits(checkpoint: &Checkpoint) -> (Vec<TensorBits>, Vec<u64>) {
    let tensors = [&checkpoint.weights, &checkpoint.adam_m, &checkpoint.adam_v]
        .into_iter()
        .flatten()
        .map(|(name, t)| {
            (
                name.clone(),
                t.shape.clone(),
                t.data.iter().map(|x| x.to_bits()).collect(),
            )
        })
        .collect();
    let progress = &checkpoint.progress;
    let floats = progress
        .epoch_sums
        .values()
        .copied()
        .chain(progress.best_score)
        .chain([progress.elapsed_seconds]);
    (tensors, floats.map(f64::to_bits).collect())
}

#[test]
fn comes_back_bit_for_bit_and_equal_content_gives_equal_files() {
    let checkpoint = example();
    let bytes = saved(&checkpoint);
    let back = load(&bytes).unwrap();
    assert_eq!(back, checkpoint);
    assert_eq!(bits(&back), bits(&checkpoint));
    assert_eq!(saved(&back), bytes);

    // Planted: the comparison sees a single flipped sign of zero.
    let mut other = checkpoint.clone();
    other.weights.get_mut("out").unwrap().data[0] = 0.0;
    assert_eq!(other, checkpoint);
    assert_ne!(bits(&other), bits(&checkpoint));
}

#[test]
fn non_finite_values_need_permission() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut checkpoint = example();
        checkpoint.adam_v.get_mut("in").unwrap().data[2] = value;
        let (_folder, path) = folder_with(b"");
        checkpoint.save(&path).unwrap();
        let error = Checkpoint::load(&path, NonFinite::Refuse).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::NonFinite { name, index: 2, count: 1, .. } if name == "adam.v.in")
        );
        let back = Checkpoint::load(&path, NonFinite::Allow).unwrap();
        assert_eq!(bits(&back), bits(&checkpoint));
    }
}

#[test]
fn inconsistent_tensors_are_not_written() {
    let (_folder, path) = folder_with(b"old");
    let spoil: [fn(&mut Checkpoint); 5] = [
        |c| c.weights.get_mut("in").unwrap().shape = vec![3, 4],
        |c| c.weights.get_mut("in").unwrap().shape = vec![usize::MAX, 2],
        |c| drop(c.weights.remove("in")),
        |c| drop(c.adam_v.remove("in")),
        |c| c.adam_m.get_mut("in").unwrap().shape = vec![15],
    ];
    for spoil in spoil {
        let mut checkpoint = example();
        spoil(&mut checkpoint);
        assert!(matches!(
            checkpoint.save(&path),
            Err(CheckpointError::Tensor { .. })
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}

#[test]
fn a_resume_checks_hashes_and_shapes() {
    let checkpoint = example();
    let path = PathBuf::from("last.safetensors");
    let (config, data) = ("c".repeat(64), "d".repeat(64));
    checkpoint.check_hashes(&path, &config, &data).unwrap();
    for (config, data, what) in [(&data, &data, "configuration"), (&config, &config, "data")] {
        let error = checkpoint
            .check_hashes(&path, config, data)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("a run with other {what}")),
            "{error}"
        );
    }
}

#[test]
fn other_formats_and_other_files_are_told_apart() {
    let bytes = saved(&example());
    let key = br#"\"format\":"#;
    let place = bytes
        .windows(key.len())
        .position(|window| window == key)
        .unwrap()
        + key.len();
    let mut newer = bytes.clone();
    newer[place] = b'2';
    assert!(matches!(
        load(&newer),
        Err(CheckpointError::Format { found: 2, .. })
    ));
    assert!(matches!(
        load(b"no tensors"),
        Err(CheckpointError::Container { .. })
    ));
    assert!(matches!(
        load(&foreign(&[])),
        Err(CheckpointError::NotACheckpoint { .. })
    ));
}

/// The header of a checkpoint file, changed, with a hash that fits.
fn with_header(bytes: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let json = &metadata.metadata().as_ref().unwrap()["dalenet"];
    let mut header: Value = serde_json::from_str(json).unwrap();
    change(&mut header);
    header["content_sha256"] = "".into();
    let archive = SafeTensors::deserialize(bytes).unwrap();
    let views: BTreeMap<String, TensorView<'_>> = archive.tensors().into_iter().collect();
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(header.to_string().as_bytes());
    for (name, view) in &views {
        field(name.as_bytes());
        field(format!("F32 {:?}", view.shape()).as_bytes());
        field(view.data());
    }
    let hex: Vec<String> = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    header["content_sha256"] = hex.concat().into();
    let metadata = HashMap::from([("dalenet".to_owned(), header.to_string())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn a_checkpoint_of_a_version_that_counted_no_steps_is_read() {
    let older = with_header(&saved(&example()), |header| {
        let progress = header["progress"].as_object_mut().unwrap();
        assert!(progress.shift_remove("steps_bytes").is_some());
    });
    let mut expected = example();
    expected.progress.steps_bytes = 0;
    assert_eq!(load(&older).unwrap(), expected);
    let unknown = with_header(&saved(&example()), |header| header["more"] = 1.into());
    assert!(matches!(
        load(&unknown),
        Err(CheckpointError::Header { .. })
    ));
}

/// A safetensors file of someone else.
fn foreign(tensors: &[(&str, Dtype, &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, bytes)| {
        let length = bytes.len() * 8 / dtype.bitsize();
        (
            *name,
            TensorView::new(*dtype, vec![length, 1], bytes).unwrap(),
        )
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn weights_of_other_programs_are_imported() {
    let doubles: Vec<u8> = [0.1_f64, -2.5]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let singles: Vec<u8> = [3.5_f32].iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = foreign(&[
        ("W_in", Dtype::F64, &doubles),
        ("W_out", Dtype::F32, &singles),
        ("step", Dtype::I64, &[0; 8]),
    ]);
    let (_folder, path) = folder_with(&file);
    let weights = read_weights(&path, NonFinite::Refuse).unwrap();
    assert_eq!(weights.keys().collect::<Vec<_>>(), ["W_in", "W_out"]);
    assert_eq!(
        weights["W_in"],
        Tensor {
            shape: vec![2, 1],
            data: vec![0.1, -2.5]
        }
    );
    assert_eq!(weights["W_out"].data, [3.5]);

    let own = example();
    let (_folder, path) = folder_with(&saved(&own));
    assert_eq!(read_weights(&path, NonFinite::Refuse).unwrap(), own.weights);
}

#[test]
fn an_import_refuses_what_it_cannot_represent() {
    for (value, problem) in [
        (1e300_f64, "too large for float32"),
        (f64::NAN, "NaN or infinite"),
    ] {
        let (_folder, path) = folder_with(&foreign(&[("w", Dtype::F64, &value.to_le_bytes())]));
        let error = read_weights(&path, NonFinite::Refuse)
            .unwrap_err()
            .to_string();
        assert!(error.contains(problem), "{error}");
    }
    let (_folder, path) = folder_with(&foreign(&[("half", Dtype::F16, &[0, 0])]));
    let error = read_weights(&path, NonFinite::Refuse)
        .unwrap_err()
        .to_string();
    assert!(error.contains("half: F16"), "{error}");
}

/// The example's file, made once.
static EXAMPLE_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| saved(&example()));

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    // Each case writes and syncs a file.
    #![proptest_config(cases(40))]

    #[test]
    fn sums_of_any_bits_come_back(bits in any::<u64>()) {
        let mut checkpoint = example();
        let value = f64::from_bits(bits);
        checkpoint.progress.epoch_sums.insert("any".into(), value);
        let back = load(&saved(&checkpoint)).unwrap().progress.epoch_sums["any"];
        prop_assert!(back.to_bits() == bits || (back.is_nan() && value.is_nan()));
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// A changed byte is refused, or it changed nothing: a blank of the header's padding may
    /// become another blank.
    #[test]
    fn flipped_bytes_are_noticed(place in any::<prop::sample::Index>(), mask in 1..=255_u8) {
        let mut bytes = EXAMPLE_FILE.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= mask;
        if let Ok(loaded) = load(&bytes) {
            prop_assert_eq!(bits(&loaded), bits(&example()));
            prop_assert_eq!(loaded, example());
            prop_assert!(bytes[place].is_ascii_whitespace(), "byte {} is {}", place, bytes[place]);
        }
        let (_folder, path) = folder_with(&bytes);
        let _ = read_weights(&path, NonFinite::Refuse);
    }

    #[test]
    fn cut_files_are_refused(place in any::<prop::sample::Index>()) {
        let cut = &EXAMPLE_FILE[..place.index(EXAMPLE_FILE.len())];
        prop_assert!(load(cut).is_err());
        let (_folder, path) = folder_with(cut);
        prop_assert!(read_weights(&path, NonFinite::Refuse).is_err());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(load(&bytes).is_err());
    }
}
