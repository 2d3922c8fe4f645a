//! Records with plausible numbers, as tests and eyes need them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::analysis::record::*;
use crate::config::Config;
use crate::record::RunRecord;
use crate::study::spec::{AxisValue, StudySpec};
use crate::study::{Cell, CellRecord};
use crate::train::manifest::{Manifest, Status};
use crate::train::metrics::EpochMetrics;
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
pub struct Kind {
    pub e_hz: f64,
    pub i_hz: f64,
    pub rhythmic: bool,
    pub pruned: f64,
    pub trains_loop: bool,
}

pub const PING: Kind = Kind {
    e_hz: 9.0,
    i_hz: 40.0,
    rhythmic: true,
    pruned: 0.0,
    trains_loop: false,
};
pub const COBA: Kind = Kind {
    e_hz: 77.0,
    i_hz: 0.0,
    rhythmic: false,
    pruned: 0.0,
    trains_loop: false,
};
pub const LOOP: Kind = Kind {
    e_hz: 42.0,
    i_hz: 0.3,
    rhythmic: false,
    pruned: 0.73,
    trains_loop: true,
};

pub fn record(name: &str, kind: Kind, seed: u64, epochs: u64) -> RunRecord {
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
        let mut m = EpochMetrics::unmeasured(epoch);
        m.test_accuracy_percent = 9.0 + 80.0 * grown(epoch, 3.0) + dice.normal() * 0.6;
        m.test_loss_nats = 0.4 + 1.9 * (1.0 - grown(epoch, 4.0)) + dice.roll() * 0.02;
        m.e_rate_hz = 4.0 + (kind.e_hz - 4.0) * grown(epoch, 15.0) + dice.normal() * 0.1;
        m.i_rate_hz = if kind.trains_loop {
            40.0 * (-(epoch as f64) / 2.0).exp()
        } else {
            kind.i_hz * grown(epoch, 10.0)
        };
        m.active_e_percent = 45.0 + 30.0 * grown(epoch, 20.0);
        m.silent_e_percent = 9.0 * grown(epoch, 20.0);
        m.margin = 4.0 * grown(epoch, 8.0);
        m.confidence = 0.1 + 0.8 * grown(epoch, 8.0);
        let norms = [
            ("in", 6.2 + 11.0 * grown(epoch, 40.0)),
            ("out", 313.0 + grown(epoch, 5.0)),
            ("ei", 0.5 + f64::from(kind.trains_loop) * grown(epoch, 9.0)),
            ("ie", 4.02),
        ];
        m.weight_norm = norms.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
        if epoch > 0 {
            m.train_accuracy_percent = m.test_accuracy_percent + 3.0;
            m.train_loss_nats = m.test_loss_nats * 0.8;
            m.gradient_norm = 3.0 * (-(epoch as f64) / 50.0).exp() + dice.roll();
            m.gradient_norm_max = 2.0 * m.gradient_norm;
            let trained: &[&str] = if kind.trains_loop {
                &["in", "out", "ei", "ie"]
            } else {
                &["in", "out"]
            };
            let ratio = |n: &&str| ((*n).to_owned(), m.gradient_norm / m.weight_norm[*n] * 0.2);
            m.gradient_to_weight_ratio = trained.iter().map(ratio).collect();
        }
        m
    };
    let metrics: Vec<EpochMetrics> = (0..=epochs).map(measure).collect();
    let step = |k: u64| StepRecord {
        epoch: k / 7 + 1,
        batch: k % 7 + 1,
        loss_nats: 2.0,
        accuracy_percent: 50.0,
        e_rate_hz: 10.0,
        i_rate_hz: if kind.trains_loop {
            20.0 * (-(k as f64) / (8.0 + seed as f64 % 5.0)).exp()
        } else {
            kind.i_hz
        },
        gradient_norm: 1.0,
        gradient_norm_of: BTreeMap::new(),
        weight_norm_of: BTreeMap::new(),
        clipped: true,
        skipped: false,
    };
    RunRecord {
        files: RunFiles::at(Path::new("runs").join(name).as_path()),
        config,
        manifest,
        steps: (0..7 * epochs.min(20)).map(step).collect(),
        epochs: metrics,
        analysis: Some(analysis(kind, seed)),
        sweep: kind
            .rhythmic
            .then(|| sweep(&[0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0])),
    }
}

