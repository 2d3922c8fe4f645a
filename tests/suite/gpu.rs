//! The device layer on a real adapter, a software rasteriser if need be.

use std::fs;
use std::path::Path;

use crate::common::{double_kernel, run_double};
use bytemuck::{Pod, Zeroable};
use dalenet::gpu::testing::test_gpu;
use dalenet::gpu::{Constant, Gpu, GpuError, Kernel, UniformArray, list_adapters, with_constants};

#[test]
fn doubling_reaches_every_element() {
    let Some(gpu) = test_gpu() else { return };
    // The last one needs more than 65,535 workgroups, so two rows of them.
    for count in [1, 63, 65, 1_000_003, 4_194_500] {
        let doubled = run_double(&gpu, count).expect("runs");
        assert_eq!(doubled.len(), count);
        let wrong = doubled
            .iter()
            .enumerate()
            .find(|(i, x)| **x != 2.0 * (*i as f32 + 0.5));
        assert_eq!(wrong, None, "of {count}");
    }
}

#[test]
fn poison_shows_what_no_kernel_wrote() {
    let Some(gpu) = test_gpu() else { return };
    let buffer = gpu.storage("untouched", 4 * 1000).expect("allocates");
    assert_eq!(
        gpu.read::<f32>(&buffer, 0..1000).expect("reads"),
        vec![0.0; 1000]
    );
    gpu.poison(&buffer).expect("poisons");
    let poisoned = gpu.read::<f32>(&buffer, 0..1000).expect("reads");
    assert!(poisoned.iter().all(|x| x.is_nan()));
}

#[test]
fn transfers_of_every_size_and_offset() {
    let Some(gpu) = test_gpu() else { return };
    let bytes: Vec<u8> = (0..=250).collect();
    let buffer = gpu.storage_init("bytes", &bytes).expect("allocates");
    assert_eq!(buffer.bytes(), 252);
    for range in [0..0, 0..1, 3..9, 5..251, 250..251] {
        assert_eq!(
            gpu.read::<u8>(&buffer, range.clone()).expect("reads"),
            bytes[range]
        );
    }
    gpu.write(&buffer, 1, &[7_u32, 8]).expect("writes");
    assert_eq!(gpu.read::<u32>(&buffer, 1..3).expect("reads"), [7, 8]);
    assert!(matches!(
        gpu.write(&buffer, 1, &[1_u8]),
        Err(GpuError::Misaligned { .. })
    ));
    assert!(matches!(
        gpu.write(&buffer, 62, &[1_u32, 2]),
        Err(GpuError::BadIndex { .. })
    ));
    assert!(matches!(
        gpu.read::<u32>(&buffer, 0..64),
        Err(GpuError::BadIndex { count: 63, .. })
    ));
    assert_eq!(gpu.storage("empty", 0).expect("allocates").bytes(), 16);

    // More than one transfer chunk.
    let many: Vec<u32> = (0..9_000_001).collect();
    let large = gpu.storage_init("large", &many).expect("allocates");
    assert!(gpu.read::<u32>(&large, 1..9_000_001).expect("reads") == many[1..]);
}

#[test]
fn counters_follow_the_work() {
    let Some(gpu) = test_gpu() else { return };
    let first = gpu.storage("first", 1000).expect("allocates");
    drop(gpu.storage("second", 3000).expect("allocates"));
    assert_eq!((gpu.allocated_bytes(), gpu.peak_bytes()), (1000, 4000));
    gpu.reset_peak();
    assert_eq!(gpu.peak_bytes(), 1000);
    gpu.write(&first, 0, &[1_u32; 250]).expect("writes");
    gpu.read::<u32>(&first, 0..10).expect("reads");
    let counters = gpu.counters();
    assert_eq!(counters.bytes_written, 1000);
    assert_eq!(counters.bytes_read, 40);
    assert_eq!(counters.submits, 1);
    assert_eq!(counters.dispatches, 0);
}

#[test]
fn commands_run_in_order() {
    let Some(gpu) = test_gpu() else { return };
    let kernel = double_kernel(&gpu);
    let a = gpu.storage_init("a", &[1.0_f32; 16]).expect("allocates");
    let b = gpu.storage("b", 64).expect("allocates");
    let ab = kernel
        .bind(&gpu, &[("source", &a), ("doubled", &b)])
        .expect("binds");
    let ba = kernel
        .bind(&gpu, &[("source", &b), ("doubled", &a)])
        .expect("binds");
    let mut commands = gpu.commands();
    for _ in 0..3 {
        commands
            .dispatch(&kernel, &ab, [1, 1, 1], None)
            .expect("records");
        commands
            .dispatch(&kernel, &ba, [1, 1, 1], None)
            .expect("records");
    }
    commands.copy(&a, 0..32, &b, 32).expect("records");
    commands.clear(&a);
    commands
        .dispatch(&kernel, &ba, [0, 1, 1], None)
        .expect("an empty grid does nothing");
    commands.submit().expect("submits");
    let halves = [[32.0_f32; 8], [64.0; 8]].concat();
    assert_eq!(gpu.read::<f32>(&b, 0..16).expect("reads"), halves);
    assert_eq!(gpu.read::<f32>(&a, 0..16).expect("reads"), [0.0; 16]);
}

