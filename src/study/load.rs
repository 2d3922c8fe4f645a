//! From a file or a built-in name to a checked study file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::StudyError;
use super::error::{check_name, invalid};
use super::spec::StudySpec;
use crate::config::{read_json, shown};
use crate::families::Family;
use crate::files::FileError;

/// The studies inside the program, as (name, JSON text).
pub const BUILTINS: [(&str, &str); 26] = [
    ("audit", include_str!("../../configs/studies/audit.json")),
    (
        "trainable_loop",
        include_str!("../../configs/studies/trainable_loop.json"),
    ),
    (
        "trainable_loop_axes",
        include_str!("../../configs/studies/trainable_loop_axes.json"),
    ),
    (
        "orientation",
        include_str!("../../configs/studies/orientation.json"),
    ),
    (
        "orientation_offsets",
        include_str!("../../configs/studies/orientation_offsets.json"),
    ),
    (
        "orientation_fresh",
        include_str!("../../configs/studies/orientation_fresh.json"),
    ),
    (
        "orientation_open",
        include_str!("../../configs/studies/orientation_open.json"),
    ),
    (
        "small_digits",
        include_str!("../../configs/studies/small_digits.json"),
    ),
    (
        "short/audit",
        include_str!("../../configs/studies/short/audit.json"),
    ),
    (
        "short/trainable_loop",
        include_str!("../../configs/studies/short/trainable_loop.json"),
    ),
    (
        "short/trainable_loop_axes",
        include_str!("../../configs/studies/short/trainable_loop_axes.json"),
    ),
    (
        "short/orientation",
        include_str!("../../configs/studies/short/orientation.json"),
    ),
    (
        "spectra_depth",
        include_str!("../../configs/studies/spectra_depth.json"),
    ),
    (
        "spectra_size",
        include_str!("../../configs/studies/spectra_size.json"),
    ),
    (
        "spectra_fraction",
        include_str!("../../configs/studies/spectra_fraction.json"),
    ),
    (
        "spectra_adding",
        include_str!("../../configs/studies/spectra_adding.json"),
    ),
    (
        "spectra_transplant",
        include_str!("../../configs/studies/spectra_transplant.json"),
    ),
    (
        "spectra_radius",
        include_str!("../../configs/studies/spectra_radius.json"),
    ),
    (
        "spectra_entropy",
        include_str!("../../configs/studies/spectra_entropy.json"),
    ),
    (
        "short/spectra_depth",
        include_str!("../../configs/studies/short/spectra_depth.json"),
    ),
    (
        "short/spectra_size",
        include_str!("../../configs/studies/short/spectra_size.json"),
    ),
    (
        "short/spectra_fraction",
        include_str!("../../configs/studies/short/spectra_fraction.json"),
    ),
    (
        "short/spectra_adding",
        include_str!("../../configs/studies/short/spectra_adding.json"),
    ),
    (
        "short/spectra_transplant",
        include_str!("../../configs/studies/short/spectra_transplant.json"),
    ),
    (
        "short/spectra_radius",
        include_str!("../../configs/studies/short/spectra_radius.json"),
    ),
    (
        "short/spectra_entropy",
        include_str!("../../configs/studies/short/spectra_entropy.json"),
    ),
];

/// Largest study file, bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Most multipliers of one matrix in a sweep.
const MAX_MULTIPLIERS: usize = 100;

/// Text of the built-in study `name`, as `audit` or `short/audit`.
pub fn builtin(name: &str) -> Option<&'static str> {
    let found = BUILTINS.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// Source name and text of the file or built-in study that `path` means.
pub(super) fn read(path: &Path) -> Result<(String, String), StudyError> {
    let missing = matches!(path.try_exists(), Ok(false));
    if (missing || path.is_dir())
        && let Some((name, text)) = builtin_of(path)
    {
        return Ok((format!("{name} (built-in)"), text.to_owned()));
    }
    if missing {
        return Err(StudyError::NotFound {
            path: path.into(),
            builtins: BUILTINS.map(|(name, _)| name).join(", "),
        });
    }
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(FileError::io("read", path))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(StudyError::TooLarge {
            path: path.into(),
            limit_bytes: MAX_FILE_BYTES,
        });
    }
    Ok((path.display().to_string(), text))
}

