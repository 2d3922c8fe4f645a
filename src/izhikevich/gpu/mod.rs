//! The GPU engine: a workgroup for each trial, which keeps its neurons in registers, and one for each lane that learns.
//! In training the trials of a lane follow each other and all lanes go side by side; frozen trials go side by side.

mod kernels;
mod steps;

use std::ops::Range;
use std::sync::Arc;

use super::engine::{Engine, EngineError, LaneTrials, Learnt, Trial, TrialInput};
use super::network::Network;
use super::params::{ExcitatoryRule, Params};
use super::plasticity::Rules;
use super::synapses::{Recovery, Resources};
use super::trial::EQUATION;
use crate::gpu::{BufferSpec, Gpu, Program};
use crate::text::{bytes, count};
use kernels::{KernelId, Sizes};
use steps::{KernelDispatch, LearnStep, STEP_WORDS, TrialStep, dispatch};

/// Steps of a dispatch: a few milliseconds, well below what a system's watchdog allows.
const STEPS_A_DISPATCH: usize = 5_000;
/// The same on a software driver, which ends long loops.
const STEPS_A_DISPATCH_IN_SOFTWARE: usize = 500;

/// Trials on the device at a time.
const MOST_TRIALS: usize = 2_048;
/// Trials of a lane on the device at a time.
const MOST_ROUNDS: usize = 16;
/// Input events of frozen trials on the device at a time.
const MOST_EVENTS: usize = 8 << 20;

/// Device memory that is taken unless told otherwise, bytes.
pub const DEFAULT_BUDGET_BYTES: u64 = 1 << 30;

/// No class.
const NONE: u32 = u32::MAX;

/// Lanes on a GPU.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    params: Params,
    lanes: usize,
    recovery: Recovery<f32>,
    sizes: Sizes,
    /// Trials that run side by side at the most.
    slots: usize,
    program: Program<STEP_WORDS>,
}

impl GpuEngine {
    /// An engine of networks of one shape, at least one; `memory` is the most bytes it may take (none:
    /// [`DEFAULT_BUDGET_BYTES`]).
    ///
    /// # Errors
    /// A rule that only the processor computes, networks that do not fit the device, or a failure of the device.
    pub fn new(
        gpu: Arc<Gpu>,
        params: &Params,
        networks: &[Network],
        memory: Option<u64>,
    ) -> Result<Self, EngineError> {
        let rule = params.plasticity.rule;
        if !matches!(rule, ExcitatoryRule::Bcm | ExcitatoryRule::Fixed) {
            return Err(EngineError::ProcessorAlone(rule));
        }
        let (lanes, first) = (networks.len(), &networks[0]);
        let sizes = Sizes::of(params);
        let slots = slots(params, sizes, lanes, memory.unwrap_or(DEFAULT_BUDGET_BYTES))?;
        let buffers = buffers(params, sizes, lanes, slots);
        let program = Program::new(gpu.clone(), &buffers, kernels::sources(params, first)?)?;
        let mut engine = Self {
            gpu,
            params: params.clone(),
            lanes,
            recovery: Recovery::new(params),
            sizes,
            slots,
            program,
        };
        engine.write_constants(first)?;
        for (lane, network) in networks.iter().enumerate() {
            let theta0_hz = params.plasticity.theta0_hz as f32;
            engine.load(
                lane,
                &Learnt {
                    weights: network.weights.clone(),
                    theta_hz: vec![theta0_hz; params.neurons],
                },
            )?;
        }
        Ok(engine)
    }

    fn write_constants(&mut self, network: &Network) -> Result<(), EngineError> {
        let params = &self.params;
        let rules = Rules::<f32>::new(params, network);
        let dt = params.dt_ms as f32;
        let neurons = || network.neurons.iter();
        let cells: [Vec<f32>; 5] = [
            neurons().map(|n| dt * n.a).collect(),
            neurons().map(|n| n.b).collect(),
            neurons().map(|n| n.c).collect(),
            neurons().map(|n| n.d).collect(),
            [&[dt][..], &EQUATION.map(|x| x as f32)].concat(),
        ];
        let flags = |flags: &[bool]| -> Vec<u32> { flags.iter().map(|&f| f.into()).collect() };
        let (duration_s, r0_hz) = (params.duration_s(), params.plasticity.r0_hz);
        let spikes = || (0..=params.steps).map(|count| count as f64 / duration_s);
        let rates: Vec<f32> = spikes()
            .map(|hz| hz as f32)
            .chain(spikes().map(|hz| (hz / r0_hz) as f32))
            .collect();
        let classes: Vec<u32> = network.classes.iter().map(|c| c.unwrap_or(NONE)).collect();
        let synapses = [rules.gain, rules.w_default, rules.per_w_default, rules.most];
        let words = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let recovery = [
            words(&self.recovery.recovered),
            self.recovery.recovered_most.clone(),
            words(&self.recovery.faded),
        ];
        let program = &self.program;
        program.write("cells", 0, &cells.concat())?;
        program.write("inhibits", 0, &flags(&network.inhibits))?;
        program.write("learns", 0, &flags(&network.learns))?;
        program.write("rates", 0, &rates)?;
        program.write("classes", 0, &classes)?;
        program.write("synapses", 0, &synapses.concat())?;
        program.write("pull", 0, &rules.pull.concat())?;
        program.write("recovery", 0, &recovery.concat())?;
        Ok(())
    }

