//! The network that a configuration describes, with its initial weights.

use std::ops::Range;

use super::network::{Network, Neuron};
use super::settings::{Config, Distribution, LateralKind};
use super::weights::{Block, Layout};
use crate::random::{Purpose, Stream};

/// Draws a network whose outputs stand for `classes`, and whose inputs fire at `input_hz` on average.
pub fn draw(config: &Config, layout: &Layout, classes: usize, input_hz: f64) -> Network {
    let builder = Builder {
        config,
        layout,
        input_hz,
    };
    let n = layout.neurons;
    let pre_cells = layout.n_in + n;
    let inhibits = builder.inhibits();
    let kind = |inhibits: &bool| -> Neuron {
        let network = &config.network;
        match inhibits {
            true => network.inhibitory.neuron(),
            false => network.excitatory.neuron(),
        }
    };
    let outputs = layout.outputs();
    let class = |j: usize| {
        let number = j.checked_sub(outputs.start).filter(|_| j < outputs.end)?;
        Some((number % classes.max(1)) as u32)
    };
    let mut network = Network {
        neurons: inhibits[layout.n_in..].iter().map(kind).collect(),
        classes: (0..n).map(class).collect(),
        learns: vec![false; pre_cells * n],
        w_default: vec![0.0; pre_cells * n],
        weights: vec![0.0; pre_cells * n],
        inhibits,
    };
    for (number, block) in layout.blocks.iter().enumerate() {
        builder.fill(&mut network, number, block);
    }
    network
}

struct Builder<'a> {
    config: &'a Config,
    layout: &'a Layout,
    input_hz: f64,
}

impl Builder<'_> {
    fn inhibits(&self) -> Vec<bool> {
        let network = &self.config.network;
        let mut inhibits = vec![false; self.layout.n_in + self.layout.neurons];
        for population in &self.layout.populations {
            let own = &mut inhibits[population.cells.clone()];
            let cells = own.len();
            let share = |fraction: f64| (fraction * cells as f64).round() as usize;
            match population.name.as_str() {
                "input" | "output" => {}
                "lateral" => {
                    let excitatory = share(network.lateral.excitatory_fraction);
                    own[..cells - excitatory].fill(true);
                }
                _ => own[cells - share(network.hidden_inhibitory_fraction)..].fill(true),
            }
        }
        inhibits
    }

    /// Excitatory cells of a population, to whose number a drive is scaled.
    fn excitatory(&self, cells: &Range<usize>, inhibits: &[bool]) -> f64 {
        let own = inhibits[cells.clone()].iter();
        own.filter(|inhibits| !**inhibits).count().max(1) as f64
    }

    /// Default and initial weights of a block.
    fn fill(&self, network: &mut Network, number: usize, block: &Block) {
        let settings = &self.config.network;
        let tau_s = settings.tau_exc_ms / 1000.0;
        // Mean current = cells × rate × weight × τ.
        let inputs = self.layout.n_in as f64 * self.input_hz;
        let of_hidden =
            self.excitatory(&block.pre, &network.inhibits) * self.config.plasticity.r0_hz;
        let per_current = |hz: f64| match hz > 0.0 {
            true => 1.0 / (hz * tau_s),
            false => 0.0,
        };
        let (pre_name, post_name) = block.name.split_once('_').unwrap_or_default();
        let is_lateral = pre_name == "lateral" || post_name == "lateral";
        let (exc, inh) = match (pre_name, post_name) {
            ("input", "output") => (settings.drive * per_current(inputs), 0.0),
            ("input", _) => (settings.hidden_drive * per_current(inputs), 0.0),
            ("output", "output") => (settings.output_recurrence, 0.0),
            ("output", "lateral") => (settings.lateral.drive, 0.0),
            ("output", _) => (settings.feedback, 0.0),
            ("lateral", _) => (settings.lateral.weight, settings.lateral.weight),
            (_, "output") => (
                settings.hidden_output_drive * per_current(of_hidden),
                settings.hidden_inhibition,
            ),
            (pre, post) if pre == post => (settings.hidden_recurrence, settings.hidden_inhibition),
            _ => (
                settings.hidden_drive * per_current(of_hidden),
                settings.hidden_inhibition,
            ),
        };
        let n = self.layout.neurons;
        let is_own = settings.lateral.kind == LateralKind::Own && is_lateral;
        let learns = !is_lateral || settings.lateral.learns;
        let spreads = learns;
        let mut stream = Stream::new(
            Purpose::Weights,
            self.config.seeds.weights,
            number as u64,
            0,
        );
        for (row, pre) in block.pre.clone().enumerate() {
            for (column, post) in block.post.clone().enumerate() {
                let own = row == column;
                let factor = self.factor(&mut stream);
                let is_there = match (pre_name, post_name) {
                    ("output", "lateral") if is_own => own,
                    ("lateral", "output") if is_own => !own,
                    _ => pre != self.layout.n_in + post,
                };
                let w0 = if network.inhibits[pre] { inh } else { exc } as f32;
                if is_there && w0 > 0.0 {
                    let at = pre * n + post;
                    network.w_default[at] = w0;
                    network.learns[at] = learns;
                    network.weights[at] = if spreads { factor as f32 * w0 } else { w0 };
                }
            }
        }
    }

    /// What a default weight is multiplied by at the start: 1 on average.
    fn factor(&self, stream: &mut Stream) -> f64 {
        let weights = &self.config.weights;
        let uniform = stream.uniform_f64_open();
        match weights.distribution {
            Distribution::Uniform => 1.0 + weights.spread * (2.0 * uniform - 1.0),
            Distribution::Exponential => -libm::log(uniform),
        }
    }
}
