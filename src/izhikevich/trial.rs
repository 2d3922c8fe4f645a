//! One trial on the CPU, step by step: event-driven in the synapses, every neuron in every step.

use super::engine::TrialInput;
use super::network::{Network, Neuron};
use super::params::{Params, RedistributionKind};
use super::synapses::{Recovery, Resources, releases};
use crate::real::Real;

/// Voltage at which a neuron fires, mV.
pub const V_SPIKE_MV: f64 = 30.0;
/// Voltage at the start of a trial, mV.
pub const V_START_MV: f64 = -65.0;

/// What all trials of a network share: neurons, decay in a step, factors of synapses.
#[derive(Clone, Debug)]
pub struct Constants<R> {
    n_in: usize,
    inhibits: Vec<bool>,
    dt: R,
    /// Δt a.
    dt_a: Vec<R>,
    b: Vec<R>,
    c: Vec<R>,
    d: Vec<R>,
    /// Of excitatory and inhibitory conductances.
    decays: [R; 2],
    /// Of synapses.
    pub recovery: Recovery<R>,
}

impl<R: Real> Constants<R> {
    /// Of a network.
    pub fn new(params: &Params, network: &Network) -> Self {
        let of = |field: fn(&Neuron) -> f32| -> Vec<R> {
            let neurons = network.neurons.iter();
            neurons.map(|n| R::from_f64(field(n).into())).collect()
        };
        let dt = R::from_f64(params.dt_ms);
        let decay = |tau_ms: f64| R::from_f64(libm::exp(-params.dt_ms / tau_ms));
        Self {
            n_in: params.n_in,
            inhibits: network.inhibits.clone(),
            dt,
            dt_a: of(|n| n.a).into_iter().map(|a| dt * a).collect(),
            b: of(|n| n.b),
            c: of(|n| n.c),
            d: of(|n| n.d),
            decays: [decay(params.tau_exc_ms), decay(params.tau_inh_ms)],
            recovery: Recovery::new(params),
        }
    }
}

/// A spike that synapses have yet to pass on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fired<R> {
    /// Inputs first, then neurons.
    pub pre: usize,
    /// Share of the weights that is passed on.
    passed: R,
}

/// Voltages, recovery variables, conductances and synapses in a trial.
#[derive(Clone, Debug)]
pub struct TrialState<R> {
    v: Vec<R>,
    u: Vec<R>,
    g_exc: Vec<R>,
    g_inh: Vec<R>,
    /// Voltages of the newest step before resets, mV.
    pub reached: Vec<R>,
    /// Pre cells that fired in the newest step: inputs, then neurons.
    pub fired: Vec<Fired<R>>,
    /// Spikes of every pre cell so far.
    pub counts: Vec<u32>,
    resources: Vec<Resources<R>>,
    emptied: Vec<u32>,
    step: u32,
    /// Input events that are over.
    seen: usize,
}

impl<R: Real> TrialState<R> {
    /// The start of a trial.
    pub fn new(constants: &Constants<R>) -> Self {
        let n = constants.b.len();
        let v = R::from_f64(V_START_MV);
        let pre_cells = constants.n_in + n;
        let of = |kind: RedistributionKind, entries: usize| match constants.recovery.kind == kind {
            true => entries,
            false => 0,
        };
        Self {
            v: vec![v; n],
            u: constants.b.iter().map(|&b| b * v).collect(),
            g_exc: vec![R::ZERO; n],
            g_inh: vec![R::ZERO; n],
            reached: vec![v; n],
            fired: Vec::new(),
            counts: vec![0; pre_cells],
            resources: vec![Resources::FULL; of(RedistributionKind::Deterministic, pre_cells)],
            emptied: vec![0; of(RedistributionKind::Stochastic, pre_cells * n)],
            step: 0,
            seen: 0,
        }
    }

    /// One step: conductances of the spikes of the step before, then all neurons.
    #[inline(always)]
    pub fn step(&mut self, constants: &Constants<R>, weights: &[R], input: &TrialInput) {
        self.pass_on(constants, weights, input.release_key);
        self.fired.clear();
        while let Some(event) = input.events.get(self.seen) {
            if event.step != self.step {
                break;
            }
            self.fire(constants, event.input as usize);
            self.seen += 1;
        }
        if self.advance(constants) {
            for j in 0..self.v.len() {
                if self.reached[j] >= R::from_f64(V_SPIKE_MV) {
                    self.fire(constants, constants.n_in + j);
                }
            }
        }
        self.step += 1;
    }

