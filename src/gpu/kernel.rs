//! Compute kernels: plain WGSL, compiled once, with buffers bound by variable name.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buffer::{Buffer, Role};
use super::device::Gpu;
use super::error::GpuError;
use super::reflect::{Binding, BindingKind, reflect};
use super::stress::stressed;

/// Set to 1, this environment variable keeps bounds checks, loop bounding and zeroed workgroup
/// memory in release builds; debug builds have them unless it says otherwise. Set to `stress`, all builds
/// go without and begin with NaNs in workgroup memory and in new buffers of an engine, and the
/// invocations of a workgroup are numbered backwards: no result may change by that. Set to `drop:NAME`, dispatches of
/// the kernel NAME are left out, as by a driver at fault: what notices nothing then checks nothing.
pub const CHECKS_VARIABLE: &str = "DALENET_GPU_CHECKS";

fn checks_are(value: &str) -> bool {
    std::env::var_os(CHECKS_VARIABLE).is_some_and(|set| set == value)
}

/// Whether [`CHECKS_VARIABLE`] asks to leave out the dispatches of a kernel.
pub(super) fn is_dropped(kernel: &str) -> bool {
    checks_are(&format!("drop:{kernel}"))
}

/// Whether [`CHECKS_VARIABLE`] asks for stress.
pub(crate) fn stress_wanted() -> bool {
    checks_are("stress")
}

fn runtime_checks_wanted() -> bool {
    !stress_wanted() && (cfg!(debug_assertions) || checks_are("1"))
}

/// A compiled compute kernel.
#[derive(Debug)]
pub struct Kernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    /// Tells apart kernels, so that a binding is only used with the kernel it was made for.
    pub(super) id: u64,
    name: String,
    workgroup_size: [u32; 3],
    group_layouts: Vec<Option<wgpu::BindGroupLayout>>,
    bindings: Vec<Binding>,
    unused: Vec<String>,
}

/// Buffers bound to a kernel's variables. It keeps the memory of its buffers alive.
#[derive(Debug)]
pub struct Bound {
    pub(super) kernel_id: u64,
    /// Group number, group, and whether it takes the dynamic offset.
    pub(super) groups: Vec<(u32, wgpu::BindGroup, bool)>,
    /// Largest dynamic offset, if the kernel has a `step` variable.
    pub(super) max_step_offset: Option<u64>,
}