#[test]
fn constants_arrive_exactly() {
    let Some(gpu) = test_gpu() else { return };
    let numbers = [
        0.1_f32,
        -1.0 / 3.0,
        16_777_217.0,
        1.0e-7,
        -0.0,
        f32::MAX,
        f32::MIN_POSITIVE,
        std::f32::consts::PI,
    ];
    let names: Vec<_> = (0..numbers.len()).map(|i| format!("NUMBER_{i}")).collect();
    let mut constants: Vec<_> = names
        .iter()
        .zip(numbers)
        .map(|(name, number)| (name.as_str(), Constant::F32(number)))
        .collect();
    constants.extend([
        ("WHOLE", Constant::U32(u32::MAX)),
        ("SIGNED", Constant::I32(i32::MIN)),
        ("YES", Constant::Bool(true)),
    ]);
    let stores: String = (0..numbers.len())
        .map(|i| format!("out[{i}] = bitcast<u32>(NUMBER_{i});\n"))
        .collect();
    let body = format!(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(1) fn main() {{
            {stores}
            out[8] = WHOLE;
            out[9] = bitcast<u32>(SIGNED);
            if (YES) {{ out[10] = 1u; }}
        }}"
    );
    let text = with_constants(&body, &constants).expect("valid");
    let kernel = Kernel::new(&gpu, "constants", &text, "main").expect("compiles");
    let out = gpu.storage("out", 44).expect("allocates");
    let bound = kernel.bind(&gpu, &[("out", &out)]).expect("binds");
    let mut commands = gpu.commands();
    commands
        .dispatch(&kernel, &bound, [1, 1, 1], None)
        .expect("records");
    commands.submit().expect("submits");
    let mut expected: Vec<_> = numbers.iter().map(|number| number.to_bits()).collect();
    expected.extend([u32::MAX, i32::MIN as u32, 1]);
    assert_eq!(gpu.read::<u32>(&out, 0..11).expect("reads"), expected);
}

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Step {
    slot: u32,
    value: f32,
}

#[test]
fn each_dispatch_sees_its_own_step() {
    let Some(gpu) = test_gpu() else { return };
    let source = "
        struct Step { slot: u32, value: f32 }
        @group(0) @binding(0) var<storage, read_write> out: array<f32>;
        @group(1) @binding(3) var<uniform> time_step: Step;
        @compute @workgroup_size(1) fn main() { out[time_step.slot] = time_step.value; }";
    let kernel = Kernel::new(&gpu, "stepper", source, "main").expect("compiles");
    assert_eq!(kernel.workgroup_size(), [1, 1, 1]);
    let steps: Vec<_> = (0..5)
        .map(|i| Step {
            slot: 4 - i,
            value: i as f32 + 0.25,
        })
        .collect();
    let steps = UniformArray::new(&gpu, "steps", &steps).expect("uploads");
    let out = gpu.storage("out", 20).expect("allocates");
    gpu.poison(&out).expect("poisons");
    let buffers = [("out", &out), ("time_step", steps.buffer())];
    let bound = kernel.bind(&gpu, &buffers).expect("binds");
    let mut commands = gpu.commands();
    for i in 0..steps.len() {
        let offset = steps.offset(i).expect("in range");
        commands
            .dispatch(&kernel, &bound, [1, 1, 1], Some(offset))
            .expect("records");
    }
    commands
        .dispatch(&kernel, &bound, [1, 1, 1], None)
        .expect_err("needs an offset");
    commands
        .dispatch(&kernel, &bound, [1, 1, 1], Some(3))
        .expect_err("misaligned offset");
    commands
        .dispatch(&kernel, &bound, [1, 1, 1], Some(1 << 20))
        .expect_err("past the end");
    assert!(matches!(
        steps.offset(5),
        Err(GpuError::BadIndex {
            index: 5,
            count: 5,
            ..
        })
    ));
    commands.submit().expect("submits");
    assert_eq!(
        gpu.read::<f32>(&out, 0..5).expect("reads"),
        [4.25, 3.25, 2.25, 1.25, 0.25]
    );
}

