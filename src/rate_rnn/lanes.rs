//! Runs of one shape side by side: on a GPU each is a lane of one engine, on a CPU they share worker threads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::batch::Batch;
use super::cpu::Workers;
use super::engine::{Engine, EngineError, Forward, Quantity, StepReport};
use super::gpu::{GpuEngine, LaneStart};
use super::loss::Scores;
use super::params::{Kind, Params};
use super::settings::Config;
use super::tasks::Sequences;
use super::weights::Layout;
use crate::data::DataError;
use crate::train::lanes::{self, Together};

/// What runs of one shape have in common: what is learnt from what, and the shapes of tensors and batches. Seeds,
/// starts, signs, rates and lengths may differ.
pub fn shape(config: &Config) -> Option<String> {
    let Config {
        data,
        network,
        training,
        ..
    } = config;
    let of_inhibition = match network.kind {
        Kind::Standard | Kind::ColEi => None,
        Kind::Dann => Some(network.inhibitory_fraction),
    };
    let of_training = (training.loss, training.batch_size);
    serde_json::to_string(&(data, &network.layers, of_inhibition, of_training)).ok()
}

/// Runs that are to share an engine.
pub struct Group {
    of_lanes: Arc<lanes::Group<LaneStart, Shared>>,
    workers: OnceLock<Arc<Workers<f32>>>,
    /// The sequences that were loaded, by what they are of.
    loaded: Mutex<BTreeMap<String, Sequences>>,
}

impl Group {
    /// Of so many runs, each of which takes a ticket.
    pub fn new(runs: usize) -> Arc<Self> {
        Arc::new(Self {
            of_lanes: lanes::Group::new(runs),
            workers: OnceLock::new(),
            loaded: Mutex::default(),
        })
    }
}

/// The right of one run to join.
pub struct Ticket {
    group: Arc<Group>,
    of_lane: lanes::Ticket<LaneStart, Shared>,
}

impl Ticket {
    /// Of a group that expects one more.
    pub fn of(group: &Arc<Group>) -> Self {
        Self {
            of_lane: lanes::Ticket::of(&group.of_lanes),
            group: group.clone(),
        }
    }

    /// The sequences of a configuration, which runs with the same ones share.
    ///
    /// # Errors
    /// Data that cannot be used.
    pub fn sequences(&self, config: &Config, place: Option<&Path>) -> Result<Sequences, DataError> {
        // Where nothing is drawn, all seeds give the same.
        let is_drawn = config.data.draws_with_seed();
        let seed = is_drawn.then_some(config.seeds.data);
        let key = serde_json::to_string(&(&config.data, seed, config.training.loss, place));
        let key = key.unwrap_or_default();
        let loaded = self.group.loaded.lock();
        let mut loaded = loaded.unwrap_or_else(PoisonError::into_inner);
        match loaded.get(&key) {
            Some(sequences) => Ok(sequences.clone()),
            None => {
                let sequences = Sequences::load(config, place)?;
                loaded.insert(key, sequences.clone());
                Ok(sequences)
            }
        }
    }

    /// The worker threads that the runs share on a CPU, where none waits for another.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn workers(&self, threads: usize) -> Result<Arc<Workers<f32>>, EngineError> {
        match self.group.workers.get() {
            Some(workers) => Ok(workers.clone()),
            None => {
                let own = Arc::new(Workers::new(threads)?);
                Ok(self.group.workers.get_or_init(|| own).clone())
            }
        }
    }

    /// A lane of one engine on a GPU, which whoever comes last builds.
    ///
    /// # Errors
    /// The engine could not be built.
    pub fn lane(
        self,
        start: LaneStart,
        build: impl FnOnce(&[LaneStart]) -> Result<GpuEngine, EngineError>,
    ) -> Result<LaneEngine, EngineError> {
        let params = start.params.clone();
        let build = |mut starts: Vec<LaneStart>| {
            // Those that are alike follow each other.
            let mut order: Vec<usize> = (0..starts.len()).collect();
            order.sort_by_key(|&lane| format!("{:?}", starts[lane].params));
            let mut places = vec![0; starts.len()];
            for (place, &lane) in order.iter().enumerate() {
                places[lane] = place;
            }
            starts.sort_by_key(|start| format!("{:?}", start.params));
            let engine = build(&starts).map_err(|error| error.to_string())?;
            Ok(Shared { engine, places })
        };
        let lane = self.of_lane.join(start, build);
        Ok(LaneEngine {
            layout: Layout::new(&params),
            params,
            lane: lane.map_err(EngineError::Lanes)?,
            steps: 0,
        })
    }
}

