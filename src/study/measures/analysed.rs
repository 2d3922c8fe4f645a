//! Measures of the analysis of the last checkpoint.

use super::{Measure, measure, trained};
use crate::analysis::record::{MatrixAnalysis, RunAnalysis};
use crate::train::metrics::EpochMetrics;

/// Rhythm and participation.
pub(super) fn rhythm() -> Vec<Measure> {
    fn of(
        name: &str,
        unit: &'static str,
        meaning: &str,
        value: impl Fn(&RunAnalysis) -> f64 + Send + Sync + 'static,
    ) -> Measure {
        measure(name, unit, meaning, move |run| {
            run.analysis.as_ref().map_or(f64::NAN, &value)
        })
    }
    let mut all = vec![
        of(
            "f_gamma_hz",
            "Hz",
            "Frequency of the E rhythm where there is one and it is gamma (20–120 Hz unless chosen otherwise).",
            |a| a.rhythm.f_gamma_hz,
        ),
        of(
            "is_rhythmic",
            "1",
            "1 where the correlogram of different E cells shows a rhythm, else 0.",
            |a| f64::from(u8::from(a.rhythm.is_rhythmic)),
        ),
        of(
            "rhythm_hz",
            "Hz",
            "Frequency of the E rhythm, gamma or not, where there is one.",
            |a| a.rhythm.f_hz,
        ),
        of(
            "spectrum_peak_hz",
            "Hz",
            "Bin of the largest power of the E spectrum, 5–150 Hz, rhythm or not.",
            |a| a.rhythm.spectrum.peak_hz,
        ),
        of(
            "contrast",
            "1",
            "Contrast of the correlogram of different E cells: 0 no rhythm, 1 silence between volleys.",
            |a| a.rhythm.e.contrast,
        ),
        of("i_contrast", "1", "The same of I cells.", |a| {
            a.rhythm.i.contrast
        }),
        of(
            "cv",
            "1",
            "Coefficient of variation of E inter-spike intervals, mean over cells.",
            |a| a.rhythm.cv,
        ),
    ];
    for (i, spikes) in ["0", "1", "2", "3 or more"].into_iter().enumerate() {
        all.push(of(
            &format!("e_per_cycle_{i}_percent"),
            "%",
            &format!("(E cell, cycle of the rhythm) pairs with {spikes} spikes."),
            move |a| {
                a.participation
                    .as_ref()
                    .map_or(f64::NAN, |p| p.e_share_percent[i])
            },
        ));
    }
    all.extend([
        of("period_ms", "ms", "Mean cycle of the rhythm.", |a| {
            a.participation.as_ref().map_or(f64::NAN, |p| p.period_ms)
        }),
        of(
            "i_spikes_per_cycle",
            "1",
            "Mean spikes of an I cell in a cycle of the rhythm.",
            |a| {
                a.participation
                    .as_ref()
                    .map_or(f64::NAN, |p| p.i_spikes_per_cycle)
            },
        ),
        of(
            "example_e_rate_hz",
            "Hz",
            "Mean E rate in one reference trial.",
            |a| a.raster.e_rate_hz,
        ),
        of(
            "max_cell_e_rate_hz",
            "Hz",
            "Largest mean rate of an E cell over the test set.",
            |a| a.e_cell_rate_hz.iter().copied().fold(f64::NAN, f64::max),
        ),
    ]);
    all
}

/// The matrix `short`, called `name`.
pub(super) fn matrix(short: &'static str, name: &'static str) -> Vec<Measure> {
    let of = |suffix: &str, unit, meaning: &str, value: fn(&MatrixAnalysis) -> f64| {
        measure(
            &format!("{short}_{suffix}"),
            unit,
            &format!("{name}: {meaning}"),
            move |run| {
                let analysis = run.analysis.as_ref();
                let matrix = analysis.and_then(|a| a.weights.get(short));
                matrix.map_or(f64::NAN, value)
            },
        )
    };
    let unit = if short == "out" { "1" } else { "µS" };
    let norm = move |epoch: Option<&EpochMetrics>| {
        let norm = epoch.and_then(|epoch| epoch.weight_norm.get(short));
        norm.copied().unwrap_or(f64::NAN)
    };
    vec![
        measure(
            &format!("{short}_norm"),
            unit,
            &format!("{name}: Frobenius norm of the stored entries, last epoch."),
            move |run| norm(run.last()),
        ),
        measure(
            &format!("{short}_norm_growth"),
            "1",
            &format!("{name}: norm after the last epoch over norm after epoch 1."),
            move |run| norm(run.last()) / norm(trained(run).first()),
        ),
        of("stored_mean", unit, "mean of the stored entries.", |m| {
            m.now.stored_mean
        }),
        of("stored_mean_abs", unit, "mean of |stored|.", |m| {
            m.now.stored_mean_abs
        }),
        of("effective_mean", unit, "mean of max(w, 0).", |m| {
            m.now.effective_mean
        }),
        of("survivor_mean", unit, "mean of the entries above 0.", |m| {
            m.now.survivor_mean
        }),
        of(
            "not_positive_percent",
            "%",
            "entries at or below 0 (the sources' \"pruned\").",
            |m| m.now.not_positive_percent,
        ),
        of(
            "really_pruned_percent",
            "%",
            "entries now at or below 0 of those that began above.",
            |m| m.really_pruned_percent,
        ),
        of("max", unit, "largest stored entry.", |m| m.now.max),
        of(
            "unchanged",
            "1",
            "1 where every bit is as at the start.",
            |m| f64::from(u8::from(m.unchanged)),
        ),
    ]
}
