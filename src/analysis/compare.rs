//! Means with their errors, and comparing conditions: the same trials under two of them.

/// Mean and scatter of independent values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Values.
    pub n: usize,
    /// Their mean; NaN without any.
    pub mean: f64,
    /// Sum of the squared differences from the mean.
    squares: f64,
}

impl Sample {
    /// The sample of `values`.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        Self { n, mean, squares }
    }

    /// Standard deviation (n − 1); NaN for fewer than two values.
    pub fn sd(&self) -> f64 {
        self.over_freedom(1.0)
    }

    /// Standard error of the mean; NaN for fewer than two values.
    pub fn standard_error(&self) -> f64 {
        self.over_freedom(self.n as f64)
    }

    /// 95 % interval of the mean (Student's t); NaN for fewer than two values.
    pub fn interval(&self) -> [f64; 2] {
        let half = t_quantile(self.n.saturating_sub(1)) * self.standard_error();
        [self.mean - half, self.mean + half]
    }

    fn over_freedom(&self, divisor: f64) -> f64 {
        match self.n {
            0 | 1 => f64::NAN,
            n => (self.squares / (n as f64 - 1.0) / divisor).sqrt(),
        }
    }
}

/// The same trials answered under two conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paired {
    /// Trials.
    pub trials: u64,
    /// Correct under the first condition only.
    pub only_first: u64,
    /// Correct under the second condition only.
    pub only_second: u64,
}

impl Paired {
    /// Counts trials by whether they were answered correctly under the first and the second
    /// condition; none where the two have different numbers of trials.
    pub fn new(first: &[bool], second: &[bool]) -> Option<Self> {
        if first.len() != second.len() {
            return None;
        }
        let count = |which| {
            first
                .iter()
                .zip(second)
                .filter(|&(&a, &b)| (a, b) == which)
                .count()
        };
        Some(Self {
            trials: first.len() as u64,
            only_first: count((true, false)) as u64,
            only_second: count((false, true)) as u64,
        })
    }

    /// Two-sided p of McNemar's exact test: of the trials on which the two differ, each goes either
    /// way with probability ½. 1 where they differ nowhere.
    pub fn mcnemar_p(&self) -> f64 {
        let n = self.only_first + self.only_second;
        let fewer = self.only_first.min(self.only_second);
        let log_factorial = |k: u64| libm::lgamma(k as f64 + 1.0);
        let log_all = n as f64 * std::f64::consts::LN_2;
        let probability = |k: u64| {
            libm::exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) - log_all)
        };
        let tail: f64 = (0..=fewer).map(probability).sum();
        (2.0 * tail).min(1.0)
    }

    /// Accuracy of the second condition minus that of the first, percentage points, and its 95 %
    /// interval (normal approximation of the paired difference); NaN without trials.
    pub fn difference_percent(&self) -> (f64, [f64; 2]) {
        let n = self.trials as f64;
        let (first, second) = (self.only_first as f64 / n, self.only_second as f64 / n);
        let difference = second - first;
        let variance = (first + second - difference * difference).max(0.0) / n;
        let half = NORMAL * variance.sqrt();
        let interval = [difference - half, difference + half];
        (100.0 * difference, interval.map(|x| 100.0 * x))
    }
}

/// Quantile of 97.5 % of the normal law.
const NORMAL: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a share of which `hits` of `of` were seen, %; NaN without trials.
pub fn wilson_percent(hits: u64, of: u64) -> [f64; 2] {
    let (n, z2) = (of as f64, NORMAL * NORMAL);
    let p = hits as f64 / n;
    let centre = p + z2 / (2.0 * n);
    let half = NORMAL * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    [centre - half, centre + half].map(|x| 100.0 * (x / (1.0 + z2 / n)).clamp(0.0, 1.0))
}

/// Quantile of 97.5 % of Student's t with `freedom` degrees of freedom; NaN for 0.
fn t_quantile(freedom: usize) -> f64 {
    if freedom == 0 {
        return f64::NAN;
    }
    // With t = √ν tan θ the probability within ±t is a finite sum that grows from 0 to 1 with θ.
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if probability_within(middle, freedom) < 0.95 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (freedom as f64).sqrt() * libm::tan(0.5 * (low + high))
}

