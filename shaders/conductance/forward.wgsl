// Steps `first .. first + count` of every trial: free, or under the spikes already in `spikes`.
//
// One workgroup owns one trial; thread `tid` owns the cells tid, tid + WG, … of both populations in its
// registers. Spikes of a step are bits in workgroup memory; in the next step every thread walks the set
// bits in ascending order and adds its columns of the spiking rows: four rows at a time, so that their
// loads overlap. The read-out belongs to the same walk and so is one step late. An input event's row
// is loaded as soon as the row before has been used, imposed spikes a step ahead: no step waits for them.
// One barrier a step: the set for the next step is cleared while nobody reads it any more.
//
// grid      trials of the chunk
// effective effective matrices, [pre, post] each, at *_AT
// events    (step, input) of all trials of the batch, sorted; those of trial b in offsets[b] .. offsets[b + 1]
// state     [slot, trial, STATE_LEN]: read from slot_in, written to slot_out
// spikes    [trial, step, ROW_WORDS]
// trace     [step − trace_first, trial, TRACE_LEN], with TRACE: what the adjoint of the step needs
// twin      src/conductance/cpu/trial.rs; sums in the same order
// the same bits run after run: no float atomics, and the bits are set with a commutative OR
#import "conductance/cell.wgsl"
#import "conductance/spike_set.wgsl"
#import "conductance/step_cell.wgsl"

struct Step {
    first: u32,
    count: u32,
    slot_in: u32,
    slot_out: u32,
    flags: u32,
    trial_offset: u32,
    trials: u32,
    trace_first: u32,
}

struct Disagreements {
    count: atomic<u32>,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
    // trial, step, cell | population << 20 | fires << 24, bits of the value
    entries: array<vec4<u32>>,
}

@group(0) @binding(0) var<storage, read> effective: array<f32>;
@group(0) @binding(1) var<storage, read> events: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> spikes: array<u32>;
@group(0) @binding(5) var<storage, read_write> trace: array<f32>;
@group(0) @binding(6) var<storage, read_write> disagreements: Disagreements;
@group(0) @binding(7) var<uniform> this_step: Step;

// The step of the event after the last.
const NEVER: u32 = 0xffffffffu;

fn flag(which: u32) -> bool {
    return (this_step.flags & which) != 0u;
}

fn row_of(trial: u32, t: u32) -> u32 {
    return (trial * STEPS + t) * ROW_WORDS;
}

fn trace_row(t: u32, trial: u32) -> u32 {
    return ((t - this_step.trace_first) * this_step.trials + trial) * TRACE_LEN;
}

fn disagree(trial: u32, t: u32, population: u32, cell: u32, fires: bool, value: f32) {
    let at = atomicAdd(&disagreements.count, 1u);
    if at < arrayLength(&disagreements.entries) {
        let code = cell | (population << 20u) | (select(0u, 1u, fires) << 24u);
        disagreements.entries[at] =
            vec4<u32>(trial + this_step.trial_offset, t, code, bitcast<u32>(value));
    }
}

// Whether cell `c`, the thread's k-th, exists among `n`: known when compiled for all but the last k.
fn exists(c: u32, k: u32, n: u32) -> bool {
    return (k + 1u) * WG <= n || c < n;
}

// `sum` and column `c` of up to four rows of a matrix, added in order; + 0 for a row that is not
// there changes no bit of a sum that began with + 0.
fn add_rows(sum: f32, factor: f32, matrix: u32, columns: u32, pre: vec4<u32>, c: u32) -> f32 {
    let at = matrix + c;
    var w = vec4<f32>();
    if pre.x != NONE {
        w.x = effective[at + pre.x * columns];
    }
    if pre.y != NONE {
        w.y = effective[at + pre.y * columns];
    }
    if pre.z != NONE {
        w.z = effective[at + pre.z * columns];
    }
    if pre.w != NONE {
        w.w = effective[at + pre.w * columns];
    }
    let arrives = factor * w;
    return sum + arrives.x + arrives.y + arrives.z + arrives.w;
}

