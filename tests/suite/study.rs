//! Studies: expansion and its refusals, cells in processes of their own, tables.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dalenet::conductance::measures::MEASURES;
use dalenet::record::RunRecord;
use dalenet::study::aggregate::conditions;
use dalenet::study::{BUILTINS, CellState, Study, StudyFolder};
use dalenet::train::run_folder::RunFolder;
use serde_json::{Value, json};

use crate::program::{Place, assert_has};

/// Two conditions and two seeds of a network that trains in some 20 ms.
fn tiny() -> Value {
    json!({
        "name": "tiny",
        "title": "Tiny",
        "base": {
            "data": { "dataset": "digits", "subset": "stratified", "train_samples": 48, "test_samples": 20 },
            "encoding": { "rate_hz": 100 },
            "network": { "n_e": 32, "n_i": 8, "duration_ms": 20 },
            "weights": { "in_mean_us": 4 },
            "training": { "epochs": 3, "batch_size": 8, "learning_rate": 0.002 },
        },
        "axes": [
            { "name": "condition", "values": [
                { "name": "ping", "set": {} },
                { "name": "coba", "set": { "weights.ei_strength": 0 } },
            ] },
            { "name": "seed", "key": "seeds.weights", "values": [1, 2] },
        ],
    })
}

fn parse(study: &Value) -> Result<Study, String> {
    Study::parse(&study.to_string(), "tiny.json").map_err(|error| error.to_string())
}

fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut study = tiny();
    change(&mut study);
    parse(&study).unwrap_err()
}

fn write(place: &Place, study: &Value) {
    fs::write(place.path("tiny.json"), study.to_string()).unwrap();
}

const RUN: &str = "study run tiny.json --device cpu --out study";

/// Bytes of every table that must not depend on how the study went.
fn tables(folder: &Path) -> Vec<Vec<u8>> {
    let names = [
        "table.csv",
        "table.json",
        "table_by_condition.csv",
        "table_by_condition.json",
    ];
    names
        .map(|name| fs::read(folder.join(name)).unwrap())
        .into()
}

/// Column `column` of `table.csv`, by cell.
fn column(folder: &Path, column: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("table.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let at = reader.headers().unwrap().iter().position(|h| h == column);
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| row[at.unwrap()].to_owned()).collect()
}

/// Waits until the cell has measured the untrained network: training has begun.
fn wait_for(path: &Path) {
    for _ in 0..4000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{} does not come", path.display());
}

#[test]
fn axes_become_named_cells_the_last_axis_fastest() {
    let study = parse(&tiny()).unwrap();
    let names: Vec<_> = study.cells.iter().map(|cell| &cell.name[..]).collect();
    assert_eq!(
        names,
        ["ping-seed1", "ping-seed2", "coba-seed1", "coba-seed2"]
    );
    let last = &study.cells[3];
    assert_eq!((last.index, last.config.name()), (3, "coba-seed2"));
    let config = |index: usize| study.cells[index].config.as_conductance().unwrap();
    assert_eq!((config(3).seeds.weights, config(3).seeds.data), (2, 42));
    assert_eq!(config(3).weights.ei_strength, 0.0);
    assert_eq!(config(0).weights.ei_strength, 1.0);
    assert_eq!(study.cell("2").unwrap().name, "coba-seed1");
    assert_eq!(study.cell("ping-seed2").unwrap().index, 1);
    let conditions = conditions(&study.spec, &study.cells);
    assert_eq!(conditions.len(), 2);
    assert_eq!(
        (&conditions[1].name[..], &conditions[1].cells[..]),
        ("coba", &[2, 3][..])
    );

    let mut less = tiny();
    less["except"] = json!([{ "condition": ["coba"], "seed": ["seed1"] }]);
    let names: Vec<_> = parse(&less)
        .unwrap()
        .cells
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names, ["ping-seed1", "ping-seed2", "coba-seed2"]);

    // What is written into the folder means the same study.
    let again = Study::parse(&json!(study.spec).to_string(), "study.json").unwrap();
    assert_eq!(again.cells, study.cells);
}

