//! Runs and studies that an earlier program left (`tests/frozen`, made by its `make.sh`): they open, go on to
//! the same bits, and give the same tables and the same numbers on their pages.
//!
//! What is found is written beside what is expected, `target/tmp/frozen/NAME.json`; a difference names the
//! first key that is not the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::program::Place;

const RUNS: [&str; 8] = [
    "mem_mean_project",
    "spike_count_clamp",
    "rate_signed",
    "li_signed_loop",
    "log_loop",
    "events",
    "interrupted",
    "killed",
];

const STUDIES: [&str; 2] = ["two_cells", "stopped"];

/// Keys of a record that name the machine, the program or the clock.
const PASSING: [&str; 9] = [
    "program",
    "device",
    "checkpoint",
    "samples_per_second",
    "train_seconds",
    "eval_seconds",
    "elapsed_seconds",
    "metrics_bytes",
    "content_sha256",
];

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen")
}

/// Copies a folder and what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A folder with the data files and a copy of the stored run or study, as `stored`.
fn place(kind: &str, name: &str) -> Place {
    let place = Place::new();
    for data in ["patterns.npz", "events.npz"] {
        fs::copy(stored().join(data), place.path(data)).unwrap();
    }
    copy(&stored().join(kind).join(name), &place.path("stored"));
    place
}

fn hash(bytes: &[u8]) -> Value {
    let digest = Sha256::digest(bytes);
    Value::from(
        digest
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>(),
    )
}

