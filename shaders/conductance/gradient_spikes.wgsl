// The gradient of one matrix out of spiking cells, over steps `first .. first + count`: for every
// spike one row of the adjoint it acted on, times a factor (β of the receptor, or the read-out's gain).
//
// A workgroup owns WG_X columns of 32 rows (one word of spike bits) of one trial group, a thread THREAD_ROWS
// of the rows in one column, in registers: no atomics. Entries, (step, trial) pairs, are taken in the
// order (step descending, trial ascending), WG at a time: the threads load a word each, flag those with
// spikes, and then all walk the flagged ones, four at a time, so that the loads of adjoints overlap.
//
// grid      ceil(columns / WG_X), words of the presynaptic cells, groups of the chunk
// spikes    [trial, step, ROW_WORDS]
// trace     [step − trace_first, trial, TRACE_LEN] with adjoints
// groups    [group, TRAINED_LEN], added to
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
    pre: u32,
    columns: u32,
    gradient_at: u32,
    // 1: the spikes of a step act on the conductances of the next one.
    delay: u32,
    factor: f32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> spikes: array<u32>;
@group(0) @binding(1) var<storage, read> trace: array<f32>;
@group(0) @binding(2) var<storage, read_write> groups: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

const THREAD_ROWS: u32 = 32u * WG_X / WG;
const FLAG_WORDS: u32 = WG / 32u;
const NONE: u32 = 0xffffffffu;

// Words of spikes of WG entries, and two sets of flags that take turns.
var<workgroup> words: array<u32, WG>;
var<workgroup> flags: array<atomic<u32>, 2u * FLAG_WORDS>;

// A step counted from the last one, and a trial of the group.
fn step_of(entry: u32) -> u32 {
    return this_step.first + this_step.count - 1u - entry / TRIAL_GROUP;
}

fn trial_of(entry: u32, group: u32) -> u32 {
    return group * TRIAL_GROUP + entry % TRIAL_GROUP;
}

fn spikes_of(entry: u32, group: u32, word: u32) -> u32 {
    let trial = trial_of(entry, group);
    if entry >= this_step.count * TRIAL_GROUP || trial >= this_step.trials {
        return 0u;
    }
    let t = step_of(entry);
    if t < this_step.delay {
        return 0u;
    }
    return spikes[(trial * STEPS + t - this_step.delay) * ROW_WORDS + this_step.words_at + word];
}

// A walk over the flagged entries, ascending.
struct Walk {
    at: u32,
    block: u32,
    flags: u32,
}

fn next_entry(walk: ptr<function, Walk>) -> u32 {
    while (*walk).flags == 0u && (*walk).block + 1u < FLAG_WORDS {
        (*walk).block++;
        (*walk).flags = atomicLoad(&flags[(*walk).at + (*walk).block]);
    }
    if (*walk).flags == 0u {
        return NONE;
    }
    let bit = firstTrailingBit((*walk).flags);
    (*walk).flags &= (*walk).flags - 1u;
    return (*walk).block * 32u + bit;
}

// Spikes of the thread's rows in an entry, and the adjoint times the factor.
struct Share {
    rows: u32,
    value: f32,
}

fn share_of(entry: u32, tile: u32, group: u32, part: u32, column: u32) -> Share {
    if entry == NONE {
        return Share(0u, 0.0);
    }
    let trace_row = (step_of(tile + entry) - this_step.trace_first) * this_step.trials
        + trial_of(tile + entry, group);
    let value = trace[trace_row * TRACE_LEN + this_step.lambda_at + column];
    return Share(words[entry] >> (part * THREAD_ROWS), this_step.factor * value);
}

// `sum` with the share, if its bit j is set; + 0 changes no bit of a sum that began with + 0.
fn add(sum: f32, share: Share, j: u32) -> f32 {
    return sum + select(0.0, share.value, ((share.rows >> j) & 1u) == 1u);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let column = group.x * WG_X + tid % WG_X;
    let part = tid / WG_X;
    let live = column < this_step.columns;
    let first_row = group.y * 32u + part * THREAD_ROWS;
    let to = group.z * TRAINED_LEN + this_step.gradient_at + first_row * this_step.columns + column;
    var sums = array<f32, THREAD_ROWS>();
    for (var j = 0u; j < THREAD_ROWS; j++) {
        if live && first_row + j < this_step.pre {
            sums[j] = groups[to + j * this_step.columns];
        }
    }
    if tid < 2u * FLAG_WORDS {
        atomicStore(&flags[tid], 0u);
    }
    workgroupBarrier();
    var turn = 0u;
    var ahead = spikes_of(tid, group.z, group.y);
    for (var tile = 0u; tile < this_step.count * TRIAL_GROUP; tile += WG) {
        words[tid] = ahead;
        if ahead != 0u {
            atomicOr(&flags[turn + tid / 32u], 1u << (tid % 32u));
        }
        workgroupBarrier();
        ahead = spikes_of(tile + WG + tid, group.z, group.y);
        if tid < FLAG_WORDS {
            atomicStore(&flags[FLAG_WORDS - turn + tid], 0u);
        }
        var walk = Walk(turn, 0u, atomicLoad(&flags[turn]));
        while live {
            let a = next_entry(&walk);
            if a == NONE {
                break;
            }
            let b = next_entry(&walk);
            let c = next_entry(&walk);
            let d = next_entry(&walk);
            let share_a = share_of(a, tile, group.z, part, column);
            let share_b = share_of(b, tile, group.z, part, column);
            let share_c = share_of(c, tile, group.z, part, column);
            let share_d = share_of(d, tile, group.z, part, column);
            for (var j = 0u; j < THREAD_ROWS; j++) {
                sums[j] = add(add(add(add(sums[j], share_a, j), share_b, j), share_c, j), share_d, j);
            }
        }
        turn = FLAG_WORDS - turn;
        workgroupBarrier();
    }
    for (var j = 0u; j < THREAD_ROWS; j++) {
        if live && first_row + j < this_step.pre {
            groups[to + j * this_step.columns] = sums[j];
        }
    }
}