#[test]
fn what_cannot_be_is_refused_with_file_key_and_value() {
    for (message, parts) in [
        (
            refusal(|s| s["axes"][0]["values"][1]["set"] = json!({ "weights.ei_strength": -1 })),
            &[
                "tiny.json: axis condition, value coba",
                "weights.ei_strength = -1",
                "from 0",
            ][..],
        ),
        (
            refusal(|s| s["axes"][0]["values"][1]["set"] = json!({ "weights.ei_strenght": 0 })),
            &[
                "axis condition, value coba",
                "did you mean `weights.ei_strength`",
            ],
        ),
        (
            refusal(|s| s["axes"][1]["values"] = json!([1, "x"])),
            &["axis seed, value seedx", "seeds.weights", "integer"],
        ),
        (
            refusal(|s| s["axes"][1]["values"] = json!([1, 2, 1])),
            &["axes[1].values[2]", "seed1", "own"],
        ),
        (
            refusal(|s| s["axes"][1]["name"] = json!("condition")),
            &["axes[1].name", "own"],
        ),
        (
            refusal(|s| s["axes"][0]["values"][0]["name"] = json!("../up")),
            &["axes[0].values[0]", "../up"],
        ),
        (
            refusal(|s| {
                s["axes"] = json!([
                    { "name": "a", "values": [{ "name": "x-y" }, { "name": "x" }] },
                    { "name": "b", "values": [{ "name": "z" }, { "name": "y-z" }] },
                ]);
            }),
            &["two cells have this name", "x-y-z"],
        ),
        (
            refusal(|s| s["titel"] = json!("x")),
            &["tiny.json", "titel"],
        ),
        (
            refusal(|s| s["axes"][0]["values"] = json!(7)),
            &["axes[0].values = 7", "sequence"],
        ),
        (
            refusal(|s| s["base"] = json!("pong")),
            &["base = \"pong\"", "ping"],
        ),
        (
            refusal(|s| s["base"]["network"]["n_e"] = json!(0)),
            &["tiny.json: base", "network.n_e"],
        ),
        (
            refusal(|s| s["except"] = json!([{ "seed": ["seed1", "seed2"] }])),
            &["excludes every cell"],
        ),
        (refusal(|s| s["except"] = json!([{}])), &["except[0]"]),
        (
            refusal(|s| s["compare"] = json!([["ping", "cuba"]])),
            &["compare[0]", "cuba"],
        ),
        (
            refusal(|s| s["reported"] = json!([{ "measure": "accuracy", "value": 1 }])),
            &["reported[0].measure", "accuracy"],
        ),
        (
            refusal(|s| s["sweep"] = json!({ "ei": [], "ie": [1] })),
            &["sweep.ei"],
        ),
        (
            refusal(|s| {
                let axis = |name: String| {
                    json!({ "name": name, "key": "seeds.weights",
                    "values": (0..1000).collect::<Vec<_>>() })
                };
                s["axes"] = (0..8).map(|i| axis(format!("a{i}"))).collect();
            }),
            &["1000 × 1000", "at most 10000"],
        ),
    ] {
        assert_has(&message, parts);
    }
    let twice = tiny().to_string().replacen("{", "{\"name\":\"x\",", 1);
    let error = Study::parse(&twice, "tiny.json").unwrap_err().to_string();
    assert_has(&error, &["tiny.json:1", "twice"]);
    assert_has(
        &Study::load(Path::new("no/such")).unwrap_err().to_string(),
        &["no/such", "audit"],
    );
}

#[test]
fn built_in_studies_are_whole() {
    let cells: Vec<_> = BUILTINS
        .iter()
        .map(|(name, _)| {
            let study = Study::load(Path::new(name)).unwrap();
            (*name, study.cells.len())
        })
        .collect();
    let expected = [
        ("audit", 6),
        ("trainable_loop", 36),
        ("trainable_loop_axes", 21),
        ("orientation", 90),
        ("orientation_offsets", 125),
        ("orientation_fresh", 80),
        ("orientation_open", 60),
        ("small_digits", 20),
        ("short/audit", 4),
        ("short/trainable_loop", 12),
        ("short/trainable_loop_axes", 7),
        ("short/orientation", 10),
        ("spectra_depth", 15),
        ("spectra_size", 45),
        ("spectra_fraction", 35),
        ("spectra_adding", 15),
        ("spectra_transplant", 40),
        ("spectra_radius", 35),
        ("spectra_entropy", 145),
        ("short/spectra_depth", 15),
        ("short/spectra_size", 30),
        ("short/spectra_fraction", 35),
        ("short/spectra_adding", 15),
        ("short/spectra_transplant", 40),
        ("short/spectra_radius", 35),
        ("short/spectra_entropy", 45),
    ];
    assert_eq!(cells, expected);
}

