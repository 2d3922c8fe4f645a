// Adds to the gradient of an effective matrix Σ λ[row, post] · h[row, pre] over the rows of some trial groups: for each
// group every step, for each step its trials. So the sum does not depend on how many trials are on the device.
//
// grid          one workgroup for a tile of TILE × TILE entries; lanes in z
// by_effective  [post, pre] at to_at
// twin          `GroupScratch::backward` in src/rate_rnn/cpu/group.rs
struct Step {
    post: u32,
    pre: u32,
    trials: u32,
    // Rows of λ begin at left_first (a step), those of h or x at right_first.
    steps: u32,
    left_first: u32,
    left_is_output: u32,
    left_at: u32,
    right_first: u32,
    right_is_x: u32,
    right_at: u32,
    to_at: u32,
    // Of the rows in this order.
    first: u32,
    count: u32,
    // From a lane to the next.
    left_stride: u32,
    right_stride: u32,
    to_stride: u32,
}

@group(0) @binding(0) var<storage, read> delta: array<f32>;
@group(0) @binding(1) var<storage, read> output_derivatives: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> by_effective: array<f32>;
@group(0) @binding(5) var<uniform> this_step: Step;

var<workgroup> left: array<f32, TILE * TILE>;
var<workgroup> right: array<f32, TILE * TILE>;

// Step and trial of a row in the order of the sum.
fn place(row: u32) -> vec2<u32> {
    let group = row / (this_step.steps * TRIAL_GROUP);
    let step = (row / TRIAL_GROUP) % this_step.steps;
    return vec2<u32>(step, group * TRIAL_GROUP + row % TRIAL_GROUP);
}

fn left_of(row: u32, post: u32, left_at: u32) -> f32 {
    let at = place(row);
    if post >= this_step.post || row >= this_step.first + this_step.count || at.y >= this_step.trials {
        return 0.0;
    }
    let i = left_at + ((this_step.left_first + at.x) * this_step.trials + at.y) * this_step.post + post;
    if this_step.left_is_output != 0u {
        return output_derivatives[i];
    }
    return delta[i];
}

fn right_of(row: u32, pre: u32, right_at: u32) -> f32 {
    let at = place(row);
    if pre >= this_step.pre || row >= this_step.first + this_step.count || at.y >= this_step.trials {
        return 0.0;
    }
    let i = right_at + ((this_step.right_first + at.x) * this_step.trials + at.y) * this_step.pre + pre;
    if this_step.right_is_x != 0u {
        return x[i];
    }
    return h[i];
}

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let pre = group.x * TILE + local.x;
    let post = group.y * TILE + local.y;
    let is_inside = post < this_step.post && pre < this_step.pre;
    let left_at = this_step.left_at + group.z * this_step.left_stride;
    let right_at = this_step.right_at + group.z * this_step.right_stride;
    let to = this_step.to_at + group.z * this_step.to_stride + post * this_step.pre + pre;
    var sum = 0.0;
    if is_inside {
        sum = by_effective[to];
    }
    for (var k = 0u; k < this_step.count; k += TILE) {
        // [post, row] and [row, pre].
        left[local.y * TILE + local.x] = left_of(this_step.first + k + local.x, post, left_at);
        right[local.y * TILE + local.x] = right_of(this_step.first + k + local.y, pre, right_at);
        workgroupBarrier();
        for (var i = 0u; i < TILE; i++) {
            sum += left[local.y * TILE + i] * right[i * TILE + local.x];
        }
        workgroupBarrier();
    }
    if is_inside {
        by_effective[to] = sum;
    }
}
