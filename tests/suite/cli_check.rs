//! `dalenet check`: a sound device passes, a planted fault is named, and a second software driver computes the same.

use std::fs;
use std::path::Path;

use dalenet::gpu::testing::test_gpu;
use serde_json::Value;

use crate::program::{Place, assert_has};

/// Small cases of both families.
const SMALL: [&str; 2] = ["case batch1_tiny", "case rnn_dann"];

#[test]
fn the_processor_holds_and_everything_is_written() {
    let place = Place::new();
    let said = place.ok("check --device cpu --no-speed --out report.json");
    assert_has(
        &said,
        &[
            "ok    case ping",
            "ok    rate_rnn: training twice",
            "everything holds",
        ],
    );
    let report: Value =
        serde_json::from_slice(&fs::read(place.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["holds"], true);
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.len() > 15);
    assert!(findings.iter().all(|finding| finding["verdict"] == "holds"));
    assert_has(
        &place.fails("check --device cpu --only nonsense", 2),
        &["--only"],
    );
}

#[test]
fn a_gpu_holds_and_a_planted_fault_is_named() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    for name in ["long loops", "numbers", "batch1_tiny"] {
        let mut command = place.command("check --device gpu --only");
        let output = command.arg(name).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_has(&said, &["everything holds"]);
    }
    // Those before are still there.
    assert!(place.path("dalenet-check-3.json").is_file());
    for (kernel, forms) in [
        ("conductance/backward.wgsl", &["persistent"][..]),
        (
            "conductance/backward_step.wgsl",
            &["per-step", "per-step-8x4", "per-step-8x8"],
        ),
    ] {
        let mut command = place.command("check --device gpu --only loop_trained_signed");
        let output = command
            .env("DALENET_GPU_CHECKS", format!("drop:{kernel}"))
            .output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let failed: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("FAIL"))
            .collect();
        assert_eq!(failed.len(), forms.len(), "{said}");
        for (line, form) in failed.iter().zip(forms) {
            assert_has(line, &["case loop_trained_signed", form, "gradient"]);
        }
        assert_has(&said, &["not to be trusted"]);
        let report = said
            .lines()
            .find_map(|line| line.strip_prefix("written to "));
        let report = fs::read(place.path(report.unwrap())).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["holds"], false);
    }
}

/// The driver that Chromium brings.
const SWIFTSHADER: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

#[test]
fn a_second_software_driver_computes_the_same() {
    if !Path::new(SWIFTSHADER).is_file() {
        println!("not run: there is no {SWIFTSHADER}");
        return;
    }
    let place = Place::new();
    for name in SMALL {
        let mut command = place.command("check --device gpu --only");
        let output = command
            .arg(name)
            .env("VK_DRIVER_FILES", SWIFTSHADER)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_has(&said, &["everything holds on SwiftShader"]);
    }
}
