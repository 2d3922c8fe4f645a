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
    /// λ over the synapses that weights are averaged over: excitatory, then inhibitory ones of each post cell.
    pub pull: [Vec<R>; 2],
    /// The same of the network: of each sign, then of both.
    pub pull_of_network: [R; 3],
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
            let scaled = entries
                .map(|(at, &w0)| of_sign[usize::from(network.inhibits[at / n])] * f64::from(w0));
            scaled.map(R::from_f64).collect()
        };
        let mut synapses = [vec![0usize; n], vec![0usize; n]];
        for (at, &learns) in network.learns.iter().enumerate() {
            synapses[usize::from(network.inhibits[at / n])][at % n] += usize::from(learns);
        }
        let pull = |synapses: usize| R::from_f64(rules.lambda / synapses.max(1) as f64);
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
            pull: synapses.map(|of_cells| of_cells.into_iter().map(pull).collect()),
            pull_of_network: [exc, inh, exc + inh].map(pull),
            decay: rules.decay,
            inhibitory: rules.inhibitory_rule,
            is_bcm: matches!(rules.rule, ExcitatoryRule::Bcm | ExcitatoryRule::BcmPerStep),
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
                let decay = match self.decay {
                    Decay::Synapse => self.lambda * (*w - self.w_default[at]),
                    Decay::Multiplicative => means.at(inhibits, j) * (*w * self.per_w_default[at]),
                    _ => means.at(inhibits, j),
                };
                let mut moved = *w + self.gain[at] * share * grown - decay * share;
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

