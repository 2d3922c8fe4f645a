//! The dense products of the backward pass: `out[trial, pre] += Σ_post Λ[trial, post] · w[post, pre]`.
//!
//! The matrix is cut into strips two vector registers wide. A tile of such a strip and eight trials
//! keeps its sums in sixteen registers: a term costs two loads of weights and eight broadcasts for
//! sixteen multiply-adds, so the multiply-add units are what limits it. With 32 trials and AVX-512 it is
//! some 15 % faster than the `gemm` crate, whose tiles of six trials leave two over; `dalenet bench`
//! measures both.

use pulp::{Arch, Simd, WithSimd};

use super::state::{Lines, zeros};
use crate::real::{Real, Vector};

/// Registers across a strip.
const ACROSS: usize = 2;

/// What becomes of the values that stand where a product goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    /// They are replaced.
    Empty,
    /// The product is added.
    Sum,
}

/// A matrix `[post, pre]` in strips of `pre`: strip after strip, each `[post, width]`, the last one
/// filled up with zeros.
#[derive(Clone, Debug)]
pub(super) struct Strips<R> {
    pre: usize,
    width: usize,
    values: Lines<R>,
}

impl<R: Real> Default for Strips<R> {
    fn default() -> Self {
        let (pre, width, values) = (0, 1, zeros(0));
        Self { pre, width, values }
    }
}

impl<R: Real> Strips<R> {
    /// Takes over `w`, `[pre, post]`.
    pub(super) fn fill(&mut self, arch: Arch, w: &[R], [pre, post]: [usize; 2]) {
        self.pre = pre;
        self.width = ACROSS * arch.dispatch(LanesOf::<R>::default());
        let strips = pre.div_ceil(self.width);
        self.values.resize(strips * post * self.width, R::ZERO);
        let rows = w.chunks_exact(post).take(pre);
        for (cell, row) in rows.enumerate() {
            let (strip, lane) = (cell / self.width, cell % self.width);
            let strip = &mut self.values[strip * post * self.width..][..post * self.width];
            for (to, &w) in strip[lane..].iter_mut().step_by(self.width).zip(row) {
                *to = w;
            }
        }
    }

    /// The product with `lambda`, `[trial, post]`, added to `out`, `[trial, pre]`, or in its place.
    pub(super) fn product(
        &self,
        arch: Arch,
        out: &mut [R],
        lambda: &[R],
        trials: usize,
        into: Into,
    ) {
        arch.dispatch(Product {
            strips: self,
            out,
            lambda,
            trials,
            into,
        });
    }
}

/// Asks how many numbers a vector register holds.
#[derive(Default)]
struct LanesOf<R>(std::marker::PhantomData<R>);

impl<R: Vector> WithSimd for LanesOf<R> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        R::lanes::<S>()
    }
}

struct Product<'a, R> {
    strips: &'a Strips<R>,
    out: &'a mut [R],
    lambda: &'a [R],
    trials: usize,
    into: Into,
}

impl<R: Real> WithSimd for Product<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            strips,
            out,
            lambda,
            trials,
            into,
        } = self;
        let (pre, post) = (strips.pre, lambda.len() / trials);
        // With sixteen registers, eight sums in flight still cover the latency.
        let most = if S::REGISTER_COUNT >= 32 { 8 } else { 4 };
        for (i, strip) in strips.values.chunks_exact(strips.width * post).enumerate() {
            let mut trial = 0;
            while trial < trials {
                let tile = Tile {
                    first: trial * pre + i * strips.width,
                    cells: strips.width.min(pre - i * strips.width),
                    pre,
                    lambda: &lambda[trial * post..],
                    strip,
                    into,
                };
                trial += match trials - trial {
                    8.. if most == 8 => tile.add::<S, 8>(simd, out),
                    4.. => tile.add::<S, 4>(simd, out),
                    2.. => tile.add::<S, 2>(simd, out),
                    _ => tile.add::<S, 1>(simd, out),
                };
            }
        }
    }
}

/// A strip and some trials.
struct Tile<'a, R> {
    /// Where the first sum lies; those of the next trial lie `pre` further on.
    first: usize,
    /// Cells of the strip.
    cells: usize,
    pre: usize,
    /// Rows of the trials.
    lambda: &'a [R],
    strip: &'a [R],
    into: Into,
}

