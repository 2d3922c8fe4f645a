//! Small circuits that might compare two inputs: a resonator, inhibition that both inputs must drive, and two pools that
//! inhibit each other.

use std::f64::consts::TAU;

use serde_json::json;

use super::{Probe, figures};
use crate::data::Event;
use crate::izhikevich::cpu::CpuNetwork;
use crate::izhikevich::engine::TrialInput;
use crate::izhikevich::network::{Network, Neuron, Preset};
use crate::izhikevich::settings::Config;
use crate::izhikevich::trial::V_SPIKE_MV;
use crate::summary::{Listing, Summary};
use crate::text::{fixed, number};

const DT_MS: f64 = 0.1;
const TAU_MS: f64 = 5.0;
const DURATION_MS: f64 = 1000.0;
/// When the first input fires, ms.
const FIRST_MS: f64 = 100.0;
/// Current that a spike of an input adds.
pub(super) const AMPLITUDES: [f64; 8] = [0.5, 0.6, 0.65, 0.7, 0.8, 1.0, 1.5, 2.0];

/// How a neuron rings at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resonance {
    /// Voltage at rest, mV.
    pub rest_mv: f64,
    /// Frequency, Hz.
    pub frequency_hz: f64,
    /// Quality: how many cycles it rings, times π.
    pub quality: f64,
}

/// Resonance of a neuron, of its linear equations at rest; none where it has no rest, or does not ring.
pub fn resonance(neuron: Neuron) -> Option<Resonance> {
    let [a, b] = [neuron.a, neuron.b].map(f64::from);
    // 0.04 v² + (5 − b) v + 140 = 0, the lower root.
    let root = (5.0 - b).powi(2) - 4.0 * 0.04 * 140.0;
    if root < 0.0 {
        return None;
    }
    let rest_mv = (b - 5.0 - root.sqrt()) / 0.08;
    // The equations' matrix is [[s, −1], [a b, −a]].
    let s = 0.08 * rest_mv + 5.0;
    let (trace, determinant) = (s - a, a * b - s * a);
    let ringing = determinant - trace * trace / 4.0;
    (ringing > 0.0 && trace < 0.0).then(|| Resonance {
        rest_mv,
        frequency_hz: 1000.0 * ringing.sqrt() / TAU,
        quality: determinant.sqrt() / -trace,
    })
}

/// Spikes of a resonator in a second in which one input fires at its resonance, two do together, or two in turn; each
/// spike adds a current of `amplitude`.
pub fn truth_table(amplitude: f64) -> [u32; 3] {
    let neuron = Preset::Rz.neuron();
    let Some(found) = resonance(neuron) else {
        return [0; 3];
    };
    let cycle_ms = 1000.0 / found.frequency_hz;
    [vec![0.0], vec![0.0; 2], vec![0.0, 0.5]].map(|phases| {
        let steps = (DURATION_MS / DT_MS) as usize;
        let mut pulses = vec![0.0; steps];
        for phase in phases {
            let mut at_ms = FIRST_MS + phase * cycle_ms;
            while at_ms < 0.9 * DURATION_MS {
                pulses[(at_ms / DT_MS) as usize] += amplitude;
                at_ms += cycle_ms;
            }
        }
        spikes(neuron, found.rest_mv, &pulses)
    })
}

fn spikes(neuron: Neuron, rest_mv: f64, pulses: &[f64]) -> u32 {
    let [a, b, c, d] = [neuron.a, neuron.b, neuron.c, neuron.d].map(f64::from);
    let decay = libm::exp(-DT_MS / TAU_MS);
    let (mut v, mut u, mut g) = (rest_mv, b * rest_mv, 0.0);
    let mut spikes = 0;
    for pulse in pulses {
        g = g * decay + pulse;
        v += DT_MS * (0.04 * v * v + 5.0 * v + 140.0 - u + g);
        u += DT_MS * a * (b * v - u);
        if v >= V_SPIKE_MV {
            (v, u) = (c, u + d);
            spikes += 1;
        }
    }
    spikes
}

/// Rate of both inputs, Hz.
const INPUT_HZ: f64 = 100.0;
/// Current of an input's spike in the output cell and in the interneuron, and of the interneuron's in the output cell.
const TO_OUTPUT: f32 = 20.0;
const TO_INTERNEURON: f32 = 7.0;
const FROM_INTERNEURON: f32 = 100.0;