/// An engine whose lanes belong to several runs.
pub struct Shared {
    engine: GpuEngine,
    /// Of each run, its lane in the engine.
    places: Vec<usize>,
}

/// What a run asks of its lane.
pub enum Request {
    /// Trials without learning; outputs of every step, where wanted.
    Forward(Batch, bool),
    /// The gradient of a batch.
    Gradient(Batch),
    /// An optimiser step.
    Step,
    /// Gradient and step.
    Train(Batch),
    /// A quantity.
    Read(Quantity),
    /// Weights.
    Load(Vec<f32>),
    /// Moments and steps of the optimiser.
    Restore(Vec<f32>, Vec<f32>, u64),
}

/// What it gets.
#[derive(Default)]
pub struct Answer {
    forward: Forward,
    scores: Scores,
    step: StepReport,
    quantity: Vec<f64>,
}

/// The work of a dispatch: its kind (outputs of every step, or training), steps and trials.
#[derive(PartialEq)]
struct WorkShape(Option<bool>, usize, usize);

impl Request {
    /// Its batch, and which others it can be computed with.
    fn batch(&self) -> Option<(WorkShape, &Batch)> {
        let (kind, batch) = match self {
            Self::Forward(batch, every_step) => (Some(*every_step), batch),
            Self::Gradient(batch) | Self::Train(batch) => (None, batch),
            _ => return None,
        };
        Some((WorkShape(kind, batch.steps, batch.trials), batch))
    }
}

impl Together for Shared {
    type Request = Request;
    type Answer = Result<Answer, String>;

    fn compute(&mut self, requests: Vec<(usize, Request)>) -> Vec<Result<Answer, String>> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&at| self.places[requests[at].0]);
        let of: Vec<(usize, &Request)> = order
            .iter()
            .map(|&at| (self.places[requests[at].0], &requests[at].1))
            .collect();
        let mut found: Vec<Result<Answer, EngineError>> = Vec::new();
        found.resize_with(of.len(), || Ok(Answer::default()));
        self.batches(&of, &mut found);
        self.steps(&of, &mut found);
        for ((lane, request), found) in of.iter().zip(&mut found) {
            let done = match request {
                Request::Read(quantity) => self.engine.read_lane(*lane, *quantity),
                Request::Load(weights) => {
                    let done = self.engine.load_lane(*lane, weights);
                    done.map(|()| Vec::new())
                }
                Request::Restore(m, v, steps) => {
                    let done = self.engine.restore_lane(*lane, [m, v], *steps);
                    done.map(|()| Vec::new())
                }
                _ => continue,
            };
            *found = done.map(|quantity| Answer {
                quantity,
                ..Answer::default()
            });
        }
        let mut answers: Vec<_> = order.into_iter().zip(found).collect();
        answers.sort_by_key(|(at, _)| *at);
        let in_words = |(_, answer): (usize, Result<Answer, EngineError>)| {
            answer.map_err(|error| error.to_string())
        };
        answers.into_iter().map(in_words).collect()
    }
}

impl Shared {
    /// All that have a batch, those of one shape together.
    fn batches(
        &mut self,
        requests: &[(usize, &Request)],
        found: &mut [Result<Answer, EngineError>],
    ) {
        let mut is_done = vec![false; requests.len()];
        for first in 0..requests.len() {
            let Some((shape, _)) = requests[first].1.batch().filter(|_| !is_done[first]) else {
                continue;
            };
            let (mut places, mut work) = (Vec::new(), Vec::new());
            for (place, (lane, request)) in requests.iter().enumerate() {
                if let Some((_, batch)) = request.batch().filter(|(own, _)| *own == shape) {
                    places.push(place);
                    work.push((*lane, batch));
                    is_done[place] = true;
                }
            }
            match self.together(&work, shape.0) {
                Ok(answers) => {
                    for (place, answer) in places.into_iter().zip(answers) {
                        found[place] = Ok(answer);
                    }
                }
                Err(_) => {
                    // One that cannot be computed fails alone.
                    for (place, work) in places.into_iter().zip(work) {
                        let alone = self.together(&[work], shape.0);
                        found[place] = alone.map(|mut answers| answers.remove(0));
                    }
                }
            }
        }
    }

