//! Protocols that induce potentiation and depression, for every rule: a bundle of inputs at one frequency, a pre and a
//! post spike at one distance, and a tetanus of half a bundle.

use serde_json::json;

use super::{Probe, figures};
use crate::data::Event;
use crate::izhikevich::cpu::CpuNetwork;
use crate::izhikevich::engine::TrialInput;
use crate::izhikevich::network::Network;
use crate::izhikevich::params::{ExcitatoryRule, InhibitoryRule, Params};
use crate::izhikevich::settings::Config;
use crate::summary::{Listing, Summary};
use crate::text::fixed;

/// Inputs of a bundle.
const BUNDLE: usize = 20;
/// Trials of a protocol.
const TRIALS: usize = 3;
/// Current of a spike that makes the cell fire once.
const FORCING: f32 = 25.0;
/// Frequencies of a bundle, Hz.
pub(super) const FREQUENCIES_HZ: [f64; 10] =
    [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0];
/// Time from pre to post spike, ms.
pub(super) const DISTANCES_MS: [f64; 12] = [
    -80.0, -40.0, -20.0, -10.0, -5.0, -2.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0,
];
/// Frequency of pairs, Hz.
const PAIRS_HZ: f64 = 10.0;
/// Frequency of a tetanus, Hz.
const TETANUS_HZ: f64 = 100.0;

pub(super) const EXCITATORY: [(&str, ExcitatoryRule); 3] = [
    ("bcm", ExcitatoryRule::Bcm),
    ("bcm_per_step", ExcitatoryRule::BcmPerStep),
    ("stdp", ExcitatoryRule::Stdp),
];
pub(super) const INHIBITORY: [(&str, InhibitoryRule); 5] = [
    ("fixed", InhibitoryRule::Fixed),
    ("post", InhibitoryRule::Post),
    ("post_squared", InhibitoryRule::PostSquared),
    ("pre_post", InhibitoryRule::PrePost),
    ("vogels", InhibitoryRule::Vogels),
];

/// What a protocol changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    /// Of the stimulated excitatory synapses, % of the default weight.
    pub(super) stimulated: f64,
    /// Of the silent ones.
    pub(super) silent: f64,
    /// Of the inhibitory one.
    pub(super) inhibitory: f64,
    /// Rate of the cell in the first trial, Hz.
    pub(super) post_hz: f64,
}

/// A point of a protocol: a rule, where it was, and what it changed.
pub(super) struct Point {
    pub(super) rule: &'static str,
    pub(super) at: f64,
    pub(super) change: Change,
}

/// One cell with a bundle of excitatory inputs, an inhibitory one and one that makes it fire.
struct Preparation {
    params: Params,
    network: Network,
}

const INHIBITORY_INPUT: usize = BUNDLE;
const FORCING_INPUT: usize = BUNDLE + 1;
const INPUTS: usize = BUNDLE + 2;

impl Preparation {
    /// With the neurons and rules of a configuration; excitatory synapses as strong as its output cells' together, or
    /// too weak to matter.
    fn new(config: &Config, is_weak: bool) -> Self {
        let mut params = config.params();
        (params.n_in, params.neurons) = (INPUTS, 1);
        let per_spike = params.plasticity.r0_hz * params.tau_exc_ms / 1000.0;
        let weight = match is_weak {
            true => 0.01,
            false => config.network.drive / (BUNDLE as f64 * per_spike),
        };
        let mut network = Network {
            neurons: vec![config.network.excitatory.neuron()],
            inhibits: vec![false; INPUTS + 1],
            classes: vec![None],
            learns: vec![true; INPUTS + 1],
            w_default: vec![weight as f32; INPUTS + 1],
            weights: Vec::new(),
        };
        network.inhibits[INHIBITORY_INPUT] = true;
        network.w_default[INHIBITORY_INPUT] = 0.01;
        network.w_default[FORCING_INPUT] = FORCING;
        network.learns[FORCING_INPUT] = false;
        // The cell has no synapse to itself.
        network.learns[INPUTS] = false;
        network.w_default[INPUTS] = 0.0;
        network.weights = network.w_default.clone();
        Self { params, network }
    }

