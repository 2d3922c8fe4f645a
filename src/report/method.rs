//! The method of a page, generated from configurations: what all runs share, in words and as
//! tables, and what changes from run to run.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::table::{Entry, NumberTable, TableRow, column, row};
use super::text::{exact, list};
use crate::families::{Config, Family};
use crate::record::RunRecord;
use crate::text::count;

/// Keys whose values are names, not settings.
const NAMES: [&str; 1] = ["name"];

/// Configurations side by side, by dotted key.
#[derive(Debug)]
pub struct Method {
    /// The family of all of them.
    family: Family,
    /// Key and value, of keys in which all agree; in the order of the documentation.
    shared: Vec<(String, Value)>,
    /// Keys in which they differ.
    varied: Vec<String>,
    /// Trials for training, validation and test of each configuration that has run.
    trials: Vec<[u64; 3]>,
}

impl Method {
    /// Compares configurations. A key that some leave out differs where others have it.
    pub fn of<'a>(configs: impl IntoIterator<Item = &'a Config>) -> Self {
        let mut family = Family::ALL[0];
        let flat = |config| {
            family = Config::family(config);
            flat(config)
        };
        let all: Vec<Vec<(String, Value)>> = configs.into_iter().map(flat).collect();
        let mut keys: Vec<&String> = Vec::new();
        for (key, _) in all.iter().flatten() {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let (mut shared, mut varied) = (Vec::new(), Vec::new());
        for key in keys {
            let mut values = all.iter().map(|flat| value_of(flat, key));
            let first = values.next().unwrap_or_default();
            if values.all(|value| value == first) {
                shared.push((key.clone(), first));
            } else {
                varied.push(key.clone());
            }
        }
        Self {
            family,
            shared,
            varied,
            trials: Vec::new(),
        }
    }

    /// The same with the numbers of trials that these runs had.
    pub fn with_runs<'a>(mut self, runs: impl IntoIterator<Item = &'a RunRecord>) -> Self {
        for run in runs {
            let split = &run.manifest.samples;
            let count = |part: &str| split.get(part).copied().unwrap_or(0);
            self.add_trials(["train", "validation", "test"].map(count));
        }
        self
    }

    /// Adds the numbers of trials of a run, for training, validation and test.
    pub fn add_trials(&mut self, trials: [u64; 3]) {
        if trials != [0; 3] && !self.trials.contains(&trials) {
            self.trials.push(trials);
        }
    }

    /// The family of the configurations.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Numbers of trials for training, validation and test of the runs; each once.
    pub fn trials(&self) -> &[[u64; 3]] {
        &self.trials
    }

    /// Keys in which the configurations differ.
    pub fn varied(&self) -> &[String] {
        &self.varied
    }

    /// The value of a key; none where the configurations differ in it.
    pub fn found(&self, key: &str) -> Option<Value> {
        let is_varied = self.varied.iter().any(|name| name == key);
        (!is_varied).then(|| value_of(&self.shared, key))
    }

    /// The value of a key as text; none where it is no text or varies.
    pub fn name(&self, key: &str) -> Option<String> {
        Some(self.found(key)?.as_str()?.to_owned())
    }

    /// A number without its unit, or that it varies.
    pub fn say(&self, key: &str) -> String {
        self.found(key)
            .map_or_else(|| "a varying number of".into(), |value| words(&value))
    }

    /// The value of a key with its unit, or that it varies.
    pub fn quantity(&self, key: &str) -> String {
        match self.found(key) {
            Some(value) => format!("{} {}", words(&value), unit_of(key))
                .trim()
                .to_owned(),
            None => "varies".into(),
        }
    }

    /// Whether a key has this number in all configurations.
    pub fn is(&self, key: &str, number: f64) -> bool {
        self.found(key).and_then(|value| value.as_f64()) == Some(number)
    }

    /// Samples for training, validation and test, where all runs had the same.
    pub fn samples(&self) -> String {
        match self.trials[..] {
            [[train, 0, test]] => format!("; samples: {train} for training, {test} for testing"),
            [[train, validation, test]] => format!(
                "; samples: {train} for training, {validation} for validation, {test} for testing"
            ),
            _ => String::new(),
        }
    }

    /// What all share: a table per section.
    pub fn shared_tables(&self) -> Vec<NumberTable> {
        let mut tables: Vec<NumberTable> = Vec::new();
        for (key, value) in &self.shared {
            let section = key
                .split_once('.')
                .map_or("general", |(section, _)| section);
            let id = format!("shared-{section}");
            if tables.last().is_none_or(|table| table.id != id) {
                tables.push(settings_table(id, format!("Settings: {section}")));
            }
            if let Some(table) = tables.last_mut() {
                table
                    .rows
                    .push(setting_row(self.family.schema(), key, value, None));
            }
        }
        tables
    }

    /// Tables below headings that can be unfolded.
    pub fn folded(tables: &[NumberTable]) -> Markup {
        html! {
            @for table in tables {
                details {
                    summary { (table.caption) " (" (count(table.rows.len(), "key", "keys")) ")" }
                    (table.html())
                }
            }
        }
    }
}

