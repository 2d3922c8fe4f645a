//! A change of kernel sources that brings out what a forgiving driver hides.
//!
//! Software drivers hand out zeroed workgroup memory and run the invocations of a workgroup in ascending
//! order from barrier to barrier, so that a kernel which reads what nobody has written, or lacks a
//! barrier, may still be right on them. Here workgroup memory begins with NaNs, and the numbers of
//! the invocations run backwards.

use std::fmt::Write as _;

/// How a kernel is to take its number in the workgroup, so that it can be changed.
const NUMBER: &str = "@builtin(local_invocation_index) tid: u32";

/// `source` under stress; a kernel that shares nothing, and so has no `tid`, as it is.
pub(super) fn stressed(source: &str) -> String {
    let main = source.find("fn main(");
    let size = main.and_then(|main| {
        let (_, size) = source[..main].rsplit_once("@workgroup_size(")?;
        Some(size.split_once(')')?.0).filter(|size| !size.contains(','))
    });
    let (Some(main), Some(size), true) = (main, size, source.contains(NUMBER)) else {
        return source.to_owned();
    };
    let Some(body) = source[main..].find("{\n").map(|brace| main + brace + 2) else {
        return source.to_owned();
    };
    // In a variable, for a constant NaN is an error.
    let mut prologue =
        format!("    let tid = {size} - 1u - ascending_tid;\n    var poison = 0x7fc0deadu;\n");
    for (name, element, len) in source.lines().filter_map(shared_array) {
        let nan = "bitcast<f32>(poison)";
        let store = match element {
            "f32" => format!("{name}[at] = {nan};"),
            "u32" => format!("{name}[at] = poison;"),
            "atomic<u32>" => format!("atomicStore(&{name}[at], poison);"),
            vector => format!("{name}[at] = {vector}({nan});"),
        };
        let _ = writeln!(
            prologue,
            "    for (var at = tid; at < u32({len}); at += {size}) {{ {store} }}"
        );
    }
    prologue.push_str("    workgroupBarrier();\n");
    let head = source[..body].replace(NUMBER, &NUMBER.replace("tid", "ascending_tid"));
    format!("{head}{prologue}{}", &source[body..])
}

/// Name, element type and length of `var<workgroup> name: array<element, length>;`.
fn shared_array(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.strip_prefix("var<workgroup> ")?;
    let (name, rest) = rest.split_once(": array<")?;
    let (element, len) = rest.strip_suffix(">;")?.rsplit_once(", ")?;
    Some((name, element, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::testing::test_gpu;
    use crate::gpu::{Gpu, Kernel};

    /// Sums over pairs of neighbours; with `before`, what is not written yet is added to the first,
    /// and with `barrier` the neighbour is waited for.
    fn sums(before: bool, barrier: bool) -> String {
        let before = if before { "+ shared_values[tid]" } else { "" };
        let barrier = if barrier { "workgroupBarrier();" } else { "" };
        format!(
            "@group(0) @binding(0) var<storage, read_write> result: array<f32>;
var<workgroup> shared_values: array<f32, 64u>;
var<workgroup> shared_vectors: array<vec4<f32>, 3u>;
var<workgroup> shared_flags: array<atomic<u32>, 2u>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) tid: u32) {{
    shared_values[tid] = f32(tid) {before};
    if tid < 3u {{ shared_vectors[tid] = vec4(1.0); }}
    if tid < 2u {{ atomicStore(&shared_flags[tid], 7u); }}
    {barrier}
    let others = shared_vectors[0].x + f32(atomicLoad(&shared_flags[1]));
    result[tid] = shared_values[tid] + shared_values[63u - tid] + others;
}}
"
        )
    }

    fn run(gpu: &Gpu, source: &str) -> Vec<f32> {
        let result = gpu.storage("result", 256).expect("is made");
        let kernel = Kernel::new(gpu, "sums", source, "main").expect("compiles");
        let bound = kernel.bind(gpu, &[("result", &result)]).expect("binds");
        let mut commands = gpu.commands();
        commands
            .dispatch(&kernel, &bound, [1, 1, 1], None)
            .expect("fits");
        commands.submit().expect("runs");
        gpu.read(&result, 0..64).expect("reads")
    }

    #[test]
    fn stress_changes_no_sound_kernel_and_shows_what_was_not_written() {
        let Some(gpu) = test_gpu() else { return };
        let sound = run(&gpu, &stressed(&sums(false, true)));
        assert!(sound.iter().all(|&sum| sum == 71.0), "{sound:?}");
        let unwritten = run(&gpu, &stressed(&sums(true, true)));
        assert!(unwritten.iter().all(|sum| sum.is_nan()), "{unwritten:?}");
        if gpu.is_software() {
            let early = run(&gpu, &stressed(&sums(false, false)));
            assert!(early.iter().any(|&sum| sum != 71.0), "{early:?}");
        }
    }

    #[test]
    fn a_kernel_that_shares_nothing_stays() {
        let source = "@compute @workgroup_size(64)\nfn main() {\n}\n";
        assert_eq!(stressed(source), source);
    }
}
