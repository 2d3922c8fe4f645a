//! The program in a folder of its own, for the tests that run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dalenet::train::checkpoint::{Checkpoint, NonFinite};
use dalenet::train::run_folder::RunFiles;
use serde_json::Value;
use tempfile::TempDir;

/// A small network that fires: six batches an epoch, some 10 ms each.
const SMALL: &str = r#"{
  "name": "small",
  "data": { "dataset": "digits", "subset": "stratified", "train_samples": 48, "test_samples": 20 },
  "encoding": { "rate_hz": 100 },
  "network": { "n_e": 40, "n_i": 9, "duration_ms": 25 },
  "weights": { "in_mean_us": 4 },
  "training": { "epochs": 3, "batch_size": 8, "learning_rate": 0.002 }
}"#;

pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("small.json"), SMALL).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with words split at spaces, in this folder, on the CPU.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dalenet"));
        command
            .args(line.split(' '))
            .current_dir(self.dir.path())
            .env("XDG_DATA_HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("DALENET_DATA");
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Standard output of a command that must do its work.
    pub fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that must end with `code`.
    pub fn fails(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}: {message}");
        message
    }

    pub fn train(&self, folder: &str, more: &str) {
        let line = format!("train small.json --device cpu --out {folder}{more}");
        self.ok(&line);
    }
}

pub fn load(path: &Path) -> Checkpoint {
    Checkpoint::load(path, NonFinite::Refuse).unwrap()
}

/// Weights, moments and metrics but for the clock.
pub fn result(folder: &Path) -> (Checkpoint, Vec<Value>) {
    let files = RunFiles::at(folder);
    let mut checkpoint = load(&files.last());
    checkpoint.progress.elapsed_seconds = 0.0;
    checkpoint.progress.metrics_bytes = 0;
    let mut metrics = files.read_metrics().unwrap();
    for line in &mut metrics {
        let line = line.as_object_mut().unwrap();
        line.retain(|key, _| !key.ends_with("_seconds") && key != "samples_per_second");
    }
    (checkpoint, metrics)
}

pub fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}
