//! Curves of training against the epoch, of one run and of a study.

use super::draw::page::PanelRows;
use super::draw::panel::Panel;
use super::draw::scale::{Axis, Scale};
use super::draw::svg::{Colour, Dash, Stroke};
use super::groups::{BLUE, CellRun, Group, Groups, VERMILION};
use super::kit::{add_epochs, curve, epoch_axis, epoch_columns, line_key, names};
use super::sheet::{Missing, Rows, Sheet, Table};
use crate::text::count;
use crate::train::metrics::{
    EPOCH, GRADIENT_NORM, GRADIENT_NORM_MAX, Metric, TEST_ACCURACY, TEST_LOSS, TRAIN_ACCURACY,
    TRAIN_LOSS,
};

/// A line of a panel: what its key says, and how it looks.
type Line = (&'static str, Metric, Colour, Dash);

/// A panel of the curves of one run.
pub struct Lines {
    /// Its title.
    pub title: &'static str,
    /// The title of its axis.
    pub axis: &'static str,
    /// Whether its axis begins at 0.
    pub from_zero: bool,
    /// Its lines.
    pub lines: [Line; 2],
}

/// Accuracy of training and test.
pub const ACCURACY: Lines = Lines {
    title: "Accuracy",
    axis: "accuracy (%)",
    from_zero: true,
    lines: [
        ("train", TRAIN_ACCURACY, BLUE, Dash::Dashed),
        ("test", TEST_ACCURACY, Colour::Ink, Dash::Solid),
    ],
};

/// Cross-entropy of training and test.
pub const CROSS_ENTROPY: Lines = Lines {
    title: "Cross-entropy",
    axis: "loss (nats)",
    from_zero: false,
    lines: [
        ("train", TRAIN_LOSS, BLUE, Dash::Dashed),
        ("test", TEST_LOSS, Colour::Ink, Dash::Solid),
    ],
};

/// Mean and largest norm of the gradient.
pub const GRADIENT: Lines = Lines {
    title: "Gradient norm",
    axis: "norm before clipping",
    from_zero: false,
    lines: [
        ("mean", GRADIENT_NORM, Colour::Ink, Dash::Solid),
        ("largest", GRADIENT_NORM_MAX, VERMILION, Dash::Dotted),
    ],
};

/// The curves of one run.
pub struct RunCurves {
    /// Its panels.
    pub panels: &'static [Lines],
    /// What the caption says beyond what is true of all curves.
    pub caption: &'static str,
    /// What is to be seen.
    pub alt: &'static str,
}

/// The curves of one run.
pub fn of_run(run: &CellRun, curves: &RunCurves) -> Result<Sheet, Missing> {
    let lines = curves.panels.iter().flat_map(|panel| panel.lines);
    let metrics: Vec<Metric> = lines.map(|(_, metric, ..)| metric).collect();
    let mut table = Table::new(&epoch_columns(&[], &metrics));
    let rows = add_epochs(&mut table, &[], run, &metrics);
    let panels = curves.panels.iter().map(|lines| {
        let y = Axis::new(lines.axis);
        let y = match lines.from_zero {
            _ if lines.lines[0].1 == GRADIENT_NORM => y.scaled(Scale::Log),
            true => y.from(0.0),
            false => y,
        };
        let mut panel = Panel::new(lines.title, epoch_axis(), y);
        for (label, metric, colour, dash) in lines.lines {
            let stroke = Stroke::solid(colour, 1.5).dashed(dash);
            let line = table.line(&rows, [EPOCH.name, metric.name], stroke);
            panel.marks.push(line);
            panel.key.push(line_key(stroke, label));
        }
        panel
    });
    let (id, title) = ("curves", "Training curves");
    let page = PanelRows::grid(panels.collect(), 3, 115.0);
    if page.rows.is_empty() {
        return Err(Missing::new(id, title, "no epoch has been measured yet"));
    }
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "Test metrics are taken after each epoch, training metrics are means over the epoch while the weights \
             change; epoch 0 is the untrained network. {}",
            curves.caption
        ),
        alt: curves.alt.into(),
        page,
        table,
    })
}

