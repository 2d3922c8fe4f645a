//! Wrong configurations: each mistake is refused in words that name the place and the way out.

use crate::common::settings::{load, parse};
use dalenet::conductance::settings::{Config, MatrixName};
use dalenet::config::{ConfigError, Override};

/// Problems found in `text`, one a line.
fn problems(text: &str) -> String {
    listed(parse(text, "bad.json"))
}

/// Problems found in `--set` options on top of the defaults, one a line.
fn set_problems(sets: &[&str]) -> String {
    listed(load(None, &overrides(sets), None))
}

fn listed(result: Result<Config, ConfigError>) -> String {
    match result {
        Err(ConfigError::Invalid(problems)) => problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
        other => panic!("expected problems, got {other:?}"),
    }
}

fn overrides(sets: &[&str]) -> Vec<Override> {
    sets.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    let cases = [
        (
            r#"{"network": {"tau_gabba_ms": 6}}"#,
            "bad.json: network.tau_gabba_ms = 6: unknown key; did you mean `network.tau_gaba_ms`?",
        ),
        (
            r#"{"tau_gaba_ms": 6}"#,
            "bad.json: tau_gaba_ms = 6: unknown key; did you mean `network.tau_gaba_ms`?",
        ),
        (
            r#"{"network":{"ne":5}}"#,
            "bad.json: network.ne = 5: unknown key; did you mean `network.n_e`?",
        ),
        (
            r#"{"training": {"dt": 0.1}}"#,
            "bad.json: training.dt = 0.1: unknown key; did you mean `network.dt_ms`?",
        ),
        (
            r#"{"netwrok": {"n_e": 5}}"#,
            r#"bad.json: netwrok = {"n_e":5}: unknown key; did you mean `network`?"#,
        ),
        (
            r#"{"network.n_e": 5}"#,
            r#"bad.json: network.n_e = 5: unknown key; write it nested: {"network": {"n_e": …}}"#,
        ),
        (
            r#"{"zzz": null}"#,
            "bad.json: zzz = null: unknown key; `dalenet config --schema conductance` lists the known ones",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), expected);
    }
}

