//! The method of a page, generated from configurations: what all runs share, in words and as
//! tables, and what changes from run to run.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::table::{Entry, NumberTable, Row, column, row};
use super::text::{count, exact, list};
use crate::config::{self, Config};

/// Keys whose values are names, not settings.
const NAMES: [&str; 1] = ["name"];

/// Configurations side by side, by dotted key.
#[derive(Debug)]
pub struct Method {
    /// Key and value, of keys in which all agree; in the order of the documentation.
    shared: Vec<(String, Value)>,
    /// Keys in which they differ.
    varied: Vec<String>,
}

impl Method {
    /// Compares configurations.
    pub fn of<'a>(configs: impl IntoIterator<Item = &'a Config>) -> Self {
        let mut all = configs.into_iter().map(flat);
        let mut shared = all.next().unwrap_or_default();
        let mut varied = BTreeSet::new();
        for other in all {
            for ((key, value), (_, other)) in shared.iter().zip(&other) {
                if value != other {
                    varied.insert(key.clone());
                }
            }
        }
        let varied: Vec<String> = shared
            .iter()
            .map(|(key, _)| key.clone())
            .filter(|key| varied.contains(key))
            .collect();
        shared.retain(|(key, _)| !varied.contains(key));
        Self { shared, varied }
    }

    /// Keys in which the configurations differ.
    pub fn varied(&self) -> &[String] {
        &self.varied
    }

    /// A number without its unit, or that it varies.
    fn say(&self, key: &str) -> String {
        self.found(key)
            .map_or_else(|| "a varied number of".into(), words)
    }

    /// The value of a key with its unit, or that it varies.
    fn quantity(&self, key: &str) -> String {
        match self.found(key) {
            Some(value) => format!("{} {}", words(value), unit_of(key))
                .trim()
                .to_owned(),
            None => "varied".into(),
        }
    }

    fn found(&self, key: &str) -> Option<&Value> {
        let found = self.shared.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    /// Paragraphs on network, input and training.
    pub fn paragraphs(&self) -> Vec<String> {
        let q = |key: &str| self.quantity(key);
        let network = format!(
            "Networks have {} excitatory and {} inhibitory conductance-based integrate-and-fire cells \
             (τ of excitation {}, of inhibition {}). Trials last {} in steps of {}; membranes are \
             integrated by the scheme {}, classes are read out by {}.",
            self.say("network.n_e"),
            self.say("network.n_i"),
            q("network.tau_ampa_ms"),
            q("network.tau_gaba_ms"),
            q("network.duration_ms"),
            q("network.dt_ms"),
            q("network.integrator"),
            q("network.readout"),
        );
        let input = format!(
            "Samples come from {}: {}. A white pixel fires as a Poisson process of {}.",
            q("data.dataset"),
            self.subset(),
            q("encoding.rate_hz"),
        );
        let training = format!(
            "Training takes {} epochs in batches of {} with Adam (learning rate {}, gradient norm \
             clipped to {}, slope of the surrogate derivative {}, gradients through membrane voltages \
             divided by {}). Dale's law: {}; raw loop matrices: {}. Trained: {}.",
            self.say("training.epochs"),
            q("training.batch_size"),
            q("training.learning_rate"),
            q("training.clip_norm"),
            q("network.surrogate_slope"),
            q("network.grad_dampen"),
            q("training.dale"),
            q("training.signed_loop"),
            q("training.trainable"),
        );
        vec![network, input, training]
    }

    fn subset(&self) -> String {
        match &self.quantity("data.subset")[..] {
            "studies" => "the split of the studies, 1600 for training and 400 for the test".into(),
            "stratified" => format!(
                "a stratified subset, {} for training and {} for the test",
                self.say("data.train_samples"),
                self.say("data.test_samples")
            ),
            "full" => "all of them".into(),
            _ => "varied subsets".into(),
        }
    }

    /// What all share: a table a section.
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
                table.rows.push(setting_row(key, value, None));
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
        "Settings that differ from the defaults (the canonical PING network)".into(),
    );
    table.columns.insert(1, column("default"));
    let pairs = flat(config).into_iter().zip(flat(&Config::default()));
    for ((key, value), (_, default)) in pairs {
        if value != default {
            table.rows.push(setting_row(&key, &value, Some(&default)));
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

fn setting_row(key: &str, value: &Value, default: Option<&Value>) -> Row {
    let mut entries = vec![setting(value)];
    entries.extend(default.map(setting));
    let unit = match unit_of(key) {
        "" if value.is_number() => "1",
        unit => unit,
    };
    entries.extend([Entry::text(unit), Entry::text(meaning(key))]);
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
        Value::Object(_) => value.to_string(),
    }
}

/// The unit that the end of a key names.
pub fn unit_of(key: &str) -> &'static str {
    const UNITS: [(&str, &str); 6] = [
        ("_ms", "ms"),
        ("_hz", "Hz"),
        ("_nf", "nF"),
        ("_us", "µS"),
        ("_mv", "mV"),
        ("_percent", "%"),
    ];
    let found = UNITS.iter().find(|(suffix, _)| key.ends_with(suffix));
    match found {
        Some((_, unit)) => unit,
        None if key == "network.surrogate_slope" => "1/mV",
        None => "",
    }
}

/// What the schema says about a key.
fn meaning(key: &str) -> String {
    let schema = config::schema();
    let mut part = &schema;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_not_shared() {
        let mut other = Config::default();
        other.training.dale = config::Dale::Clamp;
        other.name = "other".into();
        let method = Method::of([&Config::default(), &other]);
        assert_eq!(method.varied(), ["training.dale"]);
        let tables = method.shared_tables();
        let keys: Vec<_> = tables
            .iter()
            .flat_map(|t| &t.rows)
            .map(|row| &row.name[..])
            .collect();
        assert!(keys.contains(&"network.tau_gaba_ms") && !keys.contains(&"training.dale"));
        assert!(method.paragraphs()[2].contains("Dale's law: varied"));
        assert!(method.paragraphs()[0].contains("1024 excitatory"));
    }

    #[test]
    fn differences_name_value_and_default() {
        assert!(
            differences_from_defaults(&Config::default())
                .rows
                .is_empty()
        );
        let mut config = Config::default();
        config.network.tau_gaba_ms = 6.0;
        let table = differences_from_defaults(&config);
        assert_eq!(table.rows.len(), 1);
        let entries = &table.rows[0].entries;
        assert_eq!(entries[..2], [Entry::Exact(6.0), Entry::Exact(9.0)]);
        assert_eq!(entries[2], Entry::text("ms"));
    }

    #[test]
    fn every_key_has_a_meaning() {
        for (key, _) in flat(&Config::default()) {
            assert!(!meaning(&key).is_empty(), "{key}");
        }
    }
}
