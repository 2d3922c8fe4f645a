//! What synapses pass on of a spike: all, what their resources allow, or what chance lets through.

use super::params::{Params, RedistributionKind};
use crate::random::philox4x32;
use crate::real::Real;

/// Factors by the steps between two spikes.
#[derive(Clone, Debug)]
pub struct Recovery<R> {
    /// How synapses tire.
    pub kind: RedistributionKind,
    /// U.
    pub release: R,
    /// U as the largest word that releases.
    pub release_most: u32,
    /// 1 − e^(−Δ/τ_rec); empty where synapses do not tire.
    pub recovered: Vec<R>,
    /// The same as the largest word that fills a site again.
    pub recovered_most: Vec<u32>,
    /// e^(−Δ/τ_facil).
    pub faded: Vec<R>,
}

impl<R: Real> Recovery<R> {
    /// Of a network's settings.
    pub fn new(params: &Params) -> Self {
        let own = &params.redistribution;
        let steps = match own.kind {
            RedistributionKind::None => 0,
            _ => params.steps + 1,
        };
        let decay = |tau_ms: f64| {
            (0..steps).map(move |step| libm::exp(-(step as f64) * params.dt_ms / tau_ms))
        };
        let recovered: Vec<f64> = decay(own.tau_recovery_ms).map(|left| 1.0 - left).collect();
        let faded = decay(own.tau_facilitation_ms.max(f64::MIN_POSITIVE));
        Self {
            kind: own.kind,
            release: R::from_f64(own.release_probability),
            release_most: most(own.release_probability),
            recovered_most: recovered.iter().map(|&p| most(p)).collect(),
            recovered: recovered.into_iter().map(R::from_f64).collect(),
            faded: faded.map(R::from_f64).collect(),
        }
    }
}

/// The largest of 2³² words that a chance of `p` takes.
fn most(p: f64) -> u32 {
    ((p * 4_294_967_296.0) as u64).saturating_sub(1) as u32
}

/// Resources of the synapses of one pre cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resources<R> {
    /// Share of them that is there, after the last spike.
    left: R,
    /// Share that a spike uses, at the last spike.
    used: R,
    /// Step of the last spike and 1; 0: there was none.
    last: u32,
}

impl<R: Real> Resources<R> {
    /// Rested.
    pub const FULL: Self = Self {
        left: R::ONE,
        used: R::ZERO,
        last: 0,
    };

    /// What a spike in `step` passes on.
    #[inline]
    pub fn spend(&mut self, recovery: &Recovery<R>, step: u32) -> R {
        let rested = R::ONE - self.left;
        let (used, there) = match self.last {
            0 => (recovery.release, R::ONE),
            last => {
                let since = (step + 1 - last) as usize;
                let kept = self.used * (R::ONE - recovery.release) * recovery.faded[since];
                (
                    recovery.release + kept,
                    self.left + rested * recovery.recovered[since],
                )
            }
        };
        let passed = used * there;
        *self = Self {
            left: there - passed,
            used,
            last: step + 1,
        };
        passed
    }
}

/// Whether the site of a synapse releases at a spike in `step`; `emptied` is the step and 1 in which it was last seen
/// empty, 0 where it is full.
#[inline]
pub fn releases<R>(
    recovery: &Recovery<R>,
    emptied: &mut u32,
    step: u32,
    [pre, post]: [u32; 2],
    key: [u32; 2],
) -> bool {
    let words = philox4x32([step, pre, post, 0], key);
    if *emptied > 0 {
        let since = (step + 1 - *emptied) as usize;
        if words[0] > recovery.recovered_most[since] {
            *emptied = step + 1;
            return false;
        }
    }
    let released = words[1] <= recovery.release_most;
    *emptied = if released { step + 1 } else { 0 };
    released
}
