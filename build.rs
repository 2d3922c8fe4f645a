//! Tells the program which commit it was built from, where git knows.

use std::process::Command;

fn main() {
    for file in [".git/HEAD", ".git/index"] {
        if std::path::Path::new(file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    if let Some(commit) = described.ok().filter(|o| o.status.success()) {
        println!(
            "cargo::rustc-env=DALENET_COMMIT={}",
            String::from_utf8_lossy(&commit.stdout).trim()
        );
    }
}
