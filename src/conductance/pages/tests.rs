//! Pages of studies of made-up runs.

use serde_json::json;

use crate::conductance;
use crate::conductance::analysis::record::{ExampleTrial, MatrixStatistics, Rhythm, RunAnalysis};
use crate::conductance::metrics::{E_RATE, I_RATE, METRICS};
use crate::conductance::{checks, record};
use crate::families::{Config, Findings};
use crate::record::RunRecord;
use crate::report::study::{answer, conditions, outcome, paired, report, reported};
use crate::report::table::{Entry, NumberTable};
use crate::study::{CellRecord, Study};
use crate::train::manifest::{Manifest, Status};
use crate::train::metrics::{BEST, EpochMetrics, TEST_ACCURACY};
use crate::train::run_folder::RunFiles;

const HOSTILE: &str = "<script>x</script>&\"";

/// A finished run of twelve epochs with these answers to images of the classes 0, 1, 2, 1.
fn run(config: &Config, accuracy_percent: f64, predicted: [u32; 4]) -> RunRecord {
    let epoch = |n: u64| {
        let mut epoch = EpochMetrics::unmeasured(METRICS, n);
        epoch[TEST_ACCURACY] = accuracy_percent;
        epoch[E_RATE] = 9.0 + 0.2 * n as f64;
        epoch[I_RATE] = 40.0;
        epoch[BEST] = f64::from(u8::from(n == 3));
        epoch
    };
    RunRecord {
        spectra: None,
        left_out: Vec::new(),
        files: RunFiles::at("nowhere"),
        config: config.clone(),
        manifest: Manifest {
            status: Status::Finished,
            data_sha256: "data".into(),
            ..Manifest::begin(vec!["dalenet".into(), HOSTILE.into()])
        },
        epochs: (0..=12).map(epoch).collect(),
        steps: Vec::new(),
        findings: Findings::Conductance(conductance::findings::Findings {
            analysis: Some(analysis(accuracy_percent, predicted)),
            sweep: None,
        }),
    }
}

fn analysis(accuracy_percent: f64, predicted: [u32; 4]) -> RunAnalysis {
    let statistics = |norm| MatrixStatistics {
        norm,
        ..MatrixStatistics::default()
    };
    let matrix = |trained: bool, unchanged: bool, norms: [f64; 2]| {
        json!({
            "entries": 4, "trained": trained, "unchanged": unchanged,
            "initial": statistics(norms[0]), "now": statistics(norms[1]),
            "really_pruned_percent": 0, "edges": [0, 1], "initial_count": [4], "now_count": [4],
        })
    };
    let content = json!({
        "format": 1, "checkpoint": "last", "epoch": 12, "config_sha256": "c",
        "data_sha256": "data", "program": "p", "device": "cpu",
        "test": {
            "labels": [0, 1, 2, 1], "predicted": predicted, "accuracy_percent": accuracy_percent,
            "loss_nats": 1, "e_rate_hz": 9, "i_rate_hz": 40, "active_e_percent": 50,
            "silent_e_percent": 0, "class_e_rate_hz": [9, 9, 9],
        },
        "e_cell_rate_hz": [], "i_cell_rate_hz": [], "rhythm": no_rhythm(),
        "participation": null,
        "weights": {
            "ei": matrix(false, true, [1.0, 1.0]),
            "ie": matrix(false, false, [1.0, 1.0]),
            "in": matrix(true, false, [0.0, 0.0]),
        },
        "i_cell_input_us": [[], []], "loop_slopes": [], "raster": ExampleTrial::default(),
    });
    serde_json::from_value(content).unwrap()
}

fn no_rhythm() -> Rhythm {
    Rhythm {
        f_hz: f64::NAN,
        f_gamma_hz: f64::NAN,
        ..Rhythm::default()
    }
}

