//! What a WGSL source says of itself: bindings, workgroup size, struct layouts.

use naga::front::wgsl;
use naga::proc::Layouter;
use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::error::GpuError;
use super::source::locate;

/// A buffer variable that the entry point uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) group: u32,
    pub(super) index: u32,
    pub(super) kind: BindingKind,
    /// Least size of a buffer for it; a runtime-sized array counts with one element.
    pub(super) min_bytes: u64,
}

/// How a kernel sees a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingKind {
    Uniform,
    /// A uniform whose offset is given per dispatch.
    Step,
    Storage {
        read_only: bool,
    },
}

/// The interface of one entry point.
#[derive(Debug)]
pub(super) struct Reflection {
    /// Sorted by group and index.
    pub(super) bindings: Vec<Binding>,
    /// Buffer variables that are declared but not used by the entry point.
    pub(super) unused: Vec<String>,
    pub(super) workgroup_size: [u32; 3],
    /// Bytes of the workgroup variables that the entry point uses.
    pub(super) workgroup_bytes: u64,
}

/// Parses and validates `source` and reflects the compute entry point `entry`.
pub(super) fn reflect(kernel: &str, source: &str, entry: &str) -> Result<Reflection, GpuError> {
    let module = parse(kernel, source)?;
    let fault = |message: String| GpuError::ShaderCompile {
        kernel: kernel.to_owned(),
        location: kernel.to_owned(),
        message,
    };
    // The device's own features are checked again when it builds the kernel.
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| GpuError::ShaderCompile {
            kernel: kernel.to_owned(),
            // The narrowest of the nested places that the validator names.
            location: error
                .spans()
                .filter_map(|(span, _)| Some((span, span.to_range()?.len())))
                .min_by_key(|(_, length)| *length)
                .map_or_else(
                    || kernel.to_owned(),
                    |(span, _)| locate(source, span.location(source).line_number, kernel),
                ),
            message: error_chain(error.as_inner()),
        })?;
    let (position, point) = module
        .entry_points
        .iter()
        .enumerate()
        .find(|(_, point)| point.name == entry && point.stage == naga::ShaderStage::Compute)
        .ok_or_else(|| fault(format!("it has no compute entry point `{entry}`")))?;
    if point.workgroup_size_overrides.is_some() {
        return Err(fault(
            "its workgroup size must be constant, not an override".to_owned(),
        ));
    }
    let mut layouter = Layouter::default();
    layouter
        .update(module.to_ctx())
        .map_err(|error| fault(error.to_string()))?;
    let (mut bindings, mut unused, mut workgroup_bytes) = (Vec::new(), Vec::new(), 0);
    for (handle, variable) in module.global_variables.iter() {
        let used = !info.get_entry_point(position)[handle].is_empty();
        let bytes = u64::from(layouter[variable.ty].size);
        if used && variable.space == naga::AddressSpace::WorkGroup {
            workgroup_bytes += bytes.next_multiple_of(16);
        }
        let Some(slot) = variable.binding else {
            continue;
        };
        let name = variable.name.clone().unwrap_or_default();
        let kind = match variable.space {
            naga::AddressSpace::Uniform if name.ends_with("step") => BindingKind::Step,
            naga::AddressSpace::Uniform => BindingKind::Uniform,
            naga::AddressSpace::Storage { access } => BindingKind::Storage {
                read_only: !access.contains(naga::StorageAccess::STORE),
            },
            _ => {
                return Err(fault(format!(
                    "`{name}` is not a buffer; only buffers can be bound"
                )));
            }
        };
        if !used {
            unused.push(name);
            continue;
        }
        bindings.push(Binding {
            name,
            group: slot.group,
            index: slot.binding,
            kind,
            min_bytes: bytes,
        });
    }
    if bindings
        .iter()
        .filter(|binding| binding.kind == BindingKind::Step)
        .count()
        > 1
    {
        return Err(fault("at most one uniform may end in `step`".to_owned()));
    }
    bindings.sort_by_key(|binding| (binding.group, binding.index));
    Ok(Reflection {
        bindings,
        unused,
        workgroup_size: point.workgroup_size,
        workgroup_bytes,
    })
}

fn parse(kernel: &str, source: &str) -> Result<naga::Module, GpuError> {
    wgsl::parse_str(source).map_err(|error| {
        let location = error.location(source).map_or_else(
            || kernel.to_owned(),
            |location| locate(source, location.line_number, kernel),
        );
        let labels = error.labels().map(|(_, label)| label.to_owned());
        let notes = error.notes().map(str::to_owned);
        let details: Vec<_> = labels
            .chain(notes)
            .filter(|text| !text.is_empty())
            .collect();
        let message = match details.as_slice() {
            [] => error.message().to_owned(),
            details => format!("{} ({})", error.message(), details.join("; ")),
        };
        GpuError::ShaderCompile {
            kernel: kernel.to_owned(),
            location,
            message,
        }
    })
}

/// An error and its causes, in one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    message
}

/// The memory layout of a WGSL struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructLayout {
    /// Name, offset and size of each field, in bytes and in order.
    pub fields: Vec<(String, u32, u32)>,
    /// Size of the whole struct in bytes, its padding included.
    pub size_bytes: u32,
}