    fn together(
        &mut self,
        work: &[(usize, &Batch)],
        every_step: Option<bool>,
    ) -> Result<Vec<Answer>, EngineError> {
        Ok(match every_step {
            Some(every_step) => {
                let all = self.engine.forward_lanes(work, every_step)?.into_iter();
                let answer = |forward| Answer {
                    forward,
                    ..Answer::default()
                };
                all.map(answer).collect()
            }
            None => {
                let all = self.engine.gradient_lanes(work)?.into_iter();
                let answer = |scores| Answer {
                    scores,
                    ..Answer::default()
                };
                all.map(answer).collect()
            }
        })
    }

    /// The optimiser steps of all that want one.
    fn steps(&mut self, requests: &[(usize, &Request)], found: &mut [Result<Answer, EngineError>]) {
        let wants = |(place, (lane, request)): (usize, &(usize, &Request))| match request {
            Request::Train(_) | Request::Step if found[place].is_ok() => Some((place, *lane)),
            _ => None,
        };
        let stepping = requests.iter().enumerate().filter_map(wants);
        let (places, lanes): (Vec<usize>, Vec<usize>) = stepping.unzip();
        match self.engine.step_lanes(&lanes) {
            Ok(reports) => {
                for (place, report) in places.into_iter().zip(reports) {
                    if let Ok(answer) = &mut found[place] {
                        answer.step = report;
                    }
                }
            }
            Err(error) => {
                for place in places {
                    found[place] = Err(EngineError::Lanes(error.to_string()));
                }
            }
        }
    }
}

/// The engine of one run, a lane of a shared one.
pub struct LaneEngine {
    lane: lanes::Lane<LaneStart, Shared>,
    params: Params,
    layout: Layout,
    steps: u64,
}

impl LaneEngine {
    fn ask(&self, request: Request) -> Result<Answer, EngineError> {
        let answer = self.lane.ask(request);
        let answer = answer.map_err(|broken| EngineError::Lanes(broken.to_string()))?;
        answer.map_err(EngineError::Lanes)
    }

    fn counted(&mut self, step: StepReport) -> StepReport {
        self.steps += u64::from(!step.skipped);
        step
    }
}

impl Engine for LaneEngine {
    fn params(&self) -> &Params {
        &self.params
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn forward(&mut self, batch: &Batch, every_step: bool) -> Result<Forward, EngineError> {
        Ok(self
            .ask(Request::Forward(batch.clone(), every_step))?
            .forward)
    }

    fn gradient(&mut self, batch: &Batch) -> Result<Scores, EngineError> {
        Ok(self.ask(Request::Gradient(batch.clone()))?.scores)
    }

    fn step(&mut self) -> Result<StepReport, EngineError> {
        let answer = self.ask(Request::Step)?;
        Ok(self.counted(answer.step))
    }

    fn train(&mut self, batch: &Batch) -> Result<(Scores, StepReport), EngineError> {
        let answer = self.ask(Request::Train(batch.clone()))?;
        Ok((answer.scores, self.counted(answer.step)))
    }

    fn read(&mut self, quantity: Quantity) -> Result<Vec<f64>, EngineError> {
        Ok(self.ask(Request::Read(quantity))?.quantity)
    }

    fn optimiser_steps(&self) -> u64 {
        self.steps
    }

    fn load(&mut self, weights: &[f32]) -> Result<(), EngineError> {
        self.ask(Request::Load(weights.to_vec()))?;
        Ok(())
    }

    fn restore(&mut self, m: &[f32], v: &[f32], steps: u64) -> Result<(), EngineError> {
        self.ask(Request::Restore(m.to_vec(), v.to_vec(), steps))?;
        self.steps = steps;
        Ok(())
    }

    fn describe(&self) -> String {
        "a lane of an engine that runs share".to_owned()
    }
}
