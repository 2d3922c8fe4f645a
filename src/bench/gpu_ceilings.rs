//! What a GPU can do at the most: a large copy, a large product, independent multiply-adds.

use std::time::Instant;

use super::report::Ceilings;
use super::spread::MedianSpread;
use crate::gpu::{AdapterKind, Bound, Buffer, Constant, Gpu, GpuError, Kernel, with_constants};

const COPY: &str = include_str!("../../shaders/bench/copy.wgsl");
const PRODUCT: &str = include_str!("../../shaders/bench/product.wgsl");
const FMA: &str = include_str!("../../shaders/bench/fma.wgsl");

/// Invocations of a workgroup of the copy and the multiply-adds.
const WORKGROUP: u64 = 256;
/// Rows and columns of a tile of the product.
const TILE: usize = 128;
/// Operations of one round of the multiply-adds.
const FMA_FLOPS: f64 = 16.0;
/// Dispatches timed together take about this long, so that a clock can tell and no watchdog minds.
const REPETITION_SECONDS: f64 = 0.02;

/// How much is done; on a software device as little as still says something.
struct Sizes {
    copy_bytes: u64,
    product: usize,
    fma_groups: u32,
    fma_rounds: u32,
}

impl Sizes {
    fn of(gpu: &Gpu) -> Self {
        let largest = gpu.limits().storage_binding_bytes;
        let copy_bytes = |wanted: u64| wanted.min(largest) / 16 * 16;
        if gpu.is_software() {
            Self {
                copy_bytes: copy_bytes(16 << 20),
                product: 2 * TILE,
                fma_groups: 16,
                fma_rounds: 256,
            }
        } else {
            // A product of an eighth of the work takes a small GPU long enough.
            let small = gpu.info().kind == AdapterKind::Integrated;
            Self {
                copy_bytes: copy_bytes(512 << 20),
                product: if small { 16 * TILE } else { 32 * TILE },
                fma_groups: 4096,
                fma_rounds: 2048,
            }
        }
    }
}

/// The ceilings of a device, each the spread of `repetitions`.
///
/// # Errors
/// A failure of the device.
pub(super) fn of_gpu(gpu: &Gpu, repetitions: usize) -> Result<Ceilings, GpuError> {
    let sizes = Sizes::of(gpu);
    let by_device = gpu.set_timing(true);
    let (copy_bytes, copy) = copy(gpu, sizes.copy_bytes, repetitions)?;
    let product = product(gpu, sizes.product, repetitions)?;
    let flops =
        FMA_FLOPS * f64::from(sizes.fma_rounds) * (u64::from(sizes.fma_groups) * WORKGROUP) as f64;
    let fma = fma(gpu, sizes.fma_groups, sizes.fma_rounds, repetitions)?;
    Ok(Ceilings {
        copy_bytes,
        copy_gb_per_s: copy.rate(2.0 * copy_bytes as f64 * 1e-9),
        product_size: sizes.product,
        product_tflops: product.rate(2.0 * (sizes.product as f64).powi(3) * 1e-12),
        fma_tflops: Some(fma.rate(flops * 1e-12)),
        timed_by: if by_device {
            "device timestamps"
        } else {
            "wall clock"
        },
    })
}

/// Bytes copied, half as many where the memory is too small, and seconds of a copy.
fn copy(gpu: &Gpu, bytes: u64, repetitions: usize) -> Result<(u64, MedianSpread), GpuError> {
    let both = gpu
        .storage("copy source", bytes)
        .and_then(|source| Ok((source, gpu.storage("copy destination", bytes)?)));
    let (source, destination) = match both {
        Err(GpuError::OutOfMemory { .. }) if bytes >= 2 << 20 => {
            return copy(gpu, bytes / 32 * 16, repetitions);
        }
        both => both?,
    };
    let kernel = Kernel::new(gpu, "copy", COPY, "main")?;
    let bound = kernel.bind(gpu, &[("source", &source), ("destination", &destination)])?;
    let grid = kernel.grid_for(gpu, bytes / 16)?;
    Ok((bytes, time(gpu, &kernel, &bound, grid, repetitions)?))
}

/// Seconds of a product of two square matrices of `size`.
fn product(gpu: &Gpu, size: usize, repetitions: usize) -> Result<MedianSpread, GpuError> {
    let matrix = |label| gpu.storage(label, 4 * (size * size) as u64);
    let (a, b, c) = (matrix("a")?, matrix("b")?, matrix("c")?);
    let (kernel, bound, grid) = bind_product(gpu, size, [&a, &b, &c])?;
    time(gpu, &kernel, &bound, grid, repetitions)
}