/// Spikes of an output cell in a second in which neither, either or both of two inputs fire. Both excite it and a
/// fast-spiking cell that inhibits it, which one input alone does not make fire.
pub fn feed_forward() -> [u32; 4] {
    let mut config = Config::default();
    (config.data.size, config.network.outputs) = (1, 1);
    let mut params = config.params();
    (params.n_in, params.neurons) = (2, 2);
    let network = Network {
        neurons: vec![Preset::Rs.neuron(), Preset::Fs.neuron()],
        inhibits: vec![false, false, false, true],
        classes: vec![None; 2],
        learns: vec![false; 8],
        w_default: vec![0.0; 8],
        weights: vec![
            TO_OUTPUT,
            TO_INTERNEURON,
            TO_OUTPUT,
            TO_INTERNEURON,
            0.0,
            0.0,
            FROM_INTERNEURON,
            0.0,
        ],
    };
    let cell = CpuNetwork::<f64>::new(params, network);
    [[false, false], [true, false], [false, true], [true, true]].map(|on| {
        let events = regular(&on.map(|on| if on { INPUT_HZ } else { 0.0 }), 0.0, 1000.0);
        let input = TrialInput {
            events,
            ..TrialInput::default()
        };
        cell.run(&input, false).counts[2]
    })
}

/// Events of inputs that fire regularly at these rates, Hz, from one time to another, ms.
fn regular(hz: &[f64], from_ms: f64, to_ms: f64) -> Vec<Event> {
    let mut events = Vec::new();
    for (input, &hz) in (0u32..).zip(hz).filter(|(_, hz)| **hz > 0.0) {
        let cycle_ms = 1000.0 / hz;
        // Inputs fire one after another.
        let mut at_ms = from_ms + cycle_ms * f64::from(input) / hz.max(2.0);
        while at_ms < to_ms {
            events.push(Event {
                step: (at_ms / DT_MS) as u32,
                input,
            });
            at_ms += cycle_ms;
        }
    }
    events.sort_unstable();
    events
}

/// Excitatory cells of a pool.
const POOL: usize = 10;
/// Current of the background's spikes in every cell, and of those of a pool's own input.
const FROM_BACKGROUND: f32 = 16.0;
const FROM_INPUT: f32 = 4.0;
/// Current of a spike in the fast-spiking cell of the pool, and of that cell's in the other pool.
const TO_INHIBITION: f32 = 10.0;
const BETWEEN: f32 = 80.0;
/// When a pool is driven, and when it is looked at again, ms.
const DRIVEN_MS: [f64; 2] = [50.0, 200.0];
const LATER_MS: [f64; 2] = [700.0, 1000.0];

/// Rates of two pools, Hz, long after the one or the other was driven: `[driven pool][pool]`. A background keeps both
/// active; whichever is ahead silences the other.
pub fn bistable() -> [[f64; 2]; 2] {
    let mut config = Config::default();
    (config.data.size, config.network.outputs) = (1, 1);
    let mut params = config.params();
    let neurons = 2 * POOL + 2;
    let (n_in, background) = (3, 2);
    (params.n_in, params.neurons) = (n_in, neurons);
    let mut weights = vec![0.0; (n_in + neurons) * neurons];
    let mut connect = |pre: usize, post: usize, w: f32| weights[pre * neurons + post] = w;
    for pool in 0..2 {
        let inhibition = 2 * POOL + pool;
        for number in 0..POOL {
            let (cell, other) = (pool * POOL + number, (1 - pool) * POOL + number);
            connect(pool, cell, FROM_INPUT);
            // Cells differ, so that they do not all fire at once.
            let share = 0.8 + 0.4 * number as f32 / POOL as f32;
            connect(background, cell, FROM_BACKGROUND * share);
            connect(n_in + cell, inhibition, TO_INHIBITION);
            connect(n_in + inhibition, other, BETWEEN);
        }
    }
    let kind = |j: usize| match j < 2 * POOL {
        true => Preset::Rs.neuron(),
        false => Preset::Fs.neuron(),
    };
    let network = Network {
        neurons: (0..neurons).map(kind).collect(),
        inhibits: (0..n_in + neurons)
            .map(|pre| pre >= n_in + 2 * POOL)
            .collect(),
        classes: vec![None; neurons],
        learns: vec![false; weights.len()],
        w_default: vec![0.0; weights.len()],
        weights,
    };
    let cells = CpuNetwork::<f64>::new(params, network);
    [[INPUT_HZ, 0.0], [0.0, INPUT_HZ]].map(|hz| {
        let mut events = regular(&hz, DRIVEN_MS[0], DRIVEN_MS[1]);
        events.extend(regular(&[0.0, 0.0, INPUT_HZ], 0.0, 1000.0));
        events.sort_unstable();
        let input = TrialInput {
            events,
            ..TrialInput::default()
        };
        let later = LATER_MS.map(|ms| (ms / DT_MS) as u32);
        let spikes = cells.run(&input, true).spikes;
        let own = spikes
            .iter()
            .filter(|[step, _]| (later[0]..later[1]).contains(step));
        let mut pools = [0.0; 2];
        for [_, neuron] in own {
            if let Some(pool) = pools.get_mut(*neuron as usize / POOL) {
                *pool += 1000.0 / (LATER_MS[1] - LATER_MS[0]) / POOL as f64;
            }
        }
        pools
    })
}

