//! What every engine of the family can do; training and comparison know only this.

use super::params::{ExcitatoryRule, Params};
use crate::data::Event;
use crate::fault::{Blame, Fault};
use crate::gpu::GpuError;

/// Why an engine cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Threads cannot be started.
    #[error("cannot start worker threads: {0}; lower --threads")]
    Threads(String),
    /// The network does not fit into memory.
    #[error("{0}")]
    Memory(String),
    /// A rule that only the processor can compute.
    #[error("only the processor computes plasticity.rule {0:?}; use --device cpu, or the rule bcm")]
    ProcessorAlone(ExcitatoryRule),
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The engine that several runs share failed.
    #[error("{0}")]
    Lanes(String),
}

impl Blame for EngineError {
    fn fault(&self) -> Fault {
        match self {
            Self::Threads(_) | Self::Memory(_) | Self::Lanes(_) => Fault::Device,
            Self::ProcessorAlone(_) => Fault::User,
            Self::Gpu(error) => error.fault(),
        }
    }
}

/// What goes into a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrialInput {
    /// Input spikes, sorted by step.
    pub events: Vec<Event>,
    /// The class that cells are taught, where they are.
    pub target: Option<u32>,
    /// Key of the draws of stochastic synapses.
    pub release_key: [u32; 2],
}

/// What a trial did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// Spikes of every pre cell, inputs first.
    pub counts: Vec<u32>,
    /// Step and neuron of every spike; empty unless they were asked for.
    pub spikes: Vec<[u32; 2]>,
}

/// What a lane has learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// Weights, `[pre, post]`.
    pub weights: Vec<f32>,
    /// Sliding thresholds, Hz.
    pub theta_hz: Vec<f32>,
}

/// Trials of a lane.
pub type LaneTrials<'a> = (usize, &'a [TrialInput]);

/// Independent networks of one shape, the lanes, side by side on one device. What a lane computes does not depend on
/// the others.
pub trait Engine: Send {
    /// Sizes and rules.
    fn params(&self) -> &Params;

    /// Networks.
    fn lanes(&self) -> usize;

    /// Runs the trials of each lane one after another, each of which changes the weights of its lane. A lane stands once
    /// at the most in `work`.
    ///
    /// # Errors
    /// A failure of the device.
    fn train(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError>;

    /// Runs trials in lanes whose weights stay as they are.
    ///
    /// # Errors
    /// A failure of the device.
    fn run(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError>;

    /// Runs a trial in a lane whose weights stay as they are, and lists every spike.
    ///
    /// # Errors
    /// A failure of the device.
    fn record(&mut self, lane: usize, trial: &TrialInput) -> Result<Trial, EngineError>;

    /// What a lane has learnt.
    ///
    /// # Errors
    /// A failure of the device.
    fn read(&mut self, lane: usize) -> Result<Learnt, EngineError>;

    /// Replaces what a lane has learnt.
    ///
    /// # Errors
    /// A failure of the device.
    fn load(&mut self, lane: usize, learnt: &Learnt) -> Result<(), EngineError>;

    /// Device and numerics in a few words.
    fn describe(&self) -> String;
}

/// Mean rate of each neuron in a trial, Hz.
pub fn rates_hz(params: &Params, trial: &Trial) -> Vec<f64> {
    let counts = trial.counts[params.n_in..].iter();
    let duration_s = params.duration_s();
    counts.map(|&count| f64::from(count) / duration_s).collect()
}
