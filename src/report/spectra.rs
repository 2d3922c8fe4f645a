//! Spectra of stored matrices, in words and figures: what `dalenet spectra` says.

use serde_json::{Value, json};

use super::figures::draw::svg::{Dash, Marker};
use super::figures::groups::PALETTE;
use super::figures::sheet::{Missing, Sheet};
use super::figures::spectra::{
    Along, Compared, EntropyPoint, Line, along_training, correlation_words, eigenvalues,
    entropy_against_error, entropy_and_error, singular_values,
};
use crate::spectra::MatrixSpectrum;
use crate::summary::{Listing, Summary};
use crate::text::number;
use crate::train::spectra::SpectraAt;

/// Matrices whose spectra are wanted: those of a run along training, or those of a file.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Run or file.
    pub name: String,
    /// Spectra by epochs trained; of a file there is one entry.
    pub along: Vec<SpectraAt>,
    /// Error after training: what it is, and how large.
    pub error: Option<(&'static str, f64)>,
    /// The matrix whose entropy at the start is set against the error.
    pub recurrent: Option<&'static str>,
}

/// What came out: a table, everything as JSON, and the figures that it gives.
pub struct Told {
    /// In words.
    pub summary: Summary,
    /// Figures.
    pub figures: Vec<Result<Sheet, Missing>>,
}

/// What is told of these subjects.
///
/// # Errors
/// The numbers cannot be written as JSON.
pub fn told(subjects: &[Subject]) -> Result<Told, serde_json::Error> {
    // Errors of one kind alone can be compared.
    let what = subjects.iter().find_map(|s| s.error).map(|(what, _)| what);
    let all = subjects.iter().enumerate();
    let points: Vec<EntropyPoint> = all.filter_map(|(place, s)| point(what, place, s)).collect();
    let correlation = entropy_and_error(&points);
    let mut facts = Vec::new();
    if points.len() > 1 {
        facts.push(("entropy", correlation_words(&correlation)));
    }
    let each = |subject: &Subject| -> Result<Value, serde_json::Error> {
        Ok(json!({
            "name": subject.name,
            "error": subject.error.map(|(what, value)| json!({ "measure": what, "value": value })),
            "along": serde_json::to_value(&subject.along)?,
        }))
    };
    let all: Vec<Value> = subjects.iter().map(each).collect::<Result<_, _>>()?;
    let finite = |x: f64| x.is_finite().then_some(x);
    let json = json!({
        "subjects": all,
        "entropy_and_error": {
            "rho": finite(correlation.rho),
            "interval": correlation.interval.map(finite),
            "networks": correlation.n,
        },
    });
    let mut figures = vec![
        singular_values(&compared(subjects)),
        eigenvalues(&compared(subjects)),
    ];
    if subjects.iter().any(|subject| subject.along.len() > 2) {
        figures.push(along(subjects));
    }
    if let Some(what) = what.filter(|_| points.len() > 1) {
        figures.push(entropy_against_error(&points, what));
    }
    Ok(Told {
        summary: Summary {
            facts,
            listings: vec![listing(subjects)],
            json: serde_json::to_string_pretty(&json)?,
        },
        figures,
    })
}

/// The network in the figure of entropy against error, where its error is `what`.
fn point(what: Option<&str>, place: usize, subject: &Subject) -> Option<EntropyPoint> {
    let (own, error) = subject.error?;
    if what != Some(own) {
        return None;
    }
    let start = subject.along.first()?.matrices.get(subject.recurrent?)?;
    Some(EntropyPoint {
        label: subject.name.clone(),
        colour: PALETTE[place % PALETTE.len()],
        marker: Marker::Circle,
        entropy: start.entropy,
        error,
    })
}

fn listing(subjects: &[Subject]) -> Listing {
    let head = [
        "matrix",
        "epoch",
        "rows × columns",
        "norm",
        "largest σ",
        "H",
        "σ spread / mean",
        "σ quartiles",
        "dip p",
        "radius",
        "",
    ];
    let mut rows = Vec::new();
    for subject in subjects {
        let ends = match &subject.along[..] {
            [first, .., last] => vec![first, last],
            all => all.iter().collect(),
        };
        let names: std::collections::BTreeSet<&String> =
            ends.iter().flat_map(|at| at.matrices.keys()).collect();
        for name in names {
            for at in &ends {
                let Some(spectrum) = at.matrices.get(name) else {
                    continue;
                };
                rows.push(row(&titled(subjects, subject, name), at.epoch, spectrum));
            }
        }
    }
    Listing::new(head, rows)
}

fn row(name: &str, epoch: u64, spectrum: &MatrixSpectrum) -> Vec<String> {
    let [rows, columns] = spectrum.shape;
    let or_dash = |x: f64| {
        if x.is_finite() {
            number(x)
        } else {
            "-".to_owned()
        }
    };
    let largest = spectrum.singular_values.first().copied();
    let numbers = [
        spectrum.norm,
        largest.unwrap_or(f64::NAN),
        spectrum.entropy,
        spectrum.coefficient_of_variation,
        spectrum.quartile_ratio,
        spectrum.dip_p,
        spectrum.radius,
    ];
    [
        name.to_owned(),
        epoch.to_string(),
        format!("{rows} × {columns}"),
    ]
    .into_iter()
    .chain(numbers.map(or_dash))
    .chain([String::new()])
    .collect()
}

/// A matrix by its name, and whose it is where there are several.
fn titled(subjects: &[Subject], subject: &Subject, matrix: &str) -> String {
    match subjects.len() {
        1 => matrix.to_owned(),
        _ => format!("{}: {matrix}", subject.name),
    }
}

fn compared(subjects: &[Subject]) -> Vec<Compared<'_>> {
    let mut all = Vec::new();
    for subject in subjects {
        let (Some(first), Some(last)) = (subject.along.first(), subject.along.last()) else {
            continue;
        };
        for (name, now) in &last.matrices {
            let start = (subject.along.len() > 1).then(|| first.matrices.get(name));
            all.push(Compared {
                title: titled(subjects, subject, name),
                start: start.flatten(),
                now,
            });
        }
    }
    all
}

/// Entropy and radius of every matrix along training.
///
/// # Errors
/// Nothing to draw.
pub fn along(subjects: &[Subject]) -> Result<Sheet, Missing> {
    let lines = |of: fn(&MatrixSpectrum) -> f64| {
        let mut lines: Vec<Line> = Vec::new();
        for subject in subjects {
            let names = subject.along.first().map(|at| at.matrices.keys());
            for name in names.into_iter().flatten() {
                let values = subject.along.iter().filter_map(|at| {
                    let value = of(at.matrices.get(name)?);
                    value.is_finite().then_some([at.epoch as f64, value])
                });
                let values: Vec<_> = values.collect();
                if values.len() > 1 {
                    let colour = PALETTE[lines.len() % PALETTE.len()];
                    let name = titled(subjects, subject, name);
                    lines.push(Line {
                        name,
                        colour,
                        dash: Dash::Solid,
                        points: values,
                        in_key: true,
                    });
                }
            }
        }
        lines
    };
    along_training(
        "along_training",
        "Spectra along training",
        "Normalised entropy H of the singular values and spectral radius of every matrix, against the epoch.",
        vec![
            Along {
                title: "Entropy".into(),
                axis: "H",
                lines: lines(|spectrum| spectrum.entropy),
            },
            Along {
                title: "Spectral radius".into(),
                axis: "largest size of an eigenvalue",
                lines: lines(|spectrum| spectrum.radius),
            },
        ],
    )
}
