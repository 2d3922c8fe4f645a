//! `dalenet report`: a run or a study becomes a page.

use std::path::PathBuf;

use anyhow::Result;
use dalenet::report;

use super::SUCCESS;
use super::output::{note, say};

/// Write the page of a run or a study, with figures and numbers
///
/// Beside the run or the study: report.html (one file, no network), figures/ (SVG, PNG and CSV of each) and
/// numbers.csv. Runs and studies under way give a page that says what is missing.
#[derive(clap::Args)]
pub struct Args {
    /// Run folder or study folder
    #[arg(value_name = "RUN|STUDY")]
    folder: PathBuf,
    /// Write into this folder instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<u8> {
    let out = args.out.as_ref().unwrap_or(&args.folder);
    let written = report::write(&args.folder, out)?;
    for (title, reason) in &written.missing {
        note(format!("not drawn: {title}: {reason}"));
    }
    say(written.page.display());
    Ok(SUCCESS)
}
