//! The two floating-point types the CPU engines compute in.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// `f32` (the product) or `f64` (the reference the product is checked against).
pub trait Real:
    Copy
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
    /// |x|.
    fn abs(self) -> Self;
    /// √x.
    fn sqrt(self) -> Self;
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
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
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
    /// error below 2e-8), then scaled: 2ⁿ(exp(r) − 1) + (2ⁿ − 1). The twin is
    /// `shaders/common/expm1.wgsl`.
    #[inline(always)]
    fn expm1(self) -> Self {
        /// Adding it rounds to a whole number that then stands in the low bits.
        const ROUND: f32 = 12_582_912.0;
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        // Outside these bounds the result is −1 or overflows; a NaN passes both tests.
        let x = if self < -80.0 { -80.0 } else { self };
        let x = if x > 88.0 { 88.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        let p = 1.0 / 5040.0;
        let p = p * r + 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let q = p * (r * r) + r;
        scale * q + (scale - 1.0)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
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
        assert!(Real::expm1(f32::NAN).is_nan());
        assert_eq!(Real::expm1(-1e30f32), -1.0);
    }

    #[test]
    fn at_least_keeps_nan() {
        assert!(f32::NAN.at_least(0.0).is_nan());
        assert_eq!((-1.0f64).at_least(0.0), 0.0);
    }
}
