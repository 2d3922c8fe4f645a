//! What came out, in sentences made of the measured numbers: first over all conditions, then of each.
//!
//! Nothing is claimed within its error: signs and criteria are named only where two standard errors
//! leave them standing, and only finished cells count.

use maud::{Markup, html};

use super::super::text::{capitalised, list, number, signed};
use super::{paired, reported};
use crate::analysis::compare::{Paired, Sample, wilson_percent};
use crate::analysis::convergence::RATE_HZ_PER_EPOCH;
use crate::analysis::record::{MatrixAnalysis, RunAnalysis};
use crate::conductance::metrics::E_RATE;
use crate::families::Family;
use crate::record::RunRecord;
use crate::study::aggregate::{Condition, Spread, conditions, spread};
use crate::study::measures::{Measure, SILENT_I_HZ, find, late_slope};
use crate::study::{CellRecord, Study};
use crate::text::count;

/// Share of entries that began above 0 and no longer are, from which on a matrix is called pruned, %.
const PRUNED_PERCENT: f64 = 50.0;
/// Effective mean over that of the start below which a matrix is called pruned.
const SHRUNK: f64 = 0.5;
/// The same above which it is called grown.
const GROWN: f64 = 1.5;
/// Reported numbers that did not come out and are named one by one.
const MOST_NAMED: usize = 8;
/// A reported number came out where it is met within this share of it, or two standard errors.
const CAME_OUT_SHARE: f64 = 0.1;

/// What stands above the sentences.
const INTRODUCTION: &str = "Generated from the numbers below; finished cells only. A matrix is called pruned \
    if at least half of its initially positive entries are now at or below 0, or if its mean of max(w, 0) is \
    below half the initial value; grown if that mean is above 1.5 times the initial value; kept otherwise. \
    Intervals are 95 % confidence intervals; ± is one standard error.";

/// The same where nothing spikes, and no matrix is said to be pruned.
const OF_RATES: &str = "Generated from the numbers below; finished cells only. Intervals are 95 % confidence intervals.";

fn introduction(family: Family) -> &'static str {
    match family {
        Family::Conductance => INTRODUCTION,
        Family::RateRnn => OF_RATES,
    }
}

/// The section's content.
pub fn html(study: &Study, cells: &[CellRecord]) -> Markup {
    let (all, each) = sentences(study, cells);
    html! {
        @if each.is_empty() {
            p { "No cell has finished yet: nothing can be said." }
        } @else {
            p { (introduction(study.family())) }
            @if !all.is_empty() { ul.answer { @for sentence in &all { li { (sentence) } } } }
            h3 { "By condition" }
            ul { @for sentence in &each { li { (sentence) } } }
        }
    }
}

/// A condition with the finished runs of its cells.
struct Finished<'a> {
    label: String,
    condition: &'a Condition,
    cells: Vec<&'a CellRecord>,
    runs: Vec<&'a RunRecord>,
}

impl Finished<'_> {
    fn analyses(&self) -> impl Iterator<Item = &RunAnalysis> {
        self.runs.iter().filter_map(|run| run.analysis.as_ref())
    }

    fn spread(&self, measure: &Measure) -> Spread {
        spread(self.cells.iter().copied(), measure)
    }

    fn mean(&self, name: &str) -> f64 {
        find(name).map_or(f64::NAN, |measure| self.spread(measure).mean)
    }

    fn trains_loop(&self) -> bool {
        self.analyses().any(trains_loop)
    }
}

/// Sentences over all conditions, and one of each.
pub fn sentences(study: &Study, cells: &[CellRecord]) -> (Vec<String>, Vec<String>) {
    let conditions = conditions(&study.spec, &study.cells);
    let finished: Vec<Finished<'_>> = conditions
        .iter()
        .filter_map(|condition| {
            let own = condition.cells.iter().filter_map(|&place| cells.get(place));
            let own: Vec<&CellRecord> = own.collect();
            let runs: Vec<&RunRecord> = own.iter().filter_map(|cell| cell.finished()).collect();
            (!runs.is_empty()).then(|| Finished {
                label: condition.label(),
                condition,
                cells: own,
                runs,
            })
        })
        .collect();
    let mut all = Vec::new();
    for (short, name) in [("ei", "W_EI"), ("ie", "W_IE")] {
        all.extend(grouped(&finished, name, |condition| {
            let fates = condition.analyses().filter_map(|analysis| {
                let matrix = analysis.weights.get(short)?;
                matrix.trained.then(|| fate(matrix))
            });
            in_all(fates.collect())
        }));
    }
    all.extend(grouped(&finished, "The I population", |condition| {
        let silences = condition.runs.iter().filter_map(|run| {
            let trains = run.analysis.as_ref().is_some_and(trains_loop);
            let has_steps = trains && !run.steps.is_empty();
            has_steps.then(|| match silent_from(run) {
                step if step.is_nan() => "stays active",
                1.0 => "is silent from the first step",
                _ => "falls silent",
            })
        });
        in_all(silences.collect())
    }));
    all.extend(grouped(&finished, "A rhythm of the E cells", |condition| {
        let rhythms = condition.analyses().map(|analysis| {
            if analysis.rhythm.is_rhythmic {
                "is found"
            } else {
                "is absent"
            }
        });
        in_all(rhythms.collect())
    }));
    all.extend(grouped(&finished, "The E rate", |condition| {
        let settled = condition.runs.iter().filter_map(|run| settled(run));
        in_all(settled.collect())
    }));
    all.extend(pairs(study, &finished));
    all.extend(claims(study, cells));
    let each = finished.iter().map(of_condition).collect();
    (all, each)
}

