//! Records with plausible numbers, as tests and eyes need them.

mod analysis;

use std::collections::BTreeMap;
use std::path::Path;

use analysis::{analysis, sweep};

use crate::conductance::findings::Findings;
use crate::conductance::metrics::{
    ACTIVE_E, CONFIDENCE, E_RATE, I_RATE, MARGIN, METRICS, SILENT_E,
};
use crate::conductance::settings::Config;
use crate::families;
use crate::record::RunRecord;
use crate::study::spec::{AxisValue, StudySpec};
use crate::study::{Cell, CellRecord};
use crate::train::manifest::{Manifest, Status};
use crate::train::metrics::{
    EpochMetrics, GRADIENT_NORM, GRADIENT_NORM_MAX, GRADIENT_RATIO, TEST_ACCURACY, TEST_LOSS,
    TRAIN_ACCURACY, TRAIN_LOSS, WEIGHT_NORM,
};
use crate::train::run_folder::RunFiles;
use crate::train::steps::StepRecord;

/// A cheap generator of numbers in 0..1 that repeat.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal, mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.roll()).sum::<f64>() - 6.0
    }
}

/// How a condition behaves.
#[derive(Clone, Copy)]
pub struct FixtureKind {
    pub e_hz: f64,
    pub i_hz: f64,
    pub rhythmic: bool,
    pub pruned: f64,
    pub trains_loop: bool,
}

pub const PING: FixtureKind = FixtureKind {
    e_hz: 9.0,
    i_hz: 40.0,
    rhythmic: true,
    pruned: 0.0,
    trains_loop: false,
};
pub const COBA: FixtureKind = FixtureKind {
    e_hz: 77.0,
    i_hz: 0.0,
    rhythmic: false,
    pruned: 0.0,
    trains_loop: false,
};
pub const LOOP: FixtureKind = FixtureKind {
    e_hz: 42.0,
    i_hz: 0.3,
    rhythmic: false,
    pruned: 0.73,
    trains_loop: true,
};

pub fn record(name: &str, kind: FixtureKind, seed: u64, epochs: u64) -> RunRecord {
    let config = Config {
        name: name.into(),
        ..Config::default()
    };
    let manifest = Manifest {
        status: Status::Finished,
        ..Manifest::begin(Vec::new())
    };
    let mut dice = Dice(seed);
    let grown = |epoch: u64, tau: f64| 1.0 - (-(epoch as f64) / tau).exp();
    let measure = |epoch: u64| {
        let mut m = EpochMetrics::unmeasured(METRICS, epoch);
        m[TEST_ACCURACY] = 9.0 + 80.0 * grown(epoch, 3.0) + dice.normal() * 0.6;
        m[TEST_LOSS] = 0.4 + 1.9 * (1.0 - grown(epoch, 4.0)) + dice.roll() * 0.02;
        m[E_RATE] = 4.0 + (kind.e_hz - 4.0) * grown(epoch, 15.0) + dice.normal() * 0.1;
        m[I_RATE] = if kind.trains_loop {
            40.0 * (-(epoch as f64) / 2.0).exp()
        } else {
            kind.i_hz * grown(epoch, 10.0)
        };
        m[ACTIVE_E] = 45.0 + 30.0 * grown(epoch, 20.0);
        m[SILENT_E] = 9.0 * grown(epoch, 20.0);
        m[MARGIN] = 4.0 * grown(epoch, 8.0);
        m[CONFIDENCE] = 0.1 + 0.8 * grown(epoch, 8.0);
        let norms = [
            ("in", 6.2 + 11.0 * grown(epoch, 40.0)),
            ("out", 313.0 + grown(epoch, 5.0)),
            ("ei", 0.5 + f64::from(kind.trains_loop) * grown(epoch, 9.0)),
            ("ie", 4.02),
        ];
        let norms = norms.iter().map(|(n, v)| ((*n).to_owned(), *v));
        m.set_by_matrix(WEIGHT_NORM, norms.collect());
        if epoch > 0 {
            m[TRAIN_ACCURACY] = m[TEST_ACCURACY] + 3.0;
            m[TRAIN_LOSS] = m[TEST_LOSS] * 0.8;
            m[GRADIENT_NORM] = 3.0 * (-(epoch as f64) / 50.0).exp() + dice.roll();
            m[GRADIENT_NORM_MAX] = 2.0 * m[GRADIENT_NORM];
            let trained: &[&str] = if kind.trains_loop {
                &["in", "out", "ei", "ie"]
            } else {
                &["in", "out"]
            };
            let ratio = |n: &&str| {
                (
                    (*n).to_owned(),
                    m[GRADIENT_NORM] / m.of_matrix(WEIGHT_NORM, n) * 0.2,
                )
            };
            let ratios = trained.iter().map(ratio).collect();
            m.set_by_matrix(GRADIENT_RATIO, ratios);
        }
        m
    };
    let metrics: Vec<EpochMetrics> = (0..=epochs).map(measure).collect();
    let step = |k: u64| StepRecord {
        run: String::new(),
        epoch: k / 7 + 1,
        batch: k % 7 + 1,
        numbers: vec![
            ("loss_nats".to_owned(), 2.0),
            (
                "i_rate_hz".to_owned(),
                match kind.trains_loop {
                    true => 20.0 * (-(k as f64) / (8.0 + seed as f64 % 5.0)).exp(),
                    false => kind.i_hz,
                },
            ),
        ],
        gradient_norm: 1.0,
        gradient_norm_of: BTreeMap::new(),
        weight_norm_of: BTreeMap::new(),
        clipped: true,
        skipped: false,
    };
    RunRecord {
        spectra: None,
        left_out: Vec::new(),
        files: RunFiles::at(Path::new("runs").join(name).as_path()),
        config: config.into(),
        manifest,
        steps: (0..7 * epochs.min(20)).map(step).collect(),
        epochs: metrics,
        findings: families::Findings::Conductance(Findings {
            analysis: Some(analysis(kind, seed)),
            sweep: kind
                .rhythmic
                .then(|| sweep(&[0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0])),
        }),
    }
}

