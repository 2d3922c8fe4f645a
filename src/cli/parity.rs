//! `dalenet parity`: engines against golden cases.

use std::path::PathBuf;

use dalenet::device::DeviceOptions;
use dalenet::families::{self, Family};
use dalenet::gpu::{DeviceChoice, Selection, select};
use dalenet::parity::{CaseError, CaseFile, CaseReport, ParityError, Precision, Row};
use dalenet::text;
use serde_json::{Value, json};

use super::arguments::parse_threads;
use super::error::{Result, UsageError, WRONG_USE, While};
use super::output::{note, say, say_table};
use super::{NOT_EQUAL, SUCCESS};

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
    let options = DeviceOptions {
        device: args.device,
        threads: args.threads,
        ..DeviceOptions::default()
    };
    let mut reports = Vec::new();
    let (mut skipped, mut unreadable) = (Vec::new(), Vec::new());
    for path in &find_cases(&args.files)? {
        let compared = CaseFile::load(path)
            .map_err(ParityError::Case)
            .and_then(|file| families::compare(&file, precision, &selection, &options));
        match compared {
            Ok(report) => {
                if !args.json {
                    show(&report);
                }
                reports.push(report);
            }
            Err(ParityError::Case(error @ CaseError::Family { .. })) => {
                note(format!("skipped {error}"));
                skipped.push(error.to_string());
            }
            Err(ParityError::Case(error)) => {
                note(format!("error: {error}"));
                unreadable.push(error.to_string());
            }
            Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
        }
    }
    if reports.is_empty() && unreadable.is_empty() {
        let known = Family::names();
        let problem = format!("there is no case to run; the families that can be run: {known}");
        return Err(UsageError(problem).into());
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

fn show(report: &CaseReport) {
    let passed = if report.passed() { "ok" } else { "FAIL" };
    say(format!("{}: {}: {passed}", report.case, report.sizes));
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
    for tie in &report.ties {
        say(format!(
            "  tie: optimiser step {}, trial {}, time step {}, {} cell {}: at {:.6}, {}",
            tie.optimiser_step,
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
        .map(|tie| {
            json!({
                "optimiser_step": tie.optimiser_step,
                "trial": tie.trial,
                "step": tie.step,
                "population": tie.population,
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
