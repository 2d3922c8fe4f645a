//! Spectra of stored matrices: against NumPy, from the command line, along training, on pages.

use std::collections::BTreeMap;
use std::fs;

use crate::program::{Place, assert_has, load, result};
use dalenet::record::RunRecord;
use dalenet::spectra::MatrixSpectrum;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    matrices: BTreeMap<String, GoldenMatrix>,
}

#[derive(Deserialize)]
struct GoldenMatrix {
    shape: [usize; 2],
    entries: Vec<f64>,
    singular_values: Vec<f64>,
    #[serde(default)]
    eigenvalues: Vec<[f64; 2]>,
}

#[test]
fn spectra_of_stored_matrices_of_two_families_are_those_of_numpy() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/spectra/numpy.json"
    );
    let golden: Golden = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(golden.matrices.len(), 4);
    for (name, expected) in &golden.matrices {
        let found = MatrixSpectrum::of(&expected.entries, expected.shape);
        let largest = expected.singular_values[0];
        assert_eq!(found.singular_values.len(), expected.singular_values.len());
        let both = found.singular_values.iter().zip(&expected.singular_values);
        for (a, b) in both {
            assert!((a - b).abs() < 1e-13 * largest, "{name}: {a} {b}");
        }
        assert_eq!(found.eigenvalues.len(), expected.eigenvalues.len());
        let mut left = found.eigenvalues.clone();
        for b in &expected.eigenvalues {
            let near = |a: &[f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-12 * largest;
            let at = left.iter().position(near);
            left.remove(at.unwrap_or_else(|| panic!("{name}: no eigenvalue is {b:?}")));
        }
    }
}

const RNN: &str = r#"{
    "name": "rnn", "family": "rate_rnn",
    "data": { "images": { "dataset": "digits", "train_samples": 200, "test_samples": 40 } },
    "network": { "kind": "dann", "layers": [15], "inhibitory_fraction": 0.2 },
    "training": { "epochs": 5, "batch_size": 10, "learning_rate": 0.03, "keep_every_epochs": 2 }
}"#;

const PING: &str = r#"{
    "name": "ping",
    "data": { "dataset": "digits", "train_samples": 60, "test_samples": 20 },
    "network": { "n_e": 24, "n_i": 6, "duration_ms": 60, "dt_ms": 0.5 },
    "training": {
        "epochs": 3, "batch_size": 20, "keep_every_epochs": 1,
        "trainable": ["w_in", "w_out", "w_ei", "w_ie"]
    }
}"#;

const NEURONS: &str = r#"{
    "name": "neurons", "family": "izhikevich",
    "data": { "gratings": { "train_trials": 6, "test_trials": 4 }, "assignment_trials": 4 },
    "network": { "trial_ms": 50, "outputs": 4, "hidden": [5] },
    "training": { "epochs": 2, "block_trials": 3, "keep_every_epochs": 1 }
}"#;

fn place() -> Place {
    let place = Place::new();
    for (name, text) in [("rnn", RNN), ("ping", PING), ("neurons", NEURONS)] {
        fs::write(place.path(&format!("{name}.json")), text).unwrap();
    }
    place
}

/// Epochs of the spectra of a run, and the names of its matrices.
fn along(place: &Place, run: &str) -> (Vec<u64>, Vec<String>) {
    let record = RunRecord::load(&place.path(run)).unwrap();
    assert!(record.left_out.is_empty(), "{:?}", record.left_out);
    let spectra = record.spectra.expect("spectra");
    let names = spectra.along[0].matrices.keys().cloned().collect();
    (spectra.along.iter().map(|at| at.epoch).collect(), names)
}

#[test]
fn checkpoints_kept_along_training_give_the_spectra_of_every_family() {
    let place = place();
    for (run, epochs, names) in [
        ("rnn", vec![0, 2, 4, 5], vec!["l0.u", "l0.w", "out.w"]),
        ("ping", vec![0, 1, 2, 3], vec!["ei", "ie", "operator"]),
        (
            "neurons",
            vec![0, 1, 2],
            vec!["hidden1_output", "input_hidden1", "input_output"],
        ),
    ] {
        place.ok(&format!("train {run}.json --device cpu --out {run}"));
        let (found, matrices) = along(&place, run);
        assert_eq!(found, epochs, "{run}");
        for name in names {
            assert!(
                matrices.iter().any(|own| own == name),
                "{run}: {matrices:?}"
            );
        }
        place.ok(&format!("report {run}"));
    }
    let page = fs::read_to_string(place.path("ping/report.html")).unwrap();
    assert_has(
        &page,
        &[
            "Spectra of the loop along training",
            "not comparable with that of a rate RNN",
        ],
    );
    // They are what the command gives, and what a run in parts gives.
    let written = fs::read(place.path("ping/spectra.json")).unwrap();
    let told = place.ok("spectra ping --out drawn --json");
    assert_eq!(fs::read(place.path("ping/spectra.json")).unwrap(), written);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["subjects"][0]["along"].as_array().unwrap().len(), 4);
    for figure in ["singular_values", "eigenvalues", "along_training"] {
        assert!(
            place.path(&format!("drawn/{figure}.svg")).is_file(),
            "{figure}"
        );
    }
    place.ok("train rnn.json --device cpu --epochs 3 --out parts");
    place.ok("resume parts --device cpu --epochs 5");
    assert!(result(&place.path("parts")) == result(&place.path("rnn")));
    assert_eq!(along(&place, "parts").0, [0, 2, 4, 5]);
    let weights = |run: &str| {
        load(&place.path(&format!("{run}/checkpoints/epoch_00004.safetensors"))).weights
    };
    assert_eq!(weights("parts"), weights("rnn"));
    // A new run in the folder leaves none of the old ones.
    let error = place.fails("train rnn.json --device cpu --out parts", 2);
    assert_has(&error, &["already holds a run"]);
    place.ok("train rnn.json --device cpu --out parts --force --epochs 1");
    assert!(
        !place
            .path("parts/checkpoints/epoch_00004.safetensors")
            .exists()
    );
}

