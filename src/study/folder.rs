//! The folder of a study: where its files are, and how each cell stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::expand::Cell;
use super::spec::StudySpec;
use super::{Study, StudyError};
use crate::families::{self, Config, Family};
use crate::files::{self, FileError};
use crate::record::RunRecord;
use crate::train::manifest::Status;
use crate::train::metrics::{InLine, Metric, OF_TEST_SET};
use crate::train::run_folder::{RunFiles, RunFolder};

/// Where the files of a study are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyFolder {
    folder: PathBuf,
}

/// A cell and what its folder holds.
#[derive(Clone, Debug)]
pub struct CellRecord {
    /// The cell.
    pub cell: Cell,
    /// The run, as far as it has come; none before it began, or where it cannot be read.
    pub record: Option<RunRecord>,
    /// Why it failed or cannot be read.
    pub problem: Option<String>,
}

impl CellRecord {
    /// How the cell stands by its files; who works on it just now is no part of it.
    pub fn state(&self) -> CellState {
        match (&self.record, &self.problem) {
            (None, None) => CellState::Pending,
            (None, Some(_)) => CellState::Failed,
            (Some(run), problem) => match CellState::from(run.manifest.status) {
                CellState::Begun if problem.is_some() => CellState::Failed,
                state => state,
            },
        }
    }

    /// The run, if it went to its last epoch.
    pub fn finished(&self) -> Option<&RunRecord> {
        let record = self.record.as_ref()?;
        (record.manifest.status == Status::Finished).then_some(record)
    }
}

/// How a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellState {
    /// Nothing is there.
    Pending,
    /// A process works on it now.
    Running,
    /// Begun, and stopped before its end.
    Begun,
    /// All epochs done.
    Finished,
    /// Ended before its last epoch, with the last finite weights.
    Diverged,
    /// Ended by an error, or the folder cannot be used.
    Failed,
}

impl From<Status> for CellState {
    fn from(status: Status) -> Self {
        match status {
            Status::Running | Status::Interrupted => Self::Begun,
            Status::Finished => Self::Finished,
            Status::Diverged => Self::Diverged,
            Status::Failed => Self::Failed,
        }
    }
}

impl CellState {
    /// All states that files alone tell, the best first.
    pub const STORED: [Self; 5] = [
        Self::Finished,
        Self::Begun,
        Self::Diverged,
        Self::Failed,
        Self::Pending,
    ];

    /// Whether training has nothing left to do.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Finished | Self::Diverged)
    }

    /// The state in a word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Begun => "begun",
            Self::Finished => "finished",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        }
    }
}

/// What the line of an epoch says of the test set.
pub fn shown_metrics(family: Family) -> impl Iterator<Item = (&'static Metric, InLine)> {
    let metrics = family.metrics().iter();
    let in_line = metrics.filter_map(|metric| Some((metric, metric.in_line?)));
    in_line.filter(|(_, in_line)| OF_TEST_SET.contains(&in_line.place))
}

/// The name of a metric of the test set in the status of a cell.
pub fn short_name(metric: &Metric) -> String {
    metric.name.trim_start_matches("test_").to_owned()
}

/// How a cell stands, with what its folder tells about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellStatus {
    /// Name of the cell.
    pub cell: String,
    /// State.
    pub state: CellState,
    /// Newest epoch measured.
    pub epoch: Option<u64>,
    /// Epochs of the whole run.
    pub epochs: u64,
    /// What the line of an epoch says of the test set, after the newest epoch, by name without `test_`.
    #[serde(flatten)]
    pub measured: BTreeMap<String, Option<f64>>,
    /// Why it failed or cannot be used.
    pub problem: Option<String>,
}

/// What is not there of a complete cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmeasured {
    /// The analysis of the last epoch.
    pub analysis: bool,
    /// Spectra along training.
    pub spectra: bool,
    /// The grid of loop multipliers of the last epoch.
    pub sweep: bool,
}

impl StudyFolder {
    /// The files of the study in `folder`, which need not exist.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The resolved study.
    pub fn study(&self) -> PathBuf {
        self.folder.join("study.json")
    }

    /// The run folder of a cell.
    pub fn cell(&self, name: &str) -> PathBuf {
        self.folder.join("cells").join(name)
    }

    /// Why a cell failed when it was last tried.
    pub fn failure(&self, name: &str) -> PathBuf {
        self.cell(name).join("failure.txt")
    }

