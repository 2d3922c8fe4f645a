//! Spectra of the E–I loop: its matrices apart, and the operator that the loop is to small changes of the rates.
//!
//! At the mean state every cell has the mean conductances that the mean rates give it, and the voltage V̄ that these
//! lead to, at the most the threshold. A presynaptic rate r adds the mean conductance w r T, T = dt β/(1 − β) the time
//! that a spike's conductance lasts (without the factor β where kicks do not decay at once), and so moves V̄ by
//! w r T (E_rev − V̄)/ḡ, ḡ the whole mean conductance. These numbers, mV per Hz, are the entries of the operator,
//! post × pre over E cells and then I cells. Signed weights can make ḡ of a cell 0 or less: it has no mean state, and
//! its row is 0.
//!
//! Without W_EE and W_II the two blocks map E to I and I to E: eigenvalues are ±√λ, λ those of the way round, of which
//! there are as many as cells of the smaller population, and all others are 0. With weights of 0 and more the leading λ
//! is real and negative, since inhibition is on the way, so the leading eigenvalues are imaginary: the loop turns rates
//! round. Dispersion and dip are those of the singular values that are not 0 by their place.

use super::params::Params;
use super::settings::{MatrixName, SynapseKick};
use super::weights::{Matrix, Weights};
use crate::spectra::{MatrixSpectrum, eigenvalues, singular_values};
use crate::train::spectra::Spectra;

/// Name of the operator among the spectra.
pub const OPERATOR: &str = "operator";

/// Mean rates, Hz.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanState {
    /// Of every input.
    pub input_hz: Vec<f64>,
    /// Of the E cells.
    pub e_hz: f64,
    /// Of the I cells.
    pub i_hz: f64,
}

/// Spectra of W_EI, W_IE (W_EE, W_II where they are) as the forward pass uses them, and of the operator at `state`,
/// where that is known.
pub fn spectra(params: &Params, weights: &Weights, state: Option<&MeanState>) -> Spectra {
    let used = |name: MatrixName| {
        let matrix = weights.get(&name)?;
        Some(transposed(matrix, |w| match is_raw(params, name) {
            true => w,
            false => w.max(0.0),
        }))
    };
    let mut all = Spectra::new();
    for name in [
        MatrixName::WEi,
        MatrixName::WIe,
        MatrixName::WEe,
        MatrixName::WIi,
    ] {
        if let Some(block) = used(name)
            && block.entries.iter().any(|w| *w != 0.0)
        {
            let spectrum = MatrixSpectrum::of(&block.entries, [block.post, block.pre]);
            all.insert(name.short().to_owned(), spectrum);
        }
    }
    let operator = state.map(|state| operator(params, &used, state));
    all.extend(operator.map(|spectrum| (OPERATOR.to_owned(), spectrum)));
    all
}

/// Whether the forward pass takes a matrix as it is stored.
fn is_raw(params: &Params, name: MatrixName) -> bool {
    let training = &params.training;
    training.dale == super::settings::Dale::Signed || (training.signed_loop && name.is_loop())
}

/// A matrix `[post, pre]`.
#[derive(Clone, Debug)]
struct Block {
    post: usize,
    pre: usize,
    entries: Vec<f64>,
}

fn transposed(matrix: &Matrix, used: impl Fn(f64) -> f64) -> Block {
    let Matrix { pre, post, data } = matrix;
    let entry = |at: usize| used(f64::from(data[at % pre * post + at / pre]));
    Block {
        post: *post,
        pre: *pre,
        entries: (0..pre * post).map(entry).collect(),
    }
}

impl Block {
    /// Its product with a rate for each pre cell.
    fn times(&self, rate: impl Fn(usize) -> f64) -> Vec<f64> {
        let row = |row: &[f64]| row.iter().enumerate().map(|(pre, w)| w * rate(pre)).sum();
        self.entries
            .chunks_exact(self.pre.max(1))
            .map(row)
            .collect()
    }
}

/// Mean conductance and voltage of every cell of a population.
struct Population {
    conductance_us: Vec<f64>,
    voltage_mv: Vec<f64>,
}

