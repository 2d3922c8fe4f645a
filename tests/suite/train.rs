//! Training is exact: the same run gives the same bits however it is stopped, resumed, threaded or
//! fitted into memory.

use crate::common::settings;
use std::collections::BTreeMap;
use std::path::Path;

use dalenet::conductance::experiment::{Experiment, ExperimentError};
use dalenet::conductance::model::{NetworkModel, initial_state};
use dalenet::conductance::settings::Config;
use dalenet::config::Override;
use dalenet::device::DeviceOptions;
use dalenet::gpu::DeviceChoice;
use dalenet::record::RunRecord;
use dalenet::train::checkpoint::{Checkpoint, NonFinite};
use dalenet::train::epochs::{Outcome, Recipe, epoch_order, train};
use dalenet::train::experiment::{self, start};
use dalenet::train::interrupt::Interrupt;
use dalenet::train::manifest::{Manifest, Status};
use dalenet::train::metrics::Metric;
use dalenet::train::metrics::{GRADIENT_NORM, GRADIENT_RATIO, SKIPPED_STEPS, WEIGHT_NORM};
use dalenet::train::model::{
    EpochMean, Measured, Model, ModelError, ModelState, Part, Score, TrainedBatch,
};
use dalenet::train::progress::{Log, Reporter, Schedule};
use dalenet::train::run_folder::RunFiles;
use dalenet::train::session::{Session, TrainError};
use serde_json::Value;

/// A small network that fires, five batches an epoch, the last one short.
const SMALL: [&str; 12] = [
    "data.dataset=digits",
    "data.subset=stratified",
    "data.train_samples=36",
    "data.test_samples=20",
    "encoding.rate_hz=100",
    "network.n_e=40",
    "network.n_i=9",
    "network.duration_ms=25",
    "weights.in_mean_us=4",
    "training.batch_size=8",
    "training.learning_rate=0.002",
    "training.epochs=4",
];

const TRAINED_LOOP: &str = "training.trainable=w_in,w_out,w_ei,w_ie";

fn config(more: &[&str]) -> Config {
    let set: Vec<Override> = SMALL
        .iter()
        .chain(more)
        .map(|text| text.parse().unwrap())
        .collect();
    settings::load(None, &set, None).unwrap()
}

fn cpu(threads: usize, segment_steps: Option<usize>) -> DeviceOptions {
    DeviceOptions {
        device: DeviceChoice::Cpu,
        threads,
        memory: None,
        segment_steps,
        ..DeviceOptions::default()
    }
}

fn quiet() -> Reporter {
    let schedule = Schedule {
        epochs: 1,
        epochs_done: 0,
        batches_per_epoch: 1,
        batches_done: 0,
    };
    Reporter::to_writer(Log::Human, schedule, Box::new(std::io::sink()))
}

fn run_new(folder: &Path, config: Config, device: DeviceOptions) {
    assert_eq!(run_to_its_end(folder, config, device), Outcome::Finished);
}

fn run_to_its_end(folder: &Path, config: Config, device: DeviceOptions) -> Outcome {
    let experiment = Experiment::prepare(config, None, device).unwrap();
    let mut run = start(&experiment, folder, false, None, vec![], vec![]).unwrap();
    run.train(&mut quiet(), &Interrupt::manual()).unwrap()
}

fn resume(folder: &Path, config: Config) -> Result<Outcome, ExperimentError> {
    let experiment = Experiment::prepare(config, None, cpu(2, None))?;
    experiment::resume(&experiment, folder, "")?.train(&mut quiet(), &Interrupt::manual())
}

/// Metrics without what the clock says, and the tensors and progress of a checkpoint likewise.
#[derive(Debug, PartialEq)]
struct RunResult {
    metrics: Vec<Value>,
    steps: String,
    last: Checkpoint,
    best: Checkpoint,
}

fn result(folder: &Path) -> RunResult {
    let files = RunFiles::at(folder);
    let mut metrics = files.read_metrics().unwrap();
    for line in &mut metrics {
        let line = line.as_object_mut().unwrap();
        line.retain(|key, _| !key.ends_with("_seconds") && key != "samples_per_second");
    }
    let load = |path: &Path| {
        let mut checkpoint = Checkpoint::load(path, NonFinite::Refuse).unwrap();
        checkpoint.progress.elapsed_seconds = 0.0;
        checkpoint.progress.metrics_bytes = 0;
        checkpoint
    };
    RunResult {
        metrics,
        steps: std::fs::read_to_string(files.steps()).unwrap_or_default(),
        last: load(&files.last()),
        best: load(&files.best()),
    }
}

