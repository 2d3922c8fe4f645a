//! What rates change of weights and thresholds.

use super::network::Network;
use super::params::{Decay, ExcitatoryRule, InhibitoryRule, Params};
use crate::real::Real;

/// Rates that a change is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates<R> {
    /// Of all pre cells, in r₀.
    pub pre: Vec<R>,
    /// That post cells learn from, y, Hz.
    pub taught_hz: Vec<R>,
    /// The same in r₀.
    pub taught: Vec<R>,
}

/// The rules of a network, with what they need and never changes. Nothing is divided: graphics processors round
/// quotients each in their own way.
#[derive(Clone, Debug)]
pub struct Rules<R> {
    /// 1/r₀, 1/Hz.
    pub per_r0: R,
    /// 1/τ_θ, 1/trial.
    pub per_tau_theta: R,
    /// ρ₀/r₀.
    pub rho0: R,
    /// λ.
    pub lambda: R,
    /// η w₀ of each synapse, `[pre, post]`; 0 where it does not learn.
    pub gain: Vec<R>,
    /// Default weights, `[pre, post]`.
    pub w_default: Vec<R>,
    /// 1/w₀, 0 where there is no synapse.
    pub per_w_default: Vec<R>,
    /// Largest weight of each synapse, `[pre, post]`.
    pub most: Vec<R>,
    /// 1 over the synapses that weights are averaged over: excitatory, then inhibitory ones of each post cell.
    pub per_synapses: [Vec<R>; 2],
    /// The same of the network: of each sign, then of both.
    pub per_synapses_of_network: [R; 3],
    /// Over what weights are averaged.
    pub decay: Decay,
    /// Rule of inhibitory synapses.
    pub inhibitory: InhibitoryRule,
    /// Excitatory synapses learn by BCM.
    pub is_bcm: bool,
}

impl<R: Real> Rules<R> {
    /// Of a network.
    pub fn new(params: &Params, network: &Network) -> Self {
        let (n, rules) = (network.neurons.len(), &params.plasticity);
        let of = |of_sign: [f64; 2]| -> Vec<R> {
            let entries = network.w_default.iter().enumerate();
            let scaled = entries.map(|(at, &w0)| {
                of_sign[usize::from(network.inhibits[at / n])] * f64::from(w0)
            });
            scaled.map(R::from_f64).collect()
        };
        let mut synapses = [vec![0usize; n], vec![0usize; n]];
        for (at, &learns) in network.learns.iter().enumerate() {
            synapses[usize::from(network.inhibits[at / n])][at % n] += usize::from(learns);
        }
        let per = |synapses: usize| R::from_f64(1.0 / synapses.max(1) as f64);
        let [exc, inh] = [0, 1].map(|sign: usize| synapses[sign].iter().sum::<usize>());
        let reciprocal = |&w0: &f32| match w0 {
            0.0 => R::ZERO,
            w0 => R::from_f64(1.0 / f64::from(w0)),
        };
        Self {
            per_r0: R::from_f64(1.0 / rules.r0_hz),
            per_tau_theta: R::from_f64(1.0 / rules.tau_theta_trials),
            rho0: R::from_f64(rules.rho0_hz / rules.r0_hz),
            lambda: R::from_f64(rules.lambda),
            gain: of([rules.eta, rules.eta_inhibitory]),
            w_default: of([1.0; 2]),
            per_w_default: network.w_default.iter().map(reciprocal).collect(),
            most: of([rules.w_max_factor, rules.w_max_factor_inhibitory]),
            per_synapses: synapses.map(|of_cells| of_cells.into_iter().map(per).collect()),
            per_synapses_of_network: [exc, inh, exc + inh].map(per),
            decay: rules.decay,
            inhibitory: rules.inhibitory_rule,
            is_bcm: matches!(
                rules.rule,
                ExcitatoryRule::Bcm | ExcitatoryRule::BcmPerStep
            ),
        }
    }

