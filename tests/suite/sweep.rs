//! `dalenet sweep`: a grid of loop multipliers on a run.

use crate::common::settings;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use dalenet::conductance::analysis::record::LoopSweep;
use dalenet::conductance::experiment::Experiment;
use dalenet::conductance::experiment::sweep::{LoopGrid, SweptWeights, loop_sweep};
use dalenet::device::DeviceOptions;
use dalenet::gpu::DeviceChoice;
use dalenet::record::RunRecord;
use serde_json::Value;

use crate::program::{Place, assert_has};

/// A place with a trained run in `run`.
fn trained() -> Place {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    place
}

fn sweep_of(place: &Place, folder: &str) -> LoopSweep {
    let bytes = fs::read(place.path(folder).join("sweep.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn every_point_is_what_eval_measures_there() {
    let place = trained();
    let text = place.ok("sweep run --device cpu --ei 0,0.5,1,3 --ie 4,1,0");
    assert_has(&text, &["accuracy, %", "I rate, Hz", "sweep.csv"]);
    let sweep = sweep_of(&place, "run");
    assert_eq!(sweep.ei, [0.0, 0.5, 1.0, 3.0]);
    assert_eq!(sweep.ie, [0.0, 1.0, 4.0]);
    let pairs: Vec<_> = sweep.points.iter().map(|p| (p.ie, p.ei)).collect();
    let expected = sweep
        .ie
        .iter()
        .flat_map(|&ie| sweep.ei.iter().map(move |&ei| (ie, ei)));
    assert_eq!(pairs, expected.collect::<Vec<_>>());
    for p in &sweep.points {
        let line = format!(
            "eval run --device cpu --json --scale-ei {} --scale-ie {}",
            p.ei, p.ie
        );
        let eval: Value = serde_json::from_str(&place.ok(&line)).unwrap();
        assert_eq!(eval["correct"], p.correct, "{line}");
        for (name, ours) in [
            ("accuracy_percent", p.accuracy_percent),
            ("loss_nats", p.loss_nats),
            ("e_rate_hz", p.e_rate_hz),
            ("i_rate_hz", p.i_rate_hz),
        ] {
            assert_eq!(eval[name], ours, "{line}: {name}");
        }
    }
    // The last of them is not measured alike at other points by accident.
    assert_ne!(sweep.points[6].loss_nats, sweep.points[7].loss_nats);

    let open_loop: Vec<f64> = sweep.points[..4].iter().map(|p| p.e_rate_hz).collect();
    assert!(open_loop[0] > 1.0 && open_loop.iter().all(|&e| e == open_loop[0]));
    assert!(sweep.points[3].i_rate_hz > sweep.points[1].i_rate_hz);
    for p in &sweep.points {
        assert_eq!(p.i_rate_hz == 0.0, p.ei == 0.0, "{p:?}");
    }
    assert!(sweep.points[11].e_rate_hz < open_loop[0]);

    let record = RunRecord::load(&place.path("run")).unwrap();
    assert_eq!(dalenet::conductance::record::sweep(&record), Some(&sweep));
    let table = fs::read_to_string(place.path("run/sweep.csv")).unwrap();
    assert_eq!(table.lines().count(), 13);
    let p = &sweep.points[5];
    let line = format!(
        "0.5,1,{},{},20,{},{},{}",
        p.accuracy_percent, p.correct, p.loss_nats, p.e_rate_hz, p.i_rate_hz
    );
    assert_eq!(table.lines().nth(6), Some(line.as_str()));
}

#[test]
fn the_same_sweep_is_the_same_file_and_json_is_printed() {
    let place = trained();
    let json = place.ok("sweep run --device cpu --grid 0,1 --checkpoint initial --json --out a");
    place.ok("sweep run --device cpu --grid 1,0 --checkpoint initial --threads 1 --out b");
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(read("a/sweep.json"), read("b/sweep.json"));
    assert_eq!(read("a/sweep.csv"), read("b/sweep.csv"));
    assert_eq!(json.as_bytes(), read("a/sweep.json"));
    assert!(!place.path("run/sweep.json").exists());
    let sweep = sweep_of(&place, "a");
    assert_eq!((sweep.checkpoint.as_str(), sweep.epoch), ("initial", 0));
}

#[test]
fn what_cannot_be_swept_is_refused_with_nothing_written() {
    let place = trained();
    for (more, part) in [
        ("--grid 1,nan", "NaN"),
        ("--ei -1", "-1"),
        ("--ie=-0.5,1", "-0.5"),
        ("--grid 1,2,1.0", "twice"),
        ("--ei inf", "inf"),
        ("--grid one", "one"),
    ] {
        let message = place.fails(&format!("sweep run --device cpu {more}"), 2);
        assert_has(&message, &[part]);
    }
    place.train(
        "coba",
        " --set training.epochs=0 --set weights.ei_strength=0",
    );
    assert_has(
        &place.fails("sweep coba --device cpu", 2),
        &["w_ei", "no E–I loop"],
    );
    assert_has(&place.fails("sweep nowhere --device cpu", 2), &["nowhere"]);
    for folder in ["run", "coba"] {
        assert!(!place.path(folder).join("sweep.json").exists());
        assert!(!place.path(folder).join("sweep.csv").exists());
    }
}

#[test]
fn a_sweep_ends_where_it_is_asked_to() {
    let place = Place::new();
    let config = settings::load(Some(&place.path("small.json")), &[], None).unwrap();
    let device = DeviceOptions {
        device: DeviceChoice::Cpu,
        ..DeviceOptions::default()
    };
    let experiment = Experiment::prepare(config, None, device).unwrap();
    let weights = experiment.draw_weights();
    let swept = SweptWeights {
        weights: &weights,
        checkpoint: "initial",
        epoch: 0,
    };
    let grid = LoopGrid::new(&[0.0, 1.0], &[0.0, 1.0]).unwrap();
    let mut seen = Vec::new();
    let sweep = loop_sweep(&experiment, swept, &grid, &mut |done, of| {
        seen.push((done, of));
        done < 2
    });
    assert!(sweep.unwrap().is_none());
    // Three batches of a point each ask.
    assert_eq!(
        seen,
        [(0, 4), (0, 4), (0, 4), (1, 4), (1, 4), (1, 4), (2, 4)]
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_writes_nothing() {
    let place = trained();
    let grid: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let line = format!(
        "sweep run --device cpu --threads 1 --grid {}",
        grid.join(",")
    );
    let mut child = place.command(&line).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "still sweeping");
    let asked_to_end = Command::new("kill").arg(child.id().to_string()).status();
    assert!(asked_to_end.unwrap().success());
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(asked.elapsed() < Duration::from_secs(20));
    assert!(!place.path("run/sweep.json").exists());
    assert!(!place.path("run/sweep.csv").exists());
}