    /// Trials in which each input fires at the times, ms, that `times_ms` gives it.
    fn change(&self, times_ms: impl Fn(usize) -> Vec<f64>) -> Change {
        let mut events = Vec::new();
        for input in 0..INPUTS {
            let steps = times_ms(input).into_iter().map(|ms| ms / self.params.dt_ms);
            let inside = steps.filter(|step| (0.0..self.params.steps as f64).contains(step));
            events.extend(inside.map(|step| Event {
                step: step as u32,
                input: input as u32,
            }));
        }
        events.sort_unstable();
        events.dedup();
        let counts = |input: usize| events.iter().any(|event| event.input as usize == input);
        let is_stimulated: Vec<bool> = (0..BUNDLE).map(counts).collect();
        let input = TrialInput {
            events,
            ..TrialInput::default()
        };
        let mut cell = CpuNetwork::<f64>::new(self.params.clone(), self.network.clone());
        let first = cell.train(&input).counts[INPUTS];
        for _ in 1..TRIALS {
            cell.train(&input);
        }
        let percent = |pre: usize| {
            let w0 = f64::from(self.network.w_default[pre]);
            100.0 * (cell.weights()[pre] - w0) / w0
        };
        let mean = |stimulated: bool| {
            let own = (0..BUNDLE).filter(|pre| is_stimulated[*pre] == stimulated);
            let own: Vec<f64> = own.map(percent).collect();
            own.iter().sum::<f64>() / own.len() as f64
        };
        Change {
            stimulated: mean(true),
            silent: mean(false),
            inhibitory: percent(INHIBITORY_INPUT),
            post_hz: f64::from(first) / self.params.duration_s(),
        }
    }
}

/// Times of a regular train, ms.
fn train(config: &Config, hz: f64, first_ms: f64) -> Vec<f64> {
    let cycle_ms = 1000.0 / hz;
    let cycles = (config.network.trial_ms / cycle_ms).ceil() as usize;
    (0..cycles)
        .map(|cycle| first_ms + cycle as f64 * cycle_ms)
        .collect()
}

/// What the protocols change by every rule, with the other settings of `config`.
pub fn induction(config: &Config) -> Probe {
    let mut by_frequency = Vec::new();
    let mut by_distance = Vec::new();
    let mut tetanus = Vec::new();
    for (rule, excitatory) in EXCITATORY {
        let mut config = config.clone();
        config.plasticity.rule = excitatory;
        let strong = Preparation::new(&config, false);
        for hz in FREQUENCIES_HZ {
            // Inputs fire one after another, spread over a cycle.
            let times = |input: usize| match input {
                FORCING_INPUT => Vec::new(),
                INHIBITORY_INPUT => train(&config, hz, 0.0),
                input => train(&config, hz, 1000.0 / hz * input as f64 / BUNDLE as f64),
            };
            let change = strong.change(times);
            by_frequency.push(Point {
                rule,
                at: hz,
                change,
            });
        }
        let half = |input: usize| match input {
            input if input < BUNDLE / 2 => train(
                &config,
                TETANUS_HZ,
                1000.0 / TETANUS_HZ * input as f64 / BUNDLE as f64,
            ),
            _ => Vec::new(),
        };
        let change = strong.change(half);
        tetanus.push(Point {
            rule,
            at: TETANUS_HZ,
            change,
        });
        let weak = Preparation::new(&config, true);
        for distance in DISTANCES_MS {
            let middle_ms = 500.0 / PAIRS_HZ;
            let times = |input: usize| match input {
                FORCING_INPUT => train(&config, PAIRS_HZ, middle_ms + distance / 2.0),
                INHIBITORY_INPUT => Vec::new(),
                _ => train(&config, PAIRS_HZ, middle_ms - distance / 2.0),
            };
            let change = weak.change(times);
            by_distance.push(Point {
                rule,
                at: distance,
                change,
            });
        }
    }
    let mut inhibitory = Vec::new();
    for (rule, of) in INHIBITORY {
        let mut config = config.clone();
        config.plasticity.inhibitory_rule = of;
        let strong = Preparation::new(&config, false);
        for hz in FREQUENCIES_HZ {
            let times = |input: usize| match input {
                FORCING_INPUT => Vec::new(),
                input => train(&config, hz, 1000.0 / hz * input as f64 / BUNDLE as f64),
            };
            let change = strong.change(times);
            inhibitory.push(Point {
                rule,
                at: hz,
                change,
            });
        }
    }
    let listings = vec![
        listing(
            "change of excitatory synapses by their frequency, % of the default weight",
            &EXCITATORY.map(|(name, _)| name),
            &FREQUENCIES_HZ,
            "Hz",
            &by_frequency,
            |change| change.stimulated,
        ),
        listing(
            "change of excitatory synapses by the time from pre to post spike, % of the default weight",
            &EXCITATORY.map(|(name, _)| name),
            &DISTANCES_MS,
            "ms",
            &by_distance,
            |change| change.stimulated,
        ),
        listing(
            "change of the silent half of a bundle in a tetanus of the other, % of the default weight",
            &EXCITATORY.map(|(name, _)| name),
            &[TETANUS_HZ],
            "Hz",
            &tetanus,
            |change| change.silent,
        ),
        listing(
            "change of an inhibitory synapse by the frequency of all inputs, % of the default weight",
            &INHIBITORY.map(|(name, _)| name),
            &FREQUENCIES_HZ,
            "Hz",
            &inhibitory,
            |change| change.inhibitory,
        ),
    ];
    let as_json = |points: &[Point]| -> Vec<_> {
        let point = |p: &Point| {
            json!({
                "rule": p.rule,
                "at": p.at,
                "stimulated_percent": p.change.stimulated,
                "silent_percent": p.change.silent,
                "inhibitory_percent": p.change.inhibitory,
                "post_hz": p.change.post_hz,
            })
        };
        points.iter().map(point).collect()
    };
    let json = json!({
        "trials": TRIALS,
        "frequency_hz": as_json(&by_frequency),
        "pairing_ms": as_json(&by_distance),
        "tetanus_hz": as_json(&tetanus),
        "inhibitory_frequency_hz": as_json(&inhibitory),
    });
    Probe {
        figures: vec![figures::induction(
            &by_frequency,
            &by_distance,
            &inhibitory,
            TRIALS,
        )],
        summary: Summary {
            facts: vec![(
                "protocols",
                format!("{TRIALS} trials each, with the settings of {}", config.name),
            )],
            listings,
            json: json.to_string(),
        },
    }
}

