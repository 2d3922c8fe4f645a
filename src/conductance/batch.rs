//! What goes into an engine and what comes out of it: trials as event lists, spikes as bits.

use crate::data::Event;

/// Trials handed to an engine together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Input events of all trials, trial after trial, each sorted by (step, input).
    pub events: Vec<Event>,
    /// Where each trial's events begin, and the end: `trials + 1` entries.
    pub offsets: Vec<u32>,
    /// Class of each trial.
    pub labels: Vec<u32>,
}

impl Batch {
    /// A batch of event lists with their labels.
    pub fn new<'a>(trials: impl IntoIterator<Item = (&'a [Event], u32)>) -> Self {
        let mut batch = Self {
            offsets: vec![0],
            ..Self::default()
        };
        for (events, label) in trials {
            batch.events.extend_from_slice(events);
            batch.offsets.push(batch.events.len() as u32);
            batch.labels.push(label);
        }
        batch
    }

    /// Number of trials.
    pub fn trials(&self) -> usize {
        self.labels.len()
    }

    /// Events of one trial.
    pub fn events_of(&self, trial: usize) -> &[Event] {
        &self.events[self.offsets[trial] as usize..self.offsets[trial + 1] as usize]
    }
}

/// Which cells a bit of a [`SpikeBits`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Population {
    /// Excitatory cells: spikes.
    E,
    /// Inhibitory cells: spikes.
    I,
    /// Read-out: resets.
    Out,
}

/// Spikes and read-out resets of a batch as bits. A row is one step of one trial: the words of the
/// E cells, of the I cells, of the classes; cell `c` is bit `c % 32` of word `c / 32`. Rows lie
/// `[trial, step]`. Both engines and the shaders use this layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpikeBits {
    /// Trials.
    pub trials: usize,
    /// Steps of a trial.
    pub steps: usize,
    /// E cells, I cells, classes.
    pub cells: [usize; 3],
    /// All rows.
    pub words: Vec<u32>,
}

impl SpikeBits {
    /// A raster without spikes.
    pub fn silent(trials: usize, steps: usize, cells: [usize; 3]) -> Self {
        let row: usize = cells.iter().map(|n| n.div_ceil(32)).sum();
        Self {
            trials,
            steps,
            cells,
            words: vec![0; trials * steps * row],
        }
    }

    /// Words of a row.
    pub fn row_words(&self) -> usize {
        self.cells.iter().map(|n| n.div_ceil(32)).sum()
    }

    /// Words of one population in a row.
    pub fn words_of(&self, population: Population) -> std::ops::Range<usize> {
        let [e, i, out] = self.cells.map(|n| n.div_ceil(32));
        match population {
            Population::E => 0..e,
            Population::I => e..e + i,
            Population::Out => e + i..e + i + out,
        }
    }

    /// The row of a step.
    pub fn row(&self, trial: usize, step: usize) -> &[u32] {
        let n = self.row_words();
        &self.words[(trial * self.steps + step) * n..][..n]
    }

    /// The rows of every trial.
    pub fn trials_mut(&mut self) -> impl Iterator<Item = &mut [u32]> {
        let n = self.row_words() * self.steps;
        self.words.chunks_exact_mut(n.max(1))
    }

    /// Sets one bit.
    pub fn set(&mut self, trial: usize, step: usize, population: Population, cell: usize) {
        let n = self.row_words();
        let first = self.words_of(population).start;
        self.words[(trial * self.steps + step) * n + first + cell / 32] |= 1 << (cell % 32);
    }

    /// The set bits of one population in a step, ascending.
    pub fn cells_at(
        &self,
        trial: usize,
        step: usize,
        population: Population,
    ) -> impl Iterator<Item = usize> + '_ {
        set_bits(&self.row(trial, step)[self.words_of(population)])
    }

    /// All set bits of one population as (trial, step, cell), sorted.
    pub fn spikes(&self, population: Population) -> Vec<(usize, usize, usize)> {
        let mut all = Vec::new();
        for trial in 0..self.trials {
            for step in 0..self.steps {
                all.extend(
                    self.cells_at(trial, step, population)
                        .map(|c| (trial, step, c)),
                );
            }
        }
        all
    }
}

/// Indices of the set bits of `words`, ascending.
pub fn set_bits(words: &[u32]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(i, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                i * 32 + bit
            })
        })
    })
}

/// A decision the engine would have taken otherwise than the imposed spikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disagreement {
    /// Trial in the batch.
    pub trial: usize,
    /// Step.
    pub step: usize,
    /// Population.
    pub population: Population,
    /// Cell or class.
    pub cell: usize,
    /// The engine's own value (membrane voltage in mV, or read-out voltage).
    pub value: f64,
    /// The engine's own decision.
    pub fires: bool,
}

/// State of every cell of one trial at every step, `[step, cell]`: the voltage after integration and
/// floor and before the reset, and the conductances that the membrane used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traces {
    /// E voltage, mV.
    pub v_e: Vec<f64>,
    /// E excitatory conductance, µS.
    pub g_exc_e: Vec<f64>,
    /// E inhibitory conductance, µS.
    pub g_inh_e: Vec<f64>,
    /// I voltage, mV.
    pub v_i: Vec<f64>,
    /// I excitatory conductance, µS.
    pub g_exc_i: Vec<f64>,
    /// I inhibitory conductance, µS.
    pub g_inh_i: Vec<f64>,
}

/// What a forward pass is asked for besides logits and spike counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Spikes and resets to impose instead of the engine's own decisions.
    pub imposed: Option<&'a SpikeBits>,
    /// Return the engine's own decisions as a raster.
    pub raster: bool,
    /// Return the traces of the first trial.
    pub traces: bool,
}

/// Result of a forward pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forward {
    /// Class scores, `[trial, class]`.
    pub logits: Vec<f64>,
    /// Spikes of each E cell, `[trial, cell]`.
    pub counts_e: Vec<u32>,
    /// Spikes of each I cell, `[trial, cell]`.
    pub counts_i: Vec<u32>,
    /// The spikes, where asked for: the engine's own, or those imposed.
    pub raster: Option<SpikeBits>,
    /// Traces of the first trial, where asked for.
    pub traces: Option<Traces>,
    /// Decisions that differ from the imposed spikes.
    pub disagreements: Vec<Disagreement>,
}
