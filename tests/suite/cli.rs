//! The program as its users meet it: commands, exit codes, files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use dalenet::data::{ArrayValues, NamedArray, digits, read_npz_f32, write_npz};
use dalenet::train::checkpoint::{NonFinite, read_weights};
use serde_json::Value;

use crate::program::{Place, assert_has, load, result};

#[test]
fn a_run_leaves_everything_and_is_measured_alike_afterwards() {
    let place = Place::new();
    let log = place.ok("train small.json --device cpu --out run --log json --seed 5");
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "start");
    assert_eq!(events.last().unwrap()["status"], "finished");
    for file in [
        "config.json",
        "manifest.json",
        "metrics.jsonl",
        "initial.safetensors",
        "last.safetensors",
        "best.safetensors",
        "figures/raster.png",
    ] {
        assert!(place.path("run").join(file).is_file(), "{file}");
    }
    let manifest: Value =
        serde_json::from_slice(&fs::read(place.path("run/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["seeds"]["noise"], 5);
    assert_eq!(manifest["status"], "finished");
    assert_eq!(manifest["command"][1], "train");

    let (_, metrics) = result(&place.path("run"));
    for (which, epoch) in [("last", 3), ("initial", 0)] {
        let json = place.ok(&format!(
            "eval run --device cpu --json --checkpoint {which}"
        ));
        let eval: Value = serde_json::from_str(&json).unwrap();
        let line = &metrics[epoch];
        for (ours, theirs) in [
            ("accuracy_percent", "test_accuracy_percent"),
            ("loss_nats", "test_loss_nats"),
            ("e_rate_hz", "e_rate_hz"),
            ("i_rate_hz", "i_rate_hz"),
            ("active_e_percent", "active_e_percent"),
            ("silent_e_percent", "silent_e_percent"),
            ("margin", "margin"),
        ] {
            assert_eq!(eval[ours], line[theirs], "{which}: {ours}");
        }
        let trials: u64 = (0..10)
            .map(|class| eval["classes"][class]["trials"].as_u64().unwrap())
            .sum();
        assert_eq!(trials, 20);
    }
    // The loop matters: without it, E cells fire otherwise.
    let json = place.ok("eval run --device cpu --json --scale-ei 0");
    let open: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(open["i_rate_hz"], 0.0);
    assert_ne!(open["e_rate_hz"], metrics[3]["e_rate_hz"]);
    assert_has(
        &place.ok("eval run --device cpu"),
        &["accuracy", "class", "± "],
    );
}

#[test]
fn recorded_spikes_are_those_that_were_counted() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    place.ok("eval run --device cpu --record 0,3 --record-out spikes.npz");
    let arrays = read_npz_f32(&place.path("spikes.npz")).unwrap();
    let values = |name: &str| &arrays[name].1;
    assert_eq!(values("trials"), &[0.0, 3.0]);
    let trials = values("spikes_e_trial");
    assert!(trials.contains(&0.0) && trials.contains(&3.0) && !trials.contains(&1.0));
    assert_eq!(trials.len(), values("spikes_e_cell").len());
    assert!(
        values("spikes_e_time_ms")
            .iter()
            .all(|t| (0.0..25.0).contains(t))
    );
    assert!(values("spikes_e_cell").iter().all(|&cell| cell < 40.0));
    assert!(values("spikes_i_cell").iter().all(|&cell| cell < 9.0));
    assert!(!values("spikes_i_cell").is_empty());
    place.fails("eval run --device cpu --record 20 --record-out s.npz", 2);
}

#[test]
fn export_and_import_keep_every_weight() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    place.ok("export run --to w.safetensors");
    place.ok("export run --to w.npz --checkpoint last");
    let weights = load(&place.path("run/last.safetensors")).weights;
    let plain = read_weights(&place.path("w.safetensors"), NonFinite::Refuse).unwrap();
    let npz = read_npz_f32(&place.path("w.npz")).unwrap();
    assert_eq!(plain.len(), 4);
    for (name, tensor) in &weights {
        let name = format!("w_{name}");
        assert_eq!(&plain[&name], tensor);
        assert_eq!(npz[&name], (tensor.shape.clone(), tensor.data.clone()));
    }
    for file in ["w.safetensors", "w.npz", "run/last.safetensors"] {
        place.ok(&format!(
            "import {file} --config small.json --out new --force"
        ));
        let imported = load(&place.path("new/initial.safetensors"));
        assert_eq!(imported.weights, weights, "{file}");
    }
    // An imported run is measured and trained as one that began with these weights.
    let [a, b] = ["run", "new"].map(|run| {
        let json = place.ok(&format!("eval {run} --device cpu --json"));
        let value: Value = serde_json::from_str(&json).unwrap();
        (
            value["loss_nats"].clone(),
            value["accuracy_percent"].clone(),
        )
    });
    assert_eq!(a, b);
    place.ok("resume new --device cpu");
    place.train("direct", " --weights w.npz");
    assert_eq!(result(&place.path("new")), result(&place.path("direct")));

    let wrong = "import w.npz --config small.json --set network.n_e=41 --out other";
    assert_has(&place.fails(wrong, 2), &["[40, 9]", "[41, 9]"]);
    assert!(!place.path("other/config.json").exists());
    place.fails("export run --to w.txt", 2);
    place.fails("import small.json --config small.json --out other", 2);

    let data = vec![1.0; 784 * 40];
    let named = |name| NamedArray {
        name,
        shape: &[784, 40],
        values: ArrayValues::F32(&data),
    };
    write_npz(&place.path("twice.npz"), &[named("in"), named("w_in")]).unwrap();
    let twice = "import twice.npz --config small.json --out other";
    assert_has(&place.fails(twice, 2), &["two of its names"]);
}

