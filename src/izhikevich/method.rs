//! The method of a page on networks of this family, in words.

use crate::report::method::Method;

/// Paragraphs on network, stimuli and plasticity.
pub fn paragraphs(method: &Method) -> Vec<String> {
    vec![network(method), stimuli(method), plasticity(method)]
}

fn network(method: &Method) -> String {
    let q = |key: &str| method.quantity(key);
    let lateral = match method.name("network.lateral.kind").as_deref() {
        Some("none") => "no lateral inhibition".to_owned(),
        Some(own @ ("own" | "own_and_self")) => format!(
            "a lateral interneuron of its own for each output cell, which inhibits all {} (current of a spike to it: \
             {}, from it: {})",
            if own == "own" {
                "others"
            } else {
                "output cells"
            },
            q("network.lateral.drive"),
            q("network.lateral.weight")
        ),
        Some(_) => format!(
            "a pool of lateral cells that all outputs drive and that inhibit all of them (cells: {}; current of a \
             spike to them: {}, from them: {})",
            q("network.lateral.cells"),
            q("network.lateral.drive"),
            q("network.lateral.weight")
        ),
        None => "lateral inhibition that varies".to_owned(),
    };
    format!(
        "Networks of Izhikevich's neurons (excitatory: {}, inhibitory: {}), output cells: {}, hidden layers: {}, with \
         {lateral}. Conductances decay with {} (excitatory) and {} (inhibitory); time step: {}; trials last {}. Mean \
         current of an output cell from the inputs at the start: {}.",
        method.say("network.excitatory"),
        method.say("network.inhibitory"),
        q("network.outputs"),
        method.say("network.hidden"),
        q("network.tau_exc_ms"),
        q("network.tau_inh_ms"),
        q("network.dt_ms"),
        q("network.trial_ms"),
        q("network.drive")
    )
}

fn stimuli(method: &Method) -> String {
    let what = match method.name("data.task").as_deref() {
        Some("gratings") => format!(
            "gratings (cycles an image: {}; orientations in degrees: {}; offset: {}; contrast: {})",
            method.say("data.gratings.frequencies"),
            method.say("data.gratings.orientations_deg"),
            method.say("data.gratings.offset"),
            method.say("data.gratings.contrast")
        ),
        Some(_) => "images".to_owned(),
        None => "tasks that vary".to_owned(),
    };
    format!(
        "Inputs see {what} on a square of pixels a side: {}; each fires as a Poisson process, at full brightness with \
         {}{}.",
        method.say("data.size"),
        method.quantity("data.rate_hz"),
        method.samples()
    )
}

fn plasticity(method: &Method) -> String {
    let q = |key: &str| method.quantity(key);
    let rule = match method.name("plasticity.rule").as_deref() {
        Some("bcm") => "BCM once a trial from its mean rates",
        Some("bcm_per_step") => "BCM in every step from filtered rates",
        Some("stdp") => "pairs of spikes",
        Some(_) => "nothing",
        None => "rules that vary",
    };
    format!(
        "Excitatory synapses learn by {rule} (learning rate: {}), inhibitory ones by the rule {} (learning rate: {}); \
         decay: {} (λ: {}). In training, cells of another class than the trial's learn from {} of their rate. Epochs: \
         {}.",
        q("plasticity.eta"),
        method.say("plasticity.inhibitory_rule"),
        q("plasticity.eta_inhibitory"),
        method.say("plasticity.decay"),
        q("plasticity.lambda"),
        q("plasticity.mask"),
        q("training.epochs")
    )
}
