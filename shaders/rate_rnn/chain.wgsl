// The gradient by a stored tensor from that by the effective matrix, G: itself with the signs of the columns, or for
// the tensors of a dann, E, I and X with the matrix E − I X: G, −G Xᵀ, −Iᵀ G. Biases are copied.
//
// grid      one invocation an entry of the tensor, in two dimensions past 65,535 workgroups; lanes in z
// gradient  the tensor at to_at
// twin      `chain` in src/rate_rnn/cpu/effective.rs
struct Step {
    part: u32,
    post: u32,
    pre: u32,
    inhibitory: u32,
    from_at: u32,
    to_at: u32,
    // Stored X for the gradient of I, and I for that of X.
    other_at: u32,
    // From a lane to the next.
    from_stride: u32,
    stored_stride: u32,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read> by_effective: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

fn of_columns(i: u32, from_at: u32) -> f32 {
    let g = by_effective[from_at + i];
    return select(g, -g, i % this_step.pre + this_step.inhibitory >= this_step.pre);
}

// [post, inhibitory]
fn of_ei(i: u32, from_at: u32, lane_at: u32) -> f32 {
    let post = i / this_step.inhibitory;
    let x_at = lane_at + this_step.other_at + (i % this_step.inhibitory) * this_step.pre;
    var sum = 0.0;
    for (var pre = 0u; pre < this_step.pre; pre++) {
        sum += by_effective[from_at + post * this_step.pre + pre] * stored[x_at + pre];
    }
    return -sum;
}

// [inhibitory, pre]
fn of_ix(i: u32, from_at: u32, lane_at: u32) -> f32 {
    let unit = i / this_step.pre;
    let pre = i % this_step.pre;
    var sum = 0.0;
    for (var post = 0u; post < this_step.post; post++) {
        let g = by_effective[from_at + post * this_step.pre + pre];
        sum += g * stored[lane_at + this_step.other_at + post * this_step.inhibitory + unit];
    }
    return -sum;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let i = (group.y * grid.x + group.x) * WG + tid;
    let from_at = this_step.from_at + group.z * this_step.from_stride;
    let lane_at = group.z * this_step.stored_stride;
    let to = lane_at + this_step.to_at + i;
    if this_step.part == COLUMNS && i < this_step.post * this_step.pre {
        gradient[to] = of_columns(i, from_at);
    }
    if this_step.part == INHIBITION && i < this_step.post * this_step.inhibitory {
        gradient[to] = of_ei(i, from_at, lane_at);
    }
    if this_step.part == INTO_INHIBITION && i < this_step.inhibitory * this_step.pre {
        gradient[to] = of_ix(i, from_at, lane_at);
    }
}
