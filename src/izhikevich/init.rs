//! The network that a configuration describes, with its initial weights.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

use super::network::{Network, Neuron};
use super::settings::{Config, Distribution, GratingClass, Lateral, LateralKind};
use super::stimuli::{Grating, Stimuli};
use super::weights::{Block, Layout};
use crate::random::{Purpose, Stream};

/// Draws a network that is to learn these stimuli.
pub fn draw(config: &Config, layout: &Layout, stimuli: &Stimuli) -> Network {
    let builder = Builder {
        config,
        layout,
        stimuli,
    };
    let classes = stimuli.classes;
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
    stimuli: &'a Stimuli,
}

impl Builder<'_> {
    fn inhibits(&self) -> Vec<bool> {
        let network = &self.config.network;
        let mut inhibits = vec![false; self.layout.n_in + self.layout.neurons];
        for population in &self.layout.populations {
            let own = &mut inhibits[population.cells.clone()];
            let cells = own.len();
            match population.name.as_str() {
                "input" | "output" => {}
                lateral if lateral.starts_with("lateral") => {
                    let fraction = self.lateral_of(lateral).excitatory_fraction;
                    let excitatory = (fraction * cells as f64).round() as usize;
                    own[..cells - excitatory].fill(true);
                }
                _ => own[network.excitatory_of(cells)..].fill(true),
            }
        }
        inhibits
    }

    fn lateral_of(&self, population: &str) -> &Lateral {
        match population {
            "lateral" => &self.config.network.lateral,
            _ => &self.config.network.hidden_lateral,
        }
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
        let inputs = self.layout.n_in as f64 * self.stimuli.mean_rate_hz();
        let of_hidden =
            self.excitatory(&block.pre, &network.inhibits) * self.config.plasticity.r0_hz;
        let per_current = |hz: f64| match hz > 0.0 {
            true => 1.0 / (hz * tau_s),
            false => 0.0,
        };
        let (pre_name, post_name) = block.name.split_once('_').unwrap_or_default();
        let is_lateral = |name: &str| name.starts_with("lateral");
        let lateral = [pre_name, post_name]
            .into_iter()
            .find(|name| is_lateral(name));
        let lateral = lateral.map(|name| self.lateral_of(name));
        let (exc, inh) = match (pre_name, post_name, lateral) {
            (pre, _, Some(lateral)) if is_lateral(pre) => (lateral.weight, lateral.weight),
            (_, _, Some(lateral)) => (lateral.drive, 0.0),
            ("input", "output", _) => (settings.drive * per_current(inputs), 0.0),
            ("input", ..) => (settings.hidden_drive * per_current(inputs), 0.0),
            ("output", "output", _) => (settings.output_recurrence, 0.0),
            ("output", ..) => (settings.feedback, 0.0),
            (_, "output", _) => (
                settings.hidden_output_drive * per_current(of_hidden),
                settings.hidden_inhibition,
            ),
            (pre, post, _) if pre == post => {
                (settings.hidden_recurrence, settings.hidden_inhibition)
            }
            _ => (
                settings.hidden_drive * per_current(of_hidden),
                settings.hidden_inhibition,
            ),
        };
        let n = self.layout.neurons;
        let own_kind = lateral.map(|lateral| lateral.kind);
        let is_own = matches!(own_kind, Some(LateralKind::Own | LateralKind::OwnAndSelf));
        let spares_itself = own_kind == Some(LateralKind::Own);
        let learns = lateral.is_none_or(|lateral| lateral.learns);
        let matched = match (self.config.weights.distribution, &block.name[..]) {
            (Distribution::Matched, "input_output") => Some(self.matched(block.post.len())),
            _ => None,
        };
        let mut stream = Stream::new(
            Purpose::Weights,
            self.config.seeds.weights,
            number as u64,
            0,
        );
        for (row, pre) in block.pre.clone().enumerate() {
            for (column, post) in block.post.clone().enumerate() {
                let same = row == column;
                let drawn = self.factor(&mut stream);
                let factor = match &matched {
                    Some(of_cells) => of_cells[column][row],
                    None => drawn,
                };
                let is_there = match is_lateral(pre_name) {
                    true => !(spares_itself && same),
                    false if is_own => same,
                    false => pre != self.layout.n_in + post,
                };
                let w0 = if network.inhibits[pre] { inh } else { exc } as f32;
                if is_there && w0 > 0.0 {
                    let at = pre * n + post;
                    network.w_default[at] = w0;
                    network.learns[at] = learns;
                    network.weights[at] = if learns { factor as f32 * w0 } else { w0 };
                }
            }
        }
    }

    /// Weights of the inputs to each output cell over the default one, where they are wired by hand.
    fn matched(&self, outputs: usize) -> Vec<Vec<f64>> {
        let gratings = &self.config.data.gratings;
        let classes = self.stimuli.classes;
        let of_cell = |cell: usize| {
            let (class, number) = (cell % classes, cell / classes);
            let pool = outputs.div_ceil(classes);
            let (angle_deg, frequency) = match gratings.class {
                GratingClass::Orientation => {
                    (gratings.orientations_deg[class], gratings.frequencies[0])
                }
                GratingClass::Frequency => {
                    (gratings.orientations_deg[0], gratings.frequencies[class])
                }
            };
            let grating = Grating {
                frequency,
                angle: angle_deg * PI / 180.0,
                phase: TAU * number as f64 / pool as f64,
            };
            let rates = self.stimuli.rates_of_grating(grating, 0.0);
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            rates.iter().map(|hz| hz / mean).collect()
        };
        (0..outputs).map(of_cell).collect()
    }

    /// What a default weight is multiplied by at the start: 1 on average.
    fn factor(&self, stream: &mut Stream) -> f64 {
        let weights = &self.config.weights;
        let uniform = stream.uniform_f64_open();
        match weights.distribution {
            Distribution::Uniform => 1.0 + weights.spread * (2.0 * uniform - 1.0),
            Distribution::Exponential => -libm::log(uniform),
            Distribution::Matched => 1.0,
        }
    }
}
