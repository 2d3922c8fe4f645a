//! What came out on networks of this family, in sentences made of the measured numbers.

use std::collections::BTreeMap;

use super::measures::{ERROR, LEAST_ERROR, MEASURES, entropy_and_error};
use super::metrics::{TEST_ERROR, TEST_PERPLEXITY};
use super::params::Kind;
use crate::analysis::compare::{Sample, rank_correlation};
use crate::families::Config;
use crate::record::RunRecord;
use crate::report::figures::spectra::correlation_words;
use crate::report::finished::Finished;
use crate::report::text::{number, signed};
use crate::text::count;
use crate::train::metrics::TEST_ACCURACY;

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
    let runs = finished.iter().flat_map(|one| &one.runs);
    let all: Vec<_> = runs.filter_map(|run| entropy_and_error(run)).collect();
    let (kind, _) = *all.first()?;
    let pairs = all.iter().filter(|(what, _)| *what == kind);
    let pairs: Vec<[f64; 2]> = pairs.map(|(_, pair)| *pair).collect();
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

/// A finished network whose start is put together from kinds, or which keeps its signs.
struct Transplanted {
    vectors: Kind,
    spectrum: Kind,
    is_frozen: bool,
    /// All else that it was configured to, seeds included.
    rest: String,
    seed: u64,
    error_percent: f64,
}

impl Transplanted {
    /// A `standard` network: column E/I is held to its signs by its kind, not by a setting.
    fn of(run: &RunRecord) -> Option<Self> {
        let Config::RateRnn(config) = &run.config else {
            return None;
        };
        let transplant = config.weights.transplant;
        let (kind, seed) = (config.network.kind, config.seeds.weights);
        let mut rest = config.clone();
        rest.name.clear();
        rest.weights.transplant = None;
        rest.training.frozen_signs = false;
        let accuracy = run.last()?[TEST_ACCURACY];
        (kind == Kind::Standard && accuracy.is_finite()).then_some(Self {
            vectors: transplant.map_or(kind, |t| t.vectors),
            spectrum: transplant.map_or(kind, |t| t.spectrum),
            is_frozen: config.training.frozen_signs,
            rest: serde_json::to_string(&rest).ok()?,
            seed,
            error_percent: 100.0 - accuracy,
        })
    }
}

/// By seed how much the error of networks that are alike in all else changes from the first to the second of a pair: the
/// mean over the pairs that there are.
fn change(
    all: &[Transplanted],
    is_pair: impl Fn(&Transplanted, &Transplanted) -> bool,
) -> BTreeMap<u64, f64> {
    let mut by_seed: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for first in all {
        let partners = all.iter().filter(|second| first.rest == second.rest);
        for second in partners.filter(|second| is_pair(first, second)) {
            let difference = second.error_percent - first.error_percent;
            by_seed.entry(first.seed).or_default().push(difference);
        }
    }
    let mean = |(seed, own): (u64, Vec<f64>)| (seed, Sample::of(&own).mean);
    by_seed.into_iter().map(mean).collect()
}

/// How much the error changes with the singular values of the start, and with signs that are frozen.
fn transplants(finished: &[Finished<'_>]) -> Option<String> {
    let runs = finished.iter().flat_map(|one| &one.runs);
    let all: Vec<Transplanted> = runs.filter_map(|run| Transplanted::of(run)).collect();
    told_of_transplants(&all)
}

fn told_of_transplants(all: &[Transplanted]) -> Option<String> {
    let spectrum = change(all, |a, b| {
        let same = a.vectors == b.vectors && a.is_frozen == b.is_frozen;
        same && a.spectrum == Kind::Standard && b.spectrum == Kind::ColEi
    });
    let signs = change(all, |a, b| {
        let same = a.vectors == b.vectors && a.spectrum == b.spectrum;
        same && !a.is_frozen && b.is_frozen
    });
    let sample = |of: &BTreeMap<u64, f64>| Sample::of(&of.values().copied().collect::<Vec<_>>());
    let (by_spectrum, by_signs) = (sample(&spectrum), sample(&signs));
    // Which is the larger, whichever way it goes, seed by seed.
    let both = spectrum
        .iter()
        .filter_map(|(seed, a)| Some((a, signs.get(seed)?)));
    let excess = both.map(|(a, b)| a * by_spectrum.mean.signum() - b * by_signs.mean.signum());
    let excess = Sample::of(&excess.collect::<Vec<_>>());
    if excess.n < 2 {
        return None;
    }
    let said = |sample: &Sample| {
        let [low, high] = sample.interval().map(signed);
        format!(
            "{} percentage points ({low} to {high}; {})",
            signed(sample.mean),
            count(sample.n, "seed", "seeds")
        )
    };
    let [low, high] = excess.interval();
    let verdict = if low > 0.0 {
        "The spectrum matters more than the signs"
    } else if high < 0.0 {
        "The signs matter more than the spectrum"
    } else {
        "Whether the spectrum or the signs matter more is not decided"
    };
    Some(format!(
        "{verdict}: singular values of column E/I instead of those of standard change the error by {}, signs that are \
         frozen by {} (means over pairs of networks that differ in that alone); the difference between the sizes of the two \
         is {}.",
        said(&by_spectrum),
        said(&by_signs),
        said(&excess)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Networks of two seeds whose errors are `of` spectrum and signs, and those of another size, which are no partners.
    fn networks(of: impl Fn(Kind, bool, u64) -> f64) -> Vec<Transplanted> {
        let mut all = Vec::new();
        for seed in [1, 2, 3] {
            for spectrum in [Kind::Standard, Kind::ColEi] {
                for is_frozen in [false, true] {
                    for (size, more) in [("n100", 0.0), ("n300", 20.0)] {
                        // One run is missing.
                        if seed == 3 && is_frozen && size == "n300" {
                            continue;
                        }
                        all.push(Transplanted {
                            vectors: Kind::Standard,
                            spectrum,
                            is_frozen,
                            rest: format!("{size} {seed}"),
                            seed,
                            error_percent: of(spectrum, is_frozen, seed) + more,
                        });
                    }
                }
            }
        }
        all
    }

    #[test]
    fn what_matters_more_is_said_only_where_the_intervals_decide_it() {
        let jitter = |seed: u64| 0.01 * seed as f64;
        let of_spectrum = |spectrum, seed| {
            if spectrum == Kind::ColEi {
                2.0 + jitter(seed)
            } else {
                0.0
            }
        };
        for (by_spectrum, by_signs, verdict) in [
            (1.0, 0.1, "The spectrum matters more than the signs"),
            // Less error is an effect, too.
            (-1.0, 0.1, "The spectrum matters more than the signs"),
            (0.0, 1.0, "The signs matter more than the spectrum"),
            (0.5, 1.0, "not decided"),
        ] {
            let all = networks(|spectrum, is_frozen, seed| {
                let frozen = if is_frozen {
                    1.0 + 3.0 * jitter(seed)
                } else {
                    0.0
                };
                5.0 + by_spectrum * of_spectrum(spectrum, seed) + by_signs * frozen
            });
            let said = told_of_transplants(&all).unwrap();
            assert!(said.contains(verdict), "{by_spectrum} {by_signs}: {said}");
        }
        let all = networks(|spectrum, _, seed| 5.0 + of_spectrum(spectrum, seed));
        let said = told_of_transplants(&all).unwrap();
        assert!(
            said.contains("change the error by +2.020 percentage points"),
            "{said}"
        );
        assert!(said.contains("3 seeds") && told_of_transplants(&all[..4]).is_none());
    }
}
