//! Checks of a configuration: every value against the schema derived from the types, then the
//! keys against each other.

use serde_json::{Value, json};

use super::error::{MAX_PROBLEMS, Problem, shown};
use super::{Data, Dataset, Subset};

/// Least Jaro-Winkler similarity (0 to 1) at which a name is suggested for another.
const MIN_SIMILARITY: f64 = 0.8;

/// Longest name for which a similar one is looked for, in bytes; the search takes quadratic time.
const MAX_MISTYPED: usize = 64;

/// The JSON Schema that a family derives from its settings.
#[derive(Clone, Copy)]
pub(super) struct Schema(pub(super) &'static Value);

impl Schema {
    /// The part that describes `path`, as `network.n_e`; `None` if there is no such key.
    pub(super) fn of(self, path: &str) -> Option<&'static Value> {
        path.split('.').try_fold(self.0, |part, key| {
            let part = self.section(part)["properties"].get(key);
            part.map(|part| self.resolve(part))
        })
    }

    /// The name of the family with a space before it; nothing where the schema has none.
    fn family(self) -> String {
        let names = self.of("family").and_then(choices).unwrap_or_default();
        names
            .first()
            .map_or_else(String::new, |name| format!(" {name}"))
    }

    /// The section inside one that may also be null; any other part as it is.
    fn section(self, part: &'static Value) -> &'static Value {
        let choices = part["anyOf"].as_array().into_iter().flatten();
        choices
            .map(|part| self.resolve(part))
            .find(|choice| choice["type"] != "null")
            .unwrap_or(part)
    }

    /// Follows a reference into the schema's definitions.
    fn resolve(self, part: &'static Value) -> &'static Value {
        let target = part["$ref"].as_str();
        match target.and_then(|target| target.strip_prefix("#/$defs/")) {
            Some(name) => &self.0["$defs"][name],
            None => part,
        }
    }

    /// Checks a whole document from `source` and adds what is wrong to `problems`.
    pub(super) fn check_document(
        self,
        source: &str,
        document: &Value,
        problems: &mut Vec<Problem>,
    ) {
        self.check_value(source, "", self.0, document, problems);
    }

    /// Checks the value of the key `path` (and all inside it) against its part of the schema.
    pub(super) fn check_value(
        self,
        source: &str,
        path: &str,
        part: &'static Value,
        value: &Value,
        problems: &mut Vec<Problem>,
    ) {
        if problems.len() >= MAX_PROBLEMS {
            return;
        }
        let inside = self.section(part);
        match value {
            Value::Object(entries) if takes(inside, "object") => {
                for (key, value) in entries {
                    let inner = join(path, key);
                    match inside["properties"].get(key) {
                        Some(part) => {
                            self.check_value(source, &inner, self.resolve(part), value, problems)
                        }
                        None => self.report_unknown_key(source, &inner, value, problems),
                    }
                }
            }
            Value::Array(items) if takes(part, "array") => {
                let part = self.resolve(&part["items"]);
                for (i, item) in items.iter().enumerate() {
                    self.check_value(source, &format!("{path}[{i}]"), part, item, problems);
                }
            }
            _ if fits(part, value) || fits(inside, value) => {}
            _ => {
                let mut message = format!("must be {}", self.allowed(part));
                if let (Some(names), Some(text)) = (choices(inside), value.as_str())
                    && let Some(name) =
                        best(names.into_iter().map(|name| (similarity(text, name), name)))
                {
                    message += &format!("; did you mean {}?", json!(name));
                }
                report(source, path, value, message, problems);
            }
        }
    }

    /// Adds a key that is not in the schema to `problems`.
    pub(super) fn report_unknown_key(
        self,
        source: &str,
        path: &str,
        value: &Value,
        problems: &mut Vec<Problem>,
    ) {
        let message = match self.nearest_key(path) {
            Some(key) if key == path => {
                let nested = key.replace('.', r#"": {""#);
                format!(r#"unknown key; write it nested: {{"{nested}": …}}}}"#)
            }
            Some(key) => format!("unknown key; did you mean `{key}`?"),
            None => format!(
                "unknown key; `dalenet config --schema{}` lists the known ones",
                self.family()
            ),
        };
        report(source, path, value, message, problems);
    }

    /// What `part` allows, in words.
    fn allowed(self, part: &'static Value) -> String {
        let limit = |keyword: &str, otherwise: &str| match &part[keyword] {
            Value::Null => otherwise.to_owned(),
            bound => bound.to_string().trim_end_matches(".0").to_owned(),
        };
        if part["anyOf"].is_array() {
            format!("{}, or null", self.allowed(self.section(part)))
        } else if let Some(names) = choices(part) {
            let quoted: Vec<_> = names.iter().map(|name| json!(name).to_string()).collect();
            match quoted.split_last() {
                Some((last, [])) => last.clone(),
                Some((last, others)) => format!("{} or {last}", others.join(", ")),
                None => "left out".to_owned(),
            }
        } else if takes(part, "integer") {
            let (least, most) = (
                limit("minimum", "0"),
                limit("maximum", &u64::MAX.to_string()),
            );
            format!("an integer in plain digits, from {least} to {most}")
        } else if takes(part, "number") {
            let (least, most) = (limit("minimum", "-∞"), limit("maximum", "∞"));
            let or_null = if takes(part, "null") { ", or null" } else { "" };
            format!("a number from {least} to {most}{or_null}")
        } else if takes(part, "boolean") {
            "true or false".to_owned()
        } else if takes(part, "array") {
            format!(
                "a list, each item {}",
                self.allowed(self.resolve(&part["items"]))
            )
        } else if takes(part, "object") {
            "a section: a JSON object { … }".to_owned()
        } else if takes(part, "null") {
            "a string, or null".to_owned()
        } else {
            let (least, most) = (limit("minLength", "0"), limit("maxLength", "∞"));
            format!("a string, from {least} to {most} characters")
        }
    }

    /// The key, of any section, most similar to the last part of `path`; its own section goes first.
    fn nearest_key(self, path: &str) -> Option<String> {
        fn split(path: &str) -> (&str, &str) {
            path.rsplit_once('.').unwrap_or(("", path))
        }
        let mut keys = Vec::new();
        self.collect_keys("", self.0, &mut keys);
        let (section, name) = split(path);
        best(keys.into_iter().map(|key| {
            let (other_section, other) = split(&key);
            let bonus = if section == other_section { 0.05 } else { 0.0 };
            (similarity(name, other) + bonus, key)
        }))
    }

    /// Adds the paths of all keys inside `part`, sections too.
    fn collect_keys(self, path: &str, part: &'static Value, keys: &mut Vec<String>) {
        let properties = self.section(part)["properties"].as_object();
        for (key, part) in properties.into_iter().flatten() {
            let inner = join(path, key);
            self.collect_keys(&inner, self.resolve(part), keys);
            keys.push(inner);
        }
    }
}

/// Whether values of JSON type `name` are among those that `part` allows.
pub(super) fn takes(part: &Value, name: &str) -> bool {
    match &part["type"] {
        Value::Array(names) => names.iter().any(|n| n == name),
        single => single == name || (name == "string" && choices(part).is_some()),
    }
}

/// Path of `key` inside the section `path`, fit to be shown.
pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", "") => r#""""#.to_owned(),
        ("", _) => shown(key),
        _ => format!("{path}.{}", shown(key)),
    }
}

fn report(source: &str, key: &str, value: &Value, message: String, problems: &mut Vec<Problem>) {
    if problems.len() < MAX_PROBLEMS {
        problems.push(Problem {
            source: source.to_owned(),
            key: key.to_owned(),
            value: shown(&value.to_string()),
            message,
        });
    }
}

/// Whether a value that holds no others is one that `part` allows.
fn fits(part: &Value, value: &Value) -> bool {
    let within = |x: f64, least: &str, most: &str| {
        part[least].as_f64().is_none_or(|limit| x >= limit)
            && part[most].as_f64().is_none_or(|limit| x <= limit)
    };
    match value {
        Value::Null => takes(part, "null") || part["anyOf"].is_array(),
        Value::Bool(_) => takes(part, "boolean"),
        // 1600.0 and 1e3 are no integers here, and neither is what u64 cannot hold.
        Value::Number(x) => {
            (takes(part, "number") || (takes(part, "integer") && !x.is_f64()))
                && x.as_f64().is_some_and(|x| within(x, "minimum", "maximum"))
        }
        Value::String(text) => match choices(part) {
            Some(names) => names.contains(&text.as_str()),
            None => {
                takes(part, "string")
                    && within(text.chars().count() as f64, "minLength", "maxLength")
            }
        },
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// The names of an enumeration; `None` for any other part of the schema.
fn choices(part: &Value) -> Option<Vec<&str>> {
    part["oneOf"]
        .as_array()
        .map(|all| all.iter().filter_map(|one| one["const"].as_str()).collect())
}

/// The candidate with the highest similarity, if any is similar enough to be suggested.
fn best<T>(candidates: impl Iterator<Item = (f64, T)>) -> Option<T> {
    candidates
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Jaro-Winkler similarity, except that a name without its unit is almost the name.
fn similarity(mistyped: &str, name: &str) -> f64 {
    if mistyped.len() > MAX_MISTYPED {
        return 0.0;
    }
    // `dt` must be nearer to `dt_ms` than to `data`.
    if name
        .strip_prefix(mistyped)
        .is_some_and(|rest| rest.starts_with('_'))
    {
        return 0.95;
    }
    // Underscores are easily left out: `ne` must be nearer to `n_e` than to `network`.
    let plain = |text: &str| text.to_lowercase().replace('_', "");
    strsim::jaro_winkler(&mistyped.to_lowercase(), name)
        .max(strsim::jaro_winkler(&plain(mistyped), &plain(name)))
}

/// What keys ask of each other; every value is already within its own range.
pub struct Requirements<'a> {
    source_of: &'a dyn Fn(&str) -> String,
    problems: Vec<Problem>,
}

impl<'a> Requirements<'a> {
    /// `source_of` names where a key was last set.
    pub(super) fn new(source_of: &'a dyn Fn(&str) -> String) -> Self {
        let problems = Vec::new();
        Self {
            source_of,
            problems,
        }
    }

    /// Notes the `value` of `key` as wrong, with what it must be, unless the requirement `holds`.
    pub fn require(&mut self, holds: bool, key: &str, value: Value, message: String) {
        if !holds {
            report(
                &(self.source_of)(key),
                key,
                &value,
                message,
                &mut self.problems,
            );
        }
    }

    /// Every requirement that does not hold.
    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    /// A name that can begin the name of a folder.
    pub fn name(&mut self, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        self.require(
            name.chars().all(plain) && !name.starts_with('.'),
            "name",
            json!(name),
            "must consist of A-Z, a-z, 0-9, '.', '-' and '_' and not begin with '.'".into(),
        );
    }

    /// Data, the keys of `section`, that fit together.
    pub fn data(&mut self, section: &str, data: &Data) {
        let key = |name: &str| format!("{section}.{name}");
        let own_file = matches!(data.dataset, Dataset::Images | Dataset::Events);
        let dataset = json!(data.dataset);
        self.require(
            !own_file || data.path.as_ref().is_some_and(|path| !path.is_empty()),
            &key("path"),
            json!(data.path),
            format!("must name your file, because {section}.dataset is {dataset}"),
        );
        self.require(
            own_file || data.path.is_none(),
            &key("path"),
            json!(data.path),
            format!(r#"must be left out unless {section}.dataset is "images" or "events" (is {dataset})"#),
        );
        self.require(
            data.labels_path.is_none() || (data.dataset == Dataset::Images && data.path.is_some()),
            &key("labels_path"),
            json!(data.labels_path),
            format!(r#"must be left out unless {section}.dataset is "images" and {section}.path an IDX file"#),
        );
        self.require(
            data.subset != Subset::Studies || data.dataset == Dataset::Mnist,
            &key("subset"),
            json!(data.subset),
            format!(r#"must be "stratified" or "full", because {section}.dataset is {dataset}"#),
        );
    }
}