    /// Writes `study.json`. Where one is there already, its cells must be the same; title, text and
    /// reported numbers are brought up to date.
    ///
    /// # Errors
    /// [`StudyError::OtherStudy`], or a file cannot be read or written.
    pub fn claim(&self, study: &Study) -> Result<(), StudyError> {
        let path = self.study();
        if path.exists() {
            let differences = differences(&Study::load(&path)?, study);
            if !differences.is_empty() {
                return Err(StudyError::OtherStudy {
                    folder: self.folder.clone(),
                    differences: differences.join("\n  "),
                });
            }
        }
        std::fs::create_dir_all(&self.folder)
            .map_err(FileError::io("create folder", &self.folder))?;
        let json = to_json(&study.spec);
        let unchanged = std::fs::read(&path).is_ok_and(|old| old == json.as_bytes());
        if !unchanged {
            files::write_atomic(&path, json.as_bytes())?;
        }
        Ok(())
    }

    /// The study that `study.json` describes.
    ///
    /// # Errors
    /// [`StudyError::NoStudy`], or it cannot be read.
    pub fn load_study(&self) -> Result<Study, StudyError> {
        let path = self.study();
        if !path.is_file() {
            let folder = self.folder.clone();
            return Err(StudyError::NoStudy { folder });
        }
        Study::load(&path)
    }

    /// The study and what every cell's folder holds; cells may be running meanwhile.
    ///
    /// # Errors
    /// As [`load_study`](Self::load_study). A damaged cell is a [`CellRecord::problem`].
    pub fn load(&self) -> Result<(Study, Vec<CellRecord>), StudyError> {
        let study = self.load_study()?;
        let cells = study.cells.iter().map(|cell| self.record(cell)).collect();
        Ok((study, cells))
    }

    fn record(&self, cell: &Cell) -> CellRecord {
        let folder = self.cell(&cell.name);
        let mut record = None;
        let mut problem = None;
        if RunFiles::at(&folder).config().is_file() {
            match RunRecord::load(&folder) {
                Ok(run) if is_same_run(&run.config, &cell.config) => record = Some(run),
                Ok(run) => problem = Some(another_run(&run.config, &cell.config)),
                Err(error) => problem = Some(error.to_string()),
            }
        }
        let noted = |run: &RunRecord| {
            let failed = run.manifest.status == Status::Failed;
            run.manifest.notes.last().filter(|_| failed).cloned()
        };
        let problem = problem
            .or_else(|| self.read_failure(&cell.name))
            .or_else(|| record.as_ref().and_then(noted));
        CellRecord {
            cell: cell.clone(),
            record,
            problem,
        }
    }

    /// What the study wants to know of a complete cell and its last epoch does not have.
    pub fn unmeasured(&self, study: &Study, cell: &Cell) -> Unmeasured {
        let files = RunFiles::at(self.cell(&cell.name));
        let state = stored_state(&files, &cell.config).0;
        let run = match state.is_complete() {
            true => RunRecord::load(files.folder()).ok(),
            false => None,
        };
        let wanted = study.spec.sweep.as_ref();
        let is_swept = wanted.is_some_and(|sweep| cell.is_among(&sweep.cells));
        run.map_or(Unmeasured::default(), |run| Unmeasured {
            analysis: !run.findings.is_analysed(),
            spectra: run.config.keeps_checkpoints() && run.spectra.is_none(),
            sweep: is_swept && state == CellState::Finished && !run.findings.is_swept(),
        })
    }

