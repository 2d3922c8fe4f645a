//! Effective matrices from stored tensors, and gradients back to them.

use pulp::Arch;

use crate::product::{Strips, sum_products};
use crate::rate_rnn::weights::{Layout, Link, Parts};
use crate::real::{Lines, Real, zeros};

/// The effective matrices as passes multiply by them.
pub(super) struct Effective<R> {
    flat: Lines<R>,
    /// For sums over presynaptic units, by link.
    pub(super) forward: Vec<Strips<R>>,
    /// For sums over postsynaptic units, by link.
    pub(super) backward: Vec<Strips<R>>,
}

impl<R: Real> Effective<R> {
    pub(super) fn new(layout: &Layout) -> Self {
        let strips = || vec![Strips::default(); layout.links.len()];
        Self {
            flat: zeros(layout.effective_len),
            forward: strips(),
            backward: strips(),
        }
    }

    /// Makes them of the stored tensors; those of the backward pass only where it follows.
    pub(super) fn renew(&mut self, arch: Arch, layout: &Layout, stored: &[R], learn: bool) {
        for (number, link) in layout.links.iter().enumerate() {
            let to = &mut self.flat[link.range()];
            combine(arch, layout, link, stored, to);
            self.forward[number].fill_transposed(arch, to, [link.post, link.pre]);
            if learn {
                self.backward[number].fill(arch, to, [link.post, link.pre]);
            }
        }
    }
}

/// The effective matrix of a link: the stored one with its signs, or E − I X.
pub(super) fn combine<R: Real>(
    arch: Arch,
    layout: &Layout,
    link: &Link,
    stored: &[R],
    to: &mut [R],
) {
    let tensor = |number: usize| &stored[layout.tensors[number].range()];
    match link.parts {
        Parts::Columns { w, .. } => signed(link, tensor(w), to),
        Parts::Dann {
            ex,
            ix,
            ei,
            inhibitory,
        } => {
            let mut inhibition = Strips::default();
            inhibition.fill(arch, tensor(ix), [inhibitory, link.pre]);
            sum_products(arch, to, &[Some((&inhibition, tensor(ei)))], link.post);
            for (to, &ex) in to.iter_mut().zip(tensor(ex)) {
                *to = ex - *to;
            }
        }
    }
}

/// Gradients by the stored tensors from those by effective matrices (flat) and biases (after them).
pub(super) fn chain<R: Real>(
    arch: Arch,
    layout: &Layout,
    stored: &[R],
    by_effective: &[R],
    gradient: &mut [R],
) {
    for link in &layout.links {
        let g = &by_effective[link.range()];
        let range = |number: usize| layout.tensors[number].range();
        match link.parts {
            Parts::Columns { w, .. } => signed(link, g, &mut gradient[range(w)]),
            Parts::Dann {
                ex,
                ix,
                ei,
                inhibitory,
            } => {
                gradient[range(ex)].copy_from_slice(g);
                let mut strips = Strips::default();
                strips.fill_transposed(arch, &stored[range(ix)], [inhibitory, link.pre]);
                let to = &mut gradient[range(ei)];
                sum_products(arch, to, &[Some((&strips, g))], link.post);
                negate(to);
                strips.fill(arch, g, [link.post, link.pre]);
                let mut transposed = vec![R::ZERO; link.post * inhibitory];
                transpose(&stored[range(ei)], [link.post, inhibitory], &mut transposed);
                let to = &mut gradient[range(ix)];
                sum_products(arch, to, &[Some((&strips, &transposed))], inhibitory);
                negate(to);
            }
        }
    }
    let mut biases = &by_effective[layout.effective_len..];
    let of_layers = layout.layers.iter().map(|layer| layer.bias);
    for number in of_layers.chain([layout.read_out_bias]) {
        let range = layout.tensors[number].range();
        let (own, rest) = biases.split_at(range.len());
        gradient[range].copy_from_slice(own);
        biases = rest;
    }
}

/// `[post, pre]` with the signs of the presynaptic units.
fn signed<R: Real>(link: &Link, from: &[R], to: &mut [R]) {
    let positive = (0..link.pre)
        .take_while(|&pre| link.sign(pre) > 0.0)
        .count();
    let rows = to
        .chunks_exact_mut(link.pre)
        .zip(from.chunks_exact(link.pre));
    for (to, from) in rows {
        to.copy_from_slice(from);
        negate(&mut to[positive..]);
    }
}

fn negate<R: Real>(x: &mut [R]) {
    for x in x {
        *x = -*x;
    }
}

/// Fills `to` with the transpose of a row-major `[rows, columns]` matrix.
pub(super) fn transpose<R: Real>(from: &[R], [rows, columns]: [usize; 2], to: &mut [R]) {
    // A block of rows at a time, so that what is written to stays in the cache.
    const BLOCK: usize = 16;
    for (block, values) in from.chunks(BLOCK * columns.max(1)).enumerate() {
        let own = values.len() / columns.max(1);
        for (column, to) in to.chunks_exact_mut(rows.max(1)).enumerate() {
            let to = &mut to[block * BLOCK..][..own];
            for (to, &x) in to.iter_mut().zip(values[column..].iter().step_by(columns)) {
                *to = x;
            }
        }
    }
}
