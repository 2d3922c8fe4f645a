//! What the person at the terminal, or the program reading the pipe, sees of a run.
//!
//! On a terminal: header lines, a bar within the epoch, a line an epoch. In a pipe: plain lines
//! only. With `--log json`: one JSON object a line, on standard output. A reader that goes away
//! does not stop the training: failed writes are ignored.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest::Status;
use super::metrics::{EVAL_SECONDS, EpochMetrics};
use crate::text;
use lines::batch_line;
pub use lines::epoch_line;
pub use time_left::Schedule;
use time_left::TimeLeft;

mod lines;
mod time_left;

/// Least time between two lines within an epoch, in a pipe.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// Least time between two batch events of the JSON log.
const JSON_INTERVAL: Duration = Duration::from_secs(2);

/// For whom progress is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// A person: a bar on a terminal, plain lines in a pipe.
    #[default]
    Human,
    /// A program: JSON lines.
    Json,
}

/// A batch just done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchDone {
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// Batches done in this epoch, this one included.
    pub batches_done: u64,
    /// Its mean loss.
    pub loss: f64,
    /// What that is called in logs.
    pub loss_name: &'static str,
    /// Seconds it took, by measurement.
    pub seconds: f64,
}

/// Tells how a run goes.
pub struct Reporter {
    log: Log,
    out: Box<dyn Write + Send>,
    /// The bar within the epoch; only on a terminal.
    bar: Option<ProgressBar>,
    on_terminal: bool,
    time_left: TimeLeft,
    started: Instant,
    last_batch_line: Instant,
    /// The cell of a study that events are of, where several report to one pipe.
    cell: Option<usize>,
}

impl BatchDone {
    /// What its loss is called for a person.
    fn loss_word(&self) -> String {
        self.loss_name.trim_end_matches("_nats").replace('_', " ")
    }
}

impl Reporter {
    /// Reports to standard output, with a bar if that is a terminal and `log` is for a person.
    pub fn new(log: Log, schedule: Schedule) -> Self {
        let on_terminal = log == Log::Human && io::stdout().is_terminal();
        Self::make(log, schedule, Box::new(io::stdout()), on_terminal)
    }

    /// Reports to `out` as to a pipe.
    pub fn to_writer(log: Log, schedule: Schedule, out: Box<dyn Write + Send>) -> Self {
        Self::make(log, schedule, out, false)
    }

    fn make(log: Log, schedule: Schedule, out: Box<dyn Write + Send>, on_terminal: bool) -> Self {
        let now = Instant::now();
        let time_left = TimeLeft::new(schedule);
        Self {
            log,
            out,
            bar: None,
            on_terminal,
            time_left,
            started: now,
            last_batch_line: now,
            cell: None,
        }
    }

    /// The same, whose events name a cell of a study.
    pub fn of_cell(self, cell: Option<usize>) -> Self {
        Self { cell, ..self }
    }

    /// The head of the run: pairs of a label and a value (network, data, device, folder ...).
    pub fn start(&mut self, facts: &[(&str, String)]) {
        match self.log {
            Log::Human => {
                let width = facts
                    .iter()
                    .map(|(label, _)| label.chars().count())
                    .max()
                    .unwrap_or(0);
                for (label, value) in facts {
                    self.line(&format!("{label:width$}  {value}"));
                }
            }
            Log::Json => {
                let schedule = self.time_left.schedule();
                let facts: serde_json::Map<_, _> = facts
                    .iter()
                    .map(|(label, value)| ((*label).to_owned(), json!(value)))
                    .collect();
                self.event(
                    "start",
                    json!({
                        "epochs": schedule.epochs,
                        "epochs_done": schedule.epochs_done,
                        "batches_per_epoch": schedule.batches_per_epoch,
                        "facts": facts,
                    }),
                );
            }
        }
    }

    /// To be called after every batch; decides itself how much of it is shown.
    pub fn batch(&mut self, batch: BatchDone) {
        self.batch_at(batch, Instant::now());
    }

    fn batch_at(&mut self, batch: BatchDone, now: Instant) {
        self.time_left
            .batch(batch.epoch, batch.batches_done, batch.seconds);
        if self.on_terminal {
            return self.draw_bar(batch);
        }
        let interval = if self.log == Log::Json {
            JSON_INTERVAL
        } else {
            PLAIN_INTERVAL
        };
        if now.duration_since(self.last_batch_line) < interval {
            return;
        }
        self.last_batch_line = now;
        let left = self.time_left.seconds();
        let schedule = self.time_left.schedule();
        match self.log {
            Log::Human => {
                let line = batch_line(&batch, schedule, left);
                self.line(&line);
            }
            Log::Json => self.event(
                "batch",
                json!({
                    "epoch": batch.epoch,
                    "batches_done": batch.batches_done,
                    "batches_per_epoch": schedule.batches_per_epoch,
                    (batch.loss_name): batch.loss,
                    "batch_seconds": batch.seconds,
                    "left_seconds": left,
                }),
            ),
        }
    }

