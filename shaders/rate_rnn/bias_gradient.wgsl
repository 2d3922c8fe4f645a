// Adds to the gradient of biases Σ λ[row, unit] over the rows of some trial groups, in the order of gradients.wgsl.
//
// grid          one invocation a unit; lanes in z
// by_effective  [unit] at to_at
struct Step {
    units: u32,
    trials: u32,
    steps: u32,
    left_first: u32,
    left_is_output: u32,
    left_at: u32,
    to_at: u32,
    first: u32,
    count: u32,
    // From a lane to the next.
    left_stride: u32,
    to_stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> delta: array<f32>;
@group(0) @binding(1) var<storage, read> output_derivatives: array<f32>;
@group(0) @binding(2) var<storage, read_write> by_effective: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let unit = group.x * WG + tid;
    if unit >= this_step.units {
        return;
    }
    let left_at = this_step.left_at + group.z * this_step.left_stride;
    let to = this_step.to_at + group.z * this_step.to_stride + unit;
    var sum = by_effective[to];
    for (var row = this_step.first; row < this_step.first + this_step.count; row++) {
        let trial = row / (this_step.steps * TRIAL_GROUP) * TRIAL_GROUP + row % TRIAL_GROUP;
        if trial < this_step.trials {
            let step = this_step.left_first + (row / TRIAL_GROUP) % this_step.steps;
            let i = left_at + (step * this_step.trials + trial) * this_step.units + unit;
            if this_step.left_is_output != 0u {
                sum += output_derivatives[i];
            } else {
                sum += delta[i];
            }
        }
    }
    by_effective[to] = sum;
}
