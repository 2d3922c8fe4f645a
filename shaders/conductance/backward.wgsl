// The adjoint of steps `first .. first + count`, in descending order.
//
//   λ_s = β W Λ(t + 1) + gain · W_out λ_out + penalty      of a spike
//   Λ(t) = λ_g(t) + β Λ(t + 1)                             of a conductance
//   λ_out(t) = seed + decay · λ_out(t + 1) · (1 − θ σ')    of the read-out
//
// One workgroup owns TRIALS trials and streams the loop weights once a step for all of them. What the
// products need of other threads, β Λ(t + 1) and gain · λ_out, stands in `rows` of workgroup memory, a
// row a postsynaptic cell, four trials a vector. A thread adds up tiles of 4 cells × TRIALS trials:
//
//   sums of E cells       cells tid, tid + WG, …: all postsynaptic cells, ascending
//   sums of I cells       few cells, long sums: the postsynaptic cells are cut into SLICES, a thread has one
//                         slice of four cells, and the cell's owner adds the slices in ascending order
//
// Sums then pass through WORK_ROW, the rows of Λ_inh, which are free once every thread is done with them.
// Weights, and the recorded state of the first cell, are loaded before the arithmetic that hides their latency.
// Without a loop there is neither product nor exchange: the owner adds up the read-out itself.
//
// grid        ceil(trials / TRIALS)
// transposed  effective loop and read-out matrices, [post, pre] each, at *_T_AT
// trace       [step − trace_first, trial, TRACE_LEN]: recorded state in; Λ_exc in the place of g_exc, Λ_inh
//             in that of g_inh and λ_out in that of the read-out voltage out
// adjoints    [trial, ADJOINT_LEN]: carried from one dispatch to the next
// by_logit    [trial of the batch, 2 N_OUT]: gradient by the logits, step of the largest voltage
// totals      spikes of each E cell over the batch, for the firing-rate penalty
// twin        src/conductance/cpu/backward.rs
// the same bits run after run and for every TRIALS: fixed order of every sum, no atomics
#import "conductance/backward_cell.wgsl"

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

@group(0) @binding(0) var<storage, read> transposed: array<f32>;
@group(0) @binding(1) var<storage, read> spikes: array<u32>;
@group(0) @binding(2) var<storage, read_write> trace: array<f32>;
@group(0) @binding(3) var<storage, read_write> adjoints: array<f32>;
@group(0) @binding(4) var<storage, read> by_logit: array<f32>;
@group(0) @binding(5) var<storage, read> totals: array<u32>;
@group(0) @binding(6) var<uniform> this_step: Step;

const ALONE: bool = TRIALS == 1u;
const QUADS: u32 = (TRIALS + 3u) / 4u;
// Tiles of a thread, and weights that it loads ahead for each cell of a tile.
const E_TILES: u32 = (E_PER + 3u) / 4u;
const I_TILES: u32 = (SLICES * I_LANES + WG - 1u) / WG;
const AHEAD: u32 = 8u;
const E_OWN: u32 = E_PER * QUADS;
const I_OWN: u32 = I_PER * QUADS;
const OUT_OWN: u32 = (N_OUT * QUADS + WG - 1u) / WG;

// Workgroup memory, [quad, row]; a single trial has scalars instead of vectors.
var<workgroup> quad_rows: array<vec4<f32>, QUAD_ROWS>;
var<workgroup> single_rows: array<f32, SINGLE_ROWS>;

fn row(at: u32, q: u32) -> vec4<f32> {
    if ALONE {
        return vec4(single_rows[at], 0.0, 0.0, 0.0);
    }
    return quad_rows[q * SHARED_ROWS + at];
}

fn put_row(at: u32, q: u32, value: vec4<f32>) {
    if ALONE {
        single_rows[at] = value.x;
    } else {
        quad_rows[q * SHARED_ROWS + at] = value;
    }
}

// Sums of four cells, [cell, quad].
alias Tile = array<vec4<f32>, 4u * QUADS>;
alias Block = array<vec4<f32>, AHEAD>;

// Weights of the next AHEAD postsynaptic cells, of which `left` are there, to four cells.
fn weights(at: vec4<u32>, n_pre: u32, left: u32) -> Block {
    var block = Block();
    if left >= AHEAD {
        for (var u = 0u; u < AHEAD; u++) {
            block[u] = weights_of(at + u * n_pre);
        }
    } else {
        for (var u = 0u; u < AHEAD; u++) {
            block[u] = weights_of(at + min(u, left - 1u) * n_pre);
        }
    }
    return block;
}

fn weights_of(at: vec4<u32>) -> vec4<f32> {
    return vec4(transposed[at.x], transposed[at.y], transposed[at.z], transposed[at.w]);
}