    /// Changes `weights`, `[pre, post]`, and thresholds `theta`, Hz, by `share` of what a trial of these rates does.
    /// `added` is what else to add to each weight.
    pub fn learn(
        &self,
        network: &Network,
        rates: &Rates<R>,
        share: R,
        added: Option<&[R]>,
        weights: &mut [R],
        theta: &mut [R],
    ) {
        let n = network.neurons.len();
        let means = Means::of(self, network, weights);
        let lambda = self.lambda * share;
        for (pre, row) in weights.chunks_exact_mut(n).enumerate() {
            let (inhibits, own) = (network.inhibits[pre], rates.pre[pre]);
            for (j, w) in row.iter_mut().enumerate() {
                let at = pre * n + j;
                if !network.learns[at] {
                    continue;
                }
                let grown = match inhibits {
                    true => self.inhibitory(own, rates.taught[j]),
                    false if self.is_bcm => {
                        let above = (rates.taught_hz[j] - theta[j]) * self.per_r0;
                        own * rates.taught[j] * above
                    }
                    false => R::ZERO,
                };
                let mean = match self.decay {
                    Decay::Synapse => *w - self.w_default[at],
                    Decay::Multiplicative => {
                        means.at(inhibits, j) * (*w * self.per_w_default[at])
                    }
                    _ => means.at(inhibits, j),
                };
                let mut moved = *w + self.gain[at] * share * grown - lambda * mean;
                if let Some(added) = added {
                    moved += added[at];
                }
                *w = moved.at_least(R::ZERO);
                if *w > self.most[at] {
                    *w = self.most[at];
                }
            }
        }
        let pace = self.per_tau_theta * share;
        let taught = rates.taught_hz.iter().zip(&rates.taught);
        for (theta, (&y, &in_r0)) in theta.iter_mut().zip(taught) {
            *theta += (y * in_r0 - *theta) * pace;
        }
    }

    fn inhibitory(&self, pre: R, post: R) -> R {
        match self.inhibitory {
            InhibitoryRule::Fixed => R::ZERO,
            InhibitoryRule::Post => post,
            InhibitoryRule::PostSquared => post * post,
            InhibitoryRule::PrePost => pre * post,
            InhibitoryRule::Vogels => pre * (post - self.rho0),
        }
    }
}

/// Mean distances of weights from their defaults, of excitatory and of inhibitory synapses.
enum Means<R> {
    /// By post cell.
    OfNeuron([Vec<R>; 2]),
    /// Of all.
    OfNetwork([R; 2]),
}

impl<R: Real> Means<R> {
    fn of(rules: &Rules<R>, network: &Network, weights: &[R]) -> Self {
        if matches!(rules.decay, Decay::None | Decay::Synapse) {
            return Self::OfNetwork([R::ZERO; 2]);
        }
        let n = network.neurons.len();
        let mut sums = [vec![R::ZERO; n], vec![R::ZERO; n]];
        for (pre, row) in weights.chunks_exact(n).enumerate() {
            let sums = &mut sums[usize::from(network.inhibits[pre])];
            for (j, (sum, &w)) in sums.iter_mut().zip(row).enumerate() {
                if network.learns[pre * n + j] {
                    *sum += w - rules.w_default[pre * n + j];
                }
            }
        }
        let total = |sign: usize| sums[sign].iter().fold(R::ZERO, |sum, &x| sum + x);
        let per = rules.per_synapses_of_network;
        match rules.decay {
            Decay::Network => Self::OfNetwork([(total(0) + total(1)) * per[2]; 2]),
            Decay::NetworkBySign => Self::OfNetwork([0, 1].map(|sign| total(sign) * per[sign])),
            _ => Self::OfNeuron([0, 1].map(|sign| {
                let pairs = sums[sign].iter().zip(&rules.per_synapses[sign]);
                pairs.map(|(&sum, &per)| sum * per).collect()
            })),
        }
    }

    fn at(&self, inhibits: bool, post: usize) -> R {
        match self {
            Self::OfNeuron(means) => means[usize::from(inhibits)][post],
            Self::OfNetwork(means) => means[usize::from(inhibits)],
        }
    }
}