fn study() -> Study {
    let measure = |name: &str| json!({ "cells": { "condition": "a" }, "measure": name, "value": 50, "note": HOSTILE });
    let text = json!({
        "name": "made-up", "title": HOSTILE, "question": "first\n\nsecond", "base": "ping",
        "axes": [
            { "name": "condition", "values": [
                { "name": "a", "label": HOSTILE, "set": {} },
                { "name": "b", "set": { "training.dale": "clamp" } },
            ] },
            { "name": "seed", "key": "seeds.weights", "values": [1, 2] },
        ],
        "reported": [measure("test_accuracy_percent"), measure("e_rate_hz")],
        "contradictions": [{
            "claim": HOSTILE, "resolution": "settled",
            "evidence": [{ "cells": { "condition": "a" }, "measure": "i_rate_hz" }],
        }],
        "not_measured": ["the weather"],
    });
    Study::parse(&text.to_string(), "test").unwrap()
}

/// Two finished cells of `a`, one finished and one failed cell of `b`.
fn cells(study: &Study) -> Vec<CellRecord> {
    let answers = [[0, 1, 2, 0], [0, 1, 2, 1], [1, 0, 2, 1], [0; 4]];
    let accuracy = [75.0, 100.0, 50.0, f64::NAN];
    let made = study.cells.iter().zip(answers).zip(accuracy);
    made.map(|((cell, answers), accuracy)| CellRecord {
        cell: cell.clone(),
        record: accuracy
            .is_finite()
            .then(|| run(&cell.config, accuracy, answers)),
        problem: accuracy.is_nan().then(|| format!("disk full {HOSTILE}")),
    })
    .collect()
}

fn entry<'a>(table: &'a NumberTable, row: &str, column: &str) -> &'a Entry {
    let place = table.columns.iter().position(|c| c.head == column).unwrap();
    let row = table.rows.iter().find(|r| r.key == row);
    &row.unwrap_or_else(|| panic!("{row:?} in {:?}", table.rows))
        .entries[place]
}

#[test]
fn reported_numbers_stand_beside_the_mean_of_their_cells() {
    let study = study();
    let table = reported::table(&study, &cells(&study));
    let row = "a: test_accuracy_percent";
    let Entry::Mean { mean, sd, n, of } = entry(&table, row, "measured") else {
        panic!("{table:?}");
    };
    assert_eq!((*mean, *n, *of), (87.5, 2, 2));
    assert!((sd - 17.678).abs() < 1e-3);
    assert_eq!(entry(&table, row, "difference"), &Entry::Difference(37.5));
    // 100 √(0.875 · 0.125 / 4)
    let Entry::Number(error) = entry(&table, row, "standard error") else {
        panic!("{table:?}");
    };
    assert!((error - 16.5359).abs() < 1e-3, "{error}");
    assert!(
        matches!(entry(&table, "a: e_rate_hz", "standard error"), Entry::Number(x) if x.is_nan())
    );
}

#[test]
fn the_outcome_sets_what_is_reported_beside_what_is_measured() {
    let study = study();
    let table = outcome::table(&study, &cells(&study));
    // Two conditions: a row a measure.
    let Entry::Beside(measured, reported) = entry(&table, "test_accuracy_percent", HOSTILE) else {
        panic!("{table:?}");
    };
    assert_eq!(*reported, 50.0);
    assert!(matches!(**measured, Entry::Mean { mean, .. } if mean == 87.5));
    assert!(matches!(
        entry(&table, "i_rate_hz", HOSTILE),
        Entry::Mean { .. }
    ));
    assert_eq!(table.rows[0].name, "test accuracy");
    assert_eq!(table.columns[0].key, "a");
    // Nobody has a rhythm, which is something else than not measured.
    assert_eq!(entry(&table, "f_gamma_hz", "b"), &Entry::text("none"));
}

#[test]
fn names_are_for_readers_and_keys_for_programs() {
    let study = study();
    let table = reported::table(&study, &cells(&study));
    assert_eq!(table.rows[0].name, format!("{HOSTILE}: test accuracy"));
    assert_eq!(table.rows[0].key, "a: test_accuracy_percent");
}

#[test]
fn cells_without_a_number_are_named() {
    let study = study();
    let mut cells = cells(&study);
    cells[1].record.as_mut().unwrap().manifest.status = Status::Diverged;
    let table = reported::table(&study, &cells);
    assert!(
        table.notes[0].contains("not included: a-seed2"),
        "{:?}",
        table.notes
    );
    let table = conditions::by_condition(&study, &cells);
    let note = &table.notes[0];
    assert!(
        note.contains("a-seed2 (diverged)") && note.contains("b-seed2 (failed)"),
        "{note}"
    );
}

