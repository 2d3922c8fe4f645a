//! Rates of every kind of neuron under a constant current: f–I curves at several time steps.

use serde_json::json;

use super::{Probe, figures};
use crate::izhikevich::network::{Neuron, Preset};
use crate::izhikevich::trial::{V_SPIKE_MV, V_START_MV};
use crate::summary::{Listing, Summary};
use crate::text::fixed;

/// Time steps, ms.
pub(super) const DT_MS: [f64; 4] = [0.02, 0.1, 0.5, 1.0];
/// Largest current, and how many are tried from 0.
const MOST_CURRENT: f64 = 20.0;
const CURRENTS: usize = 41;
/// Time before counting, and of counting, ms.
const SETTLING_MS: f64 = 1000.0;
const COUNTING_MS: f64 = 2000.0;

/// An f–I curve.
pub(super) struct RateCurve {
    pub(super) preset: Preset,
    pub(super) dt_ms: f64,
    /// Current and rate, Hz.
    pub(super) points: Vec<[f64; 2]>,
}

/// Rate of a neuron under a constant current, once it has settled, Hz.
pub fn rate_hz(neuron: Neuron, current: f64, dt_ms: f64) -> f64 {
    let [a, b, c, d] = [neuron.a, neuron.b, neuron.c, neuron.d].map(f64::from);
    let (mut v, mut u) = (V_START_MV, b * V_START_MV);
    let steps = ((SETTLING_MS + COUNTING_MS) / dt_ms) as usize;
    let settled = (SETTLING_MS / dt_ms) as usize;
    let mut spikes = 0;
    for step in 0..steps {
        v += dt_ms * (0.04 * v * v + 5.0 * v + 140.0 - u + current);
        u += dt_ms * a * (b * v - u);
        if v >= V_SPIKE_MV {
            (v, u) = (c, u + d);
            spikes += usize::from(step >= settled);
        }
    }
    1000.0 * spikes as f64 / COUNTING_MS
}

/// f–I curves of every kind of neuron at several time steps.
pub fn neurons() -> Probe {
    let mut curves = Vec::new();
    for preset in Preset::ALL {
        for dt_ms in DT_MS {
            let current = |i: usize| MOST_CURRENT * i as f64 / (CURRENTS - 1) as f64;
            let point = |i| [current(i), rate_hz(preset.neuron(), current(i), dt_ms)];
            let points = (0..CURRENTS).map(point).collect();
            curves.push(RateCurve {
                preset,
                dt_ms,
                points,
            });
        }
    }
    // Currents 5, 10 and 20.
    let shown = [10, 20, 40];
    let row = |curve: &RateCurve| {
        let mut row = vec![curve.preset.name().to_owned(), curve.dt_ms.to_string()];
        row.extend(shown.map(|i| fixed(curve.points[i][1], 1)));
        row.push(String::new());
        row
    };
    let head = ["kind", "dt (ms)", "I = 5", "I = 10", "I = 20", ""];
    let listing = Listing {
        title: "rate under a constant current, Hz".into(),
        ..Listing::new(head, curves.iter().map(row))
    };
    let all: Vec<_> = curves
        .iter()
        .map(
            |c| json!({"kind": c.preset.name(), "dt_ms": c.dt_ms, "current_and_rate_hz": c.points}),
        )
        .collect();
    Probe {
        figures: vec![figures::rates(&curves)],
        summary: Summary {
            facts: Vec::new(),
            listings: vec![listing],
            json: json!(all).to_string(),
        },
    }
}