/// The built-in study that `path` means when it does not exist: `audit`, `audit.json` and
/// `configs/studies/audit.json`.
fn builtin_of(path: &Path) -> Option<(&str, &'static str)> {
    let path = path.strip_prefix(".").unwrap_or(path);
    let path = path.strip_prefix("configs/studies").unwrap_or(path);
    let name = path.to_str()?;
    let name = name.strip_suffix(".json").unwrap_or(name);
    builtin(name).map(|text| (name, text))
}

/// Reads `text` strictly; messages name the path of the key.
pub(super) fn parse(text: &str, source: &str) -> Result<StudySpec, StudyError> {
    let tree = extended(read_json(text, source)?, source)?;
    let spec: StudySpec = serde_path_to_error::deserialize(&tree).map_err(|error| {
        let path = error.path().clone();
        let (key, value) = value_at(&tree, &path);
        StudyError::Invalid {
            file: source.to_owned(),
            key,
            value: shown(&value.to_string()),
            message: error.into_inner().to_string(),
        }
    })?;
    check_name(source, "name", &spec.name)?;
    Ok(spec)
}

/// The study with what it takes over from the built-in one that it extends. Its own keys replace those
/// of the other whole, but for `axes`: there an axis replaces the one of its name.
fn extended(tree: Value, source: &str) -> Result<Value, StudyError> {
    let Value::Object(mut own) = tree else {
        return Ok(tree);
    };
    let Some(extends) = own.remove("extends") else {
        return Ok(Value::Object(own));
    };
    let Some(base) = extends.as_str().and_then(builtin) else {
        let names = BUILTINS.map(|(name, _)| name).join(", ");
        let message = format!("must be the name of a built-in study: {names}");
        return Err(invalid(source, "extends", &extends, message));
    };
    let mut all = extended(read_json(base, "the built-in study")?, source)?;
    for (key, value) in own {
        match (&key[..], all.get_mut(&key), value) {
            ("axes", Some(Value::Array(axes)), Value::Array(changed)) => {
                for axis in changed {
                    let same = axes.iter_mut().find(|known| known["name"] == axis["name"]);
                    match same {
                        Some(known) => *known = axis,
                        None => axes.push(axis),
                    }
                }
            }
            (_, _, value) => all[&key] = value,
        }
    }
    Ok(all)
}

/// The longest existing part of `path` in `tree`, and the value there.
fn value_at<'a>(tree: &'a Value, path: &serde_path_to_error::Path) -> (String, &'a Value) {
    use serde_path_to_error::Segment;
    let (mut key, mut value) = (String::new(), tree);
    for segment in path {
        let (part, next) = match segment {
            Segment::Seq { index } => (format!("[{index}]"), value.get(index)),
            Segment::Map { key: name } => {
                let dot = if key.is_empty() { "" } else { "." };
                (format!("{dot}{}", shown(name)), value.get(name))
            }
            Segment::Enum { .. } | Segment::Unknown => break,
        };
        let Some(next) = next else { break };
        key += &part;
        value = next;
    }
    if key.is_empty() {
        key = "(whole document)".to_owned();
    }
    (key, value)
}