fn event_at(place: u32) -> vec2<u32> {
    if place < events_end {
        return events[place];
    }
    return vec2<u32>(NEVER, 0u);
}

// What this thread owns: cells and read-outs, and what their input and imposed spikes are to be.
var<private> e: array<CellState, E_PER>;
var<private> i: array<CellState, I_PER>;
var<private> v_out: array<f32, OUT_PER>;
var<private> sum_out: array<f32, OUT_PER>;
var<private> peak_out: array<f32, OUT_PER>;
var<private> word_e: array<u32, E_PER>;
var<private> word_i: array<u32, I_PER>;
// What the spikes of the step before add.
var<private> kick_ee: array<f32, E_PER>;
var<private> kick_ie: array<f32, E_PER>;
var<private> kick_ei: array<f32, I_PER>;
var<private> kick_ii: array<f32, I_PER>;
var<private> drive: array<f32, OUT_PER>;
// The step of the next input event and its row of W_in; the event after it, its place and the last one's.
var<private> due: u32;
var<private> input: array<f32, E_PER>;
var<private> ahead: vec2<u32>;
var<private> cursor: u32;
var<private> events_end: u32;

// Cells and read-outs at rest, or as they are in slot_in.
fn load_state(trial: u32, tid: u32) {
    let from_slot = (this_step.slot_in * this_step.trials + trial) * STATE_LEN;
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        e[k] = AT_REST;
        if !flag(FRESH) && exists(c, k, N_E) {
            e[k] = load_cell(from_slot + c, N_E, HAS_IE);
        }
    }
    for (var k = 0u; k < I_PER; k++) {
        let c = k * WG + tid;
        i[k] = AT_REST;
        if I_CELLS && !flag(FRESH) && exists(c, k, N_I) {
            i[k] = load_cell(from_slot + STATE_I_AT + c, N_I, HAS_II);
        }
    }
    for (var k = 0u; k < OUT_PER; k++) {
        let c = k * WG + tid;
        if !flag(FRESH) && exists(c, k, N_OUT) {
            let at = from_slot + STATE_OUT_AT + c;
            v_out[k] = state[at];
            sum_out[k] = state[at + N_OUT];
            peak_out[k] = state[at + 2u * N_OUT];
        }
    }
}

fn store_state(trial: u32, tid: u32) {
    let to_slot = (this_step.slot_out * this_step.trials + trial) * STATE_LEN;
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        if exists(c, k, N_E) {
            store_cell(to_slot + c, N_E, e[k]);
        }
    }
    for (var k = 0u; k < I_PER; k++) {
        let c = k * WG + tid;
        if I_CELLS && exists(c, k, N_I) {
            store_cell(to_slot + STATE_I_AT + c, N_I, i[k]);
        }
    }
    for (var k = 0u; k < OUT_PER; k++) {
        let c = k * WG + tid;
        if exists(c, k, N_OUT) {
            let at = to_slot + STATE_OUT_AT + c;
            state[at] = v_out[k];
            state[at + N_OUT] = sum_out[k];
            state[at + 2u * N_OUT] = peak_out[k];
        }
    }
}

// The sets of spikes of the step before the first one and of that one, whose bits are all 0.
fn load_spikes(trial: u32, first: u32, tid: u32) {
    let before_first = set_of(first + 2u);
    for (var w = tid; w < SET_WORDS; w += WG) {
        atomicStore(&bits[before_first + w], 0u);
        atomicStore(&bits[set_of(first) + w], 0u);
    }
    workgroupBarrier();
    for (var w = tid; w < WORDS_E + WORDS_I; w += WG) {
        if first > 0u {
            let word = spikes[row_of(trial, first - 1u) + w];
            if word != 0u {
                atomicStore(&bits[before_first + w], word);
                if w < WORDS_E {
                    note_word(before_first, E_BITS, w);
                } else {
                    note_word(before_first, I_BITS, w - WORDS_E);
                }
            }
        }
    }
}