#[test]
fn new_samples_are_answered() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    let set = digits(23, 9);
    let images = NamedArray {
        name: "images",
        shape: &[23, 28, 28],
        values: ArrayValues::U8(&set.pixels),
    };
    let labels: Vec<i64> = set.labels.iter().map(|&label| label.into()).collect();
    let labels = NamedArray {
        name: "labels",
        shape: &[23],
        values: ArrayValues::I64(&labels),
    };
    write_npz(&place.path("plain.npz"), &[images]).unwrap();
    write_npz(&place.path("labelled.npz"), &[images, labels]).unwrap();
    let lines = |text: String| -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap();
        text.lines().map(parse).collect()
    };
    let plain = lines(place.ok("predict run --device cpu --json --data plain.npz"));
    let labelled = lines(place.ok("predict run --device cpu --json --data labelled.npz"));
    assert_eq!((plain.len(), labelled.len()), (23, 23));
    for (index, (a, b)) in plain.iter().zip(&labelled).enumerate() {
        assert_eq!(a["probabilities"], b["probabilities"]);
        assert_eq!(
            (&a["label"], &b["label"]),
            (&Value::Null, &Value::from(index % 10))
        );
        let probabilities = a["probabilities"].as_array().unwrap();
        let values: Vec<f64> = probabilities.iter().map(|p| p.as_f64().unwrap()).collect();
        assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let class = a["class"].as_u64().unwrap() as usize;
        assert!(values.iter().all(|&p| p <= values[class]));
    }
    place.fails("predict run --device cpu --data plain.npz --limit 0", 2);
    place.ok("predict run --device cpu --data plain.npz --limit 5 --out answers.csv");
    let csv = fs::read_to_string(place.path("answers.csv")).unwrap();
    assert_eq!(csv.lines().count(), 6);
    assert!(csv.starts_with("sample,class,label,p0,"));

    let small = NamedArray {
        name: "images",
        shape: &[1, 2, 2],
        values: ArrayValues::U8(&[0; 4]),
    };
    write_npz(&place.path("tiny.npz"), &[small]).unwrap();
    let message = place.fails("predict run --device cpu --data tiny.npz", 2);
    assert_has(&message, &["4 inputs", "784"]);
}

