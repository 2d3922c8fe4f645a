//! Statistics of weight matrices. Stored weights w and effective ones max(w, 0) are never mixed.

use super::record::{MatrixAnalysis, MatrixStatistics};

/// Bins of the histograms.
const BINS: usize = 60;

/// A matrix of `entries` at the start and now.
pub fn analyse(initial: &[f32], now: &[f32], trained: bool) -> MatrixAnalysis {
    let edges = edges(&[initial, now]);
    MatrixAnalysis {
        entries: now.len() as u64,
        trained,
        unchanged: unchanged(initial, now),
        initial: statistics(initial),
        now: statistics(now),
        really_pruned_percent: really_pruned_percent(initial, now),
        initial_count: histogram(initial, &edges),
        now_count: histogram(now, &edges),
        edges,
    }
}

/// Every statistic of one matrix; NaN where it has no entries.
pub fn statistics(weights: &[f32]) -> MatrixStatistics {
    let n = weights.len() as f64;
    let sum = |of: fn(f64) -> f64| weights.iter().map(|&w| of(f64::from(w))).sum::<f64>();
    let percent = |of: fn(f32) -> bool| {
        let count = weights.iter().filter(|&&w| of(w)).count();
        100.0 * count as f64 / n
    };
    let survivors = weights.iter().filter(|&&w| w > 0.0).count() as f64;
    // Written with comparisons, not `f32::max`, which would pass over NaN.
    let extreme = |better: fn(f32, f32) -> bool| {
        let pick = |a: f32, b: f32| if a.is_nan() || better(a, b) { a } else { b };
        let found = weights.iter().copied().reduce(pick);
        f64::from(found.unwrap_or(f32::NAN))
    };
    MatrixStatistics {
        norm: sum(|w| w * w).sqrt(),
        stored_mean: sum(|w| w) / n,
        stored_mean_abs: sum(f64::abs) / n,
        effective_mean: sum(effective) / n,
        survivor_mean: sum(effective) / survivors,
        not_positive_percent: percent(|w| w <= 0.0),
        negative_percent: percent(|w| w < 0.0),
        min: extreme(|a, b| a < b),
        max: extreme(|a, b| a > b),
    }
}

/// Entries that started above 0 and are now at or below it, % of those that started above 0; NaN
/// where none did.
pub fn really_pruned_percent(initial: &[f32], now: &[f32]) -> f64 {
    let started = initial.iter().zip(now).filter(|pair| *pair.0 > 0.0);
    let (mut all, mut pruned) = (0.0, 0.0);
    for (_, &now) in started {
        all += 1.0;
        pruned += f64::from(u8::from(now <= 0.0));
    }
    100.0 * pruned / all
}

/// Σ over presynaptic cells of the weights into each of `post` cells: of max(w, 0) where `clamped`,
/// else of w.
pub fn input_of_cells(weights: &[f32], post: usize, clamped: bool) -> Vec<f64> {
    let mut sums = vec![0.0; post];
    for row in weights.chunks_exact(post.max(1)) {
        for (sum, &w) in sums.iter_mut().zip(row) {
            let w = f64::from(w);
            *sum += if clamped { effective(w) } else { w };
        }
    }
    sums
}

/// Whether every bit of two matrices is the same.
pub fn unchanged(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// max(w, 0), but NaN for NaN.
fn effective(w: f64) -> f64 {
    if w < 0.0 { 0.0 } else { w }
}

/// Edges of equal bins from 0 to the largest effective weight; up to 1 where that is 0.
fn edges(matrices: &[&[f32]]) -> Vec<f64> {
    let finite = matrices
        .iter()
        .flat_map(|m| m.iter())
        .filter(|w| w.is_finite());
    let largest = finite.fold(0.0, |a: f32, &w| a.max(w));
    let largest = if largest > 0.0 {
        f64::from(largest)
    } else {
        1.0
    };
    (0..=BINS)
        .map(|k| largest * k as f64 / BINS as f64)
        .collect()
}

/// Effective weights in each bin; the largest is in the last one.
fn histogram(weights: &[f32], edges: &[f64]) -> Vec<u64> {
    let bins = edges.len().saturating_sub(1);
    let largest = edges.last().copied().unwrap_or(1.0);
    let mut counts = vec![0; bins];
    for &w in weights.iter().filter(|w| w.is_finite()) {
        let place = effective(f64::from(w)) / largest * bins as f64;
        if let Some(count) = counts.get_mut((place as usize).min(bins.saturating_sub(1))) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statistic_has_its_own_meaning() {
        let s = statistics(&[-3.0, 0.0, 0.0, 1.0, 4.0]);
        assert!((s.norm - 26f64.sqrt()).abs() < 1e-12);
        assert_eq!((s.stored_mean, s.stored_mean_abs), (0.4, 1.6));
        assert_eq!((s.effective_mean, s.survivor_mean), (1.0, 2.5));
        assert_eq!((s.not_positive_percent, s.negative_percent), (60.0, 20.0));
        assert_eq!((s.min, s.max), (-3.0, 4.0));
    }

    #[test]
    fn a_zero_matrix_has_no_survivors_and_an_absent_or_nan_one_no_numbers() {
        let zero = statistics(&[0.0; 4]);
        assert!(zero.survivor_mean.is_nan());
        assert_eq!(
            (zero.effective_mean, zero.not_positive_percent),
            (0.0, 100.0)
        );
        assert!(statistics(&[]).stored_mean.is_nan());
        let nan = statistics(&[1.0, f32::NAN, 2.0]);
        assert!(nan.norm.is_nan() && nan.effective_mean.is_nan());
        assert!(nan.min.is_nan() && nan.max.is_nan());
    }

    #[test]
    fn really_pruned_counts_only_what_was_there() {
        let initial = [0.0, 0.0, 1.0, 2.0, 3.0, 4.0];
        let now = [0.0, 5.0, 0.0, -1.0, 3.0, 9.0];
        assert_eq!(really_pruned_percent(&initial, &now), 50.0);
        assert!(really_pruned_percent(&[0.0; 3], &[1.0; 3]).is_nan());
    }

    #[test]
    fn histograms_share_their_edges_and_hold_every_entry() {
        let m = analyse(&[0.0, 1.0, 2.0], &[-1.0, 6.0, 3.0], true);
        assert_eq!(
            (m.edges.len(), m.edges[0], m.edges[BINS]),
            (BINS + 1, 0.0, 6.0)
        );
        assert_eq!(m.initial_count.iter().sum::<u64>(), 3);
        assert_eq!(
            (m.now_count[0], m.now_count[30], m.now_count[BINS - 1]),
            (1, 1, 1)
        );
        assert_eq!((m.initial_count[10], m.initial_count[20]), (1, 1));
        assert!(!m.unchanged && m.trained);
        let zero = analyse(&[0.0; 4], &[0.0; 4], false);
        assert_eq!((zero.edges[BINS], zero.now_count[0]), (1.0, 4));
        assert!(zero.unchanged);
    }

    #[test]
    fn input_is_summed_by_column_and_a_changed_bit_is_seen() {
        let weights = [1.0, -2.0, 3.0, 4.0, 0.5, 0.0];
        assert_eq!(input_of_cells(&weights, 3, true), [5.0, 0.5, 3.0]);
        assert_eq!(input_of_cells(&weights, 3, false), [5.0, -1.5, 3.0]);
        assert!(unchanged(&[0.0, 1.0], &[0.0, 1.0]));
        assert!(!unchanged(&[0.0, 1.0], &[-0.0, 1.0]));
        assert!(!unchanged(&[1.0], &[f32::from_bits(1.0f32.to_bits() + 1)]));
    }
}
