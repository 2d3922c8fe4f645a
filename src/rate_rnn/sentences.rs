//! What came out on networks of this family, in sentences made of the measured numbers.

use super::measures::MEASURES;
use super::metrics::{TEST_ERROR, TEST_PERPLEXITY};
use crate::record::RunRecord;
use crate::report::finished::Finished;
use crate::report::text::number;
use crate::text::count;

/// What the words of these sentences mean.
pub const WORDS: &str = "";

/// What all conditions do, or which do what: nothing is said beyond each condition's own sentence.
pub fn over(_: &[Finished<'_>]) -> Vec<String> {
    Vec::new()
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
