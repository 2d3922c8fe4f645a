//! The two floating-point types the CPU engines compute in.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use aligned_vec::{AVec, ConstAlign};
use pulp::Simd;

/// A number of which a vector register of the processor holds several; `S` is a set of instructions.
pub trait Vector: Copy {
    /// A register full.
    type Lanes<S: Simd>: Copy;
    /// Numbers in a register.
    fn lanes<S: Simd>() -> usize;
    /// A register full of `x`.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    /// a · b + c, lane by lane, with one rounding where the processor can.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        c: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// Up to a register full of numbers, then zeros.
    fn load<S: Simd>(simd: S, from: &[Self]) -> Self::Lanes<S>;
    /// Stores as many lanes as `to` has room for.
    fn store<S: Simd>(simd: S, to: &mut [Self], lanes: Self::Lanes<S>);
    /// A slice as whole registers; what is left over is left out.
    fn as_lanes<S: Simd>(from: &[Self]) -> &[Self::Lanes<S>];
}

macro_rules! vector {
    ($type:ty, $lanes:ident, $count:ident, $splat:ident, $multiply_add:ident, $load:ident, $store:ident, $as:ident, $as_mut:ident) => {
        impl Vector for $type {
            type Lanes<S: Simd> = S::$lanes;
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$count
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$lanes {
                simd.$splat(x)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$lanes,
                b: S::$lanes,
                c: S::$lanes,
            ) -> S::$lanes {
                simd.$multiply_add(a, b, c)
            }
            #[inline(always)]
            fn load<S: Simd>(simd: S, from: &[Self]) -> S::$lanes {
                // Whole registers need no mask, and no call.
                match S::$as(from).0 {
                    [whole] => *whole,
                    _ => simd.$load(from),
                }
            }
            #[inline(always)]
            fn store<S: Simd>(simd: S, to: &mut [Self], lanes: S::$lanes) {
                match S::$as_mut(to).0 {
                    [whole] => *whole = lanes,
                    _ => simd.$store(to, lanes),
                }
            }
            #[inline(always)]
            fn as_lanes<S: Simd>(from: &[Self]) -> &[S::$lanes] {
                S::$as(from).0
            }
        }
    };
}

vector!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    mul_add_e_f32s,
    partial_load_f32s,
    partial_store_f32s,
    as_simd_f32s,
    as_mut_simd_f32s
);
vector!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    mul_add_e_f64s,
    partial_load_f64s,
    partial_store_f64s,
    as_simd_f64s,
    as_mut_simd_f64s
);

/// Numbers that begin at a cache line: a vector register then never straddles two of them, which
/// would cost up to three times as much.
pub type Lines<R> = AVec<R, ConstAlign<64>>;

/// `len` zeros.
pub fn zeros<R: Real>(len: usize) -> Lines<R> {
    let mut lines = Lines::new(0);
    lines.resize(len, R::ZERO);
    lines
}

