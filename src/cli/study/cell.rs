//! Cells of a study in this process: begun, continued, or left as they are.

use dalenet::families::{self, Experiment, ExperimentError, LaneTicket, Lanes};
use dalenet::study::folder::is_same_run;
use dalenet::study::{Cell, CellState, Study, StudyFolder, runner};
use dalenet::train::interrupt::Interrupt;
use dalenet::train::run_folder::{RunFiles, RunFolderError};

use super::{RunArgs, after};
use crate::cli::SUCCESS;
use crate::cli::arguments::command_line;
use crate::cli::error::{CliError, FAILED, Result, UsageError};
use crate::cli::output::note;
use crate::cli::train::finish;

/// Does what is left to do of `cells`, side by side on one engine where there are several; a failure is recorded in the
/// folder of its cell. The exit code is that of `train`, of several cells the largest.
pub fn run(study: &Study, folder: &StudyFolder, cells: &[&Cell], args: &RunArgs) -> Result<u8> {
    let interrupt = Interrupt::install()?;
    if args.supervised {
        runner::stop_with_input(&interrupt);
    }
    let interrupt = &interrupt;
    if let [cell] = cells {
        return recorded(study, folder, cell, args, interrupt, None);
    }
    let mut shapes = cells.iter().map(|cell| cell.config.lane_shape());
    let first = shapes.next().flatten();
    let lanes = Lanes::new(study.family(), cells.len());
    let lanes = lanes.filter(|_| first.is_some() && shapes.all(|shape| shape == first));
    let Some(lanes) = lanes else {
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        return Err(UsageError(format!(
            "{} cannot share an engine: only cells whose networks and data are of one shape can, of a family that has \
             lanes; run them one by one",
            names.join(", ")
        ))
        .into());
    };
    let outcomes: Vec<Result<u8>> = std::thread::scope(|scope| {
        let tickets: Vec<LaneTicket> = cells.iter().map(|_| lanes.ticket()).collect();
        let mut running = Vec::new();
        for (&cell, ticket) in cells.iter().zip(tickets) {
            let ticket = Some(ticket);
            let lane = move || recorded(study, folder, cell, args, interrupt, ticket);
            running.push(scope.spawn(lane));
        }
        let ended = running.into_iter().map(|lane| match lane.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    });
    let mut codes = Vec::new();
    for (cell, outcome) in cells.iter().zip(outcomes) {
        codes.push(outcome.unwrap_or_else(|error| {
            note(format!("{}: {}", cell.name, error.in_words()));
            error.exit_code()
        }));
    }
    // One that was stopped and goes on says it for all: whoever started them is to start them again.
    Ok(codes.into_iter().max().unwrap_or(SUCCESS))
}

fn recorded(
    study: &Study,
    folder: &StudyFolder,
    cell: &Cell,
    args: &RunArgs,
    interrupt: &Interrupt,
    lane: Option<LaneTicket>,
) -> Result<u8> {
    let outcome = work(study, folder, cell, args, interrupt, lane);
    if let Err(error) = &outcome
        && !is_locked(error)
    {
        folder.write_failure(&cell.name, &error.in_words())?;
    }
    outcome
}

fn work(
    study: &Study,
    folder: &StudyFolder,
    cell: &Cell,
    args: &RunArgs,
    interrupt: &Interrupt,
    lane: Option<LaneTicket>,
) -> Result<u8> {
    let path = folder.cell(&cell.name);
    let state = folder.status(cell).state;
    let code = match state {
        CellState::Running => return Err(RunFolderError::Locked { folder: path }.into()),
        // Others do not wait for one that has nothing to train.
        CellState::Finished => {
            drop(lane);
            SUCCESS
        }
        CellState::Diverged => {
            drop(lane);
            FAILED
        }
        CellState::Pending | CellState::Begun | CellState::Failed => {
            folder.clear_failure(&cell.name)?;
            train(folder, cell, args, interrupt, lane)?
        }
    };
    if state.is_complete() {
        note(format!("{} is complete ({})", cell.name, state.word()));
    }
    if folder.status(cell).state.is_complete() {
        after::measure(study, folder, cell, args, interrupt)?;
    }
    Ok(code)
}

/// Trains a cell from its checkpoint, or from the start.
fn train(
    folder: &StudyFolder,
    cell: &Cell,
    args: &RunArgs,
    interrupt: &Interrupt,
    lane: Option<LaneTicket>,
) -> Result<u8> {
    let path = folder.cell(&cell.name);
    let files = RunFiles::at(&path);
    let (data, device) = (args.data.as_deref(), args.device.options());
    let told = lane.is_some().then_some(cell.index);
    if files.config().is_file() {
        // Its own configuration: the name may be another where `train` began it.
        let run = families::open(&path)?;
        if !is_same_run(&run.config, &cell.config) {
            let problem = folder.status(cell).problem.unwrap_or_default();
            return Err(UsageError(format!("{}: {problem}", path.display())).into());
        }
        let place = run.data_place(data);
        let experiment =
            Experiment::prepare_lane(run.config.clone(), place.as_deref(), device, lane)?;
        let run = experiment.resume(&path, "")?;
        return finish(&experiment, run, args.log.into(), interrupt, told);
    }
    let experiment = Experiment::prepare_lane(cell.config.clone(), data, device, lane)?;
    for warning in experiment.warnings() {
        note(format!("warning: {warning}"));
    }
    // Without its configuration, which is written last, a beginning is no run.
    let force = files.any_exists();
    let run = experiment.start(&path, force, None, command_line(), Vec::new())?;
    finish(&experiment, run, args.log.into(), interrupt, told)
}

/// Another process has the folder: no failure of the cell.
fn is_locked(error: &CliError) -> bool {
    let of_folder = |error: &RunFolderError| matches!(error, RunFolderError::Locked { .. });
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(of_folder)
            || cause.downcast_ref().is_some_and(ExperimentError::is_locked)
    })
}
