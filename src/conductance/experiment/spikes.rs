//! What recorded spikes tell, from whatever simulator they come.

use serde::Serialize;

use crate::analysis::float::nan_number;
use crate::analysis::rhythm::Settings;
use crate::analysis::spikes::Spikes;
use crate::conductance::analysis::populations::Populations;
use crate::conductance::analysis::record::{Participation, Rhythm};
use crate::data::RecordedSpikes;

/// The analysis of recorded spikes.
#[derive(Clone, Debug, Serialize)]
pub struct SpikeAnalysis {
    /// Trials.
    pub trials: u64,
    /// Spikes of a cell in a step in which it had one already; they count once.
    pub merged_spikes: u64,
    /// Mean rate of E cells, Hz.
    #[serde(with = "nan_number")]
    pub e_rate_hz: f64,
    /// Mean rate of I cells, Hz.
    #[serde(with = "nan_number")]
    pub i_rate_hz: f64,
    /// Whether the E population has a rhythm.
    pub is_rhythmic: bool,
    /// Its frequency, Hz; NaN without a rhythm.
    #[serde(with = "nan_number")]
    pub f_hz: f64,
    /// Contrast of its correlogram.
    #[serde(with = "nan_number")]
    pub contrast: f64,
    /// 99 % point of the contrast of random spikes.
    #[serde(with = "nan_number")]
    pub null_contrast: f64,
    /// Whole cycles of a trial; none without a rhythm.
    pub cycles_per_trial: Option<f64>,
    /// Share of (E cell, cycle) pairs with 0, 1, 2 and 3 or more spikes, %.
    pub e_pairs_percent: Option<[f64; 4]>,
    /// The same of I cells.
    pub i_pairs_percent: Option<[f64; 4]>,
    /// All about the cycles.
    pub participation: Option<Participation>,
    /// All about the rhythm.
    pub rhythm: Rhythm,
}

/// Analyses recorded spikes; `seed` is that of the null.
pub fn analyse_spikes(recorded: &RecordedSpikes, settings: Settings, seed: u64) -> SpikeAnalysis {
    let RecordedSpikes {
        dt_ms,
        steps,
        cells,
        ref trials,
        ..
    } = *recorded;
    let spikes = |trial: &[Vec<(u32, u32)>; 2]| {
        [0, 1].map(|population| Spikes {
            steps,
            cells: cells[population],
            at: trial[population].clone(),
        })
    };
    let mut populations = Populations::new(steps, dt_ms, cells, settings);
    for trial in trials {
        let [e, i] = spikes(trial);
        populations.add(&e, &i);
    }
    let rhythm = populations.rhythm(seed);
    let participation = populations.cycles(&rhythm).and_then(|mut cycles| {
        for trial in trials {
            let [e, i] = spikes(trial);
            cycles.add(&e, &i);
        }
        cycles.participation()
    });
    let [e_rate_hz, i_rate_hz] = populations.rates_hz();
    let of_cycles = participation.as_ref();
    SpikeAnalysis {
        trials: populations.trials(),
        merged_spikes: recorded.merged as u64,
        e_rate_hz,
        i_rate_hz,
        is_rhythmic: rhythm.is_rhythmic,
        f_hz: rhythm.f_hz,
        contrast: rhythm.e.contrast,
        null_contrast: rhythm.e.null_contrast,
        cycles_per_trial: of_cycles.map(|p| p.cycles_per_trial),
        e_pairs_percent: of_cycles.map(|p| p.e_share_percent),
        i_pairs_percent: of_cycles.map(|p| p.i_share_percent),
        participation,
        rhythm,
    }
}
