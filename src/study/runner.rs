//! Runs the cells of a study, each in a process of its own: a panic, a lost device or too little
//! memory ends one cell and not the study.
//!
//! A cell's process writes one JSON event a line to its standard output and watches its standard
//! input: a number there asks it to stop with that exit code, and so does the end of the input. A
//! study that is killed thereby takes its cells along, and each leaves a checkpoint.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::expand::Cell;
use super::folder::Unmeasured;
use super::folder::{CellState, StudyFolder};
use super::{Study, StudyError};
use crate::train::interrupt::Interrupt;

/// How often it is looked whether somebody asked to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Most of a process's last words that are kept, bytes.
const STDERR_TAIL_BYTES: usize = 16 << 10;

/// How cells are run.
#[derive(Clone, Debug)]
pub struct StudyOptions {
    /// The program.
    pub program: PathBuf,
    /// Its arguments but for the cells, which are added as `--cell INDEX,…`.
    pub arguments: Vec<OsString>,
    /// Processes run at once, at least 1.
    pub jobs: usize,
    /// Cells of one shape that a process runs side by side, at the most.
    pub lanes: usize,
}

/// What happens to a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum StudyEvent {
    /// Its process started.
    Started,
    /// Its process said something: one event of the JSON log.
    Output(Value),
    /// It ended.
    Ended(End),
}

/// How a cell ended in this session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was left to do.
    AlreadyComplete(CellState),
    /// Trained to its end.
    Finished,
    /// No gradient was finite any more; the last finite weights are kept.
    Diverged,
    /// Another process works on it.
    Elsewhere,
    /// Asked to stop; it goes on when the study is run again.
    Stopped,
    /// It failed, and why.
    Failed(String),
}

/// How the cells ended, by index; cells that never started are not in it.
pub type Ends = BTreeMap<usize, End>;

enum Message {
    Started(Vec<usize>, ChildStdin),
    Output(usize, Value),
    Ended(usize, End),
}

/// Runs every cell of `cells` (indices) that has work left, `options.jobs` at once, and tells
/// `show` about it. Once `interrupt` is requested no cell is started, and those that run are asked
/// to stop.
///
/// # Errors
/// The folder cannot be written. What happens to a cell is an [`End`].
pub fn run(
    study: &Study,
    folder: &StudyFolder,
    options: &StudyOptions,
    interrupt: &Interrupt,
    mut show: impl FnMut(&Cell, &StudyEvent),
) -> Result<Ends, StudyError> {
    let mut ends = Ends::new();
    let mut waiting = Vec::new();
    for cell in &study.cells {
        match left_to_do(study, folder, cell) {
            Some(end) => {
                show(cell, &StudyEvent::Ended(end.clone()));
                ends.insert(cell.index, end);
            }
            None => waiting.push(cell),
        }
    }
    let waiting: VecDeque<Vec<&Cell>> = groups(waiting, options.lanes).into();
    let jobs = options.jobs.clamp(1, waiting.len().max(1));
    let waiting = Mutex::new(waiting);
    let next = || {
        if interrupt.requested().is_some() {
            return None;
        }
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    };
    std::thread::scope(|scope| {
        let (sender, messages) = mpsc::channel();
        for _ in 0..jobs {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(cells) = next() {
                    let ends = run_cells(folder, &cells, options, interrupt, &sender);
                    for (cell, end) in cells.into_iter().zip(ends) {
                        // The receiver outlives this thread.
                        let _ = sender.send(Message::Ended(cell.index, end));
                    }
                }
            });
        }
        drop(sender);
        // By the first of a process's cells, the only one to stand for it.
        let mut inputs: BTreeMap<usize, ChildStdin> = BTreeMap::new();
        loop {
            if let Some(code) = interrupt.requested() {
                // Closing the input says the same to a process that reads no number.
                for (_, mut input) in std::mem::take(&mut inputs) {
                    let _ = writeln!(input, "{code}");
                }
            }
            let (indices, event) = match messages.recv_timeout(POLL_INTERVAL) {
                Ok(Message::Started(indices, input)) => {
                    inputs.extend(indices.first().map(|first| (*first, input)));
                    (indices, StudyEvent::Started)
                }
                Ok(Message::Output(index, said)) => (vec![index], StudyEvent::Output(said)),
                Ok(Message::Ended(index, end)) => {
                    inputs.remove(&index);
                    ends.insert(index, end.clone());
                    (vec![index], StudyEvent::Ended(end))
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            for cell in indices.iter().filter_map(|index| study.cells.get(*index)) {
                show(cell, &event);
            }
        }
    });
    Ok(ends)
}