impl Kernel {
    /// Compiles the compute entry point `entry` of `source`. A uniform variable whose name ends in
    /// `step` gets a dynamic offset; only variables that the entry point uses are bound.
    ///
    /// # Errors
    /// [`GpuError::ShaderCompile`] with the original file and line, [`GpuError::WorkgroupMemory`],
    /// and what the device reports.
    pub fn new(gpu: &Gpu, name: &str, source: &str, entry: &str) -> Result<Self, GpuError> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);

        gpu.check()?;
        let text = match stress_wanted() {
            true => Cow::Owned(stressed(source)),
            false => Cow::Borrowed(source),
        };
        let source = text.as_ref();
        let found = reflect(name, source, entry)?;
        let max_bytes = gpu.limits().workgroup_memory_bytes;
        if found.workgroup_bytes > u64::from(max_bytes) {
            // wgpu 30 leaves this to the driver, which may crash instead.
            return Err(GpuError::WorkgroupMemory {
                kernel: name.to_owned(),
                wanted_bytes: found.workgroup_bytes,
                max_bytes,
            });
        }
        let checks = runtime_checks_wanted();
        let (pipeline, group_layouts) = gpu
            .scoped(|| build(gpu, name, source, entry, &found.bindings, checks))
            .map_err(|error| GpuError::ShaderCompile {
                kernel: name.to_owned(),
                location: name.to_owned(),
                message: error.to_string().trim().to_owned(),
            })?;
        gpu.check()?;
        Ok(Self {
            pipeline,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            workgroup_size: found.workgroup_size,
            group_layouts,
            bindings: found.bindings,
            unused: found.unused,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variables that its entry point uses, by name.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.bindings.iter().map(|binding| binding.name.as_str())
    }

    /// Invocations per workgroup in x, y, z.
    pub fn workgroup_size(&self) -> [u32; 3] {
        self.workgroup_size
    }

    /// A grid with at least one invocation for each of `count` elements, for a kernel with a
    /// one-dimensional workgroup. Past the device's limit in x it has several rows, so the kernel
    /// must take its element from both: `(group.y * num_workgroups.x + group.x) * size + local`.
    ///
    /// # Errors
    /// [`GpuError::BadIndex`] for more elements than two dimensions hold.
    pub fn grid_for(&self, gpu: &Gpu, count: u64) -> Result<[u32; 3], GpuError> {
        let max = u64::from(gpu.limits().workgroups_per_dimension);
        let groups = count.div_ceil(u64::from(self.workgroup_size[0]));
        let rows = groups.div_ceil(max).max(1);
        if rows > max {
            return Err(GpuError::BadIndex {
                what: format!("grid of kernel {}", self.name),
                index: groups,
                count: max * max,
            });
        }
        // Both are at most `max`, a 32-bit number.
        Ok([groups.div_ceil(rows) as u32, rows as u32, 1])
    }

    /// Binds `buffers`, pairs of variable name and buffer, once for many dispatches.
    ///
    /// # Errors
    /// [`GpuError::MissingBinding`], [`GpuError::UnknownBinding`], [`GpuError::BufferTooSmall`],
    /// and what the device reports.
    pub fn bind(&self, gpu: &Gpu, buffers: &[(&str, &Buffer)]) -> Result<Bound, GpuError> {
        gpu.check()?;
        for (position, (name, _)) in buffers.iter().enumerate() {
            let reason = if buffers[..position]
                .iter()
                .any(|(earlier, _)| earlier == name)
            {
                "two buffers are given for"
            } else if self.unused.iter().any(|unused| unused == name) {
                "a buffer is given for a variable that its entry point does not use,"
            } else if !self.bindings.iter().any(|binding| binding.name == *name) {
                "there is no variable"
            } else {
                continue;
            };
            let known: Vec<_> = self.bindings.iter().map(|b| b.name.as_str()).collect();
            return Err(GpuError::UnknownBinding {
                kernel: self.name.clone(),
                binding: (*name).to_owned(),
                reason,
                known: known.join(", "),
            });
        }
        let mut max_step_offset = None;
        let mut chosen = Vec::with_capacity(self.bindings.len());
        for binding in &self.bindings {
            let buffer = self.buffer_for(binding, buffers)?;
            if binding.kind == BindingKind::Step {
                max_step_offset = Some(buffer.bytes() - binding.min_bytes);
            }
            chosen.push((binding, buffer));
        }
        let groups = gpu
            .scoped(|| self.bind_groups(gpu, &chosen))
            .map_err(|error| GpuError::Validation(format!("{}: {error}", self.name)))?;
        gpu.check()?;
        Ok(Bound {
            kernel_id: self.id,
            groups,
            max_step_offset,
        })
    }

    /// The buffer named for `binding`, if it fits.
    fn buffer_for<'a>(
        &self,
        binding: &Binding,
        buffers: &[(&str, &'a Buffer)],
    ) -> Result<&'a Buffer, GpuError> {
        let Some((_, buffer)) = buffers.iter().find(|(name, _)| *name == binding.name) else {
            return Err(GpuError::MissingBinding {
                kernel: self.name.clone(),
                binding: binding.name.clone(),
            });
        };
        if buffer.bytes() < binding.min_bytes {
            return Err(GpuError::BufferTooSmall {
                kernel: self.name.clone(),
                binding: binding.name.clone(),
                label: buffer.label().to_owned(),
                bytes: buffer.bytes(),
                needed_bytes: binding.min_bytes,
            });
        }
        let needed = match binding.kind {
            BindingKind::Storage { .. } => Role::Storage,
            BindingKind::Uniform | BindingKind::Step => Role::Uniform,
        };
        if buffer.role != needed {
            return Err(GpuError::BadCommand {
                what: self.name.clone(),
                message: format!(
                    "variable `{}` is {needed:?}, buffer `{}` was created as {:?}",
                    binding.name,
                    buffer.label(),
                    buffer.role
                ),
            });
        }
        Ok(buffer)
    }

    fn bind_groups(
        &self,
        gpu: &Gpu,
        chosen: &[(&Binding, &Buffer)],
    ) -> Vec<(u32, wgpu::BindGroup, bool)> {
        let mut groups = Vec::new();
        for (group, layout) in (0..).zip(&self.group_layouts) {
            let Some(layout) = layout else { continue };
            let members = || chosen.iter().filter(|(binding, _)| binding.group == group);
            let entries: Vec<_> = members()
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding: binding.index,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer.raw,
                        offset: 0,
                        // A slot of the dynamic uniform; everything else is bound whole.
                        size: match binding.kind {
                            BindingKind::Step => wgpu::BufferSize::new(binding.min_bytes),
                            _ => None,
                        },
                    }),
                })
                .collect();
            let dynamic = members().any(|(binding, _)| binding.kind == BindingKind::Step);
            let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&self.name),
                layout,
                entries: &entries,
            });
            groups.push((group, bind_group, dynamic));
        }
        groups
    }
}

/// Layouts from the reflected bindings, then module and pipeline. Errors go to the scope around.
fn build(
    gpu: &Gpu,
    name: &str,
    source: &str,
    entry: &str,
    bindings: &[Binding],
    checks: bool,
) -> (wgpu::ComputePipeline, Vec<Option<wgpu::BindGroupLayout>>) {
    let group_count = bindings
        .iter()
        .map(|binding| binding.group + 1)
        .max()
        .unwrap_or(0);
    let group_layouts: Vec<_> = (0..group_count)
        .map(|group| {
            let entries: Vec<_> = bindings
                .iter()
                .filter(|binding| binding.group == group)
                .map(layout_entry)
                .collect();
            (!entries.is_empty()).then(|| {
                let descriptor = wgpu::BindGroupLayoutDescriptor {
                    label: Some(name),
                    entries: &entries,
                };
                gpu.device.create_bind_group_layout(&descriptor)
            })
        })
        .collect();
    let layout_references: Vec<_> = group_layouts.iter().map(Option::as_ref).collect();
    let layout = gpu
        .device
        .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &layout_references,
            immediate_size: 0,
        });
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(name),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    };
    let module = if checks {
        gpu.device.create_shader_module(descriptor)
    } else {
        // SAFETY: kernels are part of this program and are never read from files a user brings;
        // the test suite runs every one of them with the checks on, so they index inside their
        // buffers, end their loops and divide by non-zero integers. The checks cost a hot kernel
        // many times its run time.
        unsafe {
            gpu.device
                .create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
        }
    };
    let pipeline = gpu
        .device
        .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&layout),
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: checks,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        });
    (pipeline, group_layouts)
}

fn layout_entry(binding: &Binding) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding: binding.index,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: match binding.kind {
                BindingKind::Uniform | BindingKind::Step => wgpu::BufferBindingType::Uniform,
                BindingKind::Storage { read_only } => {
                    wgpu::BufferBindingType::Storage { read_only }
                }
            },
            has_dynamic_offset: binding.kind == BindingKind::Step,
            min_binding_size: wgpu::BufferSize::new(binding.min_bytes),
        },
        count: None,
    }
}
