//! Settings of one network and the numbers derived from them, computed once in double precision.

use crate::conductance::settings::{
    Config, Integrator, MatrixName, Network, Readout, ReadoutReset, RefractoryTiming, SynapseKick,
    Training,
};
use crate::real::Real;

/// Sizes and settings of one conductance network: all an engine needs besides weights and trials.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Input channels (pixels).
    pub n_in: usize,
    /// Classes.
    pub n_out: usize,
    /// Steps of a trial.
    pub steps: usize,
    /// Cells, time constants and numerics.
    pub network: Network,
    /// Optimiser and Dale's law.
    pub training: Training,
}

impl Params {
    /// The settings of `config` for data of `n_in` inputs and `n_out` classes.
    pub fn new(config: &Config, n_in: usize, n_out: usize) -> Self {
        Self {
            n_in,
            n_out,
            steps: config.network.steps(),
            network: config.network.clone(),
            training: config.training.clone(),
        }
    }

    /// Excitatory cells.
    pub fn n_e(&self) -> usize {
        self.network.n_e
    }

    /// Inhibitory cells.
    pub fn n_i(&self) -> usize {
        self.network.n_i
    }

    /// `(pre, post)` cells of a matrix.
    pub fn shape(&self, name: MatrixName) -> (usize, usize) {
        let (e, i) = (self.n_e(), self.n_i());
        match name {
            MatrixName::WIn => (self.n_in, e),
            MatrixName::WOut => (e, self.n_out),
            MatrixName::WEe => (e, e),
            MatrixName::WEi => (e, i),
            MatrixName::WIe => (i, e),
            MatrixName::WIi => (i, i),
        }
    }

    /// Whether a matrix is trained.
    pub fn is_trained(&self, name: MatrixName) -> bool {
        self.training.trainable.contains(&name)
    }

    /// Duration of a trial, seconds.
    pub fn duration_s(&self) -> f64 {
        self.steps as f64 * self.network.dt_ms / 1000.0
    }

    /// The derived constants at the precision of an engine.
    pub fn constants<R: Real>(&self) -> Constants<R> {
        let n = &self.network;
        let decay = |tau_ms: f64| libm::exp(-n.dt_ms / tau_ms);
        let loss = |tau_ms: f64| -libm::expm1(-n.dt_ms / tau_ms);
        let kick = |tau_ms: f64| match n.synapse_kick {
            SynapseKick::Decayed => decay(tau_ms),
            SynapseKick::Full => 1.0,
        };
        // Counted down after it is asked for, the same number lasts a step longer.
        let longer = match n.refractory_timing {
            RefractoryTiming::Preceding => 0,
            RefractoryTiming::Following => 1,
        };
        let cell = |c_m_nf: f64, g_l_us: f64, ref_ms: f64| CellConstants {
            g_l_us: R::from_f64(g_l_us),
            leak_na: R::from_f64(g_l_us * n.e_l_mv),
            dt_over_c: R::from_f64(n.dt_ms / c_m_nf),
            e_l_mv: R::from_f64(n.e_l_mv),
            e_exc_mv: R::from_f64(n.e_exc_mv),
            e_inh_mv: R::from_f64(n.e_inh_mv),
            v_th_mv: R::from_f64(n.v_th_mv),
            v_reset_mv: R::from_f64(n.v_reset_mv),
            v_floor_mv: R::from_f64(n.v_floor_mv),
            surrogate_slope: R::from_f64(n.surrogate_slope),
            inverse_dampen: R::from_f64(1.0 / n.grad_dampen),
            ref_steps: R::from_f64(f64::from(refractory_steps(ref_ms, n.dt_ms) + longer)),
            exp_euler: n.integrator == Integrator::ExpEuler,
        };
        Constants {
            e: cell(n.c_m_e_nf, n.g_l_e_us, n.ref_e_ms),
            i: cell(n.c_m_i_nf, n.g_l_i_us, n.ref_i_ms),
            beta_ampa: R::from_f64(decay(n.tau_ampa_ms)),
            beta_gaba: R::from_f64(decay(n.tau_gaba_ms)),
            kick_ampa: R::from_f64(kick(n.tau_ampa_ms)),
            kick_gaba: R::from_f64(kick(n.tau_gaba_ms)),
            decay_fraction_ampa: R::from_f64(loss(n.tau_ampa_ms)),
            decay_fraction_gaba: R::from_f64(loss(n.tau_gaba_ms)),
            readout: ReadoutConstants::new(self),
        }
    }
}

