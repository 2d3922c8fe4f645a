//! What several tests share: networks, golden cases, and the kernel of the device tests.

pub mod golden;
pub mod meddled;
pub mod model;
pub mod networks;

use std::process::Command;

use dalenet::gpu::{Gpu, GpuError, Kernel};

/// Doubles its input; one invocation an element.
pub const DOUBLE: &str = "
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> doubled: array<f32>;
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + local;
    if (i < arrayLength(&source)) { doubled[i] = 2.0 * source[i]; }
}
";

/// The kernel of [`DOUBLE`].
pub fn double_kernel(gpu: &Gpu) -> Kernel {
    Kernel::new(gpu, "double", DOUBLE, "main").expect("compiles")
}

/// Doubles `count` numbers on the device and returns what it wrote.
pub fn run_double(gpu: &Gpu, count: usize) -> Result<Vec<f32>, GpuError> {
    let numbers: Vec<f32> = (0..count).map(|i| i as f32 + 0.5).collect();
    let source = gpu.storage_init("source", &numbers)?;
    let doubled = gpu.storage("doubled", 4 * count as u64)?;
    gpu.poison(&doubled)?;
    let kernel = double_kernel(gpu);
    let bound = kernel.bind(gpu, &[("source", &source), ("doubled", &doubled)])?;
    let mut commands = gpu.commands();
    commands.dispatch(&kernel, &bound, kernel.grid_for(gpu, count as u64)?, None)?;
    commands.submit()?;
    gpu.read(&doubled, 0..count)
}

/// This program again, with some tests of this module path: for tests that need a process of their own.
pub fn again(module: &str, tests: &[&str]) -> Command {
    let module = module.split_once("::").map_or("", |(_, module)| module);
    let tests = tests.iter().map(|test| format!("{module}::{test}"));
    let mut command = Command::new(std::env::current_exe().expect("has a path"));
    command.args(["--exact", "--nocapture"]).args(tests);
    command
}
pub mod settings;
