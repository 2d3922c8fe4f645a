//! The dispatches of a chunk of trials, in order, with what each is told.

use std::ops::Range;

use super::kernels::{ChainPart, TILE, TRIALS, WORKGROUP};
use super::plan::{Words, rows_of_a_dispatch, steps_of_a_dispatch};
use super::steps::{
    BackwardStep, BiasGradientStep, ChainStep, EffectiveStep, ForwardStep, GradientsStep,
    KernelDispatch, LossStep, OutputsStep, dispatch,
};
use super::{Chunk, GpuEngine};
use crate::gpu::linear_grid;
use crate::rate_rnn::TRIAL_GROUP;
use crate::rate_rnn::weights::{Link, Parts};

/// What the gradient of a matrix is a product of: the kernel's fields but for sizes and place.
#[derive(Clone, Copy)]
struct Sides {
    /// Steps that are summed over.
    steps: usize,
    left_first: usize,
    left_is_output: bool,
    left_at: usize,
    right_first: usize,
    right_is_x: bool,
    right_at: usize,
}

impl Sides {
    fn left_stride(&self, words: &Words) -> usize {
        if self.left_is_output {
            words.outputs
        } else {
            words.h
        }
    }

    fn right_stride(&self, words: &Words) -> usize {
        if self.right_is_x { words.x } else { words.h }
    }
}

/// A grid for these lanes.
fn over([x, y, _]: [usize; 3], lanes: &Range<usize>) -> [usize; 3] {
    [x, y, lanes.len()]
}

impl GpuEngine {
    /// First entry of a layer in h and δ, of the first lane.
    fn layer_at(&self, layer: usize, chunk: &Chunk) -> usize {
        let below: usize = self.params.layers[..layer].iter().sum();
        chunk.lanes.start * chunk.words.h + below * chunk.steps * chunk.trials
    }

    fn bias_at(&self, tensor: usize, chunk: &Chunk) -> u32 {
        let lane_at = chunk.lanes.start * self.layout.len;
        (lane_at + self.layout.tensors[tensor].offset) as u32
    }

    fn matrix_at(&self, link: usize, chunk: &Chunk) -> u32 {
        let lane_at = chunk.lanes.start * self.layout.effective_len;
        (lane_at + self.layout.links[link].offset) as u32
    }

    /// Effective matrices from the stored ones, of lanes whose matrices are put together alike.
    pub(super) fn effective(&self, lanes: Range<usize>) -> Vec<KernelDispatch> {
        let layout = &self.lanes[lanes.start].layout;
        let lane_at = lanes.start * layout.len;
        let at = |tensor: usize| (lane_at + layout.tensors[tensor].offset) as u32;
        let of = |link: &Link| {
            let sizes = EffectiveStep {
                post: link.post as u32,
                pre: link.pre as u32,
                at: (lanes.start * layout.effective_len + link.offset) as u32,
                stored_stride: layout.len as u32,
                effective_stride: layout.effective_len as u32,
                ..EffectiveStep::default()
            };
            let step = match link.parts {
                Parts::Columns { w, inhibitory } => EffectiveStep {
                    inhibitory: inhibitory as u32,
                    w_at: at(w),
                    ..sizes
                },
                Parts::Dann {
                    ex,
                    ix,
                    ei,
                    inhibitory,
                } => EffectiveStep {
                    is_dann: 1,
                    inhibitory: inhibitory as u32,
                    w_at: at(ex),
                    ix_at: at(ix),
                    ei_at: at(ei),
                    ..sizes
                },
            };
            let grid = linear_grid(link.post * link.pre, WORKGROUP);
            dispatch("optimiser", over(grid, &lanes), step)
        };
        layout.links.iter().map(of).collect()
    }

