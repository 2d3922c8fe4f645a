//! Spectra of the loop's matrices, and of the operator that the loop is, along training.

use crate::conductance::operator::OPERATOR;
use crate::record::RunRecord;
use crate::report::figures::draw::svg::{Colour, Dash};
use crate::report::figures::groups::{BLUE, Group, Groups, VERMILION};
use crate::report::figures::sheet::{Missing, Sheet};
use crate::report::figures::spectra::{Along, Compared, Line, along_training, eigenvalues};
use crate::spectra::MatrixSpectrum;
use crate::train::spectra::TrainingSpectra;

const TITLE: &str = "Spectra of the loop along training";
const ID: &str = "loop_spectra";
const NONE: &str = "no run has spectra along training: none of them kept checkpoints (training.keep_every_epochs), or \
    `dalenet spectra` is still to be run";

/// What the operator is, and what its entropy cannot be compared with.
const CAVEAT: &str = "Operator: mV by which the mean voltage of each cell changes for a presynaptic Hz, at the mean \
    rates of the epoch. Without synapses within a population at most twice as many of its singular values as there are I \
    cells are not 0, which bounds its H well below 1 (0.87 for 1024 E and 256 I cells): it is not comparable with that \
    of a rate RNN.";

/// What is drawn of a spectrum.
type Of = fn(&MatrixSpectrum) -> f64;

/// The matrix, what its panel and axis are called, and what is drawn of it.
const MEASURES: [(&str, &str, &str, Of); 4] = [
    ("ei", "Entropy of W_EI", "H", |s| s.entropy),
    ("ie", "Entropy of W_IE", "H", |s| s.entropy),
    (OPERATOR, "Entropy of the operator", "H", |s| s.entropy),
    (OPERATOR, "Spectral radius of the operator", "mV/Hz", |s| {
        s.radius
    }),
];

fn values(spectra: &TrainingSpectra, matrix: &str, of: Of) -> Vec<[f64; 2]> {
    let value = |at: &crate::train::spectra::SpectraAt| {
        let value = of(at.matrices.get(matrix)?);
        value.is_finite().then_some([at.epoch as f64, value])
    };
    spectra.along.iter().filter_map(value).collect()
}

/// Entropies and radius of a run against the epoch, and the eigenvalues of its operator; nothing where none were kept.
pub fn of_run(run: &RunRecord) -> Vec<Result<Sheet, Missing>> {
    let Some(spectra) = &run.spectra else {
        return Vec::new();
    };
    let along = |(matrix, title, axis, of): (&str, &str, &'static str, Of)| Along {
        title: title.into(),
        axis,
        lines: vec![Line {
            name: matrix.into(),
            colour: Colour::Ink,
            dash: Dash::Solid,
            points: values(spectra, matrix, of),
            in_key: false,
        }],
    };
    let panels = MEASURES.map(along).into();
    let (first, last) = (spectra.first(), spectra.last());
    let operator = last.and_then(|last| last.matrices.get(OPERATOR));
    let discs: Vec<Compared<'_>> = operator
        .map(|now| Compared {
            title: "operator".into(),
            start: first.and_then(|first| first.matrices.get(OPERATOR)),
            now,
        })
        .into_iter()
        .collect();
    vec![
        along_training(ID, TITLE, CAVEAT, panels),
        eigenvalues(&discs),
    ]
}

/// The same of every condition, a line a seed.
pub fn of_study(groups: &Groups) -> Result<Sheet, Missing> {
    let lines = |matrix: &str, of: Of| {
        let mut lines = Vec::new();
        for group in &groups.groups {
            let spectra = group
                .runs
                .iter()
                .filter_map(|run| run.record.spectra.as_ref());
            for (turn, spectra) in spectra.enumerate() {
                lines.push(Line {
                    name: group.label.clone(),
                    colour: colour(groups, group),
                    dash: group.dash,
                    points: values(spectra, matrix, of),
                    // Seeds of a condition look alike.
                    in_key: turn == 0,
                });
            }
        }
        lines
    };
    let panels: Vec<Along> = MEASURES
        .into_iter()
        .map(|(matrix, title, axis, of)| Along {
            title: title.into(),
            axis,
            lines: lines(matrix, of),
        })
        .collect();
    if panels.iter().all(|panel| panel.lines.is_empty()) {
        return Err(Missing::new(ID, TITLE, NONE));
    }
    let caption = format!("{CAVEAT} A line a seed.{}", groups.remarks());
    along_training(ID, TITLE, &caption, panels)
}

/// Its own colour; where there are only two conditions, colours that are told apart at a glance.
fn colour(groups: &Groups, group: &Group) -> Colour {
    match (groups.groups.len(), group.place.0) {
        (2, 0) => BLUE,
        (2, _) => VERMILION,
        _ => group.colour,
    }
}

/// Eigenvalues of the operator, a panel for each condition's first seed.
pub fn operators(groups: &Groups) -> Result<Sheet, Missing> {
    let of = |group: &'_ Group<'_>| -> Option<(String, MatrixSpectrum, MatrixSpectrum)> {
        let spectra = group
            .runs
            .iter()
            .find_map(|run| run.record.spectra.as_ref())?;
        let of =
            |at: Option<&crate::train::spectra::SpectraAt>| at?.matrices.get(OPERATOR).cloned();
        Some((
            group.label.clone(),
            of(spectra.first())?,
            of(spectra.last())?,
        ))
    };
    let all: Vec<_> = groups.groups.iter().filter_map(of).collect();
    if all.is_empty() {
        return Err(Missing::new(
            "loop_eigenvalues",
            "Eigenvalues of the loop's operator",
            NONE,
        ));
    }
    let discs: Vec<Compared<'_>> = all
        .iter()
        .map(|(title, start, now)| Compared {
            title: title.clone(),
            start: Some(start),
            now,
        })
        .collect();
    let title = "Eigenvalues of the loop's operator";
    let of_loop = |missing: Missing| Missing::new("loop_eigenvalues", title, missing.reason);
    let sheet = eigenvalues(&discs).map_err(of_loop)?;
    Ok(Sheet {
        id: "loop_eigenvalues".into(),
        title: title.into(),
        caption: format!("{} {CAVEAT}", sheet.caption),
        ..sheet
    })
}