/// What came out of one run.
pub fn of_run(run: &RunRecord) -> Vec<String> {
    let Some(analysis) = &run.analysis else {
        return Vec::new();
    };
    let mut all = vec![rhythm(&[analysis])];
    all.extend(loop_fates(&[analysis]));
    all.extend(silence(&[run]));
    all.extend(slopes(&[analysis]));
    all.into_iter()
        .map(|part| capitalised(&part) + ".")
        .collect()
}

/// `SUBJECT verb in A and B; verb in C.`, conditions by what they do; none where nobody says.
fn grouped(
    finished: &[Finished<'_>],
    subject: &str,
    verb: impl Fn(&Finished<'_>) -> Option<String>,
) -> Option<String> {
    let mut groups: Vec<(String, Vec<&Finished<'_>>)> = Vec::new();
    for condition in finished {
        let Some(verb) = verb(condition) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, conditions)) => conditions.push(condition),
            None => groups.push((verb, vec![condition])),
        }
    }
    let parts: Vec<String> = match &groups[..] {
        [] => return None,
        [(verb, conditions)] if conditions.len() == finished.len() && conditions.len() > 1 => {
            vec![format!("{verb} in every condition that has finished")]
        }
        many => many
            .iter()
            .map(|(verb, conditions)| format!("{verb} in {}", together(conditions)))
            .collect(),
    };
    Some(format!("{subject} {}.", parts.join(". It ")))
}

/// The labels of conditions, those with the same first value together: `A (x, y); B (x)`.
fn together(conditions: &[&Finished<'_>]) -> String {
    let mut firsts: Vec<(String, Vec<String>)> = Vec::new();
    for condition in conditions {
        let mut labels = condition
            .condition
            .values
            .iter()
            .map(|(_, value)| value.shown());
        let first = labels.next().unwrap_or(&condition.label).to_owned();
        let rest = labels.collect::<Vec<_>>().join(", ");
        match firsts.iter_mut().find(|(known, _)| *known == first) {
            Some((_, rests)) => rests.push(rest),
            None => firsts.push((first, vec![rest])),
        }
    }
    let parts = firsts.into_iter().map(|(first, rests)| {
        let rests: Vec<String> = rests.into_iter().filter(|rest| !rest.is_empty()).collect();
        match rests[..] {
            [] => first,
            _ => format!("{first} ({})", rests.join(", ")),
        }
    });
    // Labels may hold commas.
    parts.collect::<Vec<_>>().join("; ")
}

/// What all seeds do, or how many do what; none without seeds.
fn in_all(verbs: Vec<&'static str>) -> Option<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for &verb in &verbs {
        match kinds.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, n)) => *n += 1,
            None => kinds.push((verb, 1)),
        }
    }
    match kinds[..] {
        [] => None,
        [(verb, _)] => Some(verb.to_owned()),
        _ => {
            let parts = kinds.iter().map(|(verb, n)| {
                format!("{verb} in {n} of {}", count(verbs.len(), "seed", "seeds"))
            });
            Some(list(&parts.collect::<Vec<_>>()))
        }
    }
}

fn trains_loop(analysis: &RunAnalysis) -> bool {
    ["ei", "ie"]
        .iter()
        .any(|name| analysis.weights.get(*name).is_some_and(|m| m.trained))
}

/// What training did to a matrix of the loop.
fn fate(matrix: &MatrixAnalysis) -> &'static str {
    if matrix.initial.norm == 0.0 {
        return if matrix.now.norm == 0.0 {
            "stays zero"
        } else {
            "becomes non-zero"
        };
    }
    let growth = growth(matrix);
    if matrix.really_pruned_percent >= PRUNED_PERCENT || growth < SHRUNK {
        "is pruned"
    } else if growth > GROWN {
        "has grown"
    } else {
        "is kept"
    }
}