    /// Layers from the input up, outputs, and losses.
    pub(super) fn forward_passes(&self, chunk: &Chunk, every_step: bool) -> Vec<KernelDispatch> {
        let mut out = Vec::new();
        let mut below = self.params.n_in;
        for (l, layer) in self.layout.layers.iter().enumerate() {
            let terms = below + layer.units;
            let most = steps_of_a_dispatch(terms, layer.units, self.gpu.is_software());
            for first in (0..chunk.steps).step_by(most) {
                let step = ForwardStep {
                    first: first as u32,
                    count: most.min(chunk.steps - first) as u32,
                    trials: chunk.trials as u32,
                    units: layer.units as u32,
                    below: below as u32,
                    below_is_x: u32::from(l == 0),
                    below_at: match l.checked_sub(1) {
                        None => chunk.lanes.start * chunk.words.x,
                        Some(below) => self.layer_at(below, chunk),
                    } as u32,
                    own_at: self.layer_at(l, chunk) as u32,
                    input_at: self.matrix_at(layer.input, chunk),
                    recurrent_at: self.matrix_at(layer.recurrent, chunk),
                    bias_at: self.bias_at(layer.bias, chunk),
                    below_stride: if l == 0 { chunk.words.x } else { chunk.words.h } as u32,
                    own_stride: chunk.words.h as u32,
                    effective_stride: self.layout.effective_len as u32,
                    stored_stride: self.layout.len as u32,
                    unused: 0,
                };
                let grid = over([chunk.trials.div_ceil(TRIALS), 1, 1], &chunk.lanes);
                out.push(dispatch("forward", grid, step));
            }
            below = layer.units;
        }
        out.extend(self.outputs_and_losses(chunk, every_step));
        out
    }

    fn outputs_and_losses(&self, chunk: &Chunk, every_step: bool) -> [KernelDispatch; 2] {
        let n_out = self.params.n_out;
        let scored_row = chunk.scored_from * chunk.trials;
        let first_row = if every_step { 0 } else { scored_row };
        let all_rows = chunk.steps * chunk.trials;
        let outputs = OutputsStep {
            first_row: first_row as u32,
            rows: (all_rows - first_row) as u32,
            units: self.params.last_units() as u32,
            n_out: n_out as u32,
            h_at: self.layer_at(self.params.layers.len() - 1, chunk) as u32,
            weights_at: self.matrix_at(self.layout.read_out, chunk),
            bias_at: self.bias_at(self.layout.read_out_bias, chunk),
            outputs_at: (chunk.lanes.start * chunk.words.outputs) as u32,
            h_stride: chunk.words.h as u32,
            effective_stride: self.layout.effective_len as u32,
            stored_stride: self.layout.len as u32,
            outputs_stride: chunk.words.outputs as u32,
        };
        let scored = all_rows - scored_row;
        let loss = LossStep {
            first_row: scored_row as u32,
            rows: scored as u32,
            n_out: n_out as u32,
            has_classes: u32::from(self.params.loss.has_classes()),
            factor: 1.0 / chunk.scored_of_batch as f32,
            outputs_at: outputs.outputs_at,
            targets_at: (chunk.lanes.start * chunk.words.targets) as u32,
            losses_at: (chunk.lanes.start * chunk.words.losses / 2) as u32,
            outputs_stride: outputs.outputs_stride,
            targets_stride: chunk.words.targets as u32,
            losses_stride: (chunk.words.losses / 2) as u32,
            unused: 0,
        };
        let grid = linear_grid((all_rows - first_row) * n_out, WORKGROUP);
        [
            dispatch("forward", over(grid, &chunk.lanes), outputs),
            dispatch("loss", over(linear_grid(scored, 1), &chunk.lanes), loss),
        ]
    }

