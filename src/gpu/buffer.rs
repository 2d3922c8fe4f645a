//! Device memory: buffers, arrays of uniforms, and the transfers to and from them.

use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytemuck::Pod;

use super::counters::Ledger;
use super::device::Gpu;
use super::error::GpuError;

/// Bytes moved at once, so that staging memory stays small whatever the transfer.
const TRANSFER_CHUNK_BYTES: usize = 32 << 20;

/// Longest wait for the callback of a mapping whose work is done.
const MAPPING_TIMEOUT: Duration = Duration::from_secs(60);

/// Least size of a buffer; the API knows no empty ones.
const MIN_BYTES: u64 = 16;

/// A NaN that no computation here produces.
const POISON: u32 = 0x7fc0_dead;

/// What a buffer may be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Storage,
    Uniform,
    Staging,
}

/// A piece of device memory. Its bytes leave the counters when it is dropped; the driver frees it
/// once no bound kernel and no running command list uses it.
#[derive(Debug)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    pub(super) role: Role,
    label: String,
    bytes: u64,
    ledger: Arc<Ledger>,
}

impl Buffer {
    /// The name it was created with.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its size: the bytes asked for, rounded up to a multiple of 4 and at least 16.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes that elements `range` of type `T` take.
    fn byte_range<T>(&self, range: &Range<usize>) -> Result<Range<u64>, GpuError> {
        let element_bytes = size_of::<T>().max(1) as u64;
        let count = self.bytes / element_bytes;
        if range.start > range.end || range.end as u64 > count {
            return Err(GpuError::BadIndex {
                what: self.label.clone(),
                index: range.end.max(range.start) as u64,
                count,
            });
        }
        Ok(range.start as u64 * element_bytes..range.end as u64 * element_bytes)
    }
}

/// Words on their way from the device: [`Gpu::start_reading`].
#[derive(Debug)]
pub struct Reading<const N: usize> {
    staging: Buffer,
    index: wgpu::SubmissionIndex,
    lens: [usize; N],
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.ledger.release(self.bytes);
    }
}

impl Gpu {
    /// A zeroed storage buffer of `bytes` bytes (at least 16).
    ///
    /// # Errors
    /// [`GpuError::BufferTooLarge`], [`GpuError::OutOfMemory`], [`GpuError::DeviceLost`].
    pub fn storage(&self, label: &str, bytes: u64) -> Result<Buffer, GpuError> {
        self.allocate(label, bytes, Role::Storage)
    }

    /// A storage buffer that holds `values`.
    ///
    /// # Errors
    /// Those of [`Gpu::storage`].
    pub fn storage_init<T: Pod>(&self, label: &str, values: &[T]) -> Result<Buffer, GpuError> {
        let buffer = self.storage(label, size_of_val(values) as u64)?;
        self.fill(&buffer, bytemuck::cast_slice(values))?;
        Ok(buffer)
    }

    /// A uniform buffer that holds `value`.
    ///
    /// # Errors
    /// Those of [`Gpu::storage`].
    pub fn uniform<T: Pod>(&self, label: &str, value: &T) -> Result<Buffer, GpuError> {
        let buffer = self.allocate(label, size_of::<T>() as u64, Role::Uniform)?;
        self.fill(&buffer, bytemuck::bytes_of(value))?;
        Ok(buffer)
    }

