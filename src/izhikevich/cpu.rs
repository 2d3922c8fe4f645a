//! Trials on the CPU: event-driven in the synapses, every neuron in every step.

use super::network::{Network, Neuron};
use super::params::Params;
use super::plasticity::{learn, taught_rates};
use crate::data::Event;
use crate::real::Real;

/// Voltage at which a neuron fires, mV.
const V_SPIKE_MV: f64 = 30.0;
/// Voltage at the start of a trial, mV.
const V_START_MV: f64 = -65.0;

/// What a trial did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// Step and neuron of every spike.
    pub spikes: Vec<(u32, u32)>,
    /// Mean rates of the neurons, Hz.
    pub rates_hz: Vec<f64>,
    /// Mean rates of the inputs, Hz.
    pub input_rates_hz: Vec<f64>,
}

/// One network in single (`f32`) or double precision.
pub struct CpuEngine<R> {
    params: Params,
    network: Network,
    weights: Vec<R>,
    theta: Vec<R>,
}

impl<R: Real> CpuEngine<R> {
    /// A network that has not learnt yet.
    pub fn new(params: Params, network: Network) -> Self {
        Self {
            weights: network
                .weights
                .iter()
                .map(|&w| R::from_f64(w.into()))
                .collect(),
            theta: vec![R::from_f64(params.plasticity.theta0_hz); params.neurons],
            params,
            network,
        }
    }

    /// Weights, `[pre, post]`.
    pub fn weights(&self) -> Vec<f64> {
        self.weights.iter().map(|w| w.to_f64()).collect()
    }

    /// Sliding thresholds of the neurons, Hz.
    pub fn theta_hz(&self) -> Vec<f64> {
        self.theta.iter().map(|theta| theta.to_f64()).collect()
    }

    /// Runs a trial of these input events, sorted by step, without learning.
    pub fn run(&self, events: &[Event]) -> Trial {
        let (p, n) = (&self.params, self.params.neurons);
        let [dt, tau_exc, tau_inh] = [p.dt_ms, p.tau_exc_ms, p.tau_inh_ms];
        let decays = [tau_exc, tau_inh].map(|tau| R::from_f64(libm::exp(-dt / tau)));
        let dt = R::from_f64(dt);
        let mut state = State::at_start(&self.network.neurons);
        let mut trial = Trial::default();
        let mut counts = vec![0u32; p.pre_cells()];
        // Pre cells that fired in the step before: inputs, then neurons.
        let mut fired: Vec<usize> = Vec::new();
        let mut events = events.iter().peekable();
        for step in 0..p.steps as u32 {
            for (g, decay) in state.g.iter_mut().zip(decays) {
                g.iter_mut().for_each(|g| *g *= decay);
            }
            for &pre in &fired {
                let g = &mut state.g[usize::from(self.network.inhibits[pre])];
                for (g, &w) in g.iter_mut().zip(&self.weights[pre * n..][..n]) {
                    *g += w;
                }
            }
            fired.clear();
            while let Some(event) = events.next_if(|event| event.step == step) {
                fired.push(event.input as usize);
            }
            for (j, neuron) in self.network.neurons.iter().enumerate() {
                if state.advance(j, neuron, dt) {
                    trial.spikes.push((step, j as u32));
                    fired.push(p.n_in + j);
                }
            }
            for &pre in &fired {
                counts[pre] += 1;
            }
        }
        let rates = counts
            .iter()
            .map(|&count| f64::from(count) / p.duration_s());
        trial.input_rates_hz = rates.collect();
        trial.rates_hz = trial.input_rates_hz.split_off(p.n_in);
        trial
    }

    /// Changes weights and thresholds after a trial, of this class where it is supervised.
    pub fn learn(&mut self, trial: &Trial, target: Option<u32>) {
        let of = |rates: &[f64]| -> Vec<R> { rates.iter().map(|&r| R::from_f64(r)).collect() };
        let taught = taught_rates(&trial.rates_hz, &self.network.classes, target);
        let pre = of(&[&trial.input_rates_hz[..], &trial.rates_hz].concat());
        let (weights, theta) = (&mut self.weights, &mut self.theta);
        learn(
            &self.params,
            &self.network,
            &pre,
            &of(&taught),
            weights,
            theta,
        );
    }
}

