//! Configurations: what loads, from where, and what the schema says.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::settings::{load, parse, schema};
use dalenet::conductance::settings::{
    Config, Dale, LoopRule, MatrixName, RefractoryTiming, SynapseKick,
};
use dalenet::config::{ConfigError, Dataset, Override, Subset, sha256, to_pretty_json};
use dalenet::families::{self, BUILTINS, builtin};
use dalenet::optim::{Optimiser, Parametrisation};
use serde_json::{Value, json};

fn overrides(sets: &[&str]) -> Vec<Override> {
    sets.iter().map(|text| text.parse().unwrap()).collect()
}

/// Paths of all keys of a JSON tree, sections too.
fn keys_of(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        keys_of(value, &path, keys);
        keys.insert(path);
    }
}

/// The part of the schema at a key.
fn schema_at(path: &str) -> Value {
    let schema = schema();
    path.split('.').fold(schema.clone(), |part, key| {
        let part = part["properties"][key].clone();
        // A section that may be null is a choice of it and null.
        let part = match part["anyOf"].as_array() {
            Some(choices) => choices[0].clone(),
            None => part,
        };
        match part["$ref"].as_str() {
            Some(target) => schema["$defs"][target.trim_start_matches("#/$defs/")].clone(),
            None => part,
        }
    })
}

#[test]
fn builtin_configurations_are_what_they_are_called() {
    let ping = parse(builtin("ping").unwrap(), "ping").unwrap();
    assert_eq!(ping, Config::default());

    let mut coba = Config {
        name: "coba".into(),
        ..Config::default()
    };
    coba.weights.in_mean_us = 0.3;
    coba.weights.ei_strength = 0.0;
    coba.weights.out_scale = 100.0;
    assert_eq!(parse(builtin("coba").unwrap(), "coba").unwrap(), coba);

    let quickstart = parse(builtin("quickstart").unwrap(), "quickstart").unwrap();
    assert_eq!(quickstart.data.dataset, Dataset::Digits);
    assert_eq!(quickstart.data.subset, Subset::Stratified);
    for (name, text) in BUILTINS {
        assert_eq!(families::parse(text, name, &[]).unwrap().name(), *name);
    }
    assert_eq!(builtin("pong"), None);
}

