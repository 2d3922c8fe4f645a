//! Norms and gradients of the matrices.

use super::draw::page::Page;
use super::draw::panel::Panel;
use super::draw::scale::{Axis, Scale};
use super::draw::svg::Stroke;
use super::groups::{Groups, Run};
use super::table::Table;
use super::training::{curve, epoch_axis, names, series};
use super::weights;
use super::{Missing, Sheet};
use crate::train::metrics::{GRADIENT_RATIO, WEIGHT_NORM};

/// Order and names of the matrices.
pub const MATRICES: [(&str, &str); 6] = [
    ("in", "W_{in}"),
    ("out", "W_{out}"),
    ("ei", "W_{EI}"),
    ("ie", "W_{IE}"),
    ("ee", "W_{EE}"),
    ("ii", "W_{II}"),
];

/// Norm and relative gradient of every trained matrix.
pub fn norms(groups: &Groups) -> Result<Sheet, Missing> {
    let (id, title) = (
        "norms",
        "Norms and relative gradients of the trained matrices",
    );
    let mut panels = Vec::new();
    let mut table = Table::new(&[
        "condition",
        "cell",
        "matrix",
        "epoch",
        "weight_norm",
        "gradient_to_weight_ratio",
    ]);
    for (short, name) in MATRICES {
        let trained = |run: &Run| {
            run.record
                .epochs
                .iter()
                .any(|m| m.by_matrix(GRADIENT_RATIO).contains_key(short))
        };
        if !groups.runs().any(|(_, run)| trained(run)) {
            continue;
        }
        let log = Axis::new("gradient / norm").scaled(Scale::Log);
        let mut norm = Panel::new(
            format!("Norm of {name}"),
            epoch_axis(),
            Axis::new(&format!("norm of {name}{}", weights::unit(short))),
        );
        let mut ratio = Panel::new(format!("Relative gradient of {name}"), epoch_axis(), log);
        let of = |map: &std::collections::BTreeMap<String, f64>| {
            map.get(short).copied().unwrap_or(f64::NAN)
        };
        for (group, run) in groups.runs() {
            let stroke = Stroke::solid(group.colour, 1.3);
            norm.marks.extend(curve(
                group,
                run,
                series(run, |m| of(&m.by_matrix(WEIGHT_NORM))),
                stroke,
            ));
            let points = series(run, |m| of(&m.by_matrix(GRADIENT_RATIO)));
            ratio.marks.extend(curve(group, run, points, stroke));
            for m in &run.record.epochs {
                let numbers = [
                    m.epoch() as f64,
                    of(&m.by_matrix(WEIGHT_NORM)),
                    of(&m.by_matrix(GRADIENT_RATIO)),
                ];
                table.push(&[&group.label, run.cell, short], &numbers);
            }
        }
        panels.extend([norm, ratio]);
    }
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(
            id,
            title,
            "no cell has trained a matrix for an epoch yet",
        ));
    }
    let caption = format!(
        "Frobenius norm of the stored matrix after each epoch, and the gradient's norm over the matrix's norm, mean \
         over the epoch's steps. An untrained matrix has no ratio.{}",
        groups.remarks()
    );
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption,
        alt: format!(
            "Norm and relative gradient of each trained matrix against the epoch for {}.",
            names(groups)
        ),
        page: Page::grid(panels, 2, 130.0).with_key(groups.key()),
        table,
    })
}
