//! The passes of one group of trials.

use std::ops::Range;

use pulp::Arch;

use super::effective::{Effective, transpose};
use crate::product::{Strips, sum_products};
use crate::rate_rnn::batch::Batch;
use crate::rate_rnn::loss::{Scores, score};
use crate::rate_rnn::params::Params;
use crate::rate_rnn::weights::Layout;
use crate::real::Real;

/// A network as passes read it.
pub(super) struct Network<'a, R> {
    pub(super) arch: Arch,
    pub(super) params: &'a Params,
    pub(super) layout: &'a Layout,
    pub(super) effective: &'a Effective<R>,
    pub(super) stored: &'a [R],
}

/// Memory of one group of trials, kept from batch to batch.
#[derive(Default)]
pub(super) struct GroupScratch<R> {
    steps: usize,
    rows: usize,
    trials: Range<usize>,
    /// Steps whose outputs are compared with targets; the last ones.
    scored: Range<usize>,
    /// Inputs, `[step, row, channel]`.
    x: Vec<R>,
    /// By layer, `[step + 1, row, unit]`; the first step is h(0) = 0.
    h: Vec<Vec<R>>,
    /// δ by layer, `[step, row, unit]`.
    delta: Vec<Vec<R>>,
    /// `[step, row, output]`.
    o: Vec<R>,
    /// Derivative of the loss by the outputs, `[scored step, row, output]`.
    o_derivative: Vec<R>,
    /// What gradients are products of.
    product: Product<R>,
}

impl<R: Real> GroupScratch<R> {
    /// Takes over the inputs of these trials.
    pub(super) fn begin(&mut self, net: &Network<'_, R>, batch: &Batch, trials: Range<usize>) {
        let (steps, rows) = (batch.steps, trials.len());
        (self.steps, self.rows) = (steps, rows);
        self.scored = steps - batch.scored_steps(net.params)..steps;
        let n_in = net.params.n_in;
        self.x.clear();
        for step in 0..steps {
            let from = &batch.x[(step * batch.trials + trials.start) * n_in..][..rows * n_in];
            self.x.extend(from.iter().map(|&x| R::from_f64(x.into())));
        }
        self.trials = trials;
        self.h.resize_with(net.layout.layers.len(), Vec::new);
        for (h, layer) in self.h.iter_mut().zip(&net.layout.layers) {
            h.resize((steps + 1) * rows * layer.units, R::ZERO);
            h[..rows * layer.units].fill(R::ZERO);
        }
        self.o.resize(steps * rows * net.params.n_out, R::ZERO);
        let scored = self.scored.len() * rows * net.params.n_out;
        self.o_derivative.resize(scored, R::ZERO);
    }

    /// h(t) = relu(U x(t) + W h(t−1) + b), and the outputs that are wanted.
    pub(super) fn forward(&mut self, net: &Network<'_, R>, batch: &Batch, every_step: bool) {
        let rows = self.rows;
        for step in 0..batch.steps {
            for (l, layer) in net.layout.layers.iter().enumerate() {
                let (below, own) = self.h.split_at_mut(l);
                let below = match below.last() {
                    None => at(&self.x, step, rows * net.params.n_in),
                    Some(h) => at(h, step + 1, h.len() / (self.steps + 1)),
                };
                let len = rows * layer.units;
                let (before, now) = own[0][step * len..].split_at_mut(len);
                let now = &mut now[..len];
                let factors = [
                    Some((&net.effective.forward[layer.input], below)),
                    Some((&net.effective.forward[layer.recurrent], &*before)),
                ];
                sum_products(net.arch, now, &factors, rows);
                add_bias(now, net.bias(layer.bias), |x| x.at_least(R::ZERO));
            }
        }
        let first = if every_step { 0 } else { self.scored.start };
        let (Some(h), n_out) = (self.h.last(), net.params.n_out) else {
            return;
        };
        let units = h.len() / (self.steps + 1);
        let o = &mut self.o[first * rows * n_out..];
        let factors = [Some((
            &net.effective.forward[net.layout.read_out],
            &h[(first + 1) * units..],
        ))];
        sum_products(net.arch, o, &factors, (self.steps - first) * rows);
        add_bias(o, net.bias(net.layout.read_out_bias), |x| x);
    }

    /// Compares the outputs with their targets.
    pub(super) fn score(&mut self, net: &Network<'_, R>, batch: &Batch) -> Scores {
        let n_out = net.params.n_out;
        let factor = 1.0 / (batch.trials * self.scored.len()) as f64;
        let mut scores = Scores::default();
        let outputs = self.o[self.scored.start * self.rows * n_out..].chunks_exact(n_out);
        let derivatives = self.o_derivative.chunks_exact_mut(n_out);
        for (i, (output, derivative)) in outputs.zip(derivatives).enumerate() {
            let (step, row) = (i / self.rows, i % self.rows);
            let target = step * batch.trials + self.trials.start + row;
            scores.add(&score(output, &batch.targets, target, factor, derivative));
        }
        scores
    }

    /// The outputs, `[step, row, output]`, of all steps or of those that are scored.
    pub(super) fn outputs(&self, every_step: bool) -> Vec<R> {
        let per_step = self.o.len() / self.steps;
        let first = if every_step { 0 } else { self.scored.start };
        self.o[first * per_step..].to_vec()
    }

