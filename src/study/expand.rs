//! From axes to cells: every combination of values becomes a checked configuration with a name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::StudyError;
use super::error::{check_name, invalid};
use super::spec::{AxisValue, StudyAxis, StudySpec};
use crate::config::{self, ConfigError, Override};
use crate::families::{self, Config};

/// Most cells of a study.
const MAX_CELLS: usize = 10_000;

/// One combination of the axes' values.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Place in the study, from 0.
    pub index: usize,
    /// Names of the values, joined by `-`: name of the run and of its folder.
    pub name: String,
    /// Axis and value, in the order of the axes.
    pub values: Vec<(String, AxisValue)>,
    /// What is run.
    pub config: Config,
}

impl Cell {
    /// The value of an axis.
    pub fn value(&self, axis: &str) -> Option<&AxisValue> {
        let found = self.values.iter().find(|(name, _)| name == axis);
        found.map(|(_, value)| value)
    }

    /// Whether the value of each named axis is the named one.
    pub fn matches(&self, values: &BTreeMap<String, String>) -> bool {
        let is = |(axis, name): (&String, &String)| {
            self.value(axis).is_some_and(|value| value.name == *name)
        };
        values.iter().all(is)
    }

    /// Whether the value of each named axis is one of those named.
    pub fn is_among(&self, values: &BTreeMap<String, Vec<String>>) -> bool {
        let is = |(axis, names): (&String, &Vec<String>)| {
            self.value(axis)
                .is_some_and(|value| names.contains(&value.name))
        };
        values.iter().all(is)
    }
}

/// The base, resolved, and all cells.
pub(super) fn expand(spec: &StudySpec, source: &str) -> Result<(Config, Vec<Cell>), StudyError> {
    let (text, base_source) = base(spec, source)?;
    let base = families::parse(&text, &base_source, &[])?;
    let mut axes = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, axis) in spec.axes.iter().enumerate() {
        check_name(source, &format!("axes[{i}].name"), &axis.name)?;
        if !seen.insert(&axis.name) {
            let key = format!("axes[{i}].name");
            let message = "another axis has this name; give each its own";
            return Err(invalid(source, &key, &axis.name.clone().into(), message));
        }
        axes.push((axis, values(axis, i, source)?));
    }
    check_count(&axes, source)?;

    let mut cells = Vec::new();
    let mut combination = vec![0; axes.len()];
    loop {
        let chosen: Vec<(&StudyAxis, &AxisValue)> = axes
            .iter()
            .zip(&combination)
            .map(|((axis, values), &at)| (*axis, &values[at]))
            .collect();
        let cell = cell(spec, &chosen, cells.len(), (&text, &base_source), source)?;
        if !spec.except.iter().any(|entry| cell.is_among(entry)) {
            cells.push(cell);
        }
        if !advance(&mut combination, &axes) {
            break;
        }
    }
    if cells.is_empty() {
        let file = source.to_owned();
        return Err(StudyError::NoCells { file });
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = cells.iter().find(|cell| !names.insert(&cell.name)) {
        let message = "two cells have this name; rename values so that names joined by `-` differ";
        return Err(invalid(source, "axes", &twice.name.clone().into(), message));
    }
    Ok((base, cells))
}

/// Text of the base configuration and what messages call it.
fn base(spec: &StudySpec, source: &str) -> Result<(String, String), StudyError> {
    match &spec.base {
        Value::String(name) => match families::builtin(name) {
            Some(text) => Ok((text.to_owned(), format!("{name} (built-in)"))),
            None => {
                let names = families::builtin_names();
                let message = format!(
                    "must be an object with keys of a configuration or a built-in name: {names}"
                );
                Err(invalid(source, "base", &spec.base, message))
            }
        },
        Value::Object(_) => Ok((spec.base.to_string(), format!("{source}: base"))),
        other => {
            let message = "must be an object with keys of a configuration or a built-in name";
            Err(invalid(source, "base", other, message))
        }
    }
}

/// Longest label of a value, characters.
const MOST_LABEL: usize = 200;

