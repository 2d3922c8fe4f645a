//! What came out on networks of this family, in sentences made of the measured numbers.
//!
//! Nothing is claimed within its error: signs and criteria are named only where two standard errors leave them
//! standing.

use super::analysis::record::{MatrixAnalysis, RunAnalysis};
use super::measures::{MEASURES, RATE_HZ_PER_EPOCH, SILENT_I_HZ};
use super::metrics::{E_RATE, I_RATE};
use super::operator::OPERATOR;
use super::record;
use crate::analysis::compare::Sample;
use crate::record::RunRecord;
use crate::report::finished::{Finished, grouped, in_all};
use crate::report::text::{capitalised, number, signed};
use crate::study::measures::late_slope;
use crate::text::count;
use crate::train::spectra::SpectraAt;

/// Share of entries that began above 0 and no longer are, from which on a matrix is called pruned, %.
const PRUNED_PERCENT: f64 = 50.0;
/// Effective mean over that of the start below which a matrix is called pruned.
const SHRUNK: f64 = 0.5;
/// The same above which it is called grown.
const GROWN: f64 = 1.5;

/// What the words of these sentences mean.
pub const WORDS: &str = "A matrix is called pruned if at least half of its initially positive entries are now at or \
    below 0, or if its mean of max(w, 0) is below half the initial value; grown if that mean is above 1.5 times the \
    initial value; kept otherwise. ± is one standard error.";

/// What all conditions do, or which do what.
pub fn over(finished: &[Finished<'_>]) -> Vec<String> {
    let mut all = Vec::new();
    for (short, name) in [("ei", "W_EI"), ("ie", "W_IE")] {
        all.extend(grouped(finished, name, |condition| {
            let fates = analyses(condition).filter_map(|analysis| {
                let matrix = analysis.weights.get(short)?;
                matrix.trained.then(|| fate(matrix))
            });
            in_all(fates.collect())
        }));
    }
    all.extend(grouped(finished, "The I population", |condition| {
        let silences = condition.runs.iter().filter_map(|run| {
            let trains = record::analysis(run).is_some_and(trains_loop);
            let has_steps = trains && !run.steps.is_empty();
            has_steps.then(|| match silent_from(run) {
                step if step.is_nan() => "stays active",
                1.0 => "is silent from the first step",
                _ => "falls silent",
            })
        });
        in_all(silences.collect())
    }));
    all.extend(grouped(finished, "A rhythm of the E cells", |condition| {
        let rhythms = analyses(condition).map(|analysis| match analysis.rhythm.is_rhythmic {
            true => "is found",
            false => "is absent",
        });
        in_all(rhythms.collect())
    }));
    all.extend(grouped(finished, "The E rate", |condition| {
        let settled = condition.runs.iter().filter_map(|run| settled(run));
        in_all(settled.collect())
    }));
    all
}

/// What a condition does beside its accuracy.
pub fn of_condition(condition: &Finished<'_>) -> Vec<String> {
    let mean = |name| condition.mean(MEASURES.find(name));
    let mut parts = vec![format!(
        "E rate {} Hz, I rate {} Hz",
        number(mean(E_RATE.name)),
        number(mean(I_RATE.name))
    )];
    let analyses: Vec<&RunAnalysis> = analyses(condition).collect();
    if !analyses.is_empty() {
        parts.push(rhythm(&analyses));
        parts.extend(loop_fates(&analyses));
        if analyses.iter().any(|analysis| trains_loop(analysis)) {
            parts.extend(silence(&condition.runs));
        }
        parts.extend(slopes(&analyses));
    }
    parts.extend(spectra(&condition.runs));
    parts
}

/// What training makes of the spectrum of the loop's operator; none where no checkpoints were kept.
fn spectra(runs: &[&RunRecord]) -> Option<String> {
    let ends = runs.iter().filter_map(|run| {
        let spectra = run.spectra.as_ref()?;
        let radius = |at: &SpectraAt| at.matrices.get(OPERATOR).map(|s| s.radius);
        Some((radius(spectra.first()?)?, radius(spectra.last()?)?))
    });
    let (first, last): (Vec<f64>, Vec<f64>) = ends.unzip();
    let (first, last) = (mean(first.into_iter()), mean(last.into_iter()));
    (first.is_finite() && last.is_finite()).then(|| {
        format!(
            "spectral radius of the loop's operator {} mV/Hz before and {} after training",
            number(first),
            number(last)
        )
    })
}

/// What came out of one run beside its accuracy: paragraphs.
pub fn of_run(run: &RunRecord) -> Vec<String> {
    let mut paragraphs = Vec::new();
    if let Some(last) = run.last() {
        paragraphs.push(format!(
            "Over the test set E cells fire at {} Hz and I cells at {} Hz on average.",
            number(last[E_RATE]),
            number(last[I_RATE])
        ));
    }
    if let Some(analysis) = record::analysis(run) {
        let mut all = vec![rhythm(&[analysis])];
        all.extend(loop_fates(&[analysis]));
        all.extend(silence(&[run]));
        all.extend(slopes(&[analysis]));
        all.extend(spectra(&[run]));
        let all: Vec<_> = all.iter().map(|part| capitalised(part) + ".").collect();
        paragraphs.push(all.join(" "));
    }
    paragraphs
}

fn analyses<'a>(condition: &Finished<'a>) -> impl Iterator<Item = &'a RunAnalysis> {
    condition
        .runs
        .iter()
        .filter_map(|run| record::analysis(run))
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
    MEASURES
        .find("i_below_1hz_step")
        .map_or(f64::NAN, |measure| measure.of(run))
}

/// Whether the E rate has come to rest; none for runs that are too short.
fn settled(run: &RunRecord) -> Option<&'static str> {
    let slope = late_slope(run, E_RATE)?;
    Some(match slope.is_below(RATE_HZ_PER_EPOCH) {
        Some(true) => "has settled",
        Some(false) => "still drifts",
        None => {
            "may or may not have settled (the criterion is within two standard errors of its slope)"
        }
    })
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
    let of_loop = |run: &&&RunRecord| record::analysis(run).is_some_and(trains_loop);
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
