// Eight independent chains of fused multiply-adds per invocation, ROUNDS long: the arithmetic ceiling
// of a device. 16 · ROUNDS operations per invocation.
//
// grid    any; one result per invocation
// result  [invocations]
@group(0) @binding(0) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let i = group.x * 256u + tid;
    // Read from memory, so that no compiler knows the outcome; the buffer holds zeros.
    let seed = result[i];
    let factor = vec4<f32>(0.5 + seed);
    let term = vec4<f32>(0.25, 0.5, 0.75, 1.0);
    var a = vec4<f32>(seed);
    var b = a + 1.0;
    for (var round = 0u; round < ROUNDS; round++) {
        a = fma(a, factor, term);
        b = fma(b, factor, term);
    }
    // The sum is positive: every chain must be computed, and the buffer keeps its zeros.
    let sum = dot(a + b, vec4<f32>(1.0));
    result[i] = min(sum, 0.0);
}
