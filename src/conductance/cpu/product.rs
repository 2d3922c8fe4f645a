//! The dense products of the backward pass: `out[trial, pre] = Σ Σ_post Λ[trial, post] · w[post, pre]`, the outer
//! sum over the matrices that leave a population.
//!
//! A matrix is cut into strips two vector registers wide. A tile of such a strip and eight trials
//! keeps its sums in sixteen registers: a term costs two loads of weights and eight broadcasts for
//! sixteen multiply-adds, so the multiply-add units are what limits it. With 32 trials and AVX-512 it is
//! some 15 % faster than the `gemm` crate, whose tiles of six trials leave two over; `dalenet bench`
//! measures both.

use pulp::{Arch, Simd, WithSimd};

use super::state::{Lines, zeros};
use crate::real::{Real, Vector};

/// Registers across a strip.
const ACROSS: usize = 2;

/// A matrix `[post, pre]` in strips of `pre`: strip after strip, each `[post, width]`, the last one
/// filled up with zeros.
#[derive(Clone, Debug)]
pub(super) struct Strips<R> {
    pre: usize,
    post: usize,
    width: usize,
    values: Lines<R>,
}

impl<R: Real> Default for Strips<R> {
    fn default() -> Self {
        let (pre, post, width, values) = (0, 0, 1, zeros(0));
        Self {
            pre,
            post,
            width,
            values,
        }
    }
}

impl<R: Real> Strips<R> {
    /// Takes over `w`, `[pre, post]`.
    pub(super) fn fill(&mut self, arch: Arch, w: &[R], [pre, post]: [usize; 2]) {
        (self.pre, self.post) = (pre, post);
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

    /// A strip of the matrix.
    fn strip(&self, i: usize) -> &[R] {
        let len = self.width * self.post;
        &self.values[i * len..][..len]
    }
}

/// A matrix and the adjoints `[trial, post]` it is multiplied with.
type Factor<'a, R> = (&'a Strips<R>, &'a [R]);

/// Sets `out`, `[trial, pre]`, to the sum of the products of those `factors` that there are.
pub(super) fn sum_products<R: Real>(
    arch: Arch,
    out: &mut [R],
    factors: &[Option<Factor<'_, R>>],
    trials: usize,
) {
    arch.dispatch(SumProducts {
        out,
        factors,
        trials,
    });
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

struct SumProducts<'a, R> {
    out: &'a mut [R],
    factors: &'a [Option<Factor<'a, R>>],
    trials: usize,
}

impl<R: Real> WithSimd for SumProducts<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            out,
            factors,
            trials,
        } = self;
        let pre = out.len() / trials;
        let width = ACROSS * R::lanes::<S>();
        assert!(
            (factors.iter().flatten())
                .all(|(w, x)| (w.pre, w.width) == (pre, width) && x.len() >= trials * w.post),
            "matrices and adjoints fit what they are summed into"
        );
        // With sixteen registers, eight sums in flight still cover the latency.
        let most = if S::REGISTER_COUNT >= 32 { 8 } else { 4 };
        for strip in 0..pre.div_ceil(width) {
            let tile = Tile {
                factors,
                strip,
                cells: strip * width..((strip + 1) * width).min(pre),
                pre,
            };
            let mut trial = 0;
            while trial < trials {
                trial += match trials - trial {
                    8.. if most == 8 => tile.sum::<S, 8>(simd, trial, out),
                    4.. => tile.sum::<S, 4>(simd, trial, out),
                    2.. => tile.sum::<S, 2>(simd, trial, out),
                    _ => tile.sum::<S, 1>(simd, trial, out),
                };
            }
        }
    }
}

/// A strip of all matrices.
struct Tile<'a, R> {
    factors: &'a [Option<Factor<'a, R>>],
    strip: usize,
    /// Its cells.
    cells: std::ops::Range<usize>,
    pre: usize,
}

