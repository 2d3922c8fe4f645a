// The adjoint of one step, `first`, of all trials: the form of the backward pass that takes a dispatch
// a step. Its results have the bits of backward.wgsl, whose equations it shares.
//
// A workgroup has a tile of cells × trials, a thread adds up 4 CELL_QUADS cells × 4 TRIAL_QUADS trials of it:
//
//   sums a thread     4 × 4      8 × 4      8 × 8
//   threads           128        128        64
//   E cells           64 × 32    64 × 64    64 × 64    all postsynaptic cells by every thread
//   I cells           32 × 16    32 × 32    32 × 32    a quarter of them by each quarter of the threads
//
// At 4 E cells to an I cell tiles of both cost the same. More sums a thread are fewer loads from workgroup
// memory for each of them, and fewer threads to hide what is waited for. None of it changes the order of a sum.
//
// Weights and adjoints pass through workgroup memory in chunks; the next chunk is loaded while this one
// is multiplied, and, where registers are left, what the cells' own step needs before the products begin.
// The sums then change hands once, so that a thread steps cells whose neighbours its neighbours step.
//
// grid        E tiles, then I tiles, the cells of one group of trials after each other
// transposed  effective loop and read-out matrices, [post, pre] each, at *_T_AT
// trace       [step − trace_first, trial, TRACE_LEN]: recorded state in; Λ_exc in the place of g_exc, Λ_inh
//             in that of g_inh
// adjoints    [trial, ADJOINT_LEN]: of the cells, renewed
// lambda      [row, four trials]: β Λ(t + 1) of odd or even steps in, β Λ(t) among those of the others
//             out; gain · λ_out of every step of the segment
// totals      spikes of each E cell over the batch, for the firing-rate penalty
// twin        src/conductance/cpu/backward.rs
// the same bits run after run: fixed order of every sum, no atomics
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
@group(0) @binding(4) var<storage, read_write> lambda: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> totals: array<u32>;
@group(0) @binding(6) var<uniform> this_step: Step;

const ALONE: bool = false;

// How WG_T threads cover a tile of 4 `groups` cells × 4 `quads` trials in `slices` of the postsynaptic
// cells, of which each gives `chunk` at a time to workgroup memory.
struct Shape {
    groups: u32,
    quads: u32,
    slices: u32,
    chunk: u32,
}

const E_SHAPE = Shape(E_TILE_CELLS / 4u, E_TILE_TRIALS / 4u, 1u, 32u);
const I_SHAPE = Shape(I_TILE_CELLS / 4u, I_TILE_TRIALS / 4u, SLICES, 64u / SLICES);
// Vectors of a chunk, and those that a thread loads of them: as many in both shapes.
const WEIGHTS: u32 = 8u * E_TILE_CELLS;
const ADJOINTS: u32 = 8u * E_TILE_TRIALS;
const WEIGHTS_PER: u32 = WEIGHTS / WG_T;
const ADJOINTS_PER: u32 = ADJOINTS / WG_T;
// Vectors of all sums, as many in both shapes; and cells × four trials that a thread then steps.
const SUMS: u32 = 4u * CELL_QUADS * TRIAL_QUADS * WG_T;
const WEIGHTS_OR_SUMS: u32 = max(WEIGHTS, SUMS);
const E_PER_THREAD: u32 = E_TILE_CELLS * E_TILE_TRIALS / 4u / WG_T;
const I_PER_THREAD: u32 = I_TILE_CELLS * I_TILE_TRIALS / 4u / WG_T;
// Whether what the cells' step needs is loaded before the products, and of how many it then is kept.
const EARLY: bool = CELL_QUADS * TRIAL_QUADS == 1u;
const E_KEPT: u32 = max(1u, E_PER_THREAD * (2u - min(CELL_QUADS * TRIAL_QUADS, 2u)));
const I_KEPT: u32 = max(1u, I_PER_THREAD * (2u - min(CELL_QUADS * TRIAL_QUADS, 2u)));

// Weights [post, group], of the cells group + groups · (0, 1, 2, 3); later the sums, [slice, quad, cell].
var<workgroup> some_weights: array<vec4<f32>, WEIGHTS_OR_SUMS>;
// Adjoints [post, quad].
var<workgroup> some_adjoints: array<vec4<f32>, ADJOINTS>;

// Sums of a thread: of its first and, where it has them, second cells and trials; a column a cell.
struct Tile {
    first: mat4x4<f32>,
    second_cells: mat4x4<f32>,
    second_trials: mat4x4<f32>,
    second_of_both: mat4x4<f32>,
}

