//! tmp
pub mod conductance;
pub mod config;
pub mod data;
pub mod gpu;
pub mod optim;
pub mod parity;
pub mod random;
pub mod real;