/// The values of an axis, the `index`th: their names and the keys they set.
pub(super) fn values(
    axis: &StudyAxis,
    index: usize,
    source: &str,
) -> Result<Vec<AxisValue>, StudyError> {
    let mut values = Vec::new();
    let mut names = BTreeSet::new();
    for (i, written) in axis.values.iter().enumerate() {
        let key = format!("axes[{index}].values[{i}]");
        let value = value(axis, written, &key, source)?;
        check_name(source, &key, &value.name)?;
        if !names.insert(value.name.clone()) {
            let message = "another value of the axis has this name; give each its own";
            return Err(invalid(source, &key, &value.name.into(), message));
        }
        if value.label.chars().count() > MOST_LABEL {
            let message = format!("its label is longer than {MOST_LABEL} characters");
            return Err(invalid(source, &key, &value.label.into(), message));
        }
        if values
            .iter()
            .any(|other: &AxisValue| other.shown() == value.shown())
        {
            let message =
                "another value of the axis is shown by the same words; give each its own label";
            return Err(invalid(source, &key, &value.shown().into(), message));
        }
        values.push(value);
    }
    if values.is_empty() {
        let key = format!("axes[{index}].values");
        let message = "must not be empty; leave the axis out or give it values";
        return Err(invalid(source, &key, &Value::Array(Vec::new()), message));
    }
    Ok(values)
}

fn value(
    axis: &StudyAxis,
    written: &Value,
    key: &str,
    source: &str,
) -> Result<AxisValue, StudyError> {
    if written.is_object() {
        return serde_path_to_error::deserialize(written).map_err(|error| {
            let inner = error.path().to_string();
            invalid(
                source,
                &format!("{key}.{inner}"),
                written,
                error.into_inner().to_string(),
            )
        });
    }
    let text = match written {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => written.to_string(),
        _ => String::new(),
    };
    let Some(config_key) = axis.key.as_ref().filter(|_| !text.is_empty()) else {
        let message = "must be an object { \"name\": …, \"set\": { key: value } }, or the axis needs \
                       a `key` and this a number, a text, true or false";
        return Err(invalid(source, key, written, message));
    };
    Ok(AxisValue {
        name: format!("{}{text}", axis.name),
        set: Map::from_iter([(config_key.clone(), written.clone())]),
        label: format!("{} {text}", axis.name),
    })
}

/// Counted before anything is made of them.
fn check_count(axes: &[(&StudyAxis, Vec<AxisValue>)], source: &str) -> Result<(), StudyError> {
    let product = axes
        .iter()
        .try_fold(1_usize, |n, (_, values)| n.checked_mul(values.len()));
    if product.is_some_and(|n| n <= MAX_CELLS) {
        return Ok(());
    }
    let counts: Vec<_> = axes.iter().map(|(_, v)| v.len().to_string()).collect();
    Err(StudyError::TooManyCells {
        file: source.to_owned(),
        cells: counts.join(" × "),
        most: MAX_CELLS,
    })
}

/// The next combination, the last axis fastest; `false` after the last one.
fn advance(combination: &mut [usize], axes: &[(&StudyAxis, Vec<AxisValue>)]) -> bool {
    for (at, (_, values)) in combination.iter_mut().zip(axes).rev() {
        *at += 1;
        if *at < values.len() {
            return true;
        }
        *at = 0;
    }
    false
}

fn cell(
    spec: &StudySpec,
    chosen: &[(&StudyAxis, &AxisValue)],
    index: usize,
    (text, base_source): (&str, &str),
    source: &str,
) -> Result<Cell, StudyError> {
    let names: Vec<_> = chosen.iter().map(|(_, value)| &value.name[..]).collect();
    let name = if names.is_empty() {
        spec.name.clone()
    } else {
        names.join("-")
    };
    check_name(source, "axes (names of their values joined)", &name)?;
    let set = |path: &str, value: &Value| Override {
        path: path.to_owned(),
        value: value.to_string(),
    };
    let mut overrides = vec![set("name", &name.clone().into())];
    for (_, value) in chosen {
        overrides.extend(value.set.iter().map(|(key, value)| set(key, value)));
    }
    let config = families::parse(text, base_source, &overrides)
        .map_err(|error| name_values(error, chosen, source))?;
    let own = |(axis, value): &(&StudyAxis, &AxisValue)| (axis.name.clone(), (*value).clone());
    Ok(Cell {
        index,
        name,
        values: chosen.iter().map(own).collect(),
        config,
    })
}

/// Says which value of which axis set a key that is wrong.
fn name_values(
    error: ConfigError,
    chosen: &[(&StudyAxis, &AxisValue)],
    source: &str,
) -> StudyError {
    let ConfigError::Invalid(mut problems) = error else {
        return error.into();
    };
    for problem in &mut problems {
        let sets = |(_, value): &&(&StudyAxis, &AxisValue)| {
            let within = |key: &String| {
                problem.key == *key
                    || problem.key.starts_with(&format!("{key}."))
                    || problem.key.starts_with(&format!("{key}["))
            };
            value.set.keys().any(within)
        };
        if problem.source == config::SET
            && let Some((axis, value)) = chosen.iter().rev().find(sets)
        {
            problem.source = format!("{source}: axis {}, value {}", axis.name, value.name);
        }
    }
    ConfigError::Invalid(problems).into()
}
