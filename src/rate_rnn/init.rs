//! Initial weights.
//!
//! Exp(x) is the exponential distribution of mean x; n the units of a layer, n_e and n_i the excitatory and inhibitory
//! ones among the units that a matrix comes from, c = (2π − 1)/2π.
//!
//! * standard: U, W ~ U(±1/√n), the read-out ~ N(0, 2/n_pre);
//! * col_ei: columns ~ Exp(σ_e) and Exp(σ_i) with σ_e = [c (n_e + n_e²/n_i)]^−½ and σ_i = σ_e n_e/n_i, so that rows
//!   are balanced; W without self-connections, rescaled to a given spectral radius; the first U ~ Exp(1/√n_in);
//! * dann: excitation ~ Exp(s), s = [3(n − 1)]^−½, for the read-out Exp(√(2 n_out/(n_pre (n_out − 1)))); every row of X
//!   is the mean of the rows of the excitatory matrix, rows of I are Exp, normalised to the sum 1, so that the columns
//!   of the effective matrix sum to 0.
//!
//! A `standard` network may instead begin with effective matrices put together from starts of two kinds, U diag(σ) Vᵀ.
//!
//! Biases are 0.

use super::cpu::effective_matrix;
use super::params::{Kind, Params};
use super::settings::Transplant;
use super::weights::{Layout, Link, Parts, TensorSpec};
use crate::random::{Purpose, Stream};
use crate::spectra::{SpectrumError, singular_values, spectral_radius, with_singular_values};

/// What initial weights depend on beside the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InitialWeights {
    /// Seed of the draws.
    pub seed: u64,
    /// Spectral radius of the recurrent matrices of `col_ei`.
    pub spectral_radius: f64,
    /// In `dann`, draw the weights into inhibitory units like those of the excitatory matrix instead of taking its
    /// mean row.
    pub random_inhibition: bool,
    /// Spectral radius of the recurrent matrices of `standard`; none: as drawn.
    pub standard_radius: Option<f64>,
    /// What a `standard` network begins with instead of its own draws.
    pub transplant: Option<Transplant>,
}

/// Draws the stored weights of a network, flat. An entry depends on the seed, its tensor and its place in it.
///
/// # Errors
/// Eigenvalues that do not converge.
pub fn draw(params: &Params, initial: &InitialWeights) -> Result<Vec<f32>, SpectrumError> {
    if let Some(transplant) = initial.transplant {
        return transplanted(params, initial, transplant);
    }
    let layout = Layout::new(params);
    let mut flat = vec![0.0; layout.len];
    for (number, link) in layout.links.iter().enumerate() {
        let draw = Draw {
            params,
            layout: &layout,
            initial,
            is_read_out: number == layout.read_out,
            is_recurrent: layout.layers.iter().any(|layer| layer.recurrent == number),
            is_first: number == 0,
            link,
        };
        draw.link(&mut flat)?;
    }
    Ok(flat)
}

/// The start of a `standard` network from those of two kinds.
fn transplanted(
    params: &Params,
    initial: &InitialWeights,
    transplant: Transplant,
) -> Result<Vec<f32>, SpectrumError> {
    let of = |kind| -> Result<Vec<f64>, SpectrumError> {
        let params = Params {
            kind,
            ..params.clone()
        };
        let initial = InitialWeights {
            transplant: None,
            ..*initial
        };
        let layout = Layout::new(&params);
        let stored = draw(&params, &initial)?;
        let stored: Vec<f64> = stored.into_iter().map(f64::from).collect();
        let links = layout.links.iter();
        Ok(links
            .flat_map(|link| effective_matrix(&layout, link, &stored))
            .collect())
    };
    let (vectors, spectrum) = (of(transplant.vectors)?, of(transplant.spectrum)?);
    let layout = Layout::new(params);
    let mut flat = vec![0.0; layout.len];
    for link in &layout.links {
        let Parts::Columns { w, .. } = link.parts else {
            continue;
        };
        let shape = [link.post, link.pre];
        let matrix = match transplant.vectors == transplant.spectrum {
            true => vectors[link.range()].to_vec(),
            false => {
                let values = singular_values(&spectrum[link.range()], shape)?;
                with_singular_values(&vectors[link.range()], shape, &values)?
            }
        };
        for (to, x) in flat[layout.tensors[w].range()].iter_mut().zip(matrix) {
            *to = x as f32;
        }
    }
    Ok(flat)
}