impl<R: Real> Tile<'_, R> {
    /// The sums of `T` trials from `first` on; returns `T`. Every sum goes over the matrices and over
    /// ascending `post`, so its value does not depend on the tile it is part of.
    #[inline(always)]
    fn sum<S: Simd, const T: usize>(&self, simd: S, first: usize, out: &mut [R]) -> usize {
        let mut sums = [[R::splat(simd, R::ZERO); ACROSS]; T];
        for (matrix, lambda) in self.factors.iter().flatten() {
            let post = matrix.post;
            let rows: [&[R]; T] = std::array::from_fn(|t| &lambda[(first + t) * post..][..post]);
            let (weights, _) = R::as_lanes::<S>(matrix.strip(self.strip)).as_chunks::<ACROSS>();
            for (k, weights) in weights.iter().enumerate().take(post) {
                for (row, sums) in rows.iter().zip(&mut sums) {
                    // SAFETY: every row has `post` entries and `k` is less. The check would cost 5 %.
                    let lambda = R::splat(simd, unsafe { *row.get_unchecked(k) });
                    for (sum, &w) in sums.iter_mut().zip(weights) {
                        *sum = R::multiply_add(simd, w, lambda, *sum);
                    }
                }
            }
        }
        let lanes = R::lanes::<S>();
        let cells = self.cells.len();
        for (t, sums) in sums.into_iter().enumerate() {
            let row = &mut out[(first + t) * self.pre + self.cells.start..][..cells];
            for (v, sum) in sums.into_iter().enumerate() {
                R::store(
                    simd,
                    &mut row[(v * lanes).min(cells)..((v + 1) * lanes).min(cells)],
                    sum,
                );
            }
        }
        T
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strips<R: Real>(w: &[R], sizes: [usize; 2]) -> Strips<R> {
        let mut strips = Strips::default();
        strips.fill(Arch::new(), w, sizes);
        strips
    }

    /// Against sums written out, at sizes around every tile.
    fn agrees<R: Real>(tolerance: f64) {
        let value = |i: usize, k: usize| ((i * 37 + k * 101) % 97) as f64 / 97.0 - 0.4;
        for (trials, pre, posts) in [
            (1, 1, [1, 1]),
            (8, 32, [5, 2]),
            (13, 67, [31, 1]),
            (15, 33, [1, 40]),
            (32, 10, [64, 10]),
        ] {
            let values = |n: usize, k: usize| -> Vec<R> {
                (0..n).map(|i| R::from_f64(value(i, k))).collect()
            };
            let w = posts.map(|post| values(pre * post, post));
            let lambda = posts.map(|post| values(trials * post, 2 + post));
            let mut out = vec![R::from_f64(f64::NAN); trials * pre];
            let matrices = [0, 1].map(|m| strips(&w[m], [pre, posts[m]]));
            let factors = [0, 1].map(|m| Some((&matrices[m], &lambda[m][..])));
            sum_products(Arch::new(), &mut out, &factors, trials);
            for trial in 0..trials {
                for cell in 0..pre {
                    let of = |m: usize| -> f64 {
                        let terms = (0..posts[m]).map(|k| {
                            lambda[m][trial * posts[m] + k].to_f64()
                                * w[m][cell * posts[m] + k].to_f64()
                        });
                        terms.sum()
                    };
                    let (exact, own) = (of(0) + of(1), out[trial * pre + cell].to_f64());
                    let sizes = (trials, pre, posts);
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
    fn no_products_are_zero() {
        let mut out = [f32::NAN; 6];
        sum_products(Arch::new(), &mut out, &[], 2);
        assert_eq!(out, [0.0; 6]);
    }

    #[test]
    fn a_trial_does_not_depend_on_its_company() {
        let (pre, post, trials) = (67, 300, 13);
        let value = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
        let w: Vec<f32> = (0..pre * post).map(value).collect();
        let lambda: Vec<f32> = (0..trials * post).map(|i| value(i + 5)).collect();
        let matrix = strips(&w, [pre, post]);
        let mut together = vec![0.0; trials * pre];
        sum_products(
            Arch::new(),
            &mut together,
            &[Some((&matrix, &lambda))],
            trials,
        );
        for trial in 0..trials {
            let mut alone = vec![0.0; pre];
            let lambda = &lambda[trial * post..][..post];
            sum_products(Arch::new(), &mut alone, &[Some((&matrix, lambda))], 1);
            assert_eq!(alone, together[trial * pre..][..pre]);
        }
    }
}
