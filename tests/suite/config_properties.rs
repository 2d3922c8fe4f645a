//! Whatever the text, loading a configuration gives a configuration or a proper error.

use crate::common::settings::{load, parse, schema};
use dalenet::conductance::settings::Config;
use dalenet::config::{ConfigError, Override, to_pretty_json};
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Value, json};

/// Fails if the schema checks let through what the types refuse, which shows as a problem without
/// a key; otherwise the configuration must survive being written and read.
fn is_proper(result: Result<Config, ConfigError>) -> Result<(), TestCaseError> {
    match result {
        Ok(config) => {
            let again = parse(&to_pretty_json(&config), "again");
            prop_assert_eq!(again.map_err(|e| e.to_string()), Ok(config));
        }
        Err(ConfigError::Invalid(problems)) => {
            prop_assert!((1..=20).contains(&problems.len()));
            for p in problems {
                prop_assert!(
                    !p.key.is_empty() || p.message.starts_with("must be a section"),
                    "{p}"
                );
            }
        }
        Err(other) => prop_assert!(!other.to_string().is_empty()),
    }
    Ok(())
}

fn default_tree() -> Value {
    json!(Config::default())
}

/// (section, key) of every key inside a section.
fn leaves() -> Vec<(String, String)> {
    let tree = default_tree();
    let sections = tree.as_object().unwrap().iter();
    sections
        .flat_map(|(section, value)| {
            let keys = value.as_object().into_iter().flatten();
            keys.map(move |(key, _)| (section.clone(), key.clone()))
        })
        .collect()
}

/// The pattern without its anchors, which text is not generated from.
fn name_pattern() -> String {
    let schema = schema();
    let pattern = schema["properties"]["name"]["pattern"].as_str().unwrap();
    pattern
        .trim_start_matches('^')
        .trim_end_matches('$')
        .to_owned()
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-10i64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..100.0).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["w_in", "w_ei", "mnist", "full", "none"]).prop_map(Value::from),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let known: Vec<_> = leaves()
        .into_iter()
        .flat_map(|(section, key)| [section, key])
        .collect();
    scalar().prop_recursive(3, 24, 6, move |inner| {
        let key = prop_oneof![prop::sample::select(known.clone()), any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text: String) {
        is_proper(parse(&text, "any"))?;
    }

    #[test]
    fn any_text_of_json_characters(text in r#"[{}\[\]:,"0-9a-z_.\\ \n-]{0,80}"#) {
        is_proper(parse(&text, "any"))?;
    }

    #[test]
    fn any_tree(tree in tree()) {
        is_proper(parse(&tree.to_string(), "any"))?;
    }

    /// One changed value is accepted, or is the key that is complained about, or contradicts one.
    #[test]
    fn a_default_configuration_with_one_value_changed(
        (section, key) in prop::sample::select(leaves()),
        value in tree(),
    ) {
        let mut tree = default_tree();
        tree[&section][&key] = value.clone();
        is_proper(parse(&tree.to_string(), "changed"))?;
        let set = Override { path: format!("{section}.{key}"), value: value.to_string() };
        is_proper(load(None, &[set], None))?;
    }

    #[test]
    fn a_default_configuration_cut_or_with_a_byte_changed(at in 0usize..3000, byte in 0u8..128) {
        let text = to_pretty_json(&Config::default());
        let at = at % text.len();
        is_proper(parse(&text[..at], "cut"))?;
        let mut bytes = text.into_bytes();
        bytes[at] = byte;
        is_proper(parse(&String::from_utf8(bytes).unwrap(), "changed"))?;
    }

    #[test]
    fn any_override(text: String, path in any::<String>(), value in any::<String>()) {
        if let Ok(set) = text.parse::<Override>() {
            is_proper(load(None, &[set], None))?;
        }
        is_proper(load(None, &[Override { path, value }], Some(1)))?;
    }

    #[test]
    fn any_override_of_a_key((section, key) in prop::sample::select(leaves()), value: String) {
        let path = format!("{section}.{key}");
        is_proper(load(None, &[Override { path, value: value.clone() }], None))?;
        is_proper(load(None, &[Override { path: section, value }], None))?;
    }

    /// Every bit of a number survives.
    #[test]
    fn numbers_are_kept_exactly(rate in 0.0..1000.0, seed: u64) {
        let text = format!(r#"{{"training": {{"learning_rate": {rate:e}}}}}"#);
        let config = load(None, &[], Some(seed)).unwrap();
        prop_assert_eq!(config.seeds.noise, seed);
        let config = parse(&text, "exact").unwrap();
        prop_assert_eq!(config.training.learning_rate.to_bits(), f64::to_bits(rate));
        is_proper(Ok(config))?;
    }

    /// The schema's pattern of names and the check of names say the same.
    #[test]
    fn names_follow_the_pattern(good in string_regex(&name_pattern()).unwrap(), bad: char) {
        let named = |name: &str| parse(&json!({ "name": name }).to_string(), "named");
        prop_assert_eq!(named(&good).is_ok(), good.len() <= 80 && !good.starts_with('.'));
        let is_plain = bad.is_ascii_alphanumeric() || "._-".contains(bad);
        prop_assert_eq!(named(&format!("a{bad}")).is_ok(), is_plain);
    }
}
