//! What the spikes of both populations tell over many trials, whatever simulator they come from.

use super::cycles::{Cut, Cycles};
use super::record::{Rhythm, SpectrumRecord};
use crate::analysis::intervals::Intervals;
use crate::analysis::rhythm::{Correlogram, Settings};
use crate::analysis::spectrum::{Peak, SHOWN_HZ, Spectrum};
use crate::analysis::spikes::Spikes;

/// Sums over the trials so far.
#[derive(Clone, Debug)]
pub struct Populations {
    dt_ms: f64,
    duration_s: f64,
    settings: Settings,
    /// E cells and I cells, also of what follows.
    cells: [usize; 2],
    trials: u64,
    spikes: [u64; 2],
    correlograms: [Correlogram; 2],
    /// Of E.
    spectrum: Spectrum,
    /// Of E.
    intervals: Intervals,
}

impl Populations {
    /// No trials yet, of `steps` each, of populations of these numbers of E and I cells.
    pub fn new(steps: usize, dt_ms: f64, cells: [usize; 2], settings: Settings) -> Self {
        let correlogram = Correlogram::new(steps, dt_ms, settings);
        Self {
            dt_ms,
            duration_s: steps as f64 * dt_ms / 1000.0,
            settings,
            cells,
            trials: 0,
            spikes: [0; 2],
            correlograms: [correlogram.clone(), correlogram],
            spectrum: Spectrum::new(steps, dt_ms, cells[0], SHOWN_HZ),
            intervals: Intervals::new(steps, dt_ms, cells[0]),
        }
    }

    /// Adds a trial.
    pub fn add(&mut self, e: &Spikes, i: &Spikes) {
        self.trials += 1;
        for (population, spikes) in [e, i].into_iter().enumerate() {
            self.spikes[population] += spikes.at.len() as u64;
            self.correlograms[population].add(spikes);
        }
        self.spectrum.add(&e.trace());
        self.intervals.add(e);
    }

    /// Trials so far.
    pub fn trials(&self) -> u64 {
        self.trials
    }

    /// Mean rates of E and I cells, Hz; NaN without cells or trials.
    pub fn rates_hz(&self) -> [f64; 2] {
        [0, 1].map(|population| {
            let cell_seconds = self.cells[population] as f64 * self.trials as f64 * self.duration_s;
            self.spikes[population] as f64 / cell_seconds
        })
    }

    /// The rhythm, its null drawn under `seed`.
    pub fn rhythm(&self, seed: u64) -> Rhythm {
        let [e, i] = [0, 1].map(|k| self.correlograms[k].rhythm(seed, k as u64));
        let [low, high] = self.settings.gamma_hz;
        let peak = self.spectrum.peak();
        let of_peak = |part: fn(&Peak) -> f64| peak.as_ref().map_or(f64::NAN, part);
        Rhythm {
            is_rhythmic: e.is_rhythmic,
            f_hz: e.f_hz,
            f_gamma_hz: if (low..=high).contains(&e.f_hz) {
                e.f_hz
            } else {
                f64::NAN
            },
            gamma_hz: self.settings.gamma_hz,
            onset_ms: self.correlograms[0].onset_ms(),
            lowest_hz: self.correlograms[0].lowest_hz(),
            e,
            i,
            spectrum: SpectrumRecord {
                frequency_hz: self.spectrum.frequency_hz(),
                power: self.spectrum.power(),
                resolution_hz: self.spectrum.resolution_hz(),
                white_power: self.spectrum.white_power(),
                peak_hz: of_peak(|peak| peak.hz),
                peak_interpolated_hz: of_peak(|peak| peak.interpolated_hz),
            },
            interval_ms: self.intervals.edge_ms(),
            interval_count: self.intervals.histogram().to_vec(),
            cv: self.intervals.cv(),
        }
    }

    /// An empty count of spikes by cycle of `rhythm`, to which every trial is to be added once more;
    /// none where there is no rhythm.
    pub fn cycles(&self, rhythm: &Rhythm) -> Option<Cycles> {
        let cut = Cut::of(rhythm, self.rates_hz()[1])?;
        Some(Cycles::new(self.dt_ms, self.cells, cut))
    }
}
