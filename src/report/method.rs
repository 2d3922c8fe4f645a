//! The method of a page, generated from configurations: what all runs share, in words and as
//! tables, and what changes from run to run.

mod rate_rnn;

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
            let trials = ["train", "validation", "test"].map(count);
            if trials != [0; 3] && !self.trials.contains(&trials) {
                self.trials.push(trials);
            }
        }
        self
    }

    /// Keys in which the configurations differ.
    pub fn varied(&self) -> &[String] {
        &self.varied
    }

    /// The value of a key; none where the configurations differ in it.
    fn found(&self, key: &str) -> Option<Value> {
        let is_varied = self.varied.iter().any(|name| name == key);
        (!is_varied).then(|| value_of(&self.shared, key))
    }

    /// The value of a key as text; none where it is no text or varies.
    fn name(&self, key: &str) -> Option<String> {
        Some(self.found(key)?.as_str()?.to_owned())
    }

    /// A number without its unit, or that it varies.
    fn say(&self, key: &str) -> String {
        self.found(key)
            .map_or_else(|| "a varying number of".into(), |value| words(&value))
    }

    /// The value of a key with its unit, or that it varies.
    fn quantity(&self, key: &str) -> String {
        match self.found(key) {
            Some(value) => format!("{} {}", words(&value), unit_of(key))
                .trim()
                .to_owned(),
            None => "varies".into(),
        }
    }

    /// Whether a key has this number in all configurations.
    fn is(&self, key: &str, number: f64) -> bool {
        self.found(key).and_then(|value| value.as_f64()) == Some(number)
    }

    /// Paragraphs on network, input and training.
    pub fn paragraphs(&self) -> Vec<String> {
        match self.family {
            Family::Conductance => vec![self.network(), self.input(), self.training()],
            Family::RateRnn => rate_rnn::paragraphs(self),
        }
    }

    /// Samples for training, validation and test, where all runs had the same.
    fn samples(&self) -> String {
        match self.trials[..] {
            [[train, 0, test]] => format!("; samples: {train} for training, {test} for testing"),
            [[train, validation, test]] => format!(
                "; samples: {train} for training, {validation} for validation, {test} for testing"
            ),
            _ => String::new(),
        }
    }

    fn network(&self) -> String {
        let q = |key: &str| self.quantity(key);
        let mut text = format!(
            "Networks have {} excitatory and {} inhibitory conductance-based integrate-and-fire cells \
             (τ_AMPA: {}; τ_GABA: {}). Trial duration: {}; time step: {}; membrane integration: {}; read-out: \
             {}.",
            self.say("network.n_e"),
            self.say("network.n_i"),
            q("network.tau_ampa_ms"),
            q("network.tau_gaba_ms"),
            q("network.duration_ms"),
            q("network.dt_ms"),
            q("network.integrator"),
            q("network.readout"),
        );
        if self.is("weights.ei_strength", 0.0) {
            text += " The E–I loop starts at zero.";
        }
        let recurrent = [("ee", "W_EE"), ("ii", "W_II")];
        for (short, name) in recurrent {
            let key = format!("weights.{short}_mean_us");
            if self.found(&key).is_none() {
                text += &format!(" The mean of {name} varies.");
            } else if !self.is(&key, 0.0) {
                text += &format!(
                    " {name} is present, with a mean of {}.",
                    self.quantity(&key)
                );
            }
        }
        text
    }

    fn input(&self) -> String {
        let encoding = match self.name("data.dataset").as_deref() {
            Some("events") => "The spikes of the file are the input, as they are.".to_owned(),
            Some(_) => format!(
                "Each pixel fires as a Bernoulli process in each time step, at a rate proportional to its \
                 intensity (white: {}).",
                self.quantity("encoding.rate_hz")
            ),
            None => format!(
                "Each pixel of an image fires as a Bernoulli process in each time step, at a rate proportional \
                 to its intensity (white: {}); recorded spikes are the input as they are.",
                self.quantity("encoding.rate_hz")
            ),
        };
        let source = match self.name("data.dataset").as_deref() {
            Some("mnist") => "MNIST".to_owned(),
            Some("digits") => "the built-in synthetic digits".to_owned(),
            Some(kind @ ("images" | "events")) => match self.name("data.path") {
                Some(path) => format!("the user's {kind} in {path}"),
                None => format!("the user's {kind}"),
            },
            _ => "sources vary".to_owned(),
        };
        format!("Samples: {source}; {}. {encoding}", self.subset())
    }

    fn subset(&self) -> String {
        let part = match self.name("data.subset").as_deref() {
            Some("studies") => "the fixed split of the studies",
            Some("stratified") => "a class-balanced subset",
            Some("full") => "all of them",
            _ => "subsets vary",
        };
        let held_out = match self.found("data.validation_percent") {
            Some(share) if self.is("data.validation_percent", 0.0) || share.is_null() => {
                String::new()
            }
            _ => format!(
                " (held out of the training samples to select the best epoch: {})",
                self.quantity("data.validation_percent")
            ),
        };
        match self.trials[..] {
            [[train, validation, test]] => {
                let validation = if validation > 0 {
                    format!(" {validation} for validation,")
                } else {
                    String::new()
                };
                format!("{part}, {train} for training,{validation} {test} for testing{held_out}")
            }
            [] if self.name("data.subset").as_deref() == Some("stratified") => format!(
                "{part} (training: {}; test: {}){held_out}",
                self.quantity("data.train_samples"),
                self.quantity("data.test_samples")
            ),
            [] => format!("{part}{held_out}"),
            _ => format!("{part}, sizes vary{held_out}"),
        }
    }

    fn training(&self) -> String {
        let q = |key: &str| self.quantity(key);
        let mut text = format!(
            "Training: {}; batch size: {}; Adam (learning rate: {}; gradient-norm clipping: {}; slope of the \
             surrogate derivative: {}; damping of the gradient through the membrane: {}). Dale's law: {}. \
             Trained matrices: {}.",
            match self
                .found("training.epochs")
                .and_then(|value| value.as_u64())
            {
                Some(epochs) => count(epochs as usize, "epoch", "epochs"),
                None => "a varying number of epochs".into(),
            },
            q("training.batch_size"),
            q("training.learning_rate"),
            q("training.clip_norm"),
            q("network.surrogate_slope"),
            q("network.grad_dampen"),
            self.dale(),
            q("training.trainable"),
        );
        text += &self.loop_rule();
        if self.found("training.rate_strength").is_none() {
            text += " The strength of a penalty on firing rates varies.";
        } else if !self.is("training.rate_strength", 0.0) {
            text += &format!(
                " The loss includes a penalty, strength × (mean rate over the batch − threshold)² summed over \
                 the E cells above the threshold (strength: {}; threshold: {}).",
                q("training.rate_strength"),
                q("training.rate_theta_hz")
            );
        }
        text
    }

    fn dale(&self) -> String {
        let mode = match self.name("training.dale").as_deref() {
            Some("clamp") => "the forward pass uses max(w, 0) (clamp)",
            Some("project") => "weights are set to max(w, 0) after every step (project)",
            Some("signed") => "not enforced, weights are used as stored (signed)",
            _ => "varies",
        };
        match self.found("training.signed_loop") {
            Some(Value::Bool(true)) => {
                format!("{mode}, but the matrices of the loop are used without clamping")
            }
            Some(_) => mode.to_owned(),
            None => {
                format!("{mode}; whether the matrices of the loop are used without clamping varies")
            }
        }
    }

    /// How the loop learns, where it does not learn as the rest.
    fn loop_rule(&self) -> String {
        const RULE: &str = "training.loop_rule";
        let key = |name: &str| format!("{RULE}.{name}");
        let varies = |name: &String| name == RULE || name.starts_with(&key(""));
        if self.varied.iter().any(varies) {
            return " How the loop learns varies.".into();
        }
        let Some(optimiser) = self.name(&key("optimiser")) else {
            return String::new();
        };
        let optimiser = match &optimiser[..] {
            "sgd" => "SGD (without momentum)",
            _ => "Adam",
        };
        let rate = match self.found(&key("learning_rate")) {
            Some(Value::Null) | None => "the same learning rate".to_owned(),
            Some(rate) => format!("a learning rate of {}", words(&rate)),
        };
        let of = match self.name(&key("parametrisation")).as_deref() {
            Some("log") => "ln |w|",
            _ => "w",
        };
        format!(" The matrices of the loop are trained by {optimiser} on {of} with {rate}.")
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
    use crate::families;

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
        assert!(method.paragraphs()[2].contains("Dale's law: varies."));
        assert!(method.paragraphs()[0].contains("1024 excitatory"));
    }

    /// A configuration with every optional key set, on data of a kind.
    fn full(data: &str) -> Config {
        let text = format!(
            r#"{{
                "name": "full", "data": {data}, "encoding": {{ "rate_hz": 31 }},
                "weights": {{ "ee_mean_us": 0.2, "ii_mean_us": 0.3 }},
                "training": {{
                    "epochs": 1, "dale": "clamp", "signed_loop": true,
                    "trainable": ["w_in", "w_out", "w_ei", "w_ie"],
                    "loop_rule": {{ "optimiser": "sgd", "learning_rate": 0.02, "parametrisation": "log" }},
                    "rate_theta_hz": 12, "rate_strength": 0.001
                }}
            }}"#
        );
        families::parse(&text, "test", &[]).unwrap()
    }

    #[test]
    fn the_method_of_every_kind_of_data_says_what_ran() {
        let events = r#"{ "dataset": "events", "path": "mine.npz", "validation_percent": 20 }"#;
        let images = r#"{ "dataset": "images", "path": "a.npz", "labels_path": null }"#;
        let digits = r#"{ "dataset": "digits", "train_samples": 300, "test_samples": 70 }"#;
        let of = |data: &str| Method::of([&full(data)]).paragraphs();
        let [network, input, training] = &of(events)[..] else {
            panic!()
        };
        assert!(
            network.contains("W_EE is present, with a mean of 0.2 µS"),
            "{network}"
        );
        assert!(
            network.contains("W_II is present, with a mean of 0.3 µS"),
            "{network}"
        );
        assert_eq!(
            input,
            "Samples: the user's events in mine.npz; all of them (held out of the training samples to select \
             the best epoch: 20 %). The spikes of the file are the input, as they are."
        );
        for part in [
            "Training: 1 epoch; batch size: 256; Adam",
            "the forward pass uses max(w, 0) (clamp), but the matrices of the loop are used without clamping.",
            "The matrices of the loop are trained by SGD (without momentum) on ln |w| with a learning rate of 0.02.",
            "summed over the E cells above the threshold (strength: 0.001; threshold: 12 Hz).",
        ] {
            assert!(training.contains(part), "{part}: {training}");
        }
        assert_eq!(
            of(images)[1],
            "Samples: the user's images in a.npz; all of them. Each pixel fires as a Bernoulli \
             process in each time step, at a rate proportional to its intensity (white: 31 Hz)."
        );
        assert!(of(digits)[1].contains(
            "the built-in synthetic digits; a class-balanced subset (training: 300; test: 70)"
        ));
        // What is not set is not spoken of, and MNIST has its own split.
        let plain = Method::of([&Config::default()]).paragraphs().join(" ");
        assert!(
            plain.contains("MNIST; the fixed split of the studies."),
            "{plain}"
        );
        for absent in ["W_EE", "loop are trained", "penalty", "select the best"] {
            assert!(!plain.contains(absent), "{absent}: {plain}");
        }
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
        assert!(method.paragraphs()[2].contains("How the loop learns varies."));
        assert!(method.paragraphs()[2].contains("Trained matrices: "));
        let table = differences_from_defaults(&with_rule);
        assert!(
            table.rows.iter().all(|row| row.key.starts_with(rule)),
            "{:?}",
            table.rows
        );
        assert_eq!(table.rows.len(), varied.len());
    }

    #[test]
    fn the_numbers_of_trials_are_those_that_ran() {
        let mut method = Method::of([&Config::default()]);
        method.trials.push([1280, 320, 400]);
        let input = &method.paragraphs()[1];
        assert!(
            input.contains("1280 for training, 320 for validation, 400 for testing"),
            "{input}"
        );
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
