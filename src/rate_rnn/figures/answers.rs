//! What a network whose targets are values answers.

use crate::rate_rnn::analysis::TestResult;
use crate::report::figures::draw::page::PanelRows;
use crate::report::figures::draw::panel::Panel;
use crate::report::figures::draw::scale::Axis;
use crate::report::figures::draw::svg::{Colour, Dash, Marker, Stroke};
use crate::report::figures::groups::BLUE;
use crate::report::figures::kit::line_key;
use crate::report::figures::sheet::{Dots, Missing, Sheet, Table};
use crate::text::count;

/// Title of the figure.
pub const TITLE: &str = "Answers against targets";

/// Most values that are drawn: enough to see them, few enough for a small file.
const MOST_DRAWN: usize = 1000;

/// Answers against targets.
pub fn answers(test: &TestResult, checkpoint: &str) -> Result<Sheet, Missing> {
    let pairs = test.targets.iter().zip(&test.outputs);
    let pairs: Vec<[f64; 2]> = pairs.map(|(target, output)| [*target, *output]).collect();
    let every = pairs.len().div_ceil(MOST_DRAWN).max(1);
    let drawn = pairs.iter().step_by(every);
    let targets = drawn.clone().map(|pair| pair[0]);
    let (low, high) = targets
        .filter(|target| target.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        });
    if low > high {
        let reason = "the analysis has no targets that are numbers";
        return Err(Missing::new("answers", TITLE, reason));
    }
    let mut table = Table::new(&["target", "output"]);
    let rows = table.add(&[], drawn);
    let mut panel = Panel::new("", Axis::new("target"), Axis::new("output"));
    panel.room = (0.03, 0.05);
    let dots = Dots::open(Marker::Circle, 3.0, BLUE);
    panel
        .marks
        .push(table.dots(&rows, ["target", "output"], dots));
    let ends = table.add(&[], [[low, low], [high, high]]);
    let stroke = Stroke::solid(Colour::Ink, 1.2).dashed(Dash::Dashed);
    panel
        .marks
        .push(table.line(&ends, ["target", "output"], stroke));
    panel.key.push(line_key(stroke, "output = target"));
    let shown = match every {
        1 => String::new(),
        _ => format!(
            " Shown: {} of {}.",
            pairs.len().div_ceil(every),
            count(pairs.len(), "value", "values")
        ),
    };
    Ok(Sheet {
        id: "answers".into(),
        title: TITLE.into(),
        caption: format!(
            "What the network answers to the test sequences against what it should. Checkpoint: {checkpoint}.{shown}"
        ),
        alt: "Outputs against targets, and the diagonal.".into(),
        page: PanelRows::grid(vec![panel], 1, 260.0),
        table,
    })
}