/// `f32` (the product) or `f64` (the reference the product is checked against).
pub trait Real:
    Vector
    + PartialOrd
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + 'static
    + Sum
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// Widening, exact.
    fn to_f64(self) -> f64;
    /// exp(x) − 1, accurate near zero and written so that loops over it vectorise.
    fn expm1(self) -> Self;
    /// exp(x), above zero for all x of −80 and more.
    fn exp(self) -> Self;
    /// The same bits as [`expm1`](Self::expm1) for less where |x| ≤ [`UNREDUCED_MOST`](Self::UNREDUCED_MOST).
    fn expm1_unreduced(self) -> Self;
    /// Largest argument that [`expm1`](Self::expm1) does not reduce.
    const UNREDUCED_MOST: Self;
    /// |x|.
    fn abs(self) -> Self;
    /// Whether the sign bit is set: also that of −0.
    fn is_sign_negative(self) -> bool;
    /// √x.
    fn sqrt(self) -> Self;
    /// self · a + b with one rounding. One instruction in loops compiled for vectors; a library call
    /// on processors older than that instruction (x86 before 2013).
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger of the two; a NaN in `self` stays NaN.
    #[inline(always)]
    fn at_least(self, floor: Self) -> Self {
        if self < floor { floor } else { self }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn expm1(self) -> Self {
        libm::expm1(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        libm::exp(self)
    }
    #[inline(always)]
    fn expm1_unreduced(self) -> Self {
        libm::expm1(self)
    }
    const UNREDUCED_MOST: Self = 0.34;
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn is_sign_negative(self) -> bool {
        f64::is_sign_negative(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }
}

/// 2ⁿ and r with x = n ln 2 + r and |r| ≤ ln 2 / 2, for x from −80 to 88; other x are brought there.
#[inline(always)]
fn reduce(x: f32) -> (f32, f32) {
    /// Adding it rounds to a whole number that then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // A NaN passes both tests.
    let x = if x < -80.0 { -80.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = f32::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let r = f32::mul_add(-n, LN_2_LOW, f32::mul_add(-n, LN_2_HIGH, x));
    (scale, r)
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    /// x = n ln 2 + r with |r| ≤ ln 2 / 2; exp(r) − 1 by its Taylor polynomial of degree 7 (relative
    /// error below 2e-8), then scaled: 2ⁿ(exp(r) − 1) + (2ⁿ − 1). Below −80 the result is −1. The twin
    /// is `shaders/common/expm1.wgsl`.
    #[inline(always)]
    fn expm1(self) -> Self {
        let (scale, r) = reduce(self);
        f32::mul_add(scale, r.expm1_unreduced(), scale - 1.0)
    }
    /// 2ⁿ (1 + (exp(r) − 1)) with the same polynomial. The twin is `shaders/common/exp.wgsl`.
    #[inline(always)]
    fn exp(self) -> Self {
        let (scale, r) = reduce(self);
        scale * (1.0 + r.expm1_unreduced())
    }
    /// The polynomial alone: for such x, n is 0 and r is x.
    #[inline(always)]
    fn expm1_unreduced(self) -> Self {
        let r = self;
        let p = 1.0 / 5040.0;
        let p = f32::mul_add(p, r, 1.0 / 720.0);
        let p = f32::mul_add(p, r, 1.0 / 120.0);
        let p = f32::mul_add(p, r, 1.0 / 24.0);
        let p = f32::mul_add(p, r, 1.0 / 6.0);
        let p = f32::mul_add(p, r, 0.5);
        f32::mul_add(p, r * r, r)
    }
    const UNREDUCED_MOST: Self = 0.34;
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn is_sign_negative(self) -> bool {
        f32::is_sign_negative(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn f32_expm1_is_accurate_over_its_range() {
        let mut worst = 0.0f64;
        for i in 0..400_000 {
            let x = -90.0 + f64::from(i) * (178.0 / 400_000.0);
            let x = x as f32;
            let exact = f64::from(x).exp_m1();
            let error = (f64::from(Real::expm1(x)) - exact).abs() / exact.abs().max(1e-30);
            worst = worst.max(error);
        }
        assert!(worst < 2.5e-7, "largest relative error {worst:e}");
        for x in [1e-7f32, -1e-7, 3e-5, -0.004, -0.0051, 0.0] {
            let exact = f64::from(x).exp_m1();
            assert!((f64::from(Real::expm1(x)) - exact).abs() <= 1.5e-7 * exact.abs());
        }
        for i in -3_400_000..=3_400_000 {
            let x = i as f32 * 1e-7;
            assert_eq!(
                x.expm1_unreduced().to_bits(),
                Real::expm1(x).to_bits(),
                "{x}"
            );
        }
        assert!(Real::expm1(f32::NAN).is_nan());
        assert_eq!(Real::expm1(-1e30f32), -1.0);
    }

    #[test]
    fn f32_exp_is_accurate_and_never_zero() {
        for i in 0..168_000 {
            let x = (-80.0 + i as f32 * 1e-3).min(88.0);
            let exact = f64::from(x).exp();
            let error = (f64::from(Real::exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "{x}: {error:e}");
        }
        assert_eq!(Real::exp(0.0f32), 1.0);
        assert_eq!(Real::exp(-1e30f32), Real::exp(-80.0f32));
        assert!(Real::exp(-1e30f32) > 0.0 && Real::exp(f32::NAN).is_nan());
    }

    #[test]
    fn at_least_keeps_nan() {
        assert!(f32::NAN.at_least(0.0).is_nan());
        assert_eq!((-1.0f64).at_least(0.0), 0.0);
    }
}
