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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::izhikevich::settings::Config;

    fn recovery(kind: RedistributionKind, tau_facilitation_ms: f64) -> Recovery<f64> {
        let mut config = Config::default();
        config.redistribution.kind = kind;
        config.redistribution.release_probability = 0.4;
        config.redistribution.tau_recovery_ms = 50.0;
        config.redistribution.tau_facilitation_ms = tau_facilitation_ms;
        Recovery::new(&config.params())
    }

    const STEPS: [u32; 5] = [10, 110, 210, 2210, 2220];

    #[test]
    fn resources_are_spent_and_recover() {
        let depressing = recovery(RedistributionKind::Deterministic, 0.0);
        let mut resources = Resources::FULL;
        let passed = STEPS.map(|step| resources.spend(&depressing, step));
        assert_eq!(passed[0], 0.4);
        // 10 ms later a share 0.6 + 0.4 (1 − e^(−0.2)) is there.
        let there = 0.6 + 0.4 * (1.0 - libm::exp(-0.2));
        assert!((passed[1] - 0.4 * there).abs() < 1e-12, "{passed:?}");
        assert!(passed[2] < passed[1] && passed[3] > 0.39 && passed[4] < 0.27);
        let facilitating = recovery(RedistributionKind::Deterministic, 500.0);
        let mut resources = Resources::FULL;
        let passed = STEPS.map(|step| resources.spend(&facilitating, step));
        // u = 0.4 + 0.4 · 0.6 e^(−10/500).
        let used = 0.4 + 0.4 * 0.6 * libm::exp(-0.02);
        assert!((passed[1] - used * there).abs() < 1e-12, "{passed:?}");
    }

    #[test]
    fn release_by_chance_has_the_mean_of_the_resources() {
        let depressing = recovery(RedistributionKind::Deterministic, 0.0);
        let stochastic = recovery(RedistributionKind::Stochastic, 0.0);
        let mut resources = Resources::FULL;
        let expected = STEPS.map(|step| resources.spend(&depressing, step));
        let sites = 40_000;
        let mut released = [0; STEPS.len()];
        for site in 0..sites {
            let mut emptied = 0;
            for (released, step) in released.iter_mut().zip(STEPS) {
                let key = [7, 3];
                *released += u32::from(releases(&stochastic, &mut emptied, step, [site, 1], key));
            }
        }
        for (released, expected) in released.iter().zip(expected) {
            let share = f64::from(*released) / f64::from(sites);
            let error = (expected * (1.0 - expected) / f64::from(sites)).sqrt();
            assert!((share - expected).abs() < 4.0 * error, "{share} {expected}");
        }
    }
}
