//! Sizes of the kernels' workgroups and tiles, which the shaders are told as constants.

use crate::device::BackwardForm;
use crate::gpu::AdapterLimits;

/// Threads of a workgroup; also the stride of the cells that a thread owns.
pub(super) const WORKGROUP: u32 = crate::optim::gpu::WORKGROUP;

/// Columns of a workgroup of the spike-gradient kernel: few, for the read-out has a class a column.
pub(super) const WORKGROUP_COLUMNS: u32 = 64;

/// Slices into which the backward pass cuts the sums over the cells that I cells inhibit.
pub(super) const SLICES: usize = 4;

/// How the per-step backward pass cuts its products into workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepTiles {
    /// Threads of a workgroup.
    pub(super) threads: usize,
    /// Cells and trials that a thread sums up, fours of each.
    pub(super) quads: [usize; 2],
    /// Cells and trials of a tile of E cells.
    pub(super) e: [usize; 2],
    /// Cells and trials of a tile of I cells, which takes the sums in [`SLICES`].
    pub(super) i: [usize; 2],
}

impl StepTiles {
    /// Those of a form of the backward pass; the smallest where it takes many steps a dispatch and needs none.
    pub(super) fn of(form: BackwardForm) -> Self {
        let tiles = |threads, quads, e, i| Self {
            threads,
            quads,
            e,
            i,
        };
        match form {
            BackwardForm::Persistent | BackwardForm::Persistent4 | BackwardForm::PerStep => {
                tiles(128, [1, 1], [64, 32], [32, 16])
            }
            BackwardForm::PerStep8x4 => tiles(128, [2, 1], [64, 64], [32, 32]),
            BackwardForm::PerStep8x8 => tiles(64, [2, 2], [64, 64], [32, 32]),
        }
    }

    /// Workgroup memory, bytes: adjoints, and weights or the sums that follow them.
    pub(super) fn workgroup_bytes(&self) -> usize {
        let sums = 4 * self.quads[0] * self.quads[1] * self.threads;
        16 * ((8 * self.e[0]).max(sums) + 8 * self.e[1])
    }
}

/// The forms of the backward pass that a device with these limits can take.
pub fn forms_on(limits: &AdapterLimits) -> Vec<BackwardForm> {
    let fits = |form: &BackwardForm| {
        !form.is_per_step()
            || StepTiles::of(*form).workgroup_bytes() <= limits.workgroup_memory_bytes as usize
    };
    BackwardForm::ALL.into_iter().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_cover_their_tiles() {
        for form in BackwardForm::ALL {
            let tiles = StepTiles::of(form);
            let sums = 16 * tiles.quads[0] * tiles.quads[1];
            assert_eq!(tiles.e[0] * tiles.e[1], tiles.threads * sums, "{form:?}");
            let slices = SLICES * tiles.i[0] * tiles.i[1];
            assert_eq!(slices, tiles.threads * sums, "{form:?}");
            assert_eq!(tiles.e[1] % tiles.i[1], 0, "{form:?}");
        }
    }
}
