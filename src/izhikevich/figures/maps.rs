//! Rates of the output cells in trials of each class.

use crate::izhikevich::analysis::Cell;
use crate::report::figures::draw::mark::Mark;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::Panel;
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::groups::BLUE;
use crate::report::figures::kit::{brief, fill};
use crate::report::figures::sheet::{Missing, Sheet, Table};

/// Name and title of the figure.
pub const CELLS: (&str, &str) = ("cells_by_class", "Output cells by class");

/// A field for each cell and class, filled by its rate.
pub fn cells_by_class(cells: &[Cell], checkpoint: &str) -> Result<Sheet, Missing> {
    let rates = || {
        cells
            .iter()
            .flat_map(|cell| cell.by_class_hz.iter().copied())
    };
    let most = rates().filter(|hz| hz.is_finite()).fold(0.0, f64::max);
    let classes = cells.first().map_or(0, |cell| cell.by_class_hz.len());
    if most == 0.0 {
        return Err(Missing::new(
            CELLS.0,
            CELLS.1,
            "no output cell fires in any test trial",
        ));
    }
    let mut table = Table::new(&["cell", "class_of_cell", "class", "rate_hz"]);
    let names = |count: usize, upwards: bool| {
        let every = count.div_ceil(24).max(1);
        let place = move |i: usize| {
            if upwards {
                (count - 1 - i) as f64
            } else {
                i as f64
            }
        };
        let all = (0..count)
            .step_by(every)
            .map(move |i| (place(i), i.to_string()));
        all.collect::<Vec<_>>()
    };
    let x = Axis::new("output cell")
        .from(-0.5)
        .to(cells.len() as f64 - 0.5);
    let y = Axis::new("class").from(-0.5).to(classes as f64 - 0.5);
    let title = format!("rate (darkest: {} Hz)", brief(most));
    let mut panel = Panel::new(
        title,
        x.named(names(cells.len(), false)),
        y.named(names(classes, true)),
    );
    panel.grid = false;
    for (number, cell) in cells.iter().enumerate() {
        for (class, &hz) in cell.by_class_hz.iter().take(classes).enumerate() {
            let numbers = [number as f64, cell.class.into(), class as f64, hz];
            let rows = table.row(&[], &numbers);
            let at = (number as f64, (classes - 1 - class) as f64);
            let rate = table.number(&rows, "rate_hz");
            if rate > 0.0 {
                panel.marks.push(Mark::Bar {
                    from: (at.0 - 0.47, at.1 - 0.47),
                    to: (at.0 + 0.47, at.1 + 0.47),
                    fill: fill(BLUE, rate / most),
                });
            }
        }
    }
    Ok(Sheet {
        id: CELLS.0.into(),
        title: CELLS.1.into(),
        caption: format!(
            "Mean rate of every output cell in test trials of each class. The class of a cell is its number modulo the \
             classes. Checkpoint: {checkpoint}."
        ),
        alt: "Rates of output cells by class.".into(),
        page: PanelRows::grid(vec![panel], 1, (24.0 * classes as f64).clamp(60.0, 260.0)),
        table,
    })
}
