//! The program's own account of what it did with the device.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A snapshot of what one [`super::Gpu`] has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bytes of the buffers alive now.
    pub allocated_bytes: u64,
    /// Most bytes alive at once since the start or the last [`super::Gpu::reset_peak`].
    pub peak_bytes: u64,
    /// Kernel dispatches recorded.
    pub dispatches: u64,
    /// Command lists submitted, those of reads included.
    pub submits: u64,
    /// Bytes copied from the device.
    pub bytes_read: u64,
    /// Bytes copied to the device.
    pub bytes_written: u64,
}

/// The counters themselves, shared with every buffer so that a drop is seen.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    allocated_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    dispatches: AtomicU64,
    submits: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Ledger {
    pub(super) fn allocate(&self, bytes: u64) {
        let now = self.allocated_bytes.fetch_add(bytes, Relaxed) + bytes;
        self.peak_bytes.fetch_max(now, Relaxed);
    }

    pub(super) fn release(&self, bytes: u64) {
        self.allocated_bytes.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn reset_peak(&self) {
        self.peak_bytes
            .store(self.allocated_bytes.load(Relaxed), Relaxed);
    }

    pub(super) fn count_dispatch(&self) {
        self.dispatches.fetch_add(1, Relaxed);
    }

    pub(super) fn count_submit(&self) {
        self.submits.fetch_add(1, Relaxed);
    }

    pub(super) fn count_read(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Relaxed);
    }

    pub(super) fn count_write(&self, bytes: u64) {
        self.bytes_written.fetch_add(bytes, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Counters {
        Counters {
            allocated_bytes: self.allocated_bytes.load(Relaxed),
            peak_bytes: self.peak_bytes.load(Relaxed),
            dispatches: self.dispatches.load(Relaxed),
            submits: self.submits.load(Relaxed),
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
        }
    }
}