pub fn spec(axes: &[&str]) -> StudySpec {
    let axes: Vec<_> = axes
        .iter()
        .map(|name| serde_json::json!({ "name": name, "values": [] }))
        .collect();
    serde_json::from_value(
        serde_json::json!({ "name": "study", "title": "A study", "base": "ping", "axes": axes }),
    )
    .unwrap()
}

/// A cell of these axis values; `record` makes its run.
pub fn cell(index: usize, values: &[(&str, &str)], record: Option<RunRecord>) -> CellRecord {
    let value = |name: &str| AxisValue {
        name: name.into(),
        set: serde_json::Map::new(),
        label: String::new(),
    };
    let values: Vec<_> = values
        .iter()
        .map(|(axis, name)| ((*axis).to_owned(), value(name)))
        .collect();
    let name = values
        .iter()
        .map(|(_, v)| v.name.clone())
        .collect::<Vec<_>>()
        .join("-");
    let problem = record.is_none().then(|| "not run".to_owned());
    CellRecord {
        cell: Cell {
            index,
            name,
            values,
            config: Config::default().into(),
        },
        record,
        problem,
    }
}

/// PING and COBA with three seeds.
pub fn audit(epochs: u64) -> (StudySpec, Vec<CellRecord>) {
    let mut cells = Vec::new();
    for (name, kind) in [("ping", PING), ("coba", COBA)] {
        for seed in [42, 43, 44] {
            let run = record(name, kind, seed, epochs);
            cells.push(cell(
                cells.len(),
                &[("condition", name), ("seed", &format!("seed{seed}"))],
                Some(run),
            ));
        }
    }
    (spec(&["condition", "seed"]), cells)
}

/// Four starts, three Dale modes, three seeds; one cell diverged and one not run.
pub fn trainable_loop(epochs: u64) -> (StudySpec, Vec<CellRecord>) {
    let mut cells = Vec::new();
    for (name, kind) in [
        ("frozen_ping", PING),
        ("trainable_ping_init", LOOP),
        ("trainable_zero_init", LOOP),
        ("trainable_small_init", LOOP),
    ] {
        for dale in ["clamp", "project", "signed_loop"] {
            for seed in [42, 43, 44] {
                let index = cells.len();
                let mut run = record(
                    name,
                    kind,
                    seed + index as u64,
                    if index == 15 { epochs * 2 / 3 } else { epochs },
                );
                if index == 15 {
                    run.manifest.status = Status::Diverged;
                }
                let run = Some(run).filter(|_| index != 30);
                cells.push(cell(
                    index,
                    &[
                        ("condition", name),
                        ("dale", dale),
                        ("seed", &format!("seed{seed}")),
                    ],
                    run,
                ));
            }
        }
    }
    (spec(&["condition", "dale", "seed"]), cells)
}