#[test]
fn pairs_of_a_seed_are_compared_on_the_same_images_only() {
    let study = study();
    let mut cells = cells(&study);
    let table = paired::table(&study, &cells).unwrap();
    let row = "a-seed1 → b-seed1";
    assert_eq!(
        entry(&table, row, "only first correct"),
        &Entry::Number(2.0)
    );
    assert_eq!(
        entry(&table, row, "only second correct"),
        &Entry::Number(1.0)
    );
    assert_eq!(entry(&table, row, "difference"), &Entry::Difference(-25.0));
    assert_eq!(entry(&table, row, "p (McNemar)"), &Entry::Number(1.0));
    assert!(
        table.notes[0].contains("b-seed2 has not finished"),
        "{:?}",
        table.notes
    );

    let other = cells[2].record.as_mut().unwrap();
    let other = record::findings_mut(other).analysis.as_mut().unwrap();
    other.test.labels[0] = 7;
    let table = paired::table(&study, &cells).unwrap();
    assert!(table.rows.is_empty() && table.notes[0].contains("different images"));
}

#[test]
fn checks_tell_what_moved_and_slopes_what_settled() {
    let study = study();
    let cells = cells(&study);
    let run = cells[0].record.as_ref().unwrap();
    let runs = [("a".to_owned(), run)];
    let table = checks::table(&runs);
    let verdict = |met, why: &str| Entry::Verdict(Some(met), why.into());
    assert_eq!(
        entry(&table, "a", "frozen matrices"),
        &verdict(false, "changed: ie")
    );
    assert_eq!(
        entry(&table, "a", "zero starts"),
        &verdict(true, "still zero: in")
    );
    let table = conditions::convergence(study.family(), &runs).unwrap();
    assert_eq!(
        entry(&table, "a", "accuracy criterion"),
        &verdict(true, "met")
    );
    assert_eq!(
        entry(&table, "a", "E rate criterion"),
        &verdict(false, "not met")
    );
}

