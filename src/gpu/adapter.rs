//! Which adapters there are and what they can do.

use std::fmt;

/// llvmpipe ends loops silently once one invocation has made 65,535 iterations in a dispatch,
/// those of all its loops added up.
const LLVMPIPE_LOOP_ITERATIONS: u32 = 60_000;

/// What an adapter is made of, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A card with its own memory.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU lent by a hypervisor.
    Virtual,
    /// A GPU that does not say what it is.
    Other,
    /// A rasteriser that runs on the processor.
    Software,
}

impl AdapterKind {
    /// Whether the adapter is a program on the processor and no GPU.
    pub fn is_software(self) -> bool {
        self == Self::Software
    }

    fn from_wgpu(device_type: wgpu::DeviceType) -> Self {
        match device_type {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Other => Self::Other,
            wgpu::DeviceType::Cpu => Self::Software,
        }
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "hardware, discrete",
            Self::Integrated => "hardware, integrated",
            Self::Virtual => "hardware, virtual",
            Self::Other => "hardware, unspecified",
            Self::Software => "software",
        })
    }
}

/// Most bytes of a binding that is used, whatever a driver allows: kernels and some drivers reckon
/// positions in 32 bits, and Metal alone names more.
const MAX_BINDING_BYTES: u64 = i32::MAX as u64;

/// The limits of an adapter that matter to compute kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterLimits {
    /// Most bytes of one storage binding.
    pub storage_binding_bytes: u64,
    /// Most bytes of one buffer.
    pub buffer_bytes: u64,
    /// Most bytes of one uniform binding.
    pub uniform_binding_bytes: u64,
    /// Most storage buffers a kernel may bind.
    pub storage_buffers_per_stage: u32,
    /// Most bytes of workgroup memory.
    pub workgroup_memory_bytes: u32,
    /// Most invocations in one workgroup.
    pub invocations_per_workgroup: u32,
    /// Most workgroups in one dimension of a dispatch.
    pub workgroups_per_dimension: u32,
    /// Dynamic uniform offsets are multiples of this.
    pub uniform_offset_alignment_bytes: u32,
}

/// What is known of an adapter without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Its number in [`list_adapters`], the `N` of [`super::DeviceChoice::Index`].
    pub index: usize,
    /// The product's name.
    pub name: String,
    /// The graphics API it is reached through.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Hardware or software.
    pub kind: AdapterKind,
    /// Its limits.
    pub limits: AdapterLimits,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
    /// Whether kernels may use subgroup operations.
    pub subgroups: bool,
    /// Smallest and largest subgroup size.
    pub subgroup_sizes: (u32, u32),
}

impl AdapterInfo {
    /// Most loop iterations that one invocation may make in one dispatch, inner loops included;
    /// none where only the system's watchdog bounds a dispatch.
    pub fn max_loop_iterations(&self) -> Option<u32> {
        let llvmpipe = self.name.contains("llvmpipe") || self.driver.contains("llvmpipe");
        llvmpipe.then_some(LLVMPIPE_LOOP_ITERATIONS)
    }

    fn from_wgpu(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let limits = adapter.limits();
        let features = adapter.features();
        Self {
            index: 0,
            name: info.name,
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .to_owned(),
            kind: AdapterKind::from_wgpu(info.device_type),
            limits: AdapterLimits {
                storage_binding_bytes: limits
                    .max_storage_buffer_binding_size
                    .min(MAX_BINDING_BYTES),
                buffer_bytes: limits.max_buffer_size,
                uniform_binding_bytes: limits.max_uniform_buffer_binding_size,
                storage_buffers_per_stage: limits.max_storage_buffers_per_shader_stage,
                workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
                invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
                workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
                uniform_offset_alignment_bytes: limits.min_uniform_buffer_offset_alignment,
            },
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            subgroup_sizes: (info.subgroup_min_size, info.subgroup_max_size),
        }
    }
}

/// An adapter that can be opened with [`super::Gpu::open`].
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(super) raw: wgpu::Adapter,
    pub(super) info: AdapterInfo,
}