#[test]
fn every_exit_code_is_given() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    // Wrong use, configuration or data.
    assert_has(
        &place.fails("train small.json --out run --device cpu", 2),
        &["--force"],
    );
    assert_has(
        &place.fails("train small.json --set network.n_ee=3 --device cpu", 2),
        &["network.n_ee", "did you mean"],
    );
    place.fails("train nowhere.json", 2);
    place.fails("train small.json --device cuda", 2);
    place.fails("train small.json --memory lots", 2);
    place.fails("train small.json --device cpu --threads 1000000", 2);
    fs::write(place.path("bad.safetensors"), b"nothing").unwrap();
    place.fails("train small.json --device cpu --weights bad.safetensors", 2);
    // A file that cannot be written; what was measured is shown all the same.
    let output = place.run("eval run --device cpu --record 0 --record-out absent/spikes.npz");
    assert_eq!(output.status.code(), Some(1));
    assert_has(&String::from_utf8_lossy(&output.stdout), &["accuracy"]);
    assert_has(
        &place.fails("data digits --out absent/sheet.png", 1),
        &["absent/sheet.png: "],
    );
    place.fails("resume nowhere --device cpu", 2);
    place.fails("eval nowhere --device cpu", 2);
    place.fails("frobnicate", 2);
    let message = place.fails("train ping --device cpu --dry-run", 2);
    assert_has(
        &message,
        &["MNIST was not found", "dalenet data fetch mnist"],
    );
    // Too little memory, or no such device.
    let message = place.fails("train small.json --device cpu --memory 33M --dry-run", 3);
    assert_has(&message, &["--memory allows 33 MiB", "lower"]);
    let message = place.fails(
        "train quickstart --device cpu --memory 60M --set training.batch_size=1000 \
         --set network.n_e=256 --set network.n_i=64 --set network.duration_ms=60",
        3,
    );
    assert_has(&message, &["training.batch_size from 1000 to"]);
    let message = place.fails("train small.json --device cpu --memory 1K --dry-run", 3);
    assert_has(
        &message,
        &["--memory allows 1 KiB", "program and data alone"],
    );
    place.fails("train small.json --device 77", 3);
    place.fails("parity --device 77 small.json", 3);
    // A dry run writes nothing.
    assert_has(
        &place.ok("train small.json --device cpu --dry-run"),
        &["40 E cells, 9 I cells", "6 batches of 8"],
    );
    assert!(!place.path("runs").exists());
    // What is finished stays as it is, and can be made longer.
    let before = result(&place.path("run"));
    place.ok("resume run --device cpu");
    assert_eq!(result(&place.path("run")), before);
    place.ok("resume run --device cpu --epochs 2");
    assert_eq!(result(&place.path("run")).1.len(), 3);
    place.fails("resume run --device cpu --epochs 1", 2);
    // Force begins anew.
    place.train("run", " --force --set training.epochs=1");
    assert_eq!(result(&place.path("run")), before);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_alone() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    let path = place.path("run/last.safetensors");
    let good = fs::read(&path).unwrap();
    let metrics = fs::read(place.path("run/metrics.jsonl")).unwrap();
    let mut flipped = good.clone();
    let middle = good.len() / 2;
    flipped[middle] ^= 1;
    for bad in [&b""[..], b"not a checkpoint", &good[..middle], &flipped] {
        fs::write(&path, bad).unwrap();
        let message = place.fails("resume run --device cpu --epochs 2", 1);
        assert_has(&message, &["last.safetensors"]);
        assert_eq!(fs::read(&path).unwrap(), bad);
        assert_eq!(fs::read(place.path("run/metrics.jsonl")).unwrap(), metrics);
    }
    fs::write(&path, &good).unwrap();
    fs::write(place.path("run/metrics.jsonl"), "").unwrap();
    let message = place.fails("resume run --device cpu --epochs 2", 1);
    assert_has(&message, &["metrics.jsonl"]);
}