    #[inline(always)]
    fn fire(&mut self, constants: &Constants<R>, pre: usize) {
        let passed = match self.resources.get_mut(pre) {
            Some(resources) => resources.spend(&constants.recovery, self.step),
            None => R::ONE,
        };
        self.counts[pre] += 1;
        self.fired.push(Fired { pre, passed });
    }

    #[inline(always)]
    fn pass_on(&mut self, constants: &Constants<R>, weights: &[R], key: [u32; 2]) {
        let n = self.v.len();
        for &Fired { pre, passed } in &self.fired {
            let g = match constants.inhibits[pre] {
                true => &mut self.g_inh,
                false => &mut self.g_exc,
            };
            let row = &weights[pre * n..][..n];
            match constants.recovery.kind {
                RedistributionKind::None => {
                    for (g, &w) in g.iter_mut().zip(row) {
                        *g += w;
                    }
                }
                RedistributionKind::Deterministic => {
                    for (g, &w) in g.iter_mut().zip(row) {
                        *g += w * passed;
                    }
                }
                RedistributionKind::Stochastic => {
                    let sites = &mut self.emptied[pre * n..][..n];
                    // The spike was in the step before.
                    let step = self.step - 1;
                    for (j, site) in sites.iter_mut().enumerate() {
                        let synapse = [pre as u32, j as u32];
                        let is_there = row[j] > R::ZERO;
                        if is_there && releases(&constants.recovery, site, step, synapse, key) {
                            g[j] += row[j];
                        }
                    }
                }
            }
        }
    }

    /// A step of all neurons, and the decay of their conductances before the next; whether any fires.
    #[inline(always)]
    fn advance(&mut self, constants: &Constants<R>) -> bool {
        let n = self.v.len();
        let (v, u) = (&mut self.v[..n], &mut self.u[..n]);
        let (g_exc, g_inh) = (&mut self.g_exc[..n], &mut self.g_inh[..n]);
        let reached = &mut self.reached[..n];
        let (dt_a, b) = (&constants.dt_a[..n], &constants.b[..n]);
        let (c, d) = (&constants.c[..n], &constants.d[..n]);
        let ([of_exc, of_inh], dt) = (constants.decays, constants.dt);
        let [square, middle, lowest, highest] = [0.04, 62.5, 16.25, V_SPIKE_MV].map(R::from_f64);
        let mut any = 0;
        for j in 0..n {
            let current = g_exc[j] - g_inh[j];
            let (v0, u0) = (v[j], u[j]);
            // 0.04 v² + 5 v + 140 without the cancellation that single precision would suffer near rest.
            let x = v0 + middle;
            let v1 = v0 + dt * (square * (x * x) - lowest - u0 + current);
            let u1 = u0 + dt_a[j] * (b[j] * v1 - u0);
            let is_spike = v1 >= highest;
            v[j] = if is_spike { c[j] } else { v1 };
            u[j] = if is_spike { u1 + d[j] } else { u1 };
            reached[j] = v1;
            any |= u8::from(is_spike);
            g_exc[j] *= of_exc;
            g_inh[j] *= of_inh;
        }
        any != 0
    }

    /// Multiplies every voltage by a factor of its own.
    pub fn disturb(&mut self, mut factor: impl FnMut() -> R) {
        self.v.iter_mut().for_each(|v| *v *= factor());
    }

    /// Sets the current of a neuron, for the next step.
    #[cfg(test)]
    pub fn drive(&mut self, neuron: usize, current: R) {
        self.g_exc[neuron] = current;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::izhikevich::init::draw;
    use crate::izhikevich::network::Preset;
    use crate::izhikevich::settings::Config;
    use crate::izhikevich::stimuli::Stimuli;
    use crate::izhikevich::weights::Layout;

    /// Rate of a neuron under a constant current, from its spikes in the second half of a second, Hz.
    fn rate_hz(preset: Preset, current: f64, dt_ms: f64) -> f64 {
        let mut config = Config::default();
        config.network.outputs = 1;
        config.network.lateral.cells = 0;
        config.network.excitatory = preset;
        config.network.dt_ms = dt_ms;
        let layout = Layout::new(&config);
        let network = draw(&config, &layout, &Stimuli::load(&config, None).unwrap());
        let constants = Constants::<f64>::new(&config.params(), &network);
        let weights = vec![0.0; network.weights.len()];
        let mut state = TrialState::new(&constants);
        let mut spikes = 0;
        for step in 0..config.steps() {
            state.drive(0, current);
            state.step(&constants, &weights, &TrialInput::default());
            spikes += usize::from(step >= config.steps() / 2) * state.fired.len();
        }
        2.0 * spikes as f64
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
}
