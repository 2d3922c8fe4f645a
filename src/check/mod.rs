//! `dalenet check`: whether a device computes what it should, and what the program would choose there.
//!
//! Built-in golden cases of every family, the faults of drivers that are known, forms of one computation against each
//! other, a few training steps twice, and what the device can do.

mod driver;
mod run;

pub use run::{CheckOptions, CheckReport, run};

use std::fmt;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::bench::BenchTarget;
use crate::parity::{CaseFile, CaseReport, Precision};
use crate::text::count;

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
