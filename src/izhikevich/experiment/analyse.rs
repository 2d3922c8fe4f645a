//! A trained network measured on test trials and on gratings of every orientation and offset.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

use super::{Experiment, ExperimentError};
use crate::files::write_atomic;
use crate::izhikevich::analysis::{
    BlockWeights, Cell, CellTuning, FORMAT, RunAnalysis, TestResult, Tuning,
};
use crate::izhikevich::engine::{Learnt, TrialInput};
use crate::izhikevich::model::{NetworkModel, TrialRates, answer};
use crate::izhikevich::read_out::ReadOut;
use crate::izhikevich::settings::Task;
use crate::izhikevich::stimuli::Grating;
use crate::izhikevich::weights::Block;
use crate::train::manifest::program;
use crate::train::run_folder::RunFiles;
use crate::train::session::{TrainError, run_sha256};

/// Orientations and offsets of tuning curves.
const ANGLES: usize = 24;
const PHASES: usize = 12;

/// Most rows and columns of a block's picture.
const MOST_PIXELS: usize = 64;

/// What is analysed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `last`, `best` or `initial`.
    pub checkpoint: &'a str,
    /// Epochs trained.
    pub epoch: u64,
    /// At the start of the run.
    pub initial: &'a Learnt,
    /// At the checkpoint.
    pub now: &'a Learnt,
    /// Name of the device that computes.
    pub device: &'a str,
}

