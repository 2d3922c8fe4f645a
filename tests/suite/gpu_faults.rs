//! Wrong use and failures of the device layer come back as errors that say what is wrong.

use crate::common::{DOUBLE, again, double_kernel, run_double};
use dalenet::gpu::testing::test_gpu;
use dalenet::gpu::{Constant, Failure, GpuError, INJECTION_VARIABLE, Kernel, with_constants};

#[test]
fn binding_errors_name_kernel_and_variable() {
    let Some(gpu) = test_gpu() else { return };
    let kernel = double_kernel(&gpu);
    let a = gpu.storage("a", 64).expect("allocates");
    let b = gpu.storage("b", 64).expect("allocates");
    let u = gpu.uniform("u", &[0_u32; 4]).expect("allocates");
    for (buffers, parts) in [
        (vec![("source", &a)], ["double", "doubled"]),
        (
            vec![("source", &a), ("doubled", &b), ("weights", &a)],
            ["`weights`", "source, doubled"],
        ),
        (
            vec![("source", &a), ("source", &a), ("doubled", &b)],
            ["two buffers", "`source`"],
        ),
        (
            vec![("source", &u), ("doubled", &b)],
            ["`source`", "Uniform"],
        ),
    ] {
        let error = kernel
            .bind(&gpu, &buffers)
            .expect_err("must be refused")
            .to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }

    let wide = DOUBLE.replace("doubled: array<f32>", "doubled: array<f32, 100>");
    let kernel = Kernel::new(&gpu, "wide", &wide, "main").expect("compiles");
    let error = kernel
        .bind(&gpu, &[("source", &a), ("doubled", &b)])
        .expect_err("too small");
    assert_eq!(
        error,
        GpuError::BufferTooSmall {
            kernel: "wide".into(),
            binding: "doubled".into(),
            label: "b".into(),
            bytes: 64,
            needed_bytes: 400,
        }
    );
}

#[test]
fn bad_shaders_come_back_as_errors() {
    let Some(gpu) = test_gpu() else { return };
    let text = with_constants("\nfn main() { nonsense }", &[("N", Constant::U32(3))]).expect("ok");
    let error = Kernel::new(&gpu, "bad", &text, "main")
        .expect_err("syntax")
        .to_string();
    assert!(
        error.contains("`bad`") && error.contains("source:2"),
        "{error}"
    );

    // Valid WGSL that this device cannot build: the first is refused by the API itself.
    let wide = DOUBLE.replace("workgroup_size(64)", "workgroup_size(1048576)");
    let error = Kernel::new(&gpu, "wide", &wide, "main").expect_err("too wide");
    assert!(matches!(error, GpuError::ShaderCompile { .. }), "{error}");
    let hoard = "var<workgroup> hoard: array<f32, 1000000>;
        @group(0) @binding(0) var<storage, read_write> out: array<f32>;
        @compute @workgroup_size(1) fn main() { out[0] = hoard[u32(out[1])]; }";
    let error = Kernel::new(&gpu, "hoarder", hoard, "main").expect_err("too much memory");
    assert!(
        matches!(
            error,
            GpuError::WorkgroupMemory {
                wanted_bytes: 4_000_000,
                ..
            }
        ),
        "{error}"
    );
    run_double(&gpu, 65).expect("the device still works");
}

#[test]
fn api_faults_come_back_from_submit() {
    let Some(gpu) = test_gpu() else { return };
    // One buffer cannot be read-only and writable in one dispatch; only the API notices.
    let kernel = double_kernel(&gpu);
    let buffer = gpu.storage("both", 64).expect("allocates");
    let bound = kernel
        .bind(&gpu, &[("source", &buffer), ("doubled", &buffer)])
        .expect("binds");
    let mut commands = gpu.commands();
    commands
        .dispatch(&kernel, &bound, [1, 1, 1], None)
        .expect("records");
    let error = commands.submit().expect_err("aliased buffer");
    assert!(matches!(error, GpuError::Validation(_)), "{error}");
    run_double(&gpu, 65).expect("the device still works");
}

