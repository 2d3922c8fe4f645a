//! Sizes of the kernels' workgroups and tiles, which the shaders are told as constants.

/// Threads of a workgroup; also the stride of the cells that a thread owns.
pub(super) const WORKGROUP: u32 = crate::optim::gpu::WORKGROUP;

/// Columns of a workgroup of the spike-gradient kernel: few, for the read-out has a class a column.
pub(super) const WORKGROUP_COLUMNS: u32 = 64;

/// Cells and trials of a tile of E cells of the per-step backward pass.
pub(super) const E_TILE: [usize; 2] = [64, 32];

/// Cells and trials of a tile of I cells.
pub(super) const I_TILE: [usize; 2] = [32, 16];

/// Slices into which the backward pass cuts the sums over the cells that I cells inhibit.
pub(super) const SLICES: usize = 4;