/// Axes and values that other parts of the study name must exist.
pub(super) fn check_references(spec: &StudySpec, source: &str) -> Result<(), StudyError> {
    let names = Names::of(spec, source)?;
    for (i, entry) in spec.except.iter().enumerate() {
        if entry.is_empty() {
            return Err(invalid(
                source,
                &format!("except[{i}]"),
                &Value::Object(serde_json::Map::new()),
                "would leave out every cell; name at least one axis",
            ));
        }
        names.check_lists(&format!("except[{i}]"), entry)?;
    }
    if let Some(sweep) = &spec.sweep {
        names.check_lists("sweep.cells", &sweep.cells)?;
        for (key, list) in [("sweep.ei", &sweep.ei), ("sweep.ie", &sweep.ie)] {
            let good = |x: &f64| x.is_finite() && (0.0..=1e6).contains(x);
            if list.is_empty() || list.len() > MAX_MULTIPLIERS || !list.iter().all(good) {
                let message = format!("must be 1 to {MAX_MULTIPLIERS} numbers from 0 to 1000000");
                return Err(invalid(source, key, &list.clone().into(), message));
            }
        }
    }
    for (i, pair) in spec.compare.iter().enumerate() {
        for name in pair {
            if let Some(axis) = spec.axes.first() {
                names.check(&format!("compare[{i}]"), &axis.name, name)?;
            }
        }
    }
    for (i, reported) in spec.reported.iter().enumerate() {
        let key = format!("reported[{i}]");
        names.check_one(&key, &reported.cells)?;
    }
    for (i, contradiction) in spec.contradictions.iter().enumerate() {
        for (j, evidence) in contradiction.evidence.iter().enumerate() {
            let key = format!("contradictions[{i}].evidence[{j}]");
            names.check_one(&key, &evidence.cells)?;
        }
    }
    Ok(())
}

/// Measures that the study names must be those of its family.
pub(super) fn check_measures(
    spec: &StudySpec,
    family: Family,
    source: &str,
) -> Result<(), StudyError> {
    let check = |key: String, measure: &str| match family.measures().find(measure) {
        Some(_) => Ok(()),
        None => {
            let family = family.name();
            let message =
                format!("no such measure of {family}; `dalenet study measures` lists all");
            Err(invalid(source, &key, &measure.into(), message))
        }
    };
    for (i, reported) in spec.reported.iter().enumerate() {
        check(format!("reported[{i}].measure"), &reported.measure)?;
    }
    for (i, contradiction) in spec.contradictions.iter().enumerate() {
        for (j, evidence) in contradiction.evidence.iter().enumerate() {
            let key = format!("contradictions[{i}].evidence[{j}].measure");
            check(key, &evidence.measure)?;
        }
    }
    Ok(())
}

/// Names of all axes and their values.
struct Names<'a> {
    source: &'a str,
    values_of: BTreeMap<&'a str, Vec<String>>,
}

impl<'a> Names<'a> {
    fn of(spec: &'a StudySpec, source: &'a str) -> Result<Self, StudyError> {
        let mut values_of = BTreeMap::new();
        for (i, axis) in spec.axes.iter().enumerate() {
            let values = super::expand::values(axis, i, source)?;
            let names = values.into_iter().map(|value| value.name).collect();
            values_of.insert(axis.name.as_str(), names);
        }
        Ok(Self { source, values_of })
    }

    fn check(&self, key: &str, axis: &str, name: &str) -> Result<(), StudyError> {
        let Some(values) = self.values_of.get(axis) else {
            let axes: Vec<_> = self.values_of.keys().copied().collect();
            let message = format!("no such axis; the axes are {}", axes.join(", "));
            return Err(invalid(self.source, key, &axis.into(), message));
        };
        if values.iter().any(|value| value == name) {
            return Ok(());
        }
        let message = format!(
            "axis `{axis}` has no value of that name; it has {}",
            values.join(", ")
        );
        Err(invalid(self.source, key, &name.into(), message))
    }

    fn check_lists(
        &self,
        key: &str,
        cells: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), StudyError> {
        for (axis, names) in cells {
            for name in names {
                self.check(key, axis, name)?;
            }
        }
        Ok(())
    }

    fn check_one(&self, key: &str, cells: &BTreeMap<String, String>) -> Result<(), StudyError> {
        for (axis, name) in cells {
            self.check(&format!("{key}.cells"), axis, name)?;
        }
        Ok(())
    }
}