// A thread's place in a tile: its first group and quad, and how far away the second ones are.
struct Place {
    group: u32,
    next_group: u32,
    quad: u32,
    next_quad: u32,
    slice: u32,
}

fn place_of(shape: Shape, tid: u32) -> Place {
    let across = shape.groups / CELL_QUADS;
    let down = shape.quads / TRIAL_QUADS;
    return Place(tid % across, across, tid / across % down, down, tid / (across * down));
}

// A matrix with the rows of `lambda` that it is multiplied by.
struct Factor {
    matrix_at: u32,
    n_pre: u32,
    n_post: u32,
    first_row: u32,
}

struct Chunk {
    weights: array<vec4<f32>, WEIGHTS_PER>,
    adjoints: array<vec4<f32>, ADJOINTS_PER>,
}

// The postsynaptic cell at place p of a chunk, n_post where there is none.
fn post_at(shape: Shape, factor: Factor, from_post: u32, p: u32) -> u32 {
    let len = (factor.n_post + shape.slices - 1u) / shape.slices;
    let within = from_post + p % shape.chunk;
    let post = p / shape.chunk * len + within;
    return select(factor.n_post, min(post, factor.n_post), within < len);
}

fn load(shape: Shape, factor: Factor, from_post: u32, first_cell: u32, first_quad: u32, tid: u32) -> Chunk {
    var chunk = Chunk();
    for (var j = 0u; j < WEIGHTS_PER; j++) {
        let item = j * WG_T + tid;
        let post = post_at(shape, factor, from_post, item / shape.groups);
        if post < factor.n_post {
            let cells = first_cell + item % shape.groups + shape.groups * vec4(0u, 1u, 2u, 3u);
            let at = factor.matrix_at + post * factor.n_pre + min(cells, vec4(factor.n_pre - 1u));
            chunk.weights[j] = vec4(transposed[at.x], transposed[at.y], transposed[at.z], transposed[at.w]);
        }
    }
    for (var j = 0u; j < ADJOINTS_PER; j++) {
        let item = j * WG_T + tid;
        let post = post_at(shape, factor, from_post, item / shape.quads);
        if post < factor.n_post {
            let row = factor.first_row + post;
            chunk.adjoints[j] = lambda[row * LAMBDA_QUADS + first_quad + item % shape.quads];
        }
    }
    return chunk;
}

// sum + w · rowᵀ, of four cells and four trials.
fn plus(sum: mat4x4<f32>, w: vec4<f32>, row: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(
        fma(vec4(w.x), row, sum[0]),
        fma(vec4(w.y), row, sum[1]),
        fma(vec4(w.z), row, sum[2]),
        fma(vec4(w.w), row, sum[3]),
    );
}

// sum += Σ over the thread's slice of w[post, cell] · row[post], ascending.
fn add_product(sum: ptr<function, Tile>, shape: Shape, factor: Factor, first_cell: u32, first_quad: u32, tid: u32) {
    let len = (factor.n_post + shape.slices - 1u) / shape.slices;
    let place = place_of(shape, tid);
    let first = place.slice * shape.chunk;
    var next = load(shape, factor, 0u, first_cell, first_quad, tid);
    for (var from_post = 0u; from_post < len; from_post += shape.chunk) {
        for (var j = 0u; j < WEIGHTS_PER; j++) {
            some_weights[j * WG_T + tid] = next.weights[j];
        }
        for (var j = 0u; j < ADJOINTS_PER; j++) {
            some_adjoints[j * WG_T + tid] = next.adjoints[j];
        }
        workgroupBarrier();
        if from_post + shape.chunk < len {
            next = load(shape, factor, from_post + shape.chunk, first_cell, first_quad, tid);
        }
        for (var u = 0u; u < shape.chunk; u++) {
            let weights_at = (first + u) * shape.groups + place.group;
            let rows_at = (first + u) * shape.quads + place.quad;
            let w = some_weights[weights_at];
            let row = some_adjoints[rows_at];
            (*sum).first = plus((*sum).first, w, row);
            if CELL_QUADS == 2u {
                (*sum).second_cells = plus((*sum).second_cells, some_weights[weights_at + place.next_group], row);
            }
            if TRIAL_QUADS == 2u {
                let next_row = some_adjoints[rows_at + place.next_quad];
                (*sum).second_trials = plus((*sum).second_trials, w, next_row);
                if CELL_QUADS == 2u {
                    let next_w = some_weights[weights_at + place.next_group];
                    (*sum).second_of_both = plus((*sum).second_of_both, next_w, next_row);
                }
            }
        }
        workgroupBarrier();
    }
}

