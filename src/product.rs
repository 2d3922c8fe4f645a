//! Sums of dense products on the CPU: `out[row, column] = Σ Σ_k x[row, k] · w[k, column]`, the outer sum over
//! the matrices that lead to the same columns. No entry depends on what else is computed with it: not on the
//! other rows, and not on threads.
//!
//! A matrix is cut into strips two vector registers wide. A tile of such a strip and eight rows
//! keeps its sums in sixteen registers: a term costs two loads of weights and eight broadcasts for
//! sixteen multiply-adds, so the multiply-add units are what limits it. With 32 rows and AVX-512 it is
//! some 15 % faster than the `gemm` crate, whose tiles of six rows leave two over; `dalenet bench`
//! measures both.

use pulp::{Arch, Simd, WithSimd};

use crate::real::{Lines, Real, Vector, zeros};

/// Registers across a strip.
const ACROSS: usize = 2;

/// A matrix `[depth, columns]` in strips of columns: strip after strip, each `[depth, width]`, the last one
/// filled up with zeros.
#[derive(Clone, Debug)]
pub struct Strips<R> {
    columns: usize,
    depth: usize,
    width: usize,
    values: Lines<R>,
}

impl<R: Real> Default for Strips<R> {
    fn default() -> Self {
        let (columns, depth, width, values) = (0, 0, 1, zeros(0));
        Self {
            columns,
            depth,
            width,
            values,
        }
    }
}

impl<R: Real> Strips<R> {
    /// Takes over `w`, row-major `[depth, columns]`.
    pub fn fill(&mut self, arch: Arch, w: &[R], [depth, columns]: [usize; 2]) {
        self.resize(arch, [depth, columns]);
        for (k, row) in w.chunks_exact(columns.max(1)).take(depth).enumerate() {
            for (strip, part) in row.chunks(self.width).enumerate() {
                let at = (strip * depth + k) * self.width;
                self.values[at..][..part.len()].copy_from_slice(part);
            }
        }
    }

    /// Takes over `w`, row-major `[columns, depth]`.
    pub fn fill_transposed(&mut self, arch: Arch, w: &[R], [columns, depth]: [usize; 2]) {
        self.resize(arch, [depth, columns]);
        let rows = w.chunks_exact(depth.max(1)).take(columns);
        for (column, row) in rows.enumerate() {
            let (strip, lane) = (column / self.width, column % self.width);
            let strip = &mut self.values[strip * depth * self.width..][..depth * self.width];
            for (to, &w) in strip[lane..].iter_mut().step_by(self.width).zip(row) {
                *to = w;
            }
        }
    }

    fn resize(&mut self, arch: Arch, [depth, columns]: [usize; 2]) {
        let width = ACROSS * arch.dispatch(LanesOf::<R>::default());
        if (self.depth, self.columns, self.width) != (depth, columns, width) {
            (self.depth, self.columns, self.width) = (depth, columns, width);
            // What fills up the last strip is zero for good.
            self.values.clear();
            let strips = columns.div_ceil(width);
            self.values.resize(strips * depth * width, R::ZERO);
        }
    }

    /// A strip of the matrix.
    fn strip(&self, i: usize) -> &[R] {
        let len = self.width * self.depth;
        &self.values[i * len..][..len]
    }
}

/// A matrix `[depth, columns]` and the rows `[row, depth]` it is multiplied with.
pub type Factor<'a, R> = (&'a Strips<R>, &'a [R]);

/// Sets `out`, `[row, column]`, to the sum of the products of those `factors` that there are.
pub fn sum_products<R: Real>(
    arch: Arch,
    out: &mut [R],
    factors: &[Option<Factor<'_, R>>],
    rows: usize,
) {
    if rows == 0 || out.is_empty() {
        return;
    }
    arch.dispatch(SumProducts { out, factors, rows });
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
    rows: usize,
}

impl<R: Real> WithSimd for SumProducts<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, factors, rows } = self;
        let columns = out.len() / rows;
        let width = ACROSS * R::lanes::<S>();
        assert!(
            (factors.iter().flatten())
                .all(|(w, x)| (w.columns, w.width) == (columns, width) && x.len() >= rows * w.depth),
            "matrices and rows fit what they are summed into"
        );
        // With sixteen registers, eight sums in flight still cover the latency.
        let most = if S::REGISTER_COUNT >= 32 { 8 } else { 4 };
        for strip in 0..columns.div_ceil(width) {
            let tile = Tile {
                factors,
                strip,
                range: strip * width..((strip + 1) * width).min(columns),
                columns,
            };
            // The last strip may need no second register.
            match tile.range.len() <= R::lanes::<S>() {
                true => tile.rows::<S, 1>(simd, rows, most, out),
                false => tile.rows::<S, ACROSS>(simd, rows, most, out),
            }
        }
    }
}

