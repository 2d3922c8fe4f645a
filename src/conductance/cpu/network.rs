//! What every pass reads: the equations' constants and the weights in the forms that passes use.

use crate::conductance::params::{Constants, Params};
use crate::conductance::settings::MatrixName;
use crate::conductance::weights::{Layout, Wiring};
use crate::product::Strips;
use crate::real::{Lines, Real, zeros};

/// The equations with their constants and effective weights: all that a pass reads.
pub(super) struct PreparedNetwork<R> {
    pub(super) params: Params,
    pub(super) constants: Constants<R>,
    pub(super) layout: Layout,
    pub(super) wiring: Wiring,
    /// Effective weights times the factor with which a spike arrives through them: the kick of the receptor,
    /// the gain of the read-out, 1 for inputs. Flat.
    delivered: Lines<R>,
    /// The same, of all matrices but W_in, as the products of the backward pass read them.
    pub(super) strips: [Strips<R>; 6],
    /// Offset and row length of each matrix in `delivered`.
    rows: [(usize, usize); 6],
    pub(super) arch: pulp::Arch,
}

impl<R: Real> PreparedNetwork<R> {
    /// The network with these stored weights, flat as `layout` has them.
    pub(super) fn new(params: Params, layout: Layout, stored: &[R]) -> Self {
        let mut rows = [(0, 0); 6];
        for slot in &layout.slots {
            rows[slot.name as usize] = (slot.offset, slot.post);
        }
        let mut network = Self {
            constants: params.constants(),
            wiring: Wiring::new(&params, &layout),
            delivered: zeros(stored.len()),
            strips: Default::default(),
            rows,
            arch: pulp::Arch::new(),
            layout,
            params,
        };
        network.refresh(stored, true);
        network
    }

    /// One row of a matrix, as delivered.
    #[inline(always)]
    pub(super) fn row(&self, name: MatrixName, pre: usize) -> &[R] {
        let (offset, post) = self.rows[name as usize];
        &self.delivered[offset + pre * post..][..post]
    }

    /// I cells that are simulated: none where they have no effect.
    pub(super) fn simulated_i(&self) -> usize {
        if self.wiring.i_cells {
            self.params.n_i()
        } else {
            0
        }
    }

    /// Takes over stored weights: all of them, or those of the trained matrices.
    pub(super) fn refresh(&mut self, stored: &[R], all: bool) {
        let c = &self.constants;
        for slot in self.layout.slots.iter().filter(|s| all || s.trained) {
            let factor = match slot.name {
                MatrixName::WIn => R::ONE,
                MatrixName::WOut => c.readout.gain,
                MatrixName::WEe | MatrixName::WEi => c.kick_ampa,
                MatrixName::WIe | MatrixName::WIi => c.kick_gaba,
            };
            let delivered = &mut self.delivered[slot.range()];
            for (to, &w) in delivered.iter_mut().zip(&stored[slot.range()]) {
                *to = factor * if slot.clamped { w.at_least(R::ZERO) } else { w };
            }
            if slot.active && slot.name != MatrixName::WIn {
                let sizes = [slot.pre, slot.post];
                self.strips[slot.name as usize].fill_transposed(self.arch, delivered, sizes);
            }
        }
    }
}
