// The factor of the whole gradient, min(1, clip / (norm + 1e-6)), from the squares of all matrices, added in
// a fixed tree. A gradient whose norm is not finite is to be skipped: its factor is below 0.
//
// grid      one workgroup
// partials  [matrix, MAX_PARTIALS, 2], zeros past what the norms' kernel has left
// clip      steps skipped so far, then the bits of the factor
// twin      `Adam::clip_factor` in src/optim/mod.rs
struct Step {
    matrices: u32,
    clip_norm: f32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> clip: array<u32>;
@group(0) @binding(2) var<uniform> this_step: Step;

var<workgroup> sums: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) tid: u32) {
    var sum = 0.0;
    for (var i = tid; i < this_step.matrices * MAX_PARTIALS; i += WG) {
        sum += partials[i].x;
    }
    sums[tid] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if tid < half {
            sums[tid] += sums[tid + half];
        }
    }
    if tid == 0u {
        let total = sums[0];
        // By its bits: a comparison may be optimised away where numbers are taken to be finite.
        let is_finite = (bitcast<u32>(total) & 0x7f800000u) != 0x7f800000u;
        var factor = -1.0;
        if is_finite {
            factor = min(this_step.clip_norm / (sqrt(total) + 1e-6), 1.0);
        } else {
            clip[0] += 1u;
        }
        clip[1] = bitcast<u32>(factor);
    }
}
