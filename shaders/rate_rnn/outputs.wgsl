// Outputs of some rows (step and trial): o = V h + c.
//
// grid     one invocation an output, in two dimensions past 65,535 workgroups; lanes in z
// h        the last layer at h_at, [step, trial, unit]
// outputs  [step, trial, output]
struct Step {
    first_row: u32,
    rows: u32,
    units: u32,
    n_out: u32,
    h_at: u32,
    weights_at: u32,
    bias_at: u32,
    outputs_at: u32,
    // From a lane to the next.
    h_stride: u32,
    effective_stride: u32,
    stored_stride: u32,
    outputs_stride: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read> transposed: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> outputs: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let n_out = this_step.n_out;
    let i = (group.y * grid.x + group.x) * WG + tid;
    if i >= this_step.rows * n_out {
        return;
    }
    let row = this_step.first_row + i / n_out;
    let output = i % n_out;
    let h_at = this_step.h_at + group.z * this_step.h_stride;
    let weights_at = this_step.weights_at + group.z * this_step.effective_stride;
    var sum = 0.0;
    for (var k = 0u; k < this_step.units; k++) {
        let w = transposed[weights_at + k * n_out + output];
        sum += w * h[h_at + row * this_step.units + k];
    }
    let bias = stored[this_step.bias_at + group.z * this_step.stored_stride + output];
    let outputs_at = this_step.outputs_at + group.z * this_step.outputs_stride;
    outputs[outputs_at + row * n_out + output] = sum + bias;
}
