//! The program on a GPU, a software one if need be: runs repeat and resume to the bit, runs change
//! devices, golden cases pass, and failures of the device end as the documentation says.

use std::fs;
use std::path::Path;

use dalenet::gpu::testing::test_gpu;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::program::{Place, assert_has, load, result};

const TRAIN: &str = "train small.json --device gpu --set training.epochs=2";

/// Numbers of two JSON documents of one shape that differ by more than a thousandth, with their places.
fn differences(a: &Value, b: &Value, place: &str) -> Vec<String> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            let close = (x - y).abs() <= 1e-3 * x.abs().max(y.abs()).max(1e-3);
            if close {
                vec![]
            } else {
                vec![format!("{place}: {x}, {y}")]
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let pairs = x.iter().zip(y).enumerate();
            pairs
                .flat_map(|(i, (x, y))| differences(x, y, &format!("{place}[{i}]")))
                .collect()
        }
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            let pairs = x.iter().filter(|(key, _)| *key != "device");
            pairs
                .flat_map(|(key, x)| differences(x, &y[key], &format!("{place}.{key}")))
                .collect()
        }
        _ if a == b => vec![],
        _ => vec![format!("{place}: {a}, {b}")],
    }
}

#[test]
fn analysis_and_sweep_are_those_of_the_cpu() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    place.ok("train small.json --device cpu --set training.epochs=2 --out run");
    place.ok("sweep run --device cpu --grid 0,1,3");
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(place.path("run").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let on_cpu = [read("analysis.json"), read("sweep.json")];
    place.ok("analyse run --device gpu");
    place.ok("sweep run --device gpu --grid 0,1,3");
    let on_gpu = [read("analysis.json"), read("sweep.json")];
    for (cpu, gpu) in on_cpu.iter().zip(&on_gpu) {
        assert_ne!(cpu["device"], gpu["device"]);
        assert_eq!(differences(cpu, gpu, ""), [""; 0]);
    }
    // It notices: another grid point is another network.
    let [_, sweep] = &on_cpu;
    assert!(sweep["points"][4]["e_rate_hz"].as_f64().unwrap() > 1.0);
    assert!(!differences(&sweep["points"][0], &sweep["points"][4], "").is_empty());
}

/// The form of the backward pass in a run's manifest.
fn form(place: &Place, run: &str) -> Value {
    let manifest = fs::read(place.path(run).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["backward_form"].clone()
}

#[test]
fn the_fastest_backward_pass_is_taken_remembered_and_kept_on_resume() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    let timed = |ms: &str, line: &str| {
        let output = place.command(line).env("DALENET_FAKE_FORM_MS", ms).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {said}");
    };
    let train = |out: &str| format!("{TRAIN} --set training.epochs=1 --out {out}");
    timed("persistent=5,per-step=4,per-step-8x4=3", &train("first"));
    assert_eq!(form(&place, "first"), "per-step-8x4");
    let cache = place.path("cache/dalenet/backward_forms.json");
    fs::write(&cache, "{").unwrap();
    timed("persistent=1,per-step=3", &train("second"));
    assert_eq!(form(&place, "second"), "persistent");
    let manifest = fs::read_to_string(place.path("second/manifest.json")).unwrap();
    assert_has(
        &manifest,
        &[
            "timed with a batch",
            "per-step-8x8 fails",
            "damaged and was ignored",
        ],
    );
    // A run keeps the form that it began with, whatever is known by now.
    timed(
        "persistent=1,per-step=3",
        "resume first --device gpu --epochs 2",
    );
    assert_eq!(form(&place, "first"), "per-step-8x4");
}

