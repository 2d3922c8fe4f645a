//! Runs of Izhikevich networks from the command line: trained, stopped, killed, continued, measured, shown.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{Place, assert_has, load, result};
use dalenet::data::{ArrayValues, NamedArray, write_npz};
use dalenet::izhikevich::record::analysis;
use dalenet::record::RunRecord;
use dalenet::train::metrics::TEST_ACCURACY;
use serde_json::Value;

/// A network that learns in short trials.
const SMALL: &str = r#"{
    "name": "small", "family": "izhikevich",
    "data": {
        "gratings": { "offset": "random", "train_trials": 24, "test_trials": 20 },
        "assignment_trials": 20
    },
    "network": {
        "trial_ms": 200, "outputs": 6, "hidden": [10], "feedback": 0.3, "drive": 14,
        "lateral": { "kind": "own", "drive": 60, "weight": 20, "learns": false }
    },
    "training": { "epochs": 4, "block_trials": 7 }
}"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("small.json"), SMALL).unwrap();
    place
}

#[test]
fn a_run_is_the_same_whatever_threads_and_stops_it_has() {
    for more in [
        "",
        " --set plasticity.rule=bcm_per_step --set training.epochs=4 --set network.dt_ms=0.5",
        " --set plasticity.rule=stdp",
        " --set redistribution.kind=stochastic",
    ] {
        let place = place();
        let train = format!("train small.json --device cpu{more}");
        place.ok(&format!("{train} --threads 2 --out whole"));
        let whole = result(&place.path("whole"));
        assert_eq!(whole.1.len(), 5);
        place.ok(&format!("{train} --threads 1 --out one"));
        assert!(result(&place.path("one")) == whole, "{more}: one thread");
        place.ok(&format!("{train} --epochs 1 --out parts"));
        place.ok("resume parts --device cpu --epochs 3");
        place.ok("resume parts --device cpu --epochs 4");
        assert!(result(&place.path("parts")) == whole, "{more}: in parts");
        let files = ["whole/initial.safetensors", "whole/last.safetensors"];
        let [initial, last] = files.map(|file| load(&place.path(file)).weights);
        assert_ne!(initial["input_output"], last["input_output"], "{more}");
        assert_eq!(initial["lateral_output"], last["lateral_output"], "{more}");
    }
}

