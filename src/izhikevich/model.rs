//! A network with its stimuli, as the loop over blocks of trials sees it.

use std::collections::VecDeque;
use std::ops::Range;

use super::engine::{Engine, EngineError, Learnt, Trial, TrialInput, rates_hz};
use super::metrics::{
    EPOCH_MEANS, HIDDEN_RATE, LATERAL_RATE, METRICS, OTHER_RATE, OWN_RATE, THETA,
};
use super::network::Network;
use super::settings::LateralActive;
use super::stimuli::{Block, Stimuli};
use super::weights::Layout;
use crate::analysis::answers::predicted;
use crate::train::metrics::{Metric, TEST_ACCURACY, VALIDATION_ACCURACY};
use crate::train::model::{
    EpochMean, Measured, Model, ModelError, ModelState, Part, Score, TrainedBatch,
};

/// Trials between two looks at whether somebody asked to stop.
const FROZEN_TRIALS: usize = 100;

/// A network on its engine, and the trials it is measured on.
pub struct NetworkModel {
    engine: Box<dyn Engine>,
    /// Its cells and synapses.
    pub network: Network,
    /// Where they lie.
    pub layout: Layout,
    stimuli: Stimuli,
    lateral: LateralActive,
    /// Blocks that are trained and not yet asked for.
    trained: VecDeque<TrainedBatch>,
    blocks: u64,
}

/// Rates of all neurons in trials, `[trial][neuron]`, Hz.
pub type TrialRates = Vec<Vec<f64>>;

impl NetworkModel {
    /// A network on its engine, after `blocks` blocks of training.
    pub fn new(
        engine: Box<dyn Engine>,
        network: Network,
        layout: Layout,
        stimuli: Stimuli,
        lateral: LateralActive,
        blocks: u64,
    ) -> Self {
        Self {
            engine,
            network,
            layout,
            stimuli,
            lateral,
            trained: VecDeque::new(),
            blocks,
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// What the network has learnt.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn learnt(&mut self) -> Result<Learnt, EngineError> {
        let mut learnt = self.engine.read(0)?;
        if self.lateral == LateralActive::Test {
            self.connect_lateral(&mut learnt, true);
        }
        Ok(learnt)
    }

    /// Makes `learnt` what the network has learnt.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn load(&mut self, learnt: &Learnt) -> Result<(), EngineError> {
        let mut learnt = learnt.clone();
        if self.lateral == LateralActive::Test {
            self.connect_lateral(&mut learnt, false);
        }
        self.engine.load(0, &learnt)
    }

    fn connect_lateral(&self, learnt: &mut Learnt, there: bool) {
        for name in ["output_lateral", "lateral_output"] {
            let Some(block) = self.layout.block(name) else {
                continue;
            };
            for pre in block.pre.clone() {
                for post in block.post.clone() {
                    let at = pre * self.layout.neurons + post;
                    learnt.weights[at] = match there {
                        // Lateral weights that come and go do not learn.
                        true => self.network.weights[at],
                        false => 0.0,
                    };
                }
            }
        }
    }

    /// Rates of all neurons in trials that change nothing; none where `go_on`, asked now and then, said no.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn frozen_rates(
        &mut self,
        trials: impl ExactSizeIterator<Item = TrialInput>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<TrialRates>, EngineError> {
        let trained = self.engine.read(0)?;
        let switched = self.lateral != LateralActive::Always;
        if switched {
            let mut learnt = trained.clone();
            self.connect_lateral(&mut learnt, self.lateral == LateralActive::Test);
            self.engine.load(0, &learnt)?;
        }
        let mut rates = Vec::with_capacity(trials.len());
        let mut trials = trials.peekable();
        let mut stopped = false;
        while trials.peek().is_some() {
            if !go_on() {
                stopped = true;
                break;
            }
            let some: Vec<TrialInput> = trials.by_ref().take(FROZEN_TRIALS).collect();
            let done = self.engine.run(&[(0, &some)])?;
            let params = self.engine.params();
            rates.extend(done.iter().flatten().map(|trial| rates_hz(params, trial)));
        }
        if switched {
            self.engine.load(0, &trained)?;
        }
        Ok((!stopped).then_some(rates))
    }

    /// The trials that an evaluation sees.
    fn samples(&self, part: Part) -> &[usize] {
        match part {
            Part::Validation => &self.stimuli.split.validation,
            Part::Test => &self.stimuli.split.test,
        }
    }

    /// The output cells, among the neurons.
    pub fn outputs(&self) -> Range<usize> {
        self.layout.outputs()
    }

