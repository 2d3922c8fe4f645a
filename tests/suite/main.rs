//! Every test of the whole program and of its parts from outside, as one program: it is built once, and
//! its tests share the processors.

mod browser;
mod common;
mod program;

mod analyse;
mod belonging;
mod checkpoint;
mod cli;
mod cli_bench;
mod cli_check;
mod cli_gpu;
mod cli_kill;
mod conductance_closed_form;
mod conductance_dale;
mod conductance_determinism;
mod conductance_gpu;
mod conductance_gradients;
mod conductance_initial_weights;
mod conductance_load;
mod conductance_optimiser;
mod config;
mod config_errors;
mod config_properties;
mod data_fetch;
mod data_malformed;
mod frozen;
mod gpu;
mod gpu_faults;
#[cfg(unix)]
mod interrupt;
mod izhikevich;
mod izhikevich_runs;
mod messages;
mod parity;
mod parity_faults;
mod parity_malformed;
mod rate_rnn;
mod rate_rnn_lanes;
mod rate_rnn_runs;
mod report_browser;
mod rhythm;
mod run_folder;
mod spectra;
mod study;
mod sweep;
mod train;