// Sums of four cells, `groups` apart, to their places from `at` on.
fn put_sums(sums: mat4x4<f32>, groups: u32, at: u32) {
    some_weights[at] = sums[0];
    some_weights[at + groups] = sums[1];
    some_weights[at + 2u * groups] = sums[2];
    some_weights[at + 3u * groups] = sums[3];
}

// Leaves the sums in some_weights, [slice, quad, cell of the tile].
fn hand_over(sum: Tile, shape: Shape, tid: u32) {
    let place = place_of(shape, tid);
    let at = (place.slice * shape.quads + place.quad) * 4u * shape.groups + place.group;
    let next_quad = place.next_quad * 4u * shape.groups;
    put_sums(sum.first, shape.groups, at);
    if CELL_QUADS == 2u {
        put_sums(sum.second_cells, shape.groups, at + place.next_group);
    }
    if TRIAL_QUADS == 2u {
        put_sums(sum.second_trials, shape.groups, at + next_quad);
        if CELL_QUADS == 2u {
            put_sums(sum.second_of_both, shape.groups, at + next_quad + place.next_group);
        }
    }
    workgroupBarrier();
}

// Row r of β Λ of the steps whose parity step t has.
fn row_of(t: u32, r: u32) -> u32 {
    return (t % 2u) * LAMBDA_ROWS + r;
}

// v, Λ_exc and Λ_inh at `at`, of n cells; 0 where they are not there, since what is there is another thread's to write.
fn of_lane(is_there: bool, at: u32, n: u32) -> vec3<f32> {
    var values = vec3<f32>();
    if is_there {
        values = vec3(adjoints[at], adjoints[at + n], adjoints[at + 2u * n]);
    }
    return values;
}

// What the step after left of cell `c` of `n`, whose adjoints begin at `first`, in four trials.
fn carried(live: vec4<bool>, trials: vec4<u32>, first: u32, c: u32, n: u32) -> Carried {
    let is_there = this_step.fresh == 0u && c < n;
    let at = trials * ADJOINT_LEN + first + c;
    let x = of_lane(is_there && live.x, at.x, n);
    let y = of_lane(is_there && live.y, at.y, n);
    let z = of_lane(is_there && live.z, at.z, n);
    let w = of_lane(is_there && live.w, at.w, n);
    return Carried(vec4(x.x, y.x, z.x, w.x), vec4(x.y, y.y, z.y, w.y), vec4(x.z, y.z, z.z, w.z));
}

fn trials_of(quad: u32) -> vec4<u32> {
    return 4u * quad + vec4(0u, 1u, 2u, 3u);
}

// What the step of a cell in four trials begins with.
struct Before {
    was: Recorded,
    after: Carried,
}

fn before_e(c: u32, quad: u32) -> Before {
    let lanes = lanes_of(4u * quad, this_step.trials, this_step.first);
    return Before(recorded_e(lanes, c), carried(lanes.live, trials_of(quad), 0u, c, N_E));
}

fn before_i(c: u32, quad: u32) -> Before {
    let lanes = lanes_of(4u * quad, this_step.trials, this_step.first);
    return Before(recorded_i(lanes, c), carried(lanes.live, trials_of(quad), ADJOINT_I_AT, c, N_I));
}

