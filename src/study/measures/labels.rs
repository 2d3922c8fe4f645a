//! What people call the measures.

/// Label of each measure that is not of a matrix.
const LABELS: [(&str, &str); 51] = [
    ("epochs_done", "epochs trained"),
    ("test_accuracy_percent", "test accuracy"),
    ("best_accuracy_percent", "best test accuracy"),
    ("best_epoch", "best epoch"),
    ("e_rate_hz", "E rate"),
    ("i_rate_hz", "I rate"),
    ("total_rate_hz", "E + I rate"),
    ("accuracy_slope_percent_per_epoch", "accuracy slope"),
    ("e_rate_slope_hz_per_epoch", "E rate slope"),
    ("i_rate_slope_hz_per_epoch", "I rate slope"),
    ("accuracy_converged", "accuracy converged"),
    ("e_rate_converged", "E rate converged"),
    ("test_loss_nats", "test loss"),
    ("train_loss_nats", "training loss"),
    ("active_e_percent", "active E cells"),
    ("silent_e_percent", "silent E cells"),
    ("margin", "margin"),
    ("confidence", "confidence"),
    ("skipped_steps", "skipped steps"),
    ("f_gamma_hz", "f_γ"),
    ("is_rhythmic", "rhythm"),
    ("rhythm_hz", "frequency of the rhythm"),
    ("spectrum_peak_hz", "spectrum peak"),
    ("contrast", "contrast of E"),
    ("i_contrast", "contrast of I"),
    ("cv", "CV of E intervals"),
    ("e_per_cycle_0_percent", "E cells, 0 spikes a cycle"),
    ("e_per_cycle_1_percent", "E cells, 1 spike a cycle"),
    ("e_per_cycle_2_percent", "E cells, 2 spikes a cycle"),
    ("e_per_cycle_3_percent", "E cells, 3 or more spikes a cycle"),
    ("period_ms", "cycle of the rhythm"),
    ("i_spikes_per_cycle", "I spikes a cycle"),
    ("example_e_rate_hz", "E rate, reference trial"),
    ("max_cell_e_rate_hz", "largest rate of an E cell"),
    ("i_below_1hz_step", "I below 1 Hz from step"),
    ("i_below_1hz_epoch", "I below 1 Hz from epoch"),
    (
        "loop_slope_ei_measured",
        "loss slope of W_EI gain, measured",
    ),
    (
        "loop_slope_ei_measured_error",
        "loss slope of W_EI gain, standard error",
    ),
    (
        "loop_slope_ei_surrogate",
        "loss slope of W_EI gain, surrogate",
    ),
    (
        "loop_slope_ie_measured",
        "loss slope of W_IE gain, measured",
    ),
    (
        "loop_slope_ie_measured_error",
        "loss slope of W_IE gain, standard error",
    ),
    (
        "loop_slope_ie_surrogate",
        "loss slope of W_IE gain, surrogate",
    ),
    ("grid_open_ie_e_rate_hz", "E rate at W_IE × 0"),
    ("grid_open_ie_i_rate_max_hz", "largest I rate at W_IE × 0"),
    ("grid_open_ei_i_rate_hz", "I rate at W_EI × 0"),
    ("grid_open_ei_e_rate_hz", "E rate at W_EI × 0"),
    ("grid_10_10_e_rate_hz", "E rate at loop × 10"),
    ("grid_10_10_i_rate_hz", "I rate at loop × 10"),
    ("grid_half_accuracy_percent", "accuracy at loop × 0.5"),
    ("grid_one_accuracy_percent", "accuracy at loop × 1"),
    ("seconds", "computing time"),
];

/// Matrices by the first part of a measure's name.
const MATRICES: [(&str, &str); 4] = [
    ("in_", "W_in"),
    ("out_", "W_out"),
    ("ei_", "W_EI"),
    ("ie_", "W_IE"),
];

/// What is measured of each matrix.
const OF_MATRICES: [(&str, &str); 10] = [
    ("norm", "norm"),
    ("norm_growth", "norm growth"),
    ("stored_mean", "stored mean"),
    ("stored_mean_abs", "mean of |stored|"),
    ("effective_mean", "effective mean"),
    ("survivor_mean", "mean above 0"),
    ("not_positive_percent", "not positive"),
    ("really_pruned_percent", "really pruned"),
    ("max", "largest entry"),
    ("unchanged", "unchanged"),
];

/// The label of the measure `name`; the name itself where nobody has given it one.
pub(super) fn label(name: &str) -> String {
    if let Some((_, label)) = LABELS.iter().find(|(known, _)| *known == name) {
        return (*label).to_owned();
    }
    let matrix = MATRICES.iter().find_map(|(prefix, matrix)| {
        let rest = name.strip_prefix(prefix)?;
        let (_, label) = OF_MATRICES.iter().find(|(known, _)| *known == rest)?;
        Some(format!("{matrix} {label}"))
    });
    matrix.unwrap_or_else(|| name.to_owned())
}

/// Headings in their order on a page, and how the names of their measures begin; the first one that
/// fits counts, and the last fits all.
const GROUPS: [(&str, &[&str]); 9] = [
    ("W_in", &["in_"]),
    ("W_out", &["out_"]),
    ("W_EI", &["ei_"]),
    ("W_IE", &["ie_"]),
    ("Loop", &["i_below", "loop_slope", "grid_"]),
    (
        "Rhythm",
        &[
            "f_gamma",
            "is_rhythmic",
            "rhythm_hz",
            "spectrum",
            "contrast",
            "i_contrast",
            "cv",
            "e_per_cycle",
            "period",
            "i_spikes_per_cycle",
        ],
    ),
    (
        "Convergence",
        &[
            "accuracy_slope",
            "e_rate_slope",
            "i_rate_slope",
            "accuracy_converged",
            "e_rate_converged",
        ],
    ),
    (
        "Rates",
        &[
            "e_rate",
            "i_rate",
            "total_rate",
            "active_e",
            "silent_e",
            "example_e",
            "max_cell",
        ],
    ),
    ("Answers and loss", &[""]),
];

/// The heading of the measure `name`.
pub(super) fn group(name: &str) -> &'static str {
    let fits = |beginnings: &[&str]| {
        beginnings
            .iter()
            .any(|beginning| name.starts_with(beginning))
    };
    let found = GROUPS.iter().find(|(_, beginnings)| fits(beginnings));
    found.map_or("", |(group, _)| group)
}

/// Place of a heading on a page: what is asked first stands first.
pub(super) fn place(group: &str) -> usize {
    let place = GROUPS.iter().rev().position(|(known, _)| *known == group);
    match place {
        // Matrices stand last, in their own order.
        Some(place) if place >= 5 => 13 - place,
        Some(place) => place,
        None => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::super::measures;

    #[test]
    fn every_measure_has_a_label_of_its_own() {
        let mut labels: Vec<&str> = measures().iter().map(|m| m.label.as_str()).collect();
        for measure in measures() {
            let words = ["margin", "confidence"];
            let is_word = words.contains(&measure.name.as_str());
            assert!(is_word || measure.label != measure.name, "{}", measure.name);
        }
        let count = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), count);
    }
}
