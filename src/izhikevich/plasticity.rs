//! What a trial changes of weights and thresholds, from the rates of its cells.

use super::network::Network;
use super::params::{Decay, InhibitoryRule, Params, Plasticity};
use crate::real::Real;

/// Rates that post cells learn from, Hz: those they had, halved for cells of another class than the trial's. Depression is
/// deepest at half the threshold and none at rate 0: silencing would teach nothing.
pub fn taught_rates(rates_hz: &[f64], classes: &[Option<u32>], target: Option<u32>) -> Vec<f64> {
    let taught = rates_hz.iter().zip(classes).map(|(rate, class)| {
        let is_wrong = target.is_some() && class.is_some() && *class != target;
        if is_wrong { 0.5 * rate } else { *rate }
    });
    taught.collect()
}

/// Changes `weights`, `[pre, post]`, and thresholds `theta`, Hz, by the rates of all pre cells and those that post cells
/// learn from, both in Hz.
pub fn learn<R: Real>(
    params: &Params,
    network: &Network,
    pre_hz: &[R],
    taught_hz: &[R],
    weights: &mut [R],
    theta: &mut [R],
) {
    let rules = &params.plasticity;
    let r0 = R::from_f64(rules.r0_hz);
    let post: Vec<R> = taught_hz.iter().map(|&y| y / r0).collect();
    let means = Means::of(rules.decay, network, weights);
    let lambda = R::from_f64(rules.lambda);
    let n = network.neurons.len();
    for (pre, row) in weights.chunks_exact_mut(n).enumerate() {
        let inhibits = network.inhibits[pre];
        let w0 = R::from_f64(network.w_default[pre].into());
        let (eta, most) = match inhibits {
            true => (rules.eta_inhibitory, rules.w_max_factor_inhibitory),
            false => (rules.eta, rules.w_max_factor),
        };
        let (gain, most) = (R::from_f64(eta) * w0, R::from_f64(most) * w0);
        let own = pre_hz[pre] / r0;
        for (j, w) in row.iter_mut().enumerate() {
            if !network.exists[pre * n + j] {
                continue;
            }
            let grown = match inhibits {
                true => inhibitory(rules, own, post[j]),
                false => own * post[j] * ((taught_hz[j] - theta[j]) / r0),
            };
            let mean = means.at(inhibits, j, *w - w0);
            let moved = *w + gain * grown - lambda * mean;
            *w = moved.at_least(R::ZERO);
            if *w > most {
                *w = most;
            }
        }
    }
    let tau = R::from_f64(rules.tau_theta_trials);
    for (theta, &y) in theta.iter_mut().zip(taught_hz) {
        *theta += (y * y / r0 - *theta) / tau;
    }
}

fn inhibitory<R: Real>(rules: &Plasticity, pre: R, post: R) -> R {
    match rules.inhibitory_rule {
        InhibitoryRule::Fixed => R::ZERO,
        InhibitoryRule::Post => post,
        InhibitoryRule::PostSquared => post * post,
        InhibitoryRule::PrePost => pre * post,
    }
}

/// Mean distances of weights from their defaults, of excitatory and of inhibitory synapses.
enum Means<R> {
    /// The synapse's own.
    Own,
    /// By post cell.
    OfNeuron([Vec<R>; 2]),
    /// Of all.
    OfNetwork([R; 2]),
}

impl<R: Real> Means<R> {
    fn of(decay: Decay, network: &Network, weights: &[R]) -> Self {
        let n = network.neurons.len();
        let mut sums = [vec![R::ZERO; n], vec![R::ZERO; n]];
        let mut counts = [vec![0usize; n], vec![0usize; n]];
        for (pre, row) in weights.chunks_exact(n).enumerate() {
            let sign = usize::from(network.inhibits[pre]);
            let w0 = R::from_f64(network.w_default[pre].into());
            for (j, &w) in row
                .iter()
                .enumerate()
                .filter(|(j, _)| network.exists[pre * n + j])
            {
                sums[sign][j] += w - w0;
                counts[sign][j] += 1;
            }
        }
        let mean = |sum: R, count: usize| sum / R::from_f64(count.max(1) as f64);
        let total = |sign: usize| {
            let sum = sums[sign].iter().fold(R::ZERO, |sum, &x| sum + x);
            (sum, counts[sign].iter().sum::<usize>())
        };
        let [(exc, n_exc), (inh, n_inh)] = [total(0), total(1)];
        match decay {
            Decay::Synapse => Self::Own,
            Decay::Neuron => Self::OfNeuron([0, 1].map(|sign| {
                let pairs = sums[sign].iter().zip(&counts[sign]);
                pairs.map(|(&sum, &count)| mean(sum, count)).collect()
            })),
            Decay::Network => Self::OfNetwork([mean(exc + inh, n_exc + n_inh); 2]),
            Decay::NetworkBySign => Self::OfNetwork([mean(exc, n_exc), mean(inh, n_inh)]),
            Decay::None => Self::OfNetwork([R::ZERO; 2]),
        }
    }

    fn at(&self, inhibits: bool, post: usize, own: R) -> R {
        match self {
            Self::Own => own,
            Self::OfNeuron(means) => means[usize::from(inhibits)][post],
            Self::OfNetwork(means) => means[usize::from(inhibits)],
        }
    }
}
