//! Files of one run belong together: what is of another run, or of an earlier epoch, is named and never
//! shown.

use std::fs;

use crate::program::{Place, assert_has};
use dalenet::conductance::metrics::TRAIN_PENALTY;
use dalenet::record::RunRecord;
use dalenet::train::metrics::TRAIN_LOSS;
use dalenet::train::steps::StepRecord;
use serde_json::Value;

fn left_out(place: &Place, run: &str) -> (RunRecord, String) {
    let record = RunRecord::load(&place.path(run)).unwrap();
    let sentences = record.left_out.join("\n");
    (record, sentences)
}

#[test]
fn an_analysis_of_an_earlier_epoch_is_named_and_not_shown() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    place.ok("sweep run --grid 0,1 --device cpu");
    let (record, sentences) = left_out(&place, "run");
    assert!(
        record.findings.is_analysed() && record.findings.is_swept(),
        "{sentences}"
    );
    let analysis = fs::read(place.path("run/analysis.json")).unwrap();
    place.ok("resume run --device cpu --epochs 2");
    // `resume` has analysed again; the sweep is as it was.
    let (record, sentences) = left_out(&place, "run");
    assert!(record.findings.is_analysed() && !record.findings.is_swept());
    assert_has(
        &sentences,
        &[
            "sweep.json was made after epoch 1, and the weights are those of epoch 2",
            "dalenet sweep",
        ],
    );
    fs::write(place.path("run/analysis.json"), analysis).unwrap();
    let (record, sentences) = left_out(&place, "run");
    assert!(!record.findings.is_analysed() && record.epochs.len() == 3);
    assert_has(
        &sentences,
        &["analysis.json was made after epoch 1", "dalenet analyse"],
    );
    place.ok("report run");
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert_has(
        &page,
        &[
            "analysis.json was made after epoch 1",
            "sweep.json was made after epoch 1",
        ],
    );
    assert!(!page.contains("id=\"figure-rhythm\"") && !page.contains("id=\"figure-loop_grid\""));
}

#[test]
fn files_of_another_run_are_named_and_not_shown() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    place.train(
        "other",
        " --set training.epochs=1 --set network.tau_gaba_ms=5",
    );
    for file in ["analysis.json", "metrics.jsonl", "steps.jsonl"] {
        let own = fs::read(place.path(&format!("run/{file}"))).unwrap();
        fs::copy(
            place.path(&format!("other/{file}")),
            place.path(&format!("run/{file}")),
        )
        .unwrap();
        let (record, sentences) = left_out(&place, "run");
        assert_has(&sentences, &[file]);
        assert_eq!(
            !record.findings.is_analysed(),
            file == "analysis.json",
            "{file}: {sentences}"
        );
        assert_eq!(record.epochs.is_empty(), file == "metrics.jsonl");
        assert_eq!(record.steps.is_empty(), file == "steps.jsonl");
        fs::write(place.path(&format!("run/{file}")), own).unwrap();
    }
    fs::copy(
        place.path("other/initial.safetensors"),
        place.path("run/initial.safetensors"),
    )
    .unwrap();
    let error = place.fails("analyse run --device cpu", 2);
    assert_has(&error, &["initial.safetensors", "configuration"]);
}

#[test]
fn every_line_of_a_run_carries_its_hash() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    let mark = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(place.path(&format!("run/{file}"))).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| line["run"].as_str().unwrap().to_owned())
            .collect()
    };
    let marks = [mark("metrics.jsonl"), mark("steps.jsonl")].concat();
    assert!(marks.len() > 5 && marks[0].len() == 12);
    assert!(marks.iter().all(|other| *other == marks[0]));
    let analysis = fs::read_to_string(place.path("run/analysis.json")).unwrap();
    let analysis: Value = serde_json::from_str(&analysis).unwrap();
    let hash = analysis["config_sha256"].as_str().unwrap();
    assert!(hash.starts_with(&marks[0]), "{hash} {}", marks[0]);
}

#[test]
fn a_page_is_not_written_over_that_of_another_run() {
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    place.train("other", " --set training.epochs=1");
    let error = place.fails("report run --out other", 2);
    assert_has(&error, &["--out other", "holds a run"]);
    place.ok("report run --out page");
    assert!(place.path("page/report.html").is_file());
}

#[test]
fn the_loss_is_the_cross_entropy_and_the_penalty_stands_beside_it() {
    let place = Place::new();
    let penalty =
        " --set training.epochs=1 --set training.rate_theta_hz=1 --set training.rate_strength=";
    // Too weak to change a weight by more than rounding, or strong.
    place.train("weak", &format!("{penalty}1e-12"));
    place.train("strong", &format!("{penalty}0.01"));
    place.train("plain", " --set training.epochs=1");
    let last = |run: &str| RunRecord::load(&place.path(run)).unwrap();
    let first_step = |run: &str| last(run).steps[0].clone();
    assert_eq!(first_step("plain").number("penalty_nats"), 0.0);
    let (plain, strong) = (first_step("plain"), first_step("strong"));
    assert_eq!(
        plain.number("loss_nats"),
        strong.number("loss_nats"),
        "before the first step weights are the same"
    );
    assert!(strong.number("penalty_nats") > 0.1, "{strong:?}");
    let weak = last("weak");
    let penalty = weak.last().unwrap()[TRAIN_PENALTY];
    assert!(penalty > 0.0 && penalty < 1e-6);
    // Batches of equal size: the epoch's means are those of its steps.
    let strong = last("strong");
    let epoch = strong.last().unwrap();
    for (mean, of) in [
        (
            epoch[TRAIN_LOSS],
            (|step| step.number("loss_nats")) as fn(&StepRecord) -> f64,
        ),
        (epoch[TRAIN_PENALTY], |step| step.number("penalty_nats")),
    ] {
        let expected = strong.steps.iter().map(of).sum::<f64>() / strong.steps.len() as f64;
        assert!((mean - expected).abs() < 1e-9, "{mean} {expected}");
    }
}
