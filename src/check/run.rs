//! All checks of a device, one after another.

use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::{Checked, Checklist, Finding, Verdict, driver};
use crate::bench::{About, BenchOptions};
use crate::families::{self, ExperimentError};
use crate::gpu::{Gpu, Selection};
use crate::parity::Precision;
use crate::summary::Listing;
use crate::train::manifest::DeviceInfo;

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
    about.device = DeviceInfo::of(&target.selection, options.bench.device.threads());
    match &target.selection {
        Selection::CpuEngine { reason } => {
            about.reason.clone_from(reason);
        }
        Selection::Adapter { adapter, reason } => {
            let info = adapter.info();
            about.reason.clone_from(reason);
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
