//! `dalenet parity`: engines against golden cases.

use std::path::PathBuf;

use dalenet::conductance::cpu::CpuEngine;
use dalenet::conductance::engine::{Engine, EngineError};
use dalenet::conductance::open::{DeviceOptions, open_selected};
use dalenet::conductance::plan::default_segment_steps;
use dalenet::gpu::{DeviceChoice, Selection, select};
use dalenet::parity::{self, Case, CaseError, CaseReport, Precision, Row};
use dalenet::text;
use serde_json::{Value, json};

use super::arguments::parse_threads;
use super::error::{Result, UsageError, WRONG_USE, While};
use super::output::{note, say, say_table};
use super::{NOT_EQUAL, SUCCESS};

/// Family of the cases that can be run.
const FAMILY: &str = "conductance";

/// Compare the engines with golden cases
///
/// A case of another family is skipped and counted. Exit codes: 0 all hold; 1 something is not equal; 2 a case cannot
/// be read or has a setting that is not known; 3 no such device.
#[derive(clap::Args)]
pub struct Args {
    /// Case files (.safetensors), or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Device: cpu, gpu, auto, or an adapter's number from `dalenet info`
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Precision of the engine; f64 on the CPU only
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionName,
    /// Worker threads of the CPU engine (0: all cores)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    threads: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PrecisionName {
    F32,
    F64,
}

pub fn run(args: Args) -> Result<u8> {
    let selection = select(args.device)?;
    let precision = match (args.precision, &selection) {
        (PrecisionName::F32, _) => Precision::F32,
        (PrecisionName::F64, Selection::CpuEngine { .. }) => Precision::F64,
        (PrecisionName::F64, Selection::Adapter { .. }) => {
            return Err(UsageError(
                "GPUs compute in single precision here: use --precision f32, or --device cpu"
                    .into(),
            )
            .into());
        }
    };
    let mut reports = Vec::new();
    let (mut skipped, mut unreadable) = (Vec::new(), Vec::new());
    for path in &find_cases(&args.files)? {
        let case = match Case::load(path) {
            Ok(case) => case,
            Err(error @ CaseError::Family { .. }) => {
                note(format!("skipped {error}"));
                skipped.push(error.to_string());
                continue;
            }
            Err(error) => {
                note(format!("error: {error}"));
                unreadable.push(error.to_string());
                continue;
            }
        };
        let options = DeviceOptions {
            device: args.device,
            threads: args.threads,
            ..DeviceOptions::default()
        };
        let report = parity::run(&case, precision, &mut |case| {
            engine(case, precision, &selection, &options)
        })
        .with_context(|| format!("{}", path.display()))?;
        if !args.json {
            show(&case, &report);
        }
        reports.push(report);
    }
    if reports.is_empty() && unreadable.is_empty() {
        return Err(UsageError(format!("there is no case of the {FAMILY} family to run")).into());
    }
    let passed = reports.iter().filter(|report| report.passed()).count();
    if args.json {
        let cases: Vec<Value> = reports.iter().map(as_json).collect();
        say(json!({
            "device": selection.reason(),
            "precision": if precision == Precision::F32 { "f32" } else { "f64" },
            "cases": cases,
            "count": reports.len(),
            "passed": passed,
            "skipped": skipped,
            "unreadable": unreadable,
        }));
    } else {
        let mut summary = format!(
            "{}, {passed} passed",
            text::count(reports.len(), "case", "cases")
        );
        if !skipped.is_empty() {
            summary += &format!("; {} of other families skipped", skipped.len());
        }
        if !unreadable.is_empty() {
            summary += &format!("; {} that cannot be run, see above", unreadable.len());
        }
        say(summary);
    }
    Ok(if !unreadable.is_empty() {
        WRONG_USE
    } else if passed < reports.len() {
        NOT_EQUAL
    } else {
        SUCCESS
    })
}

fn engine(
    case: &Case,
    precision: Precision,
    selection: &Selection,
    options: &DeviceOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    let (params, weights) = (&case.params, &case.weights);
    if precision == Precision::F64 {
        let segment = default_segment_steps(params.steps);
        let threads = options.threads();
        let engine = CpuEngine::<f64>::new(params.clone(), weights, threads, segment)?;
        return Ok(Box::new(engine));
    }
    let trials = case.batch.trials();
    Ok(open_selected(selection.clone(), params, weights, options, trials)?.engine)
}

/// The files named, and all that are in the folders named.
fn find_cases(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut cases = Vec::new();
    for path in files {
        if !path.is_dir() {
            cases.push(path.clone());
            continue;
        }
        let io = |source| CaseError::Io {
            path: path.clone(),
            source,
        };
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(io)? {
            let file = entry.map_err(io)?.path();
            if file.extension().is_some_and(|e| e == "safetensors") {
                inside.push(file);
            }
        }
        inside.sort();
        cases.extend(inside);
    }
    Ok(cases)
}

fn show(case: &Case, report: &CaseReport) {
    let p = &case.params;
    say(format!(
        "{}: {}, {}, {}, {}: {}",
        report.case,
        text::count(p.n_e(), "E cell", "E cells"),
        text::count(p.n_i(), "I cell", "I cells"),
        text::count(p.steps, "time step", "time steps"),
        text::count(case.batch.trials(), "trial", "trials"),
        if report.passed() { "ok" } else { "FAIL" }
    ));
    let row = |row: &Row| {
        vec![
            format!("  {}", row.quantity),
            text::number(row.error),
            text::number(row.tolerance),
            if row.passed { "ok" } else { "FAIL" }.to_owned(),
            row.note.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = report.rows.iter().map(row).collect();
    say_table(&["  quantity", "error", "tolerance", "", "note"], &rows);
    if report.imposed {
        say("  the rasters differ, so the expected spikes were imposed at every step");
    }
    for (step, tie) in &report.ties {
        say(format!(
            "  tie: optimiser step {step}, trial {}, time step {}, {:?} cell {}: at {:.6}, {}",
            tie.trial,
            tie.step,
            tie.population,
            tie.cell,
            tie.value,
            if tie.fires {
                "fires here"
            } else {
                "does not fire here"
            }
        ));
    }
    say("");
}

fn as_json(report: &CaseReport) -> Value {
    let rows: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            json!({
                "quantity": row.quantity,
                "error": row.error,
                "tolerance": row.tolerance,
                "passed": row.passed,
                "note": row.note,
            })
        })
        .collect();
    let ties: Vec<Value> = report
        .ties
        .iter()
        .map(|(step, tie)| {
            json!({
                "optimiser_step": step,
                "trial": tie.trial,
                "step": tie.step,
                "population": format!("{:?}", tie.population),
                "cell": tie.cell,
                "value": tie.value,
                "fires": tie.fires,
            })
        })
        .collect();
    json!({
        "case": report.case,
        "passed": report.passed(),
        "imposed": report.imposed,
        "ties": ties,
        "rows": rows,
    })
}
