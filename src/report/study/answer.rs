//! What came out, in sentences made of the measured numbers: first over all conditions, then of each.
//!
//! Nothing is claimed within its error, and only finished cells count.

use maud::{Markup, html};

use super::super::accuracy;
use super::super::finished::Finished;
use super::super::text::{number, signed};
use super::{paired, reported};
use crate::analysis::compare::{Paired, Sample};
use crate::families::Family;
use crate::study::aggregate::{conditions, spread};
use crate::study::{CellRecord, Study};
use crate::text::count;
use crate::train::metrics::TEST_ACCURACY;

/// Reported numbers that did not come out and are named one by one.
const MOST_NAMED: usize = 8;
/// A reported number came out where it is met within this share of it, or two standard errors.
const CAME_OUT_SHARE: f64 = 0.1;

/// What stands above the sentences.
const INTRODUCTION: &str = "Generated from the numbers below; finished cells only. Intervals are 95 % confidence \
    intervals.";

/// The section's content.
pub fn html(study: &Study, cells: &[CellRecord]) -> Markup {
    let (all, each) = sentences(study, cells);
    html! {
        @if each.is_empty() {
            p { "No cell has finished yet: nothing can be said." }
        } @else {
            p { (INTRODUCTION) " " (study.family().words_of_sentences()) }
            @if !all.is_empty() { ul.answer { @for sentence in &all { li { (sentence) } } } }
            h3 { "By condition" }
            ul { @for sentence in &each { li { (sentence) } } }
        }
    }
}

/// Sentences over all conditions, and one of each.
pub fn sentences(study: &Study, cells: &[CellRecord]) -> (Vec<String>, Vec<String>) {
    let family = study.family();
    let conditions = conditions(&study.spec, &study.cells);
    let finished = Finished::among(&conditions, cells);
    let mut all = family.sentences_over(&finished);
    all.extend(pairs(study, &finished));
    all.extend(claims(study, cells));
    let each = finished.iter().map(|one| of_condition(family, one));
    (all, each.collect())
}

/// One sentence on a condition.
fn of_condition(family: Family, condition: &Finished<'_>) -> String {
    let (n, of) = (condition.runs.len(), condition.condition.cells.len());
    let cells = if n == of {
        count(n, "cell", "cells")
    } else {
        format!("{n} of {}", count(of, "cell", "cells"))
    };
    let measure = family.measures().find(TEST_ACCURACY.name);
    let accuracy = measure.and_then(|measure| accuracy::of_condition(condition, measure));
    let mut parts: Vec<String> = accuracy.into_iter().collect();
    parts.extend(family.sentences_of_condition(condition));
    if parts.is_empty() {
        parts.push("not measured".into());
    }
    format!("{} ({cells}): {}.", condition.label, parts.join("; "))
}

