//! Measures of what training does to the loop, and of the loop scaled after training.

use super::{LOOP, SILENT_I_HZ};
use crate::conductance::analysis::record::{LoopSlope, LoopSweep, SweepPoint};
use crate::conductance::record;
use crate::record::RunRecord;
use crate::study::measures::{Measure, measure};

/// When I falls silent, and what the loop's gains do to the loss.
pub(super) fn silencing_and_slopes() -> Vec<Measure> {
    let mut all = vec![
        measure(
            LOOP,
            "i_below_1hz_step",
            "I below 1 Hz from step",
            "1",
            "First optimiser step (from 1) from which the I rate of all batches stays below 1 Hz.",
            |run| {
                i_below(run, |run, at| {
                    (at < run.steps.len()).then_some(at as f64 + 1.0)
                })
            },
        ),
        measure(
            LOOP,
            "i_below_1hz_epoch",
            "I below 1 Hz from epoch",
            "1",
            "Epoch of the first optimiser step from which the I rate stays below 1 Hz.",
            |run| {
                i_below(run, |run, at| {
                    run.steps.get(at).map(|step| step.epoch as f64)
                })
            },
        ),
    ];
    for matrix in ["ei", "ie"] {
        let mut add = |kind: &str, word: &str, meaning: &str, value: fn(&LoopSlope) -> f64| {
            let name = format!("loop_slope_{matrix}_{kind}");
            let label = format!("loss slope of W_{} gain, {word}", matrix.to_uppercase());
            all.push(measure(LOOP, &name, &label, "nats", meaning, move |run| {
                let slopes = record::analysis(run)
                    .into_iter()
                    .flat_map(|a| &a.loop_slopes);
                let mut of_matrix = slopes.filter(|slope| slope.matrix == matrix);
                of_matrix.next().map_or(f64::NAN, value)
            }));
        };
        add(
            "measured",
            "measured",
            "Derivative of the test loss with respect to the matrix's gain, by paired forward runs.",
            |slope| slope.measured,
        );
        add(
            "measured_error",
            "standard error",
            "Standard error over trials of the measured derivative of the test loss with respect to the matrix's gain.",
            |slope| slope.measured_error,
        );
        add(
            "surrogate",
            "surrogate",
            "Derivative of the test loss with respect to the matrix's gain, by the surrogate gradient.",
            |slope| slope.surrogate,
        );
    }
    all
}

/// `of` the index of the step from which on the I population is silent.
fn i_below(run: &RunRecord, of: impl Fn(&RunRecord, usize) -> Option<f64>) -> f64 {
    let rates: Vec<f64> = run
        .steps
        .iter()
        .map(|step| step.number("i_rate_hz"))
        .collect();
    of(run, silent_from(&rates)).unwrap_or(f64::NAN)
}

/// Index of the first rate after the last one at or above [`SILENT_I_HZ`]; past the end where the last
/// one is.
fn silent_from(rates_hz: &[f64]) -> usize {
    // A rate that is not a number is no silence.
    let fires = |rate: &f64| rate.is_nan() || *rate >= SILENT_I_HZ;
    rates_hz.iter().rposition(fires).map_or(0, |at| at + 1)
}

/// Facts of the grid of loop multipliers.
pub(super) fn grid() -> Vec<Measure> {
    fn of(
        name: &str,
        label: &str,
        unit: &'static str,
        meaning: &str,
        value: impl Fn(&LoopSweep) -> f64 + Send + Sync + 'static,
    ) -> Measure {
        measure(LOOP, name, label, unit, meaning, move |run| {
            record::sweep(run).map_or(f64::NAN, &value)
        })
    }
    fn at(sweep: &LoopSweep, ei: f64, ie: f64, of: fn(&SweepPoint) -> f64) -> f64 {
        let point = sweep.points.iter().find(|p| p.ei == ei && p.ie == ie);
        point.map_or(f64::NAN, of)
    }
    fn open_ie(sweep: &LoopSweep, of: fn(&SweepPoint) -> f64) -> impl Iterator<Item = f64> {
        sweep.points.iter().filter(|p| p.ie == 0.0).map(of)
    }
    let accuracy: fn(&SweepPoint) -> f64 = |p| p.accuracy_percent;
    vec![
        of(
            "grid_open_ie_e_rate_hz",
            "E rate at W_IE × 0",
            "Hz",
            "E rate with W_IE × 0, W_EI × 1.",
            |s| at(s, 1.0, 0.0, |p| p.e_rate_hz),
        ),
        of(
            "grid_open_ie_i_rate_max_hz",
            "largest I rate at W_IE × 0",
            "Hz",
            "Largest I rate over all gains of W_EI with W_IE × 0.",
            |s| open_ie(s, |p| p.i_rate_hz).fold(f64::NAN, f64::max),
        ),
        of(
            "grid_open_ei_i_rate_hz",
            "I rate at W_EI × 0",
            "Hz",
            "I rate with W_EI × 0, W_IE × 1.",
            |s| at(s, 0.0, 1.0, |p| p.i_rate_hz),
        ),
        of(
            "grid_open_ei_e_rate_hz",
            "E rate at W_EI × 0",
            "Hz",
            "E rate with W_EI × 0, W_IE × 1.",
            |s| at(s, 0.0, 1.0, |p| p.e_rate_hz),
        ),
        of(
            "grid_10_10_e_rate_hz",
            "E rate at loop × 10",
            "Hz",
            "E rate with W_EI and W_IE × 10.",
            |s| at(s, 10.0, 10.0, |p| p.e_rate_hz),
        ),
        of(
            "grid_10_10_i_rate_hz",
            "I rate at loop × 10",
            "Hz",
            "I rate with W_EI and W_IE × 10.",
            |s| at(s, 10.0, 10.0, |p| p.i_rate_hz),
        ),
        of(
            "grid_half_accuracy_percent",
            "accuracy at loop × 0.5",
            "%",
            "Test accuracy with W_EI and W_IE × 0.5.",
            move |s| at(s, 0.5, 0.5, accuracy),
        ),
        of(
            "grid_one_accuracy_percent",
            "accuracy at loop × 1",
            "%",
            "Test accuracy with W_EI and W_IE × 1.",
            move |s| at(s, 1.0, 1.0, accuracy),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::silent_from;

    #[test]
    fn silence_begins_after_the_last_rate_of_1_hz_or_more() {
        assert_eq!(silent_from(&[2.0, 0.99, 1.0, 0.99, 0.0]), 3);
        assert_eq!(silent_from(&[0.5, f64::NAN, 0.5]), 2);
        assert_eq!(silent_from(&[0.5, 0.5]), 0);
        assert_eq!(silent_from(&[0.5, 1.5]), 2);
    }
}