/// Voltages, recovery variables and conductances in a trial.
struct State<R> {
    v: Vec<R>,
    u: Vec<R>,
    /// Excitatory and inhibitory.
    g: [Vec<R>; 2],
}

impl<R: Real> State<R> {
    fn at_start(neurons: &[Neuron]) -> Self {
        let v = R::from_f64(V_START_MV);
        let recovery = |neuron: &Neuron| R::from_f64(neuron.b.into()) * v;
        Self {
            v: vec![v; neurons.len()],
            u: neurons.iter().map(recovery).collect(),
            g: [vec![R::ZERO; neurons.len()], vec![R::ZERO; neurons.len()]],
        }
    }

    /// One step of neuron `j`; whether it fires.
    fn advance(&mut self, j: usize, neuron: &Neuron, dt: R) -> bool {
        let [a, b, c, d] = [neuron.a, neuron.b, neuron.c, neuron.d].map(|x| R::from_f64(x.into()));
        let [square, linear, constant] = [0.04, 5.0, 140.0].map(R::from_f64);
        let (v, u) = (self.v[j], self.u[j]);
        let current = self.g[0][j] - self.g[1][j];
        let v = v + dt * (square * v * v + linear * v + constant - u + current);
        let u = u + dt * a * (b * v - u);
        let fires = v >= R::from_f64(V_SPIKE_MV);
        (self.v[j], self.u[j]) = if fires { (c, u + d) } else { (v, u) };
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::izhikevich::network::Preset;
    use crate::izhikevich::params::{Decay, InhibitoryRule, Plasticity};

    /// Rate of a neuron under a constant current, from its spikes in the second half of a second, Hz.
    fn rate_hz(preset: Preset, current: f64, dt_ms: f64) -> f64 {
        let neuron = preset.neuron();
        let mut state = State::<f64>::at_start(&[neuron]);
        let steps = (1000.0 / dt_ms) as usize;
        let fires = |step: &usize| {
            state.g[0][0] = current;
            state.advance(0, &neuron, dt_ms) && *step >= steps / 2
        };
        2.0 * (0..steps).filter(fires).count() as f64
    }

    #[test]
    fn rates_grow_with_the_current_and_kinds_differ() {
        for preset in Preset::ALL {
            let rates = [0.0, 10.0, 20.0].map(|current| rate_hz(preset, current, 0.1));
            assert!(
                rates[0] <= rates[1] && rates[1] < rates[2],
                "{preset:?}: {rates:?}"
            );
        }
        assert!(rate_hz(Preset::Fs, 15.0, 0.1) > 2.0 * rate_hz(Preset::Rs, 15.0, 0.1));
        assert_eq!(rate_hz(Preset::Rs, 0.0, 0.1), 0.0);
    }

    #[test]
    fn fast_spiking_cells_need_a_short_step() {
        let fine = rate_hz(Preset::Fs, 10.0, 0.1);
        let coarse = rate_hz(Preset::Fs, 10.0, 1.0);
        assert!((0.5..0.85).contains(&(coarse / fine)), "{coarse} {fine}");
        let finer = rate_hz(Preset::Fs, 10.0, 0.02);
        assert!((fine / finer - 1.0).abs() < 0.1, "{fine} {finer}");
    }

    fn alone(decay: Decay, inhibitory_rule: InhibitoryRule) -> (Params, Network) {
        let params = Params {
            n_in: 2,
            neurons: 2,
            steps: 10,
            dt_ms: 0.1,
            tau_exc_ms: 5.0,
            tau_inh_ms: 10.0,
            plasticity: Plasticity {
                r0_hz: 20.0,
                eta: 0.02,
                tau_theta_trials: 20.0,
                theta0_hz: 20.0,
                decay,
                lambda: 0.05,
                inhibitory_rule,
                eta_inhibitory: 0.01,
                w_max_factor: 4.0,
                w_max_factor_inhibitory: 10.0,
            },
        };
        let network = Network {
            neurons: vec![Preset::Rs.neuron(); 2],
            inhibits: vec![false, true, false, true],
            classes: vec![Some(0), Some(1)],
            exists: vec![true, true, true, true, false, true, true, false],
            w_default: vec![1.0, 0.5, 1.0, 0.5],
            weights: vec![1.0, 1.2, 0.5, 0.5, 0.0, 1.0, 0.6, 0.0],
        };
        (params, network)
    }

    /// Weights after a trial with these rates of inputs and neurons, unsupervised.
    fn after(decay: Decay, rule: InhibitoryRule, pre_hz: [f64; 2], post_hz: [f64; 2]) -> Vec<f64> {
        let (params, network) = alone(decay, rule);
        let mut engine = CpuEngine::<f64>::new(params, network);
        let trial = Trial {
            input_rates_hz: pre_hz.to_vec(),
            rates_hz: post_hz.to_vec(),
            ..Trial::default()
        };
        engine.learn(&trial, None);
        engine.weights()
    }

    #[test]
    fn depression_is_deepest_at_half_the_threshold_and_none_in_silence() {
        let change = |y: f64| {
            let weights = after(Decay::None, InhibitoryRule::Fixed, [20.0, 0.0], [y, y]);
            weights[0] - 1.0
        };
        let at: Vec<f64> = (0..=40).map(|y| change(f64::from(y))).collect();
        let deepest = (0..=40).min_by(|&a, &b| at[a].total_cmp(&at[b]));
        assert_eq!(deepest, Some(10));
        assert_eq!((at[0], at[20]), (0.0, 0.0));
        assert!(at[30] > 0.0);
    }

    #[test]
    fn a_rule_of_post_cells_alone_adds_as_much_to_all_inhibitory_synapses_of_one() {
        let weights = after(Decay::None, InhibitoryRule::Post, [20.0, 3.0], [10.0, 30.0]);
        let grown = [weights[2] - 0.5, weights[6] - 0.6];
        assert!((grown[0] - 0.01 * 0.5 * 0.5).abs() < 1e-7, "{grown:?}");
        assert!((grown[0] - grown[1]).abs() < 1e-7, "{grown:?}");
    }

    #[test]
    fn decay_takes_the_mean_of_its_set_and_synapses_that_are_not_there_stay_away() {
        let silent = |decay| after(decay, InhibitoryRule::Fixed, [0.0; 2], [0.0; 2]);
        // Distances from the defaults: 0.2 of input 0 to neuron 1, 0.1 of neuron 1 to neuron 0.
        let expected = [
            (Decay::Synapse, [0.0, 0.2, 0.0, 0.1]),
            (Decay::Neuron, [0.0, 0.1, 0.05, 0.05]),
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
                assert!(
                    (after - (before - 0.05 * mean)).abs() < 1e-7,
                    "{decay:?} {there:?}"
                );
            }
            assert_eq!((weights[4], weights[7]), (0.0, 0.0));
        }
    }

