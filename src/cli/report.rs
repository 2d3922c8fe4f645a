//! `dalenet report`: a run or a study becomes a page.

use std::path::PathBuf;

use dalenet::report;
use dalenet::study::StudyFolder;
use dalenet::train::run_folder::RunFiles;

use super::SUCCESS;
use super::error::{Result, UsageError};
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
    /// Write into this folder instead, which must hold no run or study
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<u8> {
    if let Some(out) = &args.out {
        // A page there would stand beside what it was not made of.
        let holder = [
            (RunFiles::at(out).config(), "a run"),
            (StudyFolder::at(out).study(), "a study"),
        ];
        if let Some((_, what)) = holder.iter().find(|(file, _)| file.is_file()) {
            return Err(UsageError(format!(
                "--out {}: that folder holds {what}; name another, or leave --out away to write beside {}",
                out.display(),
                args.folder.display()
            ))
            .into());
        }
    }
    let out = args.out.as_ref().unwrap_or(&args.folder);
    let written = report::write(&args.folder, out)?;
    for (title, reason) in &written.missing {
        note(format!("not drawn: {title}: {reason}"));
    }
    say(written.page.display());
    Ok(SUCCESS)
}
