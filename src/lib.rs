//! Trains and simulates neural networks that obey Dale's law, on the GPU and the CPU.
//!
//! The way of the data: configuration ([`config`]) → samples and event lists ([`data`]) → plan and
//! engine ([`conductance`], on [`gpu`] or the CPU) → training ([`train`]) → metrics and weights in a
//! run folder → [`analysis`] → read back as a [`record`] → figures and pages ([`report`]). [`families`]
//! joins them, [`study`] makes many of them, and [`mod@bench`] measures the engines. Each family holds its
//! own part of every step in a folder of its own: [`conductance`], [`rate_rnn`],
//! [`izhikevich`].

// Outside tests nothing may panic on what a user brings.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod analysis;
pub mod bench;
pub mod check;
pub mod conductance;
pub mod config;
pub mod data;
pub mod device;
pub mod families;
pub mod fault;
pub mod files;
pub mod gpu;
pub mod izhikevich;
pub mod optim;
pub mod parity;
pub mod product;
pub mod random;
pub mod rate_rnn;
pub mod real;
pub mod record;
pub mod report;
pub mod spectra;
pub mod study;
pub mod summary;
pub mod text;
pub mod train;
