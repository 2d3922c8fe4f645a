// C = Aᵀ B of square matrices of SIZE (a multiple of 128), in tiles of 128 × 128: the rate of a large
// float32 product. 2 · SIZE³ operations.
//
// grid  [SIZE / 128, SIZE / 128]; a workgroup owns a tile, a thread 8 × 8 of its entries
// a     [k, row] as vec4 along the row
// b     [k, column] as vec4 along the column
// c     [row, column] as vec4 along the column
const TILE: u32 = 128u;
const DEPTH: u32 = 16u;
// Vectors in a row of a tile and of a matrix.
const TILE_VECTORS: u32 = TILE / 4u;
const ROW_VECTORS: u32 = SIZE / 4u;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;

var<workgroup> tile_a: array<vec4<f32>, 512>;
var<workgroup> tile_b: array<vec4<f32>, 512>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) tid: u32,
) {
    var sums = array<vec4<f32>, 16>();
    for (var k0 = 0u; k0 < SIZE; k0 += DEPTH) {
        for (var half = 0u; half < 2u; half++) {
            let i = tid + 256u * half;
            let row = (k0 + i / TILE_VECTORS) * ROW_VECTORS + i % TILE_VECTORS;
            tile_a[i] = a[row + group.y * TILE_VECTORS];
            tile_b[i] = b[row + group.x * TILE_VECTORS];
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let at_a = k * TILE_VECTORS + 2u * local.y;
            let at_b = k * TILE_VECTORS + local.x;
            let rows0 = tile_a[at_a];
            let rows1 = tile_a[at_a + 1u];
            let b0 = tile_b[at_b];
            let b1 = tile_b[at_b + 16u];
            for (var r = 0u; r < 4u; r++) {
                let a0 = vec4<f32>(rows0[r]);
                let a1 = vec4<f32>(rows1[r]);
                sums[r] = fma(a0, b0, sums[r]);
                sums[r + 4u] = fma(a0, b1, sums[r + 4u]);
                sums[r + 8u] = fma(a1, b0, sums[r + 8u]);
                sums[r + 12u] = fma(a1, b1, sums[r + 12u]);
            }
        }
        workgroupBarrier();
    }
    let column = group.x * TILE_VECTORS + local.x;
    for (var r = 0u; r < 4u; r++) {
        let row = group.y * TILE + 8u * local.y + r;
        c[row * ROW_VECTORS + column] = sums[r];
        c[row * ROW_VECTORS + column + 16u] = sums[r + 4u];
        c[(row + 4u) * ROW_VECTORS + column] = sums[r + 8u];
        c[(row + 4u) * ROW_VECTORS + column + 16u] = sums[r + 12u];
    }
}
