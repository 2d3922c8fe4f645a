//! The manifest: what ran, with which program, data and device, when, and how it ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::device::processor_name;
use crate::fault::always;
use crate::files::{self, FileError};
use crate::gpu::Selection;

/// A manifest could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a manifest.
    #[error("{}: not a manifest of a run ({source}); it is damaged or was edited: restore it from a copy, or start a new run", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Which field, and why.
        source: serde_json::Error,
    },
}

always!(ManifestError => Program);

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Training, or killed without a chance to say so.
    Running,
    /// Stopped by the user after a checkpoint.
    Interrupted,
    /// All epochs done.
    Finished,
    /// Ended before its last epoch, since the gradient was not finite in any step of an epoch; the
    /// weights are the last ones that were finite.
    Diverged,
    /// Ended by an error; the notes say which.
    Failed,
}

/// One resume of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeRecord {
    /// When, UTC.
    pub time: String,
    /// The device it went on with.
    pub device: String,
    /// From where, and what differs from before.
    pub note: String,
}

/// What an engine runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Name of the device, as its driver gives it, or of the processor.
    #[serde(rename = "device")]
    pub name: String,
    /// Driver and its version; none for the processor.
    pub driver: Option<String>,
    /// `cpu`, `vulkan`, `metal`, `dx12` ...
    pub backend: String,
    /// Processor threads used.
    pub threads: usize,
    /// Form of the engine's backward pass, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backward_form: Option<String>,
}

impl DeviceInfo {
    /// A selected device, and so many threads of the processor.
    pub fn of(selection: &Selection, threads: usize) -> Self {
        match selection {
            Selection::CpuEngine { .. } => Self {
                name: processor_name(),
                backend: "cpu".to_owned(),
                threads,
                ..Self::default()
            },
            Selection::Adapter { adapter, .. } => {
                let info = adapter.info();
                Self {
                    name: info.name.clone(),
                    driver: Some(info.driver.clone()),
                    backend: info.backend.clone(),
                    threads,
                    ..Self::default()
                }
            }
        }
    }
}

/// What ran. Unknown keys are ignored on reading, so that newer runs can still be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program.
    pub dalenet_version: String,
    /// Commit of the source, where the build knew it.
    pub commit: Option<String>,
    /// The command line, program name first.
    pub command: Vec<String>,
    /// What computed.
    #[serde(flatten)]
    pub device: DeviceInfo,
    /// Name of the computer.
    pub host: String,
    /// The seeds, by what they are for.
    pub seeds: BTreeMap<String, u64>,
    /// Name of the data set.
    pub data_name: String,
    /// Folder or file of the data, where the user named one: looked at again by default.
    #[serde(default)]
    pub data_place: Option<PathBuf>,
    /// Samples of `train`, `validation` and `test`; empty in runs of older versions.
    #[serde(default)]
    pub samples: BTreeMap<String, u64>,
    /// SHA-256 of the data set, hexadecimal.
    pub data_sha256: String,
    /// SHA-256 of the resolved configuration, hexadecimal.
    pub config_sha256: String,
    /// Start of the first session, UTC.
    pub started_utc: String,
    /// Every resume, oldest first.
    pub resumed: Vec<ResumeRecord>,
    /// End of the last session, UTC; none while running.
    pub finished_utc: Option<String>,
    /// How the run stands.
    pub status: Status,
    /// Anything worth knowing later: warnings, why it failed.
    pub notes: Vec<String>,
}

impl Manifest {
    /// A manifest of a run that starts now: program, commit, host and time filled in, status
    /// running, the rest empty for the caller to fill (`Manifest { device, .., ..Manifest::begin(args) }`).
    pub fn begin(command: Vec<String>) -> Self {
        Self {
            dalenet_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("DALENET_COMMIT").map(str::to_owned),
            command,
            device: DeviceInfo::default(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            seeds: BTreeMap::new(),
            data_name: String::new(),
            samples: BTreeMap::new(),
            data_place: None,
            data_sha256: String::new(),
            config_sha256: String::new(),
            started_utc: now_utc(),
            resumed: Vec::new(),
            finished_utc: None,
            status: Status::Running,
            notes: Vec::new(),
        }
    }

    /// Records that the run goes on now, on `device`.
    pub fn resume(&mut self, device: &str, note: &str) {
        self.resumed.push(ResumeRecord {
            time: now_utc(),
            device: device.into(),
            note: note.into(),
        });
        self.finished_utc = None;
        self.status = Status::Running;
    }

    /// Records that the session ended now.
    pub fn end(&mut self, status: Status) {
        self.finished_utc = Some(now_utc());
        self.status = status;
    }

    /// Writes the manifest, all or nothing.
    ///
    /// # Errors
    /// [`ManifestError`] where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ManifestError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|source| ManifestError::Json {
            path: path.into(),
            source,
        })?;
        json.push(b'\n');
        Ok(files::write_atomic(path, &json)?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] where the file cannot be read or is no manifest.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let bytes = std::fs::read(path).map_err(FileError::io("read", path))?;
        serde_json::from_slice(&bytes).map_err(|source| ManifestError::Json {
            path: path.into(),
            source,
        })
    }
}

/// This moment in UTC, to the second, as RFC 3339 writes it: `2026-01-31T23:59:59Z`.
pub fn now_utc() -> String {
    Timestamp::now().strftime("%FT%TZ").to_string()
}

/// Version and commit of this program.
pub fn program() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("DALENET_COMMIT") {
        Some(commit) => format!("dalenet {version} ({commit})"),
        None => format!("dalenet {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        Manifest {
            device: DeviceInfo {
                name: "Example GPU".into(),
                driver: Some("example 1.2".into()),
                backend: "vulkan".into(),
                threads: 2,
                backward_form: Some("per-step".into()),
            },
            seeds: BTreeMap::from([("noise".into(), u64::MAX), ("weights".into(), 0)]),
            data_name: "mnist".into(),
            data_sha256: "ab".into(),
            config_sha256: "cd".into(),
            ..Manifest::begin(vec!["dalenet".into(), "train".into()])
        }
    }

    #[test]
    fn survives_saving_resuming_and_ending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let mut manifest = example();
        manifest.save(&path).unwrap();
        assert_eq!(Manifest::load(&path).unwrap(), manifest);
        assert!(!manifest.host.is_empty());

        manifest.end(Status::Interrupted);
        assert!(manifest.finished_utc.is_some());
        manifest.resume("cpu", "from epoch 3");
        assert_eq!(
            (manifest.status, &manifest.finished_utc),
            (Status::Running, &None)
        );
        manifest.end(Status::Finished);
        manifest.save(&path).unwrap();
        let read = Manifest::load(&path).unwrap();
        assert_eq!(read, manifest);
        assert_eq!(read.resumed[0].note, "from epoch 3");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""status": "finished""#), "{text}");
    }

    #[test]
    fn a_broken_manifest_is_an_error_that_names_the_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let text = serde_json::to_string(&example()).unwrap();
        std::fs::write(&path, text.replace("running", "sleeping")).unwrap();
        let error = Manifest::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("manifest.json") && error.contains("sleeping"),
            "{error}"
        );
    }
}
