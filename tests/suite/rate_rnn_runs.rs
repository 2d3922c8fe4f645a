//! Runs of rate RNNs from the command line: trained, stopped, killed, continued, measured, shown.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{Place, result};
use dalenet::data::{ArrayValues, NamedArray, write_npz};
use dalenet::rate_rnn::metrics::{TEST_ERROR, TEST_PERPLEXITY};
use dalenet::rate_rnn::record::analysis;
use dalenet::record::RunRecord;
use dalenet::train::metrics::{TEST_ACCURACY, TEST_LOSS};
use serde_json::Value;

/// A small network that reads digits row by row.
const SMALL: &str = r#"{
    "name": "small", "family": "rate_rnn",
    "data": { "images": { "dataset": "digits", "train_samples": 300, "test_samples": 60 } },
    "network": { "kind": "KIND", "layers": [20, 12], "inhibitory_fraction": 0.2 },
    "training": { "epochs": 4, "batch_size": 10, "learning_rate": 0.03, "clip_norm": 5 }
}"#;

fn place(kind: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("small.json"), SMALL.replace("KIND", kind)).unwrap();
    place
}

#[test]
fn a_run_is_the_same_whatever_threads_and_stops_it_has() {
    for kind in ["standard", "col_ei", "dann"] {
        let place = place(kind);
        place.ok("train small.json --device cpu --threads 2 --out whole");
        let whole = result(&place.path("whole"));
        assert_eq!(whole.1.len(), 5);
        place.ok("train small.json --device cpu --threads 1 --out one");
        assert!(result(&place.path("one")) == whole, "{kind}: one thread");
        place.ok("train small.json --device cpu --epochs 1 --out parts");
        place.ok("resume parts --device cpu --epochs 3");
        place.ok("resume parts --device cpu --epochs 4");
        assert!(result(&place.path("parts")) == whole, "{kind}: in parts");
        let record = RunRecord::load(&place.path("whole")).unwrap();
        let [first, last] = [0, 4].map(|at| record.epochs[at][TEST_LOSS]);
        assert!(last < first, "{kind}: {first} to {last} nats");
    }
}

#[test]
fn a_run_killed_again_and_again_ends_as_if_undisturbed() {
    let place = place("dann");
    let epochs = "--set training.epochs=200 --set training.checkpoint_every_epochs=7";
    place.ok(&format!(
        "train small.json --device cpu --out whole {epochs}"
    ));
    let mut kills = 0;
    let mut line = format!("train small.json --device cpu --out run {epochs}");
    for attempt in 0..30u64 {
        let mut command = place.command(&line);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(
            5 + (attempt * 7919) % 61 + attempt * 12,
        ));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        kills += usize::from(!status.success());
        if status.success() {
            break;
        }
        // A folder without a configuration is no run yet.
        line = match place.path("run/config.json").exists() {
            true => "resume run --device cpu".to_owned(),
            false => format!("train small.json --device cpu --out run --force {epochs}"),
        };
    }
    place.ok(&line);
    assert!(kills >= 5, "{kills} kills");
    assert_eq!(result(&place.path("run")), result(&place.path("whole")));
}

#[test]
fn a_run_on_the_gpu_repeats_goes_on_and_agrees_with_the_processor() {
    if dalenet::gpu::testing::test_gpu().is_none() {
        return;
    }
    let place = place("dann");
    place.ok("train small.json --device gpu --out whole");
    let whole = result(&place.path("whole"));
    place.ok("train small.json --device gpu --memory 600K --epochs 2 --out parts");
    place.ok("resume parts --device gpu --epochs 4");
    assert!(result(&place.path("parts")) == whole);
    let eval = |device: &str| -> Value {
        let told = place.ok(&format!("eval whole --device {device} --json"));
        serde_json::from_str(&told).unwrap()
    };
    let (gpu, cpu) = (eval("gpu"), eval("cpu"));
    assert_eq!(gpu["correct"], cpu["correct"]);
    let losses = [&gpu, &cpu].map(|e| e["loss_nats"].as_f64().unwrap());
    assert!(
        (losses[0] - losses[1]).abs() < 1e-5 * losses[1],
        "{losses:?}"
    );
}

