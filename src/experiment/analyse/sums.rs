//! Everything that is summed over the test trials, batch by batch, and what becomes of it.

use crate::analysis::cycles::Cycles;
use crate::analysis::rates::Rates;
use crate::analysis::record::{ExampleTrial, Participation, Rhythm, TestResult};
use crate::analysis::rhythm::{Autocorrelogram, Intervals};
use crate::analysis::spectrum::{Peak, SHOWN_HZ, Spectrum};
use crate::analysis::spikes::Spikes;
use crate::conductance::batch::{Batch, Forward, Population, Raster};
use crate::conductance::evaluation::Evaluation;
use crate::conductance::params::Params;

/// Cells shown of the example trial, the first ones of each population.
const SHOWN_E: usize = 200;
const SHOWN_I: usize = 50;

/// Sums over the test trials so far.
pub(super) struct Sums {
    dt_ms: f64,
    duration_s: f64,
    labels: Vec<u32>,
    evaluation: Evaluation,
    rates: [Rates; 2],
    spectrum: Spectrum,
    /// Of the I population; tells how long a cycle is.
    i_spectrum: Spectrum,
    autocorrelogram: Autocorrelogram,
    intervals: Intervals,
    cycles: Cycles,
    example: ExampleTrial,
}

impl Sums {
    pub(super) fn new(params: &Params) -> Self {
        let (steps, dt_ms) = (params.steps, params.network.dt_ms);
        let (n_e, n_i) = (params.n_e(), params.n_i());
        Self {
            dt_ms,
            duration_s: params.duration_s(),
            labels: Vec::new(),
            evaluation: Evaluation::new(params),
            rates: [Rates::new(n_e), Rates::new(n_i)],
            spectrum: Spectrum::new(steps, dt_ms, n_e, SHOWN_HZ),
            i_spectrum: Spectrum::new(steps, dt_ms, n_i, SHOWN_HZ),
            autocorrelogram: Autocorrelogram::new(steps, dt_ms),
            intervals: Intervals::new(steps, dt_ms, n_e),
            cycles: Cycles::new(dt_ms, [n_e, n_i]),
            example: ExampleTrial::default(),
        }
    }

    /// Adds a batch of test samples and what the network made of it.
    pub(super) fn add(&mut self, samples: &[usize], batch: &Batch, forward: &Forward) {
        self.labels.extend(&batch.labels);
        self.evaluation.add(batch, forward);
        self.rates[0].add(&forward.counts_e);
        self.rates[1].add(&forward.counts_i);
        let Some(raster) = &forward.raster else {
            return;
        };
        for trial in 0..raster.trials {
            let i = spikes_of(raster, trial, Population::I);
            self.i_spectrum.add(&i.trace());
        }
        // From all trials so far; it need only be right to within a factor of two.
        let period_ms = self
            .i_spectrum
            .peak()
            .map(|peak| 1000.0 / peak.interpolated_hz);
        for (trial, (&sample, &label)) in samples.iter().zip(&batch.labels).enumerate() {
            let e = spikes_of(raster, trial, Population::E);
            let i = spikes_of(raster, trial, Population::I);
            if self.spectrum.trials() == 0 {
                self.example = self.example_of(sample, label, &e, &i);
            }
            let trace = e.trace();
            self.spectrum.add(&trace);
            self.autocorrelogram.add(&trace);
            self.intervals.add(&e);
            if let Some(period_ms) = period_ms {
                self.cycles.add(&e, &i, period_ms);
            }
        }
    }

    pub(super) fn test(&self) -> TestResult {
        let measures = self.evaluation.measures();
        let predicted = self.evaluation.predicted.iter().map(|&class| class as u32);
        let classes = 0..self.evaluation.classes.len();
        let [e, i] = &self.rates;
        TestResult {
            labels: self.labels.clone(),
            predicted: predicted.collect(),
            accuracy_percent: measures.accuracy_percent,
            loss_nats: measures.loss_nats,
            e_rate_hz: e.population_rate_hz(self.duration_s),
            i_rate_hz: i.population_rate_hz(self.duration_s),
            active_e_percent: e.active_percent(),
            silent_e_percent: e.silent_percent(),
            class_e_rate_hz: classes
                .map(|class| self.evaluation.class_rate_hz(class))
                .collect(),
        }
    }

    pub(super) fn e_cell_rate_hz(&self) -> Vec<f64> {
        self.rates[0].cell_rate_hz(self.duration_s)
    }

    pub(super) fn i_cell_rate_hz(&self) -> Vec<f64> {
        self.rates[1].cell_rate_hz(self.duration_s)
    }

    pub(super) fn rhythm(&self, null_seed: u64) -> Rhythm {
        let null = self.spectrum.null(null_seed);
        let peak = self.spectrum.peak();
        let of_peak = |part: fn(&Peak) -> f64| peak.as_ref().map_or(f64::NAN, part);
        Rhythm {
            frequency_hz: self.spectrum.frequency_hz(),
            power: self.spectrum.power(),
            peak_hz: of_peak(|peak| peak.hz),
            peak_interpolated_hz: of_peak(|peak| peak.interpolated_hz),
            peak_power: of_peak(|peak| peak.power),
            null_peak_power: null.peak_power,
            level: null.level,
            is_rhythmic: peak.is_some_and(|peak| null.is_exceeded_by(&peak)),
            null_power: null.power,
            lag_ms: self.autocorrelogram.lag_ms(),
            autocorrelation: self.autocorrelogram.coefficient(),
            contrast: self.autocorrelogram.contrast(),
            interval_ms: self.intervals.edge_ms(),
            interval_count: self.intervals.histogram().to_vec(),
            cv: self.intervals.cv(),
        }
    }

    pub(super) fn participation(&self) -> Option<Participation> {
        self.cycles.participation()
    }

    pub(super) fn into_example(self) -> ExampleTrial {
        self.example
    }

    fn example_of(&self, sample: usize, label: u32, e: &Spikes, i: &Spikes) -> ExampleTrial {
        let rate_hz =
            |spikes: &Spikes| spikes.at.len() as f64 / (spikes.cells as f64 * self.duration_s);
        let shown = |spikes: &Spikes, cells: u32| -> Vec<(f32, u32)> {
            let first = spikes.at.iter().filter(|spike| spike.1 < cells);
            let time_ms = |step: u32| (f64::from(step) * self.dt_ms) as f32;
            first.map(|&(step, cell)| (time_ms(step), cell)).collect()
        };
        let (e_cells, i_cells) = (e.cells.min(SHOWN_E) as u32, i.cells.min(SHOWN_I) as u32);
        ExampleTrial {
            sample: sample as u64,
            label,
            duration_ms: self.duration_s * 1000.0,
            e_rate_hz: rate_hz(e),
            i_rate_hz: rate_hz(i),
            e_cells,
            i_cells,
            e: shown(e, e_cells),
            i: shown(i, i_cells),
        }
    }
}

/// The spikes of one population in one trial of a batch.
fn spikes_of(raster: &Raster, trial: usize, population: Population) -> Spikes {
    let at = (0..raster.steps).flat_map(|step| {
        let cells = raster.cells_at(trial, step, population);
        cells.map(move |cell| (step as u32, cell as u32))
    });
    Spikes {
        steps: raster.steps,
        cells: raster.cells[match population {
            Population::E => 0,
            Population::I => 1,
            Population::Out => 2,
        }],
        at: at.collect(),
    }
}
