// Finishes the gradient of one matrix (none where a clamped weight is negative) and leaves the sums of
// squares of gradient and weights of each workgroup's share, added in a fixed tree. A matrix that
// learns in u = ln |w| enters with the gradient with respect to u, which is w times that by w.
//
// grid      at most MAX_PARTIALS workgroups, each of which strides through the matrix; lanes in z
// stored    all matrices
// gradient  whole gradient, all trained matrices (same places as the weights)
// partials  [matrix, MAX_PARTIALS, 2]
struct Step {
    offset: u32,
    len: u32,
    clamped: u32,
    matrix: u32,
    log: u32,
    // From a lane to the next, in entries and in matrices.
    lane_stride: u32,
    lane_matrices: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec2<f32>>;
@group(0) @binding(3) var<uniform> this_step: Step;

var<workgroup> sums: array<vec2<f32>, WG>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    var sum = vec2<f32>(0.0, 0.0);
    for (var i = group.x * WG + tid; i < this_step.len; i += grid.x * WG) {
        let at = this_step.offset + group.z * this_step.lane_stride + i;
        let w = stored[at];
        var g = gradient[at];
        if this_step.clamped != 0u && w < 0.0 {
            g = 0.0;
            gradient[at] = 0.0;
        }
        let by_u = select(g, w * g, this_step.log != 0u);
        sum += vec2<f32>(by_u * by_u, w * w);
    }
    sums[tid] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if tid < half {
            sums[tid] += sums[tid + half];
        }
    }
    if tid == 0u {
        let matrix = this_step.matrix + group.z * this_step.lane_matrices;
        partials[matrix * MAX_PARTIALS + group.x] = sums[0];
    }
}