#[test]
fn moved_data_is_found_and_changed_data_refused() {
    let place = Place::new();
    let mut set = digits(60, 3);
    let labels: Vec<i64> = set.labels.iter().map(|&label| label.into()).collect();
    let write = |path: PathBuf, pixels: &[u8]| {
        let array = |name, shape, values| NamedArray {
            name,
            shape,
            values,
        };
        let images = array("images", &[60, 28, 28], ArrayValues::U8(pixels));
        let labels = array("labels", &[60], ArrayValues::I64(&labels));
        write_npz(&path, &[images, labels]).unwrap();
    };
    write(place.path("mine.npz"), &set.pixels);
    place.train(
        "run",
        " --set data.dataset=images --set data.path=mine.npz --set data.subset=full --set training.epochs=1",
    );
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::rename(place.path("mine.npz"), place.path("elsewhere/mine.npz")).unwrap();
    place.fails("resume run --device cpu --epochs 2", 2);
    place.ok("resume run --device cpu --epochs 2 --data elsewhere");
    let manifest = fs::read_to_string(place.path("run/manifest.json")).unwrap();
    assert_has(
        &manifest,
        &["data in elsewhere", "training.epochs is 2 instead of 1"],
    );
    set.pixels[400] ^= 255;
    write(place.path("changed.npz"), &set.pixels);
    let message = place.fails("resume run --device cpu --epochs 3 --data changed.npz", 2);
    assert_has(&message, &["a run with other data"]);
}

#[test]
fn configurations_and_data_are_shown() {
    let place = Place::new();
    let text = place.ok("config ping --set network.tau_gaba_ms=6");
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["network"]["tau_gaba_ms"], 6.0);
    let schema: Value = serde_json::from_str(&place.ok("config --schema")).unwrap();
    assert!(schema["properties"]["network"].is_object());
    assert_has(&place.ok("config --metrics"), &["| `e_rate_hz` | Hz |"]);
    assert_has(&place.ok("config --list"), &["quickstart", "ping", "coba"]);
    place.fails("config", 2);

    place.ok("data digits --out sheet.png --count 30");
    let png = fs::read(place.path("sheet.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    place.ok("data digits --out digits.npz --count 30");
    assert_has(
        &place.ok("data info --data digits.npz"),
        &["30", "28 x 28", "10 (3 3 3"],
    );
    place.fails("data info", 2);
    place.fails("data digits --out sheet.gif", 2);
    let info: BTreeMap<String, Value> = serde_json::from_str(&place.ok("info --json")).unwrap();
    assert!(info["threads"].as_u64().unwrap() > 0 && info["auto"].is_string());
}

#[test]
fn cases_that_cannot_be_read_are_named() {
    let place = Place::new();
    fs::write(place.path("bad.safetensors"), b"nothing").unwrap();
    assert_has(
        &place.fails("parity bad.safetensors", 2),
        &["bad.safetensors", "not a golden case"],
    );
    place.fails("parity nowhere.safetensors", 2);
    fs::create_dir(place.path("empty")).unwrap();
    assert_has(&place.fails("parity empty", 2), &["no case"]);
}

#[test]
fn a_run_finds_its_data_again_and_says_where_it_looked() {
    let place = Place::new();
    let set = digits(80, 3);
    let labels: Vec<i64> = set.labels.iter().map(|&label| label.into()).collect();
    fs::create_dir(place.path("there")).unwrap();
    let images = NamedArray {
        name: "images",
        shape: &[80, 28, 28],
        values: ArrayValues::U8(&set.pixels),
    };
    let labels = NamedArray {
        name: "labels",
        shape: &[80],
        values: ArrayValues::I64(&labels),
    };
    write_npz(&place.path("there/mine.npz"), &[images, labels]).unwrap();
    let own = "--set data.dataset=images --set data.path=mine.npz";
    place.ok(&format!(
        "train small.json --device cpu --out run --data there --set training.epochs=1 {own}"
    ));
    place.ok("eval run --device cpu");
    place.ok("resume run --device cpu --epochs 2");
    fs::rename(place.path("there"), place.path("elsewhere")).unwrap();
    let message = place.fails("resume run --device cpu --epochs 3", 2);
    assert_has(&message, &["mine.npz"]);
    place.ok("resume run --device cpu --epochs 3 --data elsewhere");
    place.ok("resume run --device cpu --epochs 4");
}
