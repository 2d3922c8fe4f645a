//! The command line of dalenet: parse, run, map the error to an exit code.

// Outside tests nothing may panic on what a user brings.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    // Mesa's driver complains on every start where there is no session, and needs none.
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread exists yet that could read the environment.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
    match cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cli::output::note(format!("error: {}", error.in_words()));
            ExitCode::from(error.exit_code())
        }
    }
}
