//! `dalenet config`: what a configuration says, key by key.

use std::path::PathBuf;

use dalenet::config::{self, BUILTINS};
use dalenet::train::metrics::metrics_table_markdown;

use super::SUCCESS;
use super::arguments::Overrides;
use super::error::Result;
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
    /// Print the JSON Schema: every key with its default, range and meaning
    #[arg(long, group = "what")]
    schema: bool,
    /// Print the names of the built-in configurations
    #[arg(long, group = "what")]
    list: bool,
    /// Print the table of the metrics in metrics.jsonl
    #[arg(long, group = "what")]
    metrics: bool,
}

pub fn run(args: Args) -> Result<u8> {
    if let Some(file) = &args.config {
        let config = args.overrides.load(file)?;
        say(config::to_pretty_json(&config).trim_end());
    } else if args.schema {
        say(format!("{:#}", config::schema()));
    } else if args.metrics {
        say(metrics_table_markdown().trim_end());
    } else {
        BUILTINS.iter().for_each(|(name, _)| say(name));
    }
    Ok(SUCCESS)
}
