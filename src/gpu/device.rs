//! An open device: its queue, its errors, its waits and its counters.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::adapter::{Adapter, AdapterInfo, AdapterLimits};
use super::buffer::Buffer;
use super::counters::{Counters, Ledger};
use super::error::GpuError;
use super::faults::{Failure, Faults, Injection, Operation};
use super::timing::PendingSpans;

/// Past this wait the device counts as hung; far above any command list that a watchdog allows.
const WAIT_TIMEOUT: Duration = Duration::from_secs(300);

/// An open device. It can be shared by threads.
#[derive(Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) ledger: Arc<Ledger>,
    /// The read-back buffer, kept and grown between reads.
    pub(super) staging: Mutex<Option<Buffer>>,
    pub(super) timing: AtomicBool,
    pub(super) pending_spans: Mutex<Vec<PendingSpans>>,
    faults: Faults,
    info: AdapterInfo,
}

impl Gpu {
    /// Opens `adapter` with its own limits, with timestamps and subgroups where it has them.
    ///
    /// # Errors
    /// [`GpuError::OpenFailed`] if the driver refuses; [`GpuError::BadInjection`] if
    /// [`super::INJECTION_VARIABLE`] is set to something else than a failure.
    pub fn open(adapter: &Adapter) -> Result<Self, GpuError> {
        let faults = Faults::new(Injection::from_environment()?);
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP;
        let request = wgpu::DeviceDescriptor {
            label: Some("dalenet"),
            required_features: adapter.raw.features() & wanted,
            required_limits: adapter.raw.limits(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.raw.request_device(&request)).map_err(|error| {
                GpuError::OpenFailed {
                    adapter: adapter.info.name.clone(),
                    message: error.to_string(),
                }
            })?;
        let ledger = Arc::new(Ledger::default());
        let (uncaptured, accounts) = (faults.clone(), Arc::clone(&ledger));
        device.on_uncaptured_error(Arc::new(move |error| {
            let allocated_bytes = accounts.snapshot().allocated_bytes;
            uncaptured.record(from_wgpu(error, "a submission", 0, allocated_bytes));
        }));
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost.record_lost(format!("{reason:?}: {message}"));
        });
        Ok(Self {
            device,
            queue,
            ledger,
            staging: Mutex::new(None),
            timing: AtomicBool::new(false),
            pending_spans: Mutex::new(Vec::new()),
            faults,
            info: adapter.info.clone(),
        })
    }

    /// What is known of the adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// The limits of the device, all of them the adapter's own.
    pub fn limits(&self) -> &AdapterLimits {
        &self.info.limits
    }

    /// Whether the device is a rasteriser on the processor.
    pub fn is_software(&self) -> bool {
        self.info.kind.is_software()
    }

    /// Most loop iterations that one invocation may make in one dispatch, inner loops included;
    /// none where only the system's watchdog bounds a dispatch.
    pub fn max_loop_iterations(&self) -> Option<u32> {
        self.info.max_loop_iterations()
    }

    /// Bytes of the buffers alive now.
    pub fn allocated_bytes(&self) -> u64 {
        self.counters().allocated_bytes
    }

    /// Most bytes alive at once since the start or the last [`Gpu::reset_peak`].
    pub fn peak_bytes(&self) -> u64 {
        self.counters().peak_bytes
    }

    /// Lets the peak start again from the bytes alive now.
    pub fn reset_peak(&self) {
        self.ledger.reset_peak();
    }

    /// All counters.
    pub fn counters(&self) -> Counters {
        self.ledger.snapshot()
    }

    /// Makes the next matching operation fail: an allocation or a submission (reads included) for
    /// `DeviceLost` and `Validation`, an allocation for `OutOfMemory`. A test hook; the error
    /// takes the way of a real one.
    pub fn inject_failure(&self, failure: Failure) {
        self.faults.arm(Injection::next(failure));
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// Any error the device has reported; [`GpuError::Timeout`] after five minutes.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.wait_for(None)
    }

    pub(super) fn wait_for(&self, index: Option<wgpu::SubmissionIndex>) -> Result<(), GpuError> {
        self.poll(wgpu::PollType::Wait {
            submission_index: index,
            timeout: Some(WAIT_TIMEOUT),
        })
    }

    /// Submits one command list and reports what the device has to report so far.
    pub(super) fn submit_encoder(
        &self,
        encoder: wgpu::CommandEncoder,
    ) -> Result<wgpu::SubmissionIndex, GpuError> {
        self.faults.check()?;
        self.inject(Operation::Submission);
        let index = self.queue.submit([encoder.finish()]);
        self.ledger.count_submit();
        // A poll that does not wait runs the callbacks and frees what finished lists held.
        self.poll(wgpu::PollType::Poll)?;
        Ok(index)
    }

    /// Polls the device, then checks for errors that callbacks left behind.
    fn poll(&self, poll: wgpu::PollType) -> Result<(), GpuError> {
        // wgpu 30 panics in `poll` when the driver reports a lost device during a wait. The lost
        // callback has run by then, so the panic is caught and the loss returned as an error.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.device.poll(poll)));
        if outcome.is_err() {
            self.faults
                .record_lost("the driver failed during a wait".to_owned());
        }
        self.faults.check()?;
        match outcome {
            Ok(Err(wgpu::PollError::Timeout)) => Err(GpuError::Timeout {
                seconds: WAIT_TIMEOUT.as_secs(),
            }),
            Ok(Err(error)) => Err(GpuError::Driver(error.to_string())),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    /// Reports errors that the device left behind since the last call.
    pub(super) fn check(&self) -> Result<(), GpuError> {
        self.faults.check()
    }

    /// Runs `create`, which makes API objects, and returns the first error that it caused.
    pub(super) fn scoped<T>(&self, create: impl FnOnce() -> T) -> Result<T, wgpu::Error> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let created = create();
        // Scopes nest, so they end in reverse order.
        let errors = [internal, validation, memory].map(|scope| pollster::block_on(scope.pop()));
        errors.into_iter().flatten().next().map_or(Ok(created), Err)
    }

    /// Allocates a raw buffer; its bytes are not counted here.
    pub(super) fn create_buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, GpuError> {
        self.faults.check()?;
        let mut injected = None;
        let result = self.scoped(|| {
            injected = self.inject(Operation::Allocation);
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes,
                usage,
                mapped_at_creation: false,
            })
        });
        let result = match injected {
            Some(Failure::OutOfMemory) => Err(wgpu::Error::OutOfMemory {
                source: "injected failure".into(),
            }),
            _ => result,
        };
        let raw = result.map_err(|error| from_wgpu(error, label, bytes, self.allocated_bytes()))?;
        self.faults.check()?;
        Ok(raw)
    }

    /// Causes the armed failure if it is due at `operation`. Out of memory cannot be forced on a
    /// driver, so its error is made by the caller.
    fn inject(&self, operation: Operation) -> Option<Failure> {
        let failure = self.faults.due(operation)?;
        match failure {
            Failure::DeviceLost => {
                self.device.destroy();
                // The loss is announced by the poll that finds the destroyed device idle; what it
                // returns is seen again by the check that follows every operation.
                let _ = self.wait();
            }
            Failure::Validation => {
                // A buffer without any usage is invalid.
                let _ = self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("injected failure"),
                    size: 4,
                    usage: wgpu::BufferUsages::empty(),
                    mapped_at_creation: false,
                });
            }
            Failure::OutOfMemory => {}
        }
        Some(failure)
    }
}

fn from_wgpu(error: wgpu::Error, label: &str, wanted_bytes: u64, allocated: u64) -> GpuError {
    match error {
        wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory {
            label: label.to_owned(),
            wanted_bytes,
            allocated_bytes: allocated,
        },
        wgpu::Error::Validation { description, .. } => {
            GpuError::Validation(format!("{label}: {}", description.trim()))
        }
        wgpu::Error::Internal { description, .. } => {
            GpuError::Driver(format!("{label}: {}", description.trim()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_can_be_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Gpu>();
        shared::<super::super::Kernel>();
        shared::<super::super::Bound>();
        shared::<Buffer>();
    }
}
