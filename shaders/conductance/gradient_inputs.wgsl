// W_in's gradient over a segment: one row of Λ_exc of the E cells for every input event.
//
// The host has grouped the segment's events by trial group and input, so a workgroup owns a tile of
// one row of one group's gradient and needs no atomics: it reads the tile once, adds its events in the
// order (step descending, trial ascending), the same on every engine and for every memory plan, and
// writes it once.
//
// grid      ceil(N_E / WG), rows with events, in two dimensions past 65,535
// rows      (first entry in `groups`, first event) of each row; the next row's first event ends it
// events    row of `trace` of each event
// trace     [step − trace_first, trial, TRACE_LEN] with adjoints
// groups    [group, TRAINED_LEN], added to
// twin      `add_gradients` in src/conductance/cpu/backward.rs
struct Step {
    first_row: u32,
    rows: u32,
    // Events of each row that earlier dispatches have added, and most that this one adds.
    skip: u32,
    limit: u32,
}

@group(0) @binding(0) var<storage, read> rows: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> row_events: array<u32>;
@group(0) @binding(2) var<storage, read> trace: array<f32>;
@group(0) @binding(3) var<storage, read_write> groups: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

// The adjoint of an event; 0, which changes no sum, past the end.
fn adjoint_of(event: u32, end: u32, c: u32) -> f32 {
    if event < end {
        return trace[row_events[event] * TRACE_LEN + TRACE_GE_E + c];
    }
    return 0.0;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
) {
    let c = id.x;
    let row = id.z * grid.y + id.y;
    if c >= N_E || row >= this_step.rows {
        return;
    }
    let place = rows[this_step.first_row + row];
    let events_end = rows[this_step.first_row + row + 1u].y;
    let first = place.y + this_step.skip;
    if first >= events_end {
        return;
    }
    let end = first + min(events_end - first, this_step.limit);
    var sum = groups[place.x + c];
    // Four at a time, so that their loads overlap.
    for (var event = first; event < end; event += 4u) {
        let a = adjoint_of(event, end, c);
        let b = adjoint_of(event + 1u, end, c);
        let d = adjoint_of(event + 2u, end, c);
        let e = adjoint_of(event + 3u, end, c);
        sum = sum + a + b + d + e;
    }
    groups[place.x + c] = sum;
}
