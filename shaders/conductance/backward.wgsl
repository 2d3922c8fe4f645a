// The adjoint of steps `first .. first + count`, in descending order.
//
// One workgroup owns TRIALS trials, so that each loop weight it loads serves all of them; thread
// `tid` owns the cells tid, tid + WG, … of both populations of every trial, in registers. What the
// products need of other threads, the adjoints Λ of the conductances of the step after, stands in
// workgroup memory. Two barriers a step: read-out adjoints written → everything read → new Λ written.
//
//   λ_s = β W Λ(t + 1) + gain · W_out λ_out + penalty      of a spike
//   Λ(t) = λ_g(t) + β Λ(t + 1)                             of a conductance
//   λ_out(t) = seed + decay · λ_out(t + 1) · (1 − θ σ')    of the read-out
//
// grid        ceil(trials / TRIALS)
// transposed  effective loop and read-out matrices, [post, pre] each, at *_T_AT
// trace       [step − trace_first, trial, TRACE_LEN]: recorded state in; Λ_exc in the place of g_exc, Λ_inh
//             in that of g_inh and λ_out in that of the read-out voltage out
// adjoints    [trial, ADJOINT_LEN]: carried from one dispatch to the next
// by_logit    [trial of the batch, 2 N_OUT]: gradient by the logits, step of the largest voltage
// totals      spikes of each E cell over the batch, for the firing-rate penalty
// twin        src/conductance/cpu/backward.rs
// the same bits run after run: fixed order of every sum, no atomics
#import "conductance/cell.wgsl"

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

var<workgroup> shared_ge_e: array<f32, SHARED_GE_E>;
var<workgroup> shared_gi_e: array<f32, SHARED_GI_E>;
var<workgroup> shared_ge_i: array<f32, SHARED_GE_I>;
var<workgroup> shared_gi_i: array<f32, SHARED_GI_I>;
var<workgroup> shared_out: array<f32, TRIALS * N_OUT>;

