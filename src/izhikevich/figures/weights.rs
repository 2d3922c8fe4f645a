//! The weights: their norms over the epochs, and the matrix with its blocks.

use crate::izhikevich::analysis::BlockWeights;
use crate::izhikevich::weights::THETA;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::Panel;
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::Stroke;
use crate::report::figures::groups::{BLUE, CellRun, PALETTE, VERMILION};
use crate::report::figures::kit::{epoch_axis, fill, line_key};
use crate::report::figures::sheet::{Missing, Sheet, Table};
use crate::train::metrics::WEIGHT_NORM;

/// Name and title of the figure of the matrix.
pub const MATRIX: (&str, &str) = ("weight_matrix", "Weight matrix");

/// Norm of every block over that at the start, against the epoch.
pub fn over_time(run: &CellRun) -> Result<Sheet, Missing> {
    let (id, title) = ("weights_over_time", "Weights over time");
    let epochs = &run.record.epochs;
    let Some(first) = epochs.first().filter(|_| epochs.len() > 1) else {
        return Err(Missing::new(id, title, "no epoch has been trained yet"));
    };
    let mut table = Table::new(&["block", "epoch", "norm", "norm_over_start"]);
    let y = Axis::new("norm over that at the start").from(0.0);
    let mut panel = Panel::new("", epoch_axis(), y);
    let blocks = first
        .by_matrix(WEIGHT_NORM)
        .keys()
        .filter(|name| *name != THETA);
    for (number, block) in blocks.enumerate() {
        let at_start = first.of_matrix(WEIGHT_NORM, block);
        let points = epochs.iter().map(|epoch| {
            let norm = epoch.of_matrix(WEIGHT_NORM, block);
            [epoch.epoch() as f64, norm, norm / at_start]
        });
        let rows = table.add(&[block], points);
        let stroke = Stroke::solid(PALETTE[number % PALETTE.len()], 1.5);
        panel
            .marks
            .push(table.line(&rows, ["epoch", "norm_over_start"], stroke));
        panel.key.push(line_key(stroke, block.replace('_', " → ")));
    }
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption:
            "Frobenius norm of every block of synapses after each epoch over that at the start."
                .into(),
        alt: "Norms of the blocks of synapses against the epoch.".into(),
        page: PanelRows::grid(vec![panel], 1, 150.0),
        table,
    })
}

/// All blocks in their places, each filled by its weights over its largest.
pub fn matrix(blocks: &[BlockWeights], checkpoint: &str) -> Result<Sheet, Missing> {
    let mut table = Table::new(&["block", "row", "column", "weight"]);
    // Populations from the input up, each as wide as its picture.
    let mut pre: Vec<(&str, usize)> = Vec::new();
    let mut post: Vec<(&str, usize)> = Vec::new();
    let named = blocks.iter();
    let named: Vec<((&str, &str), &BlockWeights)> = named
        .filter_map(|block| Some((block.name.split_once('_')?, block)))
        .collect();
    for &((from, to), block) in &named {
        let columns = block.picture.first().map_or(0, Vec::len);
        add(&mut pre, from, block.picture.len());
        add(&mut post, to, columns);
    }
    let starts = |list: &[(&str, usize)]| -> Vec<usize> {
        let sums = list.iter().scan(0, |sum, (_, size)| {
            let start = *sum;
            *sum += size + 1;
            Some(start)
        });
        sums.collect()
    };
    let (rows_at, columns_at) = (starts(&pre), starts(&post));
    let height: usize = pre.iter().map(|(_, size)| size + 1).sum();
    let width: usize = post.iter().map(|(_, size)| size + 1).sum();
    let names = |list: &[(&str, usize)], at: &[usize], upwards: bool| {
        let places = list.iter().zip(at).map(|((name, size), at)| {
            let middle = *at as f64 + *size as f64 / 2.0;
            let place = if upwards {
                height as f64 - middle
            } else {
                middle
            };
            (place, (*name).to_owned())
        });
        places.collect::<Vec<_>>()
    };
    let x = Axis::new("post cells").from(0.0).to(width as f64);
    let y = Axis::new("pre cells").from(0.0).to(height as f64);
    let x = x.named(names(&post, &columns_at, false));
    let y = y.named(names(&pre, &rows_at, true));
    let mut panel = Panel::new("", x, y);
    panel.grid = false;
    for ((from, to), block) in named {
        let place = |list: &[(&str, usize)], at: &[usize], name: &str| {
            list.iter()
                .position(|(known, _)| *known == name)
                .map(|i| at[i])
        };
        let (Some(top), Some(left)) = (place(&pre, &rows_at, from), place(&post, &columns_at, to))
        else {
            continue;
        };
        let entries = block.picture.iter().flatten();
        let most = entries
            .copied()
            .filter(|w| w.is_finite())
            .fold(0.0, f64::max);
        let colour = if from == "lateral" { VERMILION } else { BLUE };
        for (i, row) in block.picture.iter().enumerate() {
            for (j, &weight) in row.iter().enumerate() {
                let rows = table.row(&[&block.name], &[i as f64, j as f64, weight]);
                let weight = table.number(&rows, "weight");
                if weight > 0.0 {
                    // In floating point: a damaged file may have rows that lie below the picture.
                    let (x, y) = ((left + j) as f64, height as f64 - (top + i) as f64);
                    panel.marks.push(Mark::Bar {
                        from: (x, y - 1.0),
                        to: (x + 1.0, y),
                        fill: fill(colour, weight / most),
                    });
                }
            }
        }
    }
    if panel.marks.is_empty() {
        return Err(Missing::new(MATRIX.0, MATRIX.1, "all weights are 0"));
    }
    Ok(Sheet {
        id: MATRIX.0.into(),
        title: MATRIX.1.into(),
        caption: format!(
            "Weights from pre cells (rows, from the top) to post cells (columns), each block by its largest weight; of \
             large blocks means of neighbouring cells. Lateral synapses inhibit (red). Checkpoint: {checkpoint}."
        ),
        alt: "Weight matrix with its blocks.".into(),
        page: PanelRows::grid(vec![panel], 1, (3.2 * height as f64).clamp(120.0, 420.0)),
        table,
    })
}

/// Adds a population where it is not listed yet.
fn add<'a>(list: &mut Vec<(&'a str, usize)>, name: &'a str, size: usize) {
    if !list.iter().any(|(known, _)| *known == name) {
        list.push((name, size));
    }
}
