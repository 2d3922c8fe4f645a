//! Case files that nobody vouches for: refused with a message, never a panic or a huge allocation.

use crate::common::golden;
use std::path::Path;

use crate::common::networks::{Device, devices, precisions};
use dalenet::conductance::parity::Case;
use dalenet::parity::{CaseError, CaseFile};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The parts of a safetensors file.
#[derive(Clone)]
struct File {
    header: Value,
    data: Vec<u8>,
}

/// The bytes of a small sound case.
fn sound() -> Vec<u8> {
    std::fs::read(golden::path("batch1_tiny")).expect("is there")
}

fn header_len(bytes: &[u8]) -> usize {
    u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize
}

impl File {
    fn sound() -> Self {
        let bytes = sound();
        let (header, data) = bytes[8..].split_at(header_len(&bytes));
        Self {
            header: serde_json::from_slice(header).expect("JSON"),
            data: data.to_vec(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let header = self.header.to_string().into_bytes();
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], &header, &self.data].concat()
    }

    /// Sets a key of the metadata.
    fn metadata(mut self, key: &str, value: &str) -> Self {
        self.header["__metadata__"][key] = json!(value);
        self
    }

    /// Sets a setting of the network.
    fn setting(self, key: &str, value: Value) -> Self {
        let text = self.header["__metadata__"]["config"].as_str();
        let mut config: Value = serde_json::from_str(text.expect("text")).expect("JSON");
        config[key] = value;
        let text = config.to_string();
        self.metadata("config", &text)
    }

    /// Removes a tensor; its bytes are cut out, and the others move up.
    fn without(mut self, name: &str) -> Self {
        let Some(removed) = self.header.as_object_mut().and_then(|h| h.remove(name)) else {
            panic!("no tensor {name}")
        };
        let offset = |tensor: &Value, i: usize| tensor["data_offsets"][i].as_u64();
        let range = [0, 1].map(|i| offset(&removed, i).expect("a number"));
        self.data.drain(range[0] as usize..range[1] as usize);
        for (_, tensor) in self.header.as_object_mut().expect("an object") {
            if offset(tensor, 0).is_some_and(|at| at >= range[1]) {
                let moved = [0, 1].map(|i| offset(tensor, i).map(|at| at - range[1] + range[0]));
                tensor["data_offsets"] = json!(moved);
            }
        }
        self
    }

    /// Replaces the first bytes of a tensor.
    fn poke(mut self, name: &str, bytes: &[u8]) -> Self {
        let begin = self.header[name]["data_offsets"][0].as_u64();
        let begin = begin.expect("a number") as usize;
        self.data[begin..][..bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Sets a field of a tensor's description.
    fn describe(mut self, name: &str, field: &str, value: Value) -> Self {
        self.header[name][field] = value;
        self
    }
}

fn parse(bytes: &[u8]) -> Result<Case, CaseError> {
    CaseFile::parse(Path::new("some/case.safetensors"), bytes.to_vec())
        .and_then(|file| Case::of(&file))
}

/// Parses what must be refused; returns the message.
#[track_caller]
fn refused(what: &str, bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(_) => panic!("accepted: {what}"),
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("some/case.safetensors"), "{message}");
            message
        }
    }
}

#[test]
fn the_helper_rebuilds_a_sound_file() {
    assert!(parse(&File::sound().bytes()).is_ok());
    // Traces are optional, so a file from which one was cut is sound.
    let cut = parse(&File::sound().without("expect.trial0.v_i").bytes()).expect("sound");
    assert_eq!(cut.traces.len(), 5);
}

#[test]
fn what_is_no_safetensors_file_is_refused() {
    let bytes = sound();
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut no_json = bytes.clone();
    no_json[8] = b'x';
    for (what, bytes) in [
        ("nothing", &[][..]),
        ("half a length", &bytes[..7]),
        ("only a length", &bytes[..8]),
        ("half a header", &bytes[..200]),
        ("no data", &bytes[..8 + header_len(&bytes)]),
        ("one byte too few", &bytes[..bytes.len() - 1]),
        ("one byte too many", &[&bytes[..], &[0]].concat()),
        ("a huge header", &huge),
        ("a header that is no JSON", &no_json),
        ("text", b"accuracy,rate_hz\n0.9,4\n"),
    ] {
        refused(what, bytes);
    }
}

