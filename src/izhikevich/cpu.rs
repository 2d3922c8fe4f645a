//! The CPU engine: a lane, or a frozen trial, a thread.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::engine::{Engine, EngineError, LaneTrials, Learnt, Trial, TrialInput};
use super::network::Network;
use super::params::{ExcitatoryRule, Params};
use super::plasticity::{Rates, Rules};
use super::trial::{Constants, TrialState};
use crate::real::Real;

/// One network in single (`f32`) or double precision.
#[derive(Clone, Debug)]
pub struct CpuNetwork<R> {
    params: Params,
    network: Network,
    constants: Constants<R>,
    rules: Rules<R>,
    weights: Vec<R>,
    theta: Vec<R>,
}

impl<R: Real> CpuNetwork<R> {
    /// A network that has not learnt yet.
    pub fn new(params: Params, network: Network) -> Self {
        let start = network.weights.iter();
        Self {
            constants: Constants::new(&params, &network),
            rules: Rules::new(&params, &network),
            weights: start.map(|&w| R::from_f64(w.into())).collect(),
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

    /// Runs a trial without learning; every spike is listed where `records`.
    pub fn run(&self, input: &TrialInput, records: bool) -> Trial {
        let mut spikes = Vec::new();
        let counts = self.steps(input, |step, state| {
            if records {
                let neurons = state
                    .fired
                    .iter()
                    .filter_map(|f| f.pre.checked_sub(self.params.n_in));
                spikes.extend(neurons.map(|neuron| [step, neuron as u32]));
            }
        });
        Trial { counts, spikes }
    }

    /// All steps of a trial with the weights as they are; `each` is told of every step. Spikes of every pre cell.
    fn steps(&self, input: &TrialInput, each: impl FnMut(u32, &TrialState<R>)) -> Vec<u32> {
        Arch::new().dispatch(Steps {
            network: self,
            input,
            each,
        })
    }

    /// Runs a trial in which `noise`, from −1 to 1, disturbs every voltage in every step by as much as it is rounded in
    /// single precision, and lists every spike.
    pub fn run_disturbed(&self, input: &TrialInput, noise: &mut impl FnMut() -> f64) -> Trial {
        let mut state = TrialState::new(&self.constants);
        let mut spikes = Vec::new();
        for step in 0..self.params.steps as u32 {
            state.disturb(|| R::from_f64(1.0 + f64::from(f32::EPSILON) * noise()));
            state.step(&self.constants, &self.weights, input);
            let neurons = state
                .fired
                .iter()
                .filter_map(|f| f.pre.checked_sub(self.params.n_in));
            spikes.extend(neurons.map(|neuron| [step, neuron as u32]));
        }
        Trial {
            counts: state.counts,
            spikes,
        }
    }

    /// Runs a trial and learns from it.
    pub fn train(&mut self, input: &TrialInput) -> Trial {
        match self.params.plasticity.rule {
            ExcitatoryRule::Bcm | ExcitatoryRule::Fixed => {
                let trial = self.run(input, false);
                self.learn(&trial.counts, input.target);
                trial
            }
            ExcitatoryRule::Stdp => {
                let (counts, pairs) = self.paired(input);
                let rates = self.rates(&counts, input.target);
                self.change(&rates, R::ONE, Some(&pairs));
                Trial {
                    counts,
                    spikes: Vec::new(),
                }
            }
            ExcitatoryRule::BcmPerStep => self.train_per_step(input),
        }
    }

    /// Changes weights and thresholds after a trial of these spikes of every pre cell, taught this class.
    pub fn learn(&mut self, counts: &[u32], target: Option<u32>) {
        let rates = self.rates(counts, target);
        self.change(&rates, R::ONE, None);
    }

    fn change(&mut self, rates: &Rates<R>, share: R, added: Option<&[R]>) {
        let (weights, theta) = (&mut self.weights, &mut self.theta);
        self.rules
            .learn(&self.network, rates, share, added, weights, theta);
    }

    fn rates(&self, counts: &[u32], target: Option<u32>) -> Rates<R> {
        let (duration_s, r0_hz) = (self.params.duration_s(), self.params.plasticity.r0_hz);
        let in_r0 = |count: u32| R::from_f64(f64::from(count) / duration_s / r0_hz);
        let hz = |count: u32| R::from_f64(f64::from(count) / duration_s);
        let post = || counts[self.params.n_in..].iter().enumerate();
        Rates {
            pre: counts.iter().map(|&count| in_r0(count)).collect(),
            taught_hz: post()
                .map(|(j, &count)| self.taught_share(j, target) * hz(count))
                .collect(),
            taught: post()
                .map(|(j, &count)| self.taught_share(j, target) * in_r0(count))
                .collect(),
        }
    }

    /// Share of its rate that a neuron learns from: less than 1 for cells of another class than the trial's. BCM is
    /// depressed deepest at half the threshold and not at all at rate 0: silencing would teach nothing.
    fn taught_share(&self, neuron: usize, target: Option<u32>) -> R {
        let class = self.network.classes[neuron];
        let is_wrong = target.is_some() && class.is_some() && class != target;
        match is_wrong {
            true => R::from_f64(self.params.plasticity.mask),
            false => R::ONE,
        }
    }

    /// Spikes of a trial, and what their pairs add to each weight.
    fn paired(&self, input: &TrialInput) -> (Vec<u32>, Vec<R>) {
        let (n, n_in) = (self.params.neurons, self.params.n_in);
        let pairs = &self.params.plasticity.pairs;
        let fade = |tau_ms: f64| R::from_f64(libm::exp(-self.params.dt_ms / tau_ms));
        let (of_pre, of_post) = (fade(pairs.tau_plus_ms), fade(pairs.tau_minus_ms));
        let [plus, minus] = [pairs.a_plus, pairs.a_minus].map(R::from_f64);
        let mut pre = vec![R::ZERO; self.params.pre_cells()];
        let mut post = vec![R::ZERO; n];
        let mut sums = vec![R::ZERO; pre.len() * n];
        let counts = self.steps(input, |_, state| {
            pre.iter_mut().for_each(|trace| *trace *= of_pre);
            post.iter_mut().for_each(|trace| *trace *= of_post);
            // Spikes of the same step are neither before nor after each other.
            for fired in &state.fired {
                let row = &mut sums[fired.pre * n..][..n];
                for (sum, &trace) in row.iter_mut().zip(&post) {
                    *sum += -(minus * trace);
                }
                if let Some(j) = fired.pre.checked_sub(n_in) {
                    for (row, &trace) in sums.chunks_exact_mut(n).zip(&pre) {
                        row[j] += plus * trace;
                    }
                }
            }
            for fired in &state.fired {
                pre[fired.pre] += R::ONE;
                if let Some(j) = fired.pre.checked_sub(n_in) {
                    post[j] += R::ONE;
                }
            }
        });
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum = match self.network.inhibits[at / n] {
                true => R::ZERO,
                false => *sum * self.rules.w_default[at],
            };
        }
        (counts, sums)
    }

    /// A trial in which every step changes the weights, by rates that are filtered.
    fn train_per_step(&mut self, input: &TrialInput) -> Trial {
        let n_in = self.params.n_in;
        let tau_ms = self.params.plasticity.tau_rate_ms;
        let fade = R::from_f64(libm::exp(-self.params.dt_ms / tau_ms));
        let of_spike = R::from_f64(1000.0 / tau_ms);
        let share = R::from_f64(1.0 / self.params.steps as f64);
        let of_class: Vec<R> = (0..self.params.neurons)
            .map(|j| self.taught_share(j, input.target))
            .collect();
        let mut hz = vec![R::ZERO; self.params.pre_cells()];
        let mut rates = self.rates(&vec![0; hz.len()], input.target);
        let mut state = TrialState::new(&self.constants);
        for _ in 0..self.params.steps {
            state.step(&self.constants, &self.weights, input);
            hz.iter_mut().for_each(|rate| *rate *= fade);
            for fired in &state.fired {
                hz[fired.pre] += of_spike;
            }
            for (in_r0, &hz) in rates.pre.iter_mut().zip(&hz) {
                *in_r0 = hz * self.rules.per_r0;
            }
            for (j, &share) in of_class.iter().enumerate() {
                rates.taught_hz[j] = share * hz[n_in + j];
                rates.taught[j] = share * rates.pre[n_in + j];
            }
            self.change(&rates, share, None);
        }
        Trial {
            counts: state.counts,
            spikes: Vec::new(),
        }
    }
}

/// All steps of a trial, compiled for the processor's vectors.
struct Steps<'a, R, F> {
    network: &'a CpuNetwork<R>,
    input: &'a TrialInput,
    each: F,
}