/// The draw of one link.
struct Draw<'a> {
    params: &'a Params,
    layout: &'a Layout,
    initial: &'a InitialWeights,
    link: &'a Link,
    is_first: bool,
    is_recurrent: bool,
    is_read_out: bool,
}

impl Draw<'_> {
    fn link(&self, flat: &mut [f32]) -> Result<(), SpectrumError> {
        match self.link.parts {
            Parts::Columns { w, .. } if self.params.kind == Kind::Standard => {
                self.standard(w, flat);
                match self.initial.standard_radius {
                    Some(radius) if self.is_recurrent => self.rescale(w, radius, flat),
                    _ => Ok(()),
                }
            }
            Parts::Columns { w, inhibitory } => self.columns(w, inhibitory, flat),
            Parts::Dann { ex, ix, ei, .. } => {
                self.dann([ex, ix, ei], flat);
                Ok(())
            }
        }
    }

    /// Fills a tensor row by row, an entry from its column and the random numbers of its row.
    fn fill(
        &self,
        tensor: usize,
        flat: &mut [f32],
        mut entry: impl FnMut(usize, &mut Stream) -> f64,
    ) {
        let spec: &TensorSpec = &self.layout.tensors[tensor];
        let columns = spec.shape[1].max(1);
        let rows = flat[spec.range()].chunks_exact_mut(columns);
        for (row, values) in rows.enumerate() {
            let mut stream = Stream::new(
                Purpose::Weights,
                self.initial.seed,
                tensor as u64,
                row as u64,
            );
            for (column, value) in values.iter_mut().enumerate() {
                *value = entry(column, &mut stream) as f32;
            }
        }
    }

    fn standard(&self, w: usize, flat: &mut [f32]) {
        if self.is_read_out {
            let deviation = (2.0 / self.link.pre as f64).sqrt();
            self.fill(w, flat, |_, stream| deviation * stream.normal());
        } else {
            let bound = 1.0 / (self.link.post as f64).sqrt();
            self.fill(w, flat, |_, stream| {
                bound * (2.0 * stream.uniform_f64_open() - 1.0)
            });
        }
    }

    fn columns(&self, w: usize, inhibitory: usize, flat: &mut [f32]) -> Result<(), SpectrumError> {
        if self.is_first {
            let mean = 1.0 / (self.link.pre as f64).sqrt();
            self.fill(w, flat, |_, stream| exponential(mean, stream));
            return Ok(());
        }
        let n_i = inhibitory as f64;
        let n_e = (self.link.pre - inhibitory) as f64;
        let c = 1.0 - 1.0 / std::f64::consts::TAU;
        let sigma_e = 1.0 / (c * (n_e + n_e * n_e / n_i)).sqrt();
        let sigma_i = sigma_e * n_e / n_i;
        self.fill(w, flat, |column, stream| {
            let mean = if self.link.sign(column) > 0.0 {
                sigma_e
            } else {
                sigma_i
            };
            exponential(mean, stream)
        });
        if !self.is_recurrent {
            return Ok(());
        }
        let range = self.layout.tensors[w].range();
        let stored = &mut flat[range];
        for own in stored.iter_mut().step_by(self.link.pre + 1) {
            *own = 0.0;
        }
        self.rescale(w, self.initial.spectral_radius, flat)
    }

    /// Gives a recurrent matrix this spectral radius.
    fn rescale(&self, w: usize, radius: f64, flat: &mut [f32]) -> Result<(), SpectrumError> {
        let whole: Vec<f64> = flat.iter().map(|&x| f64::from(x)).collect();
        let matrix = effective_matrix(self.layout, self.link, &whole);
        // Rounded, so that the weights are the same where vector units sum in another order.
        let drawn = spectral_radius(&matrix, self.link.pre)? as f32;
        if drawn > 0.0 {
            let factor = radius / f64::from(drawn);
            for x in &mut flat[self.layout.tensors[w].range()] {
                *x = (f64::from(*x) * factor) as f32;
            }
        }
        Ok(())
    }

    fn dann(&self, [ex, ix, ei]: [usize; 3], flat: &mut [f32]) {
        let (post, pre) = (self.link.post as f64, self.link.pre as f64);
        let mean = match (self.is_read_out, self.link.post) {
            (false, units) => 1.0 / (3.0 * (units.max(2) - 1) as f64).sqrt(),
            // With one output the matrix is then exactly 0: it is its own mean row.
            (true, 1) => (2.0 / pre).sqrt(),
            (true, _) => (2.0 * post / (pre * (post - 1.0))).sqrt(),
        };
        self.fill(ex, flat, |_, stream| exponential(mean, stream));
        if self.initial.random_inhibition {
            self.fill(ix, flat, |_, stream| exponential(mean, stream));
        } else {
            let rows = flat[self.layout.tensors[ex].range()].chunks_exact(self.link.pre);
            let mut sums = vec![0.0; self.link.pre];
            for row in rows {
                for (sum, &w) in sums.iter_mut().zip(row) {
                    *sum += f64::from(w);
                }
            }
            self.fill(ix, flat, |column, _| sums[column] / post);
        }
        self.fill(ei, flat, |_, stream| exponential(1.0, stream));
        let spec = &self.layout.tensors[ei];
        for row in flat[spec.range()].chunks_exact_mut(spec.shape[1]) {
            let sum: f64 = row.iter().map(|&w| f64::from(w)).sum();
            for w in row {
                *w = (f64::from(*w) / sum) as f32;
            }
        }
    }
}

