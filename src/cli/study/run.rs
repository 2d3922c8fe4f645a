//! `dalenet study run`: every cell that has work left, then the tables.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use dalenet::families::Experiment;
use dalenet::gpu::{Selection, select};
use dalenet::study::runner::{self, End, StudyOptions};
use dalenet::study::{Cell, Study, StudyFolder, table};
use dalenet::text;
use dalenet::train::interrupt::Interrupt;
use serde_json::json;

use super::progress::StudyProgress;
use super::{LaneChoice, RunArgs, cell, print_statuses};
use crate::cli::SUCCESS;
use crate::cli::arguments::LogFormat;
use crate::cli::error::{FAILED, Result, UsageError, While};
use crate::cli::output::{note, say};

pub fn run(args: RunArgs) -> Result<u8> {
    let study = Study::load(&args.study)?;
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => PathBuf::from("studies").join(&study.spec.name),
    };
    let folder = StudyFolder::at(folder);
    if args.dry_run {
        return dry_run(&study, &folder, &args);
    }
    if let Some(group) = args.group {
        let all = groups(&study, args.lanes);
        let wanted = all.get(group).ok_or_else(|| {
            UsageError(format!(
                "--group {group}: there are {}, counted from 0",
                text::count(all.len(), "group of cells", "groups of cells")
            ))
        })?;
        folder.claim(&study)?;
        return cell::run(&study, &folder, wanted, &args);
    }
    if !args.cell.is_empty() {
        let wanted = args.cell.iter().map(|wanted| study.cell(wanted));
        let wanted = wanted.collect::<std::result::Result<Vec<_>, _>>()?;
        folder.claim(&study)?;
        return cell::run(&study, &folder, &wanted, &args);
    }
    check_data(&study, &folder, &args)?;
    folder.claim(&study)?;
    let interrupt = Interrupt::install()?;
    let options = StudyOptions {
        program: std::env::current_exe()
            .with_context(|| "cannot find this program to run cells with".to_owned())?,
        arguments: cell_arguments(&folder, &args),
        jobs: usize::from(args.jobs),
        lanes: lanes(&study, &args)?,
    };
    let mut progress = StudyProgress::new(&study, &folder, options.jobs, args.log.into());
    let ends = runner::run(&study, &folder, &options, &interrupt, |cell, event| {
        progress.show(cell, event);
    })?;
    progress.end();
    let tables = table::collect(&folder)?;
    // The tables are there whatever becomes of the page.
    let page = match dalenet::report::write(folder.folder(), folder.folder()) {
        Ok(written) => Some(written.page),
        Err(error) => {
            note(format!("warning: no page: {error}"));
            None
        }
    };
    let failures: Vec<(&Cell, &str)> = ends
        .iter()
        .filter_map(|(index, end)| match end {
            End::Failed(problem) => Some((study.cells.get(*index)?, problem.as_str())),
            _ => None,
        })
        .collect();
    match args.log {
        LogFormat::Human => {
            if let Some(first) = tables.first() {
                say(format!("table  {}", first.display()));
            }
            if let Some(page) = &page {
                say(format!("page   {}", page.display()));
            }
            for (cell, problem) in &failures {
                let line = problem.lines().next().unwrap_or_default();
                let file = folder.failure(&cell.name);
                note(format!(
                    "failed: {}: {line} (more in {})",
                    cell.name,
                    file.display()
                ));
            }
            if interrupt.requested().is_some() {
                note("stopped; run the same command again to continue");
            }
        }
        LogFormat::Json => {
            let failed: Vec<_> = failures.iter().map(|(cell, _)| &cell.name).collect();
            say(
                json!({ "event": "study_ended", "tables": tables, "page": page, "failed": failed }),
            );
        }
    }
    match interrupt.requested() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(FAILED)),
        None if !failures.is_empty() => Ok(FAILED),
        None => Ok(SUCCESS),
    }
}

/// The cells of each process of an array job: as many of one shape as are asked for, else one.
pub fn groups(study: &Study, lanes: LaneChoice) -> Vec<Vec<&Cell>> {
    let cells = study.cells.iter().collect();
    runner::groups(cells, lanes.map_or(1, NonZeroUsize::get))
}

/// The same as indices, for scripts.
pub fn group_indices(study: &Study, lanes: LaneChoice) -> Vec<Vec<usize>> {
    let indices = |group: Vec<&Cell>| group.iter().map(|cell| cell.index).collect();
    groups(study, lanes).into_iter().map(indices).collect()
}

/// Cells of one shape that share an engine.
fn lanes(study: &Study, args: &RunArgs) -> Result<usize> {
    if let Some(lanes) = args.lanes {
        return Ok(lanes.get());
    }
    let on_a_gpu = match select(args.device.options().device)? {
        Selection::Adapter { adapter, .. } => !adapter.info().kind.is_software(),
        Selection::CpuEngine { .. } => false,
    };
    // Every process gets its share of the cells.
    let share = study.cells.len().div_ceil(usize::from(args.jobs));
    Ok(study.family().usual_lanes(on_a_gpu).min(share.max(1)))
}

/// Data that cannot be found are one error, not one of each cell; unless cells have their own.
fn check_data(study: &Study, folder: &StudyFolder, args: &RunArgs) -> Result<()> {
    let is_open = |cell: &&Cell| !folder.status(cell).state.is_complete();
    let mut open = study.cells.iter().filter(is_open);
    let Some(first) = open.next() else {
        return Ok(());
    };
    let config = &first.config;
    if open.all(|cell| cell.config.data() == config.data()) {
        config.check_data(args.data.as_deref())?;
    }
    Ok(())
}

fn dry_run(study: &Study, folder: &StudyFolder, args: &RunArgs) -> Result<u8> {
    let statuses: Vec<_> = study.cells.iter().map(|c| folder.status(c)).collect();
    for cell in &study.cells {
        let device = args.device.options();
        Experiment::prepare(cell.config.clone(), args.data.as_deref(), device)
            .with_context(|| format!("cell {}", cell.name))?;
    }
    match args.log {
        LogFormat::Json => {
            let groups = group_indices(study, args.lanes);
            say(json!({ "study": study.spec, "cells": statuses, "groups": groups }));
        }
        LogFormat::Human => {
            say(format!(
                "{} in {}",
                text::count(study.cells.len(), "cell", "cells"),
                folder.folder().display()
            ));
            print_statuses(study.family(), &statuses);
        }
    }
    Ok(SUCCESS)
}

/// What the process of a cell is told; the study as it was claimed.
fn cell_arguments(folder: &StudyFolder, args: &RunArgs) -> Vec<OsString> {
    let device = &args.device;
    let jobs = usize::from(args.jobs);
    let threads = match (device.threads, jobs) {
        (0, 1) => 0,
        _ => (device.options().threads() / jobs).max(1),
    };
    let mut words: Vec<OsString> = vec!["study".into(), "run".into(), folder.study().into()];
    words.extend(["--out".into(), folder.folder().into()]);
    words.extend(["--log", "json", "--supervised", "--device"].map(OsString::from));
    words.push(device.device.to_string().into());
    words.extend(["--threads".into(), threads.to_string().into()]);
    words.extend(["--backward".into(), device.backward.name().into()]);
    if let Some(bytes) = device.memory {
        words.extend(["--memory".into(), bytes.to_string().into()]);
    }
    if let Some(data) = &args.data {
        words.extend(["--data".into(), data.into()]);
    }
    words
}