// Finds the first event at or after the first step, by bisection, and loads its row.
fn find_event(trial: u32, first: u32, tid: u32) {
    cursor = offsets[trial + this_step.trial_offset];
    events_end = offsets[trial + this_step.trial_offset + 1u];
    var above = events_end;
    while cursor < above {
        let middle = (cursor + above) / 2u;
        if events[middle].x < first {
            cursor = middle + 1u;
        } else {
            above = middle;
        }
    }
    let event = event_at(cursor);
    due = event.x;
    ahead = event_at(cursor + 1u);
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        if exists(c, k, N_E) {
            input[k] = effective[IN_AT + event.y * N_E + c];
        }
    }
}

// The imposed spikes of step t.
fn load_imposed(trial: u32, t: u32, tid: u32) {
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        if exists(c, k, N_E) {
            word_e[k] = spikes[row_of(trial, t) + c / 32u];
        }
    }
    for (var k = 0u; k < I_PER; k++) {
        let c = k * WG + tid;
        if I_CELLS && exists(c, k, N_I) {
            word_i[k] = spikes[row_of(trial, t) + WORDS_E + c / 32u];
        }
    }
}

// What the spikes in the set `before` add to conductances, decayed by the step that they take to arrive, and the
// read-out of their own step: in the order and with the roundings of the CPU.
fn kick(before: u32, tid: u32) {
    kick_ee = array<f32, E_PER>();
    kick_ie = array<f32, E_PER>();
    kick_ei = array<f32, I_PER>();
    kick_ii = array<f32, I_PER>();
    for (var k = 0u; k < OUT_PER; k++) {
        drive[k] = OUT_DECAY * v_out[k];
    }
    var walk_e = walk(before, E_BITS);
    var walk_i = walk(before, I_BITS);
    loop {
        var pre_e = vec4<u32>(NONE);
        var pre_i = vec4<u32>(NONE);
        if HAS_EE || HAS_EI || tid < N_OUT {
            pre_e = next_cells(&walk_e);
        }
        if HAS_IE || HAS_II {
            pre_i = next_cells(&walk_i);
        }
        if pre_e.x == NONE && pre_i.x == NONE {
            break;
        }
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if HAS_IE && exists(c, k, N_E) {
                kick_ie[k] = add_rows(kick_ie[k], KICK_GABA, IE_AT, N_E, pre_i, c);
            }
            if HAS_EE && exists(c, k, N_E) {
                kick_ee[k] = add_rows(kick_ee[k], KICK_AMPA, EE_AT, N_E, pre_e, c);
            }
        }
        for (var k = 0u; k < I_PER; k++) {
            let c = k * WG + tid;
            if HAS_EI && exists(c, k, N_I) {
                kick_ei[k] = add_rows(kick_ei[k], KICK_AMPA, EI_AT, N_I, pre_e, c);
            }
            if HAS_II && exists(c, k, N_I) {
                kick_ii[k] = add_rows(kick_ii[k], KICK_GABA, II_AT, N_I, pre_i, c);
            }
        }
        for (var k = 0u; k < OUT_PER; k++) {
            let c = k * WG + tid;
            if exists(c, k, N_OUT) {
                drive[k] = add_rows(drive[k], OUT_GAIN, OUT_AT, N_OUT, pre_e, c);
            }
        }
    }
}

// The read-out of step t, whose spikes are in the set `spiked`.
fn read_out(trial: u32, t: u32, spiked: u32, tid: u32) {
    for (var k = 0u; k < OUT_PER; k++) {
        let c = k * WG + tid;
        if exists(c, k, N_OUT) {
            let v = drive[k];
            v_out[k] = v;
            if flag(TRACE) {
                trace[trace_row(t, trial) + TRACE_OUT + c] = v;
            }
            if !TAKES_MAX {
                sum_out[k] += v;
            } else if t == 0u || v > sum_out[k] {
                sum_out[k] = v;
                peak_out[k] = f32(t);
            }
            if RESETS {
                let own = v >= OUT_THRESHOLD;
                var resets = own;
                let word_at = WORDS_E + WORDS_I + c / 32u;
                if flag(IMPOSE_OUT) {
                    let word = spikes[row_of(trial, t) + word_at];
                    resets = ((word >> (c % 32u)) & 1u) == 1u;
                    if flag(REPORT) && own != resets {
                        disagree(trial, t, 2u, c, own, v);
                    }
                }
                if resets {
                    v_out[k] = v - OUT_THRESHOLD;
                    atomicOr(&bits[spiked + word_at], 1u << (c % 32u));
                }
            }
        }
    }
}

