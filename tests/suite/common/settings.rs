//! Configurations of conductance networks.

use std::path::Path;

use dalenet::conductance::settings::Config;
use dalenet::config::{ConfigError, Override};
use dalenet::families::{self, Family};
use serde_json::Value;

pub fn load(
    file: Option<&Path>,
    overrides: &[Override],
    seed: Option<u64>,
) -> Result<Config, ConfigError> {
    families::load(file, overrides, seed)?.try_into()
}

pub fn parse(text: &str, source: &str) -> Result<Config, ConfigError> {
    parse_with(text, source, &[])
}

pub fn parse_with(text: &str, source: &str, overrides: &[Override]) -> Result<Config, ConfigError> {
    families::parse(text, source, overrides)?.try_into()
}

pub fn schema() -> Value {
    Family::Conductance.schema().clone()
}
