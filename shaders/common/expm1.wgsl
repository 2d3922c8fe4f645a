// exp(x) − 1, accurate near zero: x = n ln 2 + r, Taylor polynomial of degree 7 for exp(r) − 1, then
// 2ⁿ(exp(r) − 1) + (2ⁿ − 1). Twin: `f32::expm1` in src/real.rs.
fn expm1(unbounded: f32) -> f32 {
    // Outside these bounds the result is −1 or overflows; select keeps a NaN as it is.
    let below = select(unbounded, -80.0, unbounded < -80.0);
    let x = select(below, 88.0, below > 88.0);
    let n = round(x * 1.44269504);
    let two_to_n = bitcast<f32>(u32(i32(n) + 127) << 23u);
    let r = fma(-n, -2.12194440e-4, fma(-n, 0.693359375, x));
    var p = 1.0 / 5040.0;
    p = fma(p, r, 1.0 / 720.0);
    p = fma(p, r, 1.0 / 120.0);
    p = fma(p, r, 1.0 / 24.0);
    p = fma(p, r, 1.0 / 6.0);
    p = fma(p, r, 0.5);
    let q = fma(p, r * r, r);
    return fma(two_to_n, q, two_to_n - 1.0);
}