#[test]
fn measures_are_named_once() {
    let mut names: Vec<_> = (MEASURES.all)()
        .iter()
        .map(|measure| &measure.name)
        .collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(
        MEASURES.find("ei_norm_growth").is_some() && MEASURES.find("seconds").unwrap().is_timing
    );
}

#[test]
fn a_study_runs_once_and_then_has_nothing_to_do() {
    let place = Place::new();
    write(&place, &tiny());
    let shown = place.ok(RUN);
    assert_has(
        &shown,
        &[
            "coba-seed2  epoch 3/3",
            "ping-seed1  finished",
            "table  study/table.csv",
        ],
    );
    let study = place.path("study");
    assert_eq!(column(&study, "status"), ["finished"; 4]);
    assert_eq!(column(&study, "i_rate_hz")[2..], ["0", "0"]);
    assert_ne!(
        column(&study, "test_loss_nats")[0],
        column(&study, "test_loss_nats")[1]
    );
    let (before, first) = (
        tables(&study),
        fs::read(study.join("cells/ping-seed1/manifest.json")),
    );
    // Mean and sample standard deviation of two numbers, by hand.
    let losses: Vec<f64> = column(&study, "test_loss_nats")
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let text = fs::read(study.join("table_by_condition.json")).unwrap();
    let conditions: Value = serde_json::from_slice(&text).unwrap();
    let spread = &conditions["conditions"][0]["measures"]["test_loss_nats"];
    let mean = 0.5 * (losses[0] + losses[1]);
    let sd = (losses[0] - losses[1]).abs() / 2_f64.sqrt();
    assert!(
        (spread["mean"].as_f64().unwrap() - mean).abs() < 1e-12,
        "{spread}"
    );
    assert!(
        (spread["sd"].as_f64().unwrap() - sd).abs() < 1e-12,
        "{spread}"
    );
    assert_eq!((&spread["n"], &spread["of"]), (&json!(2), &json!(2)));

    let again = place.ok(RUN);
    assert_eq!(again.matches("finished before").count(), 4, "{again}");
    assert_eq!(tables(&study), before);
    assert_eq!(
        fs::read(study.join("cells/ping-seed1/manifest.json")).unwrap(),
        first.unwrap()
    );
    let status: Value = serde_json::from_str(&place.ok("study status study --json")).unwrap();
    assert_eq!(status["cells"][3]["state"], "finished");
    assert_eq!(status["cells"][3]["epoch"], 3);

    // Words may change, cells not.
    let mut other = tiny();
    other["title"] = json!("Another title");
    write(&place, &other);
    place.ok(RUN);
    assert_has(
        &fs::read_to_string(study.join("study.json")).unwrap(),
        &["Another title"],
    );
    other["base"]["network"]["n_e"] = json!(33);
    write(&place, &other);
    assert_has(
        &place.fails(RUN, 2),
        &[
            "ping-seed1",
            "network.n_e: 32 in the folder, 33 in the study",
            "--out",
        ],
    );
}