#[test]
fn a_run_is_measured_and_shown_in_its_own_words() {
    let place = place("col_ei");
    place.ok("train small.json --device cpu --out run");
    let record = RunRecord::load(&place.path("run")).unwrap();
    let last = record.last().unwrap();
    let told: Value = serde_json::from_str(&place.ok("eval run --device cpu --json")).unwrap();
    assert_eq!(
        told["accuracy_percent"].as_f64().unwrap(),
        last[TEST_ACCURACY]
    );
    assert_eq!(told["loss_nats"].as_f64().unwrap(), last[TEST_LOSS]);
    assert!(place.ok("eval run --device cpu").contains("standard error"));
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("Training curves") && page.contains("column E/I weights"));
    for word in ["E cells", "I cells", "Hz", "analysis.json"] {
        assert!(!page.contains(word), "the page speaks of {word}");
    }
    for part in [
        "Singular values of the matrices",
        "confusion matrix",
        "95 % interval",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // What training has measured at its end is what is measured again.
    let analysis = analysis(&record).unwrap();
    assert_eq!(analysis.test.accuracy_percent, last[TEST_ACCURACY]);
    assert_eq!(analysis.test.loss, last[TEST_LOSS]);
    let answers = record.answers().unwrap();
    assert_eq!(answers.accuracy_percent(), last[TEST_ACCURACY]);
    let w = &analysis.matrices["l0.w"];
    // Norms squared are sums of squared singular values; column E/I begins at its radius.
    for spectrum in [&w.initial, &w.now] {
        let squares: f64 = spectrum.singular_values.iter().map(|s| s * s).sum();
        assert!((squares.sqrt() / spectrum.norm - 1.0).abs() < 1e-9);
    }
    assert!(
        (w.initial.radius - 1.5).abs() < 1e-5,
        "{}",
        w.initial.radius
    );
    let written = fs::read(place.path("run/analysis.json")).unwrap();
    let told = place.ok("analyse run --device cpu");
    assert!(
        told.contains("spectral radius") && told.contains("written to"),
        "{told}"
    );
    assert_eq!(fs::read(place.path("run/analysis.json")).unwrap(), written);
    // The built-in digits again, as a file of new images.
    let images = dalenet::data::digits(50, 9);
    let pixels: Vec<i32> = images.pixels.iter().map(|&p| p.into()).collect();
    let labels: Vec<i32> = images.labels.iter().map(|&label| label.into()).collect();
    let array = |name, shape, values| NamedArray {
        name,
        shape,
        values: ArrayValues::I32(values),
    };
    let arrays = [
        array("images", &[50, 28, 28][..], &pixels[..]),
        array("labels", &[50][..], &labels[..]),
    ];
    write_npz(&place.path("new.npz"), &arrays).unwrap();
    let told = place.ok("predict run --data new.npz --device cpu --json");
    let answers: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 50);
    let sum = |answer: &Value| -> f64 {
        let shares = answer["probabilities"].as_array().unwrap();
        shares.iter().map(|p| p.as_f64().unwrap()).sum()
    };
    assert!(
        answers
            .iter()
            .all(|answer| (sum(answer) - 1.0).abs() < 1e-9)
    );
    for verb in [
        "sweep run --ei 1",
        "analyse run --onset-ms 5",
        "eval run --scale-ei 2",
    ] {
        let told = place.fails(verb, 2);
        assert!(told.contains("rate"), "{verb}: {told}");
    }
}

