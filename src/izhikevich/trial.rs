//! One trial on the CPU, step by step: event-driven in the synapses, every neuron in every step.

use super::engine::TrialInput;
use super::network::{Network, Neuron};
use super::params::{Params, RedistributionKind};
use super::synapses::{Recovery, Resources, releases};
use crate::real::Real;

/// Voltage at which a neuron fires, mV.
pub const V_SPIKE_MV: f64 = 30.0;
/// Conductances below it are 0.
pub const LEAST_CONDUCTANCE: f64 = 1e-30;
/// 0.04 v² + 5 v + 140 is the first times the square of v and the second, less the third.
pub const EQUATION: [f64; 3] = [0.04, 62.5, 16.25];
/// Voltage at the start of a trial, mV.
pub const V_START_MV: f64 = -65.0;

/// What all trials of a network share: neurons, decay in a step, factors of synapses.
#[derive(Clone, Debug)]
pub struct Constants<R> {
    n_in: usize,
    inhibits: Vec<bool>,
    dt: R,
    count: usize,
    neurons: Vec<Neurons<R>>,
    /// Of excitatory and inhibitory conductances.
    decays: [R; 2],
    /// Of synapses.
    pub recovery: Recovery<R>,
}

impl<R: Real> Constants<R> {
    /// Of a network.
    pub fn new(params: &Params, network: &Network) -> Self {
        let dt = R::from_f64(params.dt_ms);
        let decay = |tau_ms: f64| R::from_f64(libm::exp(-params.dt_ms / tau_ms));
        Self {
            n_in: params.n_in,
            inhibits: network.inhibits.clone(),
            dt,
            count: network.neurons.len(),
            neurons: network
                .neurons
                .chunks(LANES)
                .map(|own| Neurons::new(own, dt))
                .collect(),
            decays: [decay(params.tau_exc_ms), decay(params.tau_inh_ms)],
            recovery: Recovery::new(params),
        }
    }
}

/// Neurons that advance side by side; a processor's vectors divide them.
const LANES: usize = 16;

/// Parameters of [`LANES`] neurons; those past the end never fire.
#[derive(Clone, Debug)]
struct Neurons<R> {
    /// Δt a.
    dt_a: [R; LANES],
    b: [R; LANES],
    c: [R; LANES],
    d: [R; LANES],
}

impl<R: Real> Neurons<R> {
    fn new(neurons: &[Neuron], dt: R) -> Self {
        let of = |field: fn(&Neuron) -> f32| -> [R; LANES] {
            let value = |i: usize| neurons.get(i).map_or(0.0, |n| f64::from(field(n)));
            std::array::from_fn(|i| R::from_f64(value(i)))
        };
        Self {
            dt_a: of(|n| n.a).map(|a| dt * a),
            b: of(|n| n.b),
            c: of(|n| n.c),
            d: of(|n| n.d),
        }
    }

    /// A step of these neurons, and the decay of their conductances before the next; whether any fires. Slices hold
    /// [`LANES`] numbers.
    #[inline(always)]
    fn advance(
        &self,
        v: &mut [R],
        u: &mut [R],
        [g_exc, g_inh]: [&mut [R]; 2],
        reached: &mut [R],
        [of_exc, of_inh]: [R; 2],
        dt: R,
    ) -> bool {
        let [square, middle, lowest] = EQUATION.map(R::from_f64);
        let highest = R::from_f64(V_SPIKE_MV);
        let mut any = false;
        for i in 0..LANES {
            let current = g_exc[i] - g_inh[i];
            let (v0, u0) = (v[i], u[i]);
            // 0.04 v² + 5 v + 140 without the cancellation that single precision would suffer near rest.
            let x = v0 + middle;
            let v1 = v0 + dt * (square * (x * x) - lowest - u0 + current);
            let u1 = u0 + self.dt_a[i] * (self.b[i] * v1 - u0);
            let fires = v1 >= highest;
            let (after, jump) = (self.c[i], u1 + self.d[i]);
            v[i] = if fires { after } else { v1 };
            u[i] = if fires { jump } else { u1 };
            reached[i] = v1;
            any |= fires;
            g_exc[i] = faded(g_exc[i] * of_exc);
            g_inh[i] = faded(g_inh[i] * of_inh);
        }
        any
    }
}

/// A conductance that has all but faded is none: it is far below the last digit of any current that it is added to, and
/// processors and graphics drivers treat numbers that small each in their own way.
#[inline(always)]
fn faded<R: Real>(g: R) -> R {
    if g < R::from_f64(LEAST_CONDUCTANCE) {
        R::ZERO
    } else {
        g
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
        let n = constants.count;
        let v = R::from_f64(V_START_MV);
        let pre_cells = constants.n_in + n;
        let lanes = constants.neurons.len() * LANES;
        let b = constants.neurons.iter().flat_map(|own| own.b);
        let of = |kind: RedistributionKind, entries: usize| match constants.recovery.kind == kind {
            true => entries,
            false => 0,
        };
        Self {
            v: vec![v; lanes],
            u: b.map(|b| b * v).collect(),
            g_exc: vec![R::ZERO; lanes],
            g_inh: vec![R::ZERO; lanes],
            reached: vec![v; lanes],
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
            for j in 0..constants.count {
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
        let n = constants.count;
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
        let mut any = false;
        let all = self
            .v
            .chunks_exact_mut(LANES)
            .zip(self.u.chunks_exact_mut(LANES));
        let of_g = self
            .g_exc
            .chunks_exact_mut(LANES)
            .zip(self.g_inh.chunks_exact_mut(LANES));
        let all = all.zip(of_g).zip(self.reached.chunks_exact_mut(LANES));
        for ((((v, u), (g_exc, g_inh)), reached), own) in all.zip(&constants.neurons) {
            any |= own.advance(
                v,
                u,
                [g_exc, g_inh],
                reached,
                constants.decays,
                constants.dt,
            );
        }
        any
    }

    /// Multiplies every voltage by a factor of its own.
    pub fn disturb(&mut self, mut factor: impl FnMut() -> R) {
        self.v.iter_mut().for_each(|v| *v *= factor());
    }

    /// Voltages, recovery variables and conductances of the first `n` neurons.
    #[cfg(test)]
    pub fn numbers(&self, n: usize) -> Vec<R> {
        [
            &self.v[..n],
            &self.u[..n],
            &self.g_exc[..n],
            &self.g_inh[..n],
        ]
        .concat()
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
