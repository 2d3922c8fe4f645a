//! `dalenet study`: many runs along axes, and their tables.

use std::path::PathBuf;

use clap::Subcommand;
use dalenet::families::Family;
use dalenet::study::measures::Measure;
use dalenet::study::spec::StudySpec;
use dalenet::study::{CellStatus, StudyFolder, table};
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
    /// Study file, or the name of a built-in one: audit, trainable_loop, trainable_loop_axes, each
    /// also as short/NAME
    study: PathBuf,
    /// Study folder (default: studies/NAME)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run this cell only, in this process: its index from 0, or its name
    #[arg(long, value_name = "K|NAME")]
    cell: Option<String>,
    /// Cells run at once; the threads are divided among them
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

pub fn run(command: Command) -> Result<u8> {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Status { folder, json } => status(StudyFolder::at(folder), json),
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

fn status(folder: StudyFolder, as_json: bool) -> Result<u8> {
    let study = folder.load_study()?;
    let cells: Vec<CellStatus> = study.cells.iter().map(|c| folder.status(c)).collect();
    if as_json {
        say(json!({ "study": study.spec.name, "cells": cells }));
    } else {
        print_statuses(&cells);
    }
    Ok(SUCCESS)
}

/// A table of how cells stand.
fn print_statuses(cells: &[CellStatus]) {
    let shown = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "-".to_owned(), |x| format!("{x:.decimals$}"))
    };
    let row = |(index, cell): (usize, &CellStatus)| {
        let epoch = cell.epoch.map_or("-".to_owned(), |n| n.to_string());
        let problem = cell.problem.as_deref().and_then(|text| text.lines().next());
        vec![
            cell.cell.clone(),
            index.to_string(),
            format!("{epoch}/{}", cell.epochs),
            shown(cell.accuracy_percent, 2),
            shown(cell.e_rate_hz, 1),
            shown(cell.i_rate_hz, 1),
            match problem {
                Some(problem) => format!("{}: {problem}", cell.state.word()),
                None => cell.state.word().to_owned(),
            },
        ]
    };
    let head = ["cell", "#", "epoch", "test %", "E Hz", "I Hz", "state"];
    let rows: Vec<_> = cells.iter().enumerate().map(row).collect();
    say_table(&head, &rows);
}