/// The layout of struct `struct_name` of a WGSL `source`, for tests that check host structs.
///
/// # Errors
/// [`GpuError::ShaderCompile`] if the source does not parse, [`GpuError::NoSuchStruct`].
pub fn struct_layout(source: &str, struct_name: &str) -> Result<StructLayout, GpuError> {
    let module = parse("struct_layout", source)?;
    let mut layouter = Layouter::default();
    layouter
        .update(module.to_ctx())
        .map_err(|error| GpuError::ShaderCompile {
            kernel: "struct_layout".to_owned(),
            location: struct_name.to_owned(),
            message: error.to_string(),
        })?;
    let found = module.types.iter().find_map(|(_, ty)| match &ty.inner {
        naga::TypeInner::Struct { members, span } if ty.name.as_deref() == Some(struct_name) => {
            Some((members, *span))
        }
        _ => None,
    });
    let (members, size_bytes) = found.ok_or_else(|| GpuError::NoSuchStruct {
        name: struct_name.to_owned(),
    })?;
    let fields = members
        .iter()
        .map(|member| {
            let name = member.name.clone().unwrap_or_default();
            (name, member.offset, layouter[member.ty].size)
        })
        .collect();
    Ok(StructLayout { fields, size_bytes })
}

/// Invocations of a workgroup of the entry point of `source`.
#[cfg(test)]
pub(crate) fn workgroup_size(source: &str) -> [u32; 3] {
    let found = reflect("kernel", source, "main").expect("parses");
    found.workgroup_size
}

/// Functions of `source` that write single components of vectors in memory which others share. WGSL
/// lets such a write rewrite the whole vector, so that neighbours' components may be lost.
#[cfg(test)]
pub(crate) fn component_stores(source: &str) -> Vec<String> {
    use naga::{AddressSpace, Block, Statement, TypeInner};

    fn any_store(
        block: &Block,
        is_component: &dyn Fn(naga::Handle<naga::Expression>) -> bool,
    ) -> bool {
        block.iter().any(|statement| match statement {
            Statement::Store { pointer, .. } => is_component(*pointer),
            Statement::Block(block) => any_store(block, is_component),
            Statement::If { accept, reject, .. } => {
                any_store(accept, is_component) || any_store(reject, is_component)
            }
            Statement::Switch { cases, .. } => {
                cases.iter().any(|case| any_store(&case.body, is_component))
            }
            Statement::Loop {
                body, continuing, ..
            } => any_store(body, is_component) || any_store(continuing, is_component),
            _ => false,
        })
    }

    let module = parse("kernel", source).expect("parses");
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .expect("is valid");
    let functions = module
        .functions
        .iter()
        .map(|(handle, function)| (function, &info[handle]));
    let points = module
        .entry_points
        .iter()
        .enumerate()
        .map(|(index, point)| (&point.function, info.get_entry_point(index)));
    functions
        .chain(points)
        .filter(|(function, info)| {
            any_store(&function.body, &|pointer| {
                matches!(
                    info[pointer].ty.inner_with(&module.types),
                    TypeInner::ValuePointer {
                        size: None,
                        space: AddressSpace::WorkGroup | AddressSpace::Storage { .. },
                        ..
                    }
                )
            })
        })
        .map(|(function, _)| function.name.clone().unwrap_or_else(|| "main".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
struct Params { scale: f32, shift: vec3<f32>, count: u32 }
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec2<f32>>;
@group(0) @binding(0) var<storage, read_write> state: array<f32, 8>;
@group(1) @binding(0) var<uniform> time_step: vec4<u32>;
@group(1) @binding(1) var<storage, read> idle: array<u32>;
const WIDTH: u32 = 32u;
@compute @workgroup_size(WIDTH, 2)
fn main() { state[time_step.x] = params.scale * weights[0].x; }
";

    #[test]
    fn bindings_and_workgroup_size_are_found() {
        let found = reflect("k", SOURCE, "main").expect("valid");
        assert_eq!(found.workgroup_size, [32, 2, 1]);
        assert_eq!(found.unused, ["idle"]);
        let summary: Vec<_> = found
            .bindings
            .iter()
            .map(|b| (b.name.as_str(), b.group, b.index, b.kind, b.min_bytes))
            .collect();
        let storage = |read_only| BindingKind::Storage { read_only };
        assert_eq!(
            summary,
            [
                ("state", 0, 0, storage(false), 32),
                ("weights", 0, 1, storage(true), 8),
                ("params", 0, 2, BindingKind::Uniform, 32),
                ("time_step", 1, 0, BindingKind::Step, 16),
            ]
        );
    }

    #[test]
    fn struct_layouts_have_padding() {
        let layout = struct_layout(SOURCE, "Params").expect("found");
        let field = |name: &str, offset, size| (name.to_owned(), offset, size);
        assert_eq!(
            layout.fields,
            [
                field("scale", 0, 4),
                field("shift", 16, 12),
                field("count", 28, 4)
            ]
        );
        assert_eq!(layout.size_bytes, 32);
        let error = struct_layout(SOURCE, "Nothing").expect_err("unknown");
        assert!(error.to_string().contains("`Nothing`"), "{error}");
    }

    #[test]
    fn errors_name_the_original_line() {
        let broken = "//@ common/bits.wgsl:11\nfn a() {}\nfn b() { let x = missing; }\n";
        let error = reflect("k", broken, "main").expect_err("unknown name");
        assert!(error.to_string().contains("common/bits.wgsl:12"), "{error}");
        assert!(error.to_string().contains("missing"), "{error}");
        let store = "//@ a.wgsl:1
@group(0) @binding(0) var<storage, read> fixed: array<u32>;
@compute @workgroup_size(8)
fn main() {
    fixed[0] = 1u;
}";
        let error = reflect("k", store, "main").expect_err("stores to read-only memory");
        assert!(error.to_string().contains("a.wgsl:4"), "{error}");
        let error = reflect("k", SOURCE, "other").expect_err("no entry point");
        assert!(error.to_string().contains("`other`"), "{error}");
    }
}
