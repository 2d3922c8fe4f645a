// Adds the gradients of the trial groups, in order, to the whole gradient and empties them.
//
// grid    one invocation an entry, in two dimensions past 65,535 workgroups
// groups  [group, TRAINED_LEN]
// gradient [TRAINED_LEN]
struct Step {
    groups: u32,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
}

@group(0) @binding(0) var<storage, read_write> groups: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<uniform> this_step: Step;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let i = (group.y * grid.x + group.x) * WG + tid;
    if i >= TRAINED_LEN {
        return;
    }
    var total = gradient[i];
    for (var g = 0u; g < this_step.groups; g++) {
        total += groups[g * TRAINED_LEN + i];
        groups[g * TRAINED_LEN + i] = 0.0;
    }
    gradient[i] = total;
}
