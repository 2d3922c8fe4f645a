//! A run folder is never overwritten by accident, never shared, and survives torn metrics.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::again;
use dalenet::train::run_folder::{RunFolder, RunFolderError, default_run_path};
use jiff::Timestamp;

#[test]
fn an_existing_run_is_only_overwritten_with_force() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("runs/ping");
    let run = RunFolder::create(&path, false).unwrap();
    fs::write(run.files().config(), "{}").unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    drop(run);
    let error = RunFolder::create(&path, false).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    let run = RunFolder::create(&path, true).unwrap();
    assert!(!run.files().config().exists());
    assert!(
        path.join("notes.txt").exists(),
        "force deletes only files of the run"
    );
}

#[test]
fn two_cannot_write_to_one_folder() {
    let root = tempfile::tempdir().unwrap();
    let first = RunFolder::create(root.path(), false).unwrap();
    fs::write(first.files().config(), "{}").unwrap();
    assert!(matches!(
        RunFolder::open(root.path()),
        Err(RunFolderError::Locked { .. })
    ));
    assert!(matches!(
        RunFolder::create(root.path(), true),
        Err(RunFolderError::Locked { .. })
    ));
    assert!(
        first.files().config().exists(),
        "a locked run must survive --force"
    );
    drop(first);
    RunFolder::open(root.path()).unwrap();
}

#[test]
fn opening_needs_a_run() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(
        RunFolder::open(root.path()),
        Err(RunFolderError::NoRun { .. })
    ));
    assert!(matches!(
        RunFolder::open(&root.path().join("absent")),
        Err(RunFolderError::NoRun { .. })
    ));
}

#[test]
fn torn_metrics_are_read_up_to_the_last_whole_line_and_cut_for_a_resume() {
    let root = tempfile::tempdir().unwrap();
    let run = RunFolder::create(root.path(), false).unwrap();
    assert!(run.files().read_metrics().unwrap().is_empty());
    run.truncate_metrics(0).unwrap();

    let at_checkpoint = run.append_metrics(r#"{"epoch":1}"#).unwrap();
    run.append_metrics(r#"{"epoch":2}"#).unwrap();
    let mut torn = fs::read(run.files().metrics()).unwrap();
    torn.extend(b"{\"epoch\":3,\"loss\":\xff");
    fs::write(run.files().metrics(), &torn).unwrap();

    let epochs: Vec<_> = run
        .files()
        .read_metrics()
        .unwrap()
        .iter()
        .map(|m| m["epoch"].as_u64())
        .collect();
    assert_eq!(epochs, [Some(1), Some(2)]);

    run.truncate_metrics(at_checkpoint).unwrap();
    assert_eq!(
        fs::read_to_string(run.files().metrics()).unwrap(),
        "{\"epoch\":1}\n"
    );
    // In the middle of a line, and past the end.
    for wrong in [at_checkpoint - 1, at_checkpoint + 1, u64::MAX] {
        assert!(matches!(
            run.truncate_metrics(wrong),
            Err(RunFolderError::MetricsChanged { .. })
        ));
    }
}

#[test]
fn a_broken_whole_line_is_an_error_with_its_number() {
    let root = tempfile::tempdir().unwrap();
    let run = RunFolder::create(root.path(), false).unwrap();
    for broken in ["{\"epoch\":1}\nnot json\n", "{\"epoch\":1}\n7\n", "{}\n\n"] {
        fs::write(run.files().metrics(), broken).unwrap();
        let error = run.files().read_metrics().unwrap_err();
        assert!(
            matches!(error, RunFolderError::BadMetrics { line: 2, .. }),
            "{error}"
        );
    }
}

#[test]
fn default_paths_are_dated_and_distinct() {
    let root = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_709_251_199).unwrap();
    let first = default_run_path(root.path(), "ping", now).unwrap();
    assert_eq!(first, root.path().join("ping-20240229-235959"));
    fs::create_dir(&first).unwrap();
    assert_eq!(
        default_run_path(root.path(), "ping", now).unwrap(),
        root.path().join("ping-20240229-235959-2")
    );
    for bad in ["", "../x", "a/b", ".hidden", "a b", &"x".repeat(101)] {
        assert!(
            matches!(
                default_run_path(root.path(), bad, now),
                Err(RunFolderError::BadName { .. })
            ),
            "{bad}"
        );
    }
}

/// Set in the process that [`a_killed_process_leaves_no_lock`] starts of this test itself.
const ROLE: &str = "DALENET_TEST_LOCKED_FOLDER";

#[test]
fn a_killed_process_leaves_no_lock() {
    if let Some(folder) = std::env::var_os(ROLE) {
        let run = RunFolder::create(folder.as_ref(), false).unwrap();
        fs::write(run.files().config(), "{}").unwrap();
        // Longer than the parent waits; it kills this process.
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut child = again(module_path!(), &["a_killed_process_leaves_no_lock"])
        .env(ROLE, root.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !root.path().join("config.json").exists() && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let while_running = RunFolder::open(root.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        matches!(while_running, Err(RunFolderError::Locked { .. })),
        "{while_running:?}"
    );
    RunFolder::open(root.path()).unwrap();
}