/// Effective mean over that of the start.
fn growth(matrix: &MatrixAnalysis) -> f64 {
    matrix.now.effective_mean / matrix.initial.effective_mean
}

/// Optimiser step from which on the I population is silent; NaN where it is not.
fn silent_from(run: &RunRecord) -> f64 {
    find("i_below_1hz_step").map_or(f64::NAN, |measure| measure.of(run))
}

/// Whether the E rate has come to rest; none for runs that are too short.
fn settled(run: &RunRecord) -> Option<&'static str> {
    let slope = late_slope(run, |epoch| epoch[E_RATE])?;
    Some(match slope.is_below(RATE_HZ_PER_EPOCH) {
        Some(true) => "has settled",
        Some(false) => "still drifts",
        None => {
            "may or may not have settled (the criterion is within two standard errors of its slope)"
        }
    })
}

/// One sentence on a condition.
fn of_condition(condition: &Finished<'_>) -> String {
    let (n, of) = (condition.runs.len(), condition.condition.cells.len());
    let cells = if n == of {
        count(n, "cell", "cells")
    } else {
        format!("{n} of {}", count(of, "cell", "cells"))
    };
    let analyses: Vec<&RunAnalysis> = condition.analyses().collect();
    let mut parts = vec![accuracy(condition)];
    if condition
        .runs
        .iter()
        .any(|run| run.config.as_conductance().is_some())
    {
        parts.push(format!(
            "E rate {} Hz, I rate {} Hz",
            number(condition.mean("e_rate_hz")),
            number(condition.mean("i_rate_hz"))
        ));
    }
    if !analyses.is_empty() {
        parts.push(rhythm(&analyses));
        parts.extend(loop_fates(&analyses));
        if condition.trains_loop() {
            parts.extend(silence(&condition.runs));
        }
        parts.extend(slopes(&analyses));
    }
    format!("{} ({cells}): {}.", condition.label, parts.join("; "))
}