    fn draw_bar(&mut self, batch: BatchDone) {
        let schedule = self.time_left.schedule();
        let left = self
            .time_left
            .seconds()
            .map_or_else(String::new, |left| format!("left {}", text::duration(left)));
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(
                Some(schedule.batches_per_epoch),
                ProgressDrawTarget::stdout(),
            );
            // A constant template; should it ever be wrong, the plain bar does.
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:32} {pos}/{len}  {msg}")
            {
                bar.set_style(style);
            }
            bar
        });
        bar.set_prefix(format!("epoch {}/{}", batch.epoch, schedule.epochs));
        let (word, loss) = (batch.loss_word(), text::fixed(batch.loss, 3));
        bar.set_message(format!("{word} {loss}  {left}"));
        bar.set_position(batch.batches_done);
    }

    /// To be called after every epoch, evaluation included.
    pub fn epoch(&mut self, metrics: &EpochMetrics) {
        self.time_left.epoch(metrics.epoch(), metrics[EVAL_SECONDS]);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let left = self.time_left.seconds();
        match self.log {
            Log::Human => {
                let line = epoch_line(metrics, self.time_left.schedule().epochs, left);
                self.line(&line);
            }
            Log::Json => self.event("epoch", json!({ "metrics": metrics, "left_seconds": left })),
        }
    }

    /// Something the person should know, but no reason to stop. For a person, it goes to standard
    /// error.
    pub fn warning(&mut self, message: &str) {
        match (self.log, &self.bar) {
            (Log::Json, _) => self.event("warning", json!({ "message": message })),
            (Log::Human, Some(bar)) => bar.suspend(|| warn(message)),
            (Log::Human, None) => warn(message),
        }
    }

    /// What is being done after the last epoch.
    pub fn note(&mut self, message: &str) {
        match self.log {
            Log::Json => self.event("note", json!({ "message": message })),
            Log::Human => self.line(message),
        }
    }

    /// Where the page of the run is. Programs know: for them the end is the last event.
    pub fn page(&mut self, path: &Path) {
        if self.log == Log::Human {
            self.line(&format!("page: {}", path.display()));
        }
    }

    /// The end of the session, whatever its reason.
    pub fn end(&mut self, status: Status, message: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        match self.log {
            Log::Human => self.line(&format!("{message}  ({})", text::duration(seconds))),
            Log::Json => self.event(
                "end",
                json!({ "status": status, "message": message, "seconds": seconds }),
            ),
        }
    }

    fn event(&mut self, event: &str, mut body: Value) {
        body["event"] = json!(event);
        if let Some(cell) = self.cell {
            body["cell"] = json!(cell);
        }
        self.line(&body.to_string());
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }
}

fn warn(message: &str) {
    let _ = writeln!(io::stderr(), "warning: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::metrics::METRICS;
    use crate::train::metrics::TRAIN_LOSS;
    use std::sync::{Arc, Mutex};

    const SCHEDULE: Schedule = Schedule {
        epochs: 100,
        epochs_done: 0,
        batches_per_epoch: 10,
        batches_done: 0,
    };

    /// What a reporter wrote.
    #[derive(Clone, Default)]
    struct SharedOutput(Arc<Mutex<Vec<u8>>>);

    impl Write for SharedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SharedOutput {
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone())
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect()
        }
    }

    fn batch(batches_done: u64) -> BatchDone {
        BatchDone {
            epoch: 1,
            batches_done,
            loss: 2.25,
            loss_name: "loss_nats",
            seconds: 1.0,
        }
    }

    fn metrics() -> EpochMetrics {
        let mut metrics = EpochMetrics::unmeasured(METRICS, 3);
        metrics[TRAIN_LOSS] = 0.5;
        metrics[EVAL_SECONDS] = 2.0;
        metrics
    }

    #[test]
    fn in_a_pipe_batches_show_at_most_every_ten_seconds() {
        let written = SharedOutput::default();
        let mut reporter = Reporter::to_writer(Log::Human, SCHEDULE, Box::new(written.clone()));
        reporter.start(&[("data", "digits".into()), ("device", "cpu".into())]);
        let start = reporter.started;
        for (done, second) in [(1, 9), (2, 11), (3, 20), (4, 22)] {
            reporter.batch_at(batch(done), start + Duration::from_secs(second));
        }
        reporter.epoch(&metrics());
        reporter.end(Status::Finished, "done");
        let lines = written.lines();
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert_eq!(lines[0], "data    digits");
        assert_eq!(
            lines[2],
            "epoch 1/100  batch 2/10  loss 2.250  left 16 min 38 s"
        );
        assert!(lines[3].contains("batch 4/10") && lines[5].starts_with("done  ("));
    }

    #[test]
    fn the_json_log_is_an_object_a_line() {
        let written = SharedOutput::default();
        let mut reporter = Reporter::to_writer(Log::Json, SCHEDULE, Box::new(written.clone()));
        let start = reporter.started;
        reporter.start(&[("device", "a \"quoted\" name".into())]);
        for (done, second) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
            reporter.batch_at(batch(done), start + Duration::from_secs(second));
        }
        reporter.warning("skipped a step");
        reporter.epoch(&metrics());
        reporter.end(Status::Interrupted, "stopped");
        let lines: Vec<Value> = written
            .lines()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let events: Vec<_> = lines
            .iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect();
        assert_eq!(
            events,
            ["start", "batch", "batch", "warning", "epoch", "end"]
        );
        assert_eq!(lines[0]["facts"]["device"], "a \"quoted\" name");
        assert_eq!(lines[2]["batches_done"], 4);
        assert!(lines[4]["metrics"]["i_rate_hz"].is_null());
        assert_eq!(lines[5]["status"], "interrupted");
    }
}
