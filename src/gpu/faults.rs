//! Where the driver's errors are kept until a caller can be told, and how tests cause them.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::GpuError;

/// The environment variable that makes a device fail: `lost`, `oom` or `validation`, optionally
/// with `:N` for the N-th matching operation (default 1).
pub const INJECTION_VARIABLE: &str = "DALENET_INJECT_GPU_FAILURE";

/// A failure that a test can cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The device is lost, at an allocation or a submission.
    DeviceLost,
    /// An allocation finds no memory.
    OutOfMemory,
    /// The graphics API refuses an allocation or a submission.
    Validation,
}

/// The operations at which a failure can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Allocation,
    Submission,
}

/// A failure that waits for its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Injection {
    failure: Failure,
    /// Matching operations until it strikes, that one included.
    countdown: u64,
}

impl Injection {
    pub(super) fn next(failure: Failure) -> Self {
        Self {
            failure,
            countdown: 1,
        }
    }

    /// Reads [`INJECTION_VARIABLE`]; unset or empty means none.
    pub(super) fn from_environment() -> Result<Option<Self>, GpuError> {
        match std::env::var_os(INJECTION_VARIABLE) {
            Some(text) if !text.is_empty() => text.to_string_lossy().parse().map(Some),
            _ => Ok(None),
        }
    }

    fn matches(self, operation: Operation) -> bool {
        self.failure != Failure::OutOfMemory || operation == Operation::Allocation
    }
}

impl FromStr for Injection {
    type Err = GpuError;

    fn from_str(text: &str) -> Result<Self, GpuError> {
        let bad = || GpuError::BadInjection {
            variable: INJECTION_VARIABLE,
            text: text.to_owned(),
        };
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let failure = match name {
            "lost" => Failure::DeviceLost,
            "oom" => Failure::OutOfMemory,
            "validation" => Failure::Validation,
            _ => return Err(bad()),
        };
        match count.parse() {
            Ok(countdown) if countdown > 0 => Ok(Self { failure, countdown }),
            _ => Err(bad()),
        }
    }
}

#[derive(Debug, Default)]
struct FaultState {
    /// The first error that no caller has been told of.
    first: Option<GpuError>,
    /// Why the device was lost; stays, since a lost device does not come back.
    lost: Option<String>,
    armed: Option<Injection>,
}

/// Errors that the driver reported outside a call's own result, shared with its callbacks.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Mutex<FaultState>>);

impl Faults {
    pub(super) fn new(armed: Option<Injection>) -> Self {
        Self(Arc::new(Mutex::new(FaultState {
            armed,
            ..FaultState::default()
        })))
    }

    /// A panic elsewhere leaves these plain values whole, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, FaultState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, error: GpuError) {
        self.state().first.get_or_insert(error);
    }

    pub(super) fn record_lost(&self, message: String) {
        self.state().lost.get_or_insert(message);
    }

    /// The first error not yet told, once; a lost device every time.
    pub(super) fn check(&self) -> Result<(), GpuError> {
        let mut state = self.state();
        if let Some(message) = state.lost.clone() {
            return Err(GpuError::DeviceLost { message });
        }
        state.first.take().map_or(Ok(()), Err)
    }

    pub(super) fn arm(&self, injection: Injection) {
        self.state().armed = Some(injection);
    }

    /// The armed failure, if `operation` is the one it waits for.
    pub(super) fn due(&self, operation: Operation) -> Option<Failure> {
        let mut state = self.state();
        let armed = state
            .armed
            .as_mut()
            .filter(|armed| armed.matches(operation))?;
        armed.countdown -= 1;
        if armed.countdown > 0 {
            return None;
        }
        state.armed.take().map(|armed| armed.failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injections_parse() {
        let parsed: Injection = "oom:3".parse().expect("valid");
        assert_eq!(
            parsed,
            Injection {
                failure: Failure::OutOfMemory,
                countdown: 3
            }
        );
        assert_eq!("lost".parse(), Ok(Injection::next(Failure::DeviceLost)));
        for text in ["", "oom:", "oom:0", "oom:-1", "loss", "validation:1:2"] {
            let error = text.parse::<Injection>().expect_err("invalid");
            assert!(error.to_string().contains(INJECTION_VARIABLE), "{error}");
        }
    }

    #[test]
    fn a_failure_strikes_at_its_operation_once() {
        let faults = Faults::new(Some("oom:2".parse().expect("valid")));
        assert_eq!(faults.due(Operation::Submission), None);
        assert_eq!(faults.due(Operation::Allocation), None);
        assert_eq!(faults.due(Operation::Submission), None);
        assert_eq!(
            faults.due(Operation::Allocation),
            Some(Failure::OutOfMemory)
        );
        assert_eq!(faults.due(Operation::Allocation), None);
    }

    #[test]
    fn the_first_error_is_told_once_and_a_loss_always() {
        let faults = Faults::default();
        faults.record(GpuError::Validation("first".into()));
        faults.record(GpuError::Validation("second".into()));
        assert_eq!(faults.check(), Err(GpuError::Validation("first".into())));
        assert_eq!(faults.check(), Ok(()));
        faults.record_lost("gone".into());
        assert!(faults.check().is_err());
        assert!(faults.check().is_err());
    }
}