    /// δ of the layers from the read-out down.
    pub(super) fn backward_passes(&self, chunk: &Chunk) -> Vec<KernelDispatch> {
        let mut out = Vec::new();
        let layers = &self.layout.layers;
        for (l, layer) in layers.iter().enumerate().rev() {
            let (above, link, above_at) = match layers.get(l + 1) {
                Some(above) => (above.units, above.input, self.layer_at(l + 1, chunk)),
                None => (
                    self.params.n_out,
                    self.layout.read_out,
                    chunk.lanes.start * chunk.words.outputs,
                ),
            };
            let terms = above + layer.units;
            let most = steps_of_a_dispatch(terms, layer.units, self.gpu.is_software());
            for done in (0..chunk.steps).step_by(most) {
                let step = BackwardStep {
                    end: (chunk.steps - done) as u32,
                    count: most.min(chunk.steps - done) as u32,
                    steps: chunk.steps as u32,
                    trials: chunk.trials as u32,
                    units: layer.units as u32,
                    own_at: self.layer_at(l, chunk) as u32,
                    recurrent_at: self.matrix_at(layer.recurrent, chunk),
                    above: above as u32,
                    above_is_output: u32::from(l + 1 == layers.len()),
                    above_at: above_at as u32,
                    above_first: chunk.scored_from as u32,
                    matrix_at: self.matrix_at(link, chunk),
                    own_stride: chunk.words.h as u32,
                    above_stride: match l + 1 == layers.len() {
                        true => chunk.words.outputs,
                        false => chunk.words.h,
                    } as u32,
                    effective_stride: self.layout.effective_len as u32,
                    unused: 0,
                };
                let grid = over([chunk.trials.div_ceil(TRIALS), 1, 1], &chunk.lanes);
                out.push(dispatch("backward", grid, step));
            }
        }
        out
    }

    /// Adds the chunk's gradients by effective matrices and biases.
    pub(super) fn gradients(&self, chunk: &Chunk) -> Vec<KernelDispatch> {
        let mut out = Vec::new();
        let mut bias_at = chunk.lanes.start * self.gradient_len + self.layout.effective_len;
        for (l, layer) in self.layout.layers.iter().enumerate() {
            let own = self.layer_at(l, chunk);
            let of_input = Sides {
                steps: chunk.steps,
                left_first: 0,
                left_is_output: false,
                left_at: own,
                right_first: 0,
                right_is_x: l == 0,
                right_at: match l.checked_sub(1) {
                    None => chunk.lanes.start * chunk.words.x,
                    Some(below) => self.layer_at(below, chunk),
                },
            };
            self.product(&mut out, chunk, layer.input, of_input);
            self.column_sums(&mut out, chunk, [layer.units, bias_at], of_input);
            bias_at += layer.units;
            // h before the first step is 0.
            let of_recurrent = Sides {
                steps: chunk.steps - 1,
                left_first: 1,
                right_is_x: false,
                right_at: own,
                ..of_input
            };
            self.product(&mut out, chunk, layer.recurrent, of_recurrent);
        }
        let of_read_out = Sides {
            steps: chunk.steps - chunk.scored_from,
            left_first: chunk.scored_from,
            left_is_output: true,
            left_at: chunk.lanes.start * chunk.words.outputs,
            right_first: chunk.scored_from,
            right_is_x: false,
            right_at: self.layer_at(self.params.layers.len() - 1, chunk),
        };
        self.product(&mut out, chunk, self.layout.read_out, of_read_out);
        self.column_sums(&mut out, chunk, [self.params.n_out, bias_at], of_read_out);
        out
    }

    /// Pieces, first row and rows, of the rows that are summed over.
    fn row_pieces(&self, chunk: &Chunk, steps: usize) -> impl Iterator<Item = [u32; 2]> {
        let rows = chunk.trials.div_ceil(TRIAL_GROUP) * TRIAL_GROUP * steps;
        let most = rows_of_a_dispatch(self.gpu.is_software());
        let piece = move |first: usize| [first as u32, most.min(rows - first) as u32];
        (0..rows).step_by(most).map(piece)
    }

