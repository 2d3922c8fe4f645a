// One optimiser step of one matrix with its gradient scaled by its clip factor, and Dale's projection; nothing
// where that is below 0.
// The step Δ is Adam's or that of plain descent; it is subtracted from w, or from u = ln |w|, whose
// gradient is w g: w ← w exp(−Δ).
//
// grid      one invocation an entry, in two dimensions past 65,535 workgroups; lanes in z
// stored, gradient, m, v  flat, the trained matrices in the same places
// clip      steps skipped so far, then the bits of the factors
// twin      `Adam::update` in src/optim/mod.rs
#import "common/exp.wgsl"

struct Step {
    offset: u32,
    len: u32,
    flags: u32,
    factor_at: u32,
    // Learning rate / (1 − β₁ᵗ); of plain descent the learning rate.
    rate: f32,
    // 1 / √(1 − β₂ᵗ).
    root: f32,
    beta1: f32,
    beta2: f32,
    keep1: f32,
    keep2: f32,
    epsilon: f32,
    // Skipped steps that the host knew of; the rates are those of a step earlier where there is one more.
    skipped: u32,
    earlier_rate: f32,
    earlier_root: f32,
    // From a lane to the next, in entries and in factors.
    lane_stride: u32,
    lane_factors: u32,
}

@group(0) @binding(0) var<storage, read_write> stored: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> clip: array<u32>;
@group(0) @binding(5) var<uniform> this_step: Step;

fn adam(at: u32, g: f32, rate: f32, root: f32) -> f32 {
    let first = this_step.beta1 * m[at] + this_step.keep1 * g;
    let second = this_step.beta2 * v[at] + this_step.keep2 * (g * g);
    m[at] = first;
    v[at] = second;
    return rate * first / (sqrt(second) * root + this_step.epsilon);
}

// `w`, or a zero with the sign of `old` where it is zero or has the other one. A NaN stays one.
fn of_the_sign(old: f32, w: f32) -> f32 {
    let sign = bitcast<u32>(old) & 0x80000000u;
    let has_changed = select(w <= 0.0, w >= 0.0, sign != 0u);
    return select(w, bitcast<f32>(sign), has_changed);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let i = (group.y * grid.x + group.x) * WG + tid;
    if i >= this_step.len {
        return;
    }
    let factor = bitcast<f32>(clip[this_step.factor_at + group.z * this_step.lane_factors]);
    if factor < 0.0 {
        return;
    }
    let is_earlier = clip[0] != this_step.skipped;
    let rate = select(this_step.rate, this_step.earlier_rate, is_earlier);
    let root = select(this_step.root, this_step.earlier_root, is_earlier);
    let at = this_step.offset + group.z * this_step.lane_stride + i;
    let is_log = (this_step.flags & LOG) != 0u;
    let old = stored[at];
    let g = select(gradient[at], old * gradient[at], is_log) * factor;
    var delta = rate * g;
    if (this_step.flags & DESCENT) == 0u {
        delta = adam(at, g, rate, root);
    }
    var w = old - delta;
    if is_log {
        // Short steps add what they change, with one rounding; long ones must not end at zero.
        w = select(old * exp_of(-delta), old + old * expm1(-delta), abs(delta) <= 1.0);
    }
    if (this_step.flags & PROJECT) != 0u {
        w = select(w, 0.0, w < 0.0);
    }
    if (this_step.flags & KEEP_SIGN) != 0u {
        w = of_the_sign(old, w);
    }
    stored[at] = w;
}