    fn mean_of(&self, rates: &TrialRates, is_there: impl Fn(&str) -> bool) -> f64 {
        let populations = self.layout.populations.iter();
        let cells: Vec<usize> = populations
            .filter(|population| is_there(&population.name))
            .flat_map(|population| population.cells.clone())
            .map(|cell| cell - self.layout.n_in)
            .collect();
        mean(
            rates
                .iter()
                .flat_map(|rates| cells.iter().map(|&j| rates[j])),
        )
    }
}

/// Mean; NaN of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    sum / count
}

/// Mean rate of the cells of each class, Hz.
pub fn pool_rates(rates: &[f64], classes_of: &[Option<u32>], classes: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); classes];
    for (rate, class) in rates.iter().zip(classes_of) {
        if let Some(pool) = class.and_then(|class| sums.get_mut(class as usize)) {
            pool.0 += rate;
            pool.1 += 1.0;
        }
    }
    let pools = sums.into_iter();
    pools
        .map(|(sum, count): (f64, f64)| if count > 0.0 { sum / count } else { 0.0 })
        .collect()
}

/// The class whose output cells fire most in a trial of these rates, the first of equals.
pub fn answer(rates: &[f64], classes_of: &[Option<u32>], classes: usize) -> u32 {
    predicted(&pool_rates(rates, classes_of, classes)) as u32
}

impl Model for NetworkModel {
    type Batch = Block;

    fn epoch_means(&self) -> &'static [EpochMean] {
        EPOCH_MEANS
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn score(&self) -> Score {
        Score {
            test: TEST_ACCURACY,
            validation: VALIDATION_ACCURACY,
            more_is_better: true,
        }
    }

    fn begin(&mut self, block: &Block) -> Result<(), ModelError> {
        let done = self.engine.train(&[(0, &block.trials)])?;
        let (params, classes) = (self.engine.params(), self.stimuli.classes);
        let rates = |trial: &Trial| rates_hz(params, trial);
        let rates: TrialRates = done.iter().flatten().map(rates).collect();
        let right = rates
            .iter()
            .zip(&block.labels)
            .filter(|(rates, label)| answer(rates, &self.network.classes, classes) == **label);
        let (trials, right) = (rates.len(), right.count());
        let outputs = self.outputs();
        let of_outputs = mean(
            rates
                .iter()
                .flat_map(|r| r[outputs.clone()].iter().copied()),
        );
        let share = right as f64 / trials as f64;
        self.blocks += 1;
        self.trained.push_back(TrainedBatch {
            trials,
            loss: 1.0 - share,
            numbers: vec![("error_share", 1.0 - share), ("output_rate_hz", of_outputs)],
            sums: vec![
                ("correct", right as f64),
                ("output_rate_hz", of_outputs * trials as f64),
            ],
            gradient_norm: f64::NAN,
            ..TrainedBatch::default()
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<TrainedBatch>, ModelError> {
        Ok(self.trained.pop_front())
    }

    fn evaluate(
        &mut self,
        part: Part,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Measured>, ModelError> {
        let samples = self.samples(part).to_vec();
        let stimuli = self.stimuli.clone();
        let trials = samples.iter().map(|&sample| stimuli.frozen_trial(sample));
        let Some(rates) = self.frozen_rates(trials, go_on)? else {
            return Ok(None);
        };
        let classes = &self.network.classes;
        let labels = samples.iter().map(|&sample| stimuli.label(sample));
        let mut right = 0;
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for (rates, label) in rates.iter().zip(labels) {
            right += usize::from(answer(rates, classes, stimuli.classes) == label);
            for (rate, class) in rates.iter().zip(classes) {
                match class {
                    Some(class) if *class == label => own.push(*rate),
                    Some(_) => other.push(*rate),
                    None => {}
                }
            }
        }
        let theta = self.engine.read(0)?.theta_hz;
        let of_outputs = theta[self.outputs()].iter().map(|&theta| f64::from(theta));
        Ok(Some(vec![
            (TEST_ACCURACY, 100.0 * right as f64 / rates.len() as f64),
            (OWN_RATE, mean(own.into_iter())),
            (OTHER_RATE, mean(other.into_iter())),
            (
                HIDDEN_RATE,
                self.mean_of(&rates, |name| name.starts_with("hidden")),
            ),
            (LATERAL_RATE, self.mean_of(&rates, |name| name == "lateral")),
            (THETA, mean(of_outputs)),
        ]))
    }

    fn state(&mut self) -> Result<ModelState, ModelError> {
        let learnt = self.learnt()?;
        Ok(ModelState {
            weights: self.layout.tensors_of(&learnt),
            optimiser_steps: self.blocks,
            ..ModelState::default()
        })
    }
}