    /// Copies trials and their lanes to the device, in this order.
    fn upload(&mut self, trials: &[(usize, &TrialInput)]) -> Result<(), EngineError> {
        let n_in = self.params.n_in;
        let pre_cells = self.params.pre_cells();
        let mut events = Vec::new();
        let mut ranges = vec![0u32];
        let mut counts = vec![0u32; trials.len() * pre_cells];
        for ((_, trial), counts) in trials.iter().zip(counts.chunks_exact_mut(pre_cells)) {
            let mut resources = match self.recovery.recovered.is_empty() {
                true => Vec::new(),
                false => vec![Resources::FULL; n_in],
            };
            for event in &trial.events {
                let input = event.input as usize;
                counts[input] += 1;
                let passed = match resources.get_mut(input) {
                    Some(resources) => resources.spend(&self.recovery, event.step),
                    None => 1.0,
                };
                events.extend([event.step, event.input, passed.to_bits()]);
            }
            ranges.push((events.len() / 3) as u32);
        }
        let lanes: Vec<u32> = trials.iter().map(|(lane, _)| *lane as u32).collect();
        let inputs = || trials.iter().map(|(_, trial)| trial);
        let targets: Vec<u32> = inputs().map(|t| t.target.unwrap_or(NONE)).collect();
        let keys: Vec<u32> = inputs().flat_map(|t| t.release_key).collect();
        self.program.fit("events", events.len())?;
        self.program.fit("ranges", ranges.len())?;
        self.program.fit("counts", counts.len())?;
        self.program.fit("lanes", lanes.len())?;
        self.program.fit("targets", targets.len())?;
        self.program.fit("keys", keys.len())?;
        self.program.write("events", 0, &events)?;
        self.program.write("ranges", 0, &ranges)?;
        self.program.write("counts", 0, &counts)?;
        self.program.write("lanes", 0, &lanes)?;
        self.program.write("targets", 0, &targets)?;
        self.program.write("keys", 0, &keys)?;
        Ok(())
    }

    /// All steps of `trials` trials that are on the device from number `first` on.
    fn steps(&self, first: usize, trials: usize, records: bool) -> Vec<KernelDispatch> {
        let most = match self.gpu.is_software() {
            true => STEPS_A_DISPATCH_IN_SOFTWARE,
            false => STEPS_A_DISPATCH,
        };
        let steps = self.params.steps;
        let some = |from: usize| {
            let step = TrialStep {
                first: from as u32,
                count: most.min(steps - from) as u32,
                steps: steps as u32,
                trial: first as u32,
                records: records.into(),
                ..TrialStep::default()
            };
            dispatch("trials", KernelId::Trial, trials, &step)
        };
        (0..steps).step_by(most).map(some).collect()
    }

    /// The spikes of trials that are on the device.
    fn counts(&self, trials: usize) -> Result<Vec<Trial>, EngineError> {
        let pre_cells = self.params.pre_cells();
        let all: Vec<u32> = self.program.read("counts", 0..trials * pre_cells)?;
        let trial = |counts: &[u32]| Trial {
            counts: counts.to_vec(),
            spikes: Vec::new(),
        };
        Ok(all.chunks_exact(pre_cells).map(trial).collect())
    }
}

/// Parts of a list of trials that go to the device together: not too many, nor of too many events.
fn parts(trials: &[(usize, &TrialInput)], most_trials: usize) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut events = 0;
    for (number, (_, trial)) in trials.iter().enumerate() {
        events += trial.events.len();
        match parts.last_mut() {
            Some(part) if part.len() < most_trials && events <= MOST_EVENTS => part.end += 1,
            _ => {
                events = trial.events.len();
                parts.push(number..number + 1);
            }
        }
    }
    parts
}