/// How a configuration differs from the defaults.
pub fn differences_from_defaults(config: &Config) -> NumberTable {
    let mut table = settings_table(
        "differences".into(),
        format!(
            "Settings that differ from the defaults ({})",
            config.family().about_defaults()
        ),
    );
    table.columns.insert(1, column("default"));
    let schema = config.family().schema();
    let defaults = flat(&config.family().defaults());
    for (key, value) in flat(config) {
        let default = value_of(&defaults, &key);
        if value != default {
            table
                .rows
                .push(setting_row(schema, &key, &value, Some(&default)));
        }
    }
    if table.rows.is_empty() {
        table.notes.push("None: every key has its default.".into());
    }
    table
}

fn settings_table(id: String, caption: String) -> NumberTable {
    NumberTable {
        id,
        caption,
        corner: "key".into(),
        columns: ["value", "unit", "meaning"].map(column).into(),
        ..NumberTable::default()
    }
}

fn setting_row(schema: &Value, key: &str, value: &Value, default: Option<&Value>) -> TableRow {
    let mut entries = vec![setting(value)];
    entries.extend(default.map(setting));
    let unit = match unit_of(key) {
        "" if value.is_number() => "1",
        unit => unit,
    };
    entries.extend([Entry::text(unit), Entry::text(meaning(schema, key))]);
    row(key, entries)
}

fn setting(value: &Value) -> Entry {
    match value.as_f64() {
        Some(number) => Entry::Exact(number),
        None => Entry::Text(words(value)),
    }
}

/// A value of a configuration in words.
pub fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), exact),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => list(&items.iter().map(words).collect::<Vec<_>>()),
        Value::Object(keys) => {
            let pair = |(key, value): (&String, &Value)| format!("{key} {}", words(value));
            list(&keys.iter().map(pair).collect::<Vec<_>>())
        }
    }
}

/// The unit that the end of a key names.
pub fn unit_of(key: &str) -> &'static str {
    const UNITS: [(&str, &str); 7] = [
        ("_ms", "ms"),
        ("_hz", "Hz"),
        ("_nf", "nF"),
        ("_us", "µS"),
        ("_mv", "mV"),
        ("_percent", "%"),
        ("_slope", "1/mV"),
    ];
    let found = UNITS.iter().find(|(suffix, _)| key.ends_with(suffix));
    found.map_or("", |(_, unit)| unit)
}

/// What the schema says about a key.
fn meaning(schema: &Value, key: &str) -> String {
    let mut part = schema;
    for name in key.split('.') {
        part = &part["properties"][name];
        if let Some(target) = part["$ref"].as_str() {
            // The key's own words, where it has some, are better than those of its type.
            if part["description"].is_string() && key.ends_with(name) {
                break;
            }
            part = &schema["$defs"][target.trim_start_matches("#/$defs/")];
        }
    }
    let text = part["description"].as_str().unwrap_or_default();
    text.split('\n').next().unwrap_or_default().to_owned()
}