#[test]
fn a_killed_study_ends_with_the_tables_of_an_undisturbed_one() {
    let place = Place::new();
    let mut study = tiny();
    study["base"]["training"]["epochs"] = json!(30);
    write(&place, &study);
    place.ok("study run tiny.json --device cpu --out whole --jobs 2");

    // A cell is killed, then the whole study, then the beginning of a run is left behind.
    let spawn = |line: &str| {
        let mut command = place.command(line);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.stdin(Stdio::null()).spawn().unwrap()
    };
    let mut cell = spawn(&format!("{RUN} --cell ping-seed1"));
    wait_for(&place.path("study/cells/ping-seed1/metrics.jsonl"));
    cell.kill().unwrap();
    cell.wait().unwrap();
    let mut parent = spawn(RUN);
    wait_for(&place.path("study/cells/ping-seed2/metrics.jsonl"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let folder = place.path("study/cells/coba-seed2");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("last.safetensors"), "cut off").unwrap();
    // The cell of the killed study sees its input end and stops with a checkpoint.
    let locked = place.path("study/cells/ping-seed2");
    for _ in 0..1000 {
        if !RunFolder::is_in_use(&locked) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = place.ok("study status study --json");
    assert_has(&before, &["\"begun\"", "\"pending\""]);
    place.ok(RUN);
    assert_eq!(tables(&place.path("study")), tables(&place.path("whole")));
    // The comparison sees a changed number.
    let metrics = place.path("study/cells/ping-seed1/metrics.jsonl");
    let text = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, text.replace("\"e_rate_hz\":", "\"e_rate_hz\":1")).unwrap();
    place.ok("study collect study");
    assert_ne!(tables(&place.path("study")), tables(&place.path("whole")));
}

#[test]
fn a_cell_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    let mut study = tiny();
    // More memory than there is; and a gradient that overflows, so that the run diverges.
    study["axes"][0]["values"] = json!([
        { "name": "huge", "set": { "network.n_e": 65536, "network.n_i": 65536, "network.duration_ms": 100000 } },
        { "name": "wild", "set": { "network.grad_dampen": 1e-6, "network.duration_ms": 60 } },
        { "name": "ping" },
    ]);
    study["axes"][1]["values"] = json!([1]);
    write(&place, &study);
    let message = place.fails(RUN, 1);
    assert_has(&message, &["failed: huge-seed1", "failure.txt"]);
    let folder = place.path("study");
    assert_eq!(
        column(&folder, "status"),
        ["failed", "diverged", "finished"]
    );
    assert_has(&column(&folder, "problem")[0], &["memory"]);
    let failure = fs::read_to_string(folder.join("cells/huge-seed1/failure.txt")).unwrap();
    assert_has(&failure, &["memory"]);
    let by_condition = fs::read_to_string(folder.join("table_by_condition.csv")).unwrap();
    assert_has(
        &by_condition,
        &["wild,wild,test_accuracy_percent,%,,,0,1,wild-seed1"],
    );

    // A damaged cell is a row with its problem.
    fs::write(folder.join("cells/ping-seed1/metrics.jsonl"), "{}\n[1]\n").unwrap();
    place.ok("study collect study");
    assert_eq!(column(&folder, "status")[2], "failed");
    assert_has(&column(&folder, "problem")[2], &["metrics.jsonl"]);
    let (_, cells) = StudyFolder::at(&folder).load().unwrap();
    assert!(cells[1].record.is_some() && cells[2].record.is_none());
    assert_has(&place.ok("study status study"), &["diverged", "failed"]);
}

#[test]
fn a_cell_under_way_elsewhere_is_left_alone() {
    let place = Place::new();
    write(&place, &tiny());
    let folder = place.path("study/cells/ping-seed2");
    fs::create_dir_all(&folder).unwrap();
    let held = RunFolder::create(&folder, false).unwrap();
    let shown = place.ok(RUN);
    assert_has(
        &shown,
        &["ping-seed2  running elsewhere", "coba-seed2  finished"],
    );
    assert_has(&place.ok("study status study"), &["running"]);
    let message = place.fails(&format!("{RUN} --cell ping-seed2"), 1);
    assert_has(&message, &["in use"]);
    assert!(!folder.join("failure.txt").exists() && !folder.join("config.json").exists());
    drop(held);
    assert_has(
        &place.ok(RUN),
        &["ping-seed2  finished", "ping-seed1  finished before"],
    );
}

#[test]
fn a_run_made_by_train_counts_and_another_one_does_not() {
    let place = Place::new();
    write(&place, &tiny());
    let mut base = tiny()["base"].clone();
    base["name"] = json!("own-name");
    fs::write(place.path("base.json"), base.to_string()).unwrap();
    let train = "train base.json --device cpu --out study/cells/";
    place.ok(&format!("{train}ping-seed1 --set seeds.weights=1"));
    place.ok(&format!("{train}ping-seed2 --set seeds.weights=3"));
    let output = place.run(RUN);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_has(
        &shown,
        &[
            "ping-seed1  finished before",
            "ping-seed2  failed",
            "seeds.weights: 3 in the folder, 2 in the study",
        ],
    );
    let folder = StudyFolder::at(place.path("study"));
    let study = folder.load_study().unwrap();
    assert_eq!(folder.status(&study.cells[0]).state, CellState::Finished);
    assert_eq!(folder.status(&study.cells[1]).state, CellState::Failed);
}

