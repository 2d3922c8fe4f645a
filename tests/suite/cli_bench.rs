//! `dalenet bench`: the report is whole and its numbers make sense. No figure is judged by its size,
//! since machines differ and are shared.

use dalenet::gpu::testing::test_gpu;
use serde_json::Value;

use crate::program::{Place, assert_has};

const TINY: &str = "--batch 3 --repetitions 2 --quick --set network.n_e=40 --set network.n_i=9 \
                    --set network.duration_ms=25 --set encoding.rate_hz=100 --set weights.in_mean_us=4";

fn report(place: &Place, more: &str) -> Value {
    let text = place.ok(&format!("bench --json {TINY} {more}"));
    serde_json::from_str(&text).expect("is JSON")
}

fn number(value: &Value, path: &str) -> f64 {
    let found = value.pointer(path).unwrap_or(&Value::Null);
    found
        .as_f64()
        .unwrap_or_else(|| panic!("{path} is {found} and no number"))
}

fn assert_positive(value: &Value, paths: &[&str]) {
    for path in paths {
        assert!(number(value, path) > 0.0, "{path}");
    }
}

fn assert_spread(value: &Value, path: &str) {
    let [min, median, max] =
        ["min", "median", "max"].map(|part| number(value, &format!("{path}/{part}")));
    assert!(0.0 < min && min <= median && median <= max, "{path}");
}

fn names<'a>(values: &'a Value, key: &str) -> Vec<&'a str> {
    let values = values.as_array().expect("is a list");
    values.iter().filter_map(|v| v[key].as_str()).collect()
}

/// What holds on every device.
fn check(report: &Value) {
    for key in [
        "dalenet_version",
        "date_utc",
        "device",
        "backend",
        "reason",
        "input",
    ] {
        assert!(
            !report["about"][key].as_str().expect(key).is_empty(),
            "{key}"
        );
    }
    assert_eq!(report["about"]["repetitions"], 2);
    assert_eq!(report["about"]["command"][1], "bench");
    assert_positive(
        report,
        &["/start_up/engine_ready_seconds", "/ceilings/copy_bytes"],
    );
    assert!(
        number(report, "/start_up/first_batch_seconds")
            > number(report, "/start_up/engine_ready_seconds")
    );
    assert_spread(report, "/ceilings/copy_gb_per_s");
    assert_spread(report, "/ceilings/product_tflops");

    let workloads = report["workloads"].as_array().expect("is a list");
    assert_eq!(
        names(&report["workloads"], "network"),
        ["ping", "ping", "coba", "coba"]
    );
    for w in workloads {
        assert_eq!((&w["batch_trials"], &w["steps"]), (&3.into(), &250.into()));
        assert_eq!(w["cells"], serde_json::json!([784, 40, 9, 10]));
        assert_spread(w, "/samples_per_second");
        assert_spread(w, "/ms_per_batch");
        assert_positive(
            w,
            &[
                "/gflop_per_batch",
                "/tflops",
                "/gb_per_s",
                "/state/input_events_per_trial",
                "/state/e_rate_hz",
                "/limits/ceiling_samples_per_second",
                "/limits/of_ceiling_percent",
                "/batches_per_repetition",
            ],
        );
        let rate = number(w, "/samples_per_second/median");
        let ms = number(w, "/ms_per_batch/median");
        assert!((rate * ms / 3000.0 - 1.0).abs() < 1e-9, "{rate}/s, {ms} ms");
        let stages = names(&w["stages"], "stage");
        assert!(stages.contains(&"encode"), "{stages:?}");
        assert_eq!(
            stages.contains(&"read-back of weights"),
            w["task"] == "training"
        );
        let shares: Vec<f64> = (0..stages.len())
            .filter_map(|i| w["stages"][i]["share_percent"].as_f64())
            .collect();
        let sum: f64 = shares.iter().sum();
        assert!(shares.is_empty() || sum > 99.0, "{shares:?}");
    }
    // Coba has no loop: neither spikes of I cells nor their products.
    assert_eq!(workloads[2]["state"]["i_rate_hz"], 0.0);
    assert_eq!(workloads[2]["limits"]["products"], Value::Null);
    assert!(number(&workloads[0], "/gflop_per_batch") > number(&workloads[2], "/gflop_per_batch"));

    let scaling = &report["scaling"][0];
    assert_eq!(scaling["network"], "ping");
    assert_eq!(
        names(&scaling["points"], "doubled"),
        ["batch", "steps", "cells"]
    );
    for (point, ideal) in [(0, 2.0..=2.0), (1, 2.0..=2.0), (2, 2.0..=4.0)] {
        let point = &scaling["points"][point];
        assert_positive(point, &["/ms/median", "/ratio"]);
        assert!(ideal.contains(&number(point, "/ideal")), "{point}");
    }
}

#[test]
fn the_report_of_the_processor_is_whole() {
    let place = Place::new();
    let report = report(&place, "--device cpu --threads 2");
    check(&report);
    assert_eq!(report["about"]["backend"], "cpu");
    assert_eq!(report["about"]["threads"], 2);
    assert_eq!(report["ceilings"]["fma_tflops"], Value::Null);
    let training = &report["workloads"][0];
    assert_eq!(training["limits"]["products"]["block_trials"], 3);
    assert_spread(training, "/limits/products/gflops");
    assert_positive(
        training,
        &[
            "/limits/products/allowed_samples_per_second",
            "/limits/products/reached_percent",
            "/stages/0/ms",
        ],
    );
    let stages = names(&training["stages"], "stage");
    for stage in ["forward", "backward", "optimiser"] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
    if cfg!(target_os = "linux") {
        assert_positive(training, &["/memory/peak_bytes"]);
    }
}

#[test]
fn the_report_of_a_gpu_is_whole() {
    let Some(gpu) = test_gpu() else { return };
    let report = report(&Place::new(), "--device gpu");
    check(&report);
    assert_eq!(report["about"]["software_gpu"], gpu.is_software());
    assert_spread(&report, "/ceilings/fma_tflops");
    let training = &report["workloads"][0];
    assert_positive(
        training,
        &[
            "/memory/peak_bytes",
            "/memory/dispatches_per_batch",
            "/memory/submissions_per_batch",
            "/memory/bytes_read_per_batch",
            "/memory/bytes_written_per_batch",
        ],
    );
    assert_eq!(training["limits"]["products"], Value::Null);
    if gpu.info().timestamps {
        let stages = names(&training["stages"], "stage");
        assert!(stages.contains(&"transfers and host"), "{stages:?}");
        for name in ["forward", "backward", "weight gradients", "optimiser"] {
            let at = stages.iter().position(|stage| *stage == name);
            let stage = &training["stages"][at.expect(name)];
            assert_positive(stage, &["/ms", "/share_percent", "/tflops", "/gb_per_s"]);
        }
    }
}

#[test]
fn people_get_tables_of_the_networks_they_name() {
    let place = Place::new();
    let text = place.ok(&format!("bench --device cpu --networks small.json {TINY}"));
    assert_has(
        &text,
        &[
            "start-up",
            "ceilings",
            "samples per second",
            "small training",
            "stages of small inference",
            "twice the cells",
        ],
    );
    assert!(!text.contains("coba"));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    assert_has(&place.fails("bench --networks nothing", 2), &["nothing"]);
    place.fails("bench --batch 0", 2);
    place.fails("bench --repetitions 0", 2);
    let message = place.fails("bench --device cpu --set network.cells=3", 2);
    assert_has(&message, &["network.cells"]);
    place.fails("bench --device cpu --memory 1M", 3);
}
