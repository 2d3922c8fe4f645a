// One cell in one step of the forward pass or of a replay: a part of forward.wgsl, whose variables it
// uses. Twin: src/conductance/cpu/cells.rs.
#import "conductance/cell.wgsl"
#import "conductance/spike_set.wgsl"

// One cell between two steps; `refractory` in steps left.
struct CellState {
    v: f32,
    ge: f32,
    gi: f32,
    refractory: f32,
    spikes: f32,
}

const AT_REST = CellState(E_L_MV, 0.0, 0.0, 0.0, 0.0);

// has_gi false: known to be 0 when compiled.
fn load_cell(at: u32, n: u32, has_gi: bool) -> CellState {
    return CellState(
        state[at],
        state[at + n],
        select(0.0, state[at + 2u * n], has_gi),
        state[at + 3u * n],
        state[at + 4u * n],
    );
}

fn store_cell(at: u32, n: u32, cell: CellState) {
    state[at] = cell.v;
    state[at + n] = cell.ge;
    state[at + 2u * n] = cell.gi;
    state[at + 3u * n] = cell.refractory;
    state[at + 4u * n] = cell.spikes;
}

// What is different for E and I cells.
struct Kind {
    number: u32,
    cell: Cell,
    bits: Place,
    trace_v: u32,
    trace_ge: u32,
    trace_gi: u32,
    has_gi: bool,
}

const E_KIND = Kind(0u, E_CELL, E_BITS, TRACE_V_E, TRACE_GE_E, TRACE_GI_E, HAS_IE);
const I_KIND = Kind(1u, I_CELL, I_BITS, TRACE_V_I, TRACE_GE_I, TRACE_GI_I, HAS_II);

// Membrane and spike of cell `c` in step t, its conductances being those of this step already.
// `word` holds its imposed spike.
fn fire(kind: Kind, trial: u32, t: u32, c: u32, before: CellState, word: u32) -> CellState {
    var cell = before;
    let v = at_floor(advance(kind.cell, cell.v, cell.ge, cell.gi));
    if flag(TRACE) {
        let at = trace_row(t, trial) + c;
        let v_before = select(cell.v, REFRACTORY, cell.refractory > 1.0);
        trace[at + kind.trace_v] = select(v_before, v, flag(PROBE));
        trace[at + kind.trace_ge] = cell.ge;
        if kind.has_gi {
            trace[at + kind.trace_gi] = cell.gi;
        }
    }
    cell.refractory = max(cell.refractory - 1.0, 0.0);
    let can = cell.refractory == 0.0;
    let own = v >= V_TH_MV && can;
    var fires = own;
    if flag(IMPOSE) {
        fires = ((word >> (c % 32u)) & 1u) == 1u;
        if flag(REPORT) && fires != own {
            disagree(trial, t, kind.number, c, own, v);
        }
    }
    cell.v = select(v, V_RESET_MV, fires || !can);
    if fires {
        cell.refractory = kind.cell.ref_steps;
        cell.spikes += 1.0;
        note_spike(set_of(t), kind.bits, c);
    }
    return cell;
}

// A conductance after the decay of one step: subtracting the small share that decays keeps more digits of β.
fn decayed(g: f32, loss: f32) -> f32 {
    return g - g * loss;
}