    fn product(&self, out: &mut Vec<KernelDispatch>, chunk: &Chunk, link: usize, sides: Sides) {
        let link = &self.layout.links[link];
        for [first, count] in self.row_pieces(chunk, sides.steps) {
            let step = GradientsStep {
                post: link.post as u32,
                pre: link.pre as u32,
                trials: chunk.trials as u32,
                steps: sides.steps as u32,
                left_first: sides.left_first as u32,
                left_is_output: u32::from(sides.left_is_output),
                left_at: sides.left_at as u32,
                right_first: sides.right_first as u32,
                right_is_x: u32::from(sides.right_is_x),
                right_at: sides.right_at as u32,
                to_at: (chunk.lanes.start * self.gradient_len + link.offset) as u32,
                first,
                count,
                left_stride: sides.left_stride(&chunk.words) as u32,
                right_stride: sides.right_stride(&chunk.words) as u32,
                to_stride: self.gradient_len as u32,
            };
            let grid = [link.pre.div_ceil(TILE), link.post.div_ceil(TILE), 1];
            let grid = over(grid, &chunk.lanes);
            out.push(dispatch("weight gradients", grid, step));
        }
    }

    fn column_sums(
        &self,
        out: &mut Vec<KernelDispatch>,
        chunk: &Chunk,
        [units, to_at]: [usize; 2],
        sides: Sides,
    ) {
        for [first, count] in self.row_pieces(chunk, sides.steps) {
            let step = BiasGradientStep {
                units: units as u32,
                trials: chunk.trials as u32,
                steps: sides.steps as u32,
                left_first: sides.left_first as u32,
                left_is_output: u32::from(sides.left_is_output),
                left_at: sides.left_at as u32,
                to_at: to_at as u32,
                first,
                count,
                left_stride: sides.left_stride(&chunk.words) as u32,
                to_stride: self.gradient_len as u32,
                unused: 0,
            };
            let grid = over([units.div_ceil(WORKGROUP as usize), 1, 1], &chunk.lanes);
            out.push(dispatch("weight gradients", grid, step));
        }
    }

    /// Gradients by the stored tensors, of lanes whose matrices are put together alike.
    pub(super) fn chain(&self, lanes: Range<usize>) -> Vec<KernelDispatch> {
        let layout = &self.lanes[lanes.start].layout;
        let (lane_at, gradient_at) = (lanes.start * layout.len, lanes.start * self.gradient_len);
        let at = |tensor: usize| (lane_at + layout.tensors[tensor].offset) as u32;
        let mut out = Vec::new();
        let mut push = |tensor: usize, part: ChainPart, step: ChainStep| {
            let step = ChainStep {
                part: part as u32,
                to_at: at(tensor),
                from_stride: self.gradient_len as u32,
                stored_stride: layout.len as u32,
                ..step
            };
            let grid = over(linear_grid(layout.tensors[tensor].len(), WORKGROUP), &lanes);
            out.push(dispatch("weight gradients", grid, step));
        };
        for link in &layout.links {
            let sizes = ChainStep {
                post: link.post as u32,
                pre: link.pre as u32,
                from_at: (gradient_at + link.offset) as u32,
                ..ChainStep::default()
            };
            match link.parts {
                Parts::Columns { w, inhibitory } => {
                    let inhibitory = inhibitory as u32;
                    push(
                        w,
                        ChainPart::Columns,
                        ChainStep {
                            inhibitory,
                            ..sizes
                        },
                    );
                }
                Parts::Dann {
                    ex,
                    ix,
                    ei,
                    inhibitory,
                } => {
                    push(ex, ChainPart::Columns, sizes);
                    let inhibitory = inhibitory as u32;
                    let (of_ei, of_ix) = ((ei, at(ix)), (ix, at(ei)));
                    for ((tensor, other_at), part) in [
                        (of_ei, ChainPart::Inhibition),
                        (of_ix, ChainPart::IntoInhibition),
                    ] {
                        let step = ChainStep {
                            inhibitory,
                            other_at,
                            ..sizes
                        };
                        push(tensor, part, step);
                    }
                }
            }
        }
        let mut from_at = gradient_at + layout.effective_len;
        let biases = layout.layers.iter().map(|layer| layer.bias);
        for bias in biases.chain([layout.read_out_bias]) {
            let units = layout.tensors[bias].len();
            let step = ChainStep {
                post: units as u32,
                pre: 1,
                from_at: from_at as u32,
                ..ChainStep::default()
            };
            push(bias, ChainPart::Columns, step);
            from_at += units;
        }
        out
    }
}
