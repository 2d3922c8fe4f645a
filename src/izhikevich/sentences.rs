//! What came out on networks of this family, in sentences made of the measured numbers.

use super::measures::{ASSIGNED, MEASURES, READ_OUT};
use super::record;
use crate::record::RunRecord;
use crate::report::finished::{Finished, grouped};
use crate::report::text::number;
use crate::train::metrics::TEST_ACCURACY;

/// Mean accuracy from which on a task is called learned, %.
const LEARNED_PERCENT: f64 = 95.0;

/// What the words of these sentences mean.
pub const WORDS: &str = "A task is called learned if the mean accuracy over the cells of a condition is at least 95 %, \
    with each output cell standing for the class of its number; learned without names if it is so only with the classes \
    assigned to the cells by separate trials; and there to be read if only a logistic read-out of their rates is that good.";

/// Which tasks are learned.
pub fn over(finished: &[Finished<'_>]) -> Vec<String> {
    let of = |condition: &Finished<'_>| {
        let mean = |name| condition.mean(MEASURES.find(name));
        let by_number = mean(TEST_ACCURACY.name);
        let [assigned, read_out] = [ASSIGNED, READ_OUT].map(mean);
        by_number
            .is_finite()
            .then(|| fate(by_number, assigned, read_out).to_owned())
    };
    grouped(finished, "The task", of).into_iter().collect()
}

/// What became of a task, from mean accuracies.
fn fate(by_number: f64, assigned: f64, read_out: f64) -> &'static str {
    match [by_number, assigned, read_out].map(|percent| percent >= LEARNED_PERCENT) {
        [true, ..] => "is learned",
        [_, true, _] => "is learned without names",
        [_, _, true] => "is there to be read",
        _ => "stays unlearned",
    }
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
    let assigned = of(ASSIGNED, "by assigned classes", " %");
    let read_out = of(READ_OUT, "logistic read-out", " %");
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

#[cfg(test)]
mod tests {
    use super::fate;

    #[test]
    fn a_task_is_learned_by_number_or_by_assignment_or_can_be_read() {
        for (accuracies, expected) in [
            ([95.0, 20.0, f64::NAN], "is learned"),
            ([94.9, 95.0, 100.0], "is learned without names"),
            ([50.0, 80.0, 99.0], "is there to be read"),
            ([50.0, f64::NAN, f64::NAN], "stays unlearned"),
        ] {
            let [by_number, assigned, read_out] = accuracies;
            assert_eq!(fate(by_number, assigned, read_out), expected);
        }
    }
}