#[test]
fn wrong_metadata_is_refused_by_name() {
    let file = File::sound;
    let mut bare = file();
    bare.header
        .as_object_mut()
        .expect("an object")
        .remove("__metadata__");
    assert!(refused("no metadata", &bare.bytes()).contains("`format`"));
    for (key, value, named) in [
        ("format", "2", "\"2\""),
        ("family", "izhikevich", "\"izhikevich\""),
        ("config", "", "`config`"),
        ("config", "[]", "`config`"),
        ("config", "{}", "`adam_steps` is missing"),
        ("config", &"[".repeat(100_000), "`config`"),
        ("config", &"{\"a\":".repeat(100_000), "`config`"),
    ] {
        let message = refused(value, &file().metadata(key, value).bytes());
        assert!(message.contains(named), "{message}");
    }
    for (key, value) in [
        ("steps", json!(0)),
        ("steps", json!(-400)),
        ("steps", json!(400.5)),
        ("steps", json!("400")),
        ("steps", json!(401)),
        ("batch", json!(0)),
        ("batch", json!(2)),
        ("n_in", json!(0)),
        ("n_in", json!(4)),
        ("n_out", json!(1)),
        ("n_e", json!(0)),
        ("n_e", json!(2)),
        ("n_e", json!(70_000)),
        ("n_i", json!(u64::MAX)),
        ("adam_steps", json!(2)),
        ("adam_steps", json!(null)),
        ("dt_ms", json!(0.0)),
        ("dt_ms", json!(-0.1)),
        ("dt_ms", json!("0.1")),
        ("tau_gaba_ms", json!(0.0)),
        ("grad_dampen", json!(0.0)),
        ("readout", json!("softmax")),
        ("readout_slope", json!(0.0)),
        ("synapse_kick", json!("half")),
        ("refractory_timing", json!(true)),
        ("dale", json!("strict")),
        ("trainable", json!(["w_in", "w_in"])),
        ("trainable", json!(["w_xy"])),
        ("trainable", json!(["w_ee"])),
        ("clip", json!(-1.0)),
    ] {
        let what = format!("{key} = {value}");
        refused(&what, &file().setting(key, value).bytes());
    }
}

#[test]
fn settings_are_read_as_strictly_as_configurations() {
    for (key, value) in [
        ("synapse_kicks", json!("full")),
        ("n_E", json!(32)),
        ("", json!(null)),
    ] {
        let message = refused(key, &File::sound().setting(key, value.clone()).bytes());
        assert!(
            message.contains(&format!("`{key}` is {value}")) && message.contains("does not know"),
            "{message}"
        );
    }
    let text = File::sound().header["__metadata__"]["config"].clone();
    let whole: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
    let drawn = ["readout", "negative_fraction", "rate_hz", "seed"];
    for key in whole.as_object().expect("an object").keys() {
        if drawn.contains(&&key[..]) || key.starts_with("w_") && key != "w_out_scale" {
            continue;
        }
        let mut less = whole.clone();
        less.as_object_mut().expect("an object").remove(key);
        let file = File::sound().metadata("config", &less.to_string());
        let message = refused(key, &file.bytes());
        assert!(
            message.contains(&format!("`{key}` is missing")),
            "{message}"
        );
    }
}

#[test]
fn a_case_widens_its_tolerance_no_further_than_single_precision_loses() {
    let claims = r#"{ "grad": 0.3, "after_change": 0.3, "logits": 0.3, "v_mv": 9, "g_us": -1 }"#;
    let bytes = File::sound().metadata("float32_error", claims).bytes();
    let loses =
        CaseFile::parse(Path::new("wide.safetensors"), bytes).and_then(|file| Case::of(&file));
    let loses = loses.unwrap().float32_error;
    // A comparison takes five times these.
    assert!(loses.gradient <= 0.01 && loses.change < 0.07 && loses.logits <= 1e-3);
    assert!(loses.voltage_mv <= 0.01 && loses.conductance_us == 0.0);
}

#[test]
fn sizes_that_only_the_header_claims_are_refused_before_memory_is_taken() {
    // Far more than any machine has; each size by itself is within its range.
    let refuse = |what: &str, file: File| refused(what, &file.bytes());
    let huge = 16_777_215;
    refuse(
        "optimiser steps",
        File::sound().setting("adam_steps", json!(huge)),
    );
    let mut file = File::sound();
    for name in ["v_e", "v_i", "g_exc_e", "g_inh_e", "g_exc_i", "g_inh_i"] {
        file = file.without(&format!("expect.trial0.{name}"));
    }
    assert!(parse(&file.bytes()).is_ok());
    let long = file.setting("steps", json!(10_000_000));
    let long = long.setting("dt_ms", json!(0.01));
    refuse(
        "steps and optimiser steps",
        long.setting("adam_steps", json!(huge)),
    );
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    let file = File::sound;
    for name in [
        "w.in",
        "w.out",
        "labels",
        "events",
        "expect.spikes_e",
        "expect.spikes_i",
        "expect.resets_out",
        "expect.logits",
        "expect.losses",
        "expect.grad_norm",
        "expect.clip_factor",
        "expect.grad.in",
        "expect.after.ie",
    ] {
        let message = refused(name, &file().without(name).bytes());
        assert!(message.contains(name), "{message}");
    }
    let nan = f64::NAN.to_le_bytes();
    for (name, bytes) in [
        ("w.in", &f32::NAN.to_le_bytes()[..]),
        ("w.out", &f32::INFINITY.to_le_bytes()),
        ("expect.logits", &nan),
        ("expect.losses", &nan),
        ("expect.grad.in", &nan),
        ("expect.clip_factor", &nan),
        ("expect.after.out", &f64::NEG_INFINITY.to_le_bytes()),
        ("expect.trial0.v_e", &f32::NAN.to_le_bytes()),
        ("labels", &2i32.to_le_bytes()),
        ("labels", &(-1i32).to_le_bytes()),
        ("events", &1i32.to_le_bytes()),
        ("events", &i32::MIN.to_le_bytes()),
        ("expect.spikes_e", &3i32.to_le_bytes()),
        ("expect.resets_out", &(-1i32).to_le_bytes()),
    ] {
        let message = refused(name, &file().poke(name, bytes).bytes());
        assert!(message.contains(name), "{message}");
    }
    // The second number of the first event is its step: the last step first.
    let unsorted = file().poke("events", &[0, 0, 0, 0, 143, 1, 0, 0]);
    assert!(refused("unsorted", &unsorted.bytes()).contains("sorted"));
    for (name, field, value) in [
        ("w.in", "shape", json!([1, 3])),
        ("w.in", "shape", json!([3])),
        ("w.in", "shape", json!([u64::MAX, 2])),
        ("w.in", "dtype", json!("I32")),
        ("expect.logits", "dtype", json!("I64")),
        ("labels", "dtype", json!("F32")),
        ("events", "shape", json!([3, 28])),
        ("expect.spikes_e", "shape", json!([24])),
        ("expect.trial0.v_e", "shape", json!([1, 400])),
        ("expect.grad.in", "data_offsets", json!([0, 24])),
    ] {
        let what = format!("{name} {field} {value}");
        refused(&what, &file().describe(name, field, value).bytes());
    }
}