impl<R: Real, F: FnMut(u32, &TrialState<R>)> NullaryFnOnce for Steps<'_, R, F> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn call(mut self) -> Vec<u32> {
        let CpuNetwork {
            constants,
            weights,
            params,
            ..
        } = self.network;
        let mut state = TrialState::new(constants);
        for step in 0..params.steps as u32 {
            state.step(constants, weights, self.input);
            (self.each)(step, &state);
        }
        state.counts
    }
}

/// Lanes on the threads of the processor.
pub struct CpuEngine {
    lanes: Vec<CpuNetwork<f32>>,
    pool: ThreadPool,
}

impl CpuEngine {
    /// An engine of networks of one shape, at least one.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(params: &Params, networks: &[Network], threads: usize) -> Result<Self, EngineError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
        let lane = |network: &Network| CpuNetwork::new(params.clone(), network.clone());
        Ok(Self {
            lanes: networks.iter().map(lane).collect(),
            pool: pool.map_err(|error| EngineError::Threads(error.to_string()))?,
        })
    }
}

impl Engine for CpuEngine {
    fn params(&self) -> &Params {
        &self.lanes[0].params
    }

    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn train(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError> {
        let lanes = &mut self.lanes;
        let place_of = |lane: usize| work.iter().position(|(own, _)| *own == lane);
        let mut done: Vec<(usize, Vec<Trial>)> = self.pool.install(|| {
            let lanes = lanes.par_iter_mut().enumerate();
            let train = |(number, lane): (usize, &mut CpuNetwork<f32>)| {
                let place = place_of(number)?;
                let trials = work[place].1.iter();
                Some((place, trials.map(|input| lane.train(input)).collect()))
            };
            lanes.filter_map(train).collect()
        });
        done.sort_by_key(|(place, _)| *place);
        Ok(done.into_iter().map(|(_, trials)| trials).collect())
    }

    fn run(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError> {
        let lanes = &self.lanes;
        Ok(self.pool.install(|| {
            let run = |(lane, trials): &LaneTrials<'_>| -> Vec<Trial> {
                let trials = trials.par_iter();
                trials.map(|input| lanes[*lane].run(input, false)).collect()
            };
            work.par_iter().map(run).collect()
        }))
    }

    fn record(&mut self, lane: usize, trial: &TrialInput) -> Result<Trial, EngineError> {
        Ok(self.lanes[lane].run(trial, true))
    }

    fn read(&mut self, lane: usize) -> Result<Learnt, EngineError> {
        Ok(Learnt {
            weights: self.lanes[lane].weights.clone(),
            theta_hz: self.lanes[lane].theta.clone(),
        })
    }

    fn load(&mut self, lane: usize, learnt: &Learnt) -> Result<(), EngineError> {
        self.lanes[lane].weights.clone_from(&learnt.weights);
        self.lanes[lane].theta.clone_from(&learnt.theta_hz);
        Ok(())
    }

    fn describe(&self) -> String {
        let threads = self.pool.current_num_threads();
        let threads = crate::text::count(threads, "thread", "threads");
        format!("CPU engine, single precision, {threads}")
    }
}
