//! What came out on networks of this family, in sentences made of the measured numbers.

use super::measures::MEASURES;
use super::record;
use crate::record::RunRecord;
use crate::report::finished::Finished;
use crate::report::text::number;

/// What the words of these sentences mean.
pub const WORDS: &str = "";

/// What all conditions do, or which do what: nothing is said beyond each condition's own sentence.
pub fn over(_: &[Finished<'_>]) -> Vec<String> {
    Vec::new()
}

/// What a condition does beside its accuracy.
pub fn of_condition(condition: &Finished<'_>) -> Vec<String> {
    let of = |name: &str, words: &str, unit: &str| {
        let spread = condition.spread(MEASURES.find(name)?);
        let ends = spread.interval;
        // No share is below nothing or above all.
        let [low, high] = match unit {
            " %" => ends.map(|end| end.clamp(0.0, 100.0)),
            _ => ends,
        };
        let interval = match low.is_finite() {
            true => format!(" ({} to {})", number(low), number(high)),
            false => String::new(),
        };
        let said = format!("{words} {}{unit}{interval}", number(spread.mean));
        spread.mean.is_finite().then_some(said)
    };
    let assigned = of("assigned_accuracy_percent", "by assigned classes", " %");
    let read_out = of("read_out_accuracy_percent", "logistic read-out", " %");
    let all = [assigned, read_out];
    all.into_iter().flatten().collect()
}

/// What came out of one run beside its accuracy: paragraphs.
pub fn of_run(run: &RunRecord) -> Vec<String> {
    let Some(analysis) = record::analysis(run) else {
        return Vec::new();
    };
    let test = &analysis.test;
    let mut said = vec![format!(
        "Output cells fire at {} Hz in test trials of their class and at {} Hz in others.",
        number(test.own_rate_hz),
        number(test.other_rate_hz)
    )];
    if test.assigned_accuracy_percent.is_finite() {
        said.push(format!(
            "With classes assigned to the cells by separate trials the accuracy is {} %; a logistic regression on the \
             output cells' rates, fitted to those trials, is right in {} %.",
            number(test.assigned_accuracy_percent),
            number(test.read_out_accuracy_percent)
        ));
    }
    if let Some(tuning) = &analysis.tuning {
        said.push(format!(
            "Averaged over all offsets an output cell's rate changes by {} Hz with the orientation; the offset \
             modulates it by F1/F0 = {} (means over the cells). The mean correlation of two cells' curves is {}.",
            number(tuning.mean_of(|cell| cell.range_hz)),
            number(tuning.mean_of(|cell| cell.f1_over_f0)),
            number(tuning.mean_correlation)
        ));
    }
    said
}