// Decay and kicks of the conductances of E cells, then the input of step t, which acts undecayed.
fn deliver(t: u32, tid: u32) {
    for (var k = 0u; k < E_PER; k++) {
        e[k].ge = decayed(e[k].ge, DECAY_FRACTION_AMPA) + kick_ee[k];
        if HAS_IE {
            e[k].gi = decayed(e[k].gi, DECAY_FRACTION_GABA) + kick_ie[k];
        }
    }
    while due == t {
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            e[k].ge += input[k];
            if exists(c, k, N_E) {
                input[k] = effective[IN_AT + ahead.y * N_E + c];
            }
        }
        due = ahead.x;
        cursor++;
        ahead = event_at(cursor + 1u);
    }
}

// Membranes and spikes of step t; loads the imposed spikes of step `following`.
fn step_cells(trial: u32, t: u32, following: u32, tid: u32) {
    let row_ahead = row_of(trial, following);
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        if exists(c, k, N_E) {
            e[k] = fire(E_KIND, trial, t, c, e[k], word_e[k]);
            if flag(IMPOSE) {
                word_e[k] = spikes[row_ahead + c / 32u];
            }
        }
    }
    if I_CELLS {
        for (var k = 0u; k < I_PER; k++) {
            let c = k * WG + tid;
            if exists(c, k, N_I) {
                i[k].ge = decayed(i[k].ge, DECAY_FRACTION_AMPA) + kick_ei[k];
                if HAS_II {
                    i[k].gi = decayed(i[k].gi, DECAY_FRACTION_GABA) + kick_ii[k];
                }
                i[k] = fire(I_KIND, trial, t, c, i[k], word_i[k]);
                if flag(IMPOSE) {
                    word_i[k] = spikes[row_ahead + WORDS_E + c / 32u];
                }
            }
        }
    }
}

// Spikes of step t go out at once, resets of the read-out one step later. The thread that reads a word
// here is the one that clears it in the next step.
fn store_spikes(trial: u32, t: u32, first: u32, tid: u32) {
    for (var w = tid; w < ROW_WORDS; w += WG) {
        if w < WORDS_E + WORDS_I {
            spikes[row_of(trial, t) + w] = atomicLoad(&bits[set_of(t) + w]);
        } else if t > first {
            spikes[row_of(trial, t - 1u) + w] = atomicLoad(&bits[set_of(t + 2u) + w]);
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let trial = group.x;
    let first = this_step.first;
    let end = first + this_step.count;
    load_state(trial, tid);
    load_spikes(trial, first, tid);
    find_event(trial, first, tid);
    if flag(IMPOSE) {
        load_imposed(trial, first, tid);
    }
    workgroupBarrier();

    for (var t = first; true; t++) {
        let before = set_of(t + 2u);
        kick(before, tid);
        // The read-out of the step before, unless an earlier dispatch has done it.
        if t > first {
            read_out(trial, t - 1u, before, tid);
        }
        if t == end {
            break;
        }
        for (var w = tid; w < SET_WORDS; w += WG) {
            atomicStore(&bits[set_of(t + 1u) + w], 0u);
        }
        deliver(t, tid);
        step_cells(trial, t, min(t + 1u, end - 1u), tid);
        workgroupBarrier();
        if !flag(IMPOSE) {
            store_spikes(trial, t, first, tid);
        }
    }

    workgroupBarrier();
    let last = end - 1u;
    if !flag(IMPOSE) {
        for (var w = WORDS_E + WORDS_I + tid; w < ROW_WORDS; w += WG) {
            spikes[row_of(trial, last) + w] = atomicLoad(&bits[set_of(last) + w]);
        }
    }
    store_state(trial, tid);
}