    /// Why the cell failed when it was last tried.
    pub fn read_failure(&self, name: &str) -> Option<String> {
        let bytes = std::fs::read(self.failure(name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// How a cell stands now.
    pub fn status(&self, cell: &Cell) -> CellStatus {
        let folder = self.cell(&cell.name);
        let files = RunFiles::at(&folder);
        let (mut state, mut problem) = stored_state(&files, &cell.config);
        if problem.is_none() && !state.is_complete() {
            problem = self.read_failure(&cell.name);
            if problem.is_some() {
                state = CellState::Failed;
            }
        }
        if RunFolder::is_in_use(&folder) {
            (state, problem) = (CellState::Running, None);
        }
        let last = match files.read_metrics() {
            Ok(lines) => lines.last().cloned().unwrap_or_default(),
            Err(error) => {
                problem = problem.or(Some(error.to_string()));
                state = CellState::Failed;
                serde_json::Value::Null
            }
        };
        CellStatus {
            cell: cell.name.clone(),
            state,
            epoch: last["epoch"].as_u64(),
            epochs: cell.config.epochs(),
            measured: shown_metrics(cell.config.family())
                .map(|(metric, _)| (short_name(metric), last[metric.name].as_f64()))
                .collect(),
            problem,
        }
    }

    /// Records why a cell failed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_failure(&self, name: &str, message: &str) -> Result<(), FileError> {
        let folder = self.cell(name);
        std::fs::create_dir_all(&folder).map_err(FileError::io("create folder", &folder))?;
        files::write_atomic(
            &self.failure(name),
            format!("{}\n", message.trim()).as_bytes(),
        )
    }

    /// Forgets an earlier failure of a cell that is tried again.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub fn clear_failure(&self, name: &str) -> Result<(), FileError> {
        let path = self.failure(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::io("delete", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// State by the files of the run; nothing here knows locks.
fn stored_state(files: &RunFiles, wanted: &Config) -> (CellState, Option<String>) {
    if !files.config().is_file() {
        let begun = files.any_exists();
        let state = if begun {
            CellState::Begun
        } else {
            CellState::Pending
        };
        return (state, None);
    }
    let run = match families::open(files.folder()) {
        Ok(run) => run,
        Err(error) => return (CellState::Failed, Some(error.to_string())),
    };
    if !is_same_run(&run.config, wanted) {
        return (CellState::Failed, Some(another_run(&run.config, wanted)));
    }
    match run.manifest {
        Ok(manifest) => {
            let state = CellState::from(manifest.status);
            let last_note = manifest.notes.last().cloned();
            (state, last_note.filter(|_| state == CellState::Failed))
        }
        Err(error) => (CellState::Failed, Some(error.to_string())),
    }
}

/// Whether two configurations make the same run: a name changes no result.
pub fn is_same_run(a: &Config, b: &Config) -> bool {
    let mut named = a.clone();
    named.set_name(b.name());
    named == *b
}

fn another_run(stored: &Config, wanted: &Config) -> String {
    let differences = config_differences(stored, wanted);
    format!(
        "the folder holds a run of another configuration ({}); move it away",
        differences.join(", ")
    )
}

/// Keys whose values differ, as `network.n_e: 32 in the folder, 64 in the study`.
fn config_differences(there: &Config, here: &Config) -> Vec<String> {
    fn walk(path: &str, a: &serde_json::Value, b: &serde_json::Value, found: &mut Vec<String>) {
        match (a.as_object(), b.as_object()) {
            (Some(x), Some(y)) => {
                let keys = x.keys().chain(y.keys().filter(|key| !x.contains_key(*key)));
                for key in keys {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(&format!("{path}{dot}{key}"), &a[key], &b[key], found);
                }
            }
            _ if a != b && path != "name" => {
                found.push(format!("{path}: {a} in the folder, {b} in the study"))
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let json = |config| serde_json::to_value(config).unwrap_or_default();
    walk("", &json(there), &json(here), &mut found);
    found
}

/// What differs between the cells of two studies, at most some lines.
fn differences(there: &Study, here: &Study) -> Vec<String> {
    const MOST: usize = 8;
    let mut found = Vec::new();
    let named = |study: &Study, name: &str| {
        let cell = study.cells.iter().find(|cell| cell.name == name);
        cell.cloned()
    };
    for cell in &here.cells {
        match named(there, &cell.name) {
            None => found.push(format!("cell {} is missing in the folder", cell.name)),
            Some(old) => found.extend(
                config_differences(&old.config, &cell.config)
                    .into_iter()
                    .map(|difference| format!("cell {}: {difference}", cell.name)),
            ),
        }
    }
    for cell in &there.cells {
        if named(here, &cell.name).is_none() {
            found.push(format!("cell {} is only in the folder", cell.name));
        }
    }
    let axes = |study: &Study| -> Vec<String> {
        study
            .spec
            .axes
            .iter()
            .map(|axis| axis.name.clone())
            .collect()
    };
    let order = |study: &Study| -> Vec<String> {
        study.cells.iter().map(|cell| cell.name.clone()).collect()
    };
    if found.is_empty() && axes(there) != axes(here) {
        let (there, here) = (axes(there).join(", "), axes(here).join(", "));
        found.push(format!("axes: {there} in the folder, {here} in the study"));
    } else if found.is_empty() && order(there) != order(here) {
        found.push("the cells come in another order, which would change their numbers".into());
    }
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!("and {more} more"));
    }
    found
}

fn to_json(spec: &StudySpec) -> String {
    format!("{:#}\n", serde_json::json!(spec))
}
