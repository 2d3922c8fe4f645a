//! `dalenet config`: what a configuration says, key by key.

use std::path::PathBuf;

use dalenet::config;
use dalenet::families::{BUILTINS, Family};
use dalenet::train::metrics::metrics_table_markdown;

use super::SUCCESS;
use super::arguments::Overrides;
use super::error::{Result, UsageError};
use super::output::say;

/// Print a configuration with every key, or the schema of all keys
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// Configuration file or built-in name
    #[arg(group = "what")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Print the JSON Schema of a family: every key with its default, range and meaning
    #[arg(long, value_name = "FAMILY", num_args = 0..=1, default_missing_value = "conductance", group = "what")]
    schema: Option<String>,
    /// Print the names of the built-in configurations
    #[arg(long, group = "what")]
    list: bool,
    /// Print the table of the metrics in metrics.jsonl of a family
    #[arg(long, value_name = "FAMILY", num_args = 0..=1, default_missing_value = "conductance", group = "what")]
    metrics: Option<String>,
}

pub fn run(args: Args) -> Result<u8> {
    if let Some(file) = &args.config {
        let config = args.overrides.load(file)?;
        say(config::to_pretty_json(&config).trim_end());
    } else if let Some(name) = &args.schema {
        say(format!("{:#}", family("--schema", name)?.schema()));
    } else if let Some(name) = &args.metrics {
        say(metrics_table_markdown(family("--metrics", name)?.metrics()).trim_end());
    } else {
        BUILTINS.iter().for_each(|(name, _)| say(name));
    }
    Ok(SUCCESS)
}

fn family(option: &str, name: &str) -> Result<Family> {
    let found = Family::find(name).ok_or_else(|| {
        let known = Family::names();
        UsageError(format!("{option} {name}: the families are {known}"))
    });
    Ok(found?)
}
