//! The folder of a run: which files it holds, and who may write to it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::fault::{Blame, Fault};
use crate::files::{self, FileError};

/// Names of everything a run leaves behind; none of them is overwritten without force.
const RUN_FILES: [&str; 14] = [
    "config.json",
    "manifest.json",
    "metrics.jsonl",
    "steps.jsonl",
    "analysis.json",
    "spectra.json",
    "sweep.json",
    "sweep.csv",
    "initial.safetensors",
    "last.safetensors",
    "best.safetensors",
    "raster.png", // of earlier versions
    "report.html",
    "numbers.csv",
];

/// Folder of the checkpoints that are kept along training.
const KEPT_FOLDER: &str = "checkpoints";

/// Stays in the folder for good. Removing it would let two processes lock two files of one name.
const LOCK_FILE: &str = ".lock";

/// Times the lock is tried: who only looks whether a folder is in use holds it for an instant.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A run folder could not be made, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is a run in the folder already.
    #[error(
        "{} already holds a run or the beginning of one ({file}); resume it, choose another folder, or overwrite it with --force",
        folder.display()
    )]
    Exists {
        /// The folder.
        folder: PathBuf,
        /// The first file of a run found in it.
        file: &'static str,
    },
    /// Another process is training in the folder.
    #[error("{} is in use by another process; wait for it to end or choose another folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds no run.
    #[error("{} holds no run (no config.json); check the path", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// A run's name cannot be part of a folder name.
    #[error(
        "run name `{name}`: use 1 to 100 letters, digits, `-`, `_` or `.`, not starting with `.`"
    )]
    BadName {
        /// The name given.
        name: String,
    },
    /// A line of the metrics that was completely written is no JSON object.
    #[error("{}, line {line}: not a JSON object ({problem})", path.display())]
    BadMetrics {
        /// The metrics file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the JSON reader said.
        problem: String,
    },
    /// The metrics do not reach to, or have no line end at, the place the checkpoint names.
    #[error(
        "{} has {found} bytes and cannot be cut to whole lines at byte {wanted}, where the checkpoint was made; \
         it was changed since, restore it or start a new run",
        path.display()
    )]
    MetricsChanged {
        /// The metrics file.
        path: PathBuf,
        /// Its length, bytes.
        found: u64,
        /// Where the checkpoint says it should end, bytes.
        wanted: u64,
    },
}

impl Blame for RunFolderError {
    fn fault(&self) -> Fault {
        match self {
            Self::Exists { .. } | Self::NoRun { .. } | Self::BadName { .. } => Fault::User,
            _ => Fault::Program,
        }
    }
}

/// Where the files of a run are. For reading; anyone may, also while the run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFiles {
    folder: PathBuf,
}

impl RunFiles {
    /// The files of the run in `folder`, which need not exist.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    /// What ran where, when and with what.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("manifest.json")
    }

    /// One JSON object a line, one line an epoch.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    /// One JSON object a line, one line an optimiser step.
    pub fn steps(&self) -> PathBuf {
        self.folder.join("steps.jsonl")
    }

    /// What is measured on the trained network: spectra, rates by cell, weights.
    pub fn analysis(&self) -> PathBuf {
        self.folder.join("analysis.json")
    }

    /// Spectra of the matrices along training.
    pub fn spectra(&self) -> PathBuf {
        self.folder.join("spectra.json")
    }

    /// The grid of loop multipliers.
    pub fn sweep(&self) -> PathBuf {
        self.folder.join("sweep.json")
    }

    /// The same grid as a table, a line a point.
    pub fn sweep_table(&self) -> PathBuf {
        self.folder.join("sweep.csv")
    }

    /// Whether the folder holds a run or the beginning of one.
    pub fn any_exists(&self) -> bool {
        let exists = |file: &&str| self.folder.join(file).exists();
        RUN_FILES.iter().any(exists) || !self.all_kept().is_empty()
    }

    /// The checkpoint before the first step.
    pub fn initial(&self) -> PathBuf {
        self.folder.join("initial.safetensors")
    }

    /// The newest checkpoint; a resume starts here.
    pub fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// The checkpoint of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// The checkpoint that is kept after so many epochs.
    pub fn kept(&self, epochs: u64) -> PathBuf {
        let name = format!("epoch_{epochs:05}.safetensors");
        self.folder.join(KEPT_FOLDER).join(name)
    }

    /// The checkpoints that were kept along training: epochs done and file, in their order.
    pub fn all_kept(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(self.folder.join(KEPT_FOLDER));
        let entries = entries.into_iter().flatten().flatten();
        let of = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix("epoch_")?.strip_suffix(".safetensors")?;
            let epochs = number.parse().ok()?;
            (self.kept(epochs) == entry.path()).then(|| (epochs, entry.path()))
        };
        let mut all: Vec<(u64, PathBuf)> = entries.filter_map(of).collect();
        all.sort();
        all
    }

    /// Reads all complete lines of the metrics. A last line without line end was cut off in the
    /// middle of being written and is left out; no file is no lines.
    ///
    /// # Errors
    /// [`RunFolderError`] where the file cannot be read or a complete line is no JSON object.
    pub fn read_metrics(&self) -> Result<Vec<serde_json::Value>, RunFolderError> {
        let path = self.metrics();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::io("read", &path)(error).into()),
        };
        let complete = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        bytes[..complete]
            .split_inclusive(|byte| *byte == b'\n')
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_slice::<serde_json::Map<_, _>>(line)
                    .map(serde_json::Value::Object)
                    .map_err(|error| RunFolderError::BadMetrics {
                        path: path.clone(),
                        line: index + 1,
                        problem: error.to_string(),
                    })
            })
            .collect()
    }
}