fn bind_product(
    gpu: &Gpu,
    size: usize,
    [a, b, c]: [&Buffer; 3],
) -> Result<(Kernel, Bound, [u32; 3]), GpuError> {
    let source = with_constants(PRODUCT, &[("SIZE", Constant::U32(size as u32))])?;
    let kernel = Kernel::new(gpu, "product", &source, "main")?;
    let bound = kernel.bind(gpu, &[("a", a), ("b", b), ("c", c)])?;
    let tiles = (size / TILE) as u32;
    Ok((kernel, bound, [tiles, tiles, 1]))
}

/// Seconds of `rounds` rounds in `groups` workgroups.
fn fma(gpu: &Gpu, groups: u32, rounds: u32, repetitions: usize) -> Result<MedianSpread, GpuError> {
    let result = gpu.storage("result", 4 * WORKGROUP * u64::from(groups))?;
    let source = with_constants(FMA, &[("ROUNDS", Constant::U32(rounds))])?;
    let kernel = Kernel::new(gpu, "fma", &source, "main")?;
    let bound = kernel.bind(gpu, &[("result", &result)])?;
    time(gpu, &kernel, &bound, [groups, 1, 1], repetitions)
}

/// Seconds of one dispatch, after one as a warm-up.
fn time(
    gpu: &Gpu,
    kernel: &Kernel,
    bound: &Bound,
    grid: [u32; 3],
    repetitions: usize,
) -> Result<MedianSpread, GpuError> {
    let run = |dispatches: usize| -> Result<f64, GpuError> {
        let mut commands = gpu.commands();
        commands.span(kernel.name())?;
        for _ in 0..dispatches {
            commands.dispatch(kernel, bound, grid, None)?;
        }
        let start = Instant::now();
        commands.submit()?;
        gpu.wait()?;
        let wall = start.elapsed().as_secs_f64();
        let on_device: f64 = gpu.spans()?.iter().map(|span| span.ms * 1e-3).sum();
        // Some drivers count so coarsely that a short span takes no time at all.
        let seconds = if on_device > 0.0 { on_device } else { wall };
        Ok(seconds.max(1e-9) / dispatches as f64)
    };
    let once = run(1)?;
    let dispatches = (REPETITION_SECONDS / once).clamp(1.0, 100.0) as usize;
    let seconds = (0..repetitions.max(1)).map(|_| run(dispatches));
    Ok(MedianSpread::of(&seconds.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::testing::test_gpu;

    #[test]
    fn the_product_is_one() {
        let Some(gpu) = test_gpu() else { return };
        let n = TILE;
        let value = |i: usize| (i * 7 % 11) as f32 - 5.0;
        let a: Vec<f32> = (0..n * n).map(value).collect();
        let b: Vec<f32> = (0..n * n).map(|i| value(3 * i + 1)).collect();
        let [a_buffer, b_buffer, c_buffer] =
            [&a, &b, &a].map(|values| gpu.storage_init("matrix", values).unwrap());
        gpu.poison(&c_buffer).unwrap();
        let buffers = [&a_buffer, &b_buffer, &c_buffer];
        let (kernel, bound, grid) = bind_product(&gpu, n, buffers).unwrap();
        let mut commands = gpu.commands();
        commands.dispatch(&kernel, &bound, grid, None).unwrap();
        commands.submit().unwrap();
        let c = gpu.read::<f32>(&c_buffer, 0..n * n).unwrap();
        for row in 0..n {
            for column in 0..n {
                let sum: f32 = (0..n).map(|k| a[k * n + row] * b[k * n + column]).sum();
                assert_eq!(c[row * n + column], sum, "[{row}, {column}]");
            }
        }
    }

    #[test]
    fn every_ceiling_is_a_number() {
        let Some(gpu) = test_gpu() else { return };
        let ceilings = of_gpu(&gpu, 1).unwrap();
        assert!(ceilings.copy_gb_per_s.median > 0.0 && ceilings.copy_gb_per_s.max.is_finite());
        assert!(ceilings.product_tflops.median > 0.0);
        assert!(ceilings.arithmetic_tflops() >= ceilings.product_tflops.median);
    }
}
