//! Where a thread's time goes.

use std::time::Instant;

use crate::conductance::work;

/// Parts of a batch that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CpuStage {
    Forward,
    Replay,
    /// The dense products of the loop in the backward pass.
    LoopProducts,
    /// The adjoints of cells and read-out.
    Backward,
    WeightGradients,
    Optimiser,
}

impl CpuStage {
    pub(super) const ALL: [Self; 6] = [
        Self::Forward,
        Self::Replay,
        Self::LoopProducts,
        Self::Backward,
        Self::WeightGradients,
        Self::Optimiser,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forward => work::FORWARD,
            Self::Replay => work::REPLAY,
            Self::LoopProducts => work::LOOP_PRODUCTS,
            Self::Backward => work::BACKWARD,
            Self::WeightGradients => work::WEIGHT_GRADIENTS,
            Self::Optimiser => work::OPTIMISER,
        }
    }
}

/// Seconds spent in each stage; reading the time costs far less than a step of a block.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    seconds: [f64; CpuStage::ALL.len()],
    last: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            seconds: [0.0; CpuStage::ALL.len()],
            last: Instant::now(),
        }
    }

    /// What is timed next begins now.
    pub(super) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// Books the time since the last call on `stage`.
    pub(super) fn lap(&mut self, stage: CpuStage) {
        let now = Instant::now();
        self.seconds[stage as usize] += now.duration_since(self.last).as_secs_f64();
        self.last = now;
    }

    /// The seconds of each stage since the last call.
    pub(super) fn take(&mut self) -> [f64; CpuStage::ALL.len()] {
        std::mem::take(&mut self.seconds)
    }
}
