//! What can be wrong with a configuration, in words that name the place and the way out.

use crate::fault::always;

use std::{fmt, io};

use thiserror::Error;

/// At most this many problems of one configuration are collected.
pub(super) const MAX_PROBLEMS: usize = 20;

/// Longest piece of user text that a message repeats, in characters.
const MAX_SHOWN: usize = 60;

/// Why a configuration could not be loaded.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The path does not exist and names no built-in configuration.
    #[error("{file}: no such file, nor a built-in configuration (these are: {builtins})")]
    NotFound {
        /// The path as it was given.
        file: String,
        /// Names of the built-in configurations.
        builtins: String,
    },
    /// The file exists but could not be read.
    #[error("{file}: cannot be read: {error}")]
    Io {
        /// The path as it was given.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{file}: larger than {limit_bytes} bytes, which no configuration needs")]
    TooLarge {
        /// The path as it was given.
        file: String,
        /// Largest size accepted.
        limit_bytes: u64,
    },
    /// The text is not JSON in UTF-8, or an object has a key twice.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// Where the text came from.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in bytes (0: before the line's first character).
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The text of a `--set` is not `KEY=VALUE`.
    #[error("--set {text}: write KEY=VALUE, for example --set network.tau_gaba_ms=6")]
    Override {
        /// The text as it was given.
        text: String,
    },
    /// The network is of another family than is needed.
    #[error("{name} is of the family {family}; this is for networks of the family {needed}")]
    OtherFamily {
        /// Name of the run.
        name: String,
        /// Its family.
        family: &'static str,
        /// The family needed.
        needed: &'static str,
    },
    /// Keys or values are not allowed; at most 20 of them are listed.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

always!(ConfigError => User);

/// One key that is unknown, or whose value is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or `--set`.
    pub source: String,
    /// Full path of the key, as `network.tau_gaba_ms`; empty for the whole document.
    pub key: String,
    /// The offending value as JSON, shortened if long.
    pub value: String,
    /// What is allowed instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let key = if self.key.is_empty() {
            "(whole document)"
        } else {
            &self.key
        };
        write!(
            f,
            "{}: {key} = {}: {}",
            self.source, self.value, self.message
        )
    }
}

fn list(problems: &[Problem]) -> String {
    let title = match problems.len() {
        1 => "1 problem in the configuration:".to_owned(),
        n if n < MAX_PROBLEMS => format!("{n} problems in the configuration:"),
        _ => format!("{MAX_PROBLEMS} or more problems in the configuration, the first are:"),
    };
    problems
        .iter()
        .fold(title, |text, problem| format!("{text}\n  {problem}"))
}

/// Untrusted text, fit for one line of a terminal: shortened, control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().take(MAX_SHOWN) {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        line.push('…');
    }
    line
}