/// Accuracy of the conditions that the study compares, on the same samples.
fn pairs(study: &Study, finished: &[Finished<'_>]) -> Vec<String> {
    let cells: Vec<&CellRecord> = (finished.iter())
        .flat_map(|condition| condition.cells.iter().copied())
        .collect();
    let label = |name: &str| {
        let values = study.cells.iter().filter_map(|cell| cell.values.first());
        let mut values = values.map(|(_, value)| value);
        let value = values.find(|value| value.name == name);
        value.map_or_else(|| name.to_owned(), |value| value.shown().to_owned())
    };
    let of_pair = |pair: &[String; 2]| {
        let both = paired::partners(&cells, pair);
        let both: Vec<Paired> = both
            .filter_map(|(a, b)| paired::paired(a, b).ok())
            .collect();
        let [first, second] = pair.each_ref().map(|name| label(name));
        compared(&first, &second, &both)
    };
    paired::pairs(study).iter().filter_map(of_pair).collect()
}

/// What pairs of cells say of two conditions. A difference is claimed only where the interval (over pairs
/// where there are several, else of the one) and McNemar's test both leave it standing.
fn compared(first: &str, second: &str, pairs: &[Paired]) -> Option<String> {
    let pooled = pairs.iter().fold(Paired::default(), |sum, pair| Paired {
        trials: sum.trials + pair.trials,
        only_first: sum.only_first + pair.only_first,
        only_second: sum.only_second + pair.only_second,
    });
    if pooled.trials == 0 {
        return None;
    }
    let differences: Vec<f64> = pairs
        .iter()
        .map(|pair| pair.difference_percent().0)
        .collect();
    let (difference, [low, high]) = match &differences[..] {
        [_] => pooled.difference_percent(),
        many => {
            let sample = Sample::of(many);
            (sample.mean, sample.interval())
        }
    };
    let interval = format!(
        "{} percentage points ({} to {}; {})",
        signed(difference),
        signed(low),
        signed(high),
        count(pairs.len(), "pair of cells", "pairs of cells")
    );
    let is_claimed = (low > 0.0 || high < 0.0) && pooled.mcnemar_p() < 0.05;
    Some(if is_claimed {
        let more = if difference > 0.0 { "more" } else { "fewer" };
        format!("{second} classifies {more} test samples correctly than {first}: {interval}.")
    } else {
        format!(
            "The difference in accuracy between {second} and {first} is not significant: {interval}."
        )
    })
}

/// Which of the reported numbers came out.
fn claims(study: &Study, cells: &[CellRecord]) -> Option<String> {
    let (mut met, mut unmet, mut open) = (0, Vec::new(), 0);
    for reported in &study.spec.reported {
        let Some(measure) = study.family().measures().find(&reported.measure) else {
            continue;
        };
        let matching = reported::matching(cells, &reported.cells);
        let measured = spread(matching.iter().copied(), measure);
        if !matching.iter().any(|cell| cell.finished().is_some()) {
            open += 1;
            continue;
        }
        if measured.n == 0 {
            unmet.push(format!(
                "{} of {} ({} reported, none measured)",
                measure.label,
                reported::selection(&reported.cells, &matching),
                number(reported.value)
            ));
            continue;
        }
        let seeds = measured.sd / (measured.n as f64).sqrt();
        let binomial = reported::standard_error(measure, &measured, &matching);
        let error = [seeds, binomial]
            .into_iter()
            .filter(|e| e.is_finite())
            .fold(0.0, f64::max);
        let allowed = (2.0 * error).max(CAME_OUT_SHARE * reported.value.abs());
        if (measured.mean - reported.value).abs() <= allowed {
            met += 1;
        } else {
            unmet.push(format!(
                "{} of {} ({} reported, {} measured{})",
                measure.label,
                reported::selection(&reported.cells, &matching),
                number(reported.value),
                number(measured.mean),
                if measure.unit == "1" {
                    String::new()
                } else {
                    format!(" {}", measure.unit)
                }
            ));
        }
    }
    let known = met + unmet.len();
    if known == 0 {
        return None;
    }
    let mut text = format!(
        "Of {}, {met} {} reproduced (to within 10 % or two standard errors, whichever is larger)",
        count(known, "reported number", "reported numbers"),
        if met == 1 { "was" } else { "were" }
    );
    if !unmet.is_empty() {
        let more = unmet.len().saturating_sub(MOST_NAMED);
        unmet.truncate(MOST_NAMED);
        text += &format!(". Not reproduced: {}", unmet.join("; "));
        if more > 0 {
            text += &format!("; and {more} more in the table");
        }
    }
    if open > 0 {
        let belong = if open == 1 { "belongs" } else { "belong" };
        text += &format!(". {open} {belong} to cells that have not finished");
    }
    Some(text + ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_claimed_only_where_interval_and_test_agree() {
        let pair = |only_first, only_second| Paired {
            trials: 400,
            only_first,
            only_second,
        };
        let said = |pairs: &[Paired]| compared("A", "B", pairs).unwrap();
        // The interval of 5 against 0 is +0.2 to +2.3, but McNemar's p is 0.06.
        assert!(said(&[pair(0, 5)]).contains("is not significant"));
        assert!(
            said(&[pair(0, 12)]).starts_with("B classifies more test samples correctly than A")
        );
        assert!(said(&[pair(30, 4)]).starts_with("B classifies fewer"));
        // Seeds that disagree: together 40 against 20, yet no claim.
        let disagree = [pair(0, 40), pair(20, 0)];
        assert!(said(&disagree).contains("is not significant"));
        assert!(compared("A", "B", &[]).is_none());
    }
}
