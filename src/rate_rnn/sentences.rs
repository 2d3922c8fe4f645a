//! What came out on networks of this family, in sentences made of the measured numbers.

use super::measures::{ERROR, LEAST_ERROR, MEASURES, error};
use super::metrics::{TEST_ERROR, TEST_PERPLEXITY};
use super::params::Kind;
use super::record;
use crate::analysis::compare::{Sample, rank_correlation};
use crate::families::Config;
use crate::record::RunRecord;
use crate::report::figures::spectra::correlation_words;
use crate::report::finished::Finished;
use crate::report::text::{number, signed};
use crate::text::count;

/// What the words of these sentences mean.
pub const WORDS: &str = "";

/// Conditions that are put in their order, at the most; of more, a figure tells it better.
const MOST_ORDERED: usize = 12;

/// The order of the conditions, whether the error goes with the entropy of the start, and what transplants tell.
pub fn over(finished: &[Finished<'_>]) -> Vec<String> {
    let measures = [ERROR, LEAST_ERROR, TEST_ERROR.name, TEST_PERPLEXITY.name];
    let orders = measures
        .into_iter()
        .filter_map(|name| ordering(finished, name));
    let others = [entropy(finished), transplants(finished)];
    orders.chain(others.into_iter().flatten()).collect()
}

/// Conditions from the lowest of a measure to the highest.
fn ordering(finished: &[Finished<'_>], name: &str) -> Option<String> {
    if !(2..=MOST_ORDERED).contains(&finished.len()) {
        return None;
    }
    let measure = MEASURES.find(name)?;
    let has = |one: &Finished<'_>| one.mean(Some(measure)).is_finite();
    if !finished.iter().all(has) {
        return None;
    }
    let mut spreads: Vec<_> = finished
        .iter()
        .map(|one| (one.label.as_str(), one.spread(measure)))
        .collect();
    spreads.sort_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
    let unit = if measure.unit == "%" { " %" } else { "" };
    let said = spreads.iter().map(|(label, spread)| {
        let [low, high] = spread.interval;
        let interval = match low.is_finite() {
            true => format!(" ({} to {})", number(low.max(0.0)), number(high)),
            false => String::new(),
        };
        format!("{label} {}{unit}{interval}", number(spread.mean))
    });
    let said: Vec<String> = said.collect();
    Some(format!(
        "From the lowest {} to the highest: {}.",
        measure.label,
        said.join("; ")
    ))
}

/// Whether the error falls with the entropy of the spectrum at the start, over networks whose entropies differ.
fn entropy(finished: &[Finished<'_>]) -> Option<String> {
    let of = |run: &&RunRecord| {
        let matrix = record::analysis(run)?.matrices.get("l0.w")?;
        let (_, error) = error(run)?;
        let pair = [matrix.initial.entropy, error];
        pair.iter().all(|x| x.is_finite()).then_some(pair)
    };
    let pairs: Vec<[f64; 2]> = (finished.iter())
        .flat_map(|one| one.runs.iter().filter_map(of))
        .collect();
    let correlation = rank_correlation(&pairs);
    let [low, high] = correlation.interval;
    if finished.len() < 2 || !low.is_finite() {
        return None;
    }
    let does = match (low > 0.0, high < 0.0) {
        (_, true) => "falls with",
        (true, _) => "rises with",
        _ => "does not significantly go with",
    };
    Some(format!(
        "The error {does} the entropy H of the recurrent matrix at the start. {}",
        correlation_words(&correlation)
    ))
}

/// What a start is put together from.
#[derive(Clone, Copy, PartialEq)]
struct Start {
    vectors: Kind,
    spectrum: Kind,
    frozen: bool,
}

fn start_of(run: &RunRecord) -> Option<Start> {
    let Config::RateRnn(config) = &run.config else {
        return None;
    };
    let kind = config.network.kind;
    let (vectors, spectrum) = match config.weights.transplant {
        Some(transplant) => (transplant.vectors, transplant.spectrum),
        None => (kind, kind),
    };
    // Column E/I is held to its signs by its kind, not by this setting.
    (kind == Kind::Standard).then_some(Start {
        vectors,
        spectrum,
        frozen: config.training.frozen_signs,
    })
}

/// How much the error changes with the singular values of the start, and with signs that are frozen: means over pairs of
/// conditions that differ in that alone, seed by seed.
fn transplants(finished: &[Finished<'_>]) -> Option<String> {
    let start = |one: &Finished<'_>| one.runs.first().and_then(|run| start_of(run));
    let differ = |is_pair: fn(Start, Start) -> bool| {
        let mut differences = Vec::new();
        for first in finished {
            for second in finished {
                let (Some(a), Some(b)) = (start(first), start(second)) else {
                    continue;
                };
                if is_pair(a, b) && first.runs.len() == second.runs.len() {
                    let runs = first.runs.iter().zip(&second.runs);
                    let of = |(a, b): (&&RunRecord, &&RunRecord)| Some(error(b)?.1 - error(a)?.1);
                    differences.extend(runs.filter_map(of));
                }
            }
        }
        Sample::of(&differences)
    };
    let spectrum = differ(|a, b| {
        let same = (a.vectors, a.frozen) == (b.vectors, b.frozen);
        same && a.spectrum == Kind::Standard && b.spectrum == Kind::ColEi
    });
    let signs =
        differ(|a, b| (a.vectors, a.spectrum) == (b.vectors, b.spectrum) && !a.frozen && b.frozen);
    if spectrum.n < 2 || signs.n < 2 {
        return None;
    }
    let said = |sample: &Sample| {
        let [low, high] = sample.interval().map(signed);
        format!(
            "{} percentage points ({low} to {high})",
            signed(sample.mean)
        )
    };
    let by_spectrum = spectrum.interval();
    let by_signs = signs.interval();
    let verdict = if by_spectrum[0] > by_signs[1] {
        "The spectrum matters more than the signs"
    } else if by_signs[0] > by_spectrum[1] {
        "The signs matter more than the spectrum"
    } else {
        "Whether the spectrum or the signs matter more stays within the error"
    };
    Some(format!(
        "{verdict}: singular values of column E/I instead of those of standard change the error by {}, signs that are \
         frozen by {} (means over pairs of networks that differ in that alone).",
        said(&spectrum),
        said(&signs)
    ))
}

/// What a condition does beside its accuracy.
pub fn of_condition(condition: &Finished<'_>) -> Vec<String> {
    let of = |name: &str, words: &str| {
        let spread = condition.spread(MEASURES.find(name)?);
        let [low, high] = spread.interval;
        let interval = match low.is_finite() {
            true => format!(" ({} to {})", number(low), number(high)),
            false => String::new(),
        };
        let said = format!("{words} {}{interval}", number(spread.mean));
        spread.mean.is_finite().then_some(said)
    };
    let perplexity = of(TEST_PERPLEXITY.name, "perplexity");
    let error = of(TEST_ERROR.name, "mean squared error");
    perplexity.into_iter().chain(error).collect()
}

/// What came out of one run beside its accuracy: paragraphs.
pub fn of_run(run: &RunRecord) -> Vec<String> {
    let Some(last) = run.last() else {
        return Vec::new();
    };
    let epochs = count(last.epoch() as usize, "epoch", "epochs");
    let of = |metric, words: &str| {
        let best = run.best().map_or_else(String::new, |best| {
            format!(
                "; best: {} after epoch {}",
                number(best[metric]),
                best.epoch()
            )
        });
        let said = format!(
            "The {words} over the test set is {} after {epochs}{best}.",
            number(last[metric])
        );
        last[metric].is_finite().then_some(said)
    };
    let perplexity = of(TEST_PERPLEXITY, "perplexity");
    let error = of(TEST_ERROR, "mean squared error");
    perplexity.into_iter().chain(error).collect()
}