/// P(|t| < √ν tan θ) of Student's t with ν degrees of freedom (Abramowitz & Stegun 26.7.3 and 4).
fn probability_within(theta: f64, freedom: usize) -> f64 {
    let (sin, cos) = (libm::sin(theta), libm::cos(theta));
    let odd = freedom % 2;
    let mut term = if odd == 1 { cos } else { 1.0 };
    let mut sum = 0.0;
    for j in 1..=freedom / 2 {
        sum += term;
        let number = (2 * j - 1 + odd) as f64;
        term *= cos * cos * number / (number + 1.0);
    }
    if odd == 1 {
        (theta + sin * sum) * std::f64::consts::FRAC_2_PI
    } else {
        sin * sum
    }
}

/// Spearman's rank correlation of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankCorrelation {
    /// ρ; NaN where one side does not vary.
    pub rho: f64,
    /// Its 95 % interval, by the z transform with the variance 1.06/(n − 3) (Fieller, Hartley & Pearson 1957); NaN below
    /// four pairs.
    pub interval: [f64; 2],
    /// Pairs.
    pub n: usize,
}

/// The rank correlation of pairs; equal values share their mean rank.
pub fn rank_correlation(pairs: &[[f64; 2]]) -> RankCorrelation {
    let n = pairs.len();
    let ranks = |which: usize| -> Vec<f64> {
        let rank = |pair: &[f64; 2]| {
            let others = pairs.iter().map(|other| other[which]);
            let below = others.clone().filter(|x| *x < pair[which]).count();
            let equal = others.filter(|x| *x == pair[which]).count();
            below as f64 + 0.5 * (equal as f64 + 1.0)
        };
        pairs.iter().map(rank).collect()
    };
    let (x, y) = (ranks(0), ranks(1));
    let mean = 0.5 * (n as f64 + 1.0);
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let rho = product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt();
    let reach = match n {
        4.. => NORMAL * (1.06 / (n as f64 - 3.0)).sqrt(),
        _ => f64::NAN,
    };
    let z = libm::atanh(rho.clamp(-1.0, 1.0));
    RankCorrelation {
        rho,
        interval: [z - reach, z + reach].map(libm::tanh),
        n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_t_has_the_quantiles_of_the_tables() {
        for (freedom, expected) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (10, 2.228),
            (30, 2.042),
            (399, 1.966),
        ] {
            let found = t_quantile(freedom);
            assert!((found - expected).abs() < 6e-4, "{freedom}: {found}");
        }
        assert!(t_quantile(0).is_nan());
    }

    #[test]
    fn mcnemar_is_the_binomial_test_of_the_discordant_trials() {
        let p = |only_first, only_second| {
            let paired = Paired {
                trials: 400,
                only_first,
                only_second,
            };
            paired.mcnemar_p()
        };
        // 2 (C(10,0) + C(10,1) + C(10,2)) / 2^10, and 2 · 6 / 2^5.
        assert!((p(2, 8) - 112.0 / 1024.0).abs() < 1e-12);
        assert!((p(4, 1) - 12.0 / 32.0).abs() < 1e-12);
        assert_eq!((p(0, 0), p(5, 5)), (1.0, 1.0));
        assert!((p(0, 3000) - 0.0).abs() < 1e-300);
        assert!(p(1400, 1600) < 3e-4 && p(1400, 1600) > 2e-4);
    }

    #[test]
    fn pairs_are_counted_by_trial() {
        let first = [true, true, false, false, true];
        let second = [true, false, true, true, true];
        let paired = Paired::new(&first, &second).unwrap();
        assert_eq!((paired.only_first, paired.only_second), (1, 2));
        let (difference, [low, high]) = paired.difference_percent();
        assert!((difference - 20.0).abs() < 1e-12);
        // Variance of +1, +1, −1, 0, 0 over their number: (3/5 − 1/25)/5.
        let half = 196.0 * (0.56f64 / 5.0).sqrt();
        assert!((low - (20.0 - half)).abs() < 0.01 && (high - (20.0 + half)).abs() < 0.01);
        assert!(Paired::new(&first, &second[1..]).is_none());
        assert_eq!(Paired::new(&first, &first).unwrap().mcnemar_p(), 1.0);
    }

    #[test]
    fn wilson_agrees_with_its_published_example_and_stays_in_range() {
        // Newcombe (1998), table I: 81 of 263 and 0 of 20.
        let [low, high] = wilson_percent(81, 263);
        assert!(
            (low - 25.53).abs() < 0.01 && (high - 36.62).abs() < 0.01,
            "{low} {high}"
        );
        let [low, high] = wilson_percent(0, 20);
        assert!(low == 0.0 && (high - 16.11).abs() < 0.01, "{high}");
        assert!(wilson_percent(20, 20)[1] <= 100.0 && wilson_percent(0, 0)[0].is_nan());
    }
}
