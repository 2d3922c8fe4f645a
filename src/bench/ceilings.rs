//! What the processor can do at the most: a large copy, large products, and the products of the
//! loop in the blocks in which the CPU engine makes them.

use std::sync::Barrier;
use std::time::Instant;

use super::report::Ceilings;
use super::spread::MedianSpread;

/// Bytes copied by all threads together: more than any cache holds.
const COPY_BYTES: usize = 256 << 20;
/// Rows and columns of a large product.
const PRODUCT_SIZE: usize = 768;
/// A repetition lasts at least about this long.
const REPETITION_SECONDS: f64 = 0.05;

/// The ceilings of `threads` threads, each the spread of `repetitions`.
pub(super) fn of_processor(threads: usize, repetitions: usize) -> Ceilings {
    let n = PRODUCT_SIZE;
    let product = MedianSpread::of(&product_gflops(threads, &[[n, n, n]], repetitions));
    Ceilings {
        copy_bytes: COPY_BYTES as u64,
        copy_gb_per_s: copy(threads, repetitions),
        product_size: n,
        product_tflops: product.times(1e-3),
        fma_tflops: None,
        timed_by: "wall clock",
    }
}

/// Bytes read and written a second when every thread copies its share, GB/s.
fn copy(threads: usize, repetitions: usize) -> MedianSpread {
    let floats = COPY_BYTES / 4 / threads.max(1);
    let seconds = on_all_threads(threads, repetitions, || {
        let source = vec![1.0f32; floats];
        let mut destination = vec![0.0f32; floats];
        move || destination.copy_from_slice(std::hint::black_box(&source))
    });
    let bytes = 2.0 * 4.0 * (floats * threads.max(1)) as f64;
    MedianSpread::of(&seconds).rate(bytes * 1e-9)
}

/// Rates at which all threads together make products `[rows, columns, inner]`, one after another,
/// GFLOP/s. As in the engine, the left factors are the same for all threads.
pub fn product_gflops(threads: usize, shapes: &[[usize; 3]], repetitions: usize) -> Vec<f64> {
    let lefts: Vec<Vec<f32>> = shapes
        .iter()
        .map(|&[rows, _, inner]| vec![0.5; rows * inner])
        .collect();
    let seconds = on_all_threads(threads, repetitions, || {
        let mut rights: Vec<(Vec<f32>, Vec<f32>)> = shapes
            .iter()
            .map(|&[rows, columns, inner]| (vec![0.5; inner * columns], vec![0.0; rows * columns]))
            .collect();
        let lefts = &lefts;
        move || {
            for ((&shape, left), (right, out)) in shapes.iter().zip(lefts).zip(&mut rights) {
                add_product(out, left, right, shape);
            }
        }
    });
    let products = shapes.iter().map(|shape| shape.iter().product::<usize>());
    let gflop = 2e-9 * (threads.max(1) * products.sum::<usize>()) as f64;
    seconds.into_iter().map(|seconds| gflop / seconds).collect()
}

/// Seconds of one call of what `make` returns, when all threads call theirs at once. Calls are
/// repeated until a repetition is long enough to be timed; the first repetition is a warm-up.
fn on_all_threads<W: FnMut()>(
    threads: usize,
    repetitions: usize,
    make: impl Fn() -> W + Sync,
) -> Vec<f64> {
    let threads = threads.max(1);
    let run = |calls: usize, repetitions: usize| -> Vec<f64> {
        let barrier = Barrier::new(threads + 1);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut work = make();
                    work();
                    for _ in 0..repetitions {
                        barrier.wait();
                        (0..calls).for_each(|_| work());
                        barrier.wait();
                    }
                });
            }
            let timed = (0..repetitions).map(|_| {
                barrier.wait();
                let start = Instant::now();
                barrier.wait();
                start.elapsed().as_secs_f64().max(1e-9) / calls as f64
            });
            timed.collect()
        })
    };
    let once = run(1, 1)[0];
    let calls = (REPETITION_SECONDS / once).ceil().clamp(1.0, 1e6) as usize;
    run(calls, repetitions.max(1))
}

/// `out += left · right` of column-major matrices, with the routine of the CPU engine.
fn add_product(out: &mut [f32], left: &[f32], right: &[f32], [rows, columns, inner]: [usize; 3]) {
    assert!(out.len() == rows * columns && left.len() == rows * inner);
    assert!(right.len() == inner * columns);
    // SAFETY: the slices have the sizes that their strides address (asserted above), and `out` is
    // borrowed exclusively.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            rows as isize,
            1,
            true,
            left.as_ptr(),
            rows as isize,
            1,
            right.as_ptr(),
            inner as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_one() {
        // Column-major: [[1, 2], [3, 4], [5, 6]] · [[1, 0], [2, 1]].
        let mut out = vec![10.0; 6];
        let left = [1.0, 3.0, 5.0, 2.0, 4.0, 6.0];
        add_product(&mut out, &left, &[1.0, 2.0, 0.0, 1.0], [3, 2, 2]);
        assert_eq!(out, [15.0, 21.0, 27.0, 12.0, 14.0, 16.0]);
    }

    #[test]
    fn every_repetition_has_a_rate() {
        for threads in [1, 3] {
            let rates = product_gflops(threads, &[[64, 32, 16], [16, 32, 64]], 2);
            assert_eq!(rates.len(), 2);
            assert!(rates.iter().all(|rate| *rate > 0.0 && rate.is_finite()));
        }
    }
}
