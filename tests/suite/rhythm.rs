//! `dalenet analyse --spikes`: rasters with known answers, files that do not fit, and spikes that go
//! out of the program and come in again.

use std::path::Path;

use crate::program::{Place, assert_has};
use dalenet::data::{ArrayValues, NamedArray, encode_events, load_recorded_npz, write_npz};
use serde_json::Value;

const RASTERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rhythm");

fn close(found: &Value, expected: &Value, tolerance: &Value) -> bool {
    let [found, expected, tolerance] = [found, expected, tolerance].map(|x| x.as_f64().unwrap());
    (found - expected).abs() <= tolerance
}

#[test]
fn every_raster_has_its_known_answer() {
    let text = std::fs::read_to_string(format!("{RASTERS}/answers.json")).unwrap();
    let answers: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert!(answers.len() >= 11);
    let place = Place::new();
    for (name, answer) in answers {
        let out = place.ok(&format!("analyse --spikes {RASTERS}/{name}.npz --json"));
        let found: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            found["is_rhythmic"], answer["is_rhythmic"],
            "{name}: {found}"
        );
        if answer["is_rhythmic"] == false {
            let nothing = [
                "f_hz",
                "cycles_per_trial",
                "e_pairs_percent",
                "participation",
            ];
            assert!(
                nothing.iter().all(|key| found[key].is_null()),
                "{name}: {found}"
            );
            continue;
        }
        let right = close(&found["f_hz"], &answer["f_hz"], &answer["tolerance_hz"]);
        assert!(right, "{name}: {} Hz", found["f_hz"]);
        let pairs = answer["e_pairs_percent"].as_array();
        for (k, share) in pairs.into_iter().flatten().enumerate() {
            let measured = &found["e_pairs_percent"][k];
            let right = close(measured, share, &answer["tolerance_percent"]);
            assert!(right, "{name}: {measured} % with {k} spikes");
        }
    }
    let out = place.ok(&format!("analyse --spikes {RASTERS}/bursts_locked.npz"));
    assert_has(
        &out,
        &[
            "60 trials of 200.0 ms, 100 E and 25 I cells",
            "gamma, 55",
            "cut by I",
        ],
    );
    let out = place.ok(&format!(
        "analyse --spikes {RASTERS}/bursts_locked.npz --gamma-hz 60,90"
    ));
    assert!(!out.contains("gamma") && out.contains("55."), "{out}");
}

/// A file of two cells and two trials whose arrays `change` may replace.
fn file(path: &Path, change: &[(&'static str, ArrayValues<'_>)]) {
    let arrays = [
        ("trials", ArrayValues::I32(&[3, 7])),
        ("n_e", ArrayValues::I32(&[2])),
        ("n_i", ArrayValues::I32(&[1])),
        ("duration_ms", ArrayValues::F64(&[10.0])),
        ("dt_ms", ArrayValues::F64(&[0.1])),
        ("spikes_e_trial", ArrayValues::I32(&[7, 3])),
        ("spikes_e_time_ms", ArrayValues::F32(&[0.3, 9.9])),
        ("spikes_e_cell", ArrayValues::I32(&[1, 0])),
        ("spikes_i_trial", ArrayValues::I32(&[3])),
        ("spikes_i_time_ms", ArrayValues::F64(&[0.25])),
        ("spikes_i_cell", ArrayValues::I32(&[0])),
    ];
    let length = |values: &ArrayValues<'_>| match values {
        ArrayValues::F32(x) => x.len(),
        ArrayValues::F64(x) => x.len(),
        ArrayValues::I32(x) => x.len(),
        _ => unreachable!("not used here"),
    };
    let changed: Vec<_> = arrays
        .into_iter()
        .map(|(name, values)| {
            let other = change.iter().find(|(changed, _)| *changed == name);
            (name, other.map_or(values, |(_, values)| *values))
        })
        .collect();
    let shapes: Vec<[usize; 1]> = changed.iter().map(|(_, values)| [length(values)]).collect();
    let named: Vec<NamedArray<'_>> = changed
        .iter()
        .zip(&shapes)
        .map(|(&(name, values), shape)| NamedArray {
            name,
            shape,
            values,
        })
        .collect();
    write_npz(path, &named).unwrap();
}