/// `max(1, round_half_to_even(ref_ms / dt_ms))`.
pub fn refractory_steps(ref_ms: f64, dt_ms: f64) -> u32 {
    ((ref_ms / dt_ms).round_ties_even() as u32).max(1)
}

/// Everything a step needs, derived from [`Params`].
#[derive(Clone, Copy, Debug)]
pub struct Constants<R> {
    /// Excitatory cells.
    pub e: CellConstants<R>,
    /// Inhibitory cells.
    pub i: CellConstants<R>,
    /// Decay of excitatory conductances a step.
    pub beta_ampa: R,
    /// Decay of inhibitory conductances a step.
    pub beta_gaba: R,
    /// Share of an E spike's weight that reaches a conductance.
    pub kick_ampa: R,
    /// Share of an I spike's weight.
    pub kick_gaba: R,
    /// 1 − `beta_ampa`, to full precision.
    pub decay_fraction_ampa: R,
    /// 1 − `beta_gaba`, to full precision.
    pub decay_fraction_gaba: R,
    /// Read-out.
    pub readout: ReadoutConstants<R>,
}

/// Constants of one population's membranes.
#[derive(Clone, Copy, Debug)]
pub struct CellConstants<R> {
    /// Leak, µS.
    pub g_l_us: R,
    /// Leak times its reversal potential, nA.
    pub leak_na: R,
    /// Time step over capacitance, ms/nF.
    pub dt_over_c: R,
    /// Leak reversal, mV.
    pub e_l_mv: R,
    /// Reversal of excitation, mV.
    pub e_exc_mv: R,
    /// Reversal of inhibition, mV.
    pub e_inh_mv: R,
    /// Threshold, mV.
    pub v_th_mv: R,
    /// Reset, mV.
    pub v_reset_mv: R,
    /// Floor, mV.
    pub v_floor_mv: R,
    /// k of the surrogate derivative, 1/mV.
    pub surrogate_slope: R,
    /// One over the damping of the gradient.
    pub inverse_dampen: R,
    /// Steps from a spike to the first in which the cell may fire again.
    pub ref_steps: R,
    /// Integration scheme: exponential Euler, else forward Euler.
    pub exp_euler: bool,
}

/// All read-outs in one form: `v ← decay·v + gain·(s_E W_out)`; the logit is `scale` times the sum of
/// v over the trial, or its largest value; `reset` is subtracted where v reaches `threshold`.
#[derive(Clone, Copy, Debug)]
pub struct ReadoutConstants<R> {
    /// Share of v kept from step to step.
    pub decay: R,
    /// Factor of the weighted spikes.
    pub gain: R,
    /// Factor of the sum.
    pub scale: R,
    /// Threshold of the reset.
    pub threshold: R,
    /// Whether the threshold is subtracted where v reaches it.
    pub resets: bool,
    /// Largest value instead of the sum.
    pub takes_max: bool,
    /// k of the reset's surrogate derivative.
    pub surrogate_slope: R,
}

impl<R: Real> ReadoutConstants<R> {
    fn new(params: &Params) -> Self {
        let n = &params.network;
        let beta = libm::exp(-n.dt_ms / n.tau_out_ms);
        let (decay, gain, scale) = match n.readout {
            Readout::MemMean => (beta, (1.0 - beta) / n.dt_ms, 1.0 / params.steps as f64),
            Readout::SpikeCount => (0.0, 1.0, 1.0),
            Readout::Rate => (0.0, 1.0, 1.0 / params.steps as f64),
            Readout::Li => (beta, 1.0 - beta, 1.0),
        };
        Self {
            decay: R::from_f64(decay),
            gain: R::from_f64(gain),
            scale: R::from_f64(scale),
            threshold: R::from_f64(n.readout_threshold),
            resets: n.readout == Readout::MemMean && n.readout_reset == ReadoutReset::Subtract,
            takes_max: n.readout == Readout::Li,
            surrogate_slope: R::from_f64(n.readout_slope.unwrap_or(n.surrogate_slope)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::refractory_steps;

    #[test]
    fn refractory_time_rounds_half_to_even_and_is_at_least_one_step() {
        assert_eq!(refractory_steps(2.5, 1.0), 2);
        assert_eq!(refractory_steps(1.5, 1.0), 2);
        assert_eq!(refractory_steps(3.0, 0.1), 30);
        assert_eq!(refractory_steps(0.0, 0.1), 1);
    }
}