pub fn analysis(kind: Kind, seed: u64) -> RunAnalysis {
    let mut dice = Dice(seed.wrapping_mul(77));
    let labels: Vec<u32> = (0..400).map(|k| k % 10).collect();
    let predicted: Vec<u32> = labels
        .iter()
        .map(|l| {
            if dice.roll() < 0.88 {
                *l
            } else {
                (l + (dice.roll() * 9.0) as u32) % 10
            }
        })
        .collect();
    let cell_rate = |mean: f64, dice: &mut Dice| (mean * (1.0 + 0.6 * dice.normal())).max(0.0);
    let matrix = |name: &str, trained: bool, dice: &mut Dice| {
        let (mean, tail) = match name {
            "in" => (0.0015, 0.1),
            "out" => (2.5, 10.0),
            "ei" => (0.00098, 0.004),
            _ => (0.0078, 0.012),
        };
        let edges: Vec<f64> = (0..=50).map(|k| f64::from(k) * tail / 50.0).collect();
        let mut initial_count = vec![0_u64; 50];
        let mut now_count = vec![0_u64; 50];
        for k in 0..20_000 {
            let start: f64 = (mean * (1.0 + 0.1 * dice.normal())).max(0.0);
            let now = match (trained, name) {
                (false, _) => start,
                (true, "ei") => {
                    if dice.roll() < kind.pruned {
                        0.0
                    } else {
                        start * (1.0 + 2.0 * dice.roll())
                    }
                }
                _ => {
                    start * (1.0 + 0.5 * dice.normal()).max(0.0)
                        - (1.0 - dice.roll()).ln() * tail / 16.0 * f64::from(k % 2)
                }
            };
            let bin = |w: f64| ((w / tail * 50.0) as usize).min(49);
            initial_count[bin(start)] += 1;
            now_count[bin(now)] += 1;
        }
        let statistics = |norm: f64, pruned: f64| MatrixStatistics {
            norm,
            effective_mean: mean * (1.0 - 0.5 * pruned),
            not_positive_percent: 100.0 * pruned,
            ..Default::default()
        };
        MatrixAnalysis {
            entries: 20_000,
            trained,
            unchanged: !trained,
            initial: statistics(6.14, 0.0),
            now: statistics(17.3, if name == "ei" { kind.pruned } else { 0.0 }),
            really_pruned_percent: 0.0,
            edges,
            initial_count,
            now_count,
        }
    };
    let names = [
        ("in", true),
        ("out", true),
        ("ei", kind.trains_loop),
        ("ie", kind.trains_loop),
    ];
    let frequency_hz: Vec<f64> = (1..=100).map(|k| 5.0 * f64::from(k)).collect();
    let peak = |f: f64| {
        if kind.rhythmic {
            400.0 * (-(f - 40.0).powi(2) / 60.0).exp()
        } else {
            0.0
        }
    };
    let power: Vec<f64> = frequency_hz
        .iter()
        .map(|f| peak(*f) + kind.e_hz * 0.2 * (0.8 + 0.4 * dice.roll()))
        .collect();
    let spikes = |cells: u32, hz: f64, dice: &mut Dice| {
        let wanted = (f64::from(cells) * hz * 0.2).round() as usize;
        let time = |dice: &mut Dice| {
            if kind.rhythmic {
                (((dice.roll() * 8.0).floor() + 0.5) * 25.0 + 1.5 * dice.normal()).clamp(0.0, 200.0)
            } else {
                dice.roll() * 200.0
            }
        };
        (0..wanted)
            .map(|_| (time(dice) as f32, (dice.roll() * f64::from(cells)) as u32))
            .collect::<Vec<_>>()
    };
    let slope = |name: &str, sign: f64, dice: &mut Dice| LoopSlope {
        matrix: name.into(),
        step: 0.05,
        loss_nats: [0.4, 0.41],
        measured: sign * 0.05 + 0.01 * dice.normal(),
        measured_error: 0.008,
        surrogate: 0.02 + 0.01 * dice.normal(),
    };
    RunAnalysis {
        format: FORMAT,
        checkpoint: "last".into(),
        epoch: 100,
        config_sha256: String::new(),
        data_sha256: String::new(),
        program: String::new(),
        device: String::new(),
        e_cell_rate_hz: (0..1024).map(|_| cell_rate(kind.e_hz, &mut dice)).collect(),
        i_cell_rate_hz: (0..256).map(|_| cell_rate(kind.i_hz, &mut dice)).collect(),
        test: TestResult {
            accuracy_percent: 100.0
                * labels
                    .iter()
                    .zip(&predicted)
                    .filter(|(a, b)| a == b)
                    .count() as f64
                / 400.0,
            labels,
            predicted,
            loss_nats: 0.4,
            e_rate_hz: kind.e_hz,
            i_rate_hz: kind.i_hz,
            active_e_percent: 70.0,
            silent_e_percent: 9.0,
            class_e_rate_hz: (0..10)
                .map(|k| kind.e_hz * (0.8 + 0.04 * f64::from(k)))
                .collect(),
        },
        rhythm: Rhythm {
            null_power: power.iter().map(|_| kind.e_hz * 0.2).collect(),
            power,
            frequency_hz,
            peak_hz: if kind.rhythmic { 40.0 } else { 55.0 },
            peak_interpolated_hz: 39.4,
            peak_power: 400.0,
            null_peak_power: 3.0,
            level: 1.0,
            is_rhythmic: kind.rhythmic,
            lag_ms: (0..=100).map(f64::from).collect(),
            autocorrelation: (0..=100)
                .map(|k| (f64::from(k) * 0.251).cos() * (-f64::from(k) / 60.0).exp())
                .collect(),
            contrast: if kind.rhythmic { 0.83 } else { f64::NAN },
            interval_ms: (0..50).map(|k| 2.0 * f64::from(k)).collect(),
            interval_count: (0..50)
                .map(|k: u64| 900_u64.saturating_sub(k * k))
                .collect(),
            cv: 0.71,
        },
        participation: kind.rhythmic.then(|| Participation {
            cycles: 3000,
            period_ms: 25.3,
            e_share_percent: [77.4, 21.9, 0.6, 0.1],
            i_share_percent: [12.0, 80.0, 7.0, 1.0],
            e_spikes_per_cycle: 0.23,
            i_spikes_per_cycle: 0.97,
        }),
        weights: names
            .iter()
            .map(|(n, trained)| ((*n).to_owned(), matrix(n, *trained, &mut dice)))
            .collect(),
        i_cell_input_us: [0.0, kind.pruned].map(|pruned| {
            (0..256)
                .map(|_| (1.0 + 0.02 * dice.normal()) * (1.0 - pruned * (0.6 + 0.4 * dice.roll())))
                .collect()
        }),
        loop_slopes: vec![slope("ei", 1.0, &mut dice), slope("ie", -1.0, &mut dice)],
        raster: ExampleTrial {
            sample: 17,
            label: 7,
            duration_ms: 200.0,
            e_rate_hz: kind.e_hz,
            i_rate_hz: kind.i_hz,
            e_cells: 200,
            i_cells: 50,
            e: spikes(200, kind.e_hz, &mut dice),
            i: spikes(50, kind.i_hz, &mut dice),
        },
    }
}

pub fn sweep(multipliers: &[f64]) -> LoopSweep {
    let point = |ie: f64, ei: f64| {
        let engaged = ei * ie > 0.0;
        let e_rate_hz = if engaged {
            127.6 / (1.0 + 13.0 * (ei * ie).sqrt())
        } else {
            127.6
        };
        let i_rate_hz = if ei == 0.0 {
            0.0
        } else if ie == 0.0 {
            216.0 + 43.5 * ei
        } else {
            38.7 - 10.0 / (1.0 + ei)
        };
        SweepPoint {
            ei,
            ie,
            accuracy_percent: 87.75 - (ei - 0.5).abs() * 4.0,
            correct: 350,
            loss_nats: 0.5,
            e_rate_hz,
            i_rate_hz,
        }
    };
    LoopSweep {
        format: FORMAT,
        checkpoint: "last".into(),
        epoch: 100,
        config_sha256: String::new(),
        data_sha256: String::new(),
        program: String::new(),
        device: String::new(),
        trials: 400,
        ei: multipliers.to_vec(),
        ie: multipliers.to_vec(),
        points: multipliers
            .iter()
            .flat_map(|ie| multipliers.iter().map(|ei| point(*ie, *ei)))
            .collect(),
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
            config: Config::default(),
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