#[test]
fn four_epochs_equal_two_and_two_after_a_resume() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    run_new(&whole, config(&[]), cpu(2, None));
    run_new(&parts, config(&["training.epochs=2"]), cpu(2, None));
    let half = result(&parts);
    resume(&parts, config(&[])).unwrap();
    let (a, b) = (result(&whole), result(&parts));
    assert_eq!(a, b);

    // Not equal by accident: the network fires and learns, and two epochs are not four.
    assert_ne!(half.last.weights, b.last.weights);
    assert_eq!(a.metrics.len(), 5);
    for line in &a.metrics {
        assert!(line["e_rate_hz"].as_f64().unwrap() > 1.0, "{line}");
    }
    assert_ne!(a.metrics[0]["weight_norm"], a.metrics[4]["weight_norm"]);
    let manifest = Manifest::load(&RunFiles::at(&parts).manifest()).unwrap();
    assert_eq!(manifest.status, Status::Finished);
    assert_eq!(manifest.resumed[0].note, "from epoch 2, batch 0");
    assert!(RunFiles::at(&parts).analysis().is_file());
}

#[test]
fn a_run_with_a_loop_rule_goes_on_exactly() {
    let rules = [
        r#"{"optimiser": "sgd", "learning_rate": 0.5}"#,
        r#"{"optimiser": "sgd", "parametrisation": "log", "learning_rate": 100}"#,
        r#"{"parametrisation": "log"}"#,
    ];
    let mut ends = Vec::new();
    for rule in rules {
        let rule = format!("training.loop_rule={rule}");
        let of = |epochs| config(&[TRAINED_LOOP, &rule, epochs]);
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        run_new(&whole, of("training.epochs=4"), cpu(2, None));
        run_new(&parts, of("training.epochs=2"), cpu(2, None));
        let half = result(&parts);
        resume(&parts, of("training.epochs=4")).unwrap();
        let (a, b) = (result(&whole), result(&parts));
        assert_eq!(a, b, "{rule}");
        for name in ["ei", "ie"] {
            assert_ne!(half.last.weights[name], b.last.weights[name], "{rule}");
            let moments = &b.last.adam_m[name].data;
            let kept = moments.iter().any(|&m| m != 0.0);
            assert_eq!(kept, !rule.contains("sgd"), "{rule}");
        }
        // The rule is part of what a resume must find unchanged.
        assert!(resume(&parts, config(&[TRAINED_LOOP])).is_err());
        ends.push(b.last.weights);
    }
    assert!(ends[0] != ends[1] && ends[1] != ends[2] && ends[0] != ends[2]);
}

#[test]
fn threads_segments_and_memory_change_no_bit() {
    let dir = tempfile::tempdir().unwrap();
    let config = || config(&["training.epochs=1", "training.batch_size=36"]);
    let mut results = Vec::new();
    for (name, device) in [
        ("usual", cpu(2, None)),
        ("again", cpu(2, None)),
        ("one", cpu(1, Some(1))),
        ("odd", cpu(3, Some(7))),
        ("long", cpu(2, Some(250))),
    ] {
        let folder = dir.path().join(name);
        run_new(&folder, config(), device);
        results.push(result(&folder));
    }
    for other in &results[1..] {
        assert_eq!(&results[0], other);
    }
}

/// Asks to stop once `left` batches are trained.
struct Stopping<'a> {
    network: NetworkModel,
    left: usize,
    interrupt: &'a Interrupt,
    /// Fail instead of asking.
    fails: bool,
}

impl Model for Stopping<'_> {
    type Batch = <NetworkModel as Model>::Batch;

    fn epoch_means(&self) -> &'static [EpochMean] {
        self.network.epoch_means()
    }

    fn metrics(&self) -> &'static [Metric] {
        self.network.metrics()
    }

    fn score(&self) -> Score {
        self.network.score()
    }

    fn begin(&mut self, batch: &Self::Batch) -> Result<(), ModelError> {
        self.left -= 1;
        if self.left == 0 {
            if self.fails {
                return Err(std::io::Error::other("the device was lost").into());
            }
            self.interrupt.request(130);
        }
        self.network.begin(batch)
    }

    fn finish(&mut self) -> Result<Option<TrainedBatch>, ModelError> {
        self.network.finish()
    }

    fn evaluate(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Measured>, ModelError> {
        self.network.evaluate(part, go_on)
    }

    fn state(&mut self) -> Result<ModelState, ModelError> {
        self.network.state()
    }
}

