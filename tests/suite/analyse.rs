//! The analysis of a trained network agrees with what training measured and with what the engine does.

use crate::common::settings;
use std::fs;
use std::path::Path;

use dalenet::conductance::analysis::record::RunAnalysis;
use dalenet::conductance::batch::Request;
use dalenet::conductance::engine::Quantity;
use dalenet::conductance::experiment::{AnalysedWeights, Experiment, analysis_json};
use dalenet::conductance::metrics::{ACTIVE_E, E_RATE, I_RATE, SILENT_E};
use dalenet::conductance::settings::{Config, MatrixName};
use dalenet::conductance::weights::Weights;
use dalenet::config::Override;
use dalenet::device::DeviceOptions;
use dalenet::gpu::DeviceChoice;
use dalenet::record::RunRecord;
use dalenet::train::epochs::Outcome;
use dalenet::train::experiment::start;
use dalenet::train::interrupt::Interrupt;
use dalenet::train::manifest::Status;
use dalenet::train::metrics::{EpochMetrics, TEST_ACCURACY, TEST_LOSS, WEIGHT_NORM};
use dalenet::train::model::Part;
use dalenet::train::progress::{Log, Reporter};

use crate::program::{Place, assert_has};

/// On top of the small network of these tests: trials long enough for some gamma cycles.
const LONG: &str = " --set network.duration_ms=120 --set network.n_e=60 --set training.epochs=2 \
                    --set data.train_samples=24 --set training.learning_rate=0.01";

fn record(folder: &Path) -> (RunRecord, RunAnalysis) {
    let record = RunRecord::load(folder).unwrap();
    let analysis = dalenet::conductance::record::analysis(&record)
        .cloned()
        .unwrap();
    (record, analysis)
}

