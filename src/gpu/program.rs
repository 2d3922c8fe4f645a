//! Kernels and the buffers they share: compiled side by side, bound by name, run as a list of dispatches.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use rayon::prelude::*;

use super::buffer::{Buffer, Reading, UniformArray};
use super::device::Gpu;
use super::error::GpuError;
use super::kernel::{Bound, Kernel, is_dropped, stress_wanted};

/// Dispatches that are submitted together, so that no command list keeps the device from the desktop for
/// long. A submission costs tens of microseconds, so longer lists would gain next to nothing.
const DISPATCHES_A_SUBMISSION: usize = 64;

/// A buffer of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSpec {
    /// Kernels bind it to their variables of this name.
    pub name: &'static str,
    /// What errors call it.
    pub label: &'static str,
    /// Words of 32 bits.
    pub words: usize,
    /// Kernels fill it before they read it: what was in it cannot matter.
    pub is_scratch: bool,
}

impl BufferSpec {
    /// A buffer that the host fills.
    pub fn new(name: &'static str, label: &'static str, words: usize) -> Self {
        Self {
            name,
            label,
            words,
            is_scratch: false,
        }
    }

    /// A buffer that kernels fill.
    pub fn scratch(name: &'static str, label: &'static str, words: usize) -> Self {
        Self {
            is_scratch: true,
            ..Self::new(name, label, words)
        }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        4 * self.words as u64
    }
}

/// A kernel of a program, ready to be compiled.
#[derive(Clone, Debug)]
pub struct KernelSource {
    /// What errors call it.
    pub name: &'static str,
    /// WGSL with all constants; its entry point is `main`.
    pub text: String,
}

/// One dispatch; `WORDS` is the size of the largest uniform of the program's kernels.
#[derive(Clone, Debug)]
pub struct Dispatch<const WORDS: usize> {
    /// Stage that its time is counted for.
    pub stage: &'static str,
    /// Place of its kernel among those of the program.
    pub kernel: usize,
    /// Workgroups.
    pub grid: [u32; 3],
    /// The kernel's uniform `this_step`, padded.
    pub uniform: [u32; WORDS],
}

/// A grid of workgroups of `workgroup` threads for `entries` invocations; two-dimensional past the limit of one
/// dimension.
pub(crate) fn linear_grid(entries: usize, workgroup: u32) -> [usize; 3] {
    let groups = entries.div_ceil(workgroup as usize).max(1);
    let rows = groups.div_ceil(65_535);
    [groups.div_ceil(rows), rows, 1]
}

/// Kernels with their buffers on a device.
pub struct Program<const WORDS: usize> {
    gpu: Arc<Gpu>,
    kernels: Vec<Option<Kernel>>,
    /// Kernels whose dispatches a test leaves out.
    dropped: Vec<bool>,
    /// Empty where a buffer has been replaced since.
    bounds: Vec<Option<Bound>>,
    buffers: BTreeMap<&'static str, Buffer>,
    uniforms: UniformArray<[u32; WORDS]>,
}

