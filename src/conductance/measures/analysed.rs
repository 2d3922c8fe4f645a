//! Measures of the analysis of the last checkpoint.

use super::{RATES, RHYTHM};
use crate::conductance::analysis::record::{MatrixAnalysis, RunAnalysis};
use crate::conductance::record;
use crate::record::RunRecord;
use crate::study::measures::{Measure, measure, trained};
use crate::train::metrics::{EpochMetrics, WEIGHT_NORM};

type AnalysedValue = dyn Fn(&RunRecord) -> f64 + Send + Sync;

/// A measure of the analysis.
fn of(
    name: &str,
    label: &str,
    unit: &'static str,
    meaning: &str,
    value: impl Fn(&RunAnalysis) -> f64 + Send + Sync + 'static,
) -> Measure {
    let group = match name {
        "example_e_rate_hz" | "max_cell_e_rate_hz" => RATES,
        _ => RHYTHM,
    };
    measure(group, name, label, unit, meaning, move |run| {
        record::analysis(run).map_or(f64::NAN, &value)
    })
}

/// Rhythm and participation.
pub(super) fn rhythm() -> Vec<Measure> {
    let mut all = of_rhythm();
    all.extend(of_cycles());
    all.extend(of_single_cells());
    all
}

fn of_rhythm() -> Vec<Measure> {
    vec![
        of(
            "f_gamma_hz",
            "f_γ",
            "Hz",
            "Frequency of the E rhythm where there is one and it is gamma (20–120 Hz unless chosen otherwise).",
            |a| a.rhythm.f_gamma_hz,
        )
        .that_may_be_none(),
        of(
            "is_rhythmic",
            "rhythm",
            "1",
            "1 where the correlogram of different E cells shows a rhythm, else 0.",
            |a| f64::from(u8::from(a.rhythm.is_rhythmic)),
        ),
        of(
            "rhythm_hz",
            "frequency of the rhythm",
            "Hz",
            "Frequency of the E rhythm, gamma or not, where there is one.",
            |a| a.rhythm.f_hz,
        )
        .that_may_be_none(),
        of(
            "spectrum_peak_hz",
            "spectrum peak",
            "Hz",
            "Frequency bin of the largest power of the E rate's spectrum, 5–150 Hz, rhythm or not.",
            |a| a.rhythm.spectrum.peak_hz,
        ),
        of(
            "contrast",
            "contrast of E",
            "1",
            "Contrast of the correlogram of different E cells: 0 no rhythm, 1 silence between volleys.",
            |a| a.rhythm.e.contrast,
        ),
        of(
            "i_contrast",
            "contrast of I",
            "1",
            "Contrast of the correlogram of different I cells: 0 no rhythm, 1 silence between volleys.",
            |a| a.rhythm.i.contrast,
        ),
        of(
            "cv",
            "CV of E intervals",
            "1",
            "Coefficient of variation of E inter-spike intervals, mean over cells.",
            |a| a.rhythm.cv,
        ),
    ]
}

fn of_cycles() -> Vec<Measure> {
    let mut all = Vec::new();
    for (i, spikes) in ["0 spikes", "1 spike", "2 spikes", "3 or more spikes"]
        .into_iter()
        .enumerate()
    {
        all.push(of(
            &format!("e_per_cycle_{i}_percent"),
            &format!("E cells, {spikes} per cycle"),
            "%",
            &format!("Share of (E cell, cycle of the rhythm) pairs with {spikes}."),
            move |a| {
                a.participation
                    .as_ref()
                    .map_or(f64::NAN, |p| p.e_share_percent[i])
            },
        ));
    }
    all.extend([
        of(
            "period_ms",
            "cycle of the rhythm",
            "ms",
            "Mean duration of a cycle of the rhythm.",
            |a| a.participation.as_ref().map_or(f64::NAN, |p| p.period_ms),
        ),
        of(
            "i_spikes_per_cycle",
            "I spikes per cycle",
            "1",
            "Mean spikes of an I cell in a cycle of the rhythm.",
            |a| {
                a.participation
                    .as_ref()
                    .map_or(f64::NAN, |p| p.i_spikes_per_cycle)
            },
        ),
    ]);
    all
}

fn of_single_cells() -> Vec<Measure> {
    vec![
        of(
            "example_e_rate_hz",
            "E rate, reference trial",
            "Hz",
            "Mean E rate in the example trial.",
            |a| a.raster.e_rate_hz,
        ),
        of(
            "max_cell_e_rate_hz",
            "largest rate of an E cell",
            "Hz",
            "Largest mean rate of an E cell over the test set.",
            |a| a.e_cell_rate_hz.iter().copied().fold(f64::NAN, f64::max),
        ),
    ]
}

/// The matrix `short`, called `name`.
pub(super) fn matrix(short: &'static str, name: &'static str) -> Vec<Measure> {
    let named = |suffix: &str, label: &str, unit, meaning: &str, value: Box<AnalysedValue>| {
        measure(
            name,
            &format!("{short}_{suffix}"),
            &format!("{name} {label}"),
            unit,
            &format!("{name}: {meaning}"),
            value,
        )
    };
    let of = |suffix: &str, label: &str, unit, meaning: &str, value: fn(&MatrixAnalysis) -> f64| {
        let value = move |run: &RunRecord| {
            let analysis = record::analysis(run);
            let matrix = analysis.and_then(|a| a.weights.get(short));
            matrix.map_or(f64::NAN, value)
        };
        named(suffix, label, unit, meaning, Box::new(value))
    };
    let unit = if short == "out" { "1" } else { "µS" };
    let norm = move |epoch: Option<&EpochMetrics>| {
        epoch.map_or(f64::NAN, |epoch| epoch.of_matrix(WEIGHT_NORM, short))
    };
    vec![
        named(
            "norm",
            "norm",
            unit,
            "Frobenius norm of the stored entries, last epoch.",
            Box::new(move |run| norm(run.last())),
        ),
        named(
            "norm_growth",
            "norm growth",
            "1",
            "norm after the last epoch over norm after epoch 1.",
            Box::new(move |run| norm(run.last()) / norm(trained(run).first())),
        ),
        of(
            "stored_mean",
            "stored mean",
            unit,
            "mean of the stored entries.",
            |m| m.now.stored_mean,
        ),
        of(
            "stored_mean_abs",
            "mean of |stored|",
            unit,
            "mean of |stored|.",
            |m| m.now.stored_mean_abs,
        ),
        of(
            "effective_mean",
            "effective mean",
            unit,
            "mean of max(w, 0).",
            |m| m.now.effective_mean,
        ),
        of(
            "survivor_mean",
            "mean above 0",
            unit,
            "mean of the entries above 0.",
            |m| m.now.survivor_mean,
        ),
        of(
            "not_positive_percent",
            "not positive",
            "%",
            "share of the entries at or below 0 (the sources' \"pruned\").",
            |m| m.now.not_positive_percent,
        ),
        of(
            "really_pruned_percent",
            "really pruned",
            "%",
            "share of the entries above 0 at the start that are now at or below 0.",
            |m| m.really_pruned_percent,
        ),
        of("max", "largest entry", unit, "largest stored entry.", |m| {
            m.now.max
        }),
        of(
            "unchanged",
            "unchanged",
            "1",
            "1 where the stored matrix is bit for bit as at the start.",
            |m| f64::from(u8::from(m.unchanged)),
        ),
    ]
}
