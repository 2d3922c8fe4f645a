//! Spectra of dense matrices, row-major: singular values, eigenvalues, and what is told by them.

mod dip;
mod shape;

pub use dip::{dip, dip_p};
pub use shape::MatrixSpectrum;

use faer::MatRef;

use crate::fault::always;

/// The decomposition of a matrix did not converge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {what} of a {rows} × {columns} matrix did not converge; does it hold numbers that are not finite?"
)]
pub struct SpectrumError {
    what: &'static str,
    rows: usize,
    columns: usize,
}

always!(SpectrumError => Program);

/// Singular values, largest first.
///
/// # Errors
/// They did not converge: the matrix is not finite.
pub fn singular_values(
    matrix: &[f64],
    [rows, columns]: [usize; 2],
) -> Result<Vec<f64>, SpectrumError> {
    let what = "singular values";
    let failed = || SpectrumError {
        what,
        rows,
        columns,
    };
    finite(matrix).ok_or_else(failed)?;
    let matrix = MatRef::from_row_major_slice(matrix, rows, columns);
    matrix.singular_values().map_err(|_| failed())
}

/// The matrix of the singular vectors of `matrix` and of these singular values, largest first: U diag(σ) Vᵀ.
///
/// # Errors
/// As [`singular_values`].
pub fn with_singular_values(
    matrix: &[f64],
    [rows, columns]: [usize; 2],
    values: &[f64],
) -> Result<Vec<f64>, SpectrumError> {
    let failed = || SpectrumError {
        what: "singular vectors",
        rows,
        columns,
    };
    finite(matrix).ok_or_else(failed)?;
    let svd = MatRef::from_row_major_slice(matrix, rows, columns).thin_svd();
    let svd = svd.map_err(|_| failed())?;
    let (u, v) = (svd.U(), svd.V());
    let entry = |row: usize, column: usize| -> f64 {
        let terms = values.iter().enumerate();
        terms.map(|(k, s)| s * u[(row, k)] * v[(column, k)]).sum()
    };
    let entries = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    Ok(entries.map(|(row, column)| entry(row, column)).collect())
}

/// Eigenvalues of an n × n matrix, as real and imaginary parts, in no order.
///
/// # Errors
/// As [`singular_values`].
pub fn eigenvalues(matrix: &[f64], n: usize) -> Result<Vec<[f64; 2]>, SpectrumError> {
    let failed = || SpectrumError {
        what: "eigenvalues",
        rows: n,
        columns: n,
    };
    finite(matrix).ok_or_else(failed)?;
    let matrix = MatRef::from_row_major_slice(matrix, n, n);
    let values = matrix.eigenvalues().map_err(|_| failed())?;
    Ok(values.into_iter().map(|z| [z.re, z.im]).collect())
}

/// The largest absolute value of an eigenvalue of an n × n matrix.
///
/// # Errors
/// As [`singular_values`].
pub fn spectral_radius(matrix: &[f64], n: usize) -> Result<f64, SpectrumError> {
    let sizes = eigenvalues(matrix, n)?.into_iter();
    Ok(sizes
        .map(|[re, im]| libm::hypot(re, im))
        .fold(0.0, f64::max))
}

/// Normalised entropy of n singular values, −Σ p ln p / ln n with p = σ/Σσ: 1 where all are equal, 0 where one is alone;
/// NaN where all are 0 or there is one at the most.
pub fn svd_entropy(singular_values: &[f64]) -> f64 {
    let sum: f64 = singular_values.iter().sum();
    if singular_values.len() < 2 || sum.is_nan() || sum <= 0.0 {
        return f64::NAN;
    }
    let shares = singular_values.iter().map(|s| s / sum);
    let terms = shares.filter(|p| *p > 0.0).map(|p| -p * libm::log(p));
    let entropy: f64 = terms.sum();
    entropy / libm::log(singular_values.len() as f64)
}

fn finite(matrix: &[f64]) -> Option<()> {
    matrix.iter().all(|x| x.is_finite()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn spectra_of_matrices_that_are_known() {
        // A rotation by a quarter, twice as long.
        let turn = [0.0, -2.0, 2.0, 0.0];
        close(spectral_radius(&turn, 2).unwrap(), 2.0);
        assert_eq!(singular_values(&turn, [2, 2]).unwrap().len(), 2);
        close(svd_entropy(&singular_values(&turn, [2, 2]).unwrap()), 1.0);
        // A shear has one eigenvalue and two singular values.
        let shear = [1.0, 1.0, 0.0, 1.0];
        close(spectral_radius(&shear, 2).unwrap(), 1.0);
        let golden = 0.5 * (1.0 + 5f64.sqrt());
        let found = singular_values(&shear, [2, 2]).unwrap();
        close(found[0], golden);
        close(found[1], 1.0 / golden);
        // Rows of one direction, 2 × 3.
        let found = singular_values(&[1.0, 2.0, 2.0, 2.0, 4.0, 4.0], [2, 3]).unwrap();
        close(found[0], 45f64.sqrt());
        close(found[1], 0.0);
        close(svd_entropy(&[3.0, 0.0]), 0.0);
        for none in [&[][..], &[2.0], &[0.0, 0.0], &[f64::NAN, 1.0]] {
            assert!(svd_entropy(none).is_nan());
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        assert!(singular_values(&[f64::NAN; 4], [2, 2]).is_err());
        let message = eigenvalues(&[f64::INFINITY; 4], 2).unwrap_err().to_string();
        assert!(message.contains("eigenvalues of a 2 × 2"), "{message}");
    }
}
