// Some steps of one layer, from the last to the first: δ(t) = [h(t) > 0] (Vᵀ λ(t) + Wᵀ δ(t+1)), where V and λ are the
// read-out and the derivative by its outputs, or the input matrix and δ of the layer above.
//
// grid       one workgroup for TRIALS trials, whose threads share out the units; lanes in z
// h, delta   a layer at its place, [step, trial, unit]
// effective  [post, pre]
// twin       `GroupScratch::adjoints` in src/rate_rnn/cpu/group.rs
struct Step {
    // One past the last step, and how many to go back from there.
    end: u32,
    count: u32,
    steps: u32,
    trials: u32,
    units: u32,
    own_at: u32,
    recurrent_at: u32,
    // Units above, where they are, and the first step at which they have a derivative.
    above: u32,
    above_is_output: u32,
    above_at: u32,
    above_first: u32,
    matrix_at: u32,
    // From a lane to the next.
    own_stride: u32,
    above_stride: u32,
    effective_stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> effective: array<f32>;
@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read> output_derivatives: array<f32>;
@group(0) @binding(3) var<storage, read_write> delta: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

// Adds Σ_k w[k, unit] · λ[row, k] for the workgroup's trials.
fn add_from_outputs(
    sums: ptr<function, array<f32, TRIALS>>,
    unit: u32,
    first_row: u32,
    rows: u32,
    outputs_at: u32,
    matrix_at: u32,
) {
    let n = this_step.above;
    for (var k = 0u; k < n; k++) {
        let w = effective[matrix_at + k * this_step.units + unit];
        for (var r = 0u; r < TRIALS; r++) {
            if r < rows {
                (*sums)[r] += w * output_derivatives[outputs_at + (first_row + r) * n + k];
            }
        }
    }
}

fn add_from_delta(
    sums: ptr<function, array<f32, TRIALS>>,
    unit: u32,
    first_row: u32,
    rows: u32,
    n: u32,
    delta_at: u32,
    matrix_at: u32,
) {
    for (var k = 0u; k < n; k++) {
        let w = effective[matrix_at + k * this_step.units + unit];
        for (var r = 0u; r < TRIALS; r++) {
            if r < rows {
                (*sums)[r] += w * delta[delta_at + (first_row + r) * n + k];
            }
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let units = this_step.units;
    let own_at = this_step.own_at + group.z * this_step.own_stride;
    let above_at = this_step.above_at + group.z * this_step.above_stride;
    let matrix_at = this_step.matrix_at + group.z * this_step.effective_stride;
    let recurrent_at = this_step.recurrent_at + group.z * this_step.effective_stride;
    let first_trial = group.x * TRIALS;
    let rows = min(TRIALS, this_step.trials - first_trial);
    for (var back = 0u; back < this_step.count; back++) {
        let t = this_step.end - 1u - back;
        let row = t * this_step.trials + first_trial;
        for (var unit = tid; unit < units; unit += WG) {
            var sums = array<f32, TRIALS>();
            if this_step.above_is_output == 0u {
                add_from_delta(&sums, unit, row, rows, this_step.above, above_at, matrix_at);
            } else if t >= this_step.above_first {
                add_from_outputs(&sums, unit, row, rows, above_at, matrix_at);
            }
            if t + 1u < this_step.steps {
                add_from_delta(&sums, unit, row + this_step.trials, rows, units, own_at,
                    recurrent_at);
            }
            for (var r = 0u; r < rows; r++) {
                let at = own_at + (row + r) * units + unit;
                delta[at] = select(0.0, sums[r], h[at] > 0.0);
            }
        }
        storageBarrier();
    }
}
