// The weights as passes use them: max(w, 0) of clamped matrices, and a transposed copy of those the
// backward pass multiplies by.
//
// grid        one invocation an entry of the matrix, in two dimensions past 65,535 workgroups
// stored     all matrices, [pre, post] each
// effective   the same places
// transposed  [post, pre] at transposed_at, where has_transposed
struct Step {
    offset: u32,
    pre: u32,
    post: u32,
    clamped: u32,
    has_transposed: u32,
    transposed_at: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<storage, read> stored: array<f32>;
@group(0) @binding(1) var<storage, read_write> effective: array<f32>;
@group(0) @binding(2) var<storage, read_write> transposed: array<f32>;
@group(0) @binding(3) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let i = (group.y * grid.x + group.x) * WG + tid;
    if i >= this_step.pre * this_step.post {
        return;
    }
    let raw = stored[this_step.offset + i];
    let w = select(raw, 0.0, this_step.clamped != 0u && raw < 0.0);
    effective[this_step.offset + i] = w;
    if this_step.has_transposed != 0u {
        let pre = i / this_step.post;
        let post = i % this_step.post;
        transposed[this_step.transposed_at + post * this_step.pre + pre] = w;
    }
}