fn fired(trial: u32, t: u32, first_word: u32, c: u32) -> bool {
    let row = (trial * STEPS + t) * ROW_WORDS;
    return ((spikes[row + first_word + c / 32u] >> (c % 32u)) & 1u) == 1u;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
    let first_trial = group.x * TRIALS;
    var lv_e: array<f32, TRIALS * E_PER>;
    var lge_e: array<f32, TRIALS * E_PER>;
    var lgi_e: array<f32, TRIALS * E_PER>;
    var lv_i: array<f32, TRIALS * I_PER>;
    var lge_i: array<f32, TRIALS * I_PER>;
    var lgi_i: array<f32, TRIALS * I_PER>;
    var penalty: array<f32, E_PER>;
    for (var k = 0u; k < E_PER; k++) {
        let c = k * WG + tid;
        if c < N_E {
            let excess = max(f32(totals[c]) * this_step.spikes_to_hz - RATE_THETA_HZ, 0.0);
            penalty[k] = 2.0 * RATE_STRENGTH * excess * this_step.spikes_to_hz;
        }
    }
    for (var r = 0u; r < TRIALS; r++) {
        let trial = first_trial + r;
        let at = trial * ADJOINT_LEN;
        let carried = this_step.fresh == 0u && trial < this_step.trials;
        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if c < N_E {
                if carried {
                    lv_e[r * E_PER + k] = adjoints[at + c];
                    lge_e[r * E_PER + k] = adjoints[at + N_E + c];
                    lgi_e[r * E_PER + k] = adjoints[at + 2u * N_E + c];
                }
                if HAS_EE {
                    shared_ge_e[r * N_E + c] = lge_e[r * E_PER + k];
                }
                if HAS_IE {
                    shared_gi_e[r * N_E + c] = lgi_e[r * E_PER + k];
                }
            }
        }
        for (var k = 0u; k < I_PER; k++) {
            let c = k * WG + tid;
            if I_CELLS && c < N_I {
                if carried {
                    lv_i[r * I_PER + k] = adjoints[at + 3u * N_E + c];
                    lge_i[r * I_PER + k] = adjoints[at + 3u * N_E + N_I + c];
                    lgi_i[r * I_PER + k] = adjoints[at + 3u * N_E + 2u * N_I + c];
                }
                if HAS_EI {
                    shared_ge_i[r * N_I + c] = lge_i[r * I_PER + k];
                }
                if HAS_II {
                    shared_gi_i[r * N_I + c] = lgi_i[r * I_PER + k];
                }
            }
        }
        for (var c = tid; c < N_OUT; c += WG) {
            shared_out[r * N_OUT + c] = 0.0;
            if carried {
                shared_out[r * N_OUT + c] = adjoints[at + 3u * (N_E + N_I) + c];
            }
        }
    }

    for (var n = 0u; n < this_step.count; n++) {
        let t = this_step.first + this_step.count - 1u - n;
        let trace_step = (t - this_step.trace_first) * this_step.trials;

        // Each read-out belongs to one thread, here and when the adjoints were loaded.
        for (var r = 0u; r < TRIALS; r++) {
            let trial = first_trial + r;
            for (var c = tid; c < N_OUT; c += WG) {
                if trial < this_step.trials {
                    let at = (trace_step + trial) * TRACE_LEN + TRACE_OUT + c;
                    let logit_at = (trial + this_step.trial_offset) * 2u * N_OUT + c;
                    var seed = by_logit[logit_at] * OUT_SCALE;
                    if TAKES_MAX {
                        seed = select(0.0, by_logit[logit_at], by_logit[logit_at + N_OUT] == f32(t));
                    }
                    var passed = 1.0;
                    if RESETS {
                        passed = 1.0 - OUT_THRESHOLD * surrogate(trace[at] - OUT_THRESHOLD);
                    }
                    let lambda = seed + OUT_DECAY * shared_out[r * N_OUT + c] * passed;
                    shared_out[r * N_OUT + c] = lambda;
                    trace[at] = lambda;
                }
            }
        }
        workgroupBarrier();

        for (var k = 0u; k < E_PER; k++) {
            let c = k * WG + tid;
            if c < N_E {
                var through_ampa: array<f32, TRIALS>;
                if HAS_EI {
                    for (var post = 0u; post < N_I; post++) {
                        let w = transposed[EI_T_AT + post * N_E + c];
                        for (var r = 0u; r < TRIALS; r++) {
                            through_ampa[r] += w * shared_ge_i[r * N_I + post];
                        }
                    }
                }
                if HAS_EE {
                    for (var post = 0u; post < N_E; post++) {
                        let w = transposed[EE_T_AT + post * N_E + c];
                        for (var r = 0u; r < TRIALS; r++) {
                            through_ampa[r] += w * shared_ge_e[r * N_E + post];
                        }
                    }
                }
                var through_out: array<f32, TRIALS>;
                for (var out = 0u; out < N_OUT; out++) {
                    let w = transposed[OUT_T_AT + out * N_E + c];
                    for (var r = 0u; r < TRIALS; r++) {
                        through_out[r] += w * shared_out[r * N_OUT + out];
                    }
                }
                for (var r = 0u; r < TRIALS; r++) {
                    let trial = first_trial + r;
                    if trial < this_step.trials {
                        let at = (trace_step + trial) * TRACE_LEN;
                        let own = r * E_PER + k;
                        let lambda_s =
                            BETA_AMPA * through_ampa[r] + OUT_GAIN * through_out[r] + penalty[k];
                        let lambda_v = select(lv_e[own], 0.0, fired(trial, t, 0u, c));
                        var gi = 0.0;
                        if HAS_IE {
                            gi = trace[at + TRACE_GI_E + c];
                        }
                        let a = adjoint(
                            E_CELL,
                            trace[at + TRACE_V_E + c],
                            trace[at + TRACE_GE_E + c],
                            gi,
                            lambda_s,
                            lambda_v,
                        );
                        lv_e[own] = a.v;
                        lge_e[own] = a.ge + BETA_AMPA * lge_e[own];
                        lgi_e[own] = a.gi + BETA_GABA * lgi_e[own];
                        trace[at + TRACE_GE_E + c] = lge_e[own];
                        if HAS_IE {
                            trace[at + TRACE_GI_E + c] = lgi_e[own];
                        }
                    }
                }
            }
        }
        if I_CELLS {
            for (var k = 0u; k < I_PER; k++) {
                let c = k * WG + tid;
                if c < N_I {
                    var through_gaba: array<f32, TRIALS>;
                    if HAS_IE {
                        for (var post = 0u; post < N_E; post++) {
                            let w = transposed[IE_T_AT + post * N_I + c];
                            for (var r = 0u; r < TRIALS; r++) {
                                through_gaba[r] += w * shared_gi_e[r * N_E + post];
                            }
                        }
                    }
                    if HAS_II {
                        for (var post = 0u; post < N_I; post++) {
                            let w = transposed[II_T_AT + post * N_I + c];
                            for (var r = 0u; r < TRIALS; r++) {
                                through_gaba[r] += w * shared_gi_i[r * N_I + post];
                            }
                        }
                    }
                    for (var r = 0u; r < TRIALS; r++) {
                        let trial = first_trial + r;
                        if trial < this_step.trials {
                            let at = (trace_step + trial) * TRACE_LEN;
                            let own = r * I_PER + k;
                            let lambda_v = select(lv_i[own], 0.0, fired(trial, t, WORDS_E, c));
                            var gi = 0.0;
                            if HAS_II {
                                gi = trace[at + TRACE_GI_I + c];
                            }
                            let a = adjoint(
                                I_CELL,
                                trace[at + TRACE_V_I + c],
                                trace[at + TRACE_GE_I + c],
                                gi,
                                BETA_GABA * through_gaba[r],
                                lambda_v,
                            );
                            lv_i[own] = a.v;
                            lge_i[own] = a.ge + BETA_AMPA * lge_i[own];
                            lgi_i[own] = a.gi + BETA_GABA * lgi_i[own];
                            trace[at + TRACE_GE_I + c] = lge_i[own];
                            if HAS_II {
                                trace[at + TRACE_GI_I + c] = lgi_i[own];
                            }
                        }
                    }
                }
            }
        }
        workgroupBarrier();

        for (var r = 0u; r < TRIALS; r++) {
            for (var k = 0u; k < E_PER; k++) {
                let c = k * WG + tid;
                if c < N_E {
                    if HAS_EE {
                        shared_ge_e[r * N_E + c] = lge_e[r * E_PER + k];
                    }
                    if HAS_IE {
                        shared_gi_e[r * N_E + c] = lgi_e[r * E_PER + k];
                    }
                }
            }
            for (var k = 0u; k < I_PER; k++) {
                let c = k * WG + tid;
                if I_CELLS && c < N_I {
                    if HAS_EI {
                        shared_ge_i[r * N_I + c] = lge_i[r * I_PER + k];
                    }
                    if HAS_II {
                        shared_gi_i[r * N_I + c] = lgi_i[r * I_PER + k];
                    }
                }
            }
        }
    }

    for (var r = 0u; r < TRIALS; r++) {
        let trial = first_trial + r;
        let at = trial * ADJOINT_LEN;
        if trial < this_step.trials {
            for (var k = 0u; k < E_PER; k++) {
                let c = k * WG + tid;
                if c < N_E {
                    adjoints[at + c] = lv_e[r * E_PER + k];
                    adjoints[at + N_E + c] = lge_e[r * E_PER + k];
                    adjoints[at + 2u * N_E + c] = lgi_e[r * E_PER + k];
                }
            }
            for (var k = 0u; k < I_PER; k++) {
                let c = k * WG + tid;
                if I_CELLS && c < N_I {
                    adjoints[at + 3u * N_E + c] = lv_i[r * I_PER + k];
                    adjoints[at + 3u * N_E + N_I + c] = lge_i[r * I_PER + k];
                    adjoints[at + 3u * N_E + 2u * N_I + c] = lgi_i[r * I_PER + k];
                }
            }
            for (var c = tid; c < N_OUT; c += WG) {
                adjoints[at + 3u * (N_E + N_I) + c] = shared_out[r * N_OUT + c];
            }
        }
    }
}