impl Experiment {
    /// Runs `subject` on all test trials, on those that classes are assigned by, and on gratings. `network` is one of
    /// this experiment whatever its weights; it ends with those of `subject`. None where `go_on` said no.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn analyse(
        &self,
        network: &mut NetworkModel,
        subject: &Subject<'_>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<RunAnalysis>, ExperimentError> {
        network.load(subject.now)?;
        let frozen = |samples: &[usize]| -> Vec<TrialInput> {
            let samples = samples.iter();
            samples
                .map(|&sample| self.stimuli.frozen_trial(sample))
                .collect()
        };
        let [of_test, of_assignment] = [&self.stimuli.split.test, &self.stimuli.assignment];
        let Some(test) = network.frozen_rates(frozen(of_test).into_iter(), go_on)? else {
            return Ok(None);
        };
        let assignment = network.frozen_rates(frozen(of_assignment).into_iter(), go_on)?;
        let Some(assignment) = assignment else {
            return Ok(None);
        };
        let tuning = match self.config.data.task {
            Task::Gratings => match self.tuning(network, subject.now, go_on)? {
                None => return Ok(None),
                tuning => tuning,
            },
            Task::Images => None,
        };
        let cells = self.cells(&test, &assignment);
        Ok(Some(RunAnalysis {
            format: FORMAT,
            checkpoint: subject.checkpoint.to_owned(),
            epoch: subject.epoch,
            config_sha256: run_sha256(&self.config),
            data_sha256: self.stimuli.sha256.clone(),
            program: program(),
            device: subject.device.to_owned(),
            test: self.test_result(&test, &assignment, &cells),
            cells,
            tuning,
            blocks: self.blocks(subject),
        }))
    }

    fn labels(&self, samples: &[usize]) -> Vec<u32> {
        let samples = samples.iter();
        samples.map(|&sample| self.stimuli.label(sample)).collect()
    }

    /// The output cells with their mean rates by class, and the class each fires most to in the trials of `assignment`.
    fn cells(&self, test: &TrialRates, assignment: &TrialRates) -> Vec<Cell> {
        let classes = self.stimuli.classes;
        let by_class = |j: usize, rates: &TrialRates, labels: &[u32]| -> Vec<f64> {
            let of_class = |class: u32| {
                let own = rates
                    .iter()
                    .zip(labels)
                    .filter(|(_, label)| **label == class);
                let (sum, trials) =
                    own.fold((0.0, 0.0), |(sum, n), (rates, _)| (sum + rates[j], n + 1.0));
                sum / trials
            };
            (0..classes as u32).map(of_class).collect()
        };
        let of_test = self.labels(&self.stimuli.split.test);
        let of_assignment = self.labels(&self.stimuli.assignment);
        let cell = |j: usize| {
            let found = by_class(j, assignment, &of_assignment);
            let most = found
                .iter()
                .copied()
                .filter(|hz| hz.is_finite())
                .fold(0.0, f64::max);
            let assigned = found.iter().position(|hz| *hz == most && most > 0.0);
            Cell {
                class: self.network.classes[j].unwrap_or_default(),
                assigned: assigned.map(|class| class as u32),
                by_class_hz: by_class(j, test, &of_test),
            }
        };
        self.layout.outputs().map(cell).collect()
    }

    fn test_result(
        &self,
        test: &TrialRates,
        assignment: &TrialRates,
        cells: &[Cell],
    ) -> TestResult {
        let classes = self.stimuli.classes;
        let samples = &self.stimuli.split.test;
        let labels = self.labels(samples);
        let mut assigned_classes = vec![None; self.layout.neurons];
        for (j, cell) in self.layout.outputs().zip(cells) {
            assigned_classes[j] = cell.assigned;
        }
        let answers = |of: &[Option<u32>]| -> Vec<u32> {
            test.iter()
                .map(|rates| answer(rates, of, classes))
                .collect()
        };
        let predicted = answers(&self.network.classes);
        let assigned = match assignment.is_empty() {
            true => Vec::new(),
            false => answers(&assigned_classes),
        };
        let outputs = self.layout.outputs();
        let of_outputs = |rates: &TrialRates| -> Vec<Vec<f64>> {
            rates
                .iter()
                .map(|rates| rates[outputs.clone()].to_vec())
                .collect()
        };
        let known = self.labels(&self.stimuli.assignment);
        let read_out = ReadOut::fit(&of_outputs(assignment), &known, classes);
        let read: Vec<u32> = match &read_out {
            Some(read_out) => of_outputs(test)
                .iter()
                .map(|x| read_out.answer(x))
                .collect(),
            None => Vec::new(),
        };
        let (mut own, mut other) = ((0.0, 0.0), (0.0, 0.0));
        for cell in cells {
            for (class, &hz) in (0u32..)
                .zip(&cell.by_class_hz)
                .filter(|(_, hz)| hz.is_finite())
            {
                let to = if class == cell.class {
                    &mut own
                } else {
                    &mut other
                };
                *to = (to.0 + hz, to.1 + 1.0);
            }
        }
        let gratings = samples
            .iter()
            .filter_map(|&s| self.stimuli.frozen_grating(s));
        TestResult {
            accuracy_percent: share_percent(&predicted, &labels),
            assigned_accuracy_percent: share_percent(&assigned, &labels),
            read_out_accuracy_percent: share_percent(&read, &labels),
            phases: gratings.map(|grating| grating.phase).collect(),
            own_rate_hz: own.0 / own.1,
            other_rate_hz: other.0 / other.1,
            labels,
            predicted,
            assigned,
        }
    }

    fn tuning(
        &self,
        network: &mut NetworkModel,
        learnt: &Learnt,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Tuning>, ExperimentError> {
        let frequency = self.config.data.gratings.frequencies[0];
        let angles: Vec<f64> = (0..ANGLES).map(|i| PI * i as f64 / ANGLES as f64).collect();
        let phases: Vec<f64> = (0..PHASES)
            .map(|i| TAU * i as f64 / PHASES as f64)
            .collect();
        let grating = |number: usize| Grating {
            frequency,
            angle: angles[number / PHASES],
            phase: phases[number % PHASES],
        };
        let all = (0..ANGLES * PHASES).map(grating);
        let trials = (0u64..)
            .zip(all.clone())
            .map(|(n, g)| self.stimuli.grating_trial(g, n));
        let trials: Vec<TrialInput> = trials.collect();
        let Some(rates) = network.frozen_rates(trials.into_iter(), go_on)? else {
            return Ok(None);
        };
        let inputs: Vec<Vec<f64>> = all.map(|g| self.stimuli.rates_of_grating(g, 0.0)).collect();
        let cells: Vec<CellTuning> = self
            .layout
            .outputs()
            .map(|j| {
                let table = |of: &dyn Fn(usize) -> f64| -> Vec<Vec<f64>> {
                    let row = |angle: usize| (0..PHASES).map(|p| of(angle * PHASES + p)).collect();
                    (0..ANGLES).map(row).collect()
                };
                let current = |trial: usize| self.input_current(learnt, &inputs[trial], j);
                cell_tuning(&angles, table(&|trial| rates[trial][j]), table(&current))
            })
            .collect();
        Ok(Some(Tuning {
            frequency,
            angles_deg: angles.iter().map(|angle| angle * 180.0 / PI).collect(),
            phases,
            mean_correlation: mean_correlation(&cells),
            cells,
        }))
    }

    /// Mean current of a neuron by the rates of the inputs and its synapses from them.
    fn input_current(&self, learnt: &Learnt, input_hz: &[f64], neuron: usize) -> f64 {
        let tau_s = self.config.network.tau_exc_ms / 1000.0;
        let weights = (0..self.layout.n_in)
            .map(|pre| f64::from(learnt.weights[pre * self.layout.neurons + neuron]));
        weights.zip(input_hz).map(|(w, hz)| w * hz * tau_s).sum()
    }

    fn blocks(&self, subject: &Subject<'_>) -> Vec<BlockWeights> {
        let of = |block: &Block| {
            let there: Vec<usize> = block
                .pre
                .clone()
                .flat_map(|pre| block.post.clone().map(move |post| (pre, post)))
                .map(|(pre, post)| pre * self.layout.neurons + post)
                .filter(|&at| self.network.w_default[at] > 0.0)
                .collect();
            let of = |learnt: &Learnt| -> Vec<f64> {
                there.iter().map(|&at| learnt.weights[at].into()).collect()
            };
            let (start, now) = (of(subject.initial), of(subject.now));
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let mean_now = mean(&now);
            let squares: Vec<f64> = now.iter().map(|w| (w - mean_now).powi(2)).collect();
            BlockWeights {
                name: block.name.clone(),
                shape: [block.pre.len(), block.post.len()],
                synapses: there.len(),
                mean_at_start: mean(&start),
                mean: mean_now,
                sd: mean(&squares).sqrt(),
                share_at_zero: now.iter().filter(|w| **w == 0.0).count() as f64 / now.len() as f64,
                picture: self.picture(block, subject.now),
            }
        };
        self.layout.blocks.iter().map(of).collect()
    }

    fn picture(&self, block: &Block, learnt: &Learnt) -> Vec<Vec<f64>> {
        let parts = |cells: &Range<usize>| -> Vec<Range<usize>> {
            let parts = cells.len().min(MOST_PIXELS);
            let edge = |part: usize| cells.start + part * cells.len() / parts;
            (0..parts).map(|part| edge(part)..edge(part + 1)).collect()
        };
        let columns = parts(&block.post);
        let row = |pre: Range<usize>| {
            let of = |post: &Range<usize>| {
                let (mut sum, mut cells) = (0.0, 0.0);
                for i in pre.clone() {
                    for j in post.clone() {
                        sum += f64::from(learnt.weights[i * self.layout.neurons + j]);
                        cells += 1.0;
                    }
                }
                sum / cells
            };
            columns.iter().map(of).collect()
        };
        parts(&block.pre).into_iter().map(row).collect()
    }
}