/// Whether an analysis says what training measured after the same epoch.
fn agrees(analysis: &RunAnalysis, epoch: &EpochMetrics) -> bool {
    let test = &analysis.test;
    let pairs = [
        (test.accuracy_percent, epoch[TEST_ACCURACY]),
        (test.loss_nats, epoch[TEST_LOSS]),
        (test.e_rate_hz, epoch[E_RATE]),
        (test.i_rate_hz, epoch[I_RATE]),
        (test.active_e_percent, epoch[ACTIVE_E]),
        (test.silent_e_percent, epoch[SILENT_E]),
    ];
    let norms = analysis.weights.iter().all(|(name, matrix)| {
        let measured = epoch.by_matrix(WEIGHT_NORM).get(name).copied();
        measured.is_some_and(|norm| (norm - matrix.now.norm).abs() < 1e-9)
    });
    norms && pairs.iter().all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn training_leaves_an_analysis_that_agrees_with_its_metrics() {
    let place = Place::new();
    let out = place.ok(&format!("train small.json --device cpu --out run{LONG}"));
    assert_has(&out, &["analysing 20 test trials"]);
    let (run, analysis) = record(&place.path("run"));
    let last = run.last().unwrap();
    assert_eq!((analysis.checkpoint.as_str(), analysis.epoch), ("last", 2));
    assert!(agrees(&analysis, last), "{:?}\n{last:?}", analysis.test);
    assert!(last[E_RATE] > 1.0 && last[I_RATE] > 1.0);

    // Cells, classes and the example trial give the same means.
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    assert_eq!(
        (analysis.e_cell_rate_hz.len(), analysis.i_cell_rate_hz.len()),
        (60, 9)
    );
    assert!((mean(&analysis.e_cell_rate_hz) - last[E_RATE]).abs() < 1e-9);
    assert!((mean(&analysis.i_cell_rate_hz) - last[I_RATE]).abs() < 1e-9);
    let of_class = |label: &u32| analysis.test.class_e_rate_hz[*label as usize];
    let by_trial: Vec<f64> = analysis.test.labels.iter().map(of_class).collect();
    assert!((mean(&by_trial) - last[E_RATE]).abs() < 1e-9);
    let example = &analysis.raster;
    assert_eq!((example.e_cells, example.i_cells), (60, 9));
    let rate_hz = example.e.len() as f64 / (60.0 * 0.12);
    assert!((rate_hz - example.e_rate_hz).abs() < 1e-9);
    assert!(example.e.is_sorted_by(|a, b| a.0 <= b.0));

    // Bins of 1/T up to 250 Hz; white noise is a Poisson train's, 2 r / cells.
    let rhythm = &analysis.rhythm;
    let spectrum = &rhythm.spectrum;
    assert_eq!(spectrum.frequency_hz.len(), 30);
    assert!((spectrum.frequency_hz[0] - 1000.0 / 120.0).abs() < 1e-9);
    assert!((spectrum.white_power - 2.0 * last[E_RATE] / 60.0).abs() < 1e-9);
    // 36 of 120 ms are left out, and lags go to half of the rest.
    assert_eq!((rhythm.onset_ms, rhythm.e.lag_ms.len()), (36.0, 43));
    assert_eq!(rhythm.e.correlation.len(), rhythm.e.null_high.len());

    let [w_in, ei] = ["in", "ei"].map(|name| &analysis.weights[name]);
    assert!(w_in.trained && !w_in.unchanged && w_in.now != w_in.initial);
    assert!(!ei.trained && ei.unchanged && ei.now == ei.initial);
    assert_eq!(ei.now_count.iter().sum::<u64>(), 60 * 9);
    let input: f64 = analysis.i_cell_input_us[1].iter().sum();
    assert!((input - ei.now.effective_mean * 60.0 * 9.0).abs() < 1e-9);
    let slopes: Vec<&str> = analysis
        .loop_slopes
        .iter()
        .map(|s| s.matrix.as_str())
        .collect();
    assert_eq!(slopes, ["ei", "ie"]);

    // Another checkpoint is printed, not kept; and the comparison sees that it is another.
    let before = fs::read(place.path("run/analysis.json")).unwrap();
    let initial = place.ok("analyse run --checkpoint initial --device cpu --json");
    assert_eq!(fs::read(place.path("run/analysis.json")).unwrap(), before);
    let initial: RunAnalysis = serde_json::from_str(&initial).unwrap();
    assert_eq!((initial.checkpoint.as_str(), initial.epoch), ("initial", 0));
    assert!(agrees(&initial, &run.epochs[0]) && !agrees(&initial, last));
    assert!(initial.weights.values().all(|matrix| matrix.unchanged));
}

#[test]
fn neither_threads_nor_memory_change_a_byte() {
    let place = Place::new();
    place.train("run", LONG);
    let file = place.path("run/analysis.json");
    let expected = fs::read(&file).unwrap();
    for options in ["--threads 1", "--threads 3", "--threads 2 --memory 300M"] {
        fs::remove_file(&file).unwrap();
        let out = place.ok(&format!("analyse run --device cpu {options}"));
        assert_has(&out, &["accuracy", "rhythm", "w_in", "analysis.json"]);
        assert_eq!(fs::read(&file).unwrap(), expected, "{options}");
    }
}

#[test]
fn a_loop_that_starts_at_zero_stays_there_and_has_no_slope() {
    let place = Place::new();
    let more = " --set weights.ei_strength=0 --set training.trainable=[\"w_in\",\"w_out\",\"w_ei\",\"w_ie\"]";
    place.train("run", &format!("{more}{LONG}"));
    let (run, analysis) = record(&place.path("run"));
    assert!(agrees(&analysis, run.last().unwrap()));
    for name in ["ei", "ie"] {
        let matrix = &analysis.weights[name];
        assert!(matrix.trained && matrix.unchanged, "{name}");
        assert_eq!(
            (matrix.now.not_positive_percent, matrix.now.max),
            (100.0, 0.0)
        );
        assert!(matrix.now.survivor_mean.is_nan() && matrix.really_pruned_percent.is_nan());
    }
    assert!(analysis.loop_slopes.is_empty() && analysis.participation.is_none());
    assert_eq!(analysis.test.i_rate_hz, 0.0);
    assert_has(&place.ok("analyse run --device cpu"), &["NaN", "I 0.00 Hz"]);
}

#[test]
fn a_run_is_finished_also_where_its_analysis_fails() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let experiment = experiment(&["training.epochs=1"]);
    let mut run = start(&experiment, &folder, false, None, vec![], vec![]).unwrap();
    // A folder where the file should be.
    fs::create_dir_all(folder.join("analysis.json/x")).unwrap();
    let mut reporter = Reporter::to_writer(Log::Human, run.schedule(), Box::new(std::io::sink()));
    let outcome = run.train(&mut reporter, &Interrupt::manual()).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    fs::remove_dir_all(folder.join("analysis.json")).unwrap();
    let run = RunRecord::load(&folder).unwrap();
    assert_eq!(run.manifest.status, Status::Finished);
    assert!(!run.findings.is_analysed() && run.epochs.len() == 2);
    let notes = run.manifest.notes.join("\n");
    assert_has(&notes, &["no analysis", "dalenet analyse"]);
}