#[test]
fn spectra_of_files_and_of_several_runs_are_told_and_drawn() {
    let place = place();
    for (name, fraction) in [("a", 0.2), ("b", 0.4), ("c", 0.6), ("d", 0.8)] {
        let set = format!("--set network.kind=col_ei --set network.inhibitory_fraction={fraction}");
        place.ok(&format!(
            "train rnn.json --device cpu --epochs 1 --out {name} {set}"
        ));
    }
    let told = place.ok("spectra a b c d --out drawn");
    assert_has(
        &told,
        &[
            "Rank correlation of H with the error",
            "over 4 networks",
            "a: l0.w",
        ],
    );
    assert!(place.path("drawn/entropy_error.csv").is_file());
    // Of a file: what is stored, and every matrix in it.
    place.ok("export a --to a.npz");
    let told = place.ok("spectra a.npz --out of_file");
    assert_has(&told, &["w_l0.w", "15 × 15", "w_out.w"]);
    assert!(!told.contains("w_l0.b"), "a bias is no matrix");
    let told = place.ok("spectra a/last.safetensors --out of_file --json");
    let told: Value = serde_json::from_str(&told).unwrap();
    let matrices = &told["subjects"][0]["along"][0]["matrices"];
    assert_eq!(
        matrices["l0.w"]["singular_values"]
            .as_array()
            .unwrap()
            .len(),
        15
    );
    for (line, problem) in [
        ("spectra nothing.npz", "nothing.npz"),
        ("spectra rnn.json", ".safetensors or .npz"),
        ("spectra .", "holds no run"),
    ] {
        assert_has(&place.fails(line, 2), &[problem]);
    }
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused_and_foreign_spectra_left_out() {
    let place = place();
    place.ok("train rnn.json --device cpu --out one");
    place.ok("train rnn.json --device cpu --seed 7 --out other");
    let kept = |run: &str| place.path(&format!("{run}/checkpoints/epoch_00002.safetensors"));
    fs::copy(kept("other"), kept("one")).unwrap();
    let error = place.fails("spectra one", 2);
    assert_has(&error, &["epoch_00002.safetensors", "configuration"]);
    let bytes = fs::read(kept("other")).unwrap();
    fs::write(kept("one"), &bytes[..bytes.len() / 2]).unwrap();
    place.fails("spectra one", 1);
    fs::copy(
        place.path("other/spectra.json"),
        place.path("one/spectra.json"),
    )
    .unwrap();
    let record = RunRecord::load(&place.path("one")).unwrap();
    assert!(record.spectra.is_none());
    assert_has(&record.left_out[0], &["spectra.json", "dalenet spectra"]);
}

/// The orderings of the article at small size, from a page: what is said is what was measured.
#[test]
fn the_page_of_a_study_of_transplants_says_what_matters() {
    let place = Place::new();
    let study = r#"{
        "name": "transplants", "title": "Transplants",
        "base": {
            "family": "rate_rnn",
            "data": { "images": { "dataset": "digits", "train_samples": 400, "test_samples": 200 } },
            "network": { "layers": [20] },
            "training": { "epochs": 3, "batch_size": 10, "learning_rate": 0.02, "clip_norm": 10 }
        },
        "axes": [
            { "name": "start", "values": [
                { "name": "standard" },
                { "name": "frozen", "set": { "training.frozen_signs": true } },
                { "name": "col_spectrum", "set": {
                    "weights.transplant": { "vectors": "standard", "spectrum": "col_ei" } } },
                { "name": "col_ei", "set": { "network.kind": "col_ei" } }
            ] },
            { "name": "seed", "key": "seeds.weights", "values": [1, 2, 3] }
        ]
    }"#;
    fs::write(place.path("transplants.json"), study).unwrap();
    place.ok("study run transplants.json --device cpu --out done");
    let page = fs::read_to_string(place.path("done/report.html")).unwrap();
    assert_has(
        &page,
        &[
            "From the lowest test error rate to the highest: ",
            "Rank correlation of H with the error (Spearman): ",
            "singular values of column E/I instead of those of standard change the error by ",
            "over 12 networks",
        ],
    );
    // The sentence has the means of the table, in their order.
    let table = fs::read_to_string(place.path("done/table_by_condition.csv")).unwrap();
    let mut lines = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let (measure, mean) = (column("measure"), column("mean"));
    let own = lines.filter(|line| line[measure] == "test_error_percent");
    let mut means: Vec<f64> = own.map(|line| line[mean].parse().unwrap()).collect();
    means.sort_by(f64::total_cmp);
    let said = page
        .split("From the lowest test error rate to the highest: ")
        .nth(1)
        .unwrap();
    let said = said.split(".</li>").next().unwrap();
    let number = |part: &str| -> f64 {
        let before = part.split(" %").next().unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let errors: Vec<f64> = said.split("; ").map(number).collect();
    assert_eq!(errors.len(), means.len(), "{said}");
    for (said, mean) in errors.iter().zip(&means) {
        assert!((said - mean).abs() < 0.006 * mean, "{said} {mean}");
    }
}
