// exp(x) with the polynomial of expm1: x = n ln 2 + r, then 2ⁿ(1 + (exp(r) − 1)). Never zero: x below −80
// counts as −80. Twin: `f32::exp` in src/real.rs.
#import "common/expm1.wgsl"

fn exp_of(unbounded: f32) -> f32 {
    // select keeps a NaN as it is.
    let below = select(unbounded, -80.0, unbounded < -80.0);
    let x = select(below, 88.0, below > 88.0);
    let n = round(x * 1.44269504);
    let two_to_n = bitcast<f32>(u32(i32(n) + 127) << 23u);
    let r = fma(-n, -2.12194440e-4, fma(-n, 0.693359375, x));
    return two_to_n * (1.0 + expm1(r));
}