fn experiment(more: &[&str]) -> Experiment {
    let small = [
        "data.dataset=digits",
        "data.subset=stratified",
        "data.train_samples=20",
        "data.test_samples=20",
        "encoding.rate_hz=100",
        "network.n_e=40",
        "network.n_i=9",
        "network.duration_ms=60",
        "weights.in_mean_us=4",
        "training.batch_size=8",
    ];
    let set: Vec<Override> = (small.iter().chain(more))
        .map(|text| text.parse().unwrap())
        .collect();
    let config: Config = settings::load(None, &set, None).unwrap();
    let device = DeviceOptions {
        device: DeviceChoice::Cpu,
        threads: 2,
        ..DeviceOptions::default()
    };
    Experiment::prepare(config, None, device).unwrap()
}

fn analyse(experiment: &Experiment, now: &Weights) -> RunAnalysis {
    let initial = experiment.draw_weights();
    let mut opened = experiment.open(&initial).unwrap();
    let subject = AnalysedWeights {
        settings: dalenet::analysis::rhythm::Settings::default(),
        checkpoint: "last",
        epoch: 1,
        initial: &initial,
        now,
        device: "cpu",
    };
    let engine = opened.engine.as_mut();
    let analysis = experiment.analyse(engine, &subject, &mut || true).unwrap();
    assert!(
        experiment
            .analyse(engine, &subject, &mut || false)
            .unwrap()
            .is_none()
    );
    // The engine has the weights of the subject again.
    for (name, stored) in engine.read(Quantity::Weights).unwrap() {
        let expected = now[&name].data.iter().map(|&w| f64::from(w));
        let same = stored
            .iter()
            .zip(expected)
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same || stored.iter().any(|w| w.is_nan()), "{name:?}");
    }
    analysis.unwrap()
}

#[test]
fn loop_slopes_are_those_of_scaled_networks_and_of_the_gradient() {
    let experiment = experiment(&["training.rate_strength=0.01"]);
    let weights = experiment.draw_weights();
    let analysis = analyse(&experiment, &weights);
    let loss_at = |name: MatrixName, gain: f64| {
        let mut scaled = weights.clone();
        let data = &mut scaled.get_mut(&name).unwrap().data;
        data.iter_mut()
            .for_each(|w| *w = (f64::from(*w) * gain) as f32);
        let (mut network, _) = experiment.open_network(&scaled).unwrap();
        let evaluation = network
            .evaluation(Part::Test, &mut || true)
            .unwrap()
            .unwrap();
        evaluation.measures().loss_nats
    };
    let names = [MatrixName::WEi, MatrixName::WIe];
    let measured = names.map(|name| (loss_at(name, 1.05) - loss_at(name, 0.95)) / 0.1);
    let found = [0, 1].map(|k| &analysis.loop_slopes[k]);
    for (slope, expected) in found.into_iter().zip(measured) {
        assert!(
            (slope.measured - expected).abs() < 1e-9,
            "{slope:?} {expected}"
        );
        assert!(slope.measured_error > 0.0);
    }
    assert!(
        (found[0].measured - measured[1]).abs() > 1e-9,
        "the two must differ"
    );

    // The gradient of all test trials at once, of a network that trains everything.
    let all = ["training.trainable=[\"w_in\",\"w_out\",\"w_ei\",\"w_ie\"]"];
    let trains_all = self::experiment(&all);
    let mut engine = trains_all.open(&weights).unwrap().engine;
    let batch = trains_all
        .trials
        .evaluation_batch(&trains_all.split.test)
        .unwrap();
    engine.gradient(&batch, Request::default()).unwrap();
    let gradient = engine.read(Quantity::Gradient).unwrap();
    for (slope, name) in found.into_iter().zip(names) {
        let pairs = weights[&name].data.iter().zip(&gradient[&name]);
        let expected: f64 = pairs.map(|(&w, g)| f64::from(w) * g).sum();
        let error = (slope.surrogate - expected).abs();
        assert!(error < 1e-5 * expected.abs(), "{slope:?} {expected}");
        assert!(expected != 0.0);
    }
}

#[test]
fn a_network_that_turns_nan_is_analysed_and_its_record_read_again() {
    let experiment = experiment(&["training.signed_loop=true"]);
    let mut weights = experiment.draw_weights();
    // Conductances far below −g_L: the membrane runs away.
    weights.get_mut(&MatrixName::WIe).unwrap().data.fill(-1e30);
    weights
        .get_mut(&MatrixName::WOut)
        .unwrap()
        .data
        .fill(f32::MAX);
    let analysis = analyse(&experiment, &weights);
    assert!(
        analysis.test.loss_nats.is_nan(),
        "{}",
        analysis.test.loss_nats
    );
    let json = analysis_json(&analysis).unwrap();
    assert!(json.contains("null") && !json.contains("NaN"));
    let read: RunAnalysis = serde_json::from_str(&json).unwrap();
    assert_eq!(analysis_json(&read).unwrap(), json);
    assert!(read.loop_slopes[0].loss_nats[0].is_nan());
}
