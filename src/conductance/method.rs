//! The method of a page on networks of this family, in words.

use serde_json::Value;

use crate::report::method::{Method, words};
use crate::text::count;

/// Paragraphs on network, input and training.
pub fn paragraphs(method: &Method) -> Vec<String> {
    vec![network(method), input(method), training(method)]
}

fn network(method: &Method) -> String {
    let q = |key: &str| method.quantity(key);
    let mut text = format!(
        "Networks have {} excitatory and {} inhibitory conductance-based integrate-and-fire cells \
         (τ_AMPA: {}; τ_GABA: {}). Trial duration: {}; time step: {}; membrane integration: {}; read-out: \
         {}.",
        method.say("network.n_e"),
        method.say("network.n_i"),
        q("network.tau_ampa_ms"),
        q("network.tau_gaba_ms"),
        q("network.duration_ms"),
        q("network.dt_ms"),
        q("network.integrator"),
        q("network.readout"),
    );
    text += &conventions(method);
    if method.is("weights.ei_strength", 0.0) {
        text += " The E–I loop starts at zero.";
    }
    let recurrent = [("ee", "W_EE"), ("ii", "W_II")];
    for (short, name) in recurrent {
        let key = format!("weights.{short}_mean_us");
        if method.found(&key).is_none() {
            text += &format!(" The mean of {name} varies.");
        } else if !method.is(&key, 0.0) {
            text += &format!(
                " {name} is present, with a mean of {}.",
                method.quantity(&key)
            );
        }
    }
    text
}

/// What is done otherwise than usual in a step, or varies.
fn conventions(method: &Method) -> String {
    let conventions = [
        (
            "network.synapse_kick",
            "full",
            " A recurrent spike reaches its conductance undecayed.",
            " Whether recurrent spikes reach their conductances undecayed varies.",
        ),
        (
            "network.refractory_timing",
            "following",
            " The refractory time is counted down after it is asked whether a cell may fire.",
            " When the refractory time is counted down varies.",
        ),
    ];
    let sentences = conventions.map(|(key, other, said, varies)| match method.found(key) {
        None => varies,
        Some(value) if value == other => said,
        Some(_) => "",
    });
    let slope = match method.found("network.readout_slope") {
        None => " The slope of the read-out's surrogate derivative varies.".to_owned(),
        Some(value) if value.is_null() => String::new(),
        Some(_) => format!(
            " The surrogate derivative of the read-out's reset has a slope of its own ({}).",
            method.quantity("network.readout_slope")
        ),
    };
    sentences.concat() + &slope
}

fn input(method: &Method) -> String {
    let encoding = match method.name("data.dataset").as_deref() {
        Some("events") => "The spikes of the file are the input, as they are.".to_owned(),
        Some(_) => format!(
            "Each pixel fires as a Bernoulli process in each time step, at a rate proportional to its \
             intensity (white: {}).",
            method.quantity("encoding.rate_hz")
        ),
        None => format!(
            "Each pixel of an image fires as a Bernoulli process in each time step, at a rate proportional \
             to its intensity (white: {}); recorded spikes are the input as they are.",
            method.quantity("encoding.rate_hz")
        ),
    };
    let source = match method.name("data.dataset").as_deref() {
        Some("mnist") => "MNIST".to_owned(),
        Some("digits") => "the built-in synthetic digits".to_owned(),
        Some(kind @ ("images" | "events")) => match method.name("data.path") {
            Some(path) => format!("the user's {kind} in {path}"),
            None => format!("the user's {kind}"),
        },
        _ => "sources vary".to_owned(),
    };
    format!("Samples: {source}; {}. {encoding}", subset(method))
}

