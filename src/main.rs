//! The command line of dalenet: parse, run, map the error to an exit code.

// Outside tests nothing may panic on what a user brings.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cli::output::complain(&error);
            ExitCode::from(cli::failure::exit_code(&error))
        }
    }
}