/// Trains a new run until `batches` are done, then stops or fails.
fn run_until(
    folder: &Path,
    config: &Config,
    batches: usize,
    fails: bool,
) -> Result<Outcome, TrainError> {
    let experiment = Experiment::prepare(config.clone(), None, cpu(2, None)).unwrap();
    let weights = experiment.draw_weights();
    let manifest = Manifest {
        data_sha256: experiment.data_sha256.clone(),
        ..Manifest::begin(vec![])
    };
    let state = initial_state(&experiment.params, &weights);
    let mut session = Session::create(folder, false, config, manifest, state).unwrap();
    let interrupt = Interrupt::manual();
    let mut model = Stopping {
        network: experiment.open_network(&weights).unwrap().0,
        left: batches,
        interrupt: &interrupt,
        fails,
    };
    let recipe = Recipe {
        epochs: config.training.epochs,
        batch_size: config.training.batch_size,
        checkpoint_every_epochs: config.training.checkpoint_every_epochs,
        keep_every_epochs: None,
        shuffle_seed: config.seeds.shuffle,
        train: experiment.split.train.clone(),
        has_validation: !experiment.split.validation.is_empty(),
    };
    train(
        &mut model,
        &experiment.trials,
        &recipe,
        &mut session,
        &mut quiet(),
        &interrupt,
    )
}

#[test]
fn an_interrupt_anywhere_in_an_epoch_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let set = [
        "training.epochs=2",
        "data.validation_percent=20",
        "training.batch_size=7",
    ];
    let whole = dir.path().join("whole");
    run_new(&whole, config(&set), cpu(2, None));
    let expected = result(&whole);
    assert!(expected.metrics[1]["validation_accuracy_percent"].is_number());
    // After the first, a middle and the last batch of an epoch, and in the second one.
    for batches in [1, 3, 5, 6, 9] {
        let folder = dir.path().join(batches.to_string());
        let outcome = run_until(&folder, &config(&set), batches, false).unwrap();
        assert_eq!(outcome, Outcome::Interrupted { exit_code: 130 });
        let last = RunFiles::at(&folder).last();
        let progress = Checkpoint::load(&last, NonFinite::Refuse).unwrap().progress;
        let done = progress.epochs_done as usize * 5 + progress.batches_done_in_epoch as usize;
        assert_eq!(done, batches);
        assert_eq!(resume(&folder, config(&set)).unwrap(), Outcome::Finished);
        assert_eq!(result(&folder), expected, "stopped after {batches} batches");
    }
}

#[test]
fn a_failing_device_leaves_the_last_checkpoint_to_go_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["training.epochs=3", "training.checkpoint_every_epochs=2"];
    let (whole, failed) = (dir.path().join("whole"), dir.path().join("failed"));
    run_new(&whole, config(&set), cpu(2, None));
    // In the fourth epoch... of which only the second is kept: the third is done again.
    let set4 = ["training.epochs=4", "training.checkpoint_every_epochs=2"];
    let error = run_until(&failed, &config(&set4), 17, true).unwrap_err();
    assert_eq!(error.to_string(), "the device was lost");
    let files = RunFiles::at(&failed);
    assert_eq!(files.read_metrics().unwrap().len(), 4, "epochs 0 to 3");
    resume(&failed, config(&set)).unwrap();
    let (a, b) = (result(&whole), result(&failed));
    assert_eq!((a.metrics, a.last), (b.metrics, b.last));
}

#[test]
fn a_gradient_that_is_not_finite_is_skipped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let set = ["network.grad_dampen=0.1", "training.epochs=2"];
    run_new(&folder, config(&set), cpu(2, None));
    let metrics = RunFiles::at(&folder).read_metrics().unwrap();
    let count = |line: &Value, key: &str| line[key].as_u64().unwrap();
    let skipped: u64 = metrics.iter().map(|m| count(m, "skipped_steps")).sum();
    let last = result(&folder).last;
    assert!((1..10).contains(&skipped), "{metrics:?}");
    assert_eq!(last.progress.skipped_steps, skipped);
    assert_eq!(last.progress.optimiser_steps, 10 - skipped);
    assert_eq!(count(&metrics[2], "optimiser_steps"), 10 - skipped);
    let record = RunRecord::load(&folder).unwrap();
    let in_steps = record.steps.iter().filter(|step| step.skipped).count();
    assert_eq!(in_steps as u64, skipped);
}

#[test]
fn a_run_without_any_finite_gradient_ends_with_its_last_finite_weights() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let diverging = config(&["network.grad_dampen=0.000001"]);
    let outcome = run_to_its_end(&folder, diverging, cpu(2, None));
    assert_eq!(outcome, Outcome::Diverged);
    let record = RunRecord::load(&folder).unwrap();
    assert_eq!(record.manifest.status, Status::Diverged);
    assert!(record.manifest.notes.iter().any(|n| n.contains("epoch 1")));
    assert_eq!(record.epochs.len(), 2, "epochs 0 and 1 of four");
    assert_eq!(record.epochs[1][SKIPPED_STEPS], 5.0);
    assert!(record.epochs[1][GRADIENT_NORM].is_nan());
    assert_eq!(record.steps.len(), 5);
    let initial = RunFiles::at(&folder).initial();
    let initial = Checkpoint::load(&initial, NonFinite::Refuse).unwrap();
    assert_eq!(result(&folder).last.weights, initial.weights);
}