/// What the circuits answer.
pub fn gates() -> Probe {
    let tables = AMPLITUDES.map(|amplitude| (amplitude, truth_table(amplitude)));
    let (forward, pools) = (feed_forward(), bistable());
    let found = resonance(Preset::Rz.neuron());
    let facts = found.map_or(Vec::new(), |found| {
        vec![
            (
                "resonator at rest",
                format!("{} mV", fixed(found.rest_mv, 2)),
            ),
            (
                "resonance",
                format!(
                    "{} Hz, quality {}",
                    fixed(found.frequency_hz, 2),
                    fixed(found.quality, 2)
                ),
            ),
        ]
    });
    let row = |(amplitude, [one, together, in_turn]): &(f64, [u32; 3])| {
        let gate = match [one, together, in_turn].map(|n| *n > 0) {
            [true, false, false] => "exclusive or",
            [true, true, false] => "any, but two in turn",
            [true, true, true] => "or",
            [false, true, false] => "and, of two together",
            _ => "",
        };
        let spikes = [one, together, in_turn].map(u32::to_string);
        let name = std::iter::once(number(*amplitude));
        name.chain(spikes).chain([gate.to_owned()]).collect()
    };
    let head = [
        "current of a spike",
        "one",
        "two together",
        "two in turn",
        "",
    ];
    let of_resonator = Listing {
        title: "a resonator: spikes in a second of inputs at its resonance".into(),
        ..Listing::new(head, tables.iter().map(row))
    };
    // Both excite the cell a little before they inhibit it.
    let is_exclusive = 5 * forward[3].max(forward[0]) < forward[1].min(forward[2]);
    let mut spikes: Vec<String> = forward.iter().map(u32::to_string).collect();
    spikes.push(if is_exclusive { "exclusive or" } else { "" }.to_owned());
    let of_forward = Listing {
        title: "inhibition that both inputs must drive: spikes in a second".into(),
        ..Listing::new(["neither", "one", "the other", "both", ""], [spikes])
    };
    let row = |(driven, [first, second]): (&str, [f64; 2])| {
        let winner = if first > second {
            "the first stays"
        } else {
            "the second stays"
        };
        vec![
            driven.to_owned(),
            fixed(first, 1),
            fixed(second, 1),
            winner.to_owned(),
        ]
    };
    let rows = ["first", "second"].into_iter().zip(pools).map(row);
    let of_pools = Listing {
        title: "two pools that inhibit each other: rates half a second after one was driven, Hz"
            .into(),
        ..Listing::new(["driven", "first pool", "second pool", ""], rows)
    };
    let json = json!({
        "resonance_hz": found.map(|f| f.frequency_hz),
        "quality": found.map(|f| f.quality),
        "amplitude_and_spikes": tables,
        "feed_forward_spikes": forward,
        "pool_rates_hz": pools,
    });
    Probe {
        figures: vec![figures::gates(&tables)],
        summary: Summary {
            facts,
            listings: vec![of_resonator, of_forward, of_pools],
            json: json.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resonator_rings_as_its_equations_say_and_tells_two_in_turn_at_one_strength_alone() {
        let found = resonance(Preset::Rz.neuron()).unwrap();
        assert!((found.rest_mv + 62.5).abs() < 1e-3, "{found:?}");
        assert!((found.frequency_hz - 24.4).abs() < 0.1, "{found:?}");
        assert!((found.quality - 1.61).abs() < 0.01, "{found:?}");
        // Two in turn are half a cycle apart: what the first starts, the second stops.
        let fires = |amplitude| truth_table(amplitude).map(|spikes| spikes > 0);
        assert_eq!(fires(0.5), [false, true, false]);
        assert_eq!(fires(0.65), [true, true, false]);
        assert_eq!(fires(0.8), [true, true, true]);
        // Regular spiking cells do not ring.
        assert!(resonance(Preset::Rs.neuron()).is_none_or(|found| found.quality < 1.0));
    }

    #[test]
    fn inhibition_that_both_inputs_drive_makes_an_exclusive_or() {
        let [neither, one, other, both] = feed_forward();
        assert!(neither == 0 && both <= 1, "{neither} {both}");
        assert!(one > 20 && other > 20, "{one} {other}");
    }

    #[test]
    fn of_two_pools_that_inhibit_each_other_the_one_that_was_driven_stays() {
        let [first, second] = bistable();
        assert!(first[0] > 10.0 && first[1] < 1.0, "{first:?}");
        assert!(second[1] > 10.0 && second[0] < 1.0, "{second:?}");
    }
}