fn listing(
    title: &str,
    rules: &[&str],
    places: &[f64],
    unit: &str,
    points: &[Point],
    of: impl Fn(&Change) -> f64,
) -> Listing {
    let head = std::iter::once("rule".to_owned())
        .chain(places.iter().map(|at| format!("{at} {unit}")))
        .chain([String::new()]);
    let row = |rule: &&str| {
        let own = points.iter().filter(|point| point.rule == *rule);
        let changes = own.map(|point| fixed(of(&point.change), 1));
        let name = std::iter::once((*rule).to_owned());
        name.chain(changes).chain([String::new()]).collect()
    };
    Listing {
        title: title.to_owned(),
        ..Listing::new(head, rules.iter().map(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(rule: ExcitatoryRule, distance_ms: f64) -> f64 {
        let mut config = Config::default();
        config.plasticity.rule = rule;
        let weak = Preparation::new(&config, true);
        let times = |input: usize| match input {
            FORCING_INPUT => train(&config, PAIRS_HZ, 50.0 + distance_ms / 2.0),
            INHIBITORY_INPUT => Vec::new(),
            _ => train(&config, PAIRS_HZ, 50.0 - distance_ms / 2.0),
        };
        let change = weak.change(times);
        assert_eq!(change.post_hz, PAIRS_HZ, "{rule:?}");
        change.stimulated
    }

    #[test]
    fn only_pairs_of_spikes_tell_the_order_of_pre_and_post() {
        let [before, after] = [10.0, -10.0].map(|ms| pairing(ExcitatoryRule::Stdp, ms));
        assert!(before > 1.0 && after < -1.0, "{before} {after}");
        let [before, after] = [10.0, -10.0].map(|ms| pairing(ExcitatoryRule::Bcm, ms));
        assert_eq!(before, after);
        // 10 Hz is half the threshold: the rule of rates depresses there.
        assert!(before < -0.3, "{before}");
    }

    #[test]
    fn bcm_depresses_at_low_and_potentiates_at_high_frequencies() {
        let config = Config::default();
        let strong = Preparation::new(&config, false);
        let at = |hz: f64| {
            let times = |input: usize| match input {
                FORCING_INPUT | INHIBITORY_INPUT => Vec::new(),
                input => train(&config, hz, 1000.0 / hz * input as f64 / BUNDLE as f64),
            };
            strong.change(times)
        };
        let [low, high] = [15.0, 75.0].map(at);
        assert!(low.post_hz > 0.0 && low.post_hz < 20.0, "{low:?}");
        assert!(
            low.stimulated < 0.0 && high.stimulated > 0.0,
            "{low:?} {high:?}"
        );
    }
}
