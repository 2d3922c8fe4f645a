// How a driver treats numbers: what it makes of NaN, whether it rounds a·b + c once or twice, how exact its own
// functions are, and the exponential of the kernels.
//
// inputs   a, b, c, then a NaN, then arguments of exp
// results  (NaN ≠ itself, NaN by its bits, NaN passed by a floor) as 0 or 1; a·b + c; 1 / b; √b; exp of each argument
#import "common/exp.wgsl"

@group(0) @binding(0) var<storage, read> inputs: array<f32>;
@group(0) @binding(1) var<storage, read_write> results: array<f32>;

fn one(condition: bool) -> f32 {
    return select(0.0, 1.0, condition);
}

fn has_bits_of_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) tid: u32) {
    if tid == 0u {
        let a = inputs[0];
        let b = inputs[1];
        let c = inputs[2];
        let nan = inputs[3];
        results[0] = one(nan != nan);
        results[1] = one(has_bits_of_nan(nan));
        results[2] = one(has_bits_of_nan(select(nan, -80.0, nan < -80.0)));
        results[3] = a * b + c;
        results[4] = 1.0 / b;
        results[5] = sqrt(b);
    }
    for (var i = 6u + tid; i < arrayLength(&results); i += 64u) {
        results[i] = exp_of(inputs[i - 2u]);
    }
}