#[test]
fn every_optimiser_step_is_recorded_with_rates_and_norms() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    run_new(&folder, config(&["training.epochs=2"]), cpu(2, None));
    let record = RunRecord::load(&folder).unwrap();
    let places: Vec<(u64, u64)> = record.steps.iter().map(|s| (s.epoch, s.batch)).collect();
    let expected: Vec<(u64, u64)> = (1..=2).flat_map(|e| (1..=5).map(move |b| (e, b))).collect();
    assert_eq!(places, expected);
    for step in &record.steps {
        assert!(
            step.number("e_rate_hz") > 1.0 && step.number("i_rate_hz") > 0.0,
            "{step:?}"
        );
    }
    // The first step stands at the untrained network, whose norms epoch 0 has.
    let norms = &record.steps[0].weight_norm_of;
    for (name, norm) in norms {
        let stored = record.epochs[0].by_matrix(WEIGHT_NORM)[name];
        assert!(
            (norm / stored - 1.0).abs() < 1e-6,
            "{name}: {norm}, {stored}"
        );
    }
    // What epochs say of steps is their mean.
    for epoch in &record.epochs[1..] {
        let steps = record.steps.iter().filter(|s| s.epoch == epoch.epoch());
        let ratios: Vec<f64> = steps
            .map(|s| s.gradient_norm_of["in"] / s.weight_norm_of["in"])
            .collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!((epoch.by_matrix(GRADIENT_RATIO)["in"] / mean - 1.0).abs() < 1e-12);
    }
}

#[test]
fn the_best_checkpoint_is_that_of_the_best_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    run_new(&folder, config(&[]), cpu(2, None));
    let metrics = RunFiles::at(&folder).read_metrics().unwrap();
    let accuracy = |m: &Value| m["test_accuracy_percent"].as_f64().unwrap();
    let mut best = (0, f64::NEG_INFINITY);
    for (epoch, line) in metrics.iter().enumerate().skip(1) {
        let is_best = accuracy(line) > best.1;
        assert_eq!(line["best"], is_best, "{line}");
        if is_best {
            best = (epoch as u64, accuracy(line));
        }
    }
    let progress = result(&folder).best.progress;
    assert_eq!(progress.epochs_done, best.0);
    assert_eq!(progress.best_epoch, Some(best.0));
    assert_eq!(progress.best_score, Some(best.1));
}

#[test]
fn other_data_or_settings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    run_new(&folder, config(&["training.epochs=1"]), cpu(1, None));
    for (set, what) in [
        ("seeds.data=7", "configuration"),
        ("training.learning_rate=0.1", "configuration"),
    ] {
        let error = resume(&folder, config(&[set])).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    // The same configuration with other content behind it.
    let experiment = Experiment::prepare(config(&[]), None, cpu(1, None)).unwrap();
    let error = Session::open(&folder, &experiment.config, "other").unwrap_err();
    assert!(
        error.to_string().contains("a run with other data"),
        "{error}"
    );
}

#[test]
fn the_order_depends_on_seed_and_epoch_and_keeps_every_sample() {
    let samples: Vec<usize> = (100..150).collect();
    let first = epoch_order(&samples, 1, 0);
    assert_eq!(first, epoch_order(&samples, 1, 0));
    assert_ne!(first, epoch_order(&samples, 1, 1));
    assert_ne!(first, epoch_order(&samples, 2, 0));
    let counted: BTreeMap<usize, usize> = first.iter().map(|&i| (i, 1)).collect();
    assert!(counted.keys().eq(samples.iter()));
}

#[test]
fn a_failed_run_says_so_and_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let experiment = Experiment::prepare(config(&[]), None, cpu(2, None)).unwrap();
    let mut run = start(&experiment, &folder, false, None, vec![], vec![]).unwrap();
    // A folder where the metrics should go.
    let metrics = RunFiles::at(&folder).metrics();
    std::fs::create_dir(&metrics).unwrap();
    let error = run.train(&mut quiet(), &Interrupt::manual()).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, ExperimentError::Stopped { .. }));
    assert!(message.contains("metrics.jsonl") && message.contains("dalenet resume"));
    drop(run);
    let manifest = Manifest::load(&RunFiles::at(&folder).manifest()).unwrap();
    assert_eq!(manifest.status, Status::Failed);
    assert!(
        manifest
            .notes
            .iter()
            .any(|note| note.contains("metrics.jsonl"))
    );

    std::fs::remove_dir(&metrics).unwrap();
    resume(&folder, config(&[])).unwrap();
    let whole = dir.path().join("whole");
    run_new(&whole, config(&[]), cpu(2, None));
    assert_eq!(result(&folder), result(&whole));
}