    #[test]
    fn weights_stay_between_nothing_and_a_multiple_of_their_default() {
        let (mut params, network) = alone(Decay::None, InhibitoryRule::Post);
        (params.plasticity.eta, params.plasticity.eta_inhibitory) = (1e3, 1e3);
        let ends = |post_hz: f64| {
            let mut engine = CpuEngine::<f64>::new(params.clone(), network.clone());
            let trial = Trial {
                input_rates_hz: vec![20.0; 2],
                rates_hz: vec![post_hz; 2],
                ..Trial::default()
            };
            engine.learn(&trial, None);
            engine.weights()
        };
        // Above the threshold all grow, below it excitation shrinks; both reach their bounds at once.
        assert_eq!(ends(40.0), [4.0, 4.0, 5.0, 5.0, 0.0, 4.0, 5.0, 0.0]);
        assert_eq!(ends(10.0), [0.0, 0.0, 5.0, 5.0, 0.0, 0.0, 5.0, 0.0]);
    }

    #[test]
    fn wrong_output_cells_are_taught_half_their_rate() {
        let classes = [Some(0), Some(1), None];
        let rates = [8.0, 6.0, 4.0];
        assert_eq!(taught_rates(&rates, &classes, Some(1)), [4.0, 6.0, 4.0]);
        assert_eq!(taught_rates(&rates, &classes, None), rates);
    }
}
