//! When is there a rhythm, and at what frequency?
//!
//! A rhythm is many cells firing together again and again within a trial. Cells that are regular each by
//! itself, the ringing after a common start, and aperiodic fluctuations that all cells share look like
//! one in the spectrum of the population rate. The correlogram of pairs of **different** cells tells
//! them apart, and it alone decides:
//!
//! 1. The beginning of each trial is left out ([`Settings::onset_ms`]).
//! 2. Spikes are counted in bins of 1 ms; for each lag l, c(l) = Σ_t x_t x_{t+l} less the pairs that one
//!    cell makes with itself, over the pairs of bins and the trials, and over the squared mean count: 1
//!    for independent cells. It is smoothed by a Gaussian of 1 ms.
//! 3. Side peaks are the local maxima inside; the prominence of one is its height above the lowest point
//!    between lag 0 and it. The fundamental is the first with at least 60 % of the largest prominence.
//!    Its lag is the vertex of the parabola fitted to its upper half, and f = 1000 / lag.
//! 4. contrast = (peak − trough) / (peak + trough). There is a rhythm where it is at least 0.1 and above
//!    the 99 % point of as many pairs of spikes put at random.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::float::{nan_list, nan_number};
use super::spikes::{Spikes, gaussian, steps_of};
use crate::random::{Purpose, Stream};

/// Correlogram of pairs of different cells of one population: it decides whether there is a rhythm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PopulationRhythm {
    /// The contrast is at least 0.1 and above that of its null.
    pub is_rhythmic: bool,
    /// Frequency of the fundamental, Hz; NaN without a rhythm.
    #[serde(with = "nan_number")]
    pub f_hz: f64,
    /// (peak − trough) / (peak + trough) of the fundamental: 0 without a side peak, 1 where nothing
    /// fires between volleys; NaN where no two cells fire.
    #[serde(with = "nan_number")]
    pub contrast: f64,
    /// 99 % point of the contrast of as many pairs of spikes put at random.
    #[serde(with = "nan_number")]
    pub null_contrast: f64,
    /// Lags, ms, from 0.
    pub lag_ms: Vec<f64>,
    /// Mean product of two bins, pairs of one cell left out, over the squared mean: 1 for independent
    /// cells. Smoothed by 1 ms, as it is judged.
    #[serde(with = "nan_list")]
    pub correlation: Vec<f64>,
    /// 1 % point of the same of spikes put at random, at each lag.
    #[serde(with = "nan_list")]
    pub null_low: Vec<f64>,
    /// 99 % point.
    #[serde(with = "nan_list")]
    pub null_high: Vec<f64>,
}

/// Width of bins and lags, ms.
const BIN_MS: f64 = 1.0;
/// Longest lag, ms; at most half of what is left of a trial.
const LONGEST_LAG_MS: f64 = 70.0;
/// Most of a trial that is left out at its beginning.
const LARGEST_ONSET_SHARE: f64 = 0.3;
/// Standard deviation of the smoothing over lags, ms.
const SMOOTHING_MS: f64 = 1.0;
/// Share of the largest prominence that makes the first side peak the fundamental; later ones are
/// its multiples.
const FUNDAMENTAL_SHARE: f64 = 0.6;
/// Contrast below which nothing is called a rhythm.
pub const LEAST_CONTRAST: f64 = 0.1;
/// Draws of the null; the 99 % point of their contrasts is the 297th of 299.
pub const NULL_DRAWS: usize = 299;
/// Rank of the point of the null, from 0, and of the point as far from its lower end.
const NULL_RANKS: [usize; 2] = [2, 296];
/// Mean count of a bin from which on counts of the null are drawn as normal numbers with the covariance
/// of spikes put at random, instead of spike by spike.
const NORMAL_FROM: f64 = 5.0;

/// What a user may choose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What is left out at the beginning of each trial, ms; at most 30 % of it.
    pub onset_ms: f64,
    /// Frequencies that are called gamma, Hz, ends included.
    pub gamma_hz: [f64; 2],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            onset_ms: 60.0,
            gamma_hz: [20.0, 120.0],
        }
    }
}