/// A run folder that this process alone may write to, until the value is dropped or the process
/// ends, however it ends.
#[derive(Debug)]
pub struct RunFolder {
    files: RunFiles,
    /// Held, never read: closing it releases the lock.
    _lock: File,
}

impl RunFolder {
    /// Makes a folder for a new run, or takes an existing one that holds no run. With `force`, the
    /// files of a run in it are deleted, others left.
    ///
    /// # Errors
    /// [`RunFolderError::Exists`] without `force`, [`RunFolderError::Locked`] also with it, or the
    /// folder cannot be written.
    pub fn create(path: &Path, force: bool) -> Result<Self, RunFolderError> {
        fs::create_dir_all(path).map_err(FileError::io("create folder", path))?;
        let run = Self::lock(path)?;
        // First what does not make a folder a run: after a kill the rest still says that there was one.
        for (_, old) in run.files.all_kept() {
            if !force {
                return Err(RunFolderError::Exists {
                    folder: path.into(),
                    file: KEPT_FOLDER,
                });
            }
            fs::remove_file(&old).map_err(FileError::io("delete", &old))?;
        }
        for file in RUN_FILES {
            let old = path.join(file);
            if !old.exists() {
                continue;
            }
            if !force {
                return Err(RunFolderError::Exists {
                    folder: path.into(),
                    file,
                });
            }
            fs::remove_file(&old).map_err(FileError::io("delete", &old))?;
        }
        Ok(run)
    }

    /// Opens the folder of an existing run to go on with it.
    ///
    /// # Errors
    /// [`RunFolderError::NoRun`] where there is none, [`RunFolderError::Locked`] where another
    /// process has it.
    pub fn open(path: &Path) -> Result<Self, RunFolderError> {
        if !RunFiles::at(path).config().is_file() {
            return Err(RunFolderError::NoRun {
                folder: path.into(),
            });
        }
        Self::lock(path)
    }

    fn lock(folder: &Path) -> Result<Self, RunFolderError> {
        let path = folder.join(LOCK_FILE);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(FileError::io("open", &path))?;
        let mut attempts = LOCK_ATTEMPTS;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        files: RunFiles::at(folder),
                        _lock: file,
                    });
                }
                Err(TryLockError::WouldBlock) if attempts > 1 => {
                    attempts -= 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(RunFolderError::Locked {
                        folder: folder.into(),
                    });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::io("lock", &path)(error).into());
                }
            }
        }
    }

    /// Whether a process has the folder just now, this one included.
    pub fn is_in_use(folder: &Path) -> bool {
        // Opened, not made: looking leaves no trace. Others that look do not disturb each other.
        File::open(folder.join(LOCK_FILE))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The files of the run.
    pub fn files(&self) -> &RunFiles {
        &self.files
    }

    /// Appends a line to the metrics, synced; returns their new length in bytes, which belongs
    /// into the next checkpoint.
    ///
    /// # Errors
    /// [`RunFolderError::File`] where the line holds a line break or cannot be written.
    pub fn append_metrics(&self, line: &str) -> Result<u64, RunFolderError> {
        Ok(files::append_line_synced(&self.files.metrics(), line)?)
    }

    /// Cuts the metrics back to `bytes`, their length at the checkpoint, and with that every later
    /// line, whole or torn.
    ///
    /// # Errors
    /// [`RunFolderError::MetricsChanged`] where they are shorter or no line ends there.
    pub fn truncate_metrics(&self, bytes: u64) -> Result<(), RunFolderError> {
        truncate(self.files.metrics(), bytes)
    }

    /// Cuts the steps back, likewise.
    ///
    /// # Errors
    /// As [`truncate_metrics`](Self::truncate_metrics).
    pub fn truncate_steps(&self, bytes: u64) -> Result<(), RunFolderError> {
        truncate(self.files.steps(), bytes)
    }
}

/// Cuts a file of lines to its first `bytes`.
fn truncate(path: PathBuf, bytes: u64) -> Result<(), RunFolderError> {
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(FileError::io("read", &path)(error).into()),
    };
    let found = content.len() as u64;
    let kept = usize::try_from(bytes)
        .ok()
        .and_then(|bytes| content.get(..bytes));
    if !kept.is_some_and(|kept| kept.is_empty() || kept.ends_with(b"\n")) {
        return Err(RunFolderError::MetricsChanged {
            path,
            found,
            wanted: bytes,
        });
    }
    if found > bytes {
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(FileError::io("open", &path))?;
        file.set_len(bytes)
            .map_err(FileError::io("truncate", &path))?;
        file.sync_all().map_err(FileError::io("sync", &path))?;
    }
    Ok(())
}

/// Where a run goes if the user names no folder: `root/NAME-YYYYMMDD-HHMMSS`, with `-2`, `-3` ...
/// behind it while that is taken.
///
/// # Errors
/// [`RunFolderError::BadName`] where `name` is empty, too long or could leave `root`.
pub fn default_run_path(
    root: &Path,
    name: &str,
    now: Timestamp,
) -> Result<PathBuf, RunFolderError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(RunFolderError::BadName { name: name.into() });
    }
    let name = format!("{name}-{}", now.strftime("%Y%m%d-%H%M%S"));
    Ok(files::free_path(root, &name, ""))
}
