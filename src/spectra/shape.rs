//! What the spectrum of a matrix is told by.

use serde::{Deserialize, Serialize};

use super::dip::{dip, dip_p};
use super::{eigenvalues, singular_values, svd_entropy};
use crate::analysis::float::{nan_list, nan_number};

/// Spectrum of a dense matrix. Numbers that do not exist are NaN in memory and `null` in files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MatrixSpectrum {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Frobenius norm.
    #[serde(with = "nan_number")]
    pub norm: f64,
    /// Largest first; empty where the matrix is not finite.
    #[serde(with = "nan_list")]
    pub singular_values: Vec<f64>,
    /// Real and imaginary parts; empty where the matrix is not square.
    pub eigenvalues: Vec<[f64; 2]>,
    /// Normalised entropy of the singular values: 1 where all are equal, 0 where one is alone.
    #[serde(with = "nan_number")]
    pub entropy: f64,
    /// Largest size of an eigenvalue.
    #[serde(with = "nan_number")]
    pub radius: f64,
    /// Standard deviation of the singular values over their mean.
    #[serde(with = "nan_number")]
    pub coefficient_of_variation: f64,
    /// Upper quartile of the singular values over the lower one.
    #[serde(with = "nan_number")]
    pub quartile_ratio: f64,
    /// Hartigan's dip of the singular values.
    #[serde(with = "nan_number")]
    pub dip: f64,
    /// Its p: how often singular values spread evenly have such a dip.
    #[serde(with = "nan_number")]
    pub dip_p: f64,
}

impl MatrixSpectrum {
    /// Of a row-major matrix.
    pub fn of(matrix: &[f64], shape: [usize; 2]) -> Self {
        // A diverged network has no spectrum, and that is no failure.
        let singular_values = singular_values(matrix, shape).unwrap_or_default();
        let eigenvalues = match shape[0] == shape[1] {
            true => eigenvalues(matrix, shape[0]).unwrap_or_default(),
            false => Vec::new(),
        };
        Self::from_values(shape, singular_values, eigenvalues)
    }

    /// From its singular values, largest first, and eigenvalues.
    pub fn from_values(
        shape: [usize; 2],
        singular_values: Vec<f64>,
        mut eigenvalues: Vec<[f64; 2]>,
    ) -> Self {
        let size = |[re, im]: [f64; 2]| libm::hypot(re, im);
        eigenvalues.sort_by(|a, b| size(*b).total_cmp(&size(*a)));
        let rising: Vec<f64> = singular_values.iter().rev().copied().collect();
        let n = rising.len() as f64;
        let mean = rising.iter().sum::<f64>() / n;
        let variance = rising.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n;
        let dip = dip(&rising);
        Self {
            shape,
            norm: match rising.is_empty() {
                true => f64::NAN,
                false => rising.iter().map(|s| s * s).sum::<f64>().sqrt(),
            },
            entropy: svd_entropy(&singular_values),
            radius: eigenvalues
                .first()
                .map_or(f64::NAN, |largest| size(*largest)),
            coefficient_of_variation: variance.sqrt() / mean,
            quartile_ratio: quantile(&rising, 0.75) / quantile(&rising, 0.25),
            dip,
            dip_p: dip_p(dip, rising.len()),
            singular_values,
            eigenvalues,
        }
    }
}

/// Quantile of sorted values, linear between them; NaN of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spectrum_is_told_by_its_numbers() {
        let diagonal = |values: [f64; 4]| {
            let mut matrix = [0.0; 16];
            for (k, value) in values.into_iter().enumerate() {
                matrix[5 * k] = value;
            }
            MatrixSpectrum::of(&matrix, [4, 4])
        };
        let spectrum = diagonal([1.0, -4.0, 2.0, 3.0]);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(spectrum.norm, 30f64.sqrt());
        close(spectrum.radius, 4.0);
        close(spectrum.eigenvalues[0][0], -4.0);
        close(spectrum.coefficient_of_variation, 1.25f64.sqrt() / 2.5);
        close(spectrum.quartile_ratio, 3.25 / 1.75);
        close(spectrum.dip, 0.125);
        let equal = diagonal([2.0; 4]);
        close(equal.entropy, 1.0);
        close(equal.coefficient_of_variation, 0.0);
        let wide = MatrixSpectrum::of(&[1.0, 2.0, 2.0], [1, 3]);
        close(wide.singular_values[0], 3.0);
        assert!(wide.radius.is_nan() && wide.eigenvalues.is_empty());
    }

    #[test]
    fn a_matrix_that_is_not_finite_has_no_spectrum() {
        let spectrum = MatrixSpectrum::of(&[f64::NAN; 4], [2, 2]);
        assert!(spectrum.singular_values.is_empty() && spectrum.entropy.is_nan());
        assert!(spectrum.norm.is_nan() && spectrum.dip_p.is_nan());
        let json = serde_json::to_string(&spectrum).unwrap();
        assert!(json.contains("\"entropy\":null"), "{json}");
    }
}