#[test]
fn a_run_killed_again_and_again_ends_as_if_undisturbed() {
    let place = place();
    let epochs = "--set training.epochs=60 --set training.checkpoint_every_epochs=7";
    place.ok(&format!(
        "train small.json --device cpu --out whole {epochs}"
    ));
    let mut kills = 0;
    let mut line = format!("train small.json --device cpu --out run {epochs}");
    for attempt in 0..30u64 {
        let mut command = place.command(&line);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.spawn().unwrap();
        let pause = 5 + (attempt * 7919) % 61 + attempt * 12;
        std::thread::sleep(Duration::from_millis(pause));
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
    assert!(kills >= 3, "{kills} kills");
    assert_eq!(result(&place.path("run")), result(&place.path("whole")));
}

#[test]
fn a_run_on_the_gpu_is_that_on_the_processor_and_goes_on() {
    let Some(gpu) = dalenet::gpu::testing::test_gpu() else {
        return;
    };
    let place = place();
    place.ok("train small.json --device gpu --out whole");
    let whole = result(&place.path("whole"));
    place.ok("train small.json --device gpu --epochs 2 --out parts");
    place.ok("resume parts --device gpu --epochs 4");
    assert!(result(&place.path("parts")) == whole);
    if gpu.is_software() {
        // Its driver rounds every operation as it is written.
        place.ok("train small.json --device cpu --out cpu");
        assert!(result(&place.path("cpu")) == whole);
    }
    let error = place.fails(
        "train small.json --device gpu --set plasticity.rule=stdp --out stdp",
        2,
    );
    assert_has(&error, &["plasticity.rule", "--device cpu"]);
    assert!(!place.path("stdp/config.json").exists());
}

#[test]
fn a_run_is_measured_and_shown_in_its_own_words() {
    let place = place();
    place.ok("train small.json --device cpu --out run");
    let record = RunRecord::load(&place.path("run")).unwrap();
    let last = record.last().unwrap();
    let told: Value = serde_json::from_str(&place.ok("eval run --device cpu --json")).unwrap();
    assert_eq!(
        told["accuracy_percent"].as_f64().unwrap(),
        last[TEST_ACCURACY]
    );
    assert_has(
        &place.ok("eval run --device cpu"),
        &["95 % interval", "test trials"],
    );
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    for part in [
        "Tuning curves",
        "Weight matrix",
        "Weights over time",
        "Accuracy against the offset",
        "Output cells by class",
        "F1/F0",
        "a lateral interneuron of its own",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for word in ["radient norm", "ross-entropy", "optimiser"] {
        assert!(!page.contains(word), "the page speaks of {word}");
    }
    // What training has measured at its end is what is measured again.
    let analysis = analysis(&record).unwrap();
    assert_eq!(analysis.test.accuracy_percent, last[TEST_ACCURACY]);
    let answers = record.answers().unwrap();
    assert_eq!(answers.accuracy_percent(), last[TEST_ACCURACY]);
    let written = fs::read(place.path("run/analysis.json")).unwrap();
    let told = place.ok("analyse run --device cpu");
    assert_has(
        &told,
        &["logistic read-out", "lateral_output", "written to"],
    );
    assert_eq!(fs::read(place.path("run/analysis.json")).unwrap(), written);
    for verb in [
        "sweep run --ei 1",
        "analyse run --onset-ms 5",
        "eval run --scale-ei 2",
        "predict run --data small.json",
    ] {
        place.fails(verb, 2);
    }
}

#[test]
fn the_users_own_patterns_are_learnt_and_answered() {
    let place = place();
    // Rows and columns of 4 × 4 pixels.
    let sample = |i: usize| -> Vec<i32> {
        let on = |pixel: usize| match i % 2 {
            0 => pixel / 4 == i / 2 % 4,
            _ => pixel % 4 == i / 2 % 4,
        };
        (0..16).map(|pixel| 255 * i32::from(on(pixel))).collect()
    };
    let pixels: Vec<i32> = (0..40).flat_map(sample).collect();
    let labels: Vec<i32> = (0..40).map(|i| i % 2).collect();
    let array = |name, shape, values| NamedArray {
        name,
        shape,
        values: ArrayValues::I32(values),
    };
    let arrays = [
        array("images", &[40, 4, 4][..], &pixels[..]),
        array("labels", &[40][..], &labels[..]),
    ];
    write_npz(&place.path("own.npz"), &arrays).unwrap();
    place.ok(
        "train small.json --device cpu --epochs 2 --set data.task=images --set data.images.dataset=images \
         --set data.images.path=own.npz --set data.size=4 --out own",
    );
    let record = RunRecord::load(&place.path("own")).unwrap();
    assert!(record.last().unwrap()[TEST_ACCURACY].is_finite());
    let told = place.ok("predict own --data own.npz --device cpu --json");
    assert_eq!(told.lines().count(), 40);
    let page = fs::read_to_string(place.path("own/report.html")).unwrap();
    assert!(page.contains("Output cells by class") && !page.contains("Tuning curves at each"));
}

#[test]
fn contradictions_are_refused_by_key() {
    let place = place();
    for (set, key) in [
        (
            "network.hidden=[] --set network.direct=false",
            "network.direct",
        ),
        ("network.hidden=[]", "network.feedback"),
        ("data.rate_hz=10000 --set network.dt_ms=0.2", "data.rate_hz"),
        ("network.trial_ms=200.05", "network.trial_ms"),
        (
            "network.lateral.active=test --set network.lateral.learns=true",
            "network.lateral.learns",
        ),
        ("data.gratings.frequencies=[]", "data.gratings.frequencies"),
        (
            "redistribution.kind=stochastic --set redistribution.tau_facilitation_ms=5",
            "redistribution.tau_facilitation_ms",
        ),
        ("network.outputs=1", "network.lateral.kind"),
    ] {
        let error = place.fails(
            &format!("train small.json --device cpu --out run --set {set}"),
            2,
        );
        assert!(error.contains(key), "{set}: {error}");
    }
}

#[test]
fn a_choice_that_may_be_left_out_takes_its_values_and_null() {
    let place = Place::new();
    for set in [
        "orientation --set data.gratings.test_offset=random",
        "orientation --set data.gratings.test_offset=null",
        "rnn_standard --set training.loss=cross_entropy_last",
    ] {
        place.ok(&format!("config {set}"));
    }
    let error = place.fails(
        "config orientation --set data.gratings.test_offset=randon",
        2,
    );
    assert_has(&error, &["did you mean \"random\"?"]);
}

#[test]
fn the_bench_times_one_network_many_lanes_and_frozen_trials() {
    let place = place();
    let told = place
        .ok("bench --networks small.json --device cpu --quick --repetitions 1 --batch 3 --json");
    let report: Value = serde_json::from_str(&told).unwrap();
    let workloads = report["workloads"].as_array().unwrap();
    let sizes = workloads
        .iter()
        .map(|w| (w["lanes"].as_u64(), w["trials"].as_u64()));
    let expected = [(1, 1), (3, 1), (1, 3)].map(|(lanes, trials)| (Some(lanes), Some(trials)));
    assert_eq!(sizes.collect::<Vec<_>>(), expected);
    for workload in workloads {
        let speed = &workload["simulated_seconds_per_second"]["median"];
        assert!(speed.as_f64().unwrap() > 0.0);
    }
}

/// A study of three seeds of the small network, and one cell of another shape.
const STUDY: &str = r#"{
    "name": "lanes", "title": "Lanes", "base": BASE,
    "axes": [
        { "name": "drive", "key": "network.drive", "values": [14, 11] },
        { "name": "seed", "key": "seeds.weights", "values": [1, 2, 3] }
    ],
    "except": [{ "drive": ["drive11"], "seed": ["seed2", "seed3"] }]
}"#;

fn study_place() -> Place {
    let place = place();
    fs::write(place.path("lanes.json"), STUDY.replace("BASE", SMALL)).unwrap();
    place
}

const CELLS: [&str; 4] = [
    "drive14-seed1",
    "drive14-seed2",
    "drive14-seed3",
    "drive11-seed1",
];

fn results(
    place: &Place,
    study: &str,
) -> Vec<(dalenet::train::checkpoint::Checkpoint, Vec<Value>)> {
    let cell = |cell: &&str| result(&place.path(&format!("{study}/cells/{cell}")));
    CELLS.iter().map(cell).collect()
}

#[test]
fn cells_that_share_an_engine_end_as_if_alone() {
    let place = study_place();
    place.ok("study run lanes.json --device cpu --lanes 1 --out alone");
    let alone = results(&place, "alone");
    let told = place.ok("study run lanes.json --device cpu --lanes auto --out auto");
    assert!(!told.contains("failed"));
    assert!(results(&place, "auto") == alone);
    place.ok("study run lanes.json --device cpu --lanes 2 --out two");
    assert!(results(&place, "two") == alone);
    // One that is behind catches up beside others that have not begun, and another is there already.
    let folder = place.path("behind");
    place.ok("study run lanes.json --device cpu --cell 1 --out behind");
    place.ok("study run lanes.json --device cpu --lanes 8 --out behind");
    assert!(results(&place, "behind") == alone);
    let told = place.ok("study status behind");
    assert_eq!(told.matches("finished").count(), 4, "{told}");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert_has(&page, &["The task stays unlearned in every condition"]);
    if dalenet::gpu::testing::test_gpu().is_some_and(|gpu| gpu.is_software()) {
        place.ok("study run lanes.json --device gpu --lanes 8 --out gpu");
        assert!(results(&place, "gpu") == alone);
    }
}

#[test]
fn cells_of_different_shapes_do_not_share_an_engine() {
    let place = study_place();
    let error = place.fails(
        "study run lanes.json --device cpu --cell 0,3 --out mixed",
        2,
    );
    assert_has(&error, &["drive14-seed1, drive11-seed1", "one by one"]);
    assert!(!place.path("mixed/cells/drive14-seed1/config.json").exists());
}

#[test]
fn lanes_that_are_killed_between_their_commits_catch_up() {
    let place = study_place();
    let more = STUDY
        .replace("BASE", SMALL)
        .replace("\"epochs\": 4", "\"epochs\": 25");
    fs::write(place.path("lanes.json"), more).unwrap();
    place.ok("study run lanes.json --device cpu --lanes 1 --out alone");
    let alone = results(&place, "alone");
    let line = "study run lanes.json --device cpu --cell 0,1,2 --out killed";
    let mut kills = 0;
    for attempt in 0..12u64 {
        let mut command = place.command(line);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(
            40 + (attempt * 7919) % 97 + 15 * attempt,
        ));
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
    }
    assert!(kills >= 5, "{kills} kills");
    place.ok("study run lanes.json --device cpu --lanes 8 --out killed");
    assert!(results(&place, "killed") == alone);
}

#[test]
fn a_lane_that_cannot_go_on_fails_alone() {
    let place = study_place();
    place.ok("study run lanes.json --device cpu --cell 0 --out one");
    // Its checkpoint is damaged.
    let last = place.path("one/cells/drive14-seed1/last.safetensors");
    let config = place.path("one/cells/drive14-seed1/config.json");
    assert!(config.exists());
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    let manifest = place.path("one/cells/drive14-seed1/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"finished\"", "\"interrupted\"")).unwrap();
    let error = place.fails("study run lanes.json --device cpu --lanes 8 --out one", 1);
    assert_has(&error, &["failed", "drive14-seed1"]);
    let told = place.ok("study status one");
    assert_eq!(told.matches("finished").count(), 3, "{told}");
}