/// Trials side by side that fit into `budget` bytes, at least one for each lane.
fn slots(params: &Params, sizes: Sizes, lanes: usize, budget: u64) -> Result<usize, EngineError> {
    let of_a_slot = 4 * (sizes.slot_words + 4 * params.neurons) as u64;
    let synapses = (params.pre_cells() * params.neurons) as u64;
    let fixed = 4 * synapses * (lanes as u64 + 5);
    let left = budget.saturating_sub(fixed) / of_a_slot;
    if left < lanes as u64 {
        return Err(EngineError::Memory(format!(
            "{} of this size need {} of device memory, of which {} may be used; allow more with --memory, or use \
             --device cpu",
            count(lanes, "network", "networks"),
            bytes(fixed + lanes as u64 * of_a_slot),
            bytes(budget)
        )));
    }
    Ok((left as usize).min(MOST_TRIALS).max(lanes))
}

/// Every buffer of a program.
fn buffers(params: &Params, sizes: Sizes, lanes: usize, slots: usize) -> Vec<BufferSpec> {
    let (n, pre_cells) = (params.neurons, params.pre_cells());
    let synapses = n * pre_cells;
    let recovery = 3 * Recovery::<f32>::new(params).recovered.len().max(1);
    vec![
        BufferSpec::new("cells", "neurons", 4 * n + 1 + EQUATION.len()),
        BufferSpec::new("inhibits", "signs", pre_cells),
        BufferSpec::new("classes", "classes", n),
        BufferSpec::new("learns", "plastic synapses", synapses),
        BufferSpec::new("synapses", "default weights", 4 * synapses),
        BufferSpec::new("pull", "decay by cell", 2 * n),
        BufferSpec::new("rates", "rates by counts", 2 * (params.steps + 1)),
        BufferSpec::new("recovery", "recovery of synapses", recovery),
        BufferSpec::new("weights", "weights", lanes * synapses),
        BufferSpec::new("theta", "thresholds", lanes * n),
        BufferSpec::new("events", "input events", 1),
        BufferSpec::new("ranges", "trials of input events", 2),
        BufferSpec::new("counts", "spike counts", pre_cells),
        BufferSpec::new("lanes", "lanes of trials", 1),
        BufferSpec::new("targets", "classes of trials", 1),
        BufferSpec::new("keys", "keys of trials", 2),
        BufferSpec::scratch("state", "states of neurons", 4 * n * slots),
        BufferSpec::scratch("scratch", "spikes and resources", sizes.slot_words * slots),
        BufferSpec::scratch("sums", "sums of weights", 2 * lanes * n),
        BufferSpec::scratch("raster", "spikes of a trial", params.steps * sizes.words),
    ]
}