#[test]
fn the_bench_times_every_network_and_task_and_takes_one_family_at_a_time() {
    let place = place("dann");
    let told = place.ok(
        "bench --networks small.json,rnn_adding --device cpu --quick --repetitions 1 --batch 16 --json",
    );
    let report: Value = serde_json::from_str(&told).unwrap();
    let workloads = report["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 6);
    let networks: Vec<_> = workloads.iter().map(|w| w["networks"].as_u64()).collect();
    assert_eq!(networks, [1, 1, 32, 1, 1, 32].map(Some));
    for workload in workloads {
        assert_eq!(workload["batch_trials"], 16);
        let of = |key: &str| workload[key].as_f64().unwrap();
        let rate = workload["samples_per_second"]["median"].as_f64().unwrap();
        let batches = workload["batches_per_second"]["median"].as_f64().unwrap();
        assert!((rate / batches - 16.0).abs() < 1e-6);
        assert!((of("tflops") / (of("gflop_per_batch") * batches * 1e-3) - 1.0).abs() < 1e-6);
        assert!(of("of_ceiling_percent") > 0.0);
    }
    // Forward and two products backwards, but for that by the inputs: between two and three times as much.
    let flops = |at: usize| workloads[at]["gflop_per_batch"].as_f64().unwrap();
    for network in [0, 3] {
        let ratio = flops(network) / flops(network + 1);
        assert!(ratio > 2.0 && ratio < 3.0, "{ratio}");
    }
    let told = place.fails("bench --networks small.json,ping --device cpu", 2);
    assert!(
        told.contains("conductance") && told.contains("rate_rnn"),
        "{told}"
    );
}

#[test]
fn values_have_errors_and_no_accuracy() {
    let place = Place::new();
    let text = r#"{
        "name": "sums", "family": "rate_rnn",
        "data": { "task": "adding", "adding": { "steps": 6, "train_samples": 400, "test_samples": 100 } },
        "network": { "kind": "dann", "layers": [8] },
        "training": { "epochs": 6, "batch_size": 16, "learning_rate": 0.1 }
    }"#;
    fs::write(place.path("sums.json"), text).unwrap();
    let said = place.ok("train sums.json --device cpu --out run");
    assert!(
        said.contains("test error") && !said.contains("accuracy"),
        "{said}"
    );
    let record = RunRecord::load(&place.path("run")).unwrap();
    let errors: Vec<f64> = record
        .epochs
        .iter()
        .map(|epoch| epoch[TEST_ERROR])
        .collect();
    assert!(errors[6] < 0.5 * errors[0], "{errors:?}");
    assert!(record.epochs[6][TEST_ACCURACY].is_nan());
    let best = record.best().unwrap()[TEST_ERROR];
    assert!(errors[1..].iter().all(|error| *error >= best));
    let notes = record.manifest.notes.join("\n");
    assert!(notes.contains("exactly 0 at the start"), "{notes}");
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("mean squared error") && !page.contains("accuracy"));
}

/// Nothing that needs classes, or a metric of them, stands on the page.
#[test]
fn a_study_of_values_compares_no_answers() {
    let place = Place::new();
    let text = r#"{ "name": "sums", "title": "Sums",
        "base": {
            "name": "sums", "family": "rate_rnn",
            "data": { "task": "adding", "adding": { "steps": 6, "train_samples": 64, "test_samples": 32 } },
            "network": { "kind": "standard", "layers": [4] },
            "training": { "epochs": 1, "batch_size": 16 }
        },
        "axes": [ { "name": "kind", "key": "network.kind", "values": ["standard", "dann"] } ] }"#;
    fs::write(place.path("sums.json"), text).unwrap();
    place.ok("study run sums.json --device cpu --out sums");
    let page = fs::read_to_string(place.path("sums/report.html")).unwrap();
    assert!(page.contains("Key measures by condition"));
    for section in ["Paired tests", "not analysed", "same images"] {
        assert!(!page.contains(section), "{section}");
    }
}

#[test]
fn what_takes_too_much_memory_is_refused_before_any_is_taken() {
    let place = place("standard");
    let huge = [
        (
            "network.layers=[65536,65536,65536,65536]",
            "training.batch_size",
        ),
        ("training.batch_size=65536 --memory 100M", "100 MiB"),
        (
            "data.task=adding --set data.adding.steps=100000",
            "data.adding",
        ),
    ];
    for (set, word) in huge {
        let line = format!("train small.json --device cpu --out huge --set {set}");
        let output = place.run(&line);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output
                .status
                .code()
                .is_some_and(|code| (2..=3).contains(&code)),
            "{told}"
        );
        assert!(told.contains(word), "{told}");
        assert!(!place.path("huge").exists());
    }
}

#[test]
fn own_sequences_are_learnt_and_wrong_ones_refused_by_name() {
    let place = Place::new();
    // The class is the channel that is on, at every step.
    let (samples, steps) = (40, 5);
    let x: Vec<f64> = (0..samples * steps * 2)
        .map(|i| f64::from(u8::from(i % 2 == i / (steps * 2) % 2)))
        .collect();
    let y: Vec<i32> = (0..samples).map(|sample| (sample % 2) as i32).collect();
    let write = |name: &str, y: &[i32]| {
        let (x_shape, y_shape) = ([samples, steps, 2], [y.len()]);
        let array = |name, shape, values| NamedArray {
            name,
            shape,
            values,
        };
        let arrays = [
            array("x", &x_shape[..], ArrayValues::F64(&x)),
            array("y", &y_shape[..], ArrayValues::I32(y)),
        ];
        write_npz(&place.path(name), &arrays).unwrap();
    };
    write("own.npz", &y);
    write("short.npz", &y[1..]);
    let config = |file: &str| {
        format!(
            r#"{{ "name": "own", "family": "rate_rnn", "data": {{ "task": "sequences", "path": "{file}" }},
                "network": {{ "layers": [6] }},
                "training": {{ "epochs": 10, "batch_size": 4, "learning_rate": 0.1 }} }}"#
        )
    };
    for file in ["own.npz", "short.npz", "none.npz"] {
        fs::write(place.path(&format!("{file}.json")), config(file)).unwrap();
    }
    place.ok("train own.npz.json --device cpu --out run");
    let record = RunRecord::load(&place.path("run")).unwrap();
    assert_eq!(record.last().unwrap()[TEST_ACCURACY], 100.0);
    let told = place.fails("train short.npz.json --device cpu --out short", 2);
    assert!(told.contains("`y`") && told.contains("[39]"), "{told}");
    let told = place.fails("train none.npz.json --device cpu --out none", 2);
    assert!(told.contains("none.npz"), "{told}");
}

