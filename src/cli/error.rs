//! What a subcommand fails with, and the exit code of it: the only place that knows exit codes of errors.

use std::error::Error;

use dalenet::fault::{Blame, Fault};

/// Something went wrong on the way.
pub const FAILED: u8 = 1;
/// Wrong use, configuration or data.
pub const WRONG_USE: u8 = 2;
const NO_DEVICE: u8 = 3;

/// The outcome of a subcommand or of a part of one.
pub type Result<T, E = CliError> = std::result::Result<T, E>;

/// An error that says whose fault it is, and what was being done.
#[derive(Debug)]
pub struct CliError {
    error: Box<dyn Blame>,
    /// What was being done, the outermost last.
    context: Vec<String>,
}

/// The user asked for something that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Blame for UsageError {
    fn fault(&self) -> Fault {
        Fault::User
    }
}

/// Something of this program or its system went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl Blame for Failed {
    fn fault(&self) -> Fault {
        Fault::Program
    }
}

impl<E: Blame> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::of(Box::new(error))
    }
}

impl CliError {
    /// A failure by an error of any type.
    pub fn of(error: Box<dyn Blame>) -> Self {
        Self {
            error,
            context: Vec::new(),
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self.error.fault() {
            Fault::User => WRONG_USE,
            Fault::Device => NO_DEVICE,
            Fault::Program => FAILED,
        }
    }

    /// The error and its causes, the outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let first: &(dyn Error + 'static) = &*self.error;
        std::iter::successors(Some(first), |&error| error.source())
    }

    /// What was being done, the error and its causes, each said once.
    pub fn in_words(&self) -> String {
        let context = self.context.iter().rev().cloned();
        let causes = self.chain().map(ToString::to_string);
        let said = |text: String, part: String| match text.contains(&part) {
            // Some messages hold their cause already.
            true => text,
            false if text.is_empty() => part,
            false => format!("{text}: {part}"),
        };
        context.chain(causes).fold(String::new(), said)
    }
}

/// Adds what was being done to an error.
pub trait While<T> {
    /// `doing` names the file or the thing concerned.
    fn with_context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<CliError>> While<T> for std::result::Result<T, E> {
    fn with_context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let mut failure = error.into();
            failure.context.push(doing());
            failure
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dalenet::conductance::engine::EngineError;
    use dalenet::conductance::experiment::ExperimentError;
    use dalenet::gpu::GpuError;
    use dalenet::train::run::Stopped;
    use dalenet::train::session::TrainError;

    #[test]
    fn a_device_that_fails_on_the_way_has_the_code_of_devices() {
        let lost = GpuError::DeviceLost {
            message: "gone".into(),
        };
        for (error, code) in [
            (lost, NO_DEVICE),
            (GpuError::Validation("refused".into()), NO_DEVICE),
            (GpuError::Timeout { seconds: 9 }, NO_DEVICE),
            (GpuError::BadDeviceChoice { text: "x".into() }, WRONG_USE),
        ] {
            let source = TrainError::Model(Box::new(EngineError::Gpu(error)));
            let folder = "run".into();
            let error = ExperimentError::Stopped(Stopped { folder, source });
            assert_eq!(CliError::from(error).exit_code(), code);
        }
    }

    #[test]
    fn what_was_done_stands_before_the_error_and_nothing_is_said_twice() {
        let refused = std::io::Error::other("no space");
        let failure = Err::<(), _>(refused).with_context(|| "page.png".into());
        let failure = failure.with_context(|| "cell 3".into()).unwrap_err();
        assert_eq!(failure.in_words(), "cell 3: page.png: no space");
        assert_eq!(failure.exit_code(), FAILED);
        assert_eq!(
            CliError::from(UsageError("no".into())).exit_code(),
            WRONG_USE
        );
    }
}