fn e_tile(tile: u32, tid: u32) {
    const TILES: u32 = (N_E + E_TILE_CELLS - 1u) / E_TILE_CELLS;
    let t = this_step.first;
    let first_cell = tile % TILES * E_TILE_CELLS;
    let first_quad = tile / TILES * (E_TILE_TRIALS / 4u);
    var kept = array<Before, E_KEPT>();
    if EARLY {
        for (var j = 0u; j < E_KEPT; j++) {
            let item = j * WG_T + tid;
            kept[j] = before_e(first_cell + item % E_TILE_CELLS, first_quad + item / E_TILE_CELLS);
        }
    }
    var sum = Tile();
    if HAS_EI && this_step.fresh == 0u {
        let factor = Factor(EI_T_AT, N_E, N_I, row_of(t + 1u, LAMBDA_GE_I));
        add_product(&sum, E_SHAPE, factor, first_cell, first_quad, tid);
    }
    if HAS_EE && this_step.fresh == 0u {
        let factor = Factor(EE_T_AT, N_E, N_E, row_of(t + 1u, LAMBDA_GE_E));
        add_product(&sum, E_SHAPE, factor, first_cell, first_quad, tid);
    }
    let out_row = LAMBDA_OUT_ROW + (t - this_step.trace_first) * N_OUT;
    add_product(&sum, E_SHAPE, Factor(OUT_T_AT, N_E, N_OUT, out_row), first_cell, first_quad, tid);
    hand_over(sum, E_SHAPE, tid);
    for (var j = 0u; j < E_PER_THREAD; j++) {
        let item = j * WG_T + tid;
        let c = first_cell + item % E_TILE_CELLS;
        if c < N_E {
            let quad = first_quad + item / E_TILE_CELLS;
            var before = kept[min(j, E_KEPT - 1u)];
            if !EARLY {
                before = before_e(c, quad);
            }
            let a = step_back(E_CELL, c, before.was, some_weights[item] + penalty_of(c), before.after);
            let lanes = lanes_of(4u * quad, this_step.trials, t);
            put_adjoints(lanes.live, trials_of(quad) * ADJOINT_LEN + c, N_E, a);
            put_trace(lanes, TRACE_GE_E + c, a.ge);
            if HAS_EE {
                lambda[row_of(t, LAMBDA_GE_E + c) * LAMBDA_QUADS + quad] = KICK_AMPA * a.ge;
            }
            if HAS_IE {
                put_trace(lanes, TRACE_GI_E + c, a.gi);
                lambda[row_of(t, LAMBDA_GI_E + c) * LAMBDA_QUADS + quad] = KICK_GABA * a.gi;
            }
        }
    }
}

fn i_tile(tile: u32, tid: u32) {
    const TILES: u32 = (N_I + I_TILE_CELLS - 1u) / I_TILE_CELLS;
    const ITEMS: u32 = I_TILE_CELLS * I_TILE_TRIALS / 4u;
    let t = this_step.first;
    let first_cell = tile % TILES * I_TILE_CELLS;
    let first_quad = tile / TILES * (I_TILE_TRIALS / 4u);
    var kept = array<Before, I_KEPT>();
    if EARLY {
        for (var j = 0u; j < I_KEPT; j++) {
            let item = j * WG_T + tid;
            kept[j] = before_i(first_cell + item % I_TILE_CELLS, first_quad + item / I_TILE_CELLS);
        }
    }
    let has_products = INTO_I && this_step.fresh == 0u;
    if has_products {
        var sum = Tile();
        if HAS_IE {
            let factor = Factor(IE_T_AT, N_I, N_E, row_of(t + 1u, LAMBDA_GI_E));
            add_product(&sum, I_SHAPE, factor, first_cell, first_quad, tid);
        }
        if HAS_II {
            let factor = Factor(II_T_AT, N_I, N_I, row_of(t + 1u, LAMBDA_GI_I));
            add_product(&sum, I_SHAPE, factor, first_cell, first_quad, tid);
        }
        hand_over(sum, I_SHAPE, tid);
    }
    for (var j = 0u; j < I_PER_THREAD; j++) {
        let item = j * WG_T + tid;
        let c = first_cell + item % I_TILE_CELLS;
        if c < N_I {
            let quad = first_quad + item / I_TILE_CELLS;
            var before = kept[min(j, I_KEPT - 1u)];
            if !EARLY {
                before = before_i(c, quad);
            }
            var lambda_s = vec4<f32>();
            if has_products {
                for (var s = 0u; s < SLICES; s++) {
                    lambda_s += some_weights[s * ITEMS + item];
                }
            }
            let a = step_back(I_CELL, c, before.was, lambda_s, before.after);
            let lanes = lanes_of(4u * quad, this_step.trials, t);
            put_adjoints(lanes.live, trials_of(quad) * ADJOINT_LEN + ADJOINT_I_AT + c, N_I, a);
            put_trace(lanes, TRACE_GE_I + c, a.ge);
            if HAS_EI {
                lambda[row_of(t, LAMBDA_GE_I + c) * LAMBDA_QUADS + quad] = KICK_AMPA * a.ge;
            }
            if HAS_II {
                put_trace(lanes, TRACE_GI_I + c, a.gi);
                lambda[row_of(t, LAMBDA_GI_I + c) * LAMBDA_QUADS + quad] = KICK_GABA * a.gi;
            }
        }
    }
}

@compute @workgroup_size(WG_T)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    const TILES: u32 = (N_E + E_TILE_CELLS - 1u) / E_TILE_CELLS;
    let e_tiles = TILES * ((this_step.trials + E_TILE_TRIALS - 1u) / E_TILE_TRIALS);
    if group.x < e_tiles {
        e_tile(group.x, tid);
    } else if I_CELLS {
        i_tile(group.x - e_tiles, tid);
    }
}