#[test]
fn spans_are_timed_on_the_device() {
    let Some(gpu) = test_gpu() else { return };
    if !gpu.set_timing(true) {
        println!("NOT RUN: {} has no timestamps", gpu.info().name);
        return;
    }
    let kernel = double_kernel(&gpu);
    let large = gpu.storage("large", 4 << 20).expect("allocates");
    let out = gpu.storage("out", 4 << 20).expect("allocates");
    let bound = kernel
        .bind(&gpu, &[("source", &large), ("doubled", &out)])
        .expect("binds");
    let mut commands = gpu.commands();
    commands.span("two passes").expect("opens");
    for _ in 0..2 {
        commands
            .dispatch(&kernel, &bound, [16384, 1, 1], None)
            .expect("records");
        commands.clear(&large);
    }
    commands.span("nothing").expect("opens");
    commands.submit().expect("submits");
    let spans = gpu.spans().expect("reads");
    assert_eq!(spans.len(), 2);
    assert_eq!(
        (spans[0].name.as_str(), spans[1].name.as_str()),
        ("two passes", "nothing")
    );
    assert!(spans[0].ms > 0.0 && spans[0].ms < 60_000.0, "{spans:?}");
    assert_eq!(spans[1].ms, 0.0);
    assert_eq!(gpu.spans().expect("reads"), []);
}

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Loops {
    outer: u32,
    inner: u32,
}

/// Runs nested loops of the given lengths and returns how often the inner body ran. The body is a
/// generator step, so that no compiler can replace the loop by a product.
fn count_iterations(gpu: &Gpu, dispatches: &[Loops]) -> u32 {
    let source = "
        struct Loops { outer: u32, inner: u32 }
        @group(0) @binding(0) var<storage, read_write> counts: array<u32, 2>;
        @group(0) @binding(1) var<uniform> loops_of_step: Loops;
        @compute @workgroup_size(1) fn main() {
            var count = counts[0];
            var noise = counts[1];
            for (var i = 0u; i < loops_of_step.outer; i += 1u) {
                for (var j = 0u; j < loops_of_step.inner; j += 1u) {
                    noise = noise * 1664525u + 1013904223u;
                    count += select(1u, 2u, noise == 0xffffffffu) ;
                }
            }
            counts[0] = count;
            counts[1] = noise;
        }";
    let kernel = Kernel::new(gpu, "loops", source, "main").expect("compiles");
    let counts = gpu.storage("counts", 16).expect("allocates");
    let steps = UniformArray::new(gpu, "loops", dispatches).expect("uploads");
    let buffers = [("counts", &counts), ("loops_of_step", steps.buffer())];
    let bound = kernel.bind(gpu, &buffers).expect("binds");
    let mut commands = gpu.commands();
    for i in 0..steps.len() {
        let offset = steps.offset(i).expect("in range");
        commands
            .dispatch(&kernel, &bound, [1, 1, 1], Some(offset))
            .expect("records");
    }
    commands.submit().expect("submits");
    gpu.read::<u32>(&counts, 0..1).expect("reads")[0]
}

#[test]
fn loops_end_early_past_the_limit_and_not_below() {
    let Some(gpu) = test_gpu() else { return };
    let (outer, inner) = (400, 400);
    let whole = count_iterations(&gpu, &[Loops { outer, inner }]);
    let Some(max) = gpu.max_loop_iterations() else {
        assert_eq!(
            whole,
            outer * inner,
            "this device was said to have no loop limit"
        );
        return;
    };
    assert_ne!(
        whole,
        outer * inner,
        "the limit is gone: max_loop_iterations may be lifted"
    );
    // Every outer iteration costs itself and its inner ones.
    let outer_per_dispatch = max / (inner + 1);
    let mut left = outer;
    let mut dispatches = Vec::new();
    while left > 0 {
        let outer = left.min(outer_per_dispatch);
        dispatches.push(Loops { outer, inner });
        left -= outer;
    }
    assert!(dispatches.len() > 1);
    assert_eq!(count_iterations(&gpu, &dispatches), outer * inner);
}

#[test]
fn adapters_are_listed_in_a_stable_order() {
    let first = list_adapters();
    assert_eq!(first, list_adapters());
    assert!(
        first
            .iter()
            .enumerate()
            .all(|(position, info)| info.index == position)
    );
    assert!(first.is_sorted_by_key(|info| info.kind));
    if first.is_empty() {
        println!("NOT RUN: no adapter");
    }
}

/// Lines that declare a variable of a function without a first value.
fn without_first_value(source: &str) -> Vec<&str> {
    let declares = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("var ") && !line.contains('=')
    };
    source.lines().filter(declares).collect()
}

/// Some translators of WGSL do not zero a variable anew in each turn of the loop that declares it.
#[test]
fn every_variable_of_a_function_has_a_first_value() {
    let shaders = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut read = 0;
    for folder in fs::read_dir(shaders).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let source = fs::read_to_string(&path).unwrap();
            assert_eq!(without_first_value(&source), [""; 0], "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
    let planted = "    var sum: f32;\nvar<workgroup> shared_sum: f32;\n    var zero = 0.0;";
    assert_eq!(without_first_value(planted), ["    var sum: f32;"]);
}
