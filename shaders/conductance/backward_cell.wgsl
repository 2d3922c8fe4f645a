// One backward step of one cell in four trials at once: what was recorded of them, and their adjoints.
// Used by both forms of the backward pass, which declare `trace`, `spikes`, `this_step` and ALONE (true
// where a workgroup has a single trial: the lanes y, z and w are then constant zeros and cost nothing).
#import "conductance/cell.wgsl"

// Where the rows of four trials begin, and which of them are there to be written.
struct Lanes {
    trace: vec4<u32>,
    spikes: vec4<u32>,
    live: vec4<bool>,
}

// The trials first .. first + 4 at step t; those from `end` on read no trace and write nothing.
fn lanes_of(first: u32, end: u32, t: u32) -> Lanes {
    let trial = first + vec4(0u, 1u, 2u, 3u);
    let safe = min(trial, vec4(this_step.trials - 1u));
    let row = (t - this_step.trace_first) * this_step.trials + safe;
    return Lanes(row * TRACE_LEN, (safe * STEPS + t) * ROW_WORDS, trial < vec4(end));
}

// What is recorded of trials that are there; what another thread writes is not even looked at.
fn trace_of(lanes: Lanes, column: u32) -> vec4<f32> {
    var values = vec4<f32>();
    if lanes.live.x {
        values.x = trace[lanes.trace.x + column];
    }
    if !ALONE {
        if lanes.live.y {
            values.y = trace[lanes.trace.y + column];
        }
        if lanes.live.z {
            values.z = trace[lanes.trace.z + column];
        }
        if lanes.live.w {
            values.w = trace[lanes.trace.w + column];
        }
    }
    return values;
}

fn put_trace(lanes: Lanes, column: u32, value: vec4<f32>) {
    if lanes.live.x {
        trace[lanes.trace.x + column] = value.x;
    }
    if !ALONE {
        if lanes.live.y {
            trace[lanes.trace.y + column] = value.y;
        }
        if lanes.live.z {
            trace[lanes.trace.z + column] = value.z;
        }
        if lanes.live.w {
            trace[lanes.trace.w + column] = value.w;
        }
    }
}

// The recorded state of a cell. Spikes stay words until they are used, so that no load is waited for.
struct Recorded {
    v: vec4<f32>,
    ge: vec4<f32>,
    gi: vec4<f32>,
    words: vec4<u32>,
}

fn recorded(lanes: Lanes, v_at: u32, ge_at: u32, gi_at: u32, has_gi: bool, word: u32) -> Recorded {
    var r = Recorded();
    r.v = trace_of(lanes, v_at);
    r.ge = trace_of(lanes, ge_at);
    if has_gi {
        r.gi = trace_of(lanes, gi_at);
    }
    let at = lanes.spikes + word;
    r.words.x = spikes[at.x];
    if !ALONE {
        r.words = vec4(r.words.x, spikes[at.y], spikes[at.z], spikes[at.w]);
    }
    return r;
}

fn recorded_e(lanes: Lanes, cell: u32) -> Recorded {
    var r = Recorded();
    if cell < N_E {
        r = recorded(lanes, TRACE_V_E + cell, TRACE_GE_E + cell, TRACE_GI_E + cell, HAS_IE, cell / 32u);
    }
    return r;
}

fn recorded_i(lanes: Lanes, cell: u32) -> Recorded {
    var r = Recorded();
    if cell < N_I {
        let word = WORDS_E + cell / 32u;
        r = recorded(lanes, TRACE_V_I + cell, TRACE_GE_I + cell, TRACE_GI_I + cell, HAS_II, word);
    }
    return r;
}

// Adjoints that a step leaves to the step before: λ_v, and Λ of the two conductances.
struct Carried {
    v: vec4<f32>,
    ge: vec4<f32>,
    gi: vec4<f32>,
}

// Λ(t) = λ_g(t) + β Λ(t + 1), λ_v cut where the cell fired.
fn one_trial(k: Cell, v: f32, ge: f32, gi: f32, fired: bool, lambda_s: f32, after: vec3<f32>) -> vec3<f32> {
    let a = adjoint(k, v, ge, gi, lambda_s, select(after.x, 0.0, fired));
    return vec3(a.v, fma(BETA_AMPA, after.y, a.ge), fma(BETA_GABA, after.z, a.gi));
}

fn step_back(k: Cell, cell: u32, was: Recorded, lambda_s: vec4<f32>, after: Carried) -> Carried {
    let fired = ((was.words >> vec4(cell % 32u)) & vec4(1u)) == vec4(1u);
    let s = lambda_s;
    let x = one_trial(k, was.v.x, was.ge.x, was.gi.x, fired.x, s.x, vec3(after.v.x, after.ge.x, after.gi.x));
    if ALONE {
        return Carried(vec4(x.x, 0.0, 0.0, 0.0), vec4(x.y, 0.0, 0.0, 0.0), vec4(x.z, 0.0, 0.0, 0.0));
    }
    let y = one_trial(k, was.v.y, was.ge.y, was.gi.y, fired.y, s.y, vec3(after.v.y, after.ge.y, after.gi.y));
    let z = one_trial(k, was.v.z, was.ge.z, was.gi.z, fired.z, s.z, vec3(after.v.z, after.ge.z, after.gi.z));
    let w = one_trial(k, was.v.w, was.ge.w, was.gi.w, fired.w, s.w, vec3(after.v.w, after.ge.w, after.gi.w));
    return Carried(vec4(x.x, y.x, z.x, w.x), vec4(x.y, y.y, z.y, w.y), vec4(x.z, y.z, z.z, w.z));
}

// Where the carried adjoints of a cell begin within a trial, and how far apart they are.
fn adjoints_of(lanes: vec4<u32>, stride: u32) -> Carried {
    return Carried(adjoint_of(lanes), adjoint_of(lanes + stride), adjoint_of(lanes + 2u * stride));
}

fn adjoint_of(at: vec4<u32>) -> vec4<f32> {
    if ALONE {
        return vec4(adjoints[at.x], 0.0, 0.0, 0.0);
    }
    return vec4(adjoints[at.x], adjoints[at.y], adjoints[at.z], adjoints[at.w]);
}

fn put_adjoints(live: vec4<bool>, at: vec4<u32>, stride: u32, a: Carried) {
    for (var lane = 0u; lane < select(4u, 1u, ALONE); lane++) {
        if live[lane] {
            adjoints[at[lane]] = a.v[lane];
            adjoints[at[lane] + stride] = a.ge[lane];
            adjoints[at[lane] + 2u * stride] = a.gi[lane];
        }
    }
}

// The firing-rate penalty's gradient by one spike of an E cell.
fn penalty_of(cell: u32) -> f32 {
    let excess = max(f32(totals[min(cell, N_E - 1u)]) * this_step.spikes_to_hz - RATE_THETA_HZ, 0.0);
    return 2.0 * RATE_STRENGTH * excess * this_step.spikes_to_hz;
}
