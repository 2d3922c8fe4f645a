// The gradient by a stored tensor from that by the effective matrix, G: itself with the signs of the columns, or for
// the tensors of a dann, E, I and X with the matrix E − I X: G, −G Xᵀ, −Iᵀ G. Biases are copied.
//
// grid      one invocation an entry of the tensor, in two dimensions past 65,535 workgroups
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
    unused: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read> by_effective: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

fn of_columns(i: u32) -> f32 {
    let g = by_effective[this_step.from_at + i];
    return select(g, -g, i % this_step.pre + this_step.inhibitory >= this_step.pre);
}

// [post, inhibitory]
fn of_ei(i: u32) -> f32 {
    let post = i / this_step.inhibitory;
    let x_at = this_step.other_at + (i % this_step.inhibitory) * this_step.pre;
    var sum = 0.0;
    for (var pre = 0u; pre < this_step.pre; pre++) {
        sum += by_effective[this_step.from_at + post * this_step.pre + pre] * stored[x_at + pre];
    }
    return -sum;
}

// [inhibitory, pre]
fn of_ix(i: u32) -> f32 {
    let unit = i / this_step.pre;
    let pre = i % this_step.pre;
    var sum = 0.0;
    for (var post = 0u; post < this_step.post; post++) {
        let g = by_effective[this_step.from_at + post * this_step.pre + pre];
        sum += g * stored[this_step.other_at + post * this_step.inhibitory + unit];
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
    if this_step.part == COLUMNS && i < this_step.post * this_step.pre {
        gradient[this_step.to_at + i] = of_columns(i);
    }
    if this_step.part == INHIBITION && i < this_step.post * this_step.inhibitory {
        gradient[this_step.to_at + i] = of_ei(i);
    }
    if this_step.part == INTO_INHIBITION && i < this_step.inhibitory * this_step.pre {
        gradient[this_step.to_at + i] = of_ix(i);
    }
}