    pub(super) fn allocate(
        &self,
        label: &str,
        wanted_bytes: u64,
        role: Role,
    ) -> Result<Buffer, GpuError> {
        let limits = self.limits();
        // A buffer is bound whole, so one binding's limit is the buffer's.
        let max_bytes = match role {
            Role::Storage => limits.storage_binding_bytes.min(limits.buffer_bytes),
            Role::Uniform | Role::Staging => limits.buffer_bytes,
        };
        let bytes = wanted_bytes
            .max(MIN_BYTES)
            .checked_next_multiple_of(4)
            .filter(|&bytes| bytes <= max_bytes)
            .ok_or_else(|| GpuError::BufferTooLarge {
                label: label.to_owned(),
                wanted_bytes,
                max_bytes,
            })?;
        let usage = match role {
            Role::Storage => {
                wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST
            }
            Role::Uniform => {
                wgpu::BufferUsages::UNIFORM
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST
            }
            Role::Staging => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        };
        let raw = self.create_buffer(label, bytes, usage)?;
        self.ledger.allocate(bytes);
        Ok(Buffer {
            raw,
            role,
            label: label.to_owned(),
            bytes,
            ledger: Arc::clone(&self.ledger),
        })
    }

    /// Copies `values` into `buffer` from its element `start` on, before the next submission runs.
    ///
    /// # Errors
    /// [`GpuError::BadIndex`] past the end, [`GpuError::Misaligned`] if the bytes do not start and
    /// end on multiples of 4, and what the device reports.
    pub fn write<T: Pod>(
        &self,
        buffer: &Buffer,
        start: usize,
        values: &[T],
    ) -> Result<(), GpuError> {
        let bytes = buffer.byte_range::<T>(&(start..start.saturating_add(values.len())))?;
        if bytes.start % 4 != 0 || bytes.end % 4 != 0 {
            return Err(GpuError::Misaligned {
                label: buffer.label.clone(),
                start: bytes.start,
                end: bytes.end,
            });
        }
        self.write_bytes(buffer, bytes.start, bytemuck::cast_slice(values))
    }