/// Sums over trials of the products of counts of different cells. They are whole numbers, so that no
/// order of trials and no division into batches changes them.
#[derive(Clone, Debug)]
pub struct Correlogram {
    onset_steps: usize,
    bin_steps: usize,
    bin_ms: f64,
    bins: usize,
    trials: usize,
    spikes: u64,
    /// Σ over trials and bins, by lag.
    products: Vec<u64>,
    /// Ordered pairs of spikes of different cells in each trial.
    pairs: Vec<u64>,
}

/// The fundamental of a correlogram.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fundamental {
    /// In bins, interpolated.
    lag: f64,
    contrast: f64,
}

impl Correlogram {
    /// No trials yet, of `steps` each.
    pub fn new(steps: usize, dt_ms: f64, settings: Settings) -> Self {
        let onset_ms = (settings.onset_ms).min(LARGEST_ONSET_SHARE * steps as f64 * dt_ms);
        let onset_steps = (onset_ms / dt_ms).round().max(0.0) as usize;
        let bin_steps = steps_of(BIN_MS, dt_ms);
        let bin_ms = bin_steps as f64 * dt_ms;
        let bins = steps.saturating_sub(onset_steps) / bin_steps;
        let longest = (LONGEST_LAG_MS / bin_ms).round() as usize;
        Self {
            onset_steps,
            bin_steps,
            bin_ms,
            bins,
            trials: 0,
            spikes: 0,
            products: vec![0; longest.min(bins / 2) + 1],
            pairs: Vec::new(),
        }
    }

    /// Adds a trial. Steps that fill no whole bin at its end are left out.
    pub fn add(&mut self, spikes: &Spikes) {
        let mut counts = vec![0u32; self.bins];
        let mut by_cell: Vec<(u32, u32)> = Vec::new();
        for &(step, cell) in &spikes.at {
            let Some(after) = (step as usize).checked_sub(self.onset_steps) else {
                continue;
            };
            let bin = after / self.bin_steps;
            if bin < self.bins {
                counts[bin] += 1;
                by_cell.push((cell, bin as u32));
            }
        }
        self.trials += 1;
        self.spikes += by_cell.len() as u64;
        add_products(&mut self.products, &counts);
        by_cell.sort_unstable();
        let mut own_pairs = 0;
        for train in by_cell.chunk_by(|a, b| a.0 == b.0) {
            own_pairs += (train.len() as u64).pow(2);
            for (at, &(_, bin)) in train.iter().enumerate() {
                // A spike makes one ordered pair with itself, and two with another in its bin.
                self.products[0] -= 1;
                for &(_, later) in &train[at + 1..] {
                    let lag = (later - bin) as usize;
                    match self.products.get_mut(lag) {
                        Some(product) => *product -= if lag == 0 { 2 } else { 1 },
                        None => break,
                    }
                }
            }
        }
        self.pairs.push((by_cell.len() as u64).pow(2) - own_pairs);
    }

    /// Whether the population has a rhythm, with the curves that decide it. `seed` and `population` are
    /// the address of the null's draws.
    pub fn rhythm(&self, seed: u64, population: u64) -> PopulationRhythm {
        let correlation = self.smooth(&self.products.iter().map(|&x| x as f64).collect::<Vec<_>>());
        let found = fundamental(&correlation);
        let null = self.null(seed, population);
        let contrast = found.map_or(0.0, |f| f.contrast);
        let is_rhythmic = is_rhythm(contrast, null.contrast);
        PopulationRhythm {
            is_rhythmic,
            f_hz: match found {
                Some(found) if is_rhythmic => 1000.0 / (found.lag * self.bin_ms),
                _ => f64::NAN,
            },
            contrast: if self.has_pairs() { contrast } else { f64::NAN },
            null_contrast: null.contrast,
            lag_ms: (0..correlation.len())
                .map(|lag| lag as f64 * self.bin_ms)
                .collect(),
            correlation,
            null_low: null.low,
            null_high: null.high,
        }
    }