fn add_block(sum: ptr<function, Tile>, some: Block, first_row: u32, left: u32) {
    var block = some;
    for (var u = 0u; u < AHEAD; u++) {
        if u < left {
            let w = block[u];
            for (var q = 0u; q < QUADS; q++) {
                let lambda = row(first_row + u, q);
                (*sum)[q] = fma(vec4(w.x), lambda, (*sum)[q]);
                (*sum)[QUADS + q] = fma(vec4(w.y), lambda, (*sum)[QUADS + q]);
                (*sum)[2u * QUADS + q] = fma(vec4(w.z), lambda, (*sum)[2u * QUADS + q]);
                (*sum)[3u * QUADS + q] = fma(vec4(w.w), lambda, (*sum)[3u * QUADS + q]);
            }
        }
    }
}

// sum += Σ over `posts` (first, end) of w[post, cell] · row[post], ascending.
fn add_product(
    sum: ptr<function, Tile>,
    matrix_at: u32,
    n_pre: u32,
    cells: vec4<u32>,
    first_row: u32,
    posts: vec2<u32>,
) {
    var at = min(cells, vec4(n_pre - 1u)) + (matrix_at + posts.x * n_pre);
    var left = posts.y - posts.x;
    if left == 0u {
        return;
    }
    var from_row = first_row + posts.x;
    var now = weights(at, n_pre, left);
    while left > AHEAD {
        at += AHEAD * n_pre;
        let next = weights(at, n_pre, left - AHEAD);
        add_block(sum, now, from_row, AHEAD);
        now = next;
        left -= AHEAD;
        from_row += AHEAD;
    }
    add_block(sum, now, from_row, left);
}

// First and end of slice s of n.
fn slice(s: u32, n: u32) -> vec2<u32> {
    let len = (n + SLICES - 1u) / SLICES;
    return min(vec2(s * len, (s + 1u) * len), vec2(n));
}

fn by_logit_of(at: vec4<u32>) -> vec4<f32> {
    if ALONE {
        return vec4(by_logit[at.x], 0.0, 0.0, 0.0);
    }
    return vec4(by_logit[at.x], by_logit[at.y], by_logit[at.z], by_logit[at.w]);
}

// One read-out of four trials.
struct ReadOut {
    seed: vec4<f32>,
    peak_step: vec4<f32>,
    // Recorded at the step that comes next.
    v: vec4<f32>,
    lambda: vec4<f32>,
}

fn readout_back(r: ReadOut, t: u32) -> vec4<f32> {
    let x = readout_adjoint(r.seed.x, r.peak_step.x, t, r.v.x, r.lambda.x);
    if ALONE {
        return vec4(x, 0.0, 0.0, 0.0);
    }
    return vec4(
        x,
        readout_adjoint(r.seed.y, r.peak_step.y, t, r.v.y, r.lambda.y),
        readout_adjoint(r.seed.z, r.peak_step.z, t, r.v.z, r.lambda.z),
        readout_adjoint(r.seed.w, r.peak_step.w, t, r.v.w, r.lambda.w),
    );
}

fn put_rows_e(cell: u32, q: u32, a: Carried) {
    if HAS_IE {
        put_row(WORK_ROW + cell, q, KICK_GABA * a.gi);
    }
    if HAS_EE {
        put_row(GE_E_ROW + cell, q, KICK_AMPA * a.ge);
    }
}

fn put_rows_i(cell: u32, q: u32, a: Carried) {
    if HAS_EI {
        put_row(GE_I_ROW + cell, q, KICK_AMPA * a.ge);
    }
    if HAS_II {
        put_row(GI_I_ROW + cell, q, KICK_GABA * a.gi);
    }
}

// The adjoints of this thread's cells, [cell, quad], and of its read-outs.
var<private> e: array<Carried, E_OWN>;
var<private> i: array<Carried, I_OWN>;
var<private> out: array<ReadOut, OUT_OWN>;
var<private> penalty: array<f32, E_PER>;
// The sums of a step, and the recorded state of the next of this thread's cells.
var<private> e_sums: array<Tile, E_TILES>;
var<private> next_e: Recorded;
var<private> next_i: Recorded;

// The trials of a quad; those past the end stand for the last one.
fn trials_of(first: u32) -> vec4<u32> {
    return min(first + vec4(0u, 1u, 2u, 3u), vec4(this_step.trials - 1u));
}