/// How a cell that needs no process ends; none for one with work left.
fn left_to_do(study: &Study, folder: &StudyFolder, cell: &Cell) -> Option<End> {
    let state = folder.status(cell).state;
    match state {
        CellState::Running => Some(End::Elsewhere),
        _ if folder.unmeasured(study, cell) != Unmeasured::default() => None,
        _ if state.is_complete() => Some(End::AlreadyComplete(state)),
        _ => None,
    }
}

/// Cells that one process runs: at most `lanes` of one shape, in the order of their first.
pub fn groups(cells: Vec<&Cell>, lanes: usize) -> Vec<Vec<&Cell>> {
    let mut groups: Vec<(Option<String>, Vec<&Cell>)> = Vec::new();
    for cell in cells {
        let shape = cell.config.lane_shape().filter(|_| lanes > 1);
        let has_room = |(of, own): &&mut (Option<String>, Vec<&Cell>)| {
            shape.is_some() && *of == shape && own.len() < lanes
        };
        match groups.iter_mut().find(has_room) {
            Some((_, own)) => own.push(cell),
            None => groups.push((shape, vec![cell])),
        }
    }
    groups.into_iter().map(|(_, cells)| cells).collect()
}

fn run_cells(
    folder: &StudyFolder,
    cells: &[&Cell],
    options: &StudyOptions,
    interrupt: &Interrupt,
    sender: &Sender<Message>,
) -> Vec<End> {
    let cleared: Result<Vec<()>, _> = cells
        .iter()
        .map(|cell| folder.clear_failure(&cell.name))
        .collect();
    let outcome = cleared
        .map_err(StudyError::from)
        .and_then(|_| supervise(cells, options, sender));
    let (exit, stderr_tail) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return vec![End::Failed(error.to_string()); cells.len()],
    };
    // Where several share a process, another may have failed it.
    let is_well = exit.success() || cells.len() > 1;
    let end = |cell: &&Cell| {
        let status = folder.status(cell);
        if let Some(problem) = folder.read_failure(&cell.name) {
            return End::Failed(problem);
        }
        match status.state {
            CellState::Finished if is_well => End::Finished,
            CellState::Diverged => End::Diverged,
            CellState::Running => End::Elsewhere,
            _ if interrupt.requested().is_some() => End::Stopped,
            _ => {
                let mut problem = format!("the cell's process ended with {exit}");
                if let Some(notes) = status.problem {
                    problem += &format!("\n{notes}");
                }
                if !stderr_tail.trim().is_empty() {
                    problem += &format!("\n{}", stderr_tail.trim());
                }
                if let Err(error) = folder.write_failure(&cell.name, &problem) {
                    problem += &format!("\n{error}");
                }
                End::Failed(problem)
            }
        }
    };
    cells.iter().map(end).collect()
}

/// Starts the process of some cells, passes on what it says, and waits for its end.
fn supervise(
    cells: &[&Cell],
    options: &StudyOptions,
    sender: &Sender<Message>,
) -> Result<(ExitStatus, String), StudyError> {
    let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
    let failed = |source| StudyError::Start {
        program: options.program.clone(),
        cell: names.join(", "),
        source,
    };
    let indices: Vec<usize> = cells.iter().map(|cell| cell.index).collect();
    let listed: Vec<String> = indices.iter().map(usize::to_string).collect();
    let mut child: Child = Command::new(&options.program)
        .args(&options.arguments)
        .args(["--cell", &listed.join(",")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(input) = child.stdin.take() {
        // The receiver outlives this thread.
        let _ = sender.send(Message::Started(indices.clone(), input));
    }
    let errors = child.stderr.take();
    let stderr_tail = std::thread::spawn(move || errors.map_or(String::new(), stderr_tail));
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            let Ok(said) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            // What names no cell is of the only one.
            let named = said["cell"].as_u64().map(|cell| cell as usize);
            let of = named
                .filter(|cell| indices.contains(cell))
                .or(indices.first().copied());
            if let Some(index) = of {
                let _ = sender.send(Message::Output(index, said));
            }
        }
    }
    let status = child.wait().map_err(failed)?;
    Ok((status, stderr_tail.join().unwrap_or_default()))
}

/// The end of what a process writes to standard error.
fn stderr_tail(mut errors: impl Read) -> String {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = errors.read(&mut piece) {
        kept.extend_from_slice(&piece[..n]);
        let surplus = kept.len().saturating_sub(STDERR_TAIL_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Asks `interrupt` to stop once a number comes in on standard input, or its end: for the process of
/// a cell, which is to stop with the study that started it.
pub fn stop_with_input(interrupt: &Interrupt) {
    const TERMINATED: u8 = 143;
    let interrupt = interrupt.clone();
    std::thread::spawn(move || {
        let mut line = String::new();
        let code = match std::io::stdin().read_line(&mut line) {
            Ok(_) => line.trim().parse().unwrap_or(TERMINATED),
            Err(_) => TERMINATED,
        };
        interrupt.request(code);
    });
}
