//! Studies of rate RNNs whose cells go side by side.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{Place, assert_has, result};
use dalenet::train::checkpoint::Checkpoint;
use serde_json::Value;

/// Two kinds with tensors of one shape, one with tensors of its own, and one that diverges.
const STUDY: &str = r#"{
    "name": "lanes", "title": "Lanes",
    "base": {
        "family": "rate_rnn",
        "data": { "images": { "dataset": "digits", "train_samples": 120, "test_samples": 30 } },
        "network": { "layers": [12], "inhibitory_fraction": 0.25 },
        "training": { "epochs": EPOCHS, "batch_size": 10, "learning_rate": 0.02, "clip_norm": 5 }
    },
    "axes": [
        { "name": "kind", "values": [
            { "name": "standard" },
            { "name": "frozen", "set": { "training.frozen_signs": true } },
            { "name": "col_ei", "set": { "network.kind": "col_ei" } },
            { "name": "dann", "set": { "network.kind": "dann" } },
            { "name": "wild", "set": { "weights.standard_radius": 1000 } }
        ] },
        { "name": "seed", "key": "seeds.weights", "values": [1, 2] }
    ]
}"#;

const CELLS: [&str; 10] = [
    "standard-seed1",
    "standard-seed2",
    "frozen-seed1",
    "frozen-seed2",
    "col_ei-seed1",
    "col_ei-seed2",
    "dann-seed1",
    "dann-seed2",
    "wild-seed1",
    "wild-seed2",
];

fn place(epochs: u64) -> Place {
    let place = Place::new();
    let text = STUDY.replace("EPOCHS", &epochs.to_string());
    fs::write(place.path("lanes.json"), text).unwrap();
    place
}

fn results(place: &Place, study: &str) -> Vec<(Checkpoint, Vec<Value>)> {
    let cell = |cell: &&str| result(&place.path(&format!("{study}/cells/{cell}")));
    CELLS.iter().map(cell).collect()
}

#[test]
fn cells_side_by_side_end_as_if_alone_and_one_that_diverges_is_marked() {
    let place = place(3);
    place.ok("study run lanes.json --device cpu --lanes 1 --out alone");
    let alone = results(&place, "alone");
    place.ok("study run lanes.json --device cpu --out auto");
    assert!(results(&place, "auto") == alone);
    let told = place.ok("study status auto");
    assert_eq!(told.matches("diverged").count(), 2, "{told}");
    assert_eq!(told.matches("finished").count(), 8, "{told}");
    // One is behind, another is done already, the others have not begun.
    place.ok("study run lanes.json --device cpu --cell 3 --out behind");
    place.ok("study run lanes.json --device cpu --lanes 3 --threads 1 --out behind");
    assert!(results(&place, "behind") == alone);
    if dalenet::gpu::testing::test_gpu().is_some() {
        place.ok("study run lanes.json --device gpu --lanes 1 --out gpu_alone");
        place.ok("study run lanes.json --device gpu --lanes 16 --out gpu");
        assert!(results(&place, "gpu") == results(&place, "gpu_alone"));
    }
}

#[test]
fn groups_of_an_array_job_are_those_of_the_study() {
    let place = place(1);
    let plan = place.ok("study run lanes.json --device cpu --lanes 5 --dry-run --log json");
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let expected = serde_json::json!([[0, 1, 2, 3, 4], [5, 8, 9], [6, 7]]);
    assert_eq!(plan["groups"], expected);
    // The group with the networks that diverge says so.
    for (group, code) in [(0, 0), (1, 1), (2, 0)] {
        let line =
            format!("study run lanes.json --device cpu --lanes 5 --group {group} --out done");
        assert_eq!(place.run(&line).status.code(), Some(code), "{group}");
    }
    let status = place.ok("study status done --json --lanes 5");
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["groups"], expected);
    let states: Vec<_> = (status["cells"].as_array().unwrap().iter())
        .map(|cell| cell["state"].as_str().unwrap().to_owned())
        .collect();
    let diverged = states.iter().filter(|state| *state == "diverged").count();
    assert!(diverged == 2 && states.len() == 10, "{states:?}");
    let error = place.fails(
        "study run lanes.json --device cpu --lanes 5 --group 3 --out done",
        2,
    );
    assert_has(&error, &["--group 3", "3 groups"]);
    // Without lanes a group is a cell.
    let plan = place.ok("study run lanes.json --device cpu --dry-run --log json");
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["groups"].as_array().unwrap().len(), 10);
}

#[test]
fn cells_that_are_killed_between_their_commits_catch_up() {
    let place = place(100);
    place.ok("study run lanes.json --device cpu --lanes 1 --out alone");
    let line = "study run lanes.json --device cpu --cell 0,1,2,3,4,5 --out killed";
    let mut kills = 0;
    for attempt in 0..12u64 {
        let mut command = place.command(line);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.spawn().unwrap();
        let wait = 30 + (attempt * 7919) % 97 + 15 * attempt;
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
    }
    assert!(kills >= 5, "{kills} kills");
    place.ok("study run lanes.json --device cpu --lanes 32 --out killed");
    assert!(results(&place, "killed") == results(&place, "alone"));
}