// Adjoints carried from an earlier dispatch, the penalty, and what the first step needs of the read-outs.
fn load_adjoints(first_trial: u32, end_trial: u32, last: u32, tid: u32) {
    for (var q = 0u; q < QUADS; q++) {
        let trial = trials_of(first_trial + 4u * q);
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if c < N_E {
                if this_step.fresh == 0u {
                    e[k * QUADS + q] = adjoints_of(trial * ADJOINT_LEN + c, N_E);
                }
                put_rows_e(c, q, e[k * QUADS + q]);
            }
        }
        for (var k = 0u; k < I_PER; k++) {
            let c = k * WG + tid;
            if I_CELLS && c < N_I {
                if this_step.fresh == 0u {
                    i[k * QUADS + q] = adjoints_of(trial * ADJOINT_LEN + ADJOINT_I_AT + c, N_I);
                }
                put_rows_i(c, q, i[k * QUADS + q]);
            }
        }
    }
    for (var k = 0u; k < E_PER; k++) {
        penalty[k] = penalty_of(k * WG + tid);
    }
    for (var k = 0u; k < OUT_OWN; k++) {
        let own = k * WG + tid;
        if own < N_OUT * QUADS {
            let first_of_quad = first_trial + own / N_OUT * 4u;
            let column = own % N_OUT;
            let trial = trials_of(first_of_quad);
            let logit = (trial + this_step.trial_offset) * (2u * N_OUT) + column;
            out[k].seed = by_logit_of(logit);
            out[k].peak_step = by_logit_of(logit + N_OUT);
            if this_step.fresh == 0u {
                out[k].lambda = adjoint_of(trial * ADJOINT_LEN + (ADJOINT_OUT_AT + column));
            }
            let lanes = lanes_of(first_of_quad, end_trial, last);
            out[k].v = trace_of(lanes, TRACE_OUT + column);
        }
    }
}

fn store_adjoints(first_trial: u32, end_trial: u32, tid: u32) {
    for (var q = 0u; q < QUADS; q++) {
        let trial = first_trial + 4u * q + vec4(0u, 1u, 2u, 3u);
        let live = trial < vec4(end_trial);
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if c < N_E {
                put_adjoints(live, trial * ADJOINT_LEN + c, N_E, e[k * QUADS + q]);
            }
        }
        for (var k = 0u; k < I_PER; k++) {
            let c = k * WG + tid;
            if I_CELLS && c < N_I {
                put_adjoints(live, trial * ADJOINT_LEN + ADJOINT_I_AT + c, N_I, i[k * QUADS + q]);
            }
        }
    }
    for (var k = 0u; k < OUT_OWN; k++) {
        let own = k * WG + tid;
        if own < N_OUT * QUADS {
            let trial = first_trial + own / N_OUT * 4u + vec4(0u, 1u, 2u, 3u);
            let at = trial * ADJOINT_LEN + (ADJOINT_OUT_AT + own % N_OUT);
            for (var lane = 0u; lane < select(4u, 1u, ALONE); lane++) {
                if trial[lane] < end_trial {
                    adjoints[at[lane]] = out[k].lambda[lane];
                }
            }
        }
    }
}

// λ_out of step t; loads what the step before it needs.
fn read_out_adjoints(first_trial: u32, end_trial: u32, t: u32, is_first: bool, tid: u32) {
    for (var k = 0u; k < OUT_OWN; k++) {
        let own = k * WG + tid;
        if own < N_OUT * QUADS {
            let q = own / N_OUT;
            let column = own % N_OUT;
            // Whole vectors: what writes one component of a shared vector may rewrite all four.
            let lambda = readout_back(out[k], t);
            out[k].lambda = lambda;
            put_row(OUT_ROW + column, q, OUT_GAIN * lambda);
            let lanes = lanes_of(first_trial + 4u * q, end_trial, t);
            if !is_first {
                let before = lanes_of(first_trial + 4u * q, end_trial, t - 1u);
                out[k].v = trace_of(before, TRACE_OUT + column);
            }
            put_trace(lanes, TRACE_OUT + column, lambda);
        }
    }
}

// Sums of E cells over all that they reach.
fn spike_adjoints_e(tid: u32) {
    for (var tile = 0u; tile < E_TILES; tile++) {
        let cells = 4u * tile * WG + tid + WG * vec4(0u, 1u, 2u, 3u);
        var sum = Tile();
        if HAS_EI {
            add_product(&sum, EI_T_AT, N_E, cells, GE_I_ROW, vec2(0u, N_I));
        }
        if HAS_EE {
            add_product(&sum, EE_T_AT, N_E, cells, GE_E_ROW, vec2(0u, N_E));
        }
        add_product(&sum, OUT_T_AT, N_E, cells, OUT_ROW, vec2(0u, N_OUT));
        e_sums[tile] = sum;
    }
}

