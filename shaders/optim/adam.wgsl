// One Adam step of one matrix with the gradient scaled by the clip factor, and Dale's projection.
//
// grid      one invocation an entry, in two dimensions past 65,535 workgroups
// weights, gradient, m, v  flat, the trained matrices in the same places
// twin      `Adam::update` in src/optim/mod.rs
struct Step {
    offset: u32,
    len: u32,
    project: u32,
    clip_factor: f32,
    // Learning rate / (1 − β₁ᵗ).
    rate: f32,
    // 1 / √(1 − β₂ᵗ).
    root: f32,
    beta1: f32,
    beta2: f32,
    keep1: f32,
    keep2: f32,
    epsilon: f32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read_write> weights: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<uniform> this_step: Step;

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
    let at = this_step.offset + i;
    let g = gradient[at] * this_step.clip_factor;
    let first = this_step.beta1 * m[at] + this_step.keep1 * g;
    let second = this_step.beta2 * v[at] + this_step.keep2 * (g * g);
    m[at] = first;
    v[at] = second;
    let w = weights[at] - this_step.rate * first / (sqrt(second) * this_step.root + this_step.epsilon);
    weights[at] = select(w, 0.0, this_step.project != 0u && w < 0.0);
}
