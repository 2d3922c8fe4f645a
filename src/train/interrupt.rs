//! Stopping a run from outside: the first Ctrl-C (or SIGTERM) asks, the second ends it at once.

use crate::fault::always;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code after Ctrl-C: 128 + SIGINT, as shells report it.
pub const EXIT_SIGINT: i32 = 130;
/// Exit code after SIGTERM: 128 + SIGTERM.
pub const EXIT_SIGTERM: i32 = 143;

/// The signal handlers could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InterruptError {
    /// The operating system refused a handler.
    #[error("cannot handle signal {signal}: {source}")]
    Install {
        /// The signal's number.
        signal: i32,
        /// What the operating system said.
        source: io::Error,
    },
}

always!(InterruptError => Program);

/// Whether the run was asked to stop. The training loop looks after every batch, writes a
/// checkpoint and ends with the exit code. Clones share the request.
#[derive(Debug, Clone)]
pub struct Interrupt {
    /// The exit code of the first request; 0 for none.
    exit_code: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Listens for Ctrl-C and SIGTERM (on Windows Ctrl-C). A second signal ends the process with
    /// its exit code, wherever it is. Install once a process.
    ///
    /// # Errors
    /// [`InterruptError`] where the operating system refuses.
    pub fn install() -> Result<Self, InterruptError> {
        let interrupt = Self::manual();
        let asked_before = Arc::new(AtomicBool::new(false));
        for (signal, code) in [(SIGINT, EXIT_SIGINT), (SIGTERM, EXIT_SIGTERM)] {
            // Actions run in this order: the flag that lets the next signal exit comes last.
            flag::register_conditional_shutdown(signal, code, asked_before.clone())
                .and_then(|_| {
                    flag::register_usize(
                        signal,
                        interrupt.exit_code.clone(),
                        code.unsigned_abs() as usize,
                    )
                })
                .and_then(|_| flag::register(signal, asked_before.clone()))
                .map_err(|source| InterruptError::Install { signal, source })?;
        }
        Ok(interrupt)
    }

    /// Listens to nothing but [`Interrupt::request`]: for tests and for programs with handlers of
    /// their own.
    pub fn manual() -> Self {
        Self {
            exit_code: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Asks the run to stop after the batch and to end with `exit_code` (1 to 255).
    pub fn request(&self, exit_code: u8) {
        self.exit_code
            .store(usize::from(exit_code), Ordering::SeqCst);
    }

    /// The exit code to end with, once somebody asked.
    pub fn requested(&self) -> Option<i32> {
        match self.exit_code.load(Ordering::SeqCst) {
            0 => None,
            code => i32::try_from(code).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_seen_by_every_clone() {
        let interrupt = Interrupt::manual();
        let other = interrupt.clone();
        assert_eq!(interrupt.requested(), None);
        other.request(143);
        assert_eq!(interrupt.requested(), Some(EXIT_SIGTERM));
    }
}
