// Some steps of one layer: h(t) = relu(U x(t) + W h(t−1) + b), h(−1) = 0.
//
// grid        one workgroup for TRIALS trials, whose threads share out the units; lanes in z
// x           [step, trial, channel], below the first layer
// h           a layer at its place, [step, trial, unit]
// transposed  effective matrices, [pre, post]
// twin        `GroupScratch::forward` in src/rate_rnn/cpu/group.rs
struct Step {
    first: u32,
    count: u32,
    trials: u32,
    units: u32,
    // Units or channels below, and where they are: in x, or in h.
    below: u32,
    below_is_x: u32,
    below_at: u32,
    own_at: u32,
    input_at: u32,
    recurrent_at: u32,
    bias_at: u32,
    // From a lane to the next.
    below_stride: u32,
    own_stride: u32,
    effective_stride: u32,
    stored_stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read> transposed: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

// Adds Σ_k w[k, unit] · from[row, k] for the workgroup's trials.
fn add_from_x(
    sums: ptr<function, array<f32, TRIALS>>,
    unit: u32,
    first_row: u32,
    rows: u32,
    x_at: u32,
    matrix_at: u32,
) {
    let n = this_step.below;
    for (var k = 0u; k < n; k++) {
        let w = transposed[matrix_at + k * this_step.units + unit];
        for (var r = 0u; r < TRIALS; r++) {
            if r < rows {
                (*sums)[r] += w * x[x_at + (first_row + r) * n + k];
            }
        }
    }
}

fn add_from_h(
    sums: ptr<function, array<f32, TRIALS>>,
    unit: u32,
    first_row: u32,
    rows: u32,
    n: u32,
    h_at: u32,
    matrix_at: u32,
) {
    for (var k = 0u; k < n; k++) {
        let w = transposed[matrix_at + k * this_step.units + unit];
        for (var r = 0u; r < TRIALS; r++) {
            if r < rows {
                (*sums)[r] += w * h[h_at + (first_row + r) * n + k];
            }
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let units = this_step.units;
    let below_at = this_step.below_at + group.z * this_step.below_stride;
    let own_at = this_step.own_at + group.z * this_step.own_stride;
    let input_at = this_step.input_at + group.z * this_step.effective_stride;
    let recurrent_at = this_step.recurrent_at + group.z * this_step.effective_stride;
    let bias_at = this_step.bias_at + group.z * this_step.stored_stride;
    let first_trial = group.x * TRIALS;
    let rows = min(TRIALS, this_step.trials - first_trial);
    for (var t = this_step.first; t < this_step.first + this_step.count; t++) {
        let row = t * this_step.trials + first_trial;
        for (var unit = tid; unit < units; unit += WG) {
            var sums = array<f32, TRIALS>();
            if this_step.below_is_x != 0u {
                add_from_x(&sums, unit, row, rows, below_at, input_at);
            } else {
                add_from_h(&sums, unit, row, rows, this_step.below, below_at, input_at);
            }
            if t > 0u {
                add_from_h(&sums, unit, row - this_step.trials, rows, units, own_at, recurrent_at);
            }
            let bias = stored[bias_at + unit];
            for (var r = 0u; r < rows; r++) {
                let sum = sums[r] + bias;
                // A NaN stays one.
                h[own_at + (row + r) * units + unit] = select(sum, 0.0, sum < 0.0);
            }
        }
        storageBarrier();
    }
}