#[cfg(unix)]
#[test]
fn a_signal_to_the_study_stops_its_cells_with_a_checkpoint() {
    let place = Place::new();
    let mut study = tiny();
    study["base"]["training"]["epochs"] = json!(100_000);
    write(&place, &study);
    let child = place
        .command(&format!("{RUN} --jobs 2 --log json"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for cell in ["ping-seed1", "ping-seed2"] {
        wait_for(&place.path(&format!("study/cells/{cell}/metrics.jsonl")));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.matches(r#""state":"stopped""#).count(), 2, "{shown}");
    for line in shown.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["event"].is_string(), "{line}");
    }
    let status = place.ok("study status study --json");
    assert_eq!(status.matches("\"begun\"").count(), 2, "{status}");
    assert_eq!(status.matches("\"pending\"").count(), 2, "{status}");
}

/// The small networks of the short study go the way of the published ones: used raw, the loop is pruned
/// and I is silent, from PING's start with every seed, from a tenth of it with four of five.
#[test]
fn the_small_loop_goes_the_way_of_the_published_one() {
    let place = Place::new();
    let spec = r#"{
        "extends": "short/trainable_loop", "name": "seeds",
        "axes": [{ "name": "seed", "key": "seeds.weights", "values": [42, 43, 44, 45, 46] }]
    }"#;
    std::fs::write(place.path("seeds.json"), spec).unwrap();
    for (start, least) in [("ping", 5), ("small", 4)] {
        let mut silent = 0;
        for seed in 42..=46 {
            let cell = format!("trainable_{start}_init-signed_loop-seed{seed}");
            place.ok(&format!(
                "study run seeds.json --device cpu --out seeds --cell {cell}"
            ));
            let run = RunRecord::load(&place.path(&format!("seeds/cells/{cell}"))).unwrap();
            let measure = |name: &str| MEASURES.find(name).unwrap().of(&run);
            assert!(measure("ei_really_pruned_percent") > 50.0, "{cell}");
            assert!(measure("test_accuracy_percent") > 70.0, "{cell}");
            assert_eq!(measure("is_rhythmic"), 0.0, "{cell}");
            silent += u32::from(measure("i_rate_hz") < 1.0 && measure("i_below_1hz_step") < 40.0);
        }
        assert!(
            silent >= least,
            "{start}: I is silent with {silent} of 5 seeds"
        );
    }
}

#[test]
fn a_study_that_extends_another_takes_over_what_it_does_not_say() {
    let long = Study::load(Path::new("trainable_loop")).unwrap();
    let short = Study::load(Path::new("short/trainable_loop")).unwrap();
    assert_eq!(short.spec.compare, long.spec.compare);
    assert_eq!(short.spec.axes[0], long.spec.axes[0]);
    assert_ne!(short.spec.axes[2], long.spec.axes[2]);
    assert!(short.spec.contradictions.is_empty() && !long.spec.contradictions.is_empty());
    for (name, _) in BUILTINS
        .iter()
        .filter(|(name, _)| name.starts_with("short/"))
    {
        let spec = Study::load(Path::new(name)).unwrap().spec;
        let texts = [&spec.question, &spec.title]
            .into_iter()
            .chain(&spec.not_measured);
        let long = Study::load(Path::new(name.trim_start_matches("short/")))
            .unwrap()
            .spec;
        for text in texts {
            assert!(
                !long.not_measured.contains(text) || text.starts_with("Rules"),
                "{name}: {text}"
            );
        }
        assert!(
            spec.contradictions.is_empty() && spec.reported.is_empty(),
            "{name}"
        );
    }
    let error = Study::parse(r#"{ "extends": "nobody" }"#, "mine.json").unwrap_err();
    assert_has(
        &error.to_string(),
        &["mine.json", "extends", "nobody", "short/audit"],
    );
}
