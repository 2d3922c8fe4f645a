// Copies an array: the memory ceiling of a device.
//
// grid         one invocation per vec4, in rows past the limit of one dimension
// source       [n] vec4
// destination  [n] vec4
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    let i = (group.y * grid.x + group.x) * 256u + tid;
    if i < arrayLength(&source) {
        destination[i] = source[i];
    }
}