fn operator(
    params: &Params,
    used: &impl Fn(MatrixName) -> Option<Block>,
    state: &MeanState,
) -> MatrixSpectrum {
    let network = &params.network;
    let lasts_s = |tau_ms: f64, is_input: bool| {
        let beta = (-network.dt_ms / tau_ms).exp();
        let kick = match (network.synapse_kick, is_input) {
            (SynapseKick::Decayed, false) => beta,
            _ => 1.0,
        };
        1e-3 * network.dt_ms * kick / (1.0 - beta)
    };
    let (exc_s, inh_s) = (
        lasts_s(network.tau_ampa_ms, false),
        lasts_s(network.tau_gaba_ms, false),
    );
    let input_s = lasts_s(network.tau_ampa_ms, true);
    let [ee, ei, ie, ii] = [
        MatrixName::WEe,
        MatrixName::WEi,
        MatrixName::WIe,
        MatrixName::WIi,
    ]
    .map(used);
    let mean = |block: &Option<Block>, rate_hz: f64, lasts: f64, cells: usize| -> Vec<f64> {
        let block = block.as_ref().map(|block| block.times(|_| rate_hz * lasts));
        block.unwrap_or_else(|| vec![0.0; cells])
    };
    let population = |exc: Vec<f64>, inh: Vec<f64>, leak_us: f64| {
        let (e_exc, e_inh) = (network.e_exc_mv, network.e_inh_mv);
        let both = || exc.iter().zip(&inh);
        let conductance_us: Vec<f64> = both().map(|(e, i)| leak_us + e + i).collect();
        let voltage = |((e, i), whole): ((&f64, &f64), &f64)| {
            let current = leak_us * network.e_l_mv + e * e_exc + i * e_inh;
            // A NaN stays one.
            (current / whole).clamp(network.v_floor_mv, network.v_th_mv)
        };
        Population {
            voltage_mv: both().zip(&conductance_us).map(voltage).collect(),
            conductance_us,
        }
    };
    let (n_e, n_i) = (params.n_e(), params.n_i());
    let mut into_e = mean(&ee, state.e_hz, exc_s, n_e);
    if let Some(input) = used(MatrixName::WIn) {
        let given = input.times(|pixel| state.input_hz[pixel] * input_s);
        for (sum, own) in into_e.iter_mut().zip(given) {
            *sum += own;
        }
    }
    let e = population(into_e, mean(&ie, state.i_hz, inh_s, n_e), network.g_l_e_us);
    let i = population(
        mean(&ei, state.e_hz, exc_s, n_i),
        mean(&ii, state.i_hz, inh_s, n_i),
        network.g_l_i_us,
    );
    // mV per Hz.
    let block = |of: Option<Block>, post: &Population, lasts: f64, reversal_mv: f64| {
        of.map(|mut block| {
            for (cell, row) in block.entries.chunks_exact_mut(block.pre.max(1)).enumerate() {
                let whole_us = post.conductance_us[cell];
                let drive = match whole_us <= 0.0 {
                    true => 0.0,
                    false => (reversal_mv - post.voltage_mv[cell]) / whole_us,
                };
                row.iter_mut().for_each(|w| *w *= lasts * drive);
            }
            block
        })
    };
    let (e_exc, e_inh) = (network.e_exc_mv, network.e_inh_mv);
    let blocks = [
        block(ee, &e, exc_s, e_exc),
        block(ie, &e, inh_s, e_inh),
        block(ei, &i, exc_s, e_exc),
        block(ii, &i, inh_s, e_inh),
    ];
    let is_zero = |block: &Option<Block>| {
        let entries = block.iter().flat_map(|block| &block.entries);
        entries.copied().all(|w| w == 0.0)
    };
    match &blocks {
        [ee, Some(to_e), Some(to_i), ii] if is_zero(ee) && is_zero(ii) => round_trip(to_e, to_i),
        _ => MatrixSpectrum::of(&whole(&blocks, [n_e, n_i]), [n_e + n_i; 2]),
    }
}

