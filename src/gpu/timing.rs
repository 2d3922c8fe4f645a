//! Kernel times, measured on the device with timestamp queries.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::buffer::{Buffer, Role};
use super::device::Gpu;
use super::error::GpuError;

/// Timed passes per command list; the API allows 4096 queries, two a pass.
const MAX_PASSES: u32 = 2048;

/// The device time of one recorded span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The name it was recorded under.
    pub name: String,
    /// The time its dispatches took in milliseconds.
    pub ms: f64,
}

/// The spans of one submitted list, whose times lie in a buffer still to be read.
#[derive(Debug)]
pub(super) struct PendingSpans {
    names: Vec<String>,
    pass_spans: Vec<usize>,
    times: Buffer,
    index: wgpu::SubmissionIndex,
}

/// The timing side of one command list: a span is the sum of its passes.
#[derive(Debug)]
pub(super) struct SpanRecorder {
    queries: wgpu::QuerySet,
    names: Vec<String>,
    /// Which span each timed pass belongs to.
    pass_spans: Vec<usize>,
}

impl SpanRecorder {
    pub(super) fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        gpu.check()?;
        let queries = gpu
            .scoped(|| {
                gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("spans"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2 * MAX_PASSES,
                })
            })
            .map_err(|error| GpuError::Driver(format!("spans: {error}")))?;
        Ok(Self {
            queries,
            names: Vec::new(),
            pass_spans: Vec::new(),
        })
    }

    pub(super) fn begin(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// The queries of a new pass in the current span.
    pub(super) fn time_pass(&mut self) -> Result<wgpu::ComputePassTimestampWrites<'_>, GpuError> {
        let pass = self.pass_spans.len() as u32;
        if pass == MAX_PASSES {
            return Err(GpuError::TooManySpans { max: MAX_PASSES });
        }
        self.pass_spans.push(self.names.len().saturating_sub(1));
        Ok(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * pass),
            end_of_pass_write_index: Some(2 * pass + 1),
        })
    }

    /// Submits the list with the copy of its times, and keeps those for [`Gpu::spans`].
    pub(super) fn submit(
        self,
        gpu: &Gpu,
        mut encoder: wgpu::CommandEncoder,
    ) -> Result<(), GpuError> {
        if self.pass_spans.is_empty() {
            return gpu.submit_encoder(encoder).map(drop);
        }
        let query_count = 2 * self.pass_spans.len() as u32;
        let bytes = u64::from(query_count) * 8;
        let resolved = gpu.create_buffer(
            "span times",
            bytes,
            wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
        )?;
        let times = gpu.allocate("span times", bytes, Role::Staging)?;
        encoder.resolve_query_set(&self.queries, 0..query_count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &times.raw, 0, bytes);
        let index = gpu.submit_encoder(encoder)?;
        let (names, pass_spans) = (self.names, self.pass_spans);
        let mut pending = gpu
            .pending_spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pending.push(PendingSpans {
            names,
            pass_spans,
            times,
            index,
        });
        Ok(())
    }
}

impl Gpu {
    /// Turns the timing of spans on or off (off at the start). Returns whether they are timed now:
    /// a device without timestamps never times them.
    pub fn set_timing(&self, on: bool) -> bool {
        let on = on && self.info().timestamps;
        self.timing.store(on, Ordering::Relaxed);
        on
    }

    pub(super) fn is_timing(&self) -> bool {
        self.timing.load(Ordering::Relaxed)
    }

    /// Waits for all submitted lists with spans and returns those since the last call, in order.
    ///
    /// # Errors
    /// What the device reports.
    pub fn spans(&self) -> Result<Vec<Span>, GpuError> {
        let pending = std::mem::take(
            &mut *self
                .pending_spans
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let ns_per_tick = f64::from(self.queue.get_timestamp_period());
        let mut spans = Vec::new();
        for list in pending {
            let mut ticks = vec![0_u64; 2 * list.pass_spans.len()];
            self.copy_mapped(
                &list.times,
                list.index,
                0,
                bytemuck::cast_slice_mut(&mut ticks),
            )?;
            let mut list_spans: Vec<_> = list
                .names
                .into_iter()
                .map(|name| Span { name, ms: 0.0 })
                .collect();
            for (&span, pass) in list.pass_spans.iter().zip(ticks.chunks_exact(2)) {
                // Drivers may round begin past end for an empty pass.
                list_spans[span].ms += pass[1].saturating_sub(pass[0]) as f64 * ns_per_tick * 1e-6;
            }
            spans.append(&mut list_spans);
        }
        Ok(spans)
    }
}
