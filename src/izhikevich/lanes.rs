//! Runs of one shape on one engine: each sees an engine of its own.

use std::sync::Arc;

use super::engine::{Engine, EngineError, LaneTrials, Learnt, Trial, TrialInput};
use super::network::Network;
use super::open::OpenedEngine;
use super::params::Params;
use super::settings::Config;
use crate::config::Seeds;
use crate::train::lanes::{self, Broken, Together};

/// Runs that are to share an engine.
pub type Group = lanes::Group<Network, Shared>;

/// The right of one run to join.
pub type Ticket = lanes::Ticket<Network, Shared>;

/// What runs of one shape have in common: everything but name, seeds and number of epochs.
pub fn shape(config: &Config) -> Option<String> {
    let mut config = config.clone();
    config.name.clear();
    config.seeds = Seeds::default();
    config.training.epochs = 0;
    serde_json::to_string(&config).ok()
}

/// An engine whose lanes belong to several runs.
pub struct Shared(pub OpenedEngine);

/// What a run asks of its lane.
pub enum Request {
    /// Trials that change its weights.
    Train(Vec<TrialInput>),
    /// Trials that do not.
    Run(Vec<TrialInput>),
    /// A trial with every spike.
    Record(TrialInput),
    /// What it has learnt.
    Read,
    /// What it is to have learnt.
    Load(Learnt),
}

/// What it gets.
pub enum Answer {
    /// Trials.
    Trials(Vec<Trial>),
    /// What it has learnt.
    Learnt(Learnt),
    /// It was done.
    Done,
}

impl Together for Shared {
    type Request = Request;
    type Answer = Result<Answer, String>;

    fn compute(&mut self, requests: Vec<(usize, Request)>) -> Vec<Result<Answer, String>> {
        let engine = self.0.engine.as_mut();
        let mut answers: Vec<Option<Result<Answer, String>>> = Vec::new();
        answers.resize_with(requests.len(), || None);
        for trains in [true, false] {
            let own = requests
                .iter()
                .enumerate()
                .filter_map(|(place, (lane, request))| match request {
                    Request::Train(trials) if trains => Some((place, (*lane, &trials[..]))),
                    Request::Run(trials) if !trains => Some((place, (*lane, &trials[..]))),
                    _ => None,
                });
            let (places, work): (Vec<usize>, Vec<LaneTrials<'_>>) = own.unzip();
            if places.is_empty() {
                continue;
            }
            let done = match trains {
                true => engine.train(&work),
                false => engine.run(&work),
            };
            match done {
                Ok(done) => {
                    for (place, trials) in places.into_iter().zip(done) {
                        answers[place] = Some(Ok(Answer::Trials(trials)));
                    }
                }
                Err(error) => {
                    for place in places {
                        answers[place] = Some(Err(error.to_string()));
                    }
                }
            }
        }
        let pairs = requests.into_iter().zip(answers);
        let rest = pairs.map(|((lane, request), answer)| match (answer, request) {
            (Some(answer), _) => answer,
            (None, Request::Record(trial)) => {
                let trial = engine.record(lane, &trial);
                trial
                    .map(|trial| Answer::Trials(vec![trial]))
                    .map_err(|e| e.to_string())
            }
            (None, Request::Read) => engine
                .read(lane)
                .map(Answer::Learnt)
                .map_err(|e| e.to_string()),
            (None, Request::Load(learnt)) => {
                let loaded = engine.load(lane, &learnt);
                loaded.map(|()| Answer::Done).map_err(|e| e.to_string())
            }
            (None, Request::Train(_) | Request::Run(_)) => Ok(Answer::Done),
        });
        rest.collect()
    }
}

/// The engine of one run, a lane of a shared one.
pub struct LaneEngine {
    lane: lanes::Lane<Network, Shared>,
    params: Params,
    summary: String,
}

impl LaneEngine {
    /// Of a run that has joined.
    pub fn new(lane: lanes::Lane<Network, Shared>, params: Params, summary: String) -> Self {
        Self {
            lane,
            params,
            summary,
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, EngineError> {
        let answer = self.lane.ask(request);
        let failed = |Broken| EngineError::Lanes(Broken.to_string());
        answer.map_err(failed)?.map_err(EngineError::Lanes)
    }

    fn trials(&self, request: Request) -> Result<Vec<Trial>, EngineError> {
        match self.ask(request)? {
            Answer::Trials(trials) => Ok(trials),
            _ => Ok(Vec::new()),
        }
    }
}

impl Engine for LaneEngine {
    fn params(&self) -> &Params {
        &self.params
    }

    fn lanes(&self) -> usize {
        1
    }

    fn train(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError> {
        let own = work
            .iter()
            .map(|(_, trials)| self.trials(Request::Train(trials.to_vec())));
        own.collect()
    }

    fn run(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError> {
        let own = work
            .iter()
            .map(|(_, trials)| self.trials(Request::Run(trials.to_vec())));
        own.collect()
    }

    fn record(&mut self, _: usize, trial: &TrialInput) -> Result<Trial, EngineError> {
        let trials = self.trials(Request::Record(trial.clone()))?;
        Ok(trials.into_iter().next().unwrap_or_default())
    }

    fn read(&mut self, _: usize) -> Result<Learnt, EngineError> {
        match self.ask(Request::Read)? {
            Answer::Learnt(learnt) => Ok(learnt),
            _ => Err(EngineError::Lanes(Broken.to_string())),
        }
    }

    fn load(&mut self, _: usize, learnt: &Learnt) -> Result<(), EngineError> {
        self.ask(Request::Load(learnt.clone()))?;
        Ok(())
    }

    fn describe(&self) -> String {
        self.summary.clone()
    }
}

/// A ticket of a group, for each of its runs.
pub fn ticket(group: &Arc<Group>) -> Ticket {
    Ticket::of(group)
}