    /// The gradient by effective matrices, then biases.
    pub(super) fn backward(&mut self, net: &Network<'_, R>) -> Vec<R> {
        self.adjoints(net);
        let layers = &net.layout.layers;
        let biases: usize = layers.iter().map(|layer| layer.units).sum();
        let len = net.layout.effective_len + biases + net.params.n_out;
        let mut gradient = vec![R::ZERO; len];
        let (matrices, mut biases) = gradient.split_at_mut(net.layout.effective_len);
        let product = &mut self.product;
        for (l, layer) in layers.iter().enumerate() {
            let n = self.rows * layer.units;
            product.take_left(&self.delta[l], [self.steps * self.rows, layer.units]);
            let input = &net.layout.links[layer.input];
            let below = match l.checked_sub(1) {
                None => &self.x[..],
                Some(below) => &self.h[below][self.rows * input.pre..],
            };
            product.sum(net, layer.input, matrices, below);
            let before = &self.h[l][..self.steps * n];
            product.sum(net, layer.recurrent, matrices, before);
            let (own, rest) = biases.split_at_mut(layer.units);
            sum_rows(own, &self.delta[l]);
            biases = rest;
        }
        let link = &net.layout.links[net.layout.read_out];
        let scored = self.scored.len() * self.rows;
        product.take_left(&self.o_derivative, [scored, link.post]);
        let below = self.h.last().map_or(&[][..], |h| h);
        let below = &below[(self.scored.start + 1) * self.rows * link.pre..];
        product.sum(net, net.layout.read_out, matrices, below);
        sum_rows(biases, &self.o_derivative);
        gradient
    }

    /// δ of every layer and step, from the last to the first.
    fn adjoints(&mut self, net: &Network<'_, R>) {
        let layers = &net.layout.layers;
        let rows = self.rows;
        self.delta.resize_with(layers.len(), Vec::new);
        for (delta, layer) in self.delta.iter_mut().zip(layers) {
            delta.resize(self.steps * rows * layer.units, R::ZERO);
        }
        for step in (0..self.steps).rev() {
            for l in (0..layers.len()).rev() {
                let (own, above) = self.delta.split_at_mut(l + 1);
                let above = match (above.first(), layers.get(l + 1)) {
                    (Some(delta), Some(layer)) => {
                        Some((layer.input, at(delta, step, rows * layer.units)))
                    }
                    _ => step.checked_sub(self.scored.start).map(|scored| {
                        let per_step = rows * net.params.n_out;
                        (
                            net.layout.read_out,
                            at(&self.o_derivative, scored, per_step),
                        )
                    }),
                };
                let len = rows * layers[l].units;
                let (now, after) = own[l][step * len..].split_at_mut(len);
                let backward = &net.effective.backward;
                let recurrent = &backward[layers[l].recurrent];
                let factors = [
                    above.map(|(link, lambda)| (&backward[link], lambda)),
                    (!after.is_empty()).then(|| (recurrent, &after[..len])),
                ];
                sum_products(net.arch, now, &factors, rows);
                let active = at(&self.h[l], step + 1, len);
                for (delta, &h) in now.iter_mut().zip(active) {
                    *delta = if h > R::ZERO { *delta } else { R::ZERO };
                }
            }
        }
    }
}

impl<R: Real> Network<'_, R> {
    fn bias(&self, tensor: usize) -> &[R] {
        &self.stored[self.layout.tensors[tensor].range()]
    }
}

/// Sums of products over all steps and rows of a group.
#[derive(Default)]
struct Product<R> {
    /// `[post, step and row]`; what is behind it is left from a larger one.
    left: Vec<R>,
    /// Steps and rows.
    depth: usize,
    /// By link, `[step and row, pre]`.
    right: Vec<Strips<R>>,
}

impl<R: Real> Product<R> {
    /// Takes over `[step and row, post]`.
    fn take_left(&mut self, left: &[R], shape: [usize; 2]) {
        let missing = left.len().saturating_sub(self.left.len());
        self.left.extend(std::iter::repeat_n(R::ZERO, missing));
        self.depth = shape[0];
        transpose(left, shape, &mut self.left[..left.len()]);
    }

    /// The matrix of link `number` in `matrices`, from what is on the left and `right`, `[step and row, pre]`.
    fn sum(&mut self, net: &Network<'_, R>, number: usize, matrices: &mut [R], right: &[R]) {
        let link = &net.layout.links[number];
        if self.right.len() <= number {
            self.right.resize_with(number + 1, Strips::default);
        }
        let strips = &mut self.right[number];
        strips.fill(net.arch, right, [self.depth, link.pre]);
        let factors = [Some((&*strips, &self.left[..]))];
        sum_products(net.arch, &mut matrices[link.range()], &factors, link.post);
    }
}

/// Entry `step` of an array of entries of `len`.
fn at<R>(all: &[R], step: usize, len: usize) -> &[R] {
    &all[step * len..][..len]
}

fn add_bias<R: Real>(rows: &mut [R], bias: &[R], then: impl Fn(R) -> R) {
    for row in rows.chunks_exact_mut(bias.len().max(1)) {
        for (x, &b) in row.iter_mut().zip(bias) {
            *x = then(*x + b);
        }
    }
}

fn sum_rows<R: Real>(to: &mut [R], rows: &[R]) {
    for row in rows.chunks_exact(to.len().max(1)) {
        for (sum, &x) in to.iter_mut().zip(row) {
            *sum += x;
        }
    }
}
