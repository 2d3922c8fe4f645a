//! A list of device commands: recorded in order, submitted at once.

use std::ops::Range;

use super::buffer::Buffer;
use super::device::Gpu;
use super::error::GpuError;
use super::kernel::{Bound, Kernel};
use super::timing::SpanRecorder;

/// Records dispatches, copies and clears, which run in this order after [`Commands::submit`].
/// Each command sees what those before it wrote.
#[derive(Debug)]
pub struct Commands<'gpu> {
    gpu: &'gpu Gpu,
    /// The open pass, into which dispatches go; copies and spans end it.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
    spans: Option<SpanRecorder>,
}

impl Gpu {
    /// An empty command list.
    pub fn commands(&self) -> Commands<'_> {
        let label = Some("commands");
        Commands {
            gpu: self,
            pass: None,
            encoder: self
                .device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor { label }),
            spans: None,
        }
    }
}

impl Commands<'_> {
    /// Runs `kernel` on `bound` with a grid of `groups` workgroups (nothing if one of them is 0).
    /// `step_offset` is the byte offset into the kernel's `step` variable, given exactly when it
    /// has one; see [`super::UniformArray::offset`].
    ///
    /// # Errors
    /// [`GpuError::TooManyWorkgroups`]; [`GpuError::BadCommand`] for a binding of another kernel or
    /// an offset that is missing, unexpected, misaligned or past the end.
    pub fn dispatch(
        &mut self,
        kernel: &Kernel,
        bound: &Bound,
        groups: [u32; 3],
        step_offset: Option<u32>,
    ) -> Result<(), GpuError> {
        let bad = |message: String| GpuError::BadCommand {
            what: kernel.name().to_owned(),
            message,
        };
        if bound.kernel_id != kernel.id {
            return Err(bad("the buffers were bound to another kernel".to_owned()));
        }
        let limits = self.gpu.limits();
        let max = limits.workgroups_per_dimension;
        if groups.iter().any(|&count| count > max) {
            return Err(GpuError::TooManyWorkgroups {
                kernel: kernel.name().to_owned(),
                grid: groups,
                max,
            });
        }
        match (bound.max_step_offset, step_offset) {
            (None, None) => {}
            (None, Some(_)) => return Err(bad("it has no `step` variable".to_owned())),
            (Some(_), None) => return Err(bad("its `step` variable needs an offset".to_owned())),
            (Some(last), Some(offset)) => {
                let alignment = limits.uniform_offset_alignment_bytes;
                if u64::from(offset) > last || !offset.is_multiple_of(alignment) {
                    return Err(bad(format!(
                        "step offset {offset} is past {last} or no multiple of {alignment}"
                    )));
                }
            }
        }
        if groups.contains(&0) {
            return Ok(());
        }
        let pass = self.open_pass()?;
        pass.set_pipeline(&kernel.pipeline);
        for (group, bind_group, dynamic) in &bound.groups {
            let offset = step_offset.filter(|_| *dynamic);
            pass.set_bind_group(*group, bind_group, offset.as_slice());
        }
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        self.gpu.ledger.count_dispatch();
        Ok(())
    }

    /// Copies bytes `range` of `source` to `target` from byte `target_start` on.
    ///
    /// # Errors
    /// [`GpuError::BadIndex`], [`GpuError::Misaligned`], or [`GpuError::BadCommand`] within one
    /// buffer.
    pub fn copy(
        &mut self,
        source: &Buffer,
        range: Range<u64>,
        target: &Buffer,
        target_start: u64,
    ) -> Result<(), GpuError> {
        let length = range.end.saturating_sub(range.start);
        let target_range = target_start..target_start.saturating_add(length);
        for (buffer, range) in [(source, &range), (target, &target_range)] {
            if range.start > range.end || range.end > buffer.bytes() {
                return Err(GpuError::BadIndex {
                    what: buffer.label().to_owned(),
                    index: range.start.max(range.end),
                    count: buffer.bytes(),
                });
            }
            if range.start % 4 != 0 || range.end % 4 != 0 {
                return Err(GpuError::Misaligned {
                    label: buffer.label().to_owned(),
                    start: range.start,
                    end: range.end,
                });
            }
        }
        if source.raw == target.raw {
            return Err(GpuError::BadCommand {
                what: source.label().to_owned(),
                message: "a copy needs two different buffers".to_owned(),
            });
        }
        if length > 0 {
            self.pass = None;
            self.encoder.copy_buffer_to_buffer(
                &source.raw,
                range.start,
                &target.raw,
                target_start,
                length,
            );
        }
        Ok(())
    }

    /// Sets all of `buffer` to zero.
    pub fn clear(&mut self, buffer: &Buffer) {
        self.pass = None;
        self.encoder.clear_buffer(&buffer.raw, 0, None);
    }

    /// Times the dispatches from here to the next span or the end under `name`, if
    /// [`Gpu::set_timing`] is on; copies and clears are not counted.
    ///
    /// # Errors
    /// What the device reports.
    pub fn span(&mut self, name: &str) -> Result<(), GpuError> {
        if !self.gpu.is_timing() {
            return Ok(());
        }
        self.pass = None;
        if self.spans.is_none() {
            self.spans = Some(SpanRecorder::new(self.gpu)?);
        }
        if let Some(spans) = &mut self.spans {
            spans.begin(name);
        }
        Ok(())
    }

    fn open_pass(&mut self) -> Result<&mut wgpu::ComputePass<'static>, GpuError> {
        if let Some(ref mut pass) = self.pass {
            return Ok(pass);
        }
        let timestamp_writes = match &mut self.spans {
            Some(spans) => Some(spans.time_pass()?),
            None => None,
        };
        let pass = self
            .encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes,
            })
            .forget_lifetime();
        Ok(self.pass.insert(pass))
    }

    /// Sends the list to the device, which starts on it at once. Does not wait.
    ///
    /// # Errors
    /// Any error the device has reported by now, from this list or from earlier ones; one that
    /// occurs later is returned by the next submission, read or wait.
    pub fn submit(mut self) -> Result<(), GpuError> {
        self.pass = None;
        match self.spans {
            Some(spans) => spans.submit(self.gpu, self.encoder),
            None => self.gpu.submit_encoder(self.encoder).map(drop),
        }
    }
}
