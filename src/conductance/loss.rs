//! Cross-entropy, the firing-rate penalty and the scores of a batch, in double precision.

use crate::analysis::answers::{predicted, softmax};

/// Loss and scores of a set of trials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Trials.
    pub trials: usize,
    /// Sum of the cross-entropies, nats.
    pub cross_entropy_sum: f64,
    /// Trials whose largest logit is the true class (the first one where several are equal).
    pub correct: usize,
    /// Sum of (true logit − best other).
    pub margin_sum: f64,
    /// Sum of the softmax probabilities of the true class.
    pub confidence_sum: f64,
}

impl Scores {
    /// Adds the trials of `other`.
    pub fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.cross_entropy_sum += other.cross_entropy_sum;
        self.correct += other.correct;
        self.margin_sum += other.margin_sum;
        self.confidence_sum += other.confidence_sum;
    }
}

/// Scores of `[trial, class]` logits, and the gradient of the **sum** of their cross-entropies.
pub fn cross_entropy(logits: &[f64], labels: &[u32], classes: usize) -> (Scores, Vec<f64>) {
    let mut scores = Scores {
        trials: labels.len(),
        ..Scores::default()
    };
    let mut gradient = Vec::with_capacity(logits.len());
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let label = label as usize;
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let p = softmax(row);
        let log_sum = top + libm::log(row.iter().map(|x| libm::exp(x - top)).sum::<f64>());
        scores.cross_entropy_sum += log_sum - row[label];
        scores.correct += usize::from(predicted(row) == label);
        let other = (0..classes).filter(|&c| c != label).map(|c| row[c]);
        let best_other = other.fold(f64::NEG_INFINITY, f64::max);
        scores.margin_sum += if classes > 1 {
            row[label] - best_other
        } else {
            0.0
        };
        scores.confidence_sum += p[label];
        let target = |c| f64::from(u8::from(c == label));
        gradient.extend(p.iter().enumerate().map(|(c, p)| p - target(c)));
    }
    (scores, gradient)
}

/// The penalty strength · Σ max(0, r̄ − θ)² over E cells, r̄ the batch-mean rate in Hz, and its
/// gradient by one spike of each cell. `counts` is `[trial, cell]`.
pub fn rate_penalty(
    counts: &[u32],
    cells: usize,
    duration_s: f64,
    theta_hz: f64,
    strength: f64,
) -> (f64, Vec<f64>) {
    let trials = counts.len() / cells;
    let mut totals = vec![0u64; cells];
    for row in counts.chunks_exact(cells) {
        for (total, &n) in totals.iter_mut().zip(row) {
            *total += u64::from(n);
        }
    }
    let hz_per_spike = 1.0 / (trials as f64 * duration_s);
    let mut penalty = 0.0;
    let gradient = totals
        .iter()
        .map(|&n| {
            let excess = (n as f64 * hz_per_spike - theta_hz).max(0.0);
            penalty += strength * excess * excess;
            2.0 * strength * excess * hz_per_spike
        })
        .collect();
    (penalty, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_equal_logits_is_log_of_the_classes() {
        let (scores, gradient) = cross_entropy(&[0.0; 8], &[1, 3], 4);
        assert!((scores.cross_entropy_sum / 2.0 - 4f64.ln()).abs() < 1e-15);
        assert_eq!(gradient[1], -0.75);
        assert_eq!(gradient[0], 0.25);
        assert_eq!(scores.correct, 0);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let (scores, _) = cross_entropy(&[1e6, -1e6], &[1], 2);
        assert_eq!(scores.cross_entropy_sum, 2e6);
        assert_eq!(scores.margin_sum, -2e6);
    }

    #[test]
    fn penalty_gradient_matches_a_difference() {
        let counts = [4, 0, 1, 2, 9, 3];
        let (_, gradient) = rate_penalty(&counts, 3, 0.2, 5.0, 0.01);
        // One more spike in cell 1: the exact difference of a quadratic is its slope at the middle.
        let up = rate_penalty(&[4, 1, 1, 2, 9, 3], 3, 0.2, 5.0, 0.01).0;
        let down = rate_penalty(&[4, 0, 1, 2, 8, 3], 3, 0.2, 5.0, 0.01).0;
        assert!(((up - down) / 2.0 - gradient[1]).abs() < 1e-12);
    }
}
