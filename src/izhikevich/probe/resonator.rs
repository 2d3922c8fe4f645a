//! A resonator as a gate of two inputs that fire at its resonance.

use std::f64::consts::TAU;

use serde_json::json;

use super::{Probe, figures};
use crate::izhikevich::network::{Neuron, Preset};
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

/// The resonance of the kind RZ, and what it answers to one input, to two together and to two in turn.
pub fn resonator() -> Probe {
    let tables = AMPLITUDES.map(|amplitude| (amplitude, truth_table(amplitude)));
    let found = resonance(Preset::Rz.neuron());
    let facts = found.map_or(Vec::new(), |found| {
        vec![
            ("rest", format!("{} mV", fixed(found.rest_mv, 2))),
            ("resonance", format!("{} Hz", fixed(found.frequency_hz, 2))),
            ("quality", fixed(found.quality, 2)),
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
        vec![
            number(*amplitude),
            one.to_string(),
            together.to_string(),
            in_turn.to_string(),
            gate.to_owned(),
        ]
    };
    let head = [
        "current of a spike",
        "one",
        "two together",
        "two in turn",
        "",
    ];
    let listing = Listing {
        title: "spikes in a second of inputs at the resonance".into(),
        ..Listing::new(head, tables.iter().map(row))
    };
    let json = json!({
        "resonance_hz": found.map(|f| f.frequency_hz),
        "quality": found.map(|f| f.quality),
        "amplitude_and_spikes": tables,
    });
    Probe {
        figures: vec![figures::gates(&tables)],
        summary: Summary {
            facts,
            listings: vec![listing],
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
}
