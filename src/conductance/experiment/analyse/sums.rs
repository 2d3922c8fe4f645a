//! Everything that is summed over the test trials, batch by batch, and what becomes of it.

use crate::analysis::rates::Rates;
use crate::analysis::rhythm::Settings;
use crate::analysis::spikes::Spikes;
use crate::conductance::analysis::cycles::Cycles;
use crate::conductance::analysis::populations::Populations;
use crate::conductance::analysis::record::{ExampleTrial, Rhythm, TestResult};
use crate::conductance::batch::{Batch, Forward, Population, SpikeBits};
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
    populations: Populations,
    example: ExampleTrial,
}

impl Sums {
    pub(super) fn new(params: &Params, settings: Settings) -> Self {
        let (steps, dt_ms) = (params.steps, params.network.dt_ms);
        let (n_e, n_i) = (params.n_e(), params.n_i());
        Self {
            dt_ms,
            duration_s: params.duration_s(),
            labels: Vec::new(),
            evaluation: Evaluation::new(params),
            rates: [Rates::new(n_e), Rates::new(n_i)],
            populations: Populations::new(steps, dt_ms, [n_e, n_i], settings),
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
        for (trial, (&sample, &label)) in samples.iter().zip(&batch.labels).enumerate() {
            let [e, i] = spikes_of(raster, trial);
            if self.populations.trials() == 0 {
                self.example = self.example_of(sample, label, &e, &i);
            }
            self.populations.add(&e, &i);
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
        self.populations.rhythm(null_seed)
    }

    /// See [`Populations::cycles`].
    pub(super) fn cycles(&self, rhythm: &Rhythm) -> Option<Cycles> {
        self.populations.cycles(rhythm)
    }

    pub(super) fn into_example(self) -> ExampleTrial {
        self.example
    }

    fn example_of(&self, sample: usize, label: u32, e: &Spikes, i: &Spikes) -> ExampleTrial {
        let rate_hz =
            |spikes: &Spikes| spikes.at.len() as f64 / (spikes.cells as f64 * self.duration_s);
        let shown = |spikes: &Spikes, cells: u32| -> Vec<(f64, u32)> {
            let first = spikes.at.iter().filter(|spike| spike.1 < cells);
            let time_ms = |step: u32| f64::from(step) * self.dt_ms;
            first.map(|&(step, cell)| (time_ms(step), cell)).collect()
        };
        let (e_cells, i_cells) = (e.cells.min(SHOWN_E) as u32, i.cells.min(SHOWN_I) as u32);
        ExampleTrial {
            sample: sample as u64,
            label,
            duration_ms: self.duration_s * 1000.0,
            dt_ms: self.dt_ms,
            n_e: e.cells as u32,
            n_i: i.cells as u32,
            e_rate_hz: rate_hz(e),
            i_rate_hz: rate_hz(i),
            e_cells,
            i_cells,
            e: shown(e, e_cells),
            i: shown(i, i_cells),
        }
    }
}

/// The spikes of E and I in one trial of a batch.
pub(super) fn spikes_of(raster: &SpikeBits, trial: usize) -> [Spikes; 2] {
    [Population::E, Population::I].map(|population| {
        let at = (0..raster.steps).flat_map(|step| {
            let cells = raster.cells_at(trial, step, population);
            cells.map(move |cell| (step as u32, cell as u32))
        });
        Spikes {
            steps: raster.steps,
            cells: raster.cells[usize::from(population == Population::I)],
            at: at.collect(),
        }
    })
}