#[test]
fn a_page_is_the_same_twice_and_escapes_names() {
    let study = study();
    let cells = cells(&study);
    let page = report(&study, &cells).page.html();
    assert_eq!(page, report(&study, &cells).page.html());
    assert!(!page.contains("<script"), "{page}");
    for part in [
        "disk full",
        "the weather",
        "settled",
        "a-seed1 → b-seed1",
        "first</p>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_study_without_runs_is_a_page_that_says_so() {
    let study = study();
    let empty = |cell: &crate::study::Cell| CellRecord {
        cell: cell.clone(),
        record: None,
        problem: None,
    };
    let cells: Vec<_> = study.cells.iter().map(empty).collect();
    let report = report(&study, &cells);
    let page = report.page.html();
    assert!(page.contains("4 cells: 4 pending"), "{page}");
    assert!(page.contains("Not begun: ") && page.contains("No cell has finished yet"));
    let numbers = |entry: &Entry| matches!(entry, Entry::Number(x) if x.is_finite());
    let cells_table = report
        .tables
        .iter()
        .find(|t| t.id == "cells-table")
        .unwrap();
    assert!(
        !cells_table
            .rows
            .iter()
            .flat_map(|row| &row.entries)
            .any(numbers)
    );
}

/// A run of `a` or `b` whose loop is trained: `pruned` of W_EI gone, I silent from `silent_from` on.
fn with_loop(run: &mut RunRecord, pruned_percent: f64, silent_from: Option<u64>) {
    use crate::train::model::TrainedBatch;
    use crate::train::steps::StepRecord;
    let analysis = record::findings_mut(run).analysis.as_mut().unwrap();
    let matrix = analysis.weights.get_mut("ei").unwrap();
    matrix.trained = true;
    matrix.unchanged = false;
    matrix.initial.effective_mean = 1.0;
    matrix.now.effective_mean = 1.0 - 0.9 * pruned_percent / 100.0;
    matrix.really_pruned_percent = pruned_percent;
    analysis.loop_slopes = vec![crate::conductance::analysis::record::LoopSlope {
        matrix: "ei".into(),
        step: 0.05,
        loss_nats: [1.0, 1.1],
        measured: 0.1,
        measured_error: 0.03,
        surrogate: -0.2,
    }];
    let step = |k: u64| {
        let batch = TrainedBatch {
            trials: 1,
            numbers: vec![(
                "i_rate_hz",
                match silent_from.is_some_and(|from| k >= from) {
                    true => 0.0,
                    false => 20.0,
                },
            )],
            ..TrainedBatch::default()
        };
        StepRecord::new("", 1, k, &batch)
    };
    run.steps = (1..=30).map(step).collect();
}

#[test]
fn the_page_answers_with_measured_numbers() {
    let study = study();
    let mut cells = cells(&study);
    for (cell, pruned, silent) in [(0, 80.0, Some(7)), (1, 90.0, Some(9)), (2, 5.0, None)] {
        with_loop(cells[cell].record.as_mut().unwrap(), pruned, silent);
    }
    let (all, each) = answer::sentences(&study, &cells);
    let a = HOSTILE;
    assert_eq!(all[0], format!("W_EI is pruned in {a}. It is kept in b."));
    assert_eq!(
        all[1],
        format!("The I population falls silent in {a}. It stays active in b.")
    );
    assert!(all[2].starts_with("A rhythm of the E cells is absent in every condition"));
    // The rate rises by 0.2 Hz an epoch, exactly.
    assert!(
        all[3].starts_with("The E rate still drifts in every"),
        "{}",
        all[3]
    );
    // a: [0 1 2 0] and b: [1 0 2 1] for 0 1 2 1; four images tell nothing.
    assert!(all[4].contains("is not significant"), "{}", all[4]);
    // 50 is reported of accuracy (87.5 measured, error 16.5) and of the E rate (11.4 measured).
    let claims = all.last().unwrap();
    assert!(
        claims.starts_with("Of 2 reported numbers, 0 were reproduced"),
        "{claims}"
    );
    assert!(
        claims.contains("50 reported, 11.40 measured Hz"),
        "{claims}"
    );
    for part in [
        "(2 cells): accuracy 87.5 % (0.0 to 100.0 %)",
        "E rate 11.40 Hz, I rate 40 Hz",
        "W_EI is pruned (mean of max(w, 0): 0.2350 × its initial value; 85 % of the initially positive entries pruned)",
        "I stays below 1 Hz from optimiser step 7 to 9",
        "a stronger W_EI raises the loss (slope +0.1000 ± 0.02121 nats, surrogate gradient −0.2000)",
    ] {
        assert!(each[0].contains(part), "{part}: {}", each[0]);
    }
    assert!(each[1].contains("(1 of 2 cells)") && each[1].contains("does not stay below 1 Hz"));
    // Within two errors no sign is claimed.
    let run = cells[2].record.as_mut().unwrap();
    record::findings_mut(run)
        .analysis
        .as_mut()
        .unwrap()
        .loop_slopes[0]
        .measured_error = 0.06;
    let (_, each) = answer::sentences(&study, &cells);
    assert!(each[1].contains("is not resolved"), "{}", each[1]);
    // Where nothing has finished, nothing is said.
    for cell in &mut cells {
        cell.record = None;
    }
    let (all, each) = answer::sentences(&study, &cells);
    assert!(all.is_empty() && each.is_empty());
}

#[test]
fn a_reported_number_belongs_to_a_condition_only_where_it_names_all_its_axes() {
    use crate::study::aggregate::reported_mean;
    let mut study = study();
    let cells = cells(&study);
    let mine: Vec<&CellRecord> = cells[..2].iter().collect();
    let of = |study: &Study| reported_mean(&study.spec, &mine, "e_rate_hz");
    assert_eq!(of(&study), Some(50.0));
    // A number of all conditions is not that of one.
    study.spec.reported.iter_mut().for_each(|r| r.cells.clear());
    assert_eq!(of(&study), None);
}
