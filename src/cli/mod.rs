//! The command line: one thin file a subcommand.

pub mod error;
pub mod output;

mod analyse;
mod arguments;
mod bench;
mod check;
mod config;
mod data;
mod eval;
mod info;
mod parity;
mod predict;
mod probe;
mod report;
mod resume;
mod spectra;
mod study;
mod sweep;
mod train;
mod weights;

use clap::{Parser, Subcommand};

/// Everything went well.
const SUCCESS: u8 = 0;
/// What was compared is not equal.
const NOT_EQUAL: u8 = 1;

/// Trains and simulates neural networks that obey Dale's law, on the GPU and the CPU.
///
/// Exit codes: 0 done; 1 failed, or not equal; 2 wrong use, configuration or data; 3 no such device, one that
/// fails, or too little memory; 130 and 143 interrupted by Ctrl-C and SIGTERM.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network and keep everything in a run folder
    Train(train::Args),
    /// Continue a run exactly from its last checkpoint
    Resume(resume::Args),
    /// Measure a trained network on the test samples of its run
    Eval(eval::Args),
    /// Measure a trained network with its loop made weaker and stronger
    Sweep(sweep::Args),
    /// Analyse rhythm, firing rates, weights and the E–I loop of a trained network
    Analyse(analyse::Args),
    /// Classify new images or spike trains with a trained network
    Predict(predict::Args),
    /// Probe single cells and synapses of Izhikevich networks, and draw what comes out
    #[command(subcommand)]
    Probe(probe::Command),
    Spectra(spectra::Args),
    /// Write the weights of a run to a plain file
    Export(weights::ExportArgs),
    /// Make a run folder that begins with the weights of a file
    Import(weights::ImportArgs),
    /// Run studies: many runs along axes, their state and their tables
    #[command(subcommand)]
    Study(study::Command),
    /// Write the page of a run or a study, with figures and numbers
    Report(report::Args),
    /// Compare the engines with golden cases
    Parity(parity::Args),
    /// Fetch, inspect or draw data
    #[command(subcommand)]
    Data(data::Command),
    /// Print a configuration with every key, or the schema of all keys
    Config(config::Args),
    /// Measure how fast networks train and run on a device, compared with its measured ceilings
    Bench(bench::Args),
    /// Check that a device computes what it should, and how fast
    Check(check::Args),
    /// Show the devices of this machine and which one would be used
    Info(info::Args),
}

/// Runs what the command line asks for; the result is the exit code.
///
/// # Errors
/// Whatever the subcommand reports.
pub fn run() -> error::Result<u8> {
    match Cli::parse().command {
        Command::Train(args) => train::run(args),
        Command::Resume(args) => resume::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Analyse(args) => analyse::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Probe(command) => probe::run(command),
        Command::Spectra(args) => spectra::run(args),
        Command::Export(args) => weights::export(args),
        Command::Import(args) => weights::import(args),
        Command::Study(command) => study::run(command),
        Command::Report(args) => report::run(args),
        Command::Parity(args) => parity::run(args),
        Command::Data(command) => data::run(command),
        Command::Config(args) => config::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Check(args) => check::run(args),
        Command::Info(args) => info::run(args),
    }
}