/// Every key, dotted, and its value, in the order of the documentation.
fn flat(config: &Config) -> Vec<(String, Value)> {
    fn walk(path: &str, object: &Map<String, Value>, found: &mut Vec<(String, Value)>) {
        for (key, value) in object {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            match value {
                Value::Object(inner) => walk(&path, inner, found),
                _ if NAMES.contains(&&path[..]) => {}
                _ => found.push((path, value.clone())),
            }
        }
    }
    let mut found = Vec::new();
    if let Value::Object(object) = json!(config) {
        walk("", &object, &mut found);
    }
    found
}

/// The value of a key; null where it is left out.
fn value_of(flat: &[(String, Value)], key: &str) -> Value {
    let found = flat.iter().find(|(name, _)| name == key);
    found.map_or(Value::Null, |(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::settings;

    /// A configuration of a conductance network, changed.
    fn changed(change: impl FnOnce(&mut settings::Config)) -> Config {
        let mut config = settings::Config::default();
        change(&mut config);
        config.into()
    }

    #[test]
    fn what_differs_is_not_shared() {
        let other = changed(|config| {
            config.training.dale = settings::Dale::Clamp;
            config.name = "other".into();
        });
        let method = Method::of([&Config::default(), &other]);
        assert_eq!(method.varied(), ["training.dale"]);
        let tables = method.shared_tables();
        let keys: Vec<_> = tables
            .iter()
            .flat_map(|t| &t.rows)
            .map(|row| &row.name[..])
            .collect();
        assert!(keys.contains(&"network.tau_gaba_ms") && !keys.contains(&"training.dale"));
        assert!(method.family().method(&method)[2].contains("Dale's law: varies."));
        assert!(method.family().method(&method)[0].contains("1024 excitatory"));
    }

    #[test]
    fn a_key_that_some_leave_out_moves_no_other() {
        let rule = settings::LoopRule::default();
        let with_rule = changed(|config| config.training.loop_rule = Some(rule));
        let method = Method::of([&Config::default(), &with_rule]);
        let rule = "training.loop_rule.";
        let varied = method.varied();
        assert!(
            !varied.is_empty() && varied.iter().all(|key| key.starts_with(rule)),
            "{varied:?}"
        );
        assert!(method.family().method(&method)[2].contains("How the loop learns varies."));
        assert!(method.family().method(&method)[2].contains("Trained matrices: "));
        let table = differences_from_defaults(&with_rule);
        assert!(
            table.rows.iter().all(|row| row.key.starts_with(rule)),
            "{:?}",
            table.rows
        );
        assert_eq!(table.rows.len(), varied.len());
    }

    #[test]
    fn differences_name_value_and_default() {
        assert!(
            differences_from_defaults(&Config::default())
                .rows
                .is_empty()
        );
        let config = changed(|config| config.network.tau_gaba_ms = 6.0);
        let table = differences_from_defaults(&config);
        assert_eq!(table.rows.len(), 1);
        let entries = &table.rows[0].entries;
        assert_eq!(entries[..2], [Entry::Exact(6.0), Entry::Exact(9.0)]);
        assert_eq!(entries[2], Entry::text("ms"));
    }

    #[test]
    fn a_section_reads_as_its_keys_and_values() {
        let rule = serde_json::json!({ "optimiser": "sgd", "learning_rate": 4e-5, "parametrisation": null });
        assert_eq!(
            words(&rule),
            "optimiser sgd, learning_rate 4×10⁻⁵ and parametrisation none"
        );
    }

    #[test]
    fn every_key_has_a_meaning() {
        for family in Family::ALL {
            for (key, _) in flat(&family.defaults()) {
                assert!(!meaning(family.schema(), &key).is_empty(), "{key}");
            }
        }
    }
}
