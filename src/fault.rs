//! Whose fault an error is. Every error says it of itself, and the exit code of the program follows from
//! it.

use std::error::Error;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The user's: arguments, a configuration, data, a file that is not what it should be.
    User,
    /// The device's: there is none, it lacks memory, or it fails.
    Device,
    /// The program's or the system's: a file that cannot be written, a network that is down, a defect.
    Program,
}

/// An error that says whose fault it is.
pub trait Blame: Error + Send + Sync + 'static {
    /// Whose fault it is.
    fn fault(&self) -> Fault;
}

impl<E: Blame> From<E> for Box<dyn Blame> {
    fn from(error: E) -> Self {
        Box::new(error)
    }
}

/// Errors that are always the fault of one.
macro_rules! always {
    ($($error:ty => $fault:ident),* $(,)?) => {
        $(impl $crate::fault::Blame for $error {
            fn fault(&self) -> $crate::fault::Fault {
                $crate::fault::Fault::$fault
            }
        })*
    };
}
pub(crate) use always;

always!(
    std::io::Error => Program,
    serde_json::Error => Program,
    csv::Error => Program,
    safetensors::SafeTensorError => Program,
);
