// The gradient of one matrix out of spiking cells, over steps `first .. first + count`: for every
// spike one row of the adjoint it acted on, times a factor (β of the receptor, or the read-out's gain).
//
// An invocation owns one column of 32 rows (one word of spike bits) of one trial group, so it needs no
// atomics; it goes through steps descending and trials ascending.
//
// grid      ceil(columns / WG_X), words of the presynaptic cells, groups of the chunk
// spikes    [trial, step, ROW_WORDS]
// trace     [step − trace_first, trial, TRACE_LEN] with adjoints
// gradient  [group, TRAINED_LEN], added to
// twin      `add_gradients` in src/conductance/cpu/backward.rs
struct Step {
    first: u32,
    count: u32,
    trace_first: u32,
    trials: u32,
    // First word of the presynaptic population in a row of spikes.
    words_at: u32,
    // First adjoint in a row of the trace.
    lambda_at: u32,
    columns: u32,
    gradient_at: u32,
    // 1: the spikes of a step act on the conductances of the next one.
    delay: u32,
    factor: f32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<storage, read> spikes: array<u32>;
@group(0) @binding(1) var<storage, read> trace: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

@compute @workgroup_size(WG_X)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let column = id.x;
    if column >= this_step.columns {
        return;
    }
    let first_trial = group.z * TRIAL_GROUP;
    let end_trial = min(first_trial + TRIAL_GROUP, this_step.trials);
    let to = group.z * TRAINED_LEN + this_step.gradient_at + group.y * 32u * this_step.columns + column;
    for (var n = 0u; n < this_step.count; n++) {
        let t = this_step.first + this_step.count - 1u - n;
        if t < this_step.delay {
            break;
        }
        let spike_step = t - this_step.delay;
        let trace_step = (t - this_step.trace_first) * this_step.trials;
        for (var trial = first_trial; trial < end_trial; trial++) {
            let row = (trial * STEPS + spike_step) * ROW_WORDS;
            var word = spikes[row + this_step.words_at + group.y];
            if word != 0u {
                let from_at = (trace_step + trial) * TRACE_LEN + this_step.lambda_at + column;
                let share = this_step.factor * trace[from_at];
                while word != 0u {
                    let bit = firstTrailingBit(word);
                    word &= word - 1u;
                    gradient[to + bit * this_step.columns] += share;
                }
            }
        }
    }
}
