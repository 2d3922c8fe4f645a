//! The cells of a network by what they are, its blocks of synapses, and the tensors that a run stores of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::engine::Learnt;
use super::network::Network;
use super::settings::Config;
use crate::fault::always;
use crate::train::checkpoint::{Tensor, Tensors};

/// The sliding thresholds among the stored tensors.
pub const THETA: &str = "theta_hz";

/// Why tensors do not fit a network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum WeightsError {
    /// A tensor is absent.
    #[error("there is no tensor `{name}`; this network needs: {needed}")]
    Missing {
        /// The tensor.
        name: String,
        /// All that are needed.
        needed: String,
    },
    /// A tensor has another shape than the network.
    #[error("tensor `{name}` is {found:?}, but the network needs {needed:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape needed.
        needed: Vec<usize>,
    },
    /// A number below 0, or one where there is no synapse.
    #[error("tensor `{name}` holds {value} at entry {entry}, {problem}")]
    Value {
        /// The tensor.
        name: String,
        /// Where in it.
        entry: usize,
        /// What it holds.
        value: f32,
        /// What is wrong with that.
        problem: &'static str,
    },
}

always!(WeightsError => User);

/// Cells of one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Population {
    /// `input`, `hidden1`, …, `output`, `lateral`, and `lateral1`, … of the hidden layers.
    pub name: String,
    /// Its cells among all pre cells.
    pub cells: Range<usize>,
}

/// Synapses from one population to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// `input_output`, …
    pub name: String,
    /// Pre cells.
    pub pre: Range<usize>,
    /// Post cells, among the neurons.
    pub post: Range<usize>,
}

/// Where cells and synapses lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Inputs.
    pub n_in: usize,
    /// Neurons.
    pub neurons: usize,
    /// Populations, inputs first.
    pub populations: Vec<Population>,
    /// Blocks in which there are synapses.
    pub blocks: Vec<Block>,
}

impl Layout {
    /// Of a configuration.
    pub fn new(config: &Config) -> Self {
        let n_in = config.inputs();
        let network = &config.network;
        let hidden = || (1..).zip(&network.hidden);
        let of_layer = |cells: usize| network.hidden_lateral.count(network.excitatory_of(cells));
        let named = hidden().map(|(layer, &cells)| (format!("hidden{layer}"), cells));
        let lateral = hidden().map(|(layer, &cells)| (format!("lateral{layer}"), of_layer(cells)));
        let outputs = network.outputs;
        let others = [
            ("output".to_owned(), outputs),
            ("lateral".to_owned(), network.lateral.count(outputs)),
        ];
        let mut layout = Self {
            n_in,
            neurons: 0,
            populations: Vec::new(),
            blocks: Vec::new(),
        };
        layout.populate("input".into(), n_in);
        for (name, cells) in named.chain(others).chain(lateral) {
            layout.populate(name, cells);
        }
        layout.neurons -= n_in;
        let mut below = "input".to_owned();
        for (layer, _) in hidden() {
            let own = format!("hidden{layer}");
            layout.connect(&below, &own);
            if network.hidden_recurrence > 0.0 {
                layout.connect(&own, &own);
            }
            let lateral = format!("lateral{layer}");
            layout.connect(&own, &lateral);
            layout.connect(&lateral, &own);
            below = own;
        }
        if network.direct {
            layout.connect("input", "output");
        }
        if !network.hidden.is_empty() {
            layout.connect(&below, "output");
            if network.feedback > 0.0 {
                layout.connect("output", &below);
            }
        }
        if network.output_recurrence > 0.0 {
            layout.connect("output", "output");
        }
        layout.connect("output", "lateral");
        layout.connect("lateral", "output");
        layout
    }

    /// Adds a population after all others, inputs counted among the neurons.
    fn populate(&mut self, name: String, cells: usize) {
        if cells > 0 {
            let first = self.neurons;
            self.neurons += cells;
            let cells = first..self.neurons;
            self.populations.push(Population { name, cells });
        }
    }

    /// Adds a block where both populations are there.
    fn connect(&mut self, pre: &str, post: &str) {
        let (Some(from), Some(to)) = (self.population(pre), self.population(post)) else {
            return;
        };
        let post_cells = to.start - self.n_in..to.end - self.n_in;
        self.blocks.push(Block {
            name: format!("{pre}_{post}"),
            pre: from,
            post: post_cells,
        });
    }

    /// Cells of a population among all pre cells.
    pub fn population(&self, name: &str) -> Option<Range<usize>> {
        let mut all = self.populations.iter();
        all.find(|population| population.name == name)
            .map(|population| population.cells.clone())
    }

    /// The output cells, among the neurons.
    pub fn outputs(&self) -> Range<usize> {
        let cells = self.population("output").unwrap_or(0..0);
        cells.start.saturating_sub(self.n_in)..cells.end.saturating_sub(self.n_in)
    }

    /// A block by its name.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// What a run stores.
    pub fn tensors_of(&self, learnt: &Learnt) -> Tensors {
        let of_block = |block: &Block| {
            let rows = block.pre.clone();
            let row = |pre: usize| {
                let at = pre * self.neurons;
                learnt.weights[at + block.post.start..at + block.post.end].iter()
            };
            let tensor = Tensor {
                shape: vec![block.pre.len(), block.post.len()],
                data: rows.flat_map(row).copied().collect(),
            };
            (block.name.clone(), tensor)
        };
        let theta = Tensor {
            shape: vec![self.neurons],
            data: learnt.theta_hz.clone(),
        };
        let blocks = self.blocks.iter().map(of_block);
        blocks.chain([(THETA.to_owned(), theta)]).collect()
    }

    /// What a network has learnt, from the tensors of a run.
    ///
    /// # Errors
    /// One that is missing, of another shape, below 0, or above it where there is no synapse.
    pub fn learnt_of(&self, tensors: &Tensors, network: &Network) -> Result<Learnt, WeightsError> {
        let mut weights = vec![0.0; network.w_default.len()];
        for block in &self.blocks {
            let shape = [block.pre.len(), block.post.len()];
            let data = self.tensor(tensors, &block.name, &shape)?;
            for (entry, &value) in data.iter().enumerate() {
                let [row, column] = [entry / shape[1], entry % shape[1]];
                let at = (block.pre.start + row) * self.neurons + block.post.start + column;
                let problem = match network.w_default[at] {
                    0.0 if value != 0.0 => "where there is no synapse",
                    _ if value.is_nan() || value < 0.0 => "but weights are 0 or more",
                    _ => {
                        weights[at] = value;
                        continue;
                    }
                };
                return Err(WeightsError::Value {
                    name: block.name.clone(),
                    entry,
                    value,
                    problem,
                });
            }
        }
        let theta_hz = self.tensor(tensors, THETA, &[self.neurons])?.to_vec();
        Ok(Learnt { weights, theta_hz })
    }

    fn tensor<'a>(
        &self,
        tensors: &'a BTreeMap<String, Tensor>,
        name: &str,
        shape: &[usize],
    ) -> Result<&'a [f32], WeightsError> {
        let Some(tensor) = tensors.get(name) else {
            let blocks = self.blocks.iter().map(|block| block.name.as_str());
            return Err(WeightsError::Missing {
                name: name.to_owned(),
                needed: blocks.chain([THETA]).collect::<Vec<_>>().join(", "),
            });
        };
        if tensor.shape != shape || tensor.data.len() != shape.iter().product::<usize>() {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                found: tensor.shape.clone(),
                needed: shape.to_vec(),
            });
        }
        Ok(&tensor.data)
    }
}
