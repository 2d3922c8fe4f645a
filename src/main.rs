//! The command line of dalenet: parse, run, map the error to an exit code.

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
