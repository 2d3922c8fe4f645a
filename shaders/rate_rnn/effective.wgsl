// The effective matrix of a link from its stored tensors, and its transpose: w with the sign of its column, or
// excitation − Σ inhibition over the linear inhibitory units.
//
// grid        one invocation an entry, in two dimensions past 65,535 workgroups; lanes in z
// stored      all tensors, [post, pre] each
// effective   [post, pre] at `at`
// transposed  [pre, post] at `at`
// twin        `combine` in src/rate_rnn/cpu/effective.rs
struct Step {
    is_dann: u32,
    post: u32,
    pre: u32,
    inhibitory: u32,
    at: u32,
    // The one tensor, or the excitatory one.
    w_at: u32,
    ix_at: u32,
    ei_at: u32,
    // From a lane to the next.
    stored_stride: u32,
    effective_stride: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read_write> effective: array<f32>;
@group(0) @binding(2) var<storage, read_write> transposed: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

fn inhibition(post: u32, pre: u32, lane_at: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < this_step.inhibitory; i++) {
        let into = stored[lane_at + this_step.ix_at + i * this_step.pre + pre];
        sum += stored[lane_at + this_step.ei_at + post * this_step.inhibitory + i] * into;
    }
    return sum;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let i = (group.y * grid.x + group.x) * WG + tid;
    if i >= this_step.post * this_step.pre {
        return;
    }
    let post = i / this_step.pre;
    let pre = i % this_step.pre;
    let lane_at = group.z * this_step.stored_stride;
    var w = stored[lane_at + this_step.w_at + i];
    if this_step.is_dann != 0u {
        w -= inhibition(post, pre, lane_at);
    } else if pre + this_step.inhibitory >= this_step.pre {
        w = -w;
    }
    let at = group.z * this_step.effective_stride + this_step.at;
    effective[at + i] = w;
    transposed[at + pre * this_step.post + post] = w;
}
