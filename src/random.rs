//! Counter-based randomness: every random number is a pure function of what it is for.
//!
//! [`philox4x32`] is the Philox4x32-10 block function of Salmon et al. (2011). A [`Stream`] is the
//! sequence of its blocks under an address (purpose, seed, a, b), so that a draw never depends on
//! thread count, batch size or on which other draws were made before. Only integer operations,
//! correctly rounded IEEE operations and `libm` are used: the numbers are the same, bit for bit,
//! on every platform.

use std::convert::Infallible;

use rand::rand_core::utils;
use rand::{Rng, TryRng};

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEP: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The Philox4x32 block function with ten rounds: 128 random bits for a counter under a key.
#[inline]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let left = u64::from(MULTIPLIER[0]) * u64::from(counter[0]);
        let right = u64::from(MULTIPLIER[1]) * u64::from(counter[2]);
        counter = [
            (right >> 32) as u32 ^ counter[1] ^ key[0],
            right as u32,
            (left >> 32) as u32 ^ counter[3] ^ key[1],
            left as u32,
        ];
        key = [
            key[0].wrapping_add(KEY_STEP[0]),
            key[1].wrapping_add(KEY_STEP[1]),
        ];
    }
    counter
}

/// What a stream is for. The numbers are part of every published result: never renumber them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// Starting weights.
    Weights = 1,
    /// Choice of the training, validation and test samples.
    Split = 2,
    /// Order of the training samples in an epoch.
    Shuffle = 3,
    /// Input spikes of training trials, fresh each epoch.
    TrainNoise = 4,
    /// Input spikes of evaluation trials, the same every epoch.
    EvalNoise = 5,
    /// The built-in synthetic digits.
    Digits = 6,
    /// Spikes put anywhere in their trial, the null of a spectrum.
    ShuffledSpikes = 7,
    /// Generated sequences.
    Sequences = 8,
    /// Gratings and their offsets.
    Stimuli = 9,
    /// Disturbances as small as rounding.
    Rounding = 10,
    /// Uniform samples, the null of the dip test.
    UniformSamples = 11,
}

/// An endless sequence of random numbers at the address (purpose, seed, a, b).
///
/// It implements the generator traits of `rand` 0.10. The methods below are fixed here rather than
/// taken from a library, so that an upgrade cannot change a published result.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    /// The two upper counter words; the lower two count the blocks.
    address: [u32; 2],
    next_block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The stream for a purpose and a seed; `a` and `b` tell apart the streams within them
    /// (an epoch and a sample, a matrix and a row, ...).
    pub fn new(purpose: Purpose, seed: u64, a: u64, b: u64) -> Stream {
        // Philox derives its own key: for a given purpose and seed the map from (a, b) to
        // (key, address) is one to one, so two streams can never be the same one.
        let domain = philox4x32([purpose as u32, 0, 0, 0], halves(seed));
        let [a, b] = [halves(a), halves(b)];
        let place = philox4x32([a[0], a[1], b[0], b[1]], [domain[0], domain[1]]);
        Stream {
            key: [place[0], place[1]],
            address: [place[2], place[3]],
            next_block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    #[inline]
    fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            let [low, high] = halves(self.next_block);
            let counter = [low, high, self.address[0], self.address[1]];
            self.words = philox4x32(counter, self.key);
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in (0, 1] on a grid of 2^-53, so that its logarithm is always finite.
    #[inline]
    pub fn uniform_f64_open(&mut self) -> f64 {
        const GRID: f64 = 1.0 / (1u64 << 53) as f64;
        ((self.next_u64() >> 11) + 1) as f64 * GRID
    }

    /// Standard normal (Box–Muller); takes one block of the stream.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform_f64_open()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform_f64_open())
    }

    /// Uniform in `0..bound` without bias (Lemire 2019); 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // The lowest `2^64 mod bound` products of each result are drawn again.
        let excess = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= excess {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts the items into uniformly random order (Fisher–Yates, from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// The step indices in `0..steps`, ascending, at which independent Bernoulli(p) draws succeed.
    ///
    /// The failures between two successes are geometric, so a success costs one draw instead of
    /// one a step, and the law is exactly that of `steps` separate draws. `p` below 0 or NaN acts
    /// as 0 and `p` above 1 as 1.
    pub fn bernoulli_gaps(&mut self, p: f64, steps: u32) -> BernoulliGaps<'_> {
        BernoulliGaps {
            stream: self,
            log_failure: if p >= 1.0 {
                f64::NEG_INFINITY
            } else {
                libm::log1p(-p)
            },
            next: if p > 0.0 { 0 } else { steps },
            steps,
        }
    }
}

/// Successful steps of a Bernoulli process, see [`Stream::bernoulli_gaps`].
#[derive(Debug)]
pub struct BernoulliGaps<'a> {
    stream: &'a mut Stream,
    /// Logarithm of the probability of a failure, ln(1 − p).
    log_failure: f64,
    next: u32,
    steps: u32,
}

