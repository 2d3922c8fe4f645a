//! The dip test of unimodality (Hartigan & Hartigan 1985).
//!
//! The dip of a sample is the largest distance between its empirical distribution function and the closest one that is
//! unimodal: convex up to a mode, concave from there on. Its p is the share of samples as large of the uniform
//! distribution, the unimodal one whose dips are largest, that have at least such a dip.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::random::{Purpose, Stream};

/// Uniform samples that a dip is compared with.
const SAMPLES: u64 = 2000;

/// The dip of `sorted` values, between 1/(2n) and 1/4; NaN where there is none.
pub fn dip(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    let [Some(first), Some(last)] = [sorted.first(), sorted.last()] else {
        return f64::NAN;
    };
    if first == last {
        return 0.5 / n as f64;
    }
    let (convex, concave) = (hull(sorted), hull_from_above(sorted));
    let (mut low, mut high) = (0, n - 1);
    // In steps of the empirical distribution function, twice: it rises by one at each value.
    let mut dip = 1.0f64;
    loop {
        let minorant = chain(&convex, high, low);
        let majorant = chain(&concave, low, high);
        let (gap, left, right) = widest_gap(sorted, &minorant, &majorant);
        if gap < dip {
            break;
        }
        // Outside the modal interval that the gap spans.
        let below = minorant[left..].windows(2);
        let below = below.map(|ends| bulge(sorted, [ends[1], ends[0]], 1.0));
        let above = majorant[right..].windows(2);
        let above = above.map(|ends| bulge(sorted, [ends[0], ends[1]], -1.0));
        dip = below.chain(above).fold(dip, f64::max);
        let next = (minorant[left], majorant[right]);
        if next == (low, high) {
            break;
        }
        (low, high) = next;
    }
    0.5 * dip / n as f64
}

/// For each place the vertex before it of the greatest convex minorant of the distribution function up to there.
fn hull(sorted: &[f64]) -> Vec<usize> {
    let mut before = vec![0; sorted.len()];
    for place in 1..sorted.len() {
        let mut candidate = place - 1;
        // A vertex that lies above the line from the one before it to `place` is none.
        while candidate > 0 {
            let further = before[candidate];
            let rise = |a: usize, b: usize| (b - a) as f64;
            let run = |a: usize, b: usize| (sorted[b] - sorted[a]).abs();
            let steeper = run(candidate, place) * rise(further, candidate)
                - run(further, candidate) * rise(candidate, place);
            if steeper < 0.0 {
                break;
            }
            candidate = further;
        }
        before[place] = candidate;
    }
    before
}

/// For each place the vertex behind it of the least concave majorant from there on: the minorant, seen from the other
/// end.
fn hull_from_above(sorted: &[f64]) -> Vec<usize> {
    let last = sorted.len() - 1;
    let turned: Vec<f64> = sorted.iter().rev().copied().collect();
    let mut behind: Vec<usize> = hull(&turned).iter().map(|place| last - place).collect();
    behind.reverse();
    behind
}

/// Vertices from `from` to `to`.
fn chain(next: &[usize], from: usize, to: usize) -> Vec<usize> {
    let mut all = vec![from];
    let mut place = from;
    while place != to {
        let step = next[place];
        // A vertex beyond the end is cut off by it.
        place = if (step < to) == (from > to) { to } else { step };
        all.push(place);
    }
    all
}

/// Largest distance between minorant and majorant, and the vertices of each (numbers in their chains) that bound the
/// interval where it is.
fn widest_gap(sorted: &[f64], minorant: &[usize], majorant: &[usize]) -> (f64, usize, usize) {
    if minorant.len() == 2 && majorant.len() == 2 {
        return (1.0, 1, 1);
    }
    // Both from the left; the minorant's chain runs from the right.
    let (mut of_minorant, mut of_majorant) = (minorant.len() - 2, 1);
    let (mut gap, mut left, mut right) = (0.0, minorant.len() - 1, majorant.len() - 1);
    loop {
        let (a, b) = (minorant[of_minorant], majorant[of_majorant]);
        if a > b {
            // At a vertex of the majorant, over a line of the minorant.
            let start = minorant[of_minorant + 1];
            let slope = (a - start) as f64 / (sorted[a] - sorted[start]);
            let distance = (b + 1 - start) as f64 - (sorted[b] - sorted[start]) * slope;
            of_majorant += 1;
            if distance >= gap {
                (gap, left, right) = (distance, of_minorant + 1, of_majorant - 1);
            }
        } else {
            // At a vertex of the minorant, under a line of the majorant.
            let start = majorant[of_majorant - 1];
            let slope = (b - start) as f64 / (sorted[b] - sorted[start]);
            let distance = (sorted[a] - sorted[start]) * slope - (a as f64 - start as f64 - 1.0);
            if distance >= gap {
                (gap, left, right) = (distance, of_minorant, of_majorant);
            }
            of_minorant = of_minorant.saturating_sub(1);
        }
        of_majorant = of_majorant.min(majorant.len() - 1);
        if minorant[of_minorant] == majorant[of_majorant] {
            return (gap, left, right);
        }
    }
}

