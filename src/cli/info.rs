//! `dalenet info`: what this machine can compute with.

use dalenet::device::{available_memory, processor_name};
use dalenet::gpu::{AdapterInfo, DeviceChoice, describe, list_adapters, reason_for};
use dalenet::text;
use serde_json::{Value, json};

use super::SUCCESS;
use super::error::Result;
use super::output::{say, say_facts};

/// Where drivers come from, for machines that show no hardware GPU.
const DRIVER_ADVICE: &str = "\
No hardware GPU was found. To use one, install its vendor's driver with the Vulkan part:
  Linux    the NVIDIA driver; `mesa-vulkan-drivers` (Debian, Ubuntu) for AMD and Intel
  Windows  a current driver of the vendor (Vulkan or Direct3D 12)
  macOS    nothing: Metal is built in
Without one, everything runs on the CPU engine.";

/// Show the devices of this machine and which one would be used
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<u8> {
    let adapters = list_adapters();
    let auto = reason_for(DeviceChoice::Auto, &adapters)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if args.json {
        let adapters: Vec<Value> = adapters.iter().map(as_json).collect();
        say(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "commit": option_env!("DALENET_COMMIT"),
            "processor": processor_name(),
            "threads": threads,
            "available_bytes": available_memory(),
            "adapters": adapters,
            "auto": auto,
        }));
        return Ok(SUCCESS);
    }
    let memory = available_memory().map_or_else(|| "not known".to_owned(), text::bytes);
    say_facts(&[
        ("dalenet", env!("CARGO_PKG_VERSION").to_owned()),
        (
            "processor",
            format!(
                "{}, {}",
                processor_name(),
                text::count(threads, "thread", "threads")
            ),
        ),
        ("free memory", memory),
        ("--device auto", auto),
    ]);
    say("\nadapters (--device N):");
    for adapter in &adapters {
        say(describe(adapter).trim_end());
    }
    if adapters.is_empty() {
        say("    none");
    }
    if adapters.iter().all(|adapter| adapter.kind.is_software()) {
        say(format!("\n{DRIVER_ADVICE}"));
    }
    Ok(SUCCESS)
}

fn as_json(adapter: &AdapterInfo) -> Value {
    let limits = &adapter.limits;
    json!({
        "index": adapter.index,
        "name": adapter.name,
        "backend": adapter.backend,
        "driver": adapter.driver,
        "kind": adapter.kind.to_string(),
        "software": adapter.kind.is_software(),
        "timestamps": adapter.timestamps,
        "subgroup_sizes": adapter.subgroups.then_some(adapter.subgroup_sizes),
        "limits": {
            "storage_binding_bytes": limits.storage_binding_bytes,
            "buffer_bytes": limits.buffer_bytes,
            "uniform_binding_bytes": limits.uniform_binding_bytes,
            "storage_buffers_per_stage": limits.storage_buffers_per_stage,
            "workgroup_memory_bytes": limits.workgroup_memory_bytes,
            "invocations_per_workgroup": limits.invocations_per_workgroup,
            "workgroups_per_dimension": limits.workgroups_per_dimension,
        },
    })
}