#[test]
fn bad_commands_are_refused() {
    let Some(gpu) = test_gpu() else { return };
    let kernel = double_kernel(&gpu);
    let a = gpu.storage("a", 64).expect("allocates");
    let b = gpu.storage("b", 64).expect("allocates");
    let bound = kernel
        .bind(&gpu, &[("source", &a), ("doubled", &b)])
        .expect("binds");
    let mut commands = gpu.commands();
    let max = gpu.limits().workgroups_per_dimension;
    let error = commands
        .dispatch(&kernel, &bound, [1, max + 1, 1], None)
        .expect_err("too many");
    assert!(
        matches!(error, GpuError::TooManyWorkgroups { .. }),
        "{error}"
    );
    commands
        .dispatch(&kernel, &bound, [1, 1, 1], Some(0))
        .expect_err("has no step");
    commands
        .dispatch(&double_kernel(&gpu), &bound, [1, 1, 1], None)
        .expect_err("other kernel");
    commands.copy(&a, 0..4, &a, 8).expect_err("same buffer");
    commands.copy(&a, 0..2, &b, 0).expect_err("misaligned");
    commands.copy(&a, 0..64, &b, 4).expect_err("past the end");
    commands.submit().expect("an empty list");

    let too_large = gpu.limits().buffer_bytes.saturating_add(1);
    let error = gpu.storage("huge", too_large).expect_err("too large");
    assert!(matches!(error, GpuError::BufferTooLarge { .. }), "{error}");
}

#[test]
fn injected_failures_come_back_as_errors() {
    let Some(gpu) = test_gpu() else { return };
    gpu.inject_failure(Failure::OutOfMemory);
    let error = gpu.storage("state", 4096).expect_err("no memory");
    let wanted = GpuError::OutOfMemory {
        label: "state".into(),
        wanted_bytes: 4096,
        allocated_bytes: 0,
    };
    assert_eq!(error, wanted);

    gpu.inject_failure(Failure::Validation);
    let error = gpu.storage("state", 4096).expect_err("refused");
    assert!(matches!(error, GpuError::Validation(_)), "{error}");

    let buffer = gpu.storage("state", 4096).expect("well again");
    gpu.inject_failure(Failure::Validation);
    let error = gpu.commands().submit().expect_err("refused");
    assert!(matches!(error, GpuError::Validation(_)), "{error}");
    run_double(&gpu, 65).expect("well again");

    gpu.inject_failure(Failure::DeviceLost);
    let error = gpu.read::<u32>(&buffer, 0..4).expect_err("lost");
    assert!(matches!(error, GpuError::DeviceLost { .. }), "{error}");
    for error in [
        gpu.storage("more", 4).map(drop),
        gpu.write(&buffer, 0, &[1_u32]),
        gpu.commands().submit(),
        gpu.wait(),
        Kernel::new(&gpu, "double", DOUBLE, "main").map(drop),
    ] {
        assert!(
            matches!(error, Err(GpuError::DeviceLost { .. })),
            "{error:?}"
        );
    }
}

/// The other half of the next test: run by it in a process with the variable set.
#[test]
fn child_of_the_environment_test() {
    if std::env::var_os("DALENET_TEST_CHILD").is_none() {
        return;
    }
    let Some(gpu) = test_gpu() else { return };
    gpu.storage("first", 16)
        .expect("the first allocation is well");
    let error = gpu.storage("second", 16).expect_err("the second is not");
    assert!(matches!(error, GpuError::OutOfMemory { .. }), "{error}");
    println!("child has seen the failure");
}

#[test]
fn the_environment_injects_failures() {
    if test_gpu().is_none() {
        return;
    }
    let run = |value| {
        again(module_path!(), &["child_of_the_environment_test"])
            .env("DALENET_TEST_CHILD", "1")
            .env(INJECTION_VARIABLE, value)
            .output()
            .expect("runs")
    };
    let well = run("oom:2");
    let text = String::from_utf8_lossy(&well.stdout);
    assert!(
        well.status.success() && text.contains("child has seen"),
        "{well:?}"
    );
    assert!(
        !run("oom:3").status.success(),
        "the child must notice another count"
    );
}
