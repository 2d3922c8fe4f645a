//! Cells and synapses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of a neuron: a (1/ms), b, c (mV) and d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neuron {
    /// Rate of the recovery variable, 1/ms.
    pub a: f32,
    /// Its coupling to the voltage.
    pub b: f32,
    /// Voltage after a spike, mV.
    pub c: f32,
    /// What a spike adds to the recovery variable.
    pub d: f32,
}

/// Kinds of neurons (Izhikevich 2003; the resonator as of 2004).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Regular spiking.
    Rs,
    /// Intrinsically bursting.
    Ib,
    /// Chattering.
    Ch,
    /// Fast spiking.
    Fs,
    /// Low-threshold spiking.
    Lts,
    /// Thalamo-cortical.
    Tc,
    /// Resonator.
    Rz,
}

impl Preset {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Rs,
        Self::Ib,
        Self::Ch,
        Self::Fs,
        Self::Lts,
        Self::Tc,
        Self::Rz,
    ];

    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs => "rs",
            Self::Ib => "ib",
            Self::Ch => "ch",
            Self::Fs => "fs",
            Self::Lts => "lts",
            Self::Tc => "tc",
            Self::Rz => "rz",
        }
    }

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rs => "regular spiking",
            Self::Ib => "intrinsically bursting",
            Self::Ch => "chattering",
            Self::Fs => "fast spiking",
            Self::Lts => "low-threshold spiking",
            Self::Tc => "thalamo-cortical",
            Self::Rz => "resonator",
        }
    }

    /// Its parameters.
    pub fn neuron(self) -> Neuron {
        let [a, b, c, d] = match self {
            Self::Rs => [0.02, 0.2, -65.0, 8.0],
            Self::Ib => [0.02, 0.2, -55.0, 4.0],
            Self::Ch => [0.02, 0.2, -50.0, 2.0],
            Self::Fs => [0.1, 0.2, -65.0, 2.0],
            Self::Lts => [0.02, 0.25, -65.0, 2.0],
            Self::Tc => [0.02, 0.25, -65.0, 0.05],
            Self::Rz => [0.1, 0.26, -60.0, -1.0],
        };
        Neuron { a, b, c, d }
    }
}

/// Cells and synapses of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The neurons: hidden, then output, then lateral ones.
    pub neurons: Vec<Neuron>,
    /// Whether a pre cell inhibits, inputs first.
    pub inhibits: Vec<bool>,
    /// The class that a neuron stands for, if any.
    pub classes: Vec<Option<u32>>,
    /// Which synapses learn, `[pre, post]`.
    pub learns: Vec<bool>,
    /// Default weights w₀, `[pre, post]`; 0 where there is no synapse.
    pub w_default: Vec<f32>,
    /// Weights before the first trial, `[pre, post]`; 0 where there is no synapse.
    pub weights: Vec<f32>,
}
