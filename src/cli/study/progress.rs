//! What a person at the terminal, or a program reading the pipe, sees of a study: on a terminal a
//! line of every running cell, redrawn, below those that ended; in a pipe a line an epoch.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};

use dalenet::families::Family;
use dalenet::study::runner::{End, StudyEvent};
use dalenet::study::{Cell, CellState, Study, StudyFolder};
use dalenet::text;
use dalenet::train::metrics::EpochMetrics;
use dalenet::train::progress::{Log, epoch_line};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::output::say;

/// Shows how a study goes.
pub struct StudyProgress {
    log: Log,
    name_width: usize,
    jobs: usize,
    cells: Vec<CellProgress>,
    seconds_per_epoch: Option<f64>,
    /// Only on a terminal.
    drawn: Option<Drawn>,
}

/// How far a cell has come.
#[derive(Clone, Debug, Default)]
struct CellProgress {
    epochs: u64,
    epochs_done: u64,
    is_running: bool,
    /// Nothing more happens to it in this session.
    is_over: bool,
    left_seconds: Option<f64>,
    /// Accuracy and rates after the newest epoch.
    newest: String,
}

struct Drawn {
    lines: MultiProgress,
    running: BTreeMap<usize, ProgressBar>,
    total: ProgressBar,
}

impl Drawn {
    fn new() -> Self {
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let total = lines.add(plain_line());
        Self {
            lines,
            running: BTreeMap::new(),
            total,
        }
    }
}

/// A line that is only its message.
fn plain_line() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // A constant template; should it ever be wrong, the plain spinner does.
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        bar.set_style(style);
    }
    bar
}

impl StudyProgress {
    /// The progress of all cells as they stand, of which `jobs` run at once.
    pub fn new(study: &Study, folder: &StudyFolder, jobs: usize, log: Log) -> Self {
        let progress = |cell: &Cell| {
            let status = folder.status(cell);
            CellProgress {
                epochs: status.epochs,
                epochs_done: status.epoch.unwrap_or(0),
                ..CellProgress::default()
            }
        };
        let cells: Vec<_> = study.cells.iter().map(progress).collect();
        match log {
            Log::Human => say(format!(
                "study  {}: {}\nfolder {}",
                study.spec.name,
                text::count(study.cells.len(), "cell", "cells"),
                folder.folder().display()
            )),
            Log::Json => {
                let names: Vec<_> = study.cells.iter().map(|cell| &cell.name).collect();
                say(json!({ "event": "study", "study": study.spec.name, "cells": names }));
            }
        }
        let names = study.cells.iter().map(|cell| cell.name.chars().count());
        Self {
            log,
            name_width: names.max().unwrap_or(0),
            jobs: jobs.min(cells.len()).max(1),
            cells,
            seconds_per_epoch: None,
            drawn: (log == Log::Human && stdout().is_terminal()).then(Drawn::new),
        }
    }

    /// To be called with everything that happens to a cell.
    pub fn show(&mut self, cell: &Cell, event: &StudyEvent) {
        self.update(cell.index, event);
        match self.log {
            Log::Json => self.show_json(cell, event),
            Log::Human => self.show_lines(cell, event),
        }
    }

    /// The study is over.
    pub fn end(&mut self) {
        if let Some(drawn) = self.drawn.take() {
            let _ = drawn.lines.clear();
        }
    }

    fn update(&mut self, index: usize, event: &StudyEvent) {
        let Some(progress) = self.cells.get_mut(index) else {
            return;
        };
        match event {
            StudyEvent::Started => progress.is_running = true,
            StudyEvent::Ended(_) => {
                progress.is_running = false;
                progress.is_over = true;
            }
            StudyEvent::Output(said) => {
                if let Some(metrics) = metrics_of(said) {
                    progress.epochs_done = metrics.epoch();
                    progress.newest = newest(&metrics);
                }
                if let Some(left) = said["left_seconds"].as_f64() {
                    progress.left_seconds = Some(left);
                    let epochs = progress.epochs.saturating_sub(progress.epochs_done);
                    if epochs > 0 {
                        self.seconds_per_epoch = Some(left / epochs as f64);
                    }
                }
            }
        }
    }

    fn show_json(&self, cell: &Cell, event: &StudyEvent) {
        let mut line = match event {
            StudyEvent::Started => json!({ "event": "cell_started" }),
            StudyEvent::Output(said) => said.clone(),
            StudyEvent::Ended(end) => {
                let (state, problem) = words(end);
                json!({ "event": "cell_ended", "state": state, "problem": problem })
            }
        };
        if let Value::Object(fields) = &mut line {
            fields.insert("cell".into(), cell.name.as_str().into());
        }
        say(line);
    }