    /// Writes the whole content of a new buffer, padded with zeros to a multiple of 4 bytes.
    fn fill(&self, buffer: &Buffer, bytes: &[u8]) -> Result<(), GpuError> {
        let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
        self.write_bytes(buffer, 0, whole)?;
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.write_bytes(buffer, whole.len() as u64, &last)?;
        }
        Ok(())
    }

    fn write_bytes(&self, buffer: &Buffer, start: u64, bytes: &[u8]) -> Result<(), GpuError> {
        self.check()?;
        let mut at = start;
        for chunk in bytes.chunks(TRANSFER_CHUNK_BYTES) {
            if at > start {
                // Staging memory of the chunk before is freed once it has arrived.
                self.queue.submit([]);
                self.wait()?;
            }
            self.queue.write_buffer(&buffer.raw, at, chunk);
            at += chunk.len() as u64;
        }
        self.ledger.count_write(bytes.len() as u64);
        self.check()
    }

    /// Fills `buffer` with NaNs, so that a kernel that leaves a part unwritten is found out.
    ///
    /// # Errors
    /// What the device reports.
    pub fn poison(&self, buffer: &Buffer) -> Result<(), GpuError> {
        let block = vec![POISON; (buffer.bytes / 4).min(1 << 20) as usize];
        let bytes: &[u8] = bytemuck::cast_slice(&block);
        let mut at = 0;
        while at < buffer.bytes {
            let length = (buffer.bytes - at).min(bytes.len() as u64);
            self.write_bytes(buffer, at, &bytes[..length as usize])?;
            at += length;
        }
        Ok(())
    }

    /// Waits for the work submitted so far and returns elements `range` of `buffer`.
    ///
    /// # Errors
    /// [`GpuError::BadIndex`] past the end, and what the device reports.
    pub fn read<T: Pod>(&self, buffer: &Buffer, range: Range<usize>) -> Result<Vec<T>, GpuError> {
        let source = buffer.byte_range::<T>(&range)?;
        let mut values = vec![T::zeroed(); range.len()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = source.start;
        for chunk in bytes.chunks_mut(TRANSFER_CHUNK_BYTES) {
            // On an error the staging buffer may be left mapped, so it is only put back when well.
            let reused = staging.take();
            *staging = Some(self.read_chunk(reused, buffer, at, chunk)?);
            at += chunk.len() as u64;
        }
        self.ledger.count_read(bytes.len() as u64);
        Ok(values)
    }

    /// Waits once for the work submitted so far and returns the words `range` of each part. Meant for few words:
    /// parts of more than a transfer are waited for one by one.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_parts<const N: usize>(
        &self,
        parts: [(&Buffer, Range<usize>); N],
    ) -> Result<[Vec<u32>; N], GpuError> {
        let words: usize = parts.iter().map(|(_, range)| range.len()).sum();
        if 4 * words > TRANSFER_CHUNK_BYTES {
            let mut all = [const { Vec::new() }; N];
            for (to, (buffer, range)) in all.iter_mut().zip(&parts) {
                *to = self.read(buffer, range.clone())?;
            }
            return Ok(all);
        }
        let reading = self.start_reading(parts)?;
        self.finish_reading(reading)
    }

    /// Submits copies of the words `range` of each part, to be waited for later; what is submitted after this does not
    /// change them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn start_reading<const N: usize>(
        &self,
        parts: [(&Buffer, Range<usize>); N],
    ) -> Result<Reading<N>, GpuError> {
        let lens = parts.each_ref().map(|(_, range)| range.len());
        let bytes = 4 * lens.iter().sum::<usize>() as u64;
        let mut pool = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = pool.take().filter(|staging| staging.bytes >= bytes);
        drop(pool);
        let staging = match reused {
            Some(reused) => reused,
            None => self.allocate("read-back", bytes.max(4).next_power_of_two(), Role::Staging)?,
        };
        let label = Some("read-back");
        let descriptor = wgpu::CommandEncoderDescriptor { label };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        let mut at = 0;
        for (buffer, range) in &parts {
            let from = buffer.byte_range::<u32>(range)?;
            let length = from.end - from.start;
            if length > 0 {
                encoder.copy_buffer_to_buffer(&buffer.raw, from.start, &staging.raw, at, length);
            }
            at += length;
        }
        let index = self.submit_encoder(encoder)?;
        Ok(Reading {
            staging,
            index,
            lens,
        })
    }

    /// Waits for what was read, and no longer.
    ///
    /// # Errors
    /// What the device reports.
    pub fn finish_reading<const N: usize>(
        &self,
        reading: Reading<N>,
    ) -> Result<[Vec<u32>; N], GpuError> {
        let Reading {
            staging,
            index,
            lens,
        } = reading;
        let mut together = vec![0u32; lens.iter().sum()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut together);
        self.copy_mapped(&staging, index, 0, bytes)?;
        self.ledger.count_read(bytes.len() as u64);
        *self.staging.lock().unwrap_or_else(PoisonError::into_inner) = Some(staging);
        let mut rest = &together[..];
        Ok(lens.map(|len| {
            let (own, others) = rest.split_at(len);
            rest = others;
            own.to_vec()
        }))
    }

    /// Copies `chunk.len()` bytes of `buffer` from byte `start` on into `chunk`.
    fn read_chunk(
        &self,
        staging: Option<Buffer>,
        buffer: &Buffer,
        start: u64,
        chunk: &mut [u8],
    ) -> Result<Buffer, GpuError> {
        // Copies start and end on multiples of 4 bytes; so does every buffer.
        let skip = start % 4;
        let length = (skip + chunk.len() as u64).next_multiple_of(4);
        let staging = match staging.filter(|staging| staging.bytes >= length) {
            Some(staging) => staging,
            None => self.allocate("read-back", length.next_power_of_two(), Role::Staging)?,
        };
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                label: Some("read-back"),
            });
        encoder.copy_buffer_to_buffer(&buffer.raw, start - skip, &staging.raw, 0, length);
        let index = self.submit_encoder(encoder)?;
        self.copy_mapped(&staging, index, skip, chunk)?;
        Ok(staging)
    }

    /// Maps a staging buffer once submission `index` is done and copies its bytes from `skip` on.
    pub(super) fn copy_mapped(
        &self,
        staging: &Buffer,
        index: wgpu::SubmissionIndex,
        skip: u64,
        target: &mut [u8],
    ) -> Result<(), GpuError> {
        let failed = |message: &str| GpuError::Driver(format!("{}: {message}", staging.label));
        let length = (skip + target.len() as u64).next_multiple_of(4);
        let slice = staging.raw.slice(..length);
        let (sender, receiver) = std::sync::mpsc::channel();
        slice.map_async(wgpu::MapMode::Read, move |result| {
            // The receiver outlives the wait below; after an error nobody listens any more.
            let _ = sender.send(result);
        });
        self.wait_for(Some(index))?;
        // Another thread that waits for the device may be the one that runs the callback, a moment
        // after this thread's own wait has returned.
        match receiver.recv_timeout(MAPPING_TIMEOUT) {
            Ok(Ok(())) => {}
            _ => return Err(failed("mapping for reading failed")),
        }
        let view = slice
            .get_mapped_range()
            .map_err(|error| failed(&error.to_string()))?;
        let skip = skip as usize;
        target.copy_from_slice(&view[skip..skip + target.len()]);
        drop(view);
        staging.raw.unmap();
        Ok(())
    }
}