impl Iterator for BernoulliGaps<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let left = self.steps - self.next;
        if left == 0 {
            return None;
        }
        // P(failures >= k) = P(u <= (1 − p)^k) = (1 − p)^k. Compared as a float: with a tiny p the
        // gap does not fit an integer.
        let failures = libm::log(self.stream.uniform_f64_open()) / self.log_failure;
        if failures >= f64::from(left) {
            self.next = self.steps;
            return None;
        }
        let step = self.next + failures as u32;
        self.next = step + 1;
        Some(step)
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.word());
        Ok(u64::from(self.word()) << 32 | low)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn stream(seed: u64) -> Stream {
        Stream::new(Purpose::Weights, seed, 0, 0)
    }

    /// The three vectors published with Random123 (`kat_vectors`, philox4x32, 10 rounds).
    #[test]
    fn philox_gives_the_published_answers() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                pi,
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected);
        }
        assert_ne!(philox4x32([1, 0, 0, 0], [0; 2]), cases[0].2);
    }

    #[test]
    fn every_part_of_the_address_matters() {
        use Purpose::*;
        let mut seen = std::collections::HashSet::new();
        for purpose in [
            Weights,
            Split,
            Shuffle,
            TrainNoise,
            EvalNoise,
            Digits,
            ShuffledSpikes,
        ] {
            for seed in [0, 1, 1 << 32] {
                for (a, b) in [(0, 0), (0, 1), (1, 0), (1 << 32, 0), (0, 1 << 32)] {
                    assert!(seen.insert(Stream::new(purpose, seed, a, b).next_u64()));
                }
            }
        }
        assert_eq!(seen.len(), 7 * 3 * 5);
    }

    /// A separate implementation in Python gave the same numbers. A change here changes every
    /// published run.
    #[test]
    fn streams_keep_their_numbers() {
        let mut s = Stream::new(Purpose::TrainNoise, 42, 3, 7);
        assert_eq!(s.next_u64(), 0xe0b2_6079_8d6f_27e8);
        assert_eq!(s.normal().to_bits(), 0xbfef_4aa9_0b74_80dd);
        assert_eq!(s.uniform_f64_open().to_bits(), 0x3fd0_cd96_0ef8_4b68);
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
        s.shuffle(&mut order);
        assert_eq!(order, [6, 7, 4, 2, 1, 3, 5, 0]);
    }

    #[test]
    fn rand_traits_work_on_a_stream() {
        let mut s = stream(1);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&s.random::<f64>())));
        let (mut bytes, mut words) = ([0; 8], stream(2));
        stream(2).fill_bytes(&mut bytes);
        assert_eq!(u64::from_le_bytes(bytes), words.next_u64());
    }

    #[test]
    fn normal_has_the_moments_of_the_normal_law() {
        let (mut s, n) = (stream(3), 200_000);
        let draws: Vec<f64> = (0..n).map(|_| s.normal()).collect();
        let moment = |k| draws.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
        // Five standard errors of each moment.
        for (k, expected, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
        {
            let tolerance = 5.0 * f64::sqrt(variance / f64::from(n));
            assert!(
                (moment(k) - expected).abs() < tolerance,
                "moment {k}: {}",
                moment(k)
            );
        }
    }

    #[test]
    fn bounded_draws_and_shuffles_are_unbiased() {
        let (mut s, n) = (stream(4), 60_000);
        let mut places = [[0.0f64; 3]; 3];
        for _ in 0..n {
            let mut items = [0, 1, 2];
            s.shuffle(&mut items);
            (0..3).for_each(|place| places[place][items[place]] += 1.0);
        }
        let expected = f64::from(n) / 3.0;
        let chi2: f64 = places
            .as_flattened()
            .iter()
            .map(|c| (c - expected).powi(2) / expected)
            .sum();
        assert!(chi2 < 30.0, "chi-square {chi2} on 4 degrees of freedom");
        // A bound just above 2^63 would be visibly uneven without the rejection step.
        let bound = (1 << 63) + (1 << 62);
        let low = (0..n).filter(|_| s.below(bound) < bound / 3).count() as f64;
        assert!((low - expected).abs() < 5.0 * f64::sqrt(expected * 2.0 / 3.0));
        assert_eq!((s.below(0), s.below(1)), (0, 0));
    }

    #[test]
    fn gaps_follow_the_geometric_law() {
        let (p, steps, mut s) = (0.3, 100_000, stream(5));
        let hits: Vec<u32> = s.bernoulli_gaps(p, steps).collect();
        let mut counts = [0.0f64; 12];
        for pair in hits.windows(2) {
            counts[((pair[1] - pair[0] - 1) as usize).min(11)] += 1.0;
        }
        let chi2_under = |p: f64| -> f64 {
            let total: f64 = counts.iter().sum();
            (0..12)
                .map(|k| total * (1.0 - p).powi(k) * if k < 11 { p } else { 1.0 })
                .zip(counts)
                .map(|(expected, count)| (count - expected).powi(2) / expected)
                .sum()
        };
        assert!(
            chi2_under(p) < 40.0,
            "chi-square {} on 11 degrees",
            chi2_under(p)
        );
        assert!(chi2_under(p * 1.05) > 40.0, "a wrong rate must be noticed");
    }

    #[test]
    fn counts_have_binomial_mean_and_variance() {
        for (p, steps) in [(0.00625, 2000), (0.5, 31), (0.97, 64)] {
            let mut s = stream(6);
            let n = 20_000;
            let counts: Vec<f64> = (0..n)
                .map(|_| s.bernoulli_gaps(p, steps).count() as f64)
                .collect();
            let mean = counts.iter().sum::<f64>() / f64::from(n);
            let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / f64::from(n);
            let expected = f64::from(steps) * p * (1.0 - p);
            let error = 5.0 * f64::sqrt(expected / f64::from(n));
            assert!(
                (mean - f64::from(steps) * p).abs() < error,
                "p {p}: mean {mean}"
            );
            assert!(
                (variance / expected - 1.0).abs() < 0.06,
                "p {p}: variance {variance}"
            );
        }
    }

    #[test]
    fn gaps_at_the_limits() {
        let mut s = stream(7);
        let mut gaps = |p, steps| s.bernoulli_gaps(p, steps).collect::<Vec<u32>>();
        assert!(
            gaps(0.0, 1000).is_empty()
                && gaps(-1.0, 10).is_empty()
                && gaps(f64::NAN, 10).is_empty()
        );
        assert_eq!(gaps(1.0, 5), [0, 1, 2, 3, 4]);
        assert_eq!(gaps(7.0, 2), [0, 1]);
        assert!(gaps(0.5, 0).is_empty());
        assert!(gaps(f64::MIN_POSITIVE, u32::MAX).is_empty());
        assert!(gaps(1e-18, u32::MAX).is_empty());
        let rare = gaps(1e-6, u32::MAX).len() as f64;
        assert!((rare - 4294.97).abs() < 5.0 * 65.6, "{rare} rare successes");
    }
}