#[test]
fn wrong_values_are_named_with_what_is_allowed() {
    let integer = "must be an integer in plain digits, from 1 to 65536";
    let any_u64 = "must be an integer in plain digits, from 0 to 18446744073709551615";
    let cases = [
        ("network.n_e", "1600.0", integer),
        ("network.n_e", "-1", integer),
        ("network.n_e", "65537", integer),
        ("network.n_e", "\"many\"", integer),
        ("network.n_e", "[5]", integer),
        ("seeds.noise", "-1", any_u64),
        ("seeds.noise", "1.8446744073709552e+19", any_u64),
        ("network.dt_ms", "100", "must be a number from 0.0001 to 10"),
        (
            "network.dt_ms",
            "null",
            "must be a number from 0.0001 to 10",
        ),
        (
            "network.c_m_e_nf",
            "0",
            "must be a number from 1e-6 to 1000000",
        ),
        ("network", "3", "must be a section: a JSON object { … }"),
        ("name", "\"\"", "must be a string, from 1 to 80 characters"),
        ("data.path", "7", "must be a string, or null"),
        (
            "family",
            "\"izhikevic\"",
            "must be \"conductance\", \"rate_rnn\" or \"izhikevich\"",
        ),
        ("training.signed_loop", "1", "must be true or false"),
        (
            "training.trainable",
            "\"w_in\"",
            r#"must be a list, each item "w_in", "w_out", "w_ee", "w_ei", "w_ie" or "w_ii""#,
        ),
        (
            "data.dataset",
            "\"mnsit\"",
            r#"must be "mnist", "digits", "images" or "events"; did you mean "mnist"?"#,
        ),
        (
            "training.dale",
            "\"zzz\"",
            r#"must be "clamp", "project" or "signed""#,
        ),
    ];
    for (key, value, expected) in cases {
        let text = match key.split_once('.') {
            Some((section, key)) => format!(r#"{{"{section}": {{"{key}": {value}}}}}"#),
            None => format!(r#"{{"{key}": {value}}}"#),
        };
        assert_eq!(
            problems(&text),
            format!("bad.json: {key} = {value}: {expected}")
        );
    }
    assert_eq!(
        problems(r#"{"training": {"trainable": ["w_in", "w_on"]}}"#),
        r#"bad.json: training.trainable[1] = "w_on": must be "w_in", "w_out", "w_ee", "w_ei", "w_ie" or "w_ii"; did you mean "w_in"?"#
    );
    assert_eq!(
        problems("[]"),
        "bad.json: (whole document) = []: must be a section: a JSON object { … }"
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let cases: [(&[&str], &str); 13] = [
        (
            &["network.v_reset_mv=-50"],
            "network.v_reset_mv = -50.0: must be below network.v_th_mv (-50)",
        ),
        (
            &["network.v_floor_mv=-60"],
            "network.v_floor_mv = -60.0: must not be above network.v_reset_mv (-65) or network.e_l_mv (-65)",
        ),
        (
            &["network.duration_ms=0.05"],
            "network.duration_ms = 0.05: must be from 1 to 10000000 steps of network.dt_ms (0.1)",
        ),
        (
            &["network.duration_ms=1e6", "network.dt_ms=0.01"],
            "network.duration_ms = 1000000.0: must be from 1 to 10000000 steps of network.dt_ms (0.01)",
        ),
        (
            &["encoding.rate_hz=10001"],
            "encoding.rate_hz = 10001.0: must be at most one spike a step of network.dt_ms (0.1), so up to 10000",
        ),
        (
            &["data.dataset=images", "data.subset=full", "data.path="],
            "data.path = \"\": must name your file, because data.dataset is \"images\"",
        ),
        (
            &["data={\"dataset\": \"events\", \"subset\": \"full\"}"],
            "data.path = null: must name your file, because data.dataset is \"events\"",
        ),
        (
            &["data.path=a.npz"],
            "data.path = \"a.npz\": must be left out unless data.dataset is \"images\" or \"events\" (is \"mnist\")",
        ),
        (
            &["data.labels_path=l.idx"],
            "data.labels_path = \"l.idx\": must be left out unless data.dataset is \"images\" and data.path an IDX file",
        ),
        (
            &["data.dataset=digits", "data.subset=studies"],
            "data.subset = \"studies\": must be \"stratified\" or \"full\", because data.dataset is \"digits\"",
        ),
        (
            &["training.trainable=w_in,w_ei,w_in"],
            "training.trainable = [\"w_in\",\"w_ei\",\"w_in\"]: must name each matrix once",
        ),
        (
            &["name=a/b"],
            "name = \"a/b\": must consist of A-Z, a-z, 0-9, '.', '-' and '_' and not begin with '.'",
        ),
        (
            &["name=.."],
            "name = \"..\": must consist of A-Z, a-z, 0-9, '.', '-' and '_' and not begin with '.'",
        ),
    ];
    for (sets, expected) in cases {
        assert_eq!(set_problems(sets), format!("--set: {expected}"));
    }
    // The blame goes to where the key was set last.
    assert!(set_problems(&["network.v_th_mv=-70"]).starts_with("defaults: network.v_reset_mv"));
    assert!(set_problems(&["network.e_l_mv=-300"]).starts_with("defaults: network.v_floor_mv"));
    // A loop matrix with mean zero may be trained: it exists then.
    let trained = load(None, &overrides(&["training.trainable=w_ee,w_ii"]), None).unwrap();
    assert_eq!(
        trained.training.trainable,
        [MatrixName::WEe, MatrixName::WIi]
    );
}

#[test]
fn all_problems_are_reported_together() {
    let error = parse(
        r#"{"nme": "x", "network": {"n_e": 0, "n_i": 0}}"#,
        "bad.json",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 problems in the configuration:
  bad.json: nme = \"x\": unknown key; did you mean `name`?
  bad.json: network.n_e = 0: must be an integer in plain digits, from 1 to 65536
  bad.json: network.n_i = 0: must be an integer in plain digits, from 1 to 65536"
    );
    let many: Vec<_> = (0..1000).map(|i| format!(r#""k{i}": {i}"#)).collect();
    let error = parse(&format!("{{{}}}", many.join(",")), "bad.json")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("20 or more problems in the configuration, the first are:\n"));
    assert_eq!(error.lines().count(), 21);
}

#[test]
fn syntax_errors_name_line_and_column() {
    let cases = [
        ("{\n  \"name\": \"a\",\n}", "bad.json:3:1: trailing comma"),
        (
            "{\"seeds\": {\"data\": 1,\n \"data\": 2}}",
            "bad.json:2:7: the key `data` appears twice",
        ),
        (
            "{\"network\": {\"dt_ms\": NaN}}",
            "bad.json:1:23: expected value",
        ),
        (
            "{\"network\": {\"dt_ms\": 1e400}}",
            "bad.json:1:27: number out of range",
        ),
        ("{} {}", "bad.json:1:4: trailing characters"),
        ("", "bad.json:1:0: EOF while parsing a value"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text, "bad.json").unwrap_err().to_string(), expected);
    }
    let deep = parse(&"[".repeat(100_000), "bad.json")
        .unwrap_err()
        .to_string();
    assert_eq!(deep, "bad.json:1:128: recursion limit exceeded");
    assert_eq!(parse("\u{feff}{}", "bom.json").unwrap(), Config::default());
}

#[test]
fn untrusted_text_cannot_flood_or_steer_a_terminal() {
    let long = "x".repeat(100_000);
    let text = problems(&format!(r#"{{"\u001b[2J": "\u009b", "{long}": "{long}"}}"#));
    assert!(
        text.len() < 600 && !text.contains(['\u{1b}', '\u{9b}']),
        "{text}"
    );
    assert!(
        text.starts_with("bad.json: \\u{1b}[2J = \"\\u{9b}\": unknown key"),
        "{text}"
    );
}

#[test]
fn wrong_overrides_are_reported_like_wrong_keys_of_a_file() {
    let cases = [
        (
            "tau_gaba_ms=6",
            "--set: tau_gaba_ms = 6: unknown key; did you mean `network.tau_gaba_ms`?",
        ),
        (
            "network.n_e.x=6",
            "--set: network.n_e.x = 6: unknown key; `dalenet config --schema conductance` lists the known ones",
        ),
        (
            "network.dt_ms=NaN",
            "--set: network.dt_ms = \"NaN\": must be a number from 0.0001 to 10",
        ),
        (
            "network={\"n_e\": 0}",
            "--set: network.n_e = 0: must be an integer in plain digits, from 1 to 65536",
        ),
        (
            "network=abc",
            "--set: network = \"abc\": must be a section: a JSON object { … }",
        ),
    ];
    for (set, expected) in cases {
        assert_eq!(set_problems(&[set]), expected);
    }
    assert_eq!(set_problems(&["nme=a", "network.n_e=0"]).lines().count(), 2);
    for text in ["network.n_e", "=5", ""] {
        let error = text.parse::<Override>().unwrap_err().to_string();
        let advice = "write KEY=VALUE, for example --set network.tau_gaba_ms=6";
        assert_eq!(error, format!("--set {text}: {advice}"));
    }
}