#[test]
fn a_study_of_kinds_is_run_tabled_and_shown_and_asks_for_no_sweep() {
    let place = Place::new();
    let base = SMALL
        .replace("KIND", "standard")
        .replace("\"epochs\": 4", "\"epochs\": 2");
    let spec = |more: &str| {
        format!(
            r#"{{ "name": "kinds", "title": "Kinds", "base": {base},
                "axes": [ {{ "name": "kind", "key": "network.kind", "values": ["standard", "dann"] }},
                          {{ "name": "seed", "key": "seeds.weights", "values": [1, 2] }} ] {more} }}"#
        )
    };
    fs::write(place.path("kinds.json"), spec("")).unwrap();
    fs::write(
        place.path("swept.json"),
        spec(r#", "sweep": { "ei": [0], "ie": [0] }"#),
    )
    .unwrap();
    place.ok("study run kinds.json --device cpu --out kinds");
    let again = place.ok("study run kinds.json --device cpu --out kinds");
    assert!(again.contains("finished before"), "{again}");
    let table = fs::read_to_string(place.path("kinds/table.csv")).unwrap();
    let head = table.lines().next().unwrap();
    assert!(
        head.contains("test_loss_nats") && !head.contains("rate_hz"),
        "{head}"
    );
    assert_eq!(table.lines().count(), 5);
    let page = fs::read_to_string(place.path("kinds/report.html")).unwrap();
    assert!(page.contains("Training curves") && page.contains("kind dann (2 cells): accuracy"));
    for word in ["E cells", "I rate", "pruned", "Hz", "gamma"] {
        assert!(
            !page.contains(word),
            "the page of the study speaks of {word}"
        );
    }
    let told = place.fails("study run swept.json --device cpu --out swept", 2);
    assert!(
        told.contains("E–I loop") && told.contains("rate_rnn"),
        "{told}"
    );
}

#[test]
fn a_text_of_the_user_is_learnt_by_characters_and_has_a_perplexity() {
    let place = Place::new();
    let line = "the cells that the axon drives inhibit the circuit\n";
    fs::write(place.path("text.txt"), line.repeat(60)).unwrap();
    let config = r#"{
        "name": "text", "family": "rate_rnn",
        "data": { "task": "text", "text": { "path": "text.txt", "unit": "characters", "steps": 12 } },
        "network": { "kind": "dann", "layers": [24] },
        "training": { "epochs": 12, "batch_size": 8, "learning_rate": 0.5, "clip_norm": 1 }
    }"#;
    fs::write(place.path("text.json"), config).unwrap();
    place.ok("train text.json --device cpu --out run");
    let record = RunRecord::load(&place.path("run")).unwrap();
    let perplexities: Vec<f64> = record
        .epochs
        .iter()
        .map(|epoch| epoch[TEST_PERPLEXITY])
        .collect();
    assert!(perplexities[12] < 0.6 * perplexities[0], "{perplexities:?}");
    let losses: Vec<f64> = record.epochs.iter().map(|epoch| epoch[TEST_LOSS]).collect();
    assert!((losses[12].exp() / perplexities[12] - 1.0).abs() < 1e-12);
    let told: Value = serde_json::from_str(&place.ok("eval run --device cpu --json")).unwrap();
    assert_eq!(told["perplexity"].as_f64().unwrap(), perplexities[12]);
    place.ok("train text.json --device cpu --epochs 5 --out parts");
    place.ok("resume parts --device cpu --epochs 12");
    assert_eq!(result(&place.path("parts")), result(&place.path("run")));
    let told = place.fails(
        "train text.json --device cpu --out none --set data.text.path=none.txt",
        2,
    );
    assert!(told.contains("none.txt"), "{told}");
}
