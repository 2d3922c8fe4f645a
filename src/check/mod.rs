//! `dalenet check`: whether a device computes what it should, and what the program would choose there.
//!
//! Built-in golden cases of every family, the faults of drivers that are known, forms of one computation against each
//! other, a few training steps twice, and what the device can do.

mod driver;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::bench::{About, BenchOptions, BenchTarget};
use crate::families::{self, ExperimentError};
use crate::gpu::{Gpu, Selection};
use crate::parity::{CaseFile, CaseReport, Precision};
use crate::summary::Listing;
use crate::text::count;
use crate::train::manifest::DeviceInfo;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is as it is, and the program knows how to live with it.
    Noted,
    /// It does not hold: results of this device are not to be trusted.
    Fails,
}

impl Verdict {
    /// A verdict on a condition that must hold.
    pub fn of(holds: bool) -> Self {
        match holds {
            true => Self::Holds,
            false => Self::Fails,
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Noted => "note",
            Self::Fails => "FAIL",
        }
    }
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was checked.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// How long it took.
    pub seconds: f64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.verdict.word();
        write!(f, "{word:<4}  {}: {}", self.name, self.seen)
    }
}

/// Everything that was found out.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Where, when and with what.
    pub about: About,
    /// Whether everything that must hold does.
    pub holds: bool,
    /// Every check.
    pub findings: Vec<Finding>,
    /// What `dalenet bench` measured, by family; null where it was left out.
    pub speed: Vec<Value>,
    /// The same in tables.
    #[serde(skip)]
    pub listings: Vec<Listing>,
}

/// What to check.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Device and command line.
    pub bench: BenchOptions,
    /// Measure how fast networks train, too.
    pub with_speed: bool,
    /// Make only checks whose names contain this.
    pub only: Option<String>,
}

/// Adds findings and tells of each.
pub struct Checklist<'a> {
    all: Vec<Finding>,
    /// What the names of the checks to be made contain; none: all are.
    only: Option<String>,
    tell: &'a mut dyn FnMut(&Finding),
    began: Instant,
}

impl Checklist<'_> {
    /// Adds a finding; it took as long as it is since the one before.
    pub fn add(&mut self, name: impl Into<String>, verdict: Verdict, seen: impl Into<String>) {
        let finding = Finding {
            name: name.into(),
            verdict,
            seen: seen.into(),
            seconds: self.began.elapsed().as_secs_f64(),
        };
        self.began = Instant::now();
        (self.tell)(&finding);
        self.all.push(finding);
    }

    /// Adds what `check` finds, where it is wanted; an error is a check that fails.
    pub fn check<E: fmt::Display>(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<(Verdict, String), E>,
    ) {
        if !self.is_wanted(name) {
            return;
        }
        let (verdict, seen) = match check() {
            Ok(seen) => seen,
            Err(error) => (Verdict::Fails, error.to_string()),
        };
        self.add(name, verdict, seen);
    }

    /// Adds how a golden case compares, where it is wanted.
    pub fn case<E: fmt::Display>(
        &mut self,
        name: &str,
        compare: impl FnOnce() -> Result<CaseReport, E>,
    ) {
        self.check(name, || {
            compare().map(|report| (Verdict::of(report.passed()), in_words(&report)))
        });
    }

    /// Whether a check of this name is asked for.
    pub fn is_wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }
}

/// What a comparison says in a line.
fn in_words(report: &CaseReport) -> String {
    let failed = report.rows.iter().filter(|row| !row.passed);
    let failed: Vec<_> = failed
        .map(|row| {
            format!(
                "{} (error {:.2e}, allowed {:.2e})",
                row.quantity, row.error, row.tolerance
            )
        })
        .collect();
    let quantities = count(report.rows.len(), "quantity", "quantities");
    let ties = match report.ties.len() {
        0 => String::new(),
        ties => format!(", {} at threshold", count(ties, "decision", "decisions")),
    };
    match failed.is_empty() {
        true => format!("{quantities} as expected{ties}"),
        false => format!("differs in {}", failed.join("; ")),
    }
}

/// A golden case inside the program.
pub struct BuiltInCase {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub bytes: &'static [u8],
}

impl BuiltInCase {
    /// The case.
    ///
    /// # Errors
    /// None for what is built in.
    pub fn file(&self) -> Result<CaseFile, crate::parity::CaseError> {
        CaseFile::parse(Path::new(self.name), self.bytes.to_vec())
    }
}

/// What families check on.
pub struct Checked<'a> {
    /// The device.
    pub target: &'a BenchTarget,
    /// Precision of its engines.
    pub precision: Precision,
}

/// Checks a device; `tell` hears each finding, `progress` what is being measured.
///
/// # Errors
/// No such device, or one that cannot be opened.
pub fn run(
    options: &CheckOptions,
    tell: &mut dyn FnMut(&Finding),
    progress: &mut dyn FnMut(&str),
) -> Result<CheckReport, ExperimentError> {
    let target = options.bench.target()?;
    let mut about = options
        .bench
        .about(&target, "built-in cases and synthetic digits");
    let mut checklist = Checklist {
        all: Vec::new(),
        only: options.only.clone(),
        tell,
        began: Instant::now(),
    };
    match &target.selection {
        Selection::CpuEngine { reason } => {
            about.reason.clone_from(reason);
            about.device.name = crate::device::processor_name();
            about.device.backend = "cpu".into();
        }
        Selection::Adapter { adapter, reason } => {
            let info = adapter.info();
            about.reason.clone_from(reason);
            about.device = DeviceInfo {
                name: info.name.clone(),
                driver: Some(info.driver.clone()),
                backend: info.backend.clone(),
                ..about.device
            };
            let gpu = Gpu::open(adapter)?;
            driver::check(&gpu, info, &mut checklist);
        }
    }
    let checked = Checked {
        target: &target,
        precision: Precision::F32,
    };
    families::check(&checked, &mut checklist);
    let (mut speed, mut listings) = (Vec::new(), Vec::new());
    if options.with_speed {
        for summary in families::check_speed(&options.bench, progress) {
            let summary = summary?;
            speed.push(serde_json::from_str(&summary.json).unwrap_or(Value::Null));
            listings.extend(summary.listings);
        }
    }
    Ok(CheckReport {
        about,
        holds: checklist.all.iter().all(|f| f.verdict != Verdict::Fails),
        findings: checklist.all,
        speed,
        listings,
    })
}