/// Without the keys of [`PASSING`], at any depth.
fn lasting(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(key, _)| !PASSING.contains(&&key[..]))
                .map(|(key, value)| (key, lasting(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(lasting).collect()),
        other => other,
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json_of(text: &str) -> Value {
    lasting(serde_json::from_str(text).unwrap())
}

/// The hash of every line and the last one in clear.
fn lines(path: &Path) -> Value {
    let lines: Vec<Value> = read(path).lines().map(json_of).collect();
    let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
    json!({ "lines": lines.len(), "all": hash(all.as_bytes()), "last": lines.last() })
}

/// Every tensor of a checkpoint by name, hashed, and its counters.
fn tensors(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let counters = &metadata.metadata().as_ref().unwrap()["dalenet"];
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: BTreeMap<_, _> = tensors.iter().collect();
    let mut found = Map::new();
    for (name, tensor) in tensors {
        let shape = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
        found.insert(name.to_owned(), json!([shape, hash(tensor.data())]));
    }
    found.insert("counters".to_owned(), json_of(counters));
    Value::Object(found)
}

/// The fields of a CSV file, numbers in one notation: `1e-7` is `0.0000001`.
fn numbers(text: &str) -> String {
    let notation = |field: &str| {
        let number = field.parse::<f64>();
        number.map_or_else(|_| field.to_owned(), |number| number.to_string())
    };
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).from_reader(text.as_bytes());
    let rows = reader.records().map(|row| {
        let fields: Vec<String> = row.unwrap().iter().map(notation).collect();
        format!("{fields:?}\n")
    });
    rows.collect()
}

/// Every table that a page, a sweep or a study leaves below `folder`: numbers in clear, figures hashed.
fn tables(folder: &Path) -> Value {
    let mut found = Map::new();
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .chain(fs::read_dir(folder.join("figures")).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    names.sort();
    for path in names {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        let text = read(&path);
        match &name[..] {
            "provenance.csv" => {}
            "numbers.csv" => {
                found.insert(name, text.lines().collect());
            }
            _ => {
                found.insert(name, hash(numbers(&text).as_bytes()));
            }
        }
    }
    Value::Object(found)
}

/// What a run is after `resume` on `device`.
fn resumed(place: &Place, device: &str, epochs: u64) -> Value {
    place.ok(&format!(
        "resume stored --device {device} --epochs {epochs}"
    ));
    let run = place.path("stored");
    json!({
        "last": tensors(&run.join("last.safetensors")),
        "best": tensors(&run.join("best.safetensors")),
        "metrics": lines(&run.join("metrics.jsonl")),
        "steps": lines(&run.join("steps.jsonl")),
        "analysis": hash(json_of(&read(&run.join("analysis.json"))).to_string().as_bytes()),
    })
}

/// Two epochs more than the run was to have.
fn epochs(run: &Path) -> u64 {
    let config: Value = serde_json::from_str(&read(&run.join("config.json"))).unwrap();
    config["training"]["epochs"].as_u64().unwrap() + 2
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

fn first_difference(at: &str, found: &Value, expected: &Value) -> Option<String> {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                first_difference(&format!("{at}/{key}"), &of(a), &of(b))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => (a.iter().zip(b).enumerate())
            .find_map(|(i, (a, b))| first_difference(&format!("{at}/{i}"), a, b)),
        _ => (found != expected)
            .then(|| format!("{at}: {}, expected {}", short(found), short(expected))),
    }
}

/// Compares with `expected/NAME.json`.
fn compare(name: &str, found: &Value) -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("frozen");
    fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_string_pretty(found).unwrap() + "\n";
    fs::write(folder.join(format!("{name}.json")), text).unwrap();
    let path = stored().join(format!("expected/{name}.json"));
    let expected = fs::read_to_string(&path).unwrap_or_else(|_| "null".to_owned());
    first_difference(name, found, &serde_json::from_str(&expected).unwrap())
}

#[test]
fn runs_of_an_earlier_program_are_shown_measured_and_continued_as_before() {
    let differences = RUNS.iter().filter_map(|name| {
        let place = place("runs", name);
        let run = place.path("stored");
        let mut found = Map::new();
        place.ok("report stored");
        found.insert("page".to_owned(), tables(&run));
        for checkpoint in ["initial", "best", "last"] {
            let line = format!("eval stored --json --device cpu --checkpoint {checkpoint}");
            found.insert(format!("eval {checkpoint}"), json_of(&place.ok(&line)));
        }
        found.insert("resumed".to_owned(), resumed(&place, "cpu", epochs(&run)));
        found.insert("page after".to_owned(), tables(&run));
        compare(name, &Value::Object(found))
    });
    let differences: Vec<String> = differences.collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn studies_of_an_earlier_program_are_tabled_and_continued_as_before() {
    let differences = STUDIES.iter().filter_map(|name| {
        let place = place("studies", name);
        let study = place.path("stored");
        let mut found = Map::new();
        place.ok("study collect stored");
        place.ok("report stored");
        found.insert("page".to_owned(), tables(&study));
        place.ok("study run stored/study.json --out stored --device cpu");
        found.insert("page after".to_owned(), tables(&study));
        for cell in ["ping", "coba"] {
            let last = study.join(format!("cells/{cell}/last.safetensors"));
            found.insert(cell.to_owned(), tensors(&last));
        }
        compare(name, &Value::Object(found))
    });
    let differences: Vec<String> = differences.collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The bits of a GPU are those of its driver: compared where the device is the one they were made on. Short
/// trials only, for a software driver's sake.
#[test]
fn runs_of_an_earlier_program_are_continued_as_before_on_the_gpu_that_began_them() {
    let made_on: Value = serde_json::from_str(
        &fs::read_to_string(stored().join("expected/gpu.json")).unwrap_or("null".to_owned()),
    )
    .unwrap();
    let mut found = Map::new();
    for name in &RUNS[..6] {
        let place = place("runs", name);
        let run = place.path("stored");
        let info = place.run("info --json");
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        let Some(adapter) = info["adapters"].get(0) else {
            println!("not compared: there is no GPU");
            return;
        };
        let device = json!([adapter["name"], adapter["driver"], adapter["driver_info"]]);
        if !made_on.is_null() && made_on["device"] != device {
            println!("not compared: {device} is not {}", made_on["device"]);
            return;
        }
        found.insert("device".to_owned(), device);
        found.insert((*name).to_owned(), resumed(&place, "gpu", epochs(&run)));
    }
    let difference = compare("gpu", &Value::Object(found));
    assert!(difference.is_none(), "{difference:?}");
}
