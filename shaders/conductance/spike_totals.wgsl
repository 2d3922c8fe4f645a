// Spike counts: of each cell of each trial, and of each cell over all trials so far. Whole numbers,
// so any order of the sum gives the same.
//
// grid    ceil((N_E + N_I) / WG)
// state   [slot, trial, STATE_LEN]: the final slot's counts
// counts  [trial of the chunk, N_E + N_I]
// totals  [N_E + N_I], added to
struct Step {
    slot: u32,
    trials: u32,
    trial_offset: u32,
    batch: u32,
}

@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> totals: array<u32>;
@group(0) @binding(3) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = id.x;
    if c >= N_E + N_I {
        return;
    }
    let at = select(STATE_I_AT + 4u * N_I + (c - N_E), 4u * N_E + c, c < N_E);
    var total = 0u;
    for (var trial = 0u; trial < this_step.trials; trial++) {
        var count = 0u;
        // Of I cells without effect there is no state.
        if c < N_E || I_CELLS {
            count = u32(state[(this_step.slot * this_step.trials + trial) * STATE_LEN + at]);
        }
        counts[trial * (N_E + N_I) + c] = count;
        total += count;
    }
    totals[c] += total;
}