/// Mean distances of weights from their defaults times λ, of excitatory and of inhibitory synapses.
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
        let pull = rules.pull_of_network;
        match rules.decay {
            Decay::Network => Self::OfNetwork([(total(0) + total(1)) * pull[2]; 2]),
            Decay::NetworkBySign => Self::OfNetwork([0, 1].map(|sign| total(sign) * pull[sign])),
            _ => Self::OfNeuron([0, 1].map(|sign| {
                let pairs = sums[sign].iter().zip(&rules.pull[sign]);
                pairs.map(|(&sum, &pull)| sum * pull).collect()
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

#[cfg(test)]
mod tests {
    use crate::izhikevich::cpu::CpuNetwork;
    use crate::izhikevich::network::{Network, Preset};
    use crate::izhikevich::params::{Decay, InhibitoryRule, Params, Plasticity, Redistribution};

    /// Two inputs, the second of which inhibits, and two neurons, the second of which inhibits the first and excites
    /// nobody; trials last a second, so that counts are rates.
    fn alone(decay: Decay, inhibitory_rule: InhibitoryRule) -> (Params, Network) {
        let params = Params {
            n_in: 2,
            neurons: 2,
            steps: 10_000,
            dt_ms: 0.1,
            tau_exc_ms: 5.0,
            tau_inh_ms: 10.0,
            plasticity: Plasticity {
                decay,
                inhibitory_rule,
                ..Plasticity::default()
            },
            redistribution: Redistribution::default(),
        };
        let network = Network {
            neurons: vec![Preset::Rs.neuron(); 2],
            inhibits: vec![false, true, false, true],
            classes: vec![Some(0), Some(1)],
            learns: vec![true, true, true, true, false, true, true, false],
            w_default: vec![1.0, 1.0, 0.5, 0.5, 0.0, 1.0, 0.5, 0.0],
            weights: vec![1.0, 1.2, 0.5, 0.5, 0.0, 1.0, 0.6, 0.0],
        };
        (params, network)
    }

    /// Weights after a trial with these rates of inputs and neurons, that teaches no class.
    fn after(decay: Decay, rule: InhibitoryRule, hz: [u32; 4]) -> Vec<f64> {
        let (params, network) = alone(decay, rule);
        let mut engine = CpuNetwork::<f64>::new(params, network);
        engine.learn(&hz, None);
        engine.weights()
    }

    #[test]
    fn depression_is_deepest_at_half_the_threshold_and_none_in_silence() {
        let change = |y: u32| {
            let weights = after(Decay::None, InhibitoryRule::Fixed, [20, 0, y, y]);
            weights[0] - 1.0
        };
        let at: Vec<f64> = (0..=40).map(change).collect();
        let deepest = (0..=40).min_by(|&a, &b| at[a].total_cmp(&at[b]));
        assert_eq!(deepest, Some(10));
        assert_eq!((at[0], at[20]), (0.0, 0.0));
        assert!(at[30] > 0.0);
    }

    /// Changes of the three inhibitory synapses, in their default weights and the learning rate.
    fn grown(rule: InhibitoryRule, hz: [u32; 4]) -> [f64; 3] {
        let weights = after(Decay::None, rule, hz);
        let changes = [
            (weights[2] - 0.5) / 0.5,
            (weights[3] - 0.5) / 0.5,
            (weights[6] - f64::from(0.6f32)) / 0.5,
        ];
        changes.map(|change| change / 0.01)
    }

    #[test]
    fn a_rule_of_post_cells_alone_changes_the_matrix_by_one_of_rank_one() {
        let hz = [20, 3, 10, 30];
        // The same for all pre cells of a post cell, whatever they did.
        let [of_input, of_other, of_neuron] = grown(InhibitoryRule::Post, hz);
        assert!((of_input - 0.5).abs() < 1e-12 && (of_neuron - of_input).abs() < 1e-12);
        assert!((of_other - 1.5).abs() < 1e-12);
        let [of_input, of_other, of_neuron] = grown(InhibitoryRule::PostSquared, hz);
        assert!((of_input - 0.25).abs() < 1e-12 && (of_neuron - of_input).abs() < 1e-12);
        assert!((of_other - 2.25).abs() < 1e-12);
        let [of_input, of_other, of_neuron] = grown(InhibitoryRule::PrePost, hz);
        assert!((of_input - 0.15 * 0.5).abs() < 1e-12 && (of_other - 0.15 * 1.5).abs() < 1e-12);
        assert!((of_neuron - 1.5 * 0.5).abs() < 1e-12);
        // Held at 10 Hz: nothing for the first neuron, growth for the second.
        let [of_input, of_other, of_neuron] = grown(InhibitoryRule::Vogels, hz);
        assert!(of_input.abs() < 1e-12 && of_neuron.abs() < 1e-12);
        assert!((of_other - 0.15 * 1.0).abs() < 1e-12);
    }

    #[test]
    fn decay_takes_the_mean_of_its_set_and_synapses_that_are_not_there_stay_away() {
        let silent = |decay| after(decay, InhibitoryRule::Fixed, [0; 4]);
        // Distances from the defaults: 0.2 of input 0 to neuron 1, 0.1 of neuron 1 to neuron 0.
        let expected = [
            (Decay::Synapse, [0.0, 0.2, 0.0, 0.1]),
            (Decay::Neuron, [0.0, 0.1, 0.05, 0.05]),
            (Decay::Multiplicative, [0.0, 0.12, 0.05, 0.06]),
            (Decay::Network, [0.05; 4]),
            (
                Decay::NetworkBySign,
                [0.2 / 3.0, 0.2 / 3.0, 0.1 / 3.0, 0.1 / 3.0],
            ),
            (Decay::None, [0.0; 4]),
        ];
        let before = [1.0, 1.2, 0.5, 0.6];
        for (decay, means) in expected {
            let weights = silent(decay);
            let there = [weights[0], weights[1], weights[2], weights[6]];
            for ((after, before), mean) in there.iter().zip(before).zip(means) {
                let expected = before - 0.05 * mean;
                // The third synapse of the network is the other input's; the sixth is silent.
                assert!((after - expected).abs() < 1e-7, "{decay:?} {there:?}");
            }
            assert_eq!((weights[4], weights[7]), (0.0, 0.0));
        }
    }

    #[test]
    fn weights_stay_between_nothing_and_a_multiple_of_their_default() {
        let (mut params, network) = alone(Decay::None, InhibitoryRule::Post);
        (params.plasticity.eta, params.plasticity.eta_inhibitory) = (1e3, 1e3);
        let ends = |y: u32| {
            let mut engine = CpuNetwork::<f64>::new(params.clone(), network.clone());
            engine.learn(&[20, 20, y, y], None);
            engine.weights()
        };
        // Above the threshold all grow, below it excitation shrinks; both reach their bounds at once.
        assert_eq!(ends(40), [4.0, 4.0, 5.0, 5.0, 0.0, 4.0, 5.0, 0.0]);
        assert_eq!(ends(10), [0.0, 0.0, 5.0, 5.0, 0.0, 0.0, 5.0, 0.0]);
    }

    #[test]
    fn cells_of_another_class_learn_from_half_their_rate() {
        let thresholds = |target| {
            let (params, network) = alone(Decay::None, InhibitoryRule::Fixed);
            let mut engine = CpuNetwork::<f64>::new(params, network);
            engine.learn(&[20, 0, 8, 8], target);
            engine.theta_hz()
        };
        // θ = 20 + (y²/20 − 20)/20, with y = 8 and y = 4.
        let of = |y: f64| 20.0 + (y * y / 20.0 - 20.0) / 20.0;
        let near = |found: Vec<f64>, expected: [f64; 2]| {
            let pairs = found.iter().zip(expected);
            assert!(
                pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12),
                "{found:?}"
            );
        };
        near(thresholds(Some(1)), [of(4.0), of(8.0)]);
        near(thresholds(None), [of(8.0), of(8.0)]);
    }
}
