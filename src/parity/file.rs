//! A case file that nobody vouches for: its family, its settings and its tensors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::CaseError;
use super::tensors::Tensors;
use crate::config::shown;

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 1 << 30;

/// A case file in memory.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// Where it is, for messages.
    pub path: PathBuf,
    /// What its header says beside the settings.
    pub(crate) metadata: HashMap<String, String>,
    /// The family it is of.
    pub family: String,
    /// The settings of its network.
    pub(crate) settings: Map<String, Value>,
    bytes: Vec<u8>,
}

impl CaseFile {
    /// Reads a case file.
    ///
    /// # Errors
    /// A file that cannot be read or is no case.
    pub fn load(path: &Path) -> Result<Self, CaseError> {
        let io = |source| CaseError::Io {
            path: path.into(),
            source,
        };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            return Err(CaseError::Format {
                path: path.into(),
                problem: format!("{size} bytes are more than the {MAX_BYTES} allowed"),
            });
        }
        Self::parse(path, std::fs::read(path).map_err(io)?)
    }

    /// Takes over a case file in memory; `path` is for messages.
    ///
    /// # Errors
    /// What is no case.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, CaseError> {
        let malformed = |problem: String| CaseError::Format {
            path: path.into(),
            problem,
        };
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)
            .map_err(|e| malformed(e.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let field = |key: &str| {
            let value = metadata.get(key);
            value.ok_or_else(|| malformed(format!("its metadata has no `{key}`")))
        };
        let format = field("format")?;
        if format != "1" {
            return Err(malformed(format!("format {format:?}, only \"1\" is known")));
        }
        let family = field("family")?.clone();
        let settings = serde_json::from_str(field("config")?)
            .map_err(|e| malformed(format!("its `config` is no JSON object: {e}")))?;
        Ok(Self {
            path: path.into(),
            metadata,
            family,
            settings,
            bytes,
        })
    }

    /// File name without extension.
    pub(crate) fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// Refuses a case of another family.
    pub(crate) fn check_family(&self, family: &str) -> Result<(), CaseError> {
        if self.family == family {
            return Ok(());
        }
        Err(CaseError::Family {
            path: self.path.clone(),
            family: self.family.clone(),
            known: family.to_owned(),
        })
    }

    /// Its tensors.
    pub(crate) fn tensors(&self) -> Result<Tensors<'_>, CaseError> {
        Tensors::new(&self.path, &self.bytes)
    }

    /// That something is wrong with the case.
    pub(crate) fn malformed(&self, problem: impl Into<String>) -> CaseError {
        CaseError::Format {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    /// That something is wrong with a setting.
    pub(crate) fn wrong_setting(&self, key: &str, problem: impl Into<String>) -> CaseError {
        CaseError::Setting {
            path: self.path.clone(),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// A setting that is a whole number and no larger than any case needs.
    pub(crate) fn count(&self, key: &str) -> Result<usize, CaseError> {
        const LIMIT: u64 = 1 << 24;
        let value = self.settings.get(key).and_then(Value::as_u64);
        let value = value.filter(|&n| n < LIMIT).map(|n| n as usize);
        value.ok_or_else(|| {
            self.malformed(format!(
                "config key `{key}` is no whole number below {LIMIT}"
            ))
        })
    }

    /// Every setting must be known, and none that changes the network missing.
    pub(crate) fn check_settings(
        &self,
        required: &[&str],
        optional: &[&str],
    ) -> Result<(), CaseError> {
        if let Some(key) = required
            .iter()
            .find(|key| !self.settings.contains_key(**key))
        {
            return Err(self.wrong_setting(key, "is missing"));
        }
        let is_known = |key: &str| required.contains(&key) || optional.contains(&key);
        match self.settings.iter().find(|(key, _)| !is_known(key)) {
            Some((key, value)) => {
                let value = shown(&value.to_string());
                let problem = format!(
                    "is {value}, and this version does not know it; the case cannot be run"
                );
                Err(self.wrong_setting(key, problem))
            }
            None => Ok(()),
        }
    }
}
