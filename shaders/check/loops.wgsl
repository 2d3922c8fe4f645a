// Counts the turns of two nested loops whose lengths the compiler cannot know: a driver that ends long loops counts
// too few.
//
// lengths  turns of the outer and of the inner loop, and of the one whose variable must begin at 0 each turn
// counted  all turns; the sum over turns of a variable declared in the loop that is 1 where it begins at 0
@group(0) @binding(0) var<storage, read> lengths: array<u32>;
@group(0) @binding(1) var<storage, read_write> counted: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var turns = 0u;
    for (var outer = 0u; outer < lengths[0]; outer++) {
        for (var inner = 0u; inner < lengths[1]; inner++) {
            turns += 1u + (turns >> 31u);
        }
    }
    counted[0] = turns;
    var ones = 0u;
    for (var turn = 0u; turn < lengths[2]; turn++) {
        var fresh: u32 = 0u;
        fresh += 1u;
        ones += fresh;
    }
    counted[1] = ones;
}