fn subset(method: &Method) -> String {
    let part = match method.name("data.subset").as_deref() {
        Some("studies") => "the fixed split of the studies",
        Some("stratified") => "a class-balanced subset",
        Some("full") => "all of them",
        _ => "subsets vary",
    };
    let held_out = match method.found("data.validation_percent") {
        Some(share) if method.is("data.validation_percent", 0.0) || share.is_null() => {
            String::new()
        }
        _ => format!(
            " (held out of the training samples to select the best epoch: {})",
            method.quantity("data.validation_percent")
        ),
    };
    match method.trials()[..] {
        [[train, validation, test]] => {
            let validation = if validation > 0 {
                format!(" {validation} for validation,")
            } else {
                String::new()
            };
            format!("{part}, {train} for training,{validation} {test} for testing{held_out}")
        }
        [] if method.name("data.subset").as_deref() == Some("stratified") => format!(
            "{part} (training: {}; test: {}){held_out}",
            method.quantity("data.train_samples"),
            method.quantity("data.test_samples")
        ),
        [] => format!("{part}{held_out}"),
        _ => format!("{part}, sizes vary{held_out}"),
    }
}

fn training(method: &Method) -> String {
    let q = |key: &str| method.quantity(key);
    let mut text = format!(
        "Training: {}; batch size: {}; Adam (learning rate: {}; gradient-norm clipping: {}; slope of the \
         surrogate derivative: {}; damping of the gradient through the membrane: {}). Dale's law: {}. \
         Trained matrices: {}.",
        match method
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
        dale(method),
        q("training.trainable"),
    );
    text += &loop_rule(method);
    if method.found("training.rate_strength").is_none() {
        text += " The strength of a penalty on firing rates varies.";
    } else if !method.is("training.rate_strength", 0.0) {
        text += &format!(
            " The loss includes a penalty, strength × (mean rate over the batch − threshold)² summed over \
             the E cells above the threshold (strength: {}; threshold: {}).",
            q("training.rate_strength"),
            q("training.rate_theta_hz")
        );
    }
    text
}

fn dale(method: &Method) -> String {
    let mode = match method.name("training.dale").as_deref() {
        Some("clamp") => "the forward pass uses max(w, 0) (clamp)",
        Some("project") => "weights are set to max(w, 0) after every step (project)",
        Some("signed") => "not enforced, weights are used as stored (signed)",
        _ => "varies",
    };
    match method.found("training.signed_loop") {
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
fn loop_rule(method: &Method) -> String {
    const RULE: &str = "training.loop_rule";
    let key = |name: &str| format!("{RULE}.{name}");
    let varies = |name: &String| name == RULE || name.starts_with(&key(""));
    if method.varied().iter().any(varies) {
        return " How the loop learns varies.".into();
    }
    let Some(optimiser) = method.name(&key("optimiser")) else {
        return String::new();
    };
    let optimiser = match &optimiser[..] {
        "sgd" => "SGD (without momentum)",
        _ => "Adam",
    };
    let rate = match method.found(&key("learning_rate")) {
        Some(Value::Null) | None => "the same learning rate".to_owned(),
        Some(rate) => format!("a learning rate of {}", words(&rate)),
    };
    let of = match method.name(&key("parametrisation")).as_deref() {
        Some("log") => "ln |w|",
        _ => "w",
    };
    format!(" The matrices of the loop are trained by {optimiser} on {of} with {rate}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{self, Config};

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
        let of = |data: &str| paragraphs(&Method::of([&full(data)]));
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
        let plain = paragraphs(&Method::of([&Config::default()])).join(" ");
        assert!(
            plain.contains("MNIST; the fixed split of the studies."),
            "{plain}"
        );
        for absent in ["W_EE", "loop are trained", "penalty", "select the best"] {
            assert!(!plain.contains(absent), "{absent}: {plain}");
        }
    }

    #[test]
    fn the_numbers_of_trials_are_those_that_ran() {
        let mut method = Method::of([&Config::default()]);
        method.add_trials([1280, 320, 400]);
        let input = &paragraphs(&method)[1];
        assert!(
            input.contains("1280 for training, 320 for validation, 400 for testing"),
            "{input}"
        );
    }
}