// Sums of I cells, a slice each, into WORK_ROW; every thread is past WORK_ROW's rows of Λ_inh by then.
fn spike_adjoints_i(tid: u32) {
    var i_sums = array<Tile, I_TILES>();
    for (var tile = 0u; tile < I_TILES; tile++) {
        let own = tile * WG + tid;
        let s = own / I_LANES;
        if s < SLICES {
            let cells = own % I_LANES + I_LANES * vec4(0u, 1u, 2u, 3u);
            var sum = Tile();
            if HAS_IE {
                add_product(&sum, IE_T_AT, N_I, cells, WORK_ROW, slice(s, N_E));
            }
            if HAS_II {
                add_product(&sum, II_T_AT, N_I, cells, GI_I_ROW, slice(s, N_I));
            }
            i_sums[tile] = sum;
        }
    }
    workgroupBarrier();
    for (var tile = 0u; tile < I_TILES; tile++) {
        let own = tile * WG + tid;
        let s = own / I_LANES;
        for (var part = 0u; part < 4u; part++) {
            let c = own % I_LANES + I_LANES * part;
            if s < SLICES && c < N_I {
                for (var q = 0u; q < QUADS; q++) {
                    put_row(WORK_ROW + s * N_I + c, q, i_sums[tile][part * QUADS + q]);
                }
            }
        }
    }
}

// Adjoints of I cells through step t, their slices added in ascending order.
fn cell_adjoints_i(first_trial: u32, end_trial: u32, t: u32, tid: u32) {
    for (var own = 0u; own < I_OWN; own++) {
        let q = own % QUADS;
        let c = own / QUADS * WG + tid;
        let lanes = lanes_of(first_trial + 4u * q, end_trial, t);
        let was = next_i;
        if own + 1u < I_OWN {
            let lanes = lanes_of(first_trial + 4u * ((own + 1u) % QUADS), end_trial, t);
            next_i = recorded_i(lanes, (own + 1u) / QUADS * WG + tid);
        }
        if c < N_I {
            var lambda_s = vec4<f32>();
            if INTO_I {
                for (var s = 0u; s < SLICES; s++) {
                    lambda_s += row(WORK_ROW + s * N_I + c, q);
                }
            }
            let a = step_back(I_CELL, c, was, lambda_s, i[own]);
            i[own] = a;
            put_rows_i(c, q, a);
            put_trace(lanes, TRACE_GE_I + c, a.ge);
            if HAS_II {
                put_trace(lanes, TRACE_GI_I + c, a.gi);
            }
        }
    }
}

// Adjoints of E cells through step t. A thread touches rows of its own cells alone.
fn cell_adjoints_e(first_trial: u32, end_trial: u32, t: u32, tid: u32) {
    if RECURRENT {
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if c < N_E {
                for (var q = 0u; q < QUADS; q++) {
                    put_row(WORK_ROW + c, q, e_sums[k / 4u][k % 4u * QUADS + q]);
                }
            }
        }
    }
    for (var own = 0u; own < E_OWN; own++) {
        let q = own % QUADS;
        let c = own / QUADS * WG + tid;
        let lanes = lanes_of(first_trial + 4u * q, end_trial, t);
        let was = next_e;
        if own + 1u < E_OWN {
            let lanes = lanes_of(first_trial + 4u * ((own + 1u) % QUADS), end_trial, t);
            next_e = recorded_e(lanes, (own + 1u) / QUADS * WG + tid);
        }
        if c < N_E {
            var through = vec4<f32>();
            if RECURRENT {
                through = row(WORK_ROW + c, q);
            } else {
                for (var column = 0u; column < N_OUT; column++) {
                    let w = vec4(transposed[OUT_T_AT + column * N_E + c]);
                    through = fma(w, row(OUT_ROW + column, q), through);
                }
            }
            let a = step_back(E_CELL, c, was, through + penalty[own / QUADS], e[own]);
            e[own] = a;
            put_rows_e(c, q, a);
            put_trace(lanes, TRACE_GE_E + c, a.ge);
            if HAS_IE {
                put_trace(lanes, TRACE_GI_E + c, a.gi);
            }
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let first_trial = group.x * TRIALS;
    let end_trial = min(first_trial + TRIALS, this_step.trials);
    let last = this_step.first + this_step.count - 1u;
    load_adjoints(first_trial, end_trial, last, tid);

    for (var n = 0u; n < this_step.count; n++) {
        let t = last - n;
        read_out_adjoints(first_trial, end_trial, t, n + 1u == this_step.count, tid);
        let first_lanes = lanes_of(first_trial, end_trial, t);
        if I_CELLS {
            next_i = recorded_i(first_lanes, tid);
        } else {
            next_e = recorded_e(first_lanes, tid);
        }
        workgroupBarrier();

        if RECURRENT {
            spike_adjoints_e(tid);
        }
        if INTO_I {
            spike_adjoints_i(tid);
        }
        if RECURRENT {
            workgroupBarrier();
        }
        if I_CELLS {
            next_e = recorded_e(first_lanes, tid);
            cell_adjoints_i(first_trial, end_trial, t, tid);
        }
        if INTO_I {
            workgroupBarrier();
        }
        cell_adjoints_e(first_trial, end_trial, t, tid);
        if !RECURRENT {
            workgroupBarrier();
        }
    }
    store_adjoints(first_trial, end_trial, tid);
}