    fn show_lines(&mut self, cell: &Cell, event: &StudyEvent) {
        let index = cell.index;
        let name = format!("{:<width$}", cell.name, width = self.name_width);
        let permanent = match event {
            StudyEvent::Started => None,
            StudyEvent::Output(said) => self.line_of(&name, said, index),
            StudyEvent::Ended(end) => {
                let (state, problem) = words(end);
                let newest = self.cells.get(index).map_or("", |p| &p.newest[..]);
                let mut line = format!("{name}  {state:<8}  {newest}");
                if let Some(problem) = problem.and_then(|text| text.lines().next()) {
                    line += problem;
                }
                Some(line.trim_end().to_owned())
            }
        };
        let total = self.total();
        let running = self.running_line(&name, index);
        let Some(drawn) = &mut self.drawn else {
            if let Some(line) = permanent {
                say(line);
            }
            return;
        };
        match event {
            StudyEvent::Ended(_) => {
                if let Some(bar) = drawn.running.remove(&index) {
                    drawn.lines.remove(&bar);
                }
                if let Some(line) = permanent {
                    let _ = drawn.lines.println(line);
                }
            }
            StudyEvent::Started | StudyEvent::Output(_) => {
                let lines = &drawn.lines;
                let before = &drawn.total;
                let bar = drawn
                    .running
                    .entry(index)
                    .or_insert_with(|| lines.insert_before(before, plain_line()));
                bar.set_message(running);
            }
        }
        drawn.total.set_message(total);
    }

    /// The line for a pipe of what a cell said, if it is worth one.
    fn line_of(&self, name: &str, said: &Value, index: usize) -> Option<String> {
        if let Some(metrics) = metrics_of(said) {
            let epochs = self.cells.get(index).map_or(0, |p| p.epochs);
            let left = said["left_seconds"].as_f64();
            let mut line = format!("{name}  {}", epoch_line(&metrics, epochs, left));
            if let Some(all) = self.left_for_all() {
                line += &format!("  (study: {})", text::duration(all));
            }
            return Some(line);
        }
        let warning = said["message"]
            .as_str()
            .filter(|_| said["event"] == "warning");
        warning.map(|message| format!("{name}  warning: {message}"))
    }

    fn running_line(&self, name: &str, index: usize) -> String {
        let Some(progress) = self.cells.get(index) else {
            return String::new();
        };
        let left = progress.left_seconds.map_or(String::new(), |left| {
            format!("  left {}", text::duration(left))
        });
        format!(
            "{name}  running  epoch {:>3}/{}  {}{left}",
            progress.epochs_done, progress.epochs, progress.newest
        )
    }

    fn total(&self) -> String {
        let count = |is: fn(&CellProgress) -> bool| self.cells.iter().filter(|p| is(p)).count();
        let left = self.left_for_all().map_or(String::new(), |left| {
            format!("  left {}", text::duration(left))
        });
        format!(
            "all  {} done  {} running  {} waiting{left}",
            count(|p| p.is_over),
            count(|p| p.is_running),
            count(|p| !p.is_over && !p.is_running)
        )
    }

    /// Seconds for all cells, from what the running ones say; waiting ones as the newest estimate of
    /// an epoch.
    fn left_for_all(&self) -> Option<f64> {
        let per_epoch = self.seconds_per_epoch?;
        let left = |progress: &CellProgress| {
            let epochs = progress.epochs.saturating_sub(progress.epochs_done) as f64;
            let estimate = progress.left_seconds.filter(|_| progress.is_running);
            estimate.unwrap_or(epochs * per_epoch)
        };
        let open = || self.cells.iter().filter(|progress| !progress.is_over);
        let all: f64 = open().map(left).sum();
        // Those that share an engine say how long they take beside each other.
        let running = open().filter(|progress| progress.is_running).count();
        let at_once = self.jobs.max(running).min(open().count().max(1));
        Some(all / at_once as f64)
    }
}

/// The metrics of an epoch event.
fn metrics_of(said: &Value) -> Option<EpochMetrics> {
    let metrics = said.get("metrics")?;
    let of = |family: &Family| EpochMetrics::from_json(metrics, family.metrics()).ok();
    Family::ALL.iter().find_map(of)
}

/// The metrics of an epoch that a person follows, without those of training.
fn newest(metrics: &EpochMetrics) -> String {
    let told = metrics.in_line().into_iter().filter(|(metric, _)| {
        let is_of_test = metric.name.starts_with("test_") || metric.unit == "Hz";
        is_of_test && !metrics[*metric].is_nan()
    });
    let words = told.map(|(metric, in_line)| {
        let number = text::fixed(metrics[metric], in_line.decimals);
        let unit = if metric.unit == "1" { "" } else { metric.unit };
        format!("{} {number} {unit}", in_line.word)
            .trim_end()
            .to_owned()
    });
    words.collect::<Vec<_>>().join("  ")
}

/// State in a word, and the problem.
fn words(end: &End) -> (&'static str, Option<&str>) {
    match end {
        End::AlreadyComplete(CellState::Diverged) => ("diverged before", None),
        End::AlreadyComplete(_) => ("finished before", None),
        End::Finished => ("finished", None),
        End::Diverged => ("diverged", None),
        End::Elsewhere => ("running elsewhere", None),
        End::Stopped => ("stopped", None),
        End::Failed(problem) => ("failed", Some(problem)),
    }
}