    /// Contrast of the fundamental without its null; 0 where there is no side peak.
    #[cfg(test)]
    fn contrast(&self) -> f64 {
        let products: Vec<f64> = self.products.iter().map(|&x| x as f64).collect();
        fundamental(&self.smooth(&products)).map_or(0.0, |found| found.contrast)
    }

    /// Frequency below which nothing can be told, Hz.
    pub fn lowest_hz(&self) -> f64 {
        1000.0 / ((self.products.len() - 1) as f64 * self.bin_ms)
    }

    /// What is left out at the beginning of each trial, ms.
    pub fn onset_ms(&self) -> f64 {
        self.onset_steps as f64 * self.bin_ms / self.bin_steps as f64
    }

    fn has_pairs(&self) -> bool {
        self.pairs.iter().any(|&pairs| pairs > 0)
    }

    /// Mean products of two bins over the squared mean count, smoothed; NaN without spikes.
    fn smooth(&self, products: &[f64]) -> Vec<f64> {
        let trials = self.trials as f64;
        let mean = self.spikes as f64 / (trials * self.bins as f64);
        let scaled: Vec<f64> = products
            .iter()
            .enumerate()
            .map(|(lag, product)| product / ((self.bins - lag) as f64 * trials * mean * mean))
            .collect();
        // Both sides, so that the smoothing sees no end at lag 0.
        let mirrored: Vec<f64> = scaled
            .iter()
            .skip(1)
            .rev()
            .chain(&scaled)
            .copied()
            .collect();
        gaussian(&mirrored, SMOOTHING_MS / self.bin_ms).split_off(scaled.len() - 1)
    }

    /// As many pairs of spikes put anywhere in their trials, [`NULL_DRAWS`] times.
    fn null(&self, seed: u64, population: u64) -> Null {
        let lags = self.products.len();
        if !self.has_pairs() {
            return Null {
                contrast: f64::NAN,
                low: vec![f64::NAN; lags],
                high: vec![f64::NAN; lags],
            };
        }
        let draws: Vec<Vec<f64>> = (0..NULL_DRAWS as u64)
            .into_par_iter()
            .map(|draw| {
                let mut stream = Stream::new(Purpose::ShuffledSpikes, seed, draw, population);
                self.smooth(&self.drawn(&mut stream))
            })
            .collect();
        let contrasts = draws
            .iter()
            .map(|curve| fundamental(curve).map_or(0.0, |f| f.contrast));
        let [_, contrast] = points(contrasts.collect());
        let (mut low, mut high) = (Vec::with_capacity(lags), Vec::with_capacity(lags));
        for lag in 0..lags {
            let [below, above] = points(draws.iter().map(|curve| curve[lag]).collect());
            low.push(below);
            high.push(above);
        }
        Null {
            contrast,
            low,
            high,
        }
    }

    /// Products of one draw.
    fn drawn(&self, stream: &mut Stream) -> Vec<f64> {
        let mut whole = vec![0u64; self.products.len()];
        let mut real = vec![0.0; self.products.len()];
        for &pairs in &self.pairs {
            // n spikes make n (n − 1) ordered pairs.
            let spikes = (0.5 + (0.25 + pairs as f64).sqrt()).round();
            let mean = spikes / self.bins as f64;
            if mean < NORMAL_FROM {
                let mut counts = vec![0u32; self.bins];
                for _ in 0..spikes as u64 {
                    counts[stream.below(self.bins as u64) as usize] += 1;
                }
                add_products(&mut whole, &counts);
                real[0] -= spikes;
            } else {
                let mut counts: Vec<f64> = (0..self.bins).map(|_| stream.normal()).collect();
                // Spikes put elsewhere are missing here: deviations sum to 0.
                let offset = counts.iter().sum::<f64>() / self.bins as f64;
                for count in &mut counts {
                    *count = mean + mean.sqrt() * (*count - offset);
                }
                add_products(&mut real, &counts);
                real[0] -= spikes;
            }
        }
        whole.iter().zip(real).map(|(&a, b)| a as f64 + b).collect()
    }
}

