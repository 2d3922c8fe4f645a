//! Tells the program which commit it was built from, where git knows.
//!
//! Watched is what the program is built of, and the log of HEAD, which grows with every commit and
//! checkout. Git's index is not: it changes with every `git status`, and stays as it is when a file is
//! edited.

use std::process::Command;

/// What the program is built of.
const SOURCES: [&str; 6] = [
    "src",
    "shaders",
    "configs",
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
];

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn main() {
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && std::path::Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return;
    };
    let status = ["status", "--porcelain", "--untracked-files=normal", "--"];
    let changed = git(&[&status[..], &SOURCES].concat()).unwrap_or_default();
    let dirty = if changed.is_empty() { "" } else { "-dirty" };
    println!("cargo::rustc-env=DALENET_COMMIT={commit}{dirty}");
}
