//! Gamma cycles, and how many spikes each cell has in one.
//!
//! The trace of the I population is smoothed by a Gaussian of 1 ms. Its maxima, the highest first and
//! each at least half a period from those taken before, are the bursts; a cycle goes from the minimum
//! between two bursts to the next such minimum. What lies before the first and after the last minimum
//! is no whole cycle and is left out.

use super::record::Participation;
use super::spikes::{Spikes, gaussian};

/// Standard deviation of the smoothing, ms.
const SMOOTHING_MS: f64 = 1.0;

/// Spikes that an I cell has at the least in a mean cycle. Where most of the population is silent, the
/// spikes of a few cells are no bursts of it and cut no cycles.
const LEAST_I_SPIKES: f64 = 0.5;

/// Sums over the whole cycles of the trials so far.
#[derive(Clone, Debug)]
pub struct Cycles {
    dt_ms: f64,
    cycles: u64,
    steps: u64,
    /// E cells and I cells.
    cells: [usize; 2],
    /// (cell, cycle) pairs with 1, 2 and 3 or more spikes, of E and I.
    pairs: [[u64; 3]; 2],
    /// Spikes in whole cycles, of E and I.
    spikes: [u64; 2],
}

impl Cycles {
    /// No trials yet of populations of these numbers of E and I cells.
    pub fn new(dt_ms: f64, cells: [usize; 2]) -> Self {
        Self {
            dt_ms,
            cycles: 0,
            steps: 0,
            cells,
            pairs: [[0; 3]; 2],
            spikes: [0; 2],
        }
    }

    /// Adds a trial; `period_ms` is about the length of a cycle.
    pub fn add(&mut self, e: &Spikes, i: &Spikes, period_ms: f64) {
        let trace: Vec<f64> = i.trace().into_iter().map(f64::from).collect();
        let smooth = gaussian(&trace, SMOOTHING_MS / self.dt_ms);
        let apart = (period_ms / 2.0 / self.dt_ms).max(1.0);
        for cycle in cuts(&smooth, apart).windows(2) {
            self.cycles += 1;
            self.steps += (cycle[1] - cycle[0]) as u64;
            for (population, spikes) in [e, i].into_iter().enumerate() {
                let place = |step: usize| spikes.at.partition_point(|s| (s.0 as usize) < step);
                let mut counts = vec![0usize; self.cells[population]];
                for &(_, cell) in &spikes.at[place(cycle[0])..place(cycle[1])] {
                    counts[cell as usize] += 1;
                }
                for n in counts.into_iter().filter(|&n| n > 0) {
                    self.pairs[population][n.min(3) - 1] += 1;
                    self.spikes[population] += n as u64;
                }
            }
        }
    }

    /// Shares over all whole cycles; none where there is no whole cycle, or the I population is too
    /// silent to have any.
    pub fn participation(&self) -> Option<Participation> {
        let i_spikes = self.spikes[1] as f64 / (self.cells[1] as f64 * self.cycles as f64);
        // NaN without cycles.
        if i_spikes.is_nan() || i_spikes < LEAST_I_SPIKES {
            return None;
        }
        let cycles = self.cycles as f64;
        let pairs = |population: usize| self.cells[population] as f64 * cycles;
        let share_percent = |population: usize| {
            let [one, two, more] = self.pairs[population];
            let all = pairs(population);
            let none = all - (one + two + more) as f64;
            [none, one as f64, two as f64, more as f64].map(|n| 100.0 * n / all)
        };
        Some(Participation {
            cycles: self.cycles,
            period_ms: self.steps as f64 * self.dt_ms / cycles,
            e_share_percent: share_percent(0),
            i_share_percent: share_percent(1),
            e_spikes_per_cycle: self.spikes[0] as f64 / pairs(0),
            i_spikes_per_cycle: i_spikes,
        })
    }
}

/// The steps at which the smooth trace is least between two bursts that follow each other.
fn cuts(smooth: &[f64], apart_steps: f64) -> Vec<usize> {
    let bursts = bursts(smooth, apart_steps);
    bursts
        .windows(2)
        .map(|pair| {
            let between = pair[0]..pair[1];
            let least = smooth[between.clone()]
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min);
            // The middle of a pause: E cells fire a little before I cells do.
            let lowest: Vec<usize> = between.filter(|&t| smooth[t] == least).collect();
            lowest.get(lowest.len() / 2).copied().unwrap_or(pair[0])
        })
        .collect()
}

