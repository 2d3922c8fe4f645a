// λ_out of the steps `first .. first + count` of one read-out of one trial a thread, for the form of
// the backward pass that takes a dispatch a step. It needs nothing of the cells' adjoints.
//
// grid        ceil(trials · N_OUT / WG), in two dimensions past 65,535 workgroups
// trace       [step − trace_first, trial, TRACE_LEN]: λ_out in the place of the read-out voltage
// adjoints    [trial, ADJOINT_LEN]: carried from one dispatch to the next
// by_logit    [trial of the batch, 2 N_OUT]: gradient by the logits, step of the largest voltage
// lambda      [row, trial]: gain · λ_out, N_OUT rows a step from LAMBDA_OUT_ROW on
// twin        src/conductance/cpu/backward.rs
#import "conductance/cell.wgsl"

struct Step {
    first: u32,
    count: u32,
    trace_first: u32,
    trials: u32,
    trial_offset: u32,
    fresh: u32,
    spikes_to_hz: f32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read_write> trace: array<f32>;
@group(0) @binding(1) var<storage, read_write> adjoints: array<f32>;
@group(0) @binding(2) var<storage, read> by_logit: array<f32>;
@group(0) @binding(3) var<storage, read_write> lambda: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let own = (group.y * grid.x + group.x) * WG + tid;
    let trial = own / N_OUT;
    let column = own % N_OUT;
    if trial >= this_step.trials {
        return;
    }
    let carried_at = trial * ADJOINT_LEN + ADJOINT_OUT_AT + column;
    let logit = (trial + this_step.trial_offset) * 2u * N_OUT + column;
    let seed = by_logit[logit];
    let peak_step = by_logit[logit + N_OUT];
    var after = 0.0;
    if this_step.fresh == 0u {
        after = adjoints[carried_at];
    }
    for (var n = 0u; n < this_step.count; n++) {
        let t = this_step.first + this_step.count - 1u - n;
        let step = t - this_step.trace_first;
        let at = (step * this_step.trials + trial) * TRACE_LEN + TRACE_OUT + column;
        after = readout_adjoint(seed, peak_step, t, trace[at], after);
        trace[at] = after;
        lambda[(LAMBDA_OUT_ROW + step * N_OUT + column) * 4u * LAMBDA_QUADS + trial] = OUT_GAIN * after;
    }
    adjoints[carried_at] = after;
}