impl Adapter {
    /// What is known of it.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }
}

/// All adapters of this machine, best first; the order is the same on every call.
pub(super) fn adapters() -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // Indirect dispatch is not used, so its validation kernels need not be built at start.
    descriptor
        .flags
        .remove(wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL);
    let instance = wgpu::Instance::new(descriptor);
    let mut found: Vec<_> = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
        .into_iter()
        .map(|raw| {
            let info = AdapterInfo::from_wgpu(&raw);
            Adapter { raw, info }
        })
        .collect();
    // The sort is stable, so equal cards keep the driver's order where even the bus is unknown.
    found.sort_by_cached_key(|adapter| {
        let raw = adapter.raw.get_info();
        let backend_rank = match raw.backend {
            wgpu::Backend::Vulkan => 0,
            wgpu::Backend::Metal => 1,
            _ => 2,
        };
        (
            adapter.info.kind,
            backend_rank,
            raw.device_pci_bus_id,
            raw.name,
            raw.driver,
        )
    });
    for (index, adapter) in found.iter_mut().enumerate() {
        adapter.info.index = index;
    }
    found
}

/// All adapters of this machine: hardware before software, discrete before integrated. The order,
/// and so each `index`, is the same on every call.
pub fn list_adapters() -> Vec<AdapterInfo> {
    adapters().into_iter().map(|adapter| adapter.info).collect()
}

/// A few lines of text on an adapter, for an `info` command.
pub fn describe(info: &AdapterInfo) -> String {
    let mebibytes = |bytes: u64| bytes / (1 << 20);
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let limits = &info.limits;
    let subgroups = if info.subgroups {
        format!(
            "yes ({}–{} lanes)",
            info.subgroup_sizes.0, info.subgroup_sizes.1
        )
    } else {
        "no".to_owned()
    };
    format!(
        "[{}] {} ({}, {})\n    driver            {}\n    storage binding   {} MiB at most\n    \
         buffer            {} MiB at most\n    storage buffers   {} per kernel\n    \
         workgroup         {} bytes, {} invocations\n    workgroups        {} per dimension\n    \
         timestamps        {}\n    subgroups         {}\n",
        info.index,
        info.name,
        info.backend,
        info.kind,
        info.driver,
        mebibytes(limits.storage_binding_bytes),
        mebibytes(limits.buffer_bytes),
        limits.storage_buffers_per_stage,
        limits.workgroup_memory_bytes,
        limits.invocations_per_workgroup,
        limits.workgroups_per_dimension,
        yes_no(info.timestamps),
        subgroups,
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An adapter for tests of the code that only looks at its description.
    pub(in super::super) fn fake(index: usize, name: &str, kind: AdapterKind) -> AdapterInfo {
        AdapterInfo {
            index,
            name: name.to_owned(),
            backend: "vulkan".to_owned(),
            driver: "test 1.0".to_owned(),
            kind,
            limits: AdapterLimits {
                storage_binding_bytes: 1 << 30,
                buffer_bytes: 1 << 31,
                uniform_binding_bytes: 1 << 16,
                storage_buffers_per_stage: 16,
                workgroup_memory_bytes: 32 << 10,
                invocations_per_workgroup: 1024,
                workgroups_per_dimension: 65_535,
                uniform_offset_alignment_bytes: 256,
            },
            timestamps: true,
            subgroups: true,
            subgroup_sizes: (32, 32),
        }
    }

    #[test]
    fn discrete_sorts_before_integrated_before_software() {
        assert!(AdapterKind::Discrete < AdapterKind::Integrated);
        assert!(AdapterKind::Integrated < AdapterKind::Virtual);
        assert!(AdapterKind::Other < AdapterKind::Software);
    }

    #[test]
    fn the_description_holds_the_limits() {
        let text = describe(&fake(3, "Card", AdapterKind::Discrete));
        for part in [
            "[3] Card",
            "1024 MiB",
            "2048 MiB",
            "32–32 lanes",
            "65535 per dimension",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