/// Share of right answers, %; NaN where there are none.
fn share_percent(answers: &[u32], labels: &[u32]) -> f64 {
    let right = answers
        .iter()
        .zip(labels)
        .filter(|(answer, label)| answer == label);
    match answers.is_empty() {
        true => f64::NAN,
        false => 100.0 * right.count() as f64 / answers.len() as f64,
    }
}

fn cell_tuning(angles: &[f64], rates_hz: Vec<Vec<f64>>, input: Vec<Vec<f64>>) -> CellTuning {
    let mut tuning = CellTuning {
        rates_hz,
        input,
        f1_over_f0: f64::NAN,
        range_hz: f64::NAN,
        selectivity: f64::NAN,
        half_width_deg: f64::NAN,
    };
    let curve = tuning.curve();
    let (mut best, mut lowest) = (0, f64::INFINITY);
    for (angle, &hz) in curve.iter().enumerate() {
        if hz > curve[best] {
            best = angle;
        }
        lowest = lowest.min(hz);
    }
    let highest = curve[best];
    tuning.range_hz = highest - lowest;
    let wave = |values: &[f64], phases: &dyn Fn(usize) -> f64| {
        let parts = values
            .iter()
            .enumerate()
            .map(|(i, x)| [x * libm::cos(phases(i)), x * libm::sin(phases(i))]);
        let sums = parts.fold([0.0; 2], |sum, x| [sum[0] + x[0], sum[1] + x[1]]);
        libm::hypot(sums[0], sums[1])
    };
    if highest > 0.0 {
        let phases = tuning.rates_hz[best].len();
        let at = |i: usize| TAU * i as f64 / phases as f64;
        let amplitude = 2.0 * wave(&tuning.rates_hz[best], &at) / phases as f64;
        tuning.f1_over_f0 = amplitude / highest;
        let twice = |i: usize| 2.0 * angles[i];
        tuning.selectivity = wave(&curve, &twice) / curve.iter().sum::<f64>();
        let half = lowest + 0.5 * tuning.range_hz;
        let above = curve.iter().filter(|hz| **hz >= half).count();
        if tuning.range_hz > 0.0 {
            tuning.half_width_deg = 0.5 * 180.0 * above as f64 / angles.len() as f64;
        }
    }
    tuning
}

/// Mean correlation of the curves of all pairs of cells; NaN where no two cells vary.
fn mean_correlation(cells: &[CellTuning]) -> f64 {
    let centred: Vec<Vec<f64>> = cells
        .iter()
        .map(|cell| {
            let curve = cell.curve();
            let mean = curve.iter().sum::<f64>() / curve.len() as f64;
            curve.iter().map(|hz| hz - mean).collect()
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (i, a) in centred.iter().enumerate() {
        for b in &centred[..i] {
            let norm = (dot(a, a) * dot(b, b)).sqrt();
            if norm > 0.0 {
                sum += dot(a, b) / norm;
                pairs += 1.0;
            }
        }
    }
    sum / pairs
}

/// An analysis as the text of its file.
///
/// # Errors
/// None that is known: every number that JSON lacks is written as `null`.
pub fn analysis_json(analysis: &RunAnalysis) -> Result<String, ExperimentError> {
    let json = serde_json::to_string(analysis).map_err(ExperimentError::AnalysisJson)?;
    Ok(json + "\n")
}

/// Writes the `analysis.json` of a run folder, all or nothing.
///
/// # Errors
/// The file cannot be written.
pub fn write_analysis(files: &RunFiles, analysis: &RunAnalysis) -> Result<(), ExperimentError> {
    let json = analysis_json(analysis)?;
    Ok(write_atomic(&files.analysis(), json.as_bytes()).map_err(TrainError::File)?)
}
