// Steps `first .. first + count` of every trial: free, or under the spikes already in `spikes`.
//
// One workgroup owns one trial; thread `tid` owns the cells tid, tid + WG, … of both populations in its
// registers. Spikes of a step are bits in workgroup memory; every thread walks the set bits of the
// step before, in ascending order, and adds its columns of the spiking rows. Three sets of bits take
// turns (before, now, next), so one barrier a step is enough: the set for the next step is cleared
// while nobody reads it any more.
//
// grid      trials of the chunk
// weights   effective matrices, [pre, post] each, at *_AT
// events    (step, input) of all trials of the batch, sorted; those of trial b in offsets[b] .. offsets[b + 1]
// state     [slot, trial, STATE_LEN]: read from slot_in, written to slot_out
// spikes    [trial, step, ROW_WORDS]
// trace     [step − trace_first, trial, TRACE_LEN], with TRACE: what the adjoint of the step needs
// twin      src/conductance/cpu/trial.rs; sums in the same order
// the same bits run after run: no float atomics, and the bits are set with a commutative OR
#import "conductance/cell.wgsl"

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

// Start from rest instead of slot_in.
const FRESH: u32 = 1u;
// Take spikes from `spikes` instead of deciding.
const IMPOSE: u32 = 2u;
// Take read-out resets from `spikes`, too.
const IMPOSE_OUT: u32 = 4u;
// Write `trace`.
const TRACE: u32 = 8u;
// Trace the voltage after integration instead of before.
const PROBE: u32 = 16u;
// List the engine's own decisions that differ from the imposed ones.
const REPORT: u32 = 32u;

struct Disagreements {
    count: atomic<u32>,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
    // trial, step, cell | population << 20 | fires << 24, bits of the value
    entries: array<vec4<u32>>,
}

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> events: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> spikes: array<u32>;
@group(0) @binding(5) var<storage, read_write> trace: array<f32>;
@group(0) @binding(6) var<storage, read_write> disagreements: Disagreements;
@group(0) @binding(7) var<uniform> this_step: Step;

var<workgroup> bits: array<atomic<u32>, 3u * ROW_WORDS>;

fn flag(which: u32) -> bool {
    return (this_step.flags & which) != 0u;
}

fn row_of(trial: u32, t: u32) -> u32 {
    return (trial * STEPS + t) * ROW_WORDS;
}

fn disagree(trial: u32, t: u32, population: u32, cell: u32, fires: bool, value: f32) {
    let at = atomicAdd(&disagreements.count, 1u);
    if at < arrayLength(&disagreements.entries) {
        let code = cell | (population << 20u) | (select(0u, 1u, fires) << 24u);
        disagreements.entries[at] =
            vec4<u32>(trial + this_step.trial_offset, t, code, bitcast<u32>(value));
    }
}