fn exponential(mean: f64, stream: &mut Stream) -> f64 {
    -mean * libm::log(stream.uniform_f64_open())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_rnn::params::{Loss, Recipe};
    use crate::spectra::{singular_values, svd_entropy};

    fn params(kind: Kind, layers: &[usize], n_out: usize) -> Params {
        Params {
            kind,
            n_in: 28,
            layers: layers.into(),
            n_out,
            inhibitory_fraction: 0.1,
            loss: Loss::CrossEntropyLast,
            recipe: Recipe::descent(0.01, None),
        }
    }

    fn drawn(params: &Params, seed: u64) -> Vec<f64> {
        let initial = InitialWeights {
            seed,
            spectral_radius: 1.5,
            random_inhibition: false,
            standard_radius: None,
            transplant: None,
        };
        let flat = draw(params, &initial).unwrap();
        flat.into_iter().map(f64::from).collect()
    }

    fn link(params: &Params, seed: u64, name: &str) -> (Vec<f64>, [usize; 2]) {
        let layout = Layout::new(params);
        let link = layout.links.iter().find(|link| link.name == name).unwrap();
        let matrix = effective_matrix(&layout, link, &drawn(params, seed));
        (matrix, [link.post, link.pre])
    }

    /// H of the recurrent matrices at the start, as the authors' code gives them.
    #[test]
    fn entropies_of_the_singular_values_are_those_reported() {
        for (n, kind, fraction, expected) in [
            (100, Kind::Standard, 0.1, 0.953),
            (100, Kind::Dann, 0.1, 0.950),
            (100, Kind::ColEi, 0.01, 0.512),
            (100, Kind::ColEi, 0.1, 0.796),
            (100, Kind::ColEi, 0.5, 0.921),
            (300, Kind::Standard, 0.1, 0.962),
            (300, Kind::Dann, 0.1, 0.961),
            (300, Kind::ColEi, 0.01, 0.601),
            (300, Kind::ColEi, 0.1, 0.842),
            (300, Kind::ColEi, 0.5, 0.941),
            (1000, Kind::Standard, 0.1, 0.969),
            (1000, Kind::Dann, 0.1, 0.968),
            (1000, Kind::ColEi, 0.01, 0.681),
            (1000, Kind::ColEi, 0.1, 0.875),
            (1000, Kind::ColEi, 0.5, 0.956),
        ] {
            let params = Params {
                inhibitory_fraction: fraction,
                ..params(kind, &[n], 10)
            };
            let seeds = if n == 1000 { 2 } else { 5 };
            let of = |seed| {
                let (matrix, shape) = link(&params, seed, "l0.w");
                svd_entropy(&singular_values(&matrix, shape).unwrap())
            };
            let mean = (0..seeds).map(of).sum::<f64>() / seeds as f64;
            assert!(
                (mean - expected).abs() < 0.012,
                "{n} {kind:?} {fraction}: {mean:.4}"
            );
        }
    }

    #[test]
    fn a_transplant_has_the_vectors_of_one_start_and_the_singular_values_of_another() {
        let own = params(Kind::Standard, &[40, 30], 10);
        let layout = Layout::new(&own);
        let start = |params: &Params, standard_radius, transplant| {
            let initial = InitialWeights {
                seed: 4,
                spectral_radius: 1.5,
                random_inhibition: false,
                standard_radius,
                transplant,
            };
            let stored = draw(params, &initial).unwrap();
            let stored: Vec<f64> = stored.into_iter().map(f64::from).collect();
            let layout = Layout::new(params);
            let matrix = |link| effective_matrix(&layout, link, &stored);
            layout.links.iter().map(matrix).collect::<Vec<_>>()
        };
        let columns = start(&params(Kind::ColEi, &[40, 30], 10), None, None);
        let free = start(&own, None, None);
        let of = |vectors, spectrum| start(&own, None, Some(Transplant { vectors, spectrum }));
        assert_eq!(of(Kind::ColEi, Kind::ColEi), columns);
        assert_eq!(of(Kind::Standard, Kind::Standard), free);
        let mixed = of(Kind::ColEi, Kind::Standard);
        for (number, link) in layout.links.iter().enumerate() {
            let shape = [link.post, link.pre];
            let values = |matrix: &[f64]| singular_values(matrix, shape).unwrap();
            for (a, b) in values(&mixed[number]).iter().zip(values(&free[number])) {
                assert!((a - b).abs() < 1e-5, "{}: {a} {b}", link.name);
            }
            // With the singular values that belong to its vectors it is the start that those are of.
            let back =
                with_singular_values(&mixed[number], shape, &values(&columns[number])).unwrap();
            for (a, b) in back.iter().zip(&columns[number]) {
                assert!((a - b).abs() < 1e-4, "{}: {a} {b}", link.name);
            }
        }
        let rescaled = start(&own, Some(1.41), None);
        assert!((spectral_radius(&rescaled[1], 40).unwrap() - 1.41).abs() < 1e-5);
        assert_eq!(rescaled[0], free[0]);
    }

    #[test]
    fn columns_have_the_radius_no_self_connections_and_balanced_rows() {
        let params = params(Kind::ColEi, &[200, 100], 10);
        let (matrix, [n, _]) = link(&params, 3, "l0.w");
        assert!((spectral_radius(&matrix, n).unwrap() - 1.5).abs() < 1e-5);
        assert!(matrix.iter().step_by(n + 1).all(|&own| own == 0.0));
        let (input, _) = link(&params, 3, "l0.u");
        assert!(input.iter().all(|&w| w >= 0.0));
        // Rows sum to 0 on average; the sum of a row has a standard deviation of about 1.
        for name in ["l1.u", "out.w"] {
            let (matrix, [post, _]) = link(&params, 3, name);
            let mean = matrix.iter().sum::<f64>() / post as f64;
            assert!(mean.abs() < 4.0 / (post as f64).sqrt(), "{name}: {mean}");
            let squares = matrix.iter().map(|w| w * w).sum::<f64>() / post as f64;
            assert!((1.0..4.0).contains(&squares), "{name}: {squares}");
        }
    }

    /// Means of what is drawn, at sizes where they are sharp.
    #[test]
    fn draws_have_the_means_of_their_formulas() {
        let mean = |kind: Kind, tensor: &str| {
            let params = params(kind, &[200, 100], 10);
            let layout = Layout::new(&params);
            let tensor = &layout.tensors[layout.find(tensor).unwrap()];
            let drawn = drawn(&params, 2);
            let own = &drawn[tensor.range()];
            own.iter().sum::<f64>() / own.len() as f64
        };
        let c = 1.0 - 1.0 / std::f64::consts::TAU;
        let sigma_e = 1.0 / (c * (180.0 + 180.0 * 180.0 / 20.0)).sqrt();
        for (kind, tensor, expected) in [
            (Kind::ColEi, "l0.u", 1.0 / 28f64.sqrt()),
            (
                Kind::ColEi,
                "l1.u",
                (180.0 * sigma_e + 20.0 * 9.0 * sigma_e) / 200.0,
            ),
            (Kind::Dann, "l0.u_ex", 1.0 / (3.0 * 199f64).sqrt()),
            (Kind::Dann, "l1.u_ex", 1.0 / (3.0 * 99f64).sqrt()),
            (Kind::Dann, "l1.w_ex", 1.0 / (3.0 * 99f64).sqrt()),
            (Kind::Dann, "out.w_ex", (20.0 / (100.0 * 9.0f64)).sqrt()),
        ] {
            let found = mean(kind, tensor);
            assert!(
                (found / expected - 1.0).abs() < 0.08,
                "{kind:?} {tensor}: {found} {expected}"
            );
        }
    }

    #[test]
    fn dann_has_columns_that_sum_to_zero_and_so_a_singular_value_of_zero() {
        let params = params(Kind::Dann, &[100], 10);
        for name in ["l0.u", "l0.w", "out.w"] {
            let (matrix, [post, pre]) = link(&params, 1, name);
            for column in 0..pre {
                let sum: f64 = matrix[column..].iter().step_by(pre).sum();
                assert!(sum.abs() < 1e-5 * (post as f64).sqrt(), "{name}: {sum}");
            }
        }
        let (matrix, shape) = link(&params, 1, "l0.w");
        let values = singular_values(&matrix, shape).unwrap();
        assert!(values[99] < 1e-6 * values[0] && values[98] > 1e-4 * values[0]);
    }

    #[test]
    fn the_read_out_of_a_dann_with_one_output_is_exactly_zero_at_the_start() {
        let params = params(Kind::Dann, &[10], 1);
        let (matrix, _) = link(&params, 5, "out.w");
        assert_eq!(matrix, [0.0; 10]);
        let layout = Layout::new(&params);
        let stored = drawn(&params, 5);
        let of = |name: &str| {
            let tensor = &layout.tensors[layout.find(name).unwrap()];
            stored[tensor.range()].to_vec()
        };
        assert_eq!(
            (of("out.w_ei"), of("out.w_ix")),
            (vec![1.0], of("out.w_ex"))
        );
    }

    #[test]
    fn standard_weights_have_their_bounds_and_spread() {
        let params = params(Kind::Standard, &[100], 10);
        let (matrix, _) = link(&params, 7, "l0.w");
        let largest = matrix.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        assert!((0.0999..=0.1).contains(&largest), "{largest}");
        assert!((spectral_radius(&matrix, 100).unwrap() - 0.577).abs() < 0.06);
        let (out, _) = link(&params, 7, "out.w");
        let variance = out.iter().map(|w| w * w).sum::<f64>() / out.len() as f64;
        assert!((variance - 0.02).abs() < 0.003, "{variance}");
        assert_ne!(drawn(&params, 7), drawn(&params, 8));
    }
}
