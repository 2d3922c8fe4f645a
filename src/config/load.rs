//! From a file, a built-in name and `--set` options to checked [`Settings`].

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Settings;
use super::check::{Requirements, Schema, join, takes};
use super::error::{ConfigError, Problem, shown};
use super::json::read_json;

/// What messages name as the source of a key set on the command line.
pub const SET: &str = "--set";

/// Largest configuration file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// One `--set KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Full path of the key, as `network.tau_gaba_ms`.
    pub path: String,
    /// The value as typed: JSON; for keys that take text the bare text too, and for lists
    /// items separated by commas.
    pub value: String,
}

impl FromStr for Override {
    type Err = ConfigError;

    /// Splits `KEY=VALUE` at its first `=`; key and value are checked by [`resolve`].
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => Ok(Self {
                path: path.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(ConfigError::Override { text: shown(text) }),
        }
    }
}

impl Override {
    /// The value as JSON, read as its key's part of the schema asks.
    fn to_json(&self, part: &Value) -> Value {
        let text = self.value.trim();
        match read_json(text, SET) {
            // `name=2024` and `data.path=true` mean texts.
            Ok(Value::Null) if takes(part, "null") => Value::Null,
            Ok(json) if json.is_string() || !takes(part, "string") => json,
            _ if takes(part, "array") => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                items.map(Value::from).collect()
            }
            _ => self.value.as_str().into(),
        }
    }
}

/// The configuration with every key written out, in the order of the documentation.
pub fn to_pretty_json(config: &impl Serialize) -> String {
    format!("{:#}\n", json!(config))
}

/// SHA-256, in hexadecimal, of the configuration as JSON with every key and no spaces: equal
/// for two files exactly if every key has the same value.
pub fn sha256(config: &impl Serialize) -> String {
    let digest = Sha256::digest(json!(config).to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What messages call the file or built-in configuration that `path` means, and its text. If the file does not exist,
/// `NAME`, `NAME.json` and `configs/NAME.json` mean the built-in configuration `NAME` of `builtins`.
///
/// # Errors
/// A file that is not there, cannot be read, or is no text.
pub fn read(
    path: &Path,
    builtins: &[(&str, &'static str)],
) -> Result<(String, String), ConfigError> {
    let file = path.display().to_string();
    let missing = matches!(path.try_exists(), Ok(false));
    // A run folder called `ping` must not hide the built-in configuration.
    if (missing || path.is_dir())
        && let Some((name, text)) = builtin_of(path, builtins)
    {
        return Ok((format!("{name} (built-in)"), text.to_owned()));
    }
    if missing {
        let names: Vec<_> = builtins.iter().map(|(name, _)| *name).collect();
        let builtins = names.join(", ");
        return Err(ConfigError::NotFound { file, builtins });
    }

    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| ConfigError::Io {
            file: file.clone(),
            error,
        })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge {
            file,
            limit_bytes: MAX_FILE_BYTES,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((file, text)),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line_start = before
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |i| i + 1);
            Err(ConfigError::Syntax {
                file,
                line: before.iter().filter(|&&b| b == b'\n').count() + 1,
                column: before.len() - line_start + 1,
                message: "a byte that is not UTF-8 text".to_owned(),
            })
        }
    }
}

/// The built-in configuration that `path` means when it does not exist. Other folders than
/// `configs` do not count: a mistyped path must not run something else.
fn builtin_of<'a>(
    path: &'a Path,
    builtins: &[(&str, &'static str)],
) -> Option<(&'a str, &'static str)> {
    let path = path.strip_prefix(".").unwrap_or(path);
    let folder = path.parent()?;
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".json").unwrap_or(name);
    let known_folder = folder == Path::new("") || folder.starts_with("configs");
    let (_, text) = builtins
        .iter()
        .find(|(known, _)| *known == name && known_folder)?;
    Some((name, text))
}

/// The family that a configuration names, or an override of it; none where neither does.
///
/// # Errors
/// [`ConfigError::Syntax`].
pub fn family_of(
    text: &str,
    source: &str,
    overrides: &[Override],
) -> Result<Option<String>, ConfigError> {
    let tree = read_json(text, source)?;
    let set = overrides.iter().rev().find(|set| set.path == "family");
    let set = set.map(|set| set.value.trim().trim_matches('"').to_owned());
    Ok(set.or_else(|| tree.get("family")?.as_str().map(str::to_owned)))
}

/// Checks a configuration that messages call `source`, sets all seeds to `seed`, then applies `overrides` in order, and
/// checks everything. File and overrides are checked each by itself, so that messages name the right one, then merged.
///
/// # Errors
/// [`ConfigError::Syntax`] and [`ConfigError::Invalid`]; what is wrong with values is collected, not only the first.
pub fn resolve<T: Settings>(
    text: &str,
    source: &str,
    overrides: &[Override],
    seed: Option<u64>,
) -> Result<T, ConfigError> {
    let schema = Schema(T::schema());
    let mut tree = read_json(text, source)?;
    let mut problems = Vec::new();
    schema.check_document(source, &tree, &mut problems);

    let mut settings = Vec::new();
    if let Some(n) = seed {
        let seeds = schema.of("seeds").map(|part| &part["properties"]);
        let names = seeds.and_then(Value::as_object).into_iter().flatten();
        let seeds = names.map(|(name, _)| (name.clone(), n.into()));
        settings.push(("seeds", Value::Object(seeds.collect())));
    }
    for set in overrides {
        let path = set.path.as_str();
        match schema.of(path) {
            Some(part) => {
                let value = set.to_json(part);
                schema.check_value(SET, path, part, &value, &mut problems);
                settings.push((path, value));
            }
            None => {
                let value = set.to_json(&Value::Null);
                schema.report_unknown_key(SET, &join("", path), &value, &mut problems);
            }
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError::Invalid(problems));
    }

    for (path, value) in settings {
        // Every section of a checked tree is an object or absent; an absent one is created.
        merge(
            path.split('.').fold(&mut tree, |node, key| &mut node[key]),
            value,
        );
    }
    T::complete(&mut tree);
    let config: T = serde_json::from_value(tree).map_err(|error| {
        ConfigError::Invalid(vec![Problem {
            source: source.to_owned(),
            key: String::new(),
            value: "{…}".to_owned(),
            message: error.to_string(),
        }])
    })?;

    let is_set = |key: &str| {
        let inside = |set: &Override| format!("{key}.").starts_with(&format!("{}.", set.path));
        overrides.iter().any(inside)
    };
    let source_of = |key: &str| {
        if is_set(key) {
            SET.to_owned()
        } else {
            source.to_owned()
        }
    };
    let mut rules = Requirements::new(&source_of);
    config.check(&mut rules);
    let problems = rules.problems();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid(problems))
    }
}

/// Where the user leaves `subset` in the section `key` open, it is what fits the data set: the published split for
/// MNIST (as the schema says), a drawn subset of the built-in digits, all of the user's own data.
pub(crate) fn fill_in_subset(tree: &mut Value, key: &str) {
    let Some(Value::Object(data)) = tree.get_mut(key) else {
        return;
    };
    let fitting = match data.get("dataset").and_then(Value::as_str) {
        Some("digits") => "stratified",
        Some("images" | "events") => "full",
        _ => return,
    };
    data.entry("subset").or_insert_with(|| fitting.into());
}

/// Puts `value` into `slot`; of a section only the keys that `value` has.
fn merge(slot: &mut Value, value: Value) {
    match (slot, value) {
        (Value::Object(old), Value::Object(new)) => old.extend(new),
        (slot, value) => *slot = value,
    }
}