// The decision of a cell: its own, or the imposed one.
fn decide(trial: u32, t: u32, population: u32, cell: u32, own: bool, value: f32) -> bool {
    if !flag(IMPOSE) {
        return own;
    }
    let first_word = select(0u, WORDS_E, population == 1u);
    let word = spikes[row_of(trial, t) + first_word + cell / 32u];
    let imposed = ((word >> (cell % 32u)) & 1u) == 1u;
    if flag(REPORT) && imposed != own {
        disagree(trial, t, population, cell, own, value);
    }
    return imposed;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let trial = group.x;
    var v_e: array<f32, E_PER>;
    var ge_e: array<f32, E_PER>;
    var gi_e: array<f32, E_PER>;
    var ref_e: array<f32, E_PER>;
    var count_e: array<f32, E_PER>;
    var v_i: array<f32, I_PER>;
    var ge_i: array<f32, I_PER>;
    var gi_i: array<f32, I_PER>;
    var ref_i: array<f32, I_PER>;
    var count_i: array<f32, I_PER>;
    var v_out: array<f32, OUT_PER>;
    var sum_out: array<f32, OUT_PER>;
    var peak_out: array<f32, OUT_PER>;

    let from_slot = (this_step.slot_in * this_step.trials + trial) * STATE_LEN;
    for (var k = 0u; k < E_PER; k++) {
        v_e[k] = E_L_MV;
        let c = k * WG + tid;
        if !flag(FRESH) && c < N_E {
            v_e[k] = state[from_slot + c];
            ge_e[k] = state[from_slot + N_E + c];
            gi_e[k] = state[from_slot + 2u * N_E + c];
            ref_e[k] = state[from_slot + 3u * N_E + c];
            count_e[k] = state[from_slot + 4u * N_E + c];
        }
    }
    for (var k = 0u; k < I_PER; k++) {
        v_i[k] = E_L_MV;
        let c = k * WG + tid;
        if !flag(FRESH) && c < N_I {
            let at = from_slot + 5u * N_E + c;
            v_i[k] = state[at];
            ge_i[k] = state[at + N_I];
            gi_i[k] = state[at + 2u * N_I];
            ref_i[k] = state[at + 3u * N_I];
            count_i[k] = state[at + 4u * N_I];
        }
    }
    for (var k = 0u; k < OUT_PER; k++) {
        let c = k * WG + tid;
        if !flag(FRESH) && c < N_OUT {
            let at = from_slot + 5u * (N_E + N_I) + c;
            v_out[k] = state[at];
            sum_out[k] = state[at + N_OUT];
            peak_out[k] = state[at + 2u * N_OUT];
        }
    }
    let before_first = (this_step.first + 2u) % 3u;
    for (var w = tid; w < ROW_WORDS; w += WG) {
        var word = 0u;
        if this_step.first > 0u && w < WORDS_E + WORDS_I {
            word = spikes[row_of(trial, this_step.first - 1u) + w];
        }
        atomicStore(&bits[before_first * ROW_WORDS + w], word);
        atomicStore(&bits[(this_step.first % 3u) * ROW_WORDS + w], 0u);
    }

    // The first event at or after the first step, by bisection.
    var cursor = offsets[trial + this_step.trial_offset];
    let events_end = offsets[trial + this_step.trial_offset + 1u];
    var above = events_end;
    while cursor < above {
        let middle = (cursor + above) / 2u;
        if events[middle].x < this_step.first {
            cursor = middle + 1u;
        } else {
            above = middle;
        }
    }
    workgroupBarrier();

    for (var n = 0u; n < this_step.count; n++) {
        let t = this_step.first + n;
        let before = ((t + 2u) % 3u) * ROW_WORDS;
        let now = (t % 3u) * ROW_WORDS;
        let next = ((t + 1u) % 3u) * ROW_WORDS;
        for (var w = tid; w < ROW_WORDS; w += WG) {
            atomicStore(&bits[next + w], 0u);
        }

        // Conductances: kick by the spikes of the step before, decay, input.
        var kick_ee: array<f32, E_PER>;
        var kick_ie: array<f32, E_PER>;
        var kick_ei: array<f32, I_PER>;
        var kick_ii: array<f32, I_PER>;
        if HAS_EE || HAS_EI {
            for (var w = 0u; w < WORDS_E; w++) {
                var word = atomicLoad(&bits[before + w]);
                while word != 0u {
                    let pre = w * 32u + firstTrailingBit(word);
                    word &= word - 1u;
                    if HAS_EI {
                        for (var k = 0u; k < I_PER; k++) {
                            let c = k * WG + tid;
                            if c < N_I {
                                kick_ei[k] += weights[EI_AT + pre * N_I + c];
                            }
                        }
                    }
                    if HAS_EE {
                        for (var k = 0u; k < E_PER; k++) {
                            let c = k * WG + tid;
                            if c < N_E {
                                kick_ee[k] += weights[EE_AT + pre * N_E + c];
                            }
                        }
                    }
                }
            }
        }
        if HAS_IE || HAS_II {
            for (var w = 0u; w < WORDS_I; w++) {
                var word = atomicLoad(&bits[before + WORDS_E + w]);
                while word != 0u {
                    let pre = w * 32u + firstTrailingBit(word);
                    word &= word - 1u;
                    if HAS_IE {
                        for (var k = 0u; k < E_PER; k++) {
                            let c = k * WG + tid;
                            if c < N_E {
                                kick_ie[k] += weights[IE_AT + pre * N_E + c];
                            }
                        }
                    }
                    if HAS_II {
                        for (var k = 0u; k < I_PER; k++) {
                            let c = k * WG + tid;
                            if c < N_I {
                                kick_ii[k] += weights[II_AT + pre * N_I + c];
                            }
                        }
                    }
                }
            }
        }
        for (var k = 0u; k < E_PER; k++) {
            let ge = ge_e[k] + kick_ee[k];
            ge_e[k] = ge - ge * LOSS_AMPA;
            let gi = gi_e[k] + kick_ie[k];
            gi_e[k] = gi - gi * LOSS_GABA;
        }
        while cursor < events_end {
            let event = events[cursor];
            if event.x != t {
                break;
            }
            cursor++;
            for (var k = 0u; k < E_PER; k++) {
                let c = k * WG + tid;
                if c < N_E {
                    ge_e[k] += weights[IN_AT + event.y * N_E + c];
                }
            }
        }

        // Membranes and spikes.
        let trace_row = ((t - this_step.trace_first) * this_step.trials + trial) * TRACE_LEN;
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if c < N_E {
                let v_before = select(v_e[k], REFRACTORY, ref_e[k] > 1.0);
                let v = at_floor(advance(E_CELL, v_e[k], ge_e[k], gi_e[k]));
                if flag(TRACE) {
                    trace[trace_row + TRACE_V_E + c] = select(v_before, v, flag(PROBE));
                    trace[trace_row + TRACE_GE_E + c] = ge_e[k];
                    if HAS_IE {
                        trace[trace_row + TRACE_GI_E + c] = gi_e[k];
                    }
                }
                ref_e[k] = max(ref_e[k] - 1.0, 0.0);
                let can = ref_e[k] == 0.0;
                let fires = decide(trial, t, 0u, c, v >= V_TH_MV && can, v);
                v_e[k] = select(v, V_RESET_MV, fires || !can);
                if fires {
                    ref_e[k] = E_CELL.ref_steps;
                    count_e[k] += 1.0;
                    atomicOr(&bits[now + c / 32u], 1u << (c % 32u));
                }
            }
        }
        if I_CELLS {
            for (var k = 0u; k < I_PER; k++) {
                let c = k * WG + tid;
                if c < N_I {
                    let ge = ge_i[k] + kick_ei[k];
                    ge_i[k] = ge - ge * LOSS_AMPA;
                    let gi = gi_i[k] + kick_ii[k];
                    gi_i[k] = gi - gi * LOSS_GABA;
                    let v_before = select(v_i[k], REFRACTORY, ref_i[k] > 1.0);
                    let v = at_floor(advance(I_CELL, v_i[k], ge_i[k], gi_i[k]));
                    if flag(TRACE) {
                        trace[trace_row + TRACE_V_I + c] = select(v_before, v, flag(PROBE));
                        trace[trace_row + TRACE_GE_I + c] = ge_i[k];
                        if HAS_II {
                            trace[trace_row + TRACE_GI_I + c] = gi_i[k];
                        }
                    }
                    ref_i[k] = max(ref_i[k] - 1.0, 0.0);
                    let can = ref_i[k] == 0.0;
                    let fires = decide(trial, t, 1u, c, v >= V_TH_MV && can, v);
                    v_i[k] = select(v, V_RESET_MV, fires || !can);
                    if fires {
                        ref_i[k] = I_CELL.ref_steps;
                        count_i[k] += 1.0;
                        atomicOr(&bits[now + WORDS_E + c / 32u], 1u << (c % 32u));
                    }
                }
            }
        }
        workgroupBarrier();

        // Spikes of this step go out at once, resets of the read-out one step later: they are
        // decided only now.
        if !flag(IMPOSE) {
            for (var w = tid; w < ROW_WORDS; w += WG) {
                if w < WORDS_E + WORDS_I {
                    spikes[row_of(trial, t) + w] = atomicLoad(&bits[now + w]);
                } else if n > 0u {
                    spikes[row_of(trial, t - 1u) + w] = atomicLoad(&bits[before + w]);
                }
            }
        }

        // Read-out.
        for (var k = 0u; k < OUT_PER; k++) {
            let c = k * WG + tid;
            if c < N_OUT {
                var drive = 0.0;
                for (var w = 0u; w < WORDS_E; w++) {
                    var word = atomicLoad(&bits[now + w]);
                    while word != 0u {
                        let pre = w * 32u + firstTrailingBit(word);
                        word &= word - 1u;
                        drive += weights[OUT_AT + pre * N_OUT + c];
                    }
                }
                let v = OUT_DECAY * v_out[k] + OUT_GAIN * drive;
                v_out[k] = v;
                if flag(TRACE) {
                    trace[trace_row + TRACE_OUT + c] = v;
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
                        atomicOr(&bits[now + word_at], 1u << (c % 32u));
                    }
                }
            }
        }
    }

    workgroupBarrier();
    let last = this_step.first + this_step.count - 1u;
    if !flag(IMPOSE) {
        for (var w = WORDS_E + WORDS_I + tid; w < ROW_WORDS; w += WG) {
            spikes[row_of(trial, last) + w] = atomicLoad(&bits[(last % 3u) * ROW_WORDS + w]);
        }
    }
    let to_slot = (this_step.slot_out * this_step.trials + trial) * STATE_LEN;
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        if c < N_E {
            state[to_slot + c] = v_e[k];
            state[to_slot + N_E + c] = ge_e[k];
            state[to_slot + 2u * N_E + c] = gi_e[k];
            state[to_slot + 3u * N_E + c] = ref_e[k];
            state[to_slot + 4u * N_E + c] = count_e[k];
        }
    }
    for (var k = 0u; k < I_PER; k++) {
        let c = k * WG + tid;
        if c < N_I {
            let at = to_slot + 5u * N_E + c;
            state[at] = v_i[k];
            state[at + N_I] = ge_i[k];
            state[at + 2u * N_I] = gi_i[k];
            state[at + 3u * N_I] = ref_i[k];
            state[at + 4u * N_I] = count_i[k];
        }
    }
    for (var k = 0u; k < OUT_PER; k++) {
        let c = k * WG + tid;
        if c < N_OUT {
            let at = to_slot + 5u * (N_E + N_I) + c;
            state[at] = v_out[k];
            state[at + N_OUT] = sum_out[k];
            state[at + 2u * N_OUT] = peak_out[k];
        }
    }
}