#[test]
fn schema_has_every_key_and_every_default_is_within_its_range() {
    let mut config = Config::default();
    config.training.trainable.push(MatrixName::WEi);
    // Left out where they are as usual, so that descriptions older than they are keep their hashes.
    config.training.loop_rule = Some(LoopRule::default());
    config.training.keep_every_epochs = Some(5);
    config.network.readout_slope = Some(2.0);
    config.network.synapse_kick = SynapseKick::Full;
    config.network.refractory_timing = RefractoryTiming::Following;
    let tree: Value = serde_json::from_str(&to_pretty_json(&config)).unwrap();
    let mut keys = BTreeSet::new();
    keys_of(&tree, "", &mut keys);
    assert!(keys.len() > 60);
    for key in &keys {
        let part = schema_at(key);
        assert!(part["description"].is_string(), "{key} has no description");
        if part["type"] == "number" {
            assert!(
                part["minimum"].is_number() && part["maximum"].is_number(),
                "{key} has no range"
            );
        }
    }
    let mut in_schema = BTreeSet::new();
    for (section, part) in schema()["properties"].as_object().unwrap() {
        assert!(!part["default"].is_null(), "{section} has no default");
        keys_below(section, &mut in_schema);
    }
    assert_eq!(keys, in_schema);
    assert_eq!(
        schema()["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    // `{}` takes defaults without looking at them; the full text has them checked.
    assert_eq!(parse(&tree.to_string(), "defaults").unwrap(), config);
    let tree = to_pretty_json(&Config::default());
    for key in [
        "loop_rule",
        "readout_slope",
        "synapse_kick",
        "refractory_timing",
    ] {
        assert!(!tree.contains(key), "{key}");
    }
    assert_eq!(parse(&tree, "defaults").unwrap(), Config::default());
    assert_eq!(parse("{}", "empty").unwrap(), Config::default());
}

/// Paths of a key and of all below it in the schema.
fn keys_below(path: &str, keys: &mut BTreeSet<String>) {
    let part = schema_at(path);
    assert!(part["type"] != "object" || part["additionalProperties"] == false);
    for (key, _) in part["properties"].as_object().into_iter().flatten() {
        keys_below(&format!("{path}.{key}"), keys);
    }
    keys.insert(path.to_owned());
}

#[test]
fn a_loop_rule_is_optional_and_belongs_to_a_trained_loop() {
    let loop_rule = |sets: &[&str]| {
        let mut all = vec!["training.trainable=w_in,w_ei"];
        all.extend(sets);
        load(None, &overrides(&all), None).map(|config| config.training.loop_rule)
    };
    for none in [&[][..], &["training.loop_rule=null"]] {
        assert_eq!(loop_rule(none).unwrap(), None);
    }
    let slow_descent = LoopRule {
        optimiser: Optimiser::Sgd,
        learning_rate: Some(0.25),
        parametrisation: Parametrisation::Log,
    };
    let whole =
        r#"training.loop_rule={"optimiser":"sgd","learning_rate":0.25,"parametrisation":"log"}"#;
    let keys = [
        "training.loop_rule.optimiser=sgd",
        "training.loop_rule.learning_rate=0.25",
        "training.loop_rule.parametrisation=log",
    ];
    for sets in [&[whole][..], &keys, &["training.loop_rule=null", whole]] {
        assert_eq!(loop_rule(sets).unwrap(), Some(slow_descent.clone()));
    }
    let cleared = loop_rule(&[whole, "training.loop_rule=null"]);
    assert_eq!(cleared.unwrap(), None);
    let of_null = r#"{"training": {"trainable": ["w_ie"], "loop_rule": null}}"#;
    assert_eq!(parse(of_null, "null").unwrap().training.loop_rule, None);
    assert_eq!(
        loop_rule(&["training.loop_rule={}"]).unwrap(),
        Some(LoopRule::default())
    );

    for (set, part) in [
        (
            "training.loop_rule.optimiser=sgdd",
            r#"did you mean "sgd"?"#,
        ),
        ("training.loop_rule.learning_rate=-1", "from 0 to"),
        ("training.loop_rule.learning_rate=fast", "or null"),
        ("training.loop_rule.learningrate=1", "learning_rate"),
        ("training.loop_rule=sgd", "or null"),
        (
            r#"training.loop_rule={"parametrization":"log"}"#,
            "`training.loop_rule.parametrisation`",
        ),
    ] {
        let error = loop_rule(&[set]).unwrap_err().to_string();
        assert!(
            error.contains("training.loop_rule") && error.contains(part),
            "{error}"
        );
    }
    let frozen = load(None, &overrides(&[whole]), None)
        .unwrap_err()
        .to_string();
    assert!(
        frozen.contains("unless training.trainable names"),
        "{frozen}"
    );
}

/// SHA-256 of the JSON that version 0.1.0 wrote of `ping`, with every key but `training.loop_rule`.
const PING_SHA256: &str = "7250014bdfd80df88a33f8dd937315e7f92db292b276523a2ee06285d5f171e9";

/// Runs of older versions must stay what they are called by.
#[test]
fn hashes_of_configurations_without_a_loop_rule_stay() {
    let ping = sha256(&parse(builtin("ping").unwrap(), "ping").unwrap());
    assert_eq!(ping, PING_SHA256);
    let with_null = r#"{"training": {"loop_rule": null}}"#;
    assert_eq!(sha256(&parse(with_null, "null").unwrap()), PING_SHA256);
}

/// A restriction added to the types in words that the checks do not know would go unnoticed.
#[test]
fn schema_uses_only_keywords_that_are_checked() {
    const CHECKED: [&str; 14] = [
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "items",
        "maxLength",
        "maximum",
        "minLength",
        "minimum",
        "oneOf",
        "pattern",
        "properties",
        "type",
    ];
    const NOTES: [&str; 5] = ["$schema", "title", "description", "default", "format"];
    fn unknown(part: &Value, found: &mut Vec<String>) {
        for (keyword, value) in part.as_object().into_iter().flatten() {
            match keyword.as_str() {
                "properties" | "$defs" => {
                    value
                        .as_object()
                        .unwrap()
                        .values()
                        .for_each(|part| unknown(part, found));
                }
                "oneOf" | "anyOf" => value
                    .as_array()
                    .unwrap()
                    .iter()
                    .for_each(|part| unknown(part, found)),
                "items" => unknown(value, found),
                word if CHECKED.contains(&word) || NOTES.contains(&word) => {}
                word => found.push(word.to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    unknown(&schema(), &mut found);
    assert_eq!(found, [""; 0]);
    unknown(&json!({"properties": {"n": {"multipleOf": 2}}}), &mut found);
    assert_eq!(found, ["multipleOf"]);
}

#[test]
fn bounds_themselves_are_allowed() {
    for text in [
        r#"{"network": {"n_e": 1, "n_i": 65536, "dt_ms": 10}}"#,
        r#"{"seeds": {"noise": 18446744073709551615, "data": 0}}"#,
        r#"{"data": {"validation_percent": 90, "path": null}, "training": {"trainable": []}}"#,
        r#"{"encoding": {"rate_hz": 10000}, "network": {"duration_ms": 1000000}}"#,
    ] {
        parse(text, "good.json").unwrap();
    }
}

#[test]
fn overrides_read_the_value_as_the_key_asks() {
    let sets = [
        "network.tau_gaba_ms=6",
        "training.trainable=[\"w_in\"]",
        "name=2024",
        "data.dataset=images",
        "data.subset=full",
        "data.path=C:\\a=b.npz",
        "training.dale=clamp",
        "weights={\"out_scale\": 100, \"ei_strength\": 0}",
        "weights.ei_strength=0.5",
    ];
    let config = load(None, &overrides(&sets), None).unwrap();
    let mut expected = Config {
        name: "2024".into(),
        ..Config::default()
    };
    expected.network.tau_gaba_ms = 6.0;
    expected.training.trainable = vec![MatrixName::WIn];
    expected.training.dale = Dale::Clamp;
    expected.data.dataset = Dataset::Images;
    expected.data.subset = Subset::Full;
    expected.data.path = Some("C:\\a=b.npz".into());
    expected.weights.out_scale = 100.0;
    expected.weights.ei_strength = 0.5;
    assert_eq!(config, expected);

    let lists = [
        ("w_in,w_out", 2),
        ("w_in", 1),
        ("", 0),
        (" w_in , w_ei ", 2),
    ];
    for (text, n) in lists {
        let sets = overrides(&[&format!("training.trainable={text}")]);
        assert_eq!(load(None, &sets, None).unwrap().training.trainable.len(), n);
    }
}

#[test]
fn seed_sets_all_four_and_a_set_wins() {
    let seeds = |sets: &[&str]| load(None, &overrides(sets), Some(7)).unwrap().seeds;
    let all = seeds(&[]);
    assert_eq!([all.weights, all.data, all.shuffle, all.noise], [7; 4]);
    let some = seeds(&["seeds.noise=9"]);
    assert_eq!(
        [some.weights, some.data, some.shuffle, some.noise],
        [7, 7, 7, 9]
    );
    let text = r#"{"seeds": {"noise": 3}}"#;
    assert_eq!(parse(text, "a").unwrap().seeds.noise, 3);
}

#[test]
fn files_come_first_and_builtin_names_second() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let own = at("ping.json", br#"{"name": "own", "seeds": {"data": 1}}"#);
    let config = load(Some(&own), &overrides(&["seeds.data=5"]), Some(7)).unwrap();
    assert_eq!(
        (config.name.as_str(), config.seeds.data, config.seeds.noise),
        ("own", 5, 7)
    );

    for name in [
        "coba",
        "coba.json",
        "./coba",
        "configs/coba.json",
        "./configs/coba.json",
    ] {
        assert_eq!(load(Some(Path::new(name)), &[], None).unwrap().name, "coba");
    }
    // A mistyped folder must not run a built-in configuration in its place.
    for name in ["studies/coba.json", "pong", ""] {
        let error = load(Some(Path::new(name)), &[], None)
            .unwrap_err()
            .to_string();
        let known = families::builtin_names();
        assert!(
            known.starts_with("coba, orientation, orientation_offsets, ping, quickstart"),
            "{known}"
        );
        let known = format!("no such file, nor a built-in configuration (these are: {known})");
        assert_eq!(error, format!("{name}: {known}"));
    }
    assert!(matches!(
        load(Some(folder.path()), &[], None),
        Err(ConfigError::Io { .. })
    ));

    let large = at("large.json", &[b' '; (1 << 20) + 1]);
    let error = load(Some(&large), &[], None).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::TooLarge {
            limit_bytes: 1_048_576,
            ..
        }
    ));
    let mut fits = b"{}".to_vec();
    fits.resize(1 << 20, b' ');
    load(Some(&at("fits.json", &fits)), &[], None).unwrap();

    let error = load(
        Some(&at("latin.json", b"{\n\"name\": \"\xe9\"}")),
        &[],
        None,
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("latin.json:2:10: a byte that is not UTF-8 text")
    );
}

#[test]
fn hash_follows_meaning_and_not_spelling() {
    let of = |text: &str| sha256(&parse(text, "a").unwrap());
    let full = to_pretty_json(&Config::default());
    assert_eq!(of("{}"), of(&full));
    assert_eq!(
        of(r#"{"network": {"n_e": 5, "n_i": 6}}"#),
        of(r#"{"network":{"n_i":6,"n_e":5}}"#)
    );
    assert_ne!(of("{}"), of(r#"{"seeds": {"noise": 43}}"#));
    assert_eq!(of("{}").len(), 64);
    assert!(full.starts_with("{\n  \"name\": \"ping\",\n  \"family\": \"conductance\",\n"));
}
