//! `dalenet study`: many runs along axes, and their tables.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Subcommand;
use dalenet::families::Family;
use dalenet::study::measures::Measure;
use dalenet::study::spec::StudySpec;
use dalenet::study::{CellStatus, StudyFolder, short_name, shown_metrics, table};
use dalenet::train::metrics::Metric;
use serde_json::json;

use super::SUCCESS;
use super::arguments::{Device, LogFormat};
use super::error::Result;
use super::output::{say, say_table};

mod after;
mod cell;
mod progress;
mod run;

/// Studies: many runs along axes, and their tables
#[derive(Subcommand)]
pub enum Command {
    /// Run every cell of a study that is not complete, each in its own process
    ///
    /// Cells that are complete are left as they are, begun ones continue from their checkpoint; so the
    /// same command continues a study that was stopped. A cell that fails does not stop the others;
    /// the exit code is then 1. When all have ended, the tables and the page are written.
    Run(Box<RunArgs>),
    /// Show the status of each cell of a study; also works while the study is running
    Status {
        /// Study folder
        folder: PathBuf,
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
        /// In the JSON, groups of as many cells of one shape (see `study run --group`)
        #[arg(long, value_name = "N", default_value = "1", value_parser = lanes)]
        lanes: LaneChoice,
    },
    /// Write the tables of a study: a row a cell, and means over seeds
    ///
    /// table.csv and .json have every measure of every cell, table_by_condition.csv and .json mean
    /// and spread over seeds; table.json says what each measure is. provenance.csv has what differs
    /// between equal runs: times and places.
    Collect {
        /// Study folder
        folder: PathBuf,
    },
    /// List the measures that are collected: name, unit and what they are
    Measures,
    /// Print the JSON Schema of a study file
    Schema,
}

/// What and how to run.
#[derive(clap::Args)]
pub struct RunArgs {
    /// Study file, or the name of a built-in one: audit, trainable_loop, trainable_loop_axes, orientation, and
    /// spectra_depth, _size, _fraction, _adding, _transplant, _radius and _entropy, each also as short/NAME;
    /// orientation_offsets, orientation_fresh, orientation_open, small_digits
    study: PathBuf,
    /// Study folder (default: studies/NAME)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run this cell only, in this process: its index from 0, or its name; several with commas between them share an
    /// engine
    #[arg(long, value_name = "K|NAME,…", value_delimiter = ',')]
    cell: Vec<String>,
    /// Run the cells of this group, in this process: groups, from 0, are of as many cells of one shape as --lanes says,
    /// of one cell where it says nothing
    #[arg(long, value_name = "K", conflicts_with = "cell")]
    group: Option<usize>,
    /// Cells of one shape that share an engine, side by side: a number, or auto (many on a
    /// GPU, and of rate RNNs)
    #[arg(long, value_name = "N|auto", default_value = "auto", value_parser = lanes)]
    lanes: LaneChoice,
    /// Processes run at once; the threads are divided among them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Folder of MNIST, or where the configured data file is
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
    /// Output: human or json
    #[arg(long, value_enum, default_value = "human")]
    log: LogFormat,
    /// Check everything, show the status of each cell, and stop
    #[arg(long)]
    dry_run: bool,
    /// Stop when the standard input ends or names an exit code: for cells of a study that runs
    #[arg(long, hide = true, requires = "cell")]
    supervised: bool,
}

/// Cells that share an engine; none: as the device suggests.
type LaneChoice = Option<NonZeroUsize>;

fn lanes(text: &str) -> std::result::Result<LaneChoice, String> {
    match text {
        "auto" => Ok(None),
        number => number
            .parse()
            .map(Some)
            .map_err(|_| "must be auto, or a number from 1".to_owned()),
    }
}

pub fn run(command: Command) -> Result<u8> {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Status {
            folder,
            json,
            lanes,
        } => status(StudyFolder::at(folder), json, lanes),
        Command::Collect { folder } => {
            for path in table::collect(&StudyFolder::at(folder))? {
                say(path.display());
            }
            Ok(SUCCESS)
        }
        Command::Measures => {
            let row = |m: &Measure| vec![m.name.clone(), m.unit.to_owned(), m.meaning.clone()];
            let rows: Vec<_> = Family::all_measures().into_iter().map(row).collect();
            say_table(&["name", "unit", "meaning"], &rows);
            Ok(SUCCESS)
        }
        Command::Schema => {
            let schema = schemars::schema_for!(StudySpec).to_value();
            say(format!("{schema:#}"));
            Ok(SUCCESS)
        }
    }
}

fn status(folder: StudyFolder, as_json: bool, lanes: LaneChoice) -> Result<u8> {
    let study = folder.load_study()?;
    let cells: Vec<CellStatus> = study.cells.iter().map(|c| folder.status(c)).collect();
    if as_json {
        let groups = run::group_indices(&study, lanes);
        say(json!({ "study": study.spec.name, "cells": cells, "groups": groups }));
    } else {
        print_statuses(study.family(), &cells);
    }
    Ok(SUCCESS)
}

/// A table of how cells stand.
fn print_statuses(family: Family, cells: &[CellStatus]) {
    // What no cell has is of another task of the family.
    let has = |metric: &Metric| {
        let name = short_name(metric);
        cells
            .iter()
            .any(|cell| cell.measured.get(&name).copied().flatten().is_some())
    };
    let shown: Vec<_> = shown_metrics(family)
        .filter(|(metric, _)| has(metric))
        .collect();
    let row = |(index, cell): (usize, &CellStatus)| {
        let epoch = cell.epoch.map_or("-".to_owned(), |n| n.to_string());
        let problem = cell.problem.as_deref().and_then(|text| text.lines().next());
        let numbers = shown.iter().map(|(metric, in_line)| {
            let value = cell.measured.get(&short_name(metric)).copied().flatten();
            value.map_or("-".to_owned(), |x| format!("{x:.*}", in_line.decimals))
        });
        let state = match problem {
            Some(problem) => format!("{}: {problem}", cell.state.word()),
            None => cell.state.word().to_owned(),
        };
        [
            cell.cell.clone(),
            index.to_string(),
            format!("{epoch}/{}", cell.epochs),
        ]
        .into_iter()
        .chain(numbers)
        .chain([state])
        .collect()
    };
    let heads = shown.iter().map(|(metric, in_line)| match metric.unit {
        "1" => in_line.word.to_owned(),
        unit => format!("{} {unit}", in_line.word),
    });
    let head: Vec<String> = ["cell", "#", "epoch"]
        .map(str::to_owned)
        .into_iter()
        .chain(heads)
        .chain(["state".to_owned()])
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows: Vec<_> = cells.iter().enumerate().map(row).collect();
    say_table(&head, &rows);
}
