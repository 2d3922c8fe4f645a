//! What pages of this family's runs and studies have beside that of every family.

use super::analysis::{BlockWeights, RunAnalysis};
use super::record;
use crate::record::RunRecord;
use crate::report::accuracy;
use crate::report::page::Part;
use crate::report::table::{Entry, NumberTable, column, row};

/// What the page of a run has more.
pub fn of_run(run: &RunRecord) -> Vec<Part> {
    let classes = run.answers().map(|answers| Part {
        id: "classes",
        title: "Accuracy by class",
        intro: "Classification of the test trials at the analysed checkpoint.",
        table: accuracy::by_class(answers, "Accuracy by class", &[]),
    });
    let analysis = record::analysis(run);
    let cells = analysis.and_then(cells);
    let blocks = analysis.map(blocks);
    [classes, cells, blocks].into_iter().flatten().collect()
}

fn cells(analysis: &RunAnalysis) -> Option<Part> {
    let tuning = analysis.tuning.as_ref()?;
    let rows = (0..)
        .zip(&tuning.cells)
        .zip(&analysis.cells)
        .map(|((number, cell), of)| {
            let numbers = [
                of.class.into(),
                of.assigned.map_or(f64::NAN, f64::from),
                cell.range_hz,
                cell.f1_over_f0,
                cell.selectivity,
                cell.half_width_deg,
            ];
            row(
                format!("output {number}"),
                numbers.map(Entry::Number).into(),
            )
        });
    Some(Part {
        id: "cells",
        title: "Output cells",
        intro: "Tuning of every output cell at the analysed checkpoint, from curves averaged over all offsets. F1/F0 is \
            the modulation of the rate by the offset at the best orientation; selectivity is 1 − circular variance.",
        table: NumberTable {
            id: "cells-table".into(),
            caption: "Tuning of the output cells".into(),
            corner: "cell".into(),
            columns: [
                "class",
                "assigned class",
                "range (Hz)",
                "F1/F0",
                "selectivity",
                "half-width (deg)",
            ]
            .map(column)
            .into(),
            rows: rows.collect(),
            ..NumberTable::default()
        },
    })
}

fn blocks(analysis: &RunAnalysis) -> Part {
    let entries = |block: &BlockWeights| -> Vec<Entry> {
        let numbers = [
            block.synapses as f64,
            block.mean_at_start,
            block.mean,
            block.sd,
            100.0 * block.share_at_zero,
        ];
        numbers.map(Entry::Number).into()
    };
    Part {
        id: "blocks",
        title: "Synapses",
        intro: "Weights of every block of synapses, as the current that a spike adds or takes away, at the start and \
            at the analysed checkpoint.",
        table: NumberTable {
            id: "blocks-table".into(),
            caption: "Weights by block".into(),
            corner: "block".into(),
            columns: ["synapses", "mean at start", "mean", "sd", "at 0 (%)"]
                .map(column)
                .into(),
            rows: analysis
                .blocks
                .iter()
                .map(|block| row(&block.name, entries(block)))
                .collect(),
            ..NumberTable::default()
        },
    }
}

/// What the page of a study has more, of its runs by name.
pub fn of_study(_: &[(String, &RunRecord)]) -> Vec<Part> {
    Vec::new()
}