/// The maxima of the smooth trace that are at least `apart_steps` from every higher one, ascending.
fn bursts(smooth: &[f64], apart_steps: f64) -> Vec<usize> {
    let inner = 1..smooth.len().saturating_sub(1);
    let mut maxima: Vec<usize> = inner
        .filter(|&t| smooth[t] > smooth[t - 1] && smooth[t] >= smooth[t + 1])
        .collect();
    // Stable, so that of equal maxima the first is taken.
    maxima.sort_by(|&a, &b| smooth[b].total_cmp(&smooth[a]));
    let mut taken: Vec<usize> = Vec::new();
    for t in maxima {
        if taken
            .iter()
            .all(|&other| t.abs_diff(other) as f64 >= apart_steps)
        {
            taken.push(t);
        }
    }
    taken.sort_unstable();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts every 20 ms from 10 ms on: 4 I cells spread over 1.5 ms, each once, and before them
    /// the E cells in `fires`, 1 ms apart.
    fn trial(fires: &[u32]) -> (Spikes, Spikes) {
        let (mut e, mut i) = (Vec::new(), Vec::new());
        for burst in 0..10 {
            let t = 100 + 200 * burst;
            i.extend((0..4).map(|cell| (t + 5 * cell, cell)));
            let early = fires.iter().enumerate();
            e.extend(early.map(|(k, &cell)| (t - 60 + 10 * k as u32, cell)));
        }
        let spikes = |cells, at| Spikes {
            steps: 2000,
            cells,
            at,
        };
        (spikes(10, e), spikes(4, i))
    }

    #[test]
    fn every_burst_between_the_first_and_the_last_is_a_whole_cycle() {
        let mut cycles = Cycles::new(0.1, [10, 4]);
        // Cell 0 fires once a cycle, 1 twice, 2 four times; 3 to 9 never.
        let (e, i) = trial(&[0, 1, 1, 2, 2, 2, 2]);
        cycles.add(&e, &i, 20.0);
        cycles.add(&e, &i, 20.0);
        let found = cycles.participation().unwrap();
        assert_eq!(found.cycles, 16);
        assert!((found.period_ms - 20.0).abs() < 1e-9);
        assert_eq!(found.e_share_percent, [70.0, 10.0, 10.0, 10.0]);
        assert_eq!(found.i_share_percent, [0.0, 100.0, 0.0, 0.0]);
        assert_eq!(
            (found.e_spikes_per_cycle, found.i_spikes_per_cycle),
            (0.7, 1.0)
        );
        // With twice the period every second burst is swallowed, and the numbers show it.
        let mut wrong = Cycles::new(0.1, [10, 4]);
        wrong.add(&e, &i, 60.0);
        assert!(wrong.participation().unwrap().i_spikes_per_cycle > 1.5);
    }

    #[test]
    fn a_stray_spike_beside_a_burst_is_no_burst() {
        let (e, mut i) = trial(&[0]);
        i.at.push((340, 0));
        i.at.sort_unstable();
        let mut cycles = Cycles::new(0.1, [10, 4]);
        cycles.add(&e, &i, 20.0);
        assert_eq!(cycles.participation().unwrap().cycles, 8);
    }

    #[test]
    fn silence_and_a_single_burst_make_no_cycles() {
        let (e, i) = trial(&[0]);
        let first = |n: usize| Spikes {
            at: i.at[..n].to_vec(),
            ..i.clone()
        };
        for spikes in [0, 4, 8] {
            let mut cycles = Cycles::new(0.1, [10, 4]);
            cycles.add(&e, &first(spikes), 20.0);
            assert!(cycles.participation().is_none(), "{spikes}");
        }
        let mut cycles = Cycles::new(0.1, [10, 4]);
        cycles.add(&e, &first(12), 20.0);
        assert_eq!(cycles.participation().unwrap().cycles, 1);
    }

    #[test]
    fn one_cell_of_many_that_fires_alone_makes_no_cycles() {
        let (e, mut i) = trial(&[0]);
        i.at.retain(|&(_, cell)| cell == 0);
        let of_cells = |n_i: usize| {
            let mut cycles = Cycles::new(0.1, [10, n_i]);
            cycles.add(&e, &i, 20.0);
            cycles.participation()
        };
        assert!(of_cells(4).is_none());
        assert!(of_cells(1).is_some());
    }
}