#[test]
fn runs_repeat_and_resume_to_the_bit_under_any_memory_plan() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    place.ok(&format!("{TRAIN} --out whole"));
    place.ok(&format!("{TRAIN} --out again"));
    place.ok("train small.json --device gpu --set training.epochs=1 --out parts");
    place.ok("resume parts --device gpu --epochs 2");
    let (expected, metrics) = result(&place.path("whole"));
    assert_eq!(metrics.len(), 3);
    for folder in ["again", "parts"] {
        let (checkpoint, lines) = result(&place.path(folder));
        assert_eq!(checkpoint.weights, expected.weights, "{folder}");
        assert_eq!(checkpoint.adam_m, expected.adam_m, "{folder}");
        assert_eq!(checkpoint.adam_v, expected.adam_v, "{folder}");
        assert_eq!(lines, metrics, "{folder}");
    }
    place.ok(&format!("{TRAIN} --memory 1100K --out tight"));
    assert_eq!(result(&place.path("tight")).0.weights, expected.weights);
}

#[test]
fn a_run_measures_alike_on_both_engines_and_moves_between_them() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    place.train("run", " --set training.epochs=1");
    let eval = |device: &str| -> Value {
        let text = place.ok(&format!("eval run --device {device} --json"));
        serde_json::from_str(&text).expect("is JSON")
    };
    let (cpu, gpu) = (eval("cpu"), eval("gpu"));
    for key in [
        "accuracy_percent",
        "e_rate_hz",
        "i_rate_hz",
        "active_e_percent",
    ] {
        assert_eq!(cpu[key], gpu[key], "{key}");
    }
    let loss = |eval: &Value| eval["loss_nats"].as_f64().expect("is a number");
    assert!((loss(&cpu) - loss(&gpu)).abs() < 1e-5 * loss(&cpu));
    let said = place.ok("resume run --device gpu --epochs 2");
    assert_has(&said, &["epoch 2/2"]);
    let manifest = fs::read_to_string(place.path("run/manifest.json")).expect("is there");
    assert_has(&manifest, &["\"resumed\"", "vulkan"]);
}

#[test]
fn golden_cases_pass_and_an_altered_one_fails() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/batch1_tiny.safetensors");
    fs::copy(&golden, place.path("case.safetensors")).expect("copies");
    for how in [
        "--device gpu",
        "--device cpu",
        "--device cpu --precision f64",
    ] {
        let said = place.ok(&format!("parity case.safetensors {how}"));
        assert_has(&said, &["1 passed", "gradient in", "spikes E"]);
    }
    let said = place.fails("parity case.safetensors --device gpu --precision f64", 2);
    assert_has(&said, &["single precision"]);

    let mut bytes = fs::read(&golden).expect("reads");
    let at = {
        let all = SafeTensors::deserialize(&bytes).expect("is a case");
        let logits = all.tensor("expect.logits").expect("is there").data();
        logits.as_ptr() as usize - bytes.as_ptr() as usize
    };
    let logit = f64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    bytes[at..at + 8].copy_from_slice(&(logit * 1.01 + 0.01).to_le_bytes());
    fs::write(place.path("case.safetensors"), bytes).expect("writes");
    for device in ["gpu", "cpu"] {
        let line = format!("parity case.safetensors --device {device}");
        assert_eq!(place.run(&line).status.code(), Some(1), "{device}");
    }
}

#[test]
fn failures_of_the_device_end_with_advice_and_a_run_that_resumes() {
    if test_gpu().is_none() {
        return;
    }
    let place = Place::new();
    place.train("whole", "");
    for (failure, code) in [("lost:140", 3), ("validation:140", 3)] {
        let line = "train small.json --device gpu --out run --force";
        let output = place
            .command(line)
            .env("DALENET_INJECT_GPU_FAILURE", failure)
            .output()
            .expect("runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{failure}: {message}");
        assert_has(&message, &["dalenet resume run"]);
        place.ok("resume run --device cpu");
        let progress = load(&place.path("run/last.safetensors")).progress;
        assert_eq!(progress.epochs_done, 3);
    }
    // This network has no smaller plan, so its first failed allocation is the end.
    let output = place
        .command("train small.json --device gpu --out run --force")
        .env("DALENET_INJECT_GPU_FAILURE", "oom")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(3));
    assert_has(&String::from_utf8_lossy(&output.stderr), &["memory"]);
}