/// Largest distance of the distribution function from the line between two vertices, above it (`sign` 1) or below.
fn bulge(sorted: &[f64], [from, to]: [usize; 2], sign: f64) -> f64 {
    let run = sorted[to] - sorted[from];
    if to - from <= 1 || run == 0.0 {
        return 1.0;
    }
    let slope = (to - from) as f64 / run;
    let at = |place: usize| {
        let line = (sorted[place] - sorted[from]) * slope;
        let steps = place as f64 - from as f64;
        match sign > 0.0 {
            true => steps + 1.0 - line,
            false => line - (steps - 1.0),
        }
    };
    (from..=to).map(at).fold(1.0, f64::max)
}

/// p of a dip of `n` values, by 2000 uniform samples, always the same ones.
pub fn dip_p(dip: f64, n: usize) -> f64 {
    static NULLS: LazyLock<Mutex<BTreeMap<usize, Vec<f64>>>> = LazyLock::new(Mutex::default);
    if !dip.is_finite() || n < 4 {
        return f64::NAN;
    }
    let mut nulls = NULLS.lock().unwrap_or_else(PoisonError::into_inner);
    let null = nulls.entry(n).or_insert_with(|| {
        let of = |sample| {
            let mut stream = Stream::new(Purpose::UniformSamples, 0, n as u64, sample);
            let mut values: Vec<f64> = (0..n).map(|_| stream.uniform_f64_open()).collect();
            values.sort_by(f64::total_cmp);
            self::dip(&values)
        };
        (0..SAMPLES).map(of).collect()
    });
    let above = null.iter().filter(|own| **own >= dip).count() as f64;
    (above + 1.0) / (SAMPLES as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from a small linear congruential generator, which is easily written elsewhere.
    fn drawn(n: usize, mut state: u64) -> Vec<f64> {
        let mut next = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            state as f64 / (1u64 << 31) as f64
        };
        (0..n).map(|_| next()).collect()
    }

    fn of(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        dip(&values)
    }

    /// Against the package `diptest` 0.10 of Python.
    #[test]
    fn dips_are_those_of_another_program() {
        let two_groups = |u: f64| 0.2 * u + f64::from(u8::from(u >= 0.5));
        for (found, expected) in [
            (of([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), 0.25),
            (
                of([1.0, 2.0, 3.0, 10.0, 11.0, 12.0]),
                0.194_444_444_444_444_45,
            ),
            (
                of([1.0, 1.5, 2.0, 2.2, 5.0, 5.1, 5.2, 5.9, 9.0]),
                0.155_555_555_555_555_56,
            ),
            (
                of([
                    0.1, 0.2, 0.9, 1.0, 1.1, 1.2, 1.9, 2.0, 2.05, 4.0, 4.1, 4.15, 4.5,
                ]),
                0.122_448_979_591_836_73,
            ),
            (of(drawn(50, 1)), 0.045_090_622_346_705_224),
            (of(drawn(101, 7)), 0.024_401_074_789_621_013),
            (of(drawn(400, 3)), 0.018_082_432_591_878_098),
            (
                of(drawn(50, 1).into_iter().map(|u| u * u)),
                0.052_004_118_548_521_51,
            ),
            (
                of(drawn(101, 7).into_iter().map(|u| u * u)),
                0.020_339_492_254_995_05,
            ),
            (
                of(drawn(400, 3).into_iter().map(|u| u * u)),
                0.012_416_823_427_709_965,
            ),
            (
                of(drawn(50, 1).into_iter().map(two_groups)),
                0.203_353_057_140_95,
            ),
            (
                of(drawn(400, 3).into_iter().map(two_groups)),
                0.221_648_582_133_625_65,
            ),
        ] {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn dips_of_few_or_equal_values_are_the_smallest_there_are() {
        assert!(of([]).is_nan());
        assert_eq!(of([3.0]), 0.5);
        assert_eq!(of([2.0; 5]), 0.1);
        assert_eq!(of([1.0, 2.0]), 0.25);
        assert_eq!(of((0..10).map(f64::from)), 0.05);
    }

    #[test]
    fn p_is_small_for_two_groups_and_large_for_one() {
        let two = drawn(101, 7)
            .into_iter()
            .map(|u| 0.2 * u + f64::from(u8::from(u >= 0.5)));
        assert!(dip_p(of(two), 101) < 0.001);
        let p = dip_p(of(drawn(101, 7)), 101);
        assert!((p - 0.97).abs() < 0.02, "{p}");
        let p = dip_p(of(drawn(50, 1)), 50);
        assert!((p - 0.65).abs() < 0.04, "{p}");
        assert!(dip_p(f64::NAN, 50).is_nan() && dip_p(0.2, 3).is_nan());
    }
}
