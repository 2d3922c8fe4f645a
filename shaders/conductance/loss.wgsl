// Logits of every trial and the gradient of the mean cross-entropy by them; one invocation a trial.
//
// grid      ceil(trials / WG)
// state     [slot, trial, STATE_LEN]: the final slot's read-out sums
// labels    class of each trial of the batch
// by_logit  [trial of the batch, 2 N_OUT]: gradient, and the step of the largest voltage
// logits    [trial of the batch, N_OUT]
// twin      src/conductance/loss.rs
struct Step {
    slot: u32,
    trials: u32,
    trial_offset: u32,
    batch: u32,
}

@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> by_logit: array<f32>;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= this_step.trials {
        return;
    }
    let trial = id.x + this_step.trial_offset;
    let sums = (this_step.slot * this_step.trials + id.x) * STATE_LEN + STATE_OUT_AT + N_OUT;
    let factor = select(OUT_SCALE, 1.0, TAKES_MAX);
    var top = state[sums] * factor;
    for (var c = 0u; c < N_OUT; c++) {
        let logit = state[sums + c] * factor;
        logits[trial * N_OUT + c] = logit;
        top = max(top, logit);
    }
    var total = 0.0;
    for (var c = 0u; c < N_OUT; c++) {
        total += exp(logits[trial * N_OUT + c] - top);
    }
    for (var c = 0u; c < N_OUT; c++) {
        let p = exp(logits[trial * N_OUT + c] - top) / total;
        let truth = select(0.0, 1.0, labels[trial] == c);
        by_logit[trial * 2u * N_OUT + c] = (p - truth) / f32(this_step.batch);
        by_logit[trial * 2u * N_OUT + N_OUT + c] = state[sums + N_OUT + c];
    }
}
