// W_in's gradient over a segment: one row of Λ_exc of the E cells for every input event.
//
// An invocation owns one column of one trial group, so it needs no atomics; it goes through the
// group's events in the order (step descending, trial ascending, input ascending), the same on every
// engine and for every memory plan.
//
// grid      ceil(N_E / WG), groups of the chunk
// events    (step, trial of the chunk, input) of the chunk, group after group, in that order
// bounds    [group, segment + 1]: where each segment's events begin; segments descending
// trace     [step − trace_first, trial, TRACE_LEN] with adjoints
// gradient  [group, TRAINED_LEN], added to
// twin      `add_gradients` in src/conductance/cpu/backward.rs
struct Step {
    segment: u32,
    segments: u32,
    skip: u32,
    limit: u32,
    trace_first: u32,
    trials: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<storage, read> group_events: array<u32>;
@group(0) @binding(1) var<storage, read> bounds: array<u32>;
@group(0) @binding(2) var<storage, read> trace: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = id.x;
    if c >= N_E {
        return;
    }
    let bound = id.y * (this_step.segments + 1u) + this_step.segment;
    let first = bounds[bound] + this_step.skip;
    let end = min(bounds[bound + 1u], first + this_step.limit);
    for (var event = first; event < end; event++) {
        let t = group_events[3u * event];
        let trial = group_events[3u * event + 1u];
        let input = group_events[3u * event + 2u];
        let row = ((t - this_step.trace_first) * this_step.trials + trial) * TRACE_LEN;
        let at = id.y * TRAINED_LEN + IN_GRADIENT_AT + input * N_E + c;
        gradient[at] += trace[row + TRACE_GE_E + c];
    }
}