#[test]
fn a_case_without_e_spikes_is_refused() {
    let mut file = File::sound();
    let offsets = file.header["expect.spikes_e"]["data_offsets"].clone();
    let [begin, end] = [0, 1].map(|i| offsets[i].as_u64().expect("a number"));
    // An empty tensor in the place of the spikes; the bytes that are left over become a tensor of
    // another name, because a file must be filled without gaps.
    file.header["expect.spikes_e"]["shape"] = json!([0, 4]);
    file.header["expect.spikes_e"]["data_offsets"] = json!([begin, begin]);
    file.header["rest"] = json!({
        "dtype": "I32",
        "shape": [(end - begin) / 4],
        "data_offsets": [begin, end],
    });
    assert!(refused("no spikes", &file.bytes()).contains("no E cell"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Case::load(Path::new("no/such.safetensors")).expect_err("is not there");
    assert!(matches!(error, CaseError::Io { .. }) && error.to_string().contains("no/such"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    assert!(matches!(Case::load(&folder), Err(CaseError::Io { .. })));
}

/// Parses, and runs what is accepted: neither may panic, whatever comes out.
fn survive(bytes: &[u8], devices: &[Device]) {
    if let Ok(case) = parse(bytes) {
        for device in devices {
            let report = golden::run(&case, device);
            assert!(!report.rows.is_empty());
        }
    }
}

/// Odd values for settings; none of them is large enough to make a run long.
fn odd_setting() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!(true)),
        Just(json!("w_in")),
        Just(json!(-1)),
        Just(json!(u64::MAX)),
        Just(json!(1e308)),
        Just(json!(5e-324)),
        (-1000.0..1000.0).prop_map(|x: f64| json!(x)),
        (0u32..500).prop_map(|x| json!(x)),
        any::<f64>().prop_map(|x| json!(x)),
    ]
}

/// Some of `bytes` replaced.
fn flipped(bytes: Vec<u8>, most: usize) -> impl Strategy<Value = Vec<u8>> {
    let flip = (any::<prop::sample::Index>(), any::<u8>());
    prop::collection::vec(flip, 1..most).prop_map(move |flips| {
        let mut bytes = bytes.clone();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

/// A sound file with flipped bytes, with flipped data, or with one setting altered.
fn altered() -> impl Strategy<Value = Vec<u8>> {
    let with_data = |data| {
        File {
            data,
            ..File::sound()
        }
        .bytes()
    };
    let with_setting = |(key, value): (prop::sample::Index, Value)| {
        let file = File::sound();
        let config = file.header["__metadata__"]["config"]
            .as_str()
            .unwrap_or_default();
        let config: Value = serde_json::from_str(config).expect("JSON");
        let keys: Vec<&String> = config.as_object().expect("an object").keys().collect();
        file.clone()
            .setting(keys[key.index(keys.len())], value)
            .bytes()
    };
    prop_oneof![
        flipped(sound(), 6),
        flipped(File::sound().data, 20).prop_map(with_data),
        (any::<prop::sample::Index>(), odd_setting()).prop_map(with_setting),
    ]
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn altered_files_never_panic(bytes in altered()) {
        survive(&bytes, &precisions());
    }

    #[test]
    fn cut_files_are_refused(at in any::<prop::sample::Index>()) {
        let bytes = sound();
        prop_assert!(parse(&bytes[..at.index(bytes.len())]).is_err());
    }
}

// It compiles its kernels for every file.
proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn altered_files_never_panic_on_the_gpu(bytes in altered()) {
        survive(&bytes, &devices());
    }
}