/// Accuracy with its interval: Wilson's of all answers, or Student's over seeds where that is wider.
fn accuracy(condition: &Finished<'_>) -> String {
    let Some(measure) = find("test_accuracy_percent") else {
        return String::new();
    };
    let spread = condition.spread(measure);
    if !spread.mean.is_finite() {
        let error = condition.mean("test_squared_error");
        return match error.is_finite() {
            true => format!("mean squared error {}", number(error)),
            false => "accuracy not measured".into(),
        };
    }
    let (mut correct, mut trials) = (0, 0);
    for analysis in condition.analyses() {
        let test = &analysis.test;
        let answers = test.labels.iter().zip(&test.predicted);
        correct += answers.filter(|(label, answer)| label == answer).count() as u64;
        trials += test.labels.len() as u64;
    }
    let ([low, high], [seeds_low, seeds_high]) = (wilson_percent(correct, trials), spread.interval);
    // NaN of a single cell, or without an analysis, loses against a number.
    let (low, high) = (low.min(seeds_low), high.max(seeds_high));
    if low.is_finite() {
        let [low, high] = [low, high].map(|end| end.clamp(0.0, 100.0));
        format!("accuracy {:.1} % ({low:.1} to {high:.1} %)", spread.mean)
    } else {
        format!("accuracy {:.1} %", spread.mean)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn rhythm(analyses: &[&RunAnalysis]) -> String {
    let rhythmic: Vec<&&RunAnalysis> = analyses.iter().filter(|a| a.rhythm.is_rhythmic).collect();
    let contrast = |contrast: f64| {
        if contrast.is_finite() {
            format!(" (contrast {contrast:.2})")
        } else {
            String::new()
        }
    };
    if rhythmic.is_empty() {
        let of_i = analyses.iter().filter(|a| a.rhythm.i.is_rhythmic);
        let i_hz = mean(of_i.map(|a| a.rhythm.i.f_hz));
        let alone = if i_hz.is_finite() {
            format!(", while I cells fire together at {i_hz:.1} Hz")
        } else {
            String::new()
        };
        let of_e = mean(analyses.iter().map(|a| a.rhythm.e.contrast));
        return format!("no rhythm of E cells{}{alone}", contrast(of_e));
    }
    let mut hz: Vec<f64> = rhythmic.iter().map(|a| a.rhythm.f_hz).collect();
    hz.sort_by(f64::total_cmp);
    let range = match hz[..] {
        [first, .., last] if last - first > 1.0 => format!("{first:.1} to {last:.1}"),
        _ => format!("{:.1}", mean(hz.iter().copied())),
    };
    let is_gamma = rhythmic.iter().all(|a| a.rhythm.f_gamma_hz.is_finite());
    let kind = if is_gamma { "gamma rhythm" } else { "rhythm" };
    let seeds = if rhythmic.len() < analyses.len() {
        let seeds = count(analyses.len(), "seed", "seeds");
        format!(" in {} of {seeds}", rhythmic.len())
    } else {
        String::new()
    };
    let of_e = mean(rhythmic.iter().map(|a| a.rhythm.e.contrast));
    format!("{kind} at {range} Hz{seeds}{}", contrast(of_e))
}

/// What became of the trained matrices of the loop.
fn loop_fates(analyses: &[&RunAnalysis]) -> Vec<String> {
    let of_matrix = |(short, name): (&str, &str)| {
        let matrices = analyses.iter().filter_map(|a| a.weights.get(short));
        let trained: Vec<&MatrixAnalysis> = matrices.filter(|m| m.trained).collect();
        let fates = in_all(trained.iter().map(|m| fate(m)).collect())?;
        let growth = mean(trained.iter().map(|m| growth(m)));
        let pruned = mean(trained.iter().map(|m| m.really_pruned_percent));
        let numbers = if growth.is_finite() {
            format!(
                " (mean of max(w, 0): {} × its initial value; {pruned:.0} % of the initially positive entries \
                 pruned)",
                number(growth)
            )
        } else {
            String::new()
        };
        Some(format!("{name} {fates}{numbers}"))
    };
    [("ei", "W_EI"), ("ie", "W_IE")]
        .into_iter()
        .filter_map(of_matrix)
        .collect()
}

/// From which step on I is silent; none where no steps are recorded.
fn silence(runs: &[&RunRecord]) -> Option<String> {
    let with_steps: Vec<&&RunRecord> = runs.iter().filter(|run| !run.steps.is_empty()).collect();
    let of_loop = |run: &&&RunRecord| run.analysis.as_ref().is_some_and(trains_loop);
    let with_steps: Vec<_> = with_steps.into_iter().filter(of_loop).collect();
    if with_steps.is_empty() {
        return None;
    }
    let steps: Vec<f64> = with_steps.iter().map(|run| silent_from(run)).collect();
    let mut silent: Vec<f64> = steps
        .iter()
        .copied()
        .filter(|step| step.is_finite())
        .collect();
    silent.sort_by(f64::total_cmp);
    let seeds = if silent.len() < steps.len() {
        let seeds = count(steps.len(), "seed", "seeds");
        format!(" in {} of {seeds}", silent.len())
    } else {
        String::new()
    };
    Some(match silent[..] {
        [.., 1.0] => format!("I is silent from the first step{seeds}"),
        [] => format!("I does not stay below {SILENT_I_HZ} Hz"),
        [step] => {
            format!("I stays below {SILENT_I_HZ} Hz from optimiser step {step}{seeds}")
        }
        [first, .., last] => {
            format!("I stays below {SILENT_I_HZ} Hz from optimiser step {first} to {last}{seeds}")
        }
    })
}

/// What the loss does along the gains of the loop; a sign only beyond two standard errors.
fn slopes(analyses: &[&RunAnalysis]) -> Vec<String> {
    let of_matrix = |(short, name): (&str, &str)| {
        let slopes = analyses.iter().flat_map(|a| &a.loop_slopes);
        let slopes: Vec<_> = slopes.filter(|slope| slope.matrix == short).collect();
        if slopes.is_empty() {
            return None;
        }
        let n = slopes.len() as f64;
        let seeds: Vec<f64> = slopes.iter().map(|s| s.measured).collect();
        let seeds = Sample::of(&seeds);
        let measured = seeds.mean;
        let trials: f64 = slopes.iter().map(|s| s.measured_error.powi(2)).sum();
        // Over trials, and between seeds where there are several (else NaN): the larger.
        let error = (trials.sqrt() / n).max(seeds.standard_error());
        let surrogate = slopes.iter().map(|s| s.surrogate).sum::<f64>() / n;
        let claim = if measured == 0.0 && error == 0.0 {
            return Some(format!(
                "scaling {name} does not change the loss (I is silent)"
            ));
        } else if measured - 2.0 * error > 0.0 {
            format!("a stronger {name} raises the loss")
        } else if measured + 2.0 * error < 0.0 {
            format!("a stronger {name} lowers the loss")
        } else {
            format!("the effect of a stronger {name} on the loss is not resolved")
        };
        Some(format!(
            "{claim} (slope {} ± {} nats, surrogate gradient {})",
            signed(measured),
            number(error),
            signed(surrogate)
        ))
    };
    [("ei", "W_EI"), ("ie", "W_IE")]
        .into_iter()
        .filter_map(of_matrix)
        .collect()
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
        let Some(measure) = find(&reported.measure) else {
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