/// A strip of all matrices.
struct Tile<'a, R> {
    factors: &'a [Option<Factor<'a, R>>],
    strip: usize,
    /// Its columns.
    range: std::ops::Range<usize>,
    columns: usize,
}

impl<R: Real> Tile<'_, R> {
    /// The sums of all rows, `most` at a time, in `A` registers each.
    #[inline(always)]
    fn rows<S: Simd, const A: usize>(&self, simd: S, rows: usize, most: usize, out: &mut [R]) {
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                8.. if most == 8 => self.sum::<S, 8, A>(simd, row, out),
                4.. => self.sum::<S, 4, A>(simd, row, out),
                2.. => self.sum::<S, 2, A>(simd, row, out),
                _ => self.sum::<S, 1, A>(simd, row, out),
            };
        }
    }

    /// The sums of `T` rows from `first` on; returns `T`. Every sum goes over the matrices and over
    /// ascending k, so its value does not depend on the tile it is part of.
    #[inline(always)]
    fn sum<S: Simd, const T: usize, const A: usize>(
        &self,
        simd: S,
        first: usize,
        out: &mut [R],
    ) -> usize {
        let mut sums = [[R::splat(simd, R::ZERO); A]; T];
        for (matrix, x) in self.factors.iter().flatten() {
            let depth = matrix.depth;
            let rows: [&[R]; T] = std::array::from_fn(|t| &x[(first + t) * depth..][..depth]);
            let (weights, _) = R::as_lanes::<S>(matrix.strip(self.strip)).as_chunks::<ACROSS>();
            // Four terms a turn: where a row is looked for in memory is reckoned once for all of them.
            let (turns, rest) = weights[..depth].as_chunks::<4>();
            let mut add = |k: usize, weights: &[R::Lanes<S>; ACROSS]| {
                for (row, sums) in rows.iter().zip(&mut sums) {
                    // SAFETY: every row has `depth` entries and `k` is less. The check would cost 5 %.
                    let x = R::splat(simd, unsafe { *row.get_unchecked(k) });
                    for (sum, &w) in sums.iter_mut().zip(weights) {
                        *sum = R::multiply_add(simd, w, x, *sum);
                    }
                }
            };
            for (turn, four) in turns.iter().enumerate() {
                for (within, weights) in four.iter().enumerate() {
                    add(4 * turn + within, weights);
                }
            }
            for (within, weights) in rest.iter().enumerate() {
                add(4 * turns.len() + within, weights);
            }
        }
        let lanes = R::lanes::<S>();
        let columns = self.range.len();
        for (t, sums) in sums.into_iter().enumerate() {
            let row = &mut out[(first + t) * self.columns + self.range.start..][..columns];
            for (v, sum) in sums.into_iter().enumerate() {
                R::store(
                    simd,
                    &mut row[(v * lanes).min(columns)..((v + 1) * lanes).min(columns)],
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
        strips.fill_transposed(Arch::new(), w, sizes);
        strips
    }

    #[test]
    fn a_matrix_and_its_transpose_give_the_same_strips() {
        let (depth, columns) = (5, 67);
        let w: Vec<f32> = (0..depth * columns).map(|i| i as f32).collect();
        let at = |i: usize| w[i % depth * columns + i / depth];
        let transposed: Vec<f32> = (0..depth * columns).map(at).collect();
        let mut direct = Strips::default();
        direct.fill(Arch::new(), &[7.0; 40], [20, 2]);
        direct.fill(Arch::new(), &w, [depth, columns]);
        assert_eq!(direct.values, strips(&transposed, [columns, depth]).values);
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