/// Title, axis and metric of a panel of the curves of a study.
pub struct Curve(pub &'static str, pub &'static str, pub Metric);

/// The curves of a study.
pub struct Curves {
    /// Its panels.
    pub panels: &'static [Curve],
    /// What the caption says of what was measured, and when.
    pub measured: &'static str,
}

/// Epochs of each run as rows of a table.
pub type Epochs<'g, 'a> = Vec<(&'g Group<'a>, &'g CellRun<'a>, Rows)>;

/// The curves of a study: a line a run.
pub fn of_study(groups: &Groups, curves: &Curves) -> Result<Sheet, Missing> {
    let (id, title) = ("training_curves", "Training curves");
    let mut metrics: Vec<Metric> = curves.panels.iter().map(|curve| curve.2).collect();
    metrics.push(TRAIN_LOSS);
    let mut table = Table::new(&epoch_columns(&["condition", "cell"], &metrics));
    let mut epochs = Epochs::new();
    for (group, run) in groups.runs() {
        let words = [group.label.as_str(), run.cell];
        epochs.push((group, run, add_epochs(&mut table, &words, run, &metrics)));
    }
    // With a second axis, dashes tell its values apart.
    let has_loss = metrics.contains(&TEST_LOSS);
    let has_training_loss = has_loss && !groups.is_crossed();
    let panels = curves.panels.iter();
    let panels: Vec<Panel> = panels
        .map(|curve| curve_panel(curve, &epochs, &table, has_training_loss))
        .collect();
    if !panels.iter().any(Panel::has_data) {
        return Err(Missing::new(id, title, "no cell has finished an epoch yet"));
    }
    let mut key = groups.key();
    let loss = match (has_loss, has_training_loss) {
        (_, true) => {
            let dashed = Stroke::solid(Colour::Ink, 1.3).dashed(Dash::Dashed);
            key.push(line_key(dashed, "training loss"));
            " The training loss is the mean over an epoch while the weights change."
        }
        (true, false) => {
            " The cross-entropy is that of the test set; that of training is in the data file."
        }
        (false, _) => "",
    };
    let gradient = match metrics.contains(&GRADIENT_NORM) {
        true => " Gradient norm: before clipping, mean over the optimiser steps of the epoch.",
        false => "",
    };
    Ok(Sheet {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "A line for each cell of the study; epoch 0 is the untrained network. {}{gradient}{loss}{}",
            curves.measured,
            groups.remarks()
        ),
        alt: format!(
            "{} against the epoch for {}.",
            count(panels.len(), "panel", "panels"),
            names(groups)
        ),
        page: PanelRows::grid(panels, 3, 125.0).with_key(key),
        table,
    })
}

fn curve_panel(
    &Curve(title, axis, metric): &Curve,
    epochs: &Epochs,
    table: &Table,
    has_training_loss: bool,
) -> Panel {
    let y = match metric {
        GRADIENT_NORM => Axis::new(axis).scaled(Scale::Log),
        TEST_LOSS => Axis::new(axis),
        _ => Axis::new(axis).from(0.0),
    };
    let mut panel = Panel::new(title, epoch_axis(), y);
    for (group, run, rows) in epochs {
        let stroke = Stroke::solid(group.colour, 1.3);
        if metric == TEST_LOSS && has_training_loss {
            let columns = [EPOCH.name, TRAIN_LOSS.name];
            let dashed = stroke.dashed(Dash::Dashed);
            panel.marks.push(table.line(rows, columns, dashed));
        }
        let points = table.points(rows, [EPOCH.name, metric.name]);
        panel.marks.extend(curve(group, run, points, stroke));
    }
    panel
}