/// The whole operator, E cells first.
fn whole([ee, to_e, to_i, ii]: &[Option<Block>; 4], [n_e, n_i]: [usize; 2]) -> Vec<f64> {
    let n = n_e + n_i;
    let mut all = vec![0.0; n * n];
    for (block, row, column) in [(ee, 0, 0), (to_e, 0, n_e), (to_i, n_e, 0), (ii, n_e, n_e)] {
        let Some(block) = block else { continue };
        for (post, weights) in block.entries.chunks_exact(block.pre.max(1)).enumerate() {
            all[(row + post) * n + column..][..block.pre].copy_from_slice(weights);
        }
    }
    all
}

/// The spectrum of an operator that only leads from E to I and back: singular values are those of both ways, and
/// eigenvalues the square roots of those of the way round.
fn round_trip(to_e: &Block, to_i: &Block) -> MatrixSpectrum {
    let n = to_e.post + to_i.post;
    let of = |block: &Block| singular_values(&block.entries, [block.post, block.pre]);
    let (Ok(first), Ok(second)) = (of(to_e), of(to_i)) else {
        return MatrixSpectrum::from_values([n, n], Vec::new(), Vec::new());
    };
    let mut values = [first, second].concat();
    values.sort_by(|a, b| b.total_cmp(a));
    let of_both_ways = MatrixSpectrum::from_values([n, n], values.clone(), Vec::new());
    values.resize(n, 0.0);
    // The way round from the smaller population, whose eigenvalues are all that are not 0.
    let (out, back) = match to_e.post < to_i.post {
        true => (to_i, to_e),
        false => (to_e, to_i),
    };
    let cells = back.post;
    let mut around = vec![0.0; cells * cells];
    for (row, weights) in around
        .chunks_exact_mut(cells.max(1))
        .zip(back.entries.chunks_exact(back.pre.max(1)))
    {
        for (w, out) in weights.iter().zip(out.entries.chunks_exact(out.pre.max(1))) {
            for (sum, o) in row.iter_mut().zip(out) {
                *sum += w * o;
            }
        }
    }
    let roots = eigenvalues(&around, cells).map(|squares| {
        let roots = squares.into_iter().map(square_root);
        let mut both: Vec<[f64; 2]> = roots.flat_map(|root| [root, root.map(|x| -x)]).collect();
        both.resize(n, [0.0; 2]);
        both
    });
    let MatrixSpectrum {
        coefficient_of_variation,
        quartile_ratio,
        dip,
        dip_p,
        ..
    } = of_both_ways;
    MatrixSpectrum {
        coefficient_of_variation,
        quartile_ratio,
        dip,
        dip_p,
        ..MatrixSpectrum::from_values([n, n], values, roots.unwrap_or_default())
    }
}

