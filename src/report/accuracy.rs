//! Accuracy in words, and by class.

use super::finished::Finished;
use super::table::{Column, Entry, NumberTable, column, column_of, row};
use super::text::number;
use crate::analysis::answers::Answers;
use crate::analysis::compare::wilson_percent;
use crate::record::RunRecord;
use crate::study::measures::Measure;
use crate::text::count;
use crate::train::metrics::TEST_ACCURACY;

/// Test accuracy of a run with its interval and that of its best epoch, in a sentence; none where no accuracy was
/// measured.
pub fn of_run(run: &RunRecord) -> Option<String> {
    let last = run.last()?;
    if !last[TEST_ACCURACY].is_finite() {
        return None;
    }
    let interval = run.answers().map_or_else(String::new, |answers| {
        let [low, high] = answers.interval_percent();
        format!(" (95 % interval {low:.1} to {high:.1} %)")
    });
    let best = run.best().map_or_else(String::new, |best| {
        let rule = match run.config.has_validation() {
            true => "best by validation",
            false => "best",
        };
        let accuracy = number(best[TEST_ACCURACY]);
        format!("; {rule}: {accuracy} % after epoch {}", best.epoch())
    });
    Some(format!(
        "Test accuracy is {} %{interval} after {}{best}.",
        number(last[TEST_ACCURACY]),
        count(last.epoch() as usize, "epoch", "epochs"),
    ))
}

/// Accuracy of a condition with its interval: Wilson's of all answers, or Student's over seeds where that is wider; none
/// where no accuracy was measured.
pub fn of_condition(condition: &Finished<'_>, measure: &Measure) -> Option<String> {
    let spread = condition.spread(measure);
    if !spread.mean.is_finite() {
        return None;
    }
    let (mut correct, mut trials) = (0, 0);
    for answers in condition.answers() {
        correct += answers.correct();
        trials += answers.labels.len() as u64;
    }
    let ([low, high], [seeds_low, seeds_high]) = (wilson_percent(correct, trials), spread.interval);
    // NaN of a single cell, or without an analysis, loses against a number.
    let (low, high) = (low.min(seeds_low), high.max(seeds_high));
    Some(if low.is_finite() {
        let [low, high] = [low, high].map(|end| end.clamp(0.0, 100.0));
        format!("accuracy {:.1} % ({low:.1} to {high:.1} %)", spread.mean)
    } else {
        format!("accuracy {:.1} %", spread.mean)
    })
}

/// Trials, correct answers and accuracy of each class, and `more` columns with a value for each class.
pub fn by_class(answers: Answers<'_>, caption: &str, more: &[(Column, &[f64])]) -> NumberTable {
    let classes = answers.labels.iter().max().map_or(0, |class| class + 1);
    let of_class = |class: u32| {
        let (trials, correct) = answers.of_class(class);
        let (trials, correct) = (trials as f64, correct as f64);
        let own = [trials, correct, 100.0 * correct / trials];
        let more = (more.iter())
            .map(|(_, values)| values.get(class as usize).copied().unwrap_or(f64::NAN));
        let entries = own.into_iter().chain(more).map(Entry::Number);
        row(format!("class {class}"), entries.collect())
    };
    let mut columns = vec![
        column("test trials"),
        column("correct"),
        column_of("accuracy", "%"),
    ];
    columns.extend(more.iter().map(|(column, _)| column.clone()));
    NumberTable {
        id: "classes-table".into(),
        caption: caption.into(),
        corner: "class".into(),
        columns,
        // More classes than trials are no classes.
        rows: (0..classes.min(answers.labels.len() as u32))
            .map(of_class)
            .collect(),
        ..NumberTable::default()
    }
}
