//! Rate RNNs under Dale's law: standard, column E/I, and Dale's ANN (DANN) recurrent networks.
//!
//! Li, Cornford, Ghosh & Richards, "Learning better with Dale's law: a spectral perspective" (NeurIPS 2023).
//! Layers are stacked; layer l reads x = h of layer l − 1 of the same step. With the effective matrices U
//! (input) and W (recurrent), both `[post, pre]`, and h(0) = 0:
//!
//! 1. units: h(t) = relu(U x(t) + W h(t−1) + b);
//! 2. read-out: o(t) = V h(t) + c, of the last layer.
//!
//! What is stored depends on the [`Kind`](params::Kind):
//!
//! * `standard`: the effective matrices themselves;
//! * `col_ei`: their absolute values; the columns of the last n_i = ⌈fraction · n⌉ presynaptic units act
//!   negatively, those of input channels never;
//! * `dann`: excitation E, and linear inhibitory units between, X into them and I out of them, all ≥ 0: the
//!   effective matrix is E − I X. A layer of n units has n_i = max(1, ⌊fraction · n⌋) of them for U and as many
//!   for W, the read-out of n_out outputs max(1, ⌊n_out/10⌋).
//!
//! The gradient, from the last step to the first, with δ for the derivative of the loss by the sum inside relu:
//!
//! 1. read-out: ∂loss/∂o(t), from the softmax cross-entropy or the mean squared error;
//! 2. units: δ(t) = [h(t) > 0] (V'ᵀ λ(t) + Wᵀ δ(t+1)), where V' and λ are the read-out and ∂loss/∂o of the last
//!    layer, U and δ of the layer above for all others;
//! 3. effective matrices: ∂loss/∂U = Σ δ(t) x(t)ᵀ, ∂loss/∂W = Σ δ(t) h(t−1)ᵀ, ∂loss/∂b = Σ δ(t), over steps and
//!    trials; the read-out likewise;
//! 4. stored matrices: by the chain rule; for dann with G = ∂loss/∂(E − I X): ∂loss/∂E = G, ∂loss/∂I = −G Xᵀ,
//!    ∂loss/∂X = −Iᵀ G.
//!
//! An optimiser step corrects the gradients of dann (X: divided by √post; I: divided by the number of presynaptic
//! units), clips (each tensor by itself; in dann the tensors of a layer together, biases included, the read-out
//! being a layer), descends, and sets stored matrices of `col_ei` and `dann`, but no biases, to max(·, 0).
//!
//! [`params`] holds sizes and recipe, [`weights`] the stored tensors and what they combine to, [`init`] their
//! initial draws, [`batch`] what goes in, [`loss`] what comes out, [`engine`] what engines can do; [`cpu`] and
//! [`gpu`] are the two engines, which do not depend on each other. [`settings`] is what a user may set, [`tasks`] makes
//! sequences of data, [`model`] joins them with an engine for the epoch loop, [`experiment`] makes runs of it all.

pub mod analyse;
pub mod analysis;
pub mod batch;
pub mod bench;
pub mod check;
pub mod cpu;
pub mod engine;
pub mod evaluate;
pub mod experiment;
pub mod figures;
pub mod findings;
pub mod gpu;
pub mod init;
pub mod lanes;
pub mod loss;
pub mod measures;
pub mod method;
pub mod metrics;
pub mod model;
pub mod open;
pub mod pages;
pub mod params;
pub mod parity;
pub mod predict;
pub mod record;
pub mod sentences;
pub mod settings;
pub mod tasks;
pub mod weights;

/// Gradients are summed within groups of this many trials and then over groups, on every engine; threads deal
/// out whole groups, so they change no bit.
pub const TRIAL_GROUP: usize = 8;