impl<const WORDS: usize> Program<WORDS>
where
    [u32; WORDS]: Pod,
{
    /// Allocates the buffers, then compiles the kernels; `None` keeps the place of one that is not needed.
    ///
    /// # Errors
    /// Too little memory, a kernel that does not compile, or a variable without a buffer of its name.
    pub fn new(
        gpu: Arc<Gpu>,
        buffers: &[BufferSpec],
        kernels: Vec<Option<KernelSource>>,
    ) -> Result<Self, GpuError> {
        let allocate = |spec: &BufferSpec| {
            let buffer = gpu.storage(spec.label, spec.bytes())?;
            if spec.is_scratch && stress_wanted() {
                gpu.poison(&buffer)?;
            }
            Ok((spec.name, buffer))
        };
        let buffers = buffers.iter().map(allocate).collect::<Result<_, _>>()?;
        let slots = vec![[0; WORDS]; DISPATCHES_A_SUBMISSION];
        let uniforms = UniformArray::new(&gpu, "uniforms of dispatches", &slots)?;
        // Drivers compile in the calling thread, so each kernel gets one; the API's error scopes belong to
        // threads, too.
        let compile = |source: Option<KernelSource>| {
            let kernel = source.map(|s| Kernel::new(&gpu, s.name, &s.text, "main"));
            kernel.transpose()
        };
        let kernels = kernels
            .into_par_iter()
            .map(compile)
            .collect::<Result<Vec<_>, _>>()?;
        let is_dropped =
            |kernel: &Option<Kernel>| kernel.as_ref().is_some_and(|k| is_dropped(k.name()));
        let mut program = Self {
            gpu,
            dropped: kernels.iter().map(is_dropped).collect(),
            kernels,
            bounds: Vec::new(),
            buffers,
            uniforms,
        };
        program.bind()?;
        Ok(program)
    }

    /// Binds every kernel's variables to the buffers of their names.
    fn bind(&mut self) -> Result<(), GpuError> {
        let uniforms = ("this_step", self.uniforms.buffer());
        let buffers = self.buffers.iter().map(|(name, buffer)| (*name, buffer));
        let all: Vec<(&str, &Buffer)> = buffers.chain([uniforms]).collect();
        let bound = |kernel: &Option<Kernel>| {
            let bound = kernel.as_ref().map(|kernel| {
                let is_own = |name: &str| kernel.variables().any(|variable| variable == name);
                let own = all.iter().filter(|(name, _)| is_own(name)).copied();
                kernel.bind(&self.gpu, &own.collect::<Vec<_>>())
            });
            bound.transpose()
        };
        self.bounds = self.kernels.iter().map(bound).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// A buffer by its name.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn buffer(&self, name: &str) -> Result<&Buffer, GpuError> {
        self.buffers.get(name).ok_or_else(|| GpuError::BadCommand {
            what: name.to_owned(),
            message: "this program has no such buffer".to_owned(),
        })
    }

    /// Reads values of a buffer back.
    ///
    /// # Errors
    /// No such buffer, or a failure of the device.
    pub fn read<T: Pod>(&self, name: &str, range: Range<usize>) -> Result<Vec<T>, GpuError> {
        self.gpu.read(self.buffer(name)?, range)
    }

    /// Reads words of several buffers back with one wait for the device.
    ///
    /// # Errors
    /// No such buffer, or a failure of the device.
    pub fn read_parts<const N: usize>(
        &self,
        parts: [(&str, Range<usize>); N],
    ) -> Result<[Vec<u32>; N], GpuError> {
        for (name, _) in &parts {
            self.buffer(name)?;
        }
        self.gpu
            .read_parts(parts.map(|(name, range)| (&self.buffers[name], range)))
    }

    /// Begins to read words of several buffers: [`Gpu::start_reading`].
    ///
    /// # Errors
    /// No such buffer, or a failure of the device.
    pub fn start_reading<const N: usize>(
        &self,
        parts: [(&str, Range<usize>); N],
    ) -> Result<Reading<N>, GpuError> {
        for (name, _) in &parts {
            self.buffer(name)?;
        }
        self.gpu
            .start_reading(parts.map(|(name, range)| (&self.buffers[name], range)))
    }

    /// Writes values into a buffer, from its value number `first` on.
    ///
    /// # Errors
    /// No such buffer, values past its end, or a failure of the device.
    pub fn write<T: Pod>(&self, name: &str, first: usize, values: &[T]) -> Result<(), GpuError> {
        self.gpu.write(self.buffer(name)?, first, values)
    }

    /// Fills buffers with zeros.
    ///
    /// # Errors
    /// No such buffer, or a failure of the device.
    pub fn clear(&self, names: &[&str]) -> Result<(), GpuError> {
        let mut commands = self.gpu.commands();
        for name in names {
            commands.clear(self.buffer(name)?);
        }
        commands.submit()
    }

    /// Makes a buffer larger, without its content, where it has fewer words.
    ///
    /// # Errors
    /// No such buffer, or too little memory.
    pub fn fit(&mut self, name: &'static str, words: usize) -> Result<(), GpuError> {
        let old = self.buffer(name)?;
        if old.bytes() < 4 * words as u64 {
            let label = old.label().to_owned();
            let bytes = 4 * words.next_power_of_two() as u64;
            self.buffers.insert(name, self.gpu.storage(&label, bytes)?);
            self.bounds.clear();
        }
        Ok(())
    }

    /// Runs dispatches in order.
    ///
    /// # Errors
    /// A kernel that this program has no need of, or a failure of the device.
    pub fn run(&mut self, dispatches: &[Dispatch<WORDS>]) -> Result<(), GpuError> {
        if dispatches.len() > self.uniforms.len() {
            let slots = vec![[0; WORDS]; dispatches.len().next_power_of_two()];
            self.uniforms = UniformArray::new(&self.gpu, "uniforms of dispatches", &slots)?;
            self.bounds.clear();
        }
        if self.bounds.is_empty() {
            self.bind()?;
        }
        let uniforms = dispatches.iter().map(|d| d.uniform);
        self.uniforms.write(&self.gpu, uniforms)?;
        let mut slot = 0;
        for part in dispatches.chunks(DISPATCHES_A_SUBMISSION) {
            let mut commands = self.gpu.commands();
            let mut stage = "";
            for d in part {
                if stage != d.stage {
                    stage = d.stage;
                    commands.span(stage)?;
                }
                let kernel = self.kernels.get(d.kernel).and_then(Option::as_ref);
                let bound = self.bounds.get(d.kernel).and_then(Option::as_ref);
                let (Some(kernel), Some(bound)) = (kernel, bound) else {
                    return Err(GpuError::BadCommand {
                        what: format!("kernel {}", d.kernel),
                        message: "this program was made without it".to_owned(),
                    });
                };
                let offset = Some(self.uniforms.offset(slot)?);
                if !self.dropped[d.kernel] {
                    commands.dispatch(kernel, bound, d.grid, offset)?;
                }
                slot += 1;
            }
            commands.submit()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::linear_grid;

    #[test]
    fn large_grids_get_a_second_dimension() {
        assert_eq!(linear_grid(0, 256), [1, 1, 1]);
        assert_eq!(linear_grid(256, 256), [1, 1, 1]);
        let [x, y, _] = linear_grid(65_536 * 256, 256);
        assert!(x <= 65_535 && x * y * 256 >= 65_536 * 256);
    }
}
