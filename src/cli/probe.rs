//! `dalenet probe`: single cells and synapses under protocols of the laboratory.

use std::path::PathBuf;

use dalenet::families::{self, Config};
use dalenet::izhikevich::probe::{self, Probe};
use dalenet::izhikevich::settings;

use super::SUCCESS;
use super::error::Result;
use super::output::{say_figures, say_summary};

/// Probe single cells and synapses of Izhikevich networks, and draw what comes out
#[derive(clap::Subcommand)]
pub enum Command {
    /// What protocols of potentiation and depression change, by every rule of plasticity
    Induction {
        /// Run folder, or configuration, whose settings are used
        #[arg(value_name = "RUN|CONFIG", default_value = "orientation")]
        of: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Rate of every kind of neuron under a constant current, at several time steps
    Neurons {
        #[command(flatten)]
        output: Output,
    },
    /// What small circuits answer to two inputs: a resonator, feed-forward inhibition, two pools that inhibit each other
    Gates {
        #[command(flatten)]
        output: Output,
    },
}

/// Where the outcome goes.
#[derive(clap::Args)]
pub struct Output {
    /// Folder for the figures
    #[arg(long, value_name = "DIR", default_value = "probes")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(command: Command) -> Result<u8> {
    let (probe, output) = match command {
        Command::Induction { of, output } => (probe::induction(&config(&of)?), output),
        Command::Neurons { output } => (probe::neurons(), output),
        Command::Gates { output } => (probe::gates(), output),
    };
    let Probe { summary, figures } = probe;
    say_summary(&summary, output.json);
    let figures = figures
        .into_iter()
        .map(|figure| figure.map(|sheet| sheet.drawn()));
    say_figures(&output.out, figures.collect(), output.json)?;
    Ok(SUCCESS)
}

/// The settings of a run, or of a configuration.
fn config(of: &std::path::Path) -> Result<settings::Config> {
    let config: Config = match of.join("config.json").is_file() {
        true => families::open(of)?.config,
        false => families::load(Some(of), &[], None)?,
    };
    Ok(config.try_into()?)
}
