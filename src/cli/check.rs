//! `dalenet check`: whether a device computes what it should.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dalenet::bench::BenchOptions;
use dalenet::check::{CheckOptions, Verdict, run as check};
use dalenet::families;
use dalenet::files::{free_path, write_atomic};
use dalenet::text::count;

use super::arguments::{Device, command_line};
use super::error::{Result, UsageError};
use super::output::{note, say, say_table};
use super::{NOT_EQUAL, SUCCESS};

/// Check that a device computes what it should, and how fast
///
/// Runs built-in golden cases of every family, looks for faults that drivers are known to have, compares the forms of the
/// backward pass and the spikes of the CPU, trains a few steps twice, and measures speed. Everything goes into a file,
/// to be sent with a report of a fault. Exit codes: 0 everything holds; 1 something does not; 3 no such device.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: Device,
    /// Leave out the measurement of speed
    #[arg(long)]
    no_speed: bool,
    /// Make only checks whose names contain this, for example ping
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// File for everything that was found (.json) [default: dalenet-check.json, or dalenet-check-2.json where there is one]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<u8> {
    let options = CheckOptions {
        bench: BenchOptions {
            started: Instant::now(),
            device: args.device.options(),
            networks: Vec::new(),
            set: Vec::new(),
            seed: None,
            builtins: families::BUILTINS,
            batch: None,
            repetitions: Some(2),
            quick: true,
            command: command_line(),
        },
        with_speed: !args.no_speed && args.only.is_none(),
        only: args.only,
    };
    let mut measuring = |what: &str| note(format!("measuring {what}"));
    let report = check(&options, &mut |finding| say(finding), &mut measuring)?;
    for listing in &report.listings {
        say(format!("\n{}", listing.title));
        let head: Vec<&str> = listing.head.iter().map(String::as_str).collect();
        say_table(&head, &listing.rows);
    }
    let out = args.out;
    let out = out.unwrap_or_else(|| free_path(Path::new(""), "dalenet-check", ".json"));
    write_atomic(&out, serde_json::to_string_pretty(&report)?.as_bytes())?;
    if report.findings.is_empty() {
        return Err(UsageError("--only: no check has a name that contains this".into()).into());
    }
    let failed = report
        .findings
        .iter()
        .filter(|f| f.verdict == Verdict::Fails);
    let failed = failed.count();
    say("");
    say(match failed {
        0 => format!("everything holds on {}", report.about.device.name),
        n => format!(
            "{} on {}: its results are not to be trusted; please report it with the file below",
            count(n, "check fails", "checks fail"),
            report.about.device.name
        ),
    });
    say(format!("written to {}", out.display()));
    Ok(if report.holds { SUCCESS } else { NOT_EQUAL })
}
