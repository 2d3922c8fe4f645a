//! Runs that are stopped from outside: signals, kills, and two processes at one folder.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use dalenet::train::manifest::Manifest;

use crate::program::{Place, assert_has, load, result};

#[cfg(unix)]
fn signal(process: u32, name: &str) {
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn signals_stop_with_their_codes_and_a_resume_goes_on_exactly() {
    let place = Place::new();
    place.train("whole", " --set training.epochs=60");
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let line = "train small.json --device cpu --out run --force --set training.epochs=60";
        let child = place
            .command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let metrics = place.path("run/metrics.jsonl");
        // The first line of metrics: training has begun.
        for _ in 0..2000 {
            if metrics.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(40));
        signal(child.id(), name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_has(
            &String::from_utf8_lossy(&output.stdout),
            &["dalenet resume run"],
        );
        let manifest = fs::read_to_string(place.path("run/manifest.json")).unwrap();
        assert_has(&manifest, &["\"interrupted\""]);
        assert!(
            load(&place.path("run/last.safetensors"))
                .progress
                .epochs_done
                < 60
        );
        place.ok("resume run --device cpu");
        assert_eq!(result(&place.path("run")), result(&place.path("whole")));
    }
}

#[test]
fn a_run_killed_again_and_again_ends_as_if_undisturbed() {
    let place = Place::new();
    let epochs = "--set training.epochs=25 --set training.checkpoint_every_epochs=3";
    place.train("whole", &format!(" {epochs}"));
    let mut kills = 0;
    let mut line = format!("train small.json --device cpu --out run {epochs}");
    for attempt in 0..40u64 {
        let mut child = place
            .command(&line)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over start-up, evaluation, training and writing; longer each time, so that it ends.
        let wait = 3 + (attempt * 7919) % 61 + attempt * 12;
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        kills += usize::from(!status.success());
        if status.success() {
            break;
        }
        // A folder without a configuration is no run yet.
        line = if place.path("run/config.json").exists() {
            "resume run --device cpu".to_owned()
        } else {
            format!("train small.json --device cpu --out run --force {epochs}")
        };
    }
    place.ok(&line);
    let manifest = Manifest::load(&place.path("run/manifest.json")).unwrap();
    let mut from: Vec<&str> = manifest.resumed.iter().map(|r| &r.note[..]).collect();
    from.dedup();
    assert!(
        kills >= 5 && from.len() >= 3,
        "{kills} kills, resumed {from:?}"
    );
    assert_eq!(result(&place.path("run")), result(&place.path("whole")));
    let leftover = fs::read_dir(place.path("run")).unwrap().count();
    assert!(leftover < 8 + kills, "{leftover} files");
}

#[test]
fn a_run_in_use_is_locked() {
    let place = Place::new();
    let line = "train small.json --device cpu --out run --set training.epochs=100000";
    let mut child = place
        .command(line)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..2000 {
        if place.path("run/metrics.jsonl").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let resumed = place.run("resume run --device cpu");
    let forced = place.run("train small.json --device cpu --out run --force");
    // It can be looked at all the while.
    let looked = place.run("eval run --device cpu --json");
    child.kill().unwrap();
    child.wait().unwrap();
    for output in [resumed, forced] {
        assert_eq!(output.status.code(), Some(1));
        assert_has(&String::from_utf8_lossy(&output.stderr), &["in use"]);
    }
    assert!(looked.status.success());
}