/// The square root of a complex number whose real part is not negative.
fn square_root([re, im]: [f64; 2]) -> [f64; 2] {
    let size = libm::hypot(re, im);
    let [a, b] = [size + re, size - re].map(|x| (0.5 * x).max(0.0).sqrt());
    [a, if im < 0.0 { -b } else { b }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductance::settings::Config;
    use crate::conductance::weights::draw_initial;

    fn small(change: &str) -> (Params, Weights) {
        sized(24, 7, change)
    }

    fn sized(n_e: usize, n_i: usize, change: &str) -> (Params, Weights) {
        let sizes = format!(r#""network": {{"n_e": {n_e}, "n_i": {n_i}}}"#);
        let text = format!(r#"{{{sizes}, "weights": {{"in_sparsity": 0.5}}{change}}}"#);
        let config = crate::config::resolve::<Config>(&text, "test", &[], None).unwrap();
        let params = Params::new(&config, 9, 10);
        let weights = draw_initial(&params, &config.weights, 3);
        (params, weights)
    }

    fn state() -> MeanState {
        MeanState {
            input_hz: vec![20.0; 9],
            e_hz: 8.0,
            i_hz: 30.0,
        }
    }

    #[test]
    fn the_short_way_round_gives_the_spectrum_of_the_whole_operator() {
        for [n_e, n_i] in [[24, 7], [7, 24]] {
            short_is_long(n_e, n_i);
        }
    }

    fn short_is_long(n_e: usize, n_i: usize) {
        let (params, weights) = sized(n_e, n_i, "");
        let short = &spectra(&params, &weights, Some(&state()))[OPERATOR];
        // W_II that has no effect makes the whole matrix be taken.
        let mut long = weights.clone();
        long.insert(
            MatrixName::WIi,
            Matrix {
                pre: n_i,
                post: n_i,
                data: vec![1e-30; n_i * n_i],
            },
        );
        let long = &spectra(&params, &long, Some(&state()))[OPERATOR];
        let sorted = |spectrum: &MatrixSpectrum| {
            let sizes = spectrum
                .eigenvalues
                .iter()
                .map(|[re, im]| (re.abs(), im.abs()));
            let mut sizes: Vec<_> = sizes.map(|(re, im)| libm::hypot(re, im)).collect();
            sizes.sort_by(f64::total_cmp);
            sizes
        };
        assert_eq!(short.shape, [31, 31]);
        let pairs = short.singular_values.iter().zip(&long.singular_values);
        assert!(pairs.clone().count() == 31 && pairs.clone().all(|(a, b)| (a - b).abs() < 1e-9));
        // The eigenvalue 0 is a defective one: rounding moves it by its square root.
        for (a, b) in sorted(short).iter().zip(sorted(long)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        assert!((short.radius - long.radius).abs() < 1e-9);
        // The loop turns the rates round: its leading eigenvalues are imaginary.
        let [re, im] = short.eigenvalues[0];
        assert!(re.abs() < 1e-6 * im.abs() && im.abs() > 0.1, "{re} {im}");
        assert!(short.entropy < (14f64).ln() / (31f64).ln());
        assert!(short.quartile_ratio.is_finite() && spectra(&params, &weights, None).len() == 2);
    }

    /// A single pair of cells, reckoned by hand.
    #[test]
    fn entries_are_millivolts_for_a_hertz() {
        let (mut params, mut weights) = small("");
        (params.network.n_e, params.network.n_i, params.n_in) = (1, 1, 1);
        let one = |w: f32| Matrix {
            pre: 1,
            post: 1,
            data: vec![w],
        };
        weights.insert(MatrixName::WIn, one(0.5));
        weights.insert(MatrixName::WEi, one(0.2));
        weights.insert(MatrixName::WIe, one(0.3));
        let state = MeanState {
            input_hz: vec![20.0],
            e_hz: 5.0,
            i_hz: 10.0,
        };
        let network = &params.network;
        let beta = |tau: f64| (-network.dt_ms / tau).exp();
        let lasts = |tau: f64| 1e-3 * network.dt_ms * beta(tau) / (1.0 - beta(tau));
        let (a, g) = (lasts(network.tau_ampa_ms), lasts(network.tau_gaba_ms));
        let (input, inhibition) = (0.5 * 20.0 * a / beta(network.tau_ampa_ms), 0.3 * 10.0 * g);
        let of_e = 0.05 + input + inhibition;
        let v_e = (0.05 * -65.0 + inhibition * -80.0) / of_e;
        let v_e = v_e.min(-50.0);
        let of_i = 0.1 + 0.2 * 5.0 * a;
        let v_i = (0.1 * -65.0 / of_i).min(-50.0);
        let to_i = 0.2 * a * (0.0 - v_i) / of_i;
        let to_e = 0.3 * g * (-80.0 - v_e) / of_e;
        let all = spectra(&params, &weights, Some(&state));
        let mut expected = [to_i.abs(), to_e.abs()];
        expected.sort_by(|a, b| b.total_cmp(a));
        for (found, expected) in all[OPERATOR].singular_values.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        }
        let radius = (to_i * to_e).abs().sqrt();
        assert!((all[OPERATOR].radius / radius - 1.0).abs() < 1e-6);
        assert!((all["ei"].norm - 0.2).abs() < 1e-7);
    }

    #[test]
    fn negative_weights_count_only_where_the_forward_pass_takes_them_so() {
        for (change, norm) in [("", 0.0), (r#", "training": {"signed_loop": true}"#, 1.0)] {
            let (params, mut weights) = small(change);
            let matrix = weights.get_mut(&MatrixName::WEi).unwrap();
            matrix.data.fill(0.0);
            matrix.data[3] = -1.0;
            let all = spectra(&params, &weights, Some(&state()));
            let found = all.get("ei").map_or(0.0, |spectrum| spectrum.norm);
            assert_eq!(found, norm, "{change}");
        }
    }
}