#[test]
fn files_that_do_not_fit_are_refused_by_array_and_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spikes.npz");
    file(&path, &[]);
    let read = load_recorded_npz(&path).unwrap();
    assert_eq!((read.steps, read.cells), (100, [2, 1]));
    assert_eq!(read.trials[0], [vec![(99, 0)], vec![(2, 0)]]);
    assert_eq!(read.trials[1], [vec![(3, 1)], vec![]]);
    let twice = [
        ("spikes_e_trial", ArrayValues::I32(&[7, 7])),
        ("spikes_e_time_ms", ArrayValues::F64(&[0.3, 0.31])),
        ("spikes_e_cell", ArrayValues::I32(&[1, 1])),
    ];
    file(&path, &twice);
    let read = load_recorded_npz(&path).unwrap();
    assert_eq!((read.merged, &read.trials[1][0]), (1, &vec![(3, 1)]));
    let nan = [f64::NAN];
    for (name, values, says) in [
        (
            "trials",
            ArrayValues::I32(&[3, 3]),
            "entries 0 and 1 are both 3",
        ),
        (
            "spikes_e_trial",
            ArrayValues::I32(&[7, 4]),
            "entry 1 is no number of a trial",
        ),
        (
            "spikes_e_time_ms",
            ArrayValues::F32(&[0.3, 10.0]),
            "entry 1 is 10",
        ),
        (
            "spikes_e_time_ms",
            ArrayValues::F32(&[-0.3, 1.0]),
            "entry 0 is -0.3",
        ),
        ("spikes_e_time_ms", ArrayValues::F32(&[0.3]), "expected [2]"),
        ("spikes_e_cell", ArrayValues::I32(&[2, 0]), "`n_e` is 2"),
        ("spikes_i_cell", ArrayValues::I32(&[-1]), "`n_i` is 1"),
        (
            "dt_ms",
            ArrayValues::F64(&[0.0]),
            "expected a number above 0",
        ),
        ("dt_ms", ArrayValues::F64(&nan), "expected a number above 0"),
        (
            "dt_ms",
            ArrayValues::F64(&[1e-300]),
            "expected at least 0.0001",
        ),
        (
            "duration_ms",
            ArrayValues::F64(&[f64::INFINITY]),
            "expected a number above 0",
        ),
        (
            "duration_ms",
            ArrayValues::F64(&[1e300]),
            "expected a number above 0",
        ),
        ("n_e", ArrayValues::F64(&[1.5]), "expected a whole number"),
    ] {
        file(&path, &[(name, values)]);
        let message = load_recorded_npz(&path).unwrap_err().to_string();
        assert!(
            message.contains(&format!("`{name}`")) && message.contains(says),
            "{message}"
        );
    }
}

#[test]
fn recorded_spikes_stand_alone_and_land_in_their_steps_again() {
    let place = Place::new();
    // A step of 0.3 ms is no binary fraction: floor(time / dt) of a float32 would be early.
    place.ok(
        "train quickstart --device cpu --out run --epochs 1 --set data.train_samples=20 \
         --set data.test_samples=10 --set network.n_e=60 --set network.n_i=12 --set network.dt_ms=0.3 \
         --set network.duration_ms=90 --set weights.in_mean_us=4",
    );
    place.ok("eval run --device cpu --record 2,0,2 --record-out s.npz");
    let recorded = load_recorded_npz(&place.path("s.npz")).unwrap();
    assert_eq!((recorded.steps, recorded.cells), (300, [60, 12]));
    assert_eq!(recorded.trials.len(), 2, "a trial once");
    assert!(recorded.trials.iter().all(|trial| trial[0].len() > 50));
    for [e, _] in &recorded.trials {
        for time in [|ms: f64| ms, |ms: f64| f64::from(ms as f32)] {
            let events: Vec<(f64, u32)> = e
                .iter()
                .map(|&(step, cell)| (time(f64::from(step) * 0.3), cell))
                .collect();
            let back = encode_events(&events, 300, 0.3).unwrap();
            let back: Vec<(u32, u32)> =
                back.iter().map(|event| (event.step, event.input)).collect();
            assert_eq!(back, *e);
        }
    }
    let out = place.ok("analyse --spikes s.npz");
    assert_has(&out, &["2 trials of 90.0 ms, 60 E and 12 I cells"]);
}
