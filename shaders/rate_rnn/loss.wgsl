// Loss of each row (step and trial) that has a target, whether its largest output is right, and `factor` times the
// derivative by its outputs.
//
// grid                one workgroup a row, in two dimensions past 65,535; lanes in z
// targets             class of each row, or bits of the values, [row, output]
// output_derivatives  [step, trial, output], as outputs
// losses              [row] of (loss, 1 if right)
// twin                src/rate_rnn/loss.rs
#import "common/exp.wgsl"

struct Step {
    first_row: u32,
    rows: u32,
    n_out: u32,
    has_classes: u32,
    factor: f32,
    outputs_at: u32,
    targets_at: u32,
    losses_at: u32,
    // From a lane to the next.
    outputs_stride: u32,
    targets_stride: u32,
    losses_stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> outputs: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> output_derivatives: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> this_step: Step;

var<workgroup> tops: array<f32, WG>;
var<workgroup> answers: array<u32, WG>;
var<workgroup> sums: array<f32, WG>;

// Leaves the largest output in tops[0] and the first place of it in answers[0].
fn find_top(at: u32, tid: u32) {
    var top = outputs[at];
    var answer = 0u;
    for (var i = tid; i < this_step.n_out; i += WG) {
        let o = outputs[at + i];
        if o > top {
            top = o;
            answer = i;
        }
    }
    tops[tid] = top;
    answers[tid] = answer;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if tid < half {
            let is_above = tops[tid + half] > tops[tid];
            let is_first = tops[tid + half] == tops[tid] && answers[tid + half] < answers[tid];
            if is_above || is_first {
                tops[tid] = tops[tid + half];
                answers[tid] = answers[tid + half];
            }
        }
    }
    workgroupBarrier();
}

fn sum_up(own: f32, tid: u32) -> f32 {
    sums[tid] = own;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if tid < half {
            sums[tid] += sums[tid + half];
        }
    }
    workgroupBarrier();
    return sums[0];
}

fn cross_entropy(row: u32, at: u32, targets_at: u32, losses_at: u32, tid: u32) {
    find_top(at, tid);
    let top = tops[0];
    var own = 0.0;
    for (var i = tid; i < this_step.n_out; i += WG) {
        own += exp_of(outputs[at + i] - top);
    }
    let sum = sum_up(own, tid);
    let class_of_row = targets[targets_at + row];
    for (var i = tid; i < this_step.n_out; i += WG) {
        let p = exp_of(outputs[at + i] - top) / sum;
        output_derivatives[at + i] = this_step.factor * select(p, p - 1.0, i == class_of_row);
    }
    if tid == 0u {
        let loss = top + log(sum) - outputs[at + class_of_row];
        losses[losses_at + row] = vec2<f32>(loss, select(0.0, 1.0, answers[0] == class_of_row));
    }
}

fn squared_error(row: u32, at: u32, targets_at: u32, losses_at: u32, tid: u32) {
    let entries = f32(this_step.n_out);
    var own = 0.0;
    for (var i = tid; i < this_step.n_out; i += WG) {
        let error = outputs[at + i] - bitcast<f32>(targets[targets_at + row * this_step.n_out + i]);
        own += error * error;
        output_derivatives[at + i] = this_step.factor * 2.0 * error / entries;
    }
    let sum = sum_up(own, tid);
    if tid == 0u {
        losses[losses_at + row] = vec2<f32>(sum / entries, 0.0);
    }
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let row = group.y * grid.x + group.x;
    if row >= this_step.rows {
        return;
    }
    let outputs_at = this_step.outputs_at + group.z * this_step.outputs_stride;
    let at = outputs_at + (this_step.first_row + row) * this_step.n_out;
    let targets_at = this_step.targets_at + group.z * this_step.targets_stride;
    let losses_at = this_step.losses_at + group.z * this_step.losses_stride;
    if this_step.has_classes != 0u {
        cross_entropy(row, at, targets_at, losses_at, tid);
    } else {
        squared_error(row, at, targets_at, losses_at, tid);
    }
}