/// Many values of one uniform, each in its own aligned slot, for a kernel's `step` variable: the
/// offset of a slot is given per dispatch and needs no new binding.
#[derive(Debug)]
pub struct UniformArray<T> {
    buffer: Buffer,
    slot_bytes: u64,
    count: usize,
    /// What the slots hold, kept as the source of the next upload.
    bytes: Vec<u8>,
    values: std::marker::PhantomData<T>,
}

impl<T: Pod> UniformArray<T> {
    /// Uploads `values`, one slot each.
    ///
    /// # Errors
    /// Those of [`Gpu::storage`]; [`GpuError::BufferTooLarge`] if offsets pass 32 bits.
    pub fn new(gpu: &Gpu, label: &str, values: &[T]) -> Result<Self, GpuError> {
        let alignment = u64::from(gpu.limits().uniform_offset_alignment_bytes);
        let slot_bytes = (size_of::<T>() as u64)
            .max(MIN_BYTES)
            .next_multiple_of(alignment);
        let wanted_bytes = slot_bytes.saturating_mul(values.len() as u64);
        if wanted_bytes > u64::from(u32::MAX) {
            return Err(GpuError::BufferTooLarge {
                label: label.to_owned(),
                wanted_bytes,
                max_bytes: u64::from(u32::MAX),
            });
        }
        let buffer = gpu.allocate(label, wanted_bytes.max(slot_bytes), Role::Uniform)?;
        let mut array = Self {
            buffer,
            slot_bytes,
            count: values.len(),
            bytes: vec![0; wanted_bytes as usize],
            values: std::marker::PhantomData,
        };
        array.write(gpu, values.iter().copied())?;
        Ok(array)
    }

    /// Replaces the first values in one upload, before the next submission runs; those past the last
    /// slot are left out.
    ///
    /// # Errors
    /// What the device reports.
    pub fn write(
        &mut self,
        gpu: &Gpu,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), GpuError> {
        let mut used = 0;
        let slots = self.bytes.chunks_exact_mut(self.slot_bytes as usize);
        for (slot, value) in slots.zip(values) {
            slot[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
            used += slot.len();
        }
        gpu.write_bytes(&self.buffer, 0, &self.bytes[..used])
    }

    /// The buffer to bind to the `step` variable.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The dynamic offset of value `index`, in bytes.
    ///
    /// # Errors
    /// [`GpuError::BadIndex`] past the end.
    pub fn offset(&self, index: usize) -> Result<u32, GpuError> {
        if index >= self.count {
            return Err(GpuError::BadIndex {
                what: self.buffer.label.clone(),
                index: index as u64,
                count: self.count as u64,
            });
        }
        // `new` has checked that all offsets fit.
        Ok((index as u64 * self.slot_bytes) as u32)
    }
}