impl<R: Real> Tile<'_, R> {
    /// Adds the products of `T` trials; returns `T`. Every sum goes over ascending `post`, so its value
    /// does not depend on the tile it is part of.
    #[inline(always)]
    fn add<S: Simd, const T: usize>(&self, simd: S, out: &mut [R]) -> usize {
        let lanes = R::lanes::<S>();
        let part = |v: usize| (v * lanes).min(self.cells)..((v + 1) * lanes).min(self.cells);
        let mut sums = [[R::splat(simd, R::ZERO); ACROSS]; T];
        if self.into == Into::Sum {
            for (t, sums) in sums.iter_mut().enumerate() {
                let row = &out[self.first + t * self.pre..][..self.cells];
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = R::load(simd, &row[part(v)]);
                }
            }
        }
        let post = self.strip.len() / (ACROSS * lanes);
        let rows: [&[R]; T] = std::array::from_fn(|t| &self.lambda[t * post..][..post]);
        let (weights, _) = R::as_lanes::<S>(self.strip).as_chunks::<ACROSS>();
        for (k, weights) in weights.iter().enumerate().take(post) {
            for (row, sums) in rows.iter().zip(&mut sums) {
                // SAFETY: every row has `post` entries and `k` is less. The check would cost 5 %.
                let lambda = R::splat(simd, unsafe { *row.get_unchecked(k) });
                for (sum, &w) in sums.iter_mut().zip(weights) {
                    *sum = R::multiply_add(simd, w, lambda, *sum);
                }
            }
        }
        for (t, sums) in sums.into_iter().enumerate() {
            let row = &mut out[self.first + t * self.pre..][..self.cells];
            for (v, sum) in sums.into_iter().enumerate() {
                R::store(simd, &mut row[part(v)], sum);
            }
        }
        T
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against sums written out, at sizes around every tile.
    fn agrees<R: Real>(tolerance: f64) {
        let value = |i: usize, k: usize| ((i * 37 + k * 101) % 97) as f64 / 97.0 - 0.4;
        for (trials, pre, post) in [
            (1, 1, 1),
            (8, 32, 5),
            (13, 67, 31),
            (15, 33, 1),
            (32, 10, 64),
        ] {
            let values = |n: usize, k: usize| -> Vec<R> {
                (0..n).map(|i| R::from_f64(value(i, k))).collect()
            };
            let (w, lambda) = (values(pre * post, 1), values(trials * post, 2));
            let mut out = values(trials * pre, 3);
            let mut strips = Strips::default();
            strips.fill(Arch::new(), &w, [pre, post]);
            strips.product(Arch::new(), &mut out, &lambda, trials, Into::Sum);
            for trial in 0..trials {
                for cell in 0..pre {
                    let terms = (0..post)
                        .map(|k| lambda[trial * post + k].to_f64() * w[cell * post + k].to_f64());
                    let exact = value(trial * pre + cell, 3) + terms.sum::<f64>();
                    let own = out[trial * pre + cell].to_f64();
                    let sizes = (trials, pre, post);
                    assert!((own - exact).abs() < tolerance, "{sizes:?}: {own} {exact}");
                }
            }
        }
    }

    #[test]
    fn products_are_right_at_sizes_around_every_tile() {
        agrees::<f32>(1e-5);
        agrees::<f64>(1e-13);
    }

    #[test]
    fn a_trial_does_not_depend_on_its_company() {
        let (pre, post, trials) = (67, 300, 13);
        let value = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
        let w: Vec<f32> = (0..pre * post).map(value).collect();
        let lambda: Vec<f32> = (0..trials * post).map(|i| value(i + 5)).collect();
        let mut strips = Strips::default();
        strips.fill(Arch::new(), &w, [pre, post]);
        let mut together = vec![0.0; trials * pre];
        strips.product(Arch::new(), &mut together, &lambda, trials, Into::Sum);
        for trial in 0..trials {
            let mut alone = vec![f32::NAN; pre];
            let lambda = &lambda[trial * post..][..post];
            strips.product(Arch::new(), &mut alone, lambda, 1, Into::Empty);
            assert_eq!(alone, together[trial * pre..][..pre]);
        }
    }
}
