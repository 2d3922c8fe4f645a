//! The method of a page on networks of this family, in words.

use crate::report::method::Method;

/// Paragraphs on network, data and training.
pub fn paragraphs(method: &Method) -> Vec<String> {
    let mut all = vec![network(method)];
    all.extend(start(method));
    all.extend([data(method), training(method)]);
    all
}

fn network(method: &Method) -> String {
    let units = method.say("network.layers");
    let kind = match method.name("network.kind").as_deref() {
        Some("standard") => "weights of either sign (standard)".to_owned(),
        Some("col_ei") => format!(
            "column E/I weights: all those out of a unit have one sign (share of inhibitory units: {}; spectral \
             radius at the start: {})",
            method.quantity("network.inhibitory_fraction"),
            method.quantity("weights.spectral_radius")
        ),
        Some(_) => format!(
            "DANN weights: excitation, minus inhibition by way of linear inhibitory units (as many as a share of \
             the units: {})",
            method.quantity("network.inhibitory_fraction")
        ),
        None => "weights of kinds that vary".to_owned(),
    };
    format!(
        "Networks are rate RNNs (units of each layer: {units}), h(t) = relu(U x(t) + W h(t−1) + b) with h(0) = 0 and a \
         linear read-out of the last layer, with {kind}."
    )
}

/// What is unusual about the start.
fn start(method: &Method) -> Option<String> {
    let is_set = |key: &str| {
        let starts = |name: &String| name == key || name.starts_with(&format!("{key}."));
        method.varied().iter().any(starts)
            || method.found(key).is_some_and(|value| !value.is_null())
    };
    let said = [
        (
            "weights.transplant",
            "matrices U diag(σ) Vᵀ are put together from the singular vectors of a start of one kind and the singular \
             values of a start of another, in every matrix, and are then trained without a sign of their columns",
        ),
        (
            "weights.standard_radius",
            "recurrent matrices of standard networks are rescaled to a spectral radius",
        ),
        (
            "training.frozen_signs",
            "after each optimiser step a weight that would change the sign it started with is set to 0",
        ),
    ];
    let said: Vec<&str> = said
        .into_iter()
        .filter(|(key, _)| is_set(key))
        .map(|(_, words)| words)
        .collect();
    (!said.is_empty()).then(|| format!("Where a condition says so: {}.", said.join("; ")))
}

fn data(method: &Method) -> String {
    let images = || {
        let source = method.name("data.images.dataset");
        match source.as_deref() {
            Some("mnist") => "MNIST",
            Some("digits") => "the built-in synthetic digits",
            Some(_) => "the user's images",
            None => "images of sources that vary",
        }
    };
    let task = match method.name("data.task").as_deref() {
        Some("image_rows") => format!("the class of an image ({}), shown row by row", images()),
        Some("image_pixels") => {
            format!("the class of an image ({}), shown pixel by pixel", images())
        }
        Some("adding") => format!(
            "the sum of the two numbers that are marked in a sequence of random ones (steps: {})",
            method.quantity("data.adding.steps")
        ),
        Some("text") => format!(
            "the next of the {} of a text ({}), at every step, in pieces whose steps are {}; vocabulary: {} at the most",
            method.say("data.text.unit"),
            method
                .name("data.text.path")
                .unwrap_or_else(|| "sentences of the built-in grammar".into()),
            method.say("data.text.steps"),
            method.say("data.text.vocabulary")
        ),
        Some(_) => "the targets of the user's sequences".to_owned(),
        None => "tasks vary".to_owned(),
    };
    format!("Task: {task}{}.", method.samples())
}

fn training(method: &Method) -> String {
    let q = |key: &str| method.quantity(key);
    let rate = match method.is("training.decay_every_steps", 0.0) {
        true => q("training.learning_rate"),
        false => format!(
            "{}, multiplied by {} after every so many optimiser steps: {}",
            q("training.learning_rate"),
            q("training.decay"),
            q("training.decay_every_steps")
        ),
    };
    let optimiser = match method.name("training.optimiser").as_deref() {
        Some("adam") => "Adam",
        Some(_) => "SGD",
        None => "an optimiser that varies",
    };
    format!(
        "Training: back-propagation through all steps; epochs: {}; batch size: {}; {optimiser} (learning rate: {rate}; \
         gradient-norm clipping: {}).",
        q("training.epochs"),
        q("training.batch_size"),
        q("training.clip_norm")
    )
}