impl Engine for GpuEngine {
    fn params(&self) -> &Params {
        &self.params
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn train(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError> {
        let mut done: Vec<Vec<Trial>> = vec![Vec::new(); work.len()];
        // Trial by trial, those of all lanes side by side.
        let longest = work.iter().map(|(_, trials)| trials.len()).max();
        let rounds: Vec<Vec<(usize, usize, &TrialInput)>> = (0..longest.unwrap_or(0))
            .map(|number| {
                let own = work.iter().enumerate();
                let own = own.filter_map(|(place, (lane, trials))| {
                    Some((place, *lane, trials.get(number)?))
                });
                own.collect()
            })
            .collect();
        // Whole rounds go to the device together.
        for rounds in rounds.chunks((MOST_TRIALS / work.len().max(1)).clamp(1, MOST_ROUNDS)) {
            let all: Vec<_> = rounds.iter().flatten().copied().collect();
            let inputs: Vec<_> = all.iter().map(|(_, lane, trial)| (*lane, *trial)).collect();
            self.upload(&inputs)?;
            let mut dispatches = Vec::new();
            let mut first = 0;
            for round in rounds {
                dispatches.extend(self.steps(first, round.len(), false));
                let step = LearnStep {
                    trial: first as u32,
                    steps: self.params.steps as u32,
                    ..LearnStep::default()
                };
                dispatches.push(dispatch("plasticity", KernelId::Learn, round.len(), &step));
                first += round.len();
            }
            self.program.run(&dispatches)?;
            for ((place, ..), trial) in all.iter().zip(self.counts(all.len())?) {
                done[*place].push(trial);
            }
        }
        Ok(done)
    }

    fn run(&mut self, work: &[LaneTrials<'_>]) -> Result<Vec<Vec<Trial>>, EngineError> {
        let of_lane = |(lane, trials): &LaneTrials<'_>| -> Vec<(usize, TrialInput)> {
            trials.iter().map(|trial| (*lane, trial.clone())).collect()
        };
        let all: Vec<(usize, TrialInput)> = work.iter().flat_map(of_lane).collect();
        let all: Vec<(usize, &TrialInput)> = all.iter().map(|(lane, t)| (*lane, t)).collect();
        let mut done = Vec::with_capacity(all.len());
        for part in parts(&all, self.slots) {
            self.upload(&all[part.clone()])?;
            let dispatches = self.steps(0, part.len(), false);
            self.program.run(&dispatches)?;
            done.extend(self.counts(part.len())?);
        }
        let mut done = done.into_iter();
        let take = |(_, trials): &LaneTrials<'_>| done.by_ref().take(trials.len()).collect();
        Ok(work.iter().map(take).collect())
    }

    fn record(&mut self, lane: usize, trial: &TrialInput) -> Result<Trial, EngineError> {
        self.upload(&[(lane, trial)])?;
        let dispatches = self.steps(0, 1, true);
        self.program.run(&dispatches)?;
        let words = self.sizes.words;
        let raster: Vec<u32> = self.program.read("raster", 0..self.params.steps * words)?;
        let mut spikes = Vec::new();
        for (at, &bits) in raster.iter().enumerate() {
            let own = (0..32).filter(|bit| bits >> bit & 1 == 1);
            let (step, first) = ((at / words) as u32, (at % words * 32) as u32);
            spikes.extend(own.map(|bit| [step, first + bit]));
        }
        let mut counted = self.counts(1)?;
        let counts = counted.remove(0).counts;
        Ok(Trial { counts, spikes })
    }

    fn read(&mut self, lane: usize) -> Result<Learnt, EngineError> {
        let n = self.params.neurons;
        let synapses = n * self.params.pre_cells();
        Ok(Learnt {
            weights: self
                .program
                .read("weights", lane * synapses..(lane + 1) * synapses)?,
            theta_hz: self.program.read("theta", lane * n..(lane + 1) * n)?,
        })
    }

    fn load(&mut self, lane: usize, learnt: &Learnt) -> Result<(), EngineError> {
        let synapses = learnt.weights.len();
        self.program
            .write("weights", lane * synapses, &learnt.weights)?;
        self.program
            .write("theta", lane * learnt.theta_hz.len(), &learnt.theta_hz)?;
        Ok(())
    }

    fn describe(&self) -> String {
        "GPU engine, a workgroup a trial".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::izhikevich::init::draw;
    use crate::izhikevich::settings::{Config, LateralKind, Offset};
    use crate::izhikevich::stimuli::Stimuli;
    use crate::izhikevich::trial::{Constants, TrialState};
    use crate::izhikevich::weights::Layout;

    /// Spikes are too coarse to tell whether every operation is rounded as on the processor.
    #[test]
    fn every_state_of_every_step_is_that_of_the_processor() {
        let Some(gpu) = crate::gpu::testing::test_gpu().filter(Gpu::is_software) else {
            return;
        };
        let mut config = Config::default();
        config.data.gratings.offset = Offset::Random;
        config.network.trial_ms = 100.0;
        config.network.outputs = 6;
        config.network.hidden = vec![10];
        config.network.feedback = 0.3;
        config.network.drive = 14.0;
        config.network.lateral.kind = LateralKind::Own;
        config.network.lateral.drive = 60.0;
        config.network.lateral.weight = 20.0;
        let stimuli = Stimuli::load(&config, None).unwrap();
        let network = draw(&config, &Layout::new(&config), &stimuli);
        let params = config.params();
        let networks = std::slice::from_ref(&network);
        let mut engine = GpuEngine::new(Arc::new(gpu), &params, networks, None).unwrap();
        let constants = Constants::<f32>::new(&params, &network);
        let numbers = 4 * params.neurons;
        for sample in 0..3 {
            let trial = stimuli.frozen_trial(sample);
            let mut state = TrialState::new(&constants);
            engine.upload(&[(0, &trial)]).unwrap();
            for step in 0..params.steps as u32 {
                state.step(&constants, &network.weights, &trial);
                let told = TrialStep {
                    first: step,
                    count: 1,
                    steps: params.steps as u32,
                    ..TrialStep::default()
                };
                let dispatch = dispatch("trials", KernelId::Trial, 1, &told);
                engine.program.run(&[dispatch]).unwrap();
                let found: Vec<f32> = engine.program.read("state", 0..numbers).unwrap();
                assert!(
                    found == state.numbers(params.neurons),
                    "trial {sample}, step {step}"
                );
            }
            assert!(state.counts.iter().sum::<u32>() > 100);
        }
    }
}