/// Whether a contrast is that of a rhythm, given the 99 % point of its null.
fn is_rhythm(contrast: f64, null: f64) -> bool {
    contrast >= LEAST_CONTRAST && contrast > null
}

/// What spikes put at random give.
struct Null {
    /// 99 % point of the contrast.
    contrast: f64,
    /// 1 % and 99 % point of the curve at each lag.
    low: Vec<f64>,
    high: Vec<f64>,
}

/// The lower and the upper point of a null's values.
fn points(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    NULL_RANKS.map(|rank| values.get(rank).copied().unwrap_or(f64::NAN))
}

/// Adds Σ_t x_t x_{t+l} at each lag l.
fn add_products<X, S>(products: &mut [S], counts: &[X])
where
    X: Copy + PartialEq + Default + Into<S>,
    S: Copy + std::ops::AddAssign + std::ops::Mul<Output = S>,
{
    for (t, &x) in counts
        .iter()
        .enumerate()
        .filter(|(_, x)| **x != X::default())
    {
        let x: S = x.into();
        for (product, &later) in products.iter_mut().zip(&counts[t..]) {
            *product += x * later.into();
        }
    }
}

/// The first side peak with at least 60 % of the largest prominence.
fn fundamental(curve: &[f64]) -> Option<Fundamental> {
    let mut lowest = f64::INFINITY;
    // Place, height and trough of each side peak.
    let mut peaks: Vec<(usize, f64, f64)> = Vec::new();
    for lag in 1..curve.len().saturating_sub(1) {
        lowest = lowest.min(curve[lag - 1]);
        // A plateau counts from its first lag.
        if curve[lag] > curve[lag - 1] && curve[lag] >= curve[lag + 1] {
            peaks.push((lag, curve[lag], lowest));
        }
    }
    let most = peaks.iter().map(|(_, peak, trough)| peak - trough);
    let most = most.fold(0.0, f64::max);
    let is_fundamental = |(_, peak, trough): &&(usize, f64, f64)| {
        peak > trough && peak - trough >= FUNDAMENTAL_SHARE * most
    };
    let &(lag, peak, trough) = peaks.iter().find(is_fundamental)?;
    Some(Fundamental {
        lag: lag as f64 + vertex(curve, lag, (peak + trough) / 2.0),
        contrast: (peak - trough) / (peak + trough),
    })
}

/// Where the parabola through what is above `half` around a peak, as far on both sides, has its vertex:
/// lags from the peak. Least squares: a noisy flat top has its middle where its flanks say.
fn vertex(curve: &[f64], peak: usize, half: f64) -> f64 {
    let reach = |step: &dyn Fn(usize) -> Option<usize>| {
        let above = |&by: &usize| {
            let value = step(by).and_then(|at| curve.get(at));
            value.is_some_and(|value| *value >= half)
        };
        (1..).take_while(above).count()
    };
    let left = reach(&|by| peak.checked_sub(by));
    let right = reach(&|by| peak.checked_add(by));
    let width = left.min(right).max(1) as i64;
    let (mut first, mut second, mut fourth, mut sum, mut weighted) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let points = 2 * width + 1;
    for by in -width..=width {
        let Some(&value) = curve.get((peak as i64 + by) as usize) else {
            return 0.0;
        };
        let x = by as f64;
        first += x * value;
        second += x * x;
        fourth += x.powi(4);
        sum += value;
        weighted += x * x * value;
    }
    // y = a + b x + c x², whose normal equations part by symmetry.
    let slope = first / second;
    let n = points as f64;
    let curvature = (n * weighted - second * sum) / (n * fourth - second * second);
    let offset = -slope / (2.0 * curvature);
    if curvature < 0.0 && offset.is_finite() {
        offset.clamp(-(width as f64), width as f64)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests;
