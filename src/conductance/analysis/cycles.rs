//! Cycles of a rhythm, and how many spikes each cell has in one.
//!
//! The period is that of the rhythm over all trials ([`rhythm`](crate::analysis::rhythm)), so that nothing depends
//! on the order or the batches of trials; without a rhythm nothing is cut. The trace of the population
//! that cuts is smoothed by a Gaussian of 1 ms. Its maxima, the highest first and each at least half a
//! period from those taken before, are the volleys; a cycle goes from the minimum between two volleys to
//! the next such minimum. What lies before the first and after the last minimum is no whole cycle and is
//! left out.

use super::record::{Participation, Rhythm};
use crate::analysis::spikes::{Spikes, gaussian};

/// Standard deviation of the smoothing, ms.
const SMOOTHING_MS: f64 = 1.0;

/// Spikes that an I cell has at the least in a mean period where I cuts the cycles. Where most of the
/// population is silent, the spikes of a few cells may miss a cycle, and E cuts.
const LEAST_I_SPIKES: f64 = 0.5;

/// How trials are cut into cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// By the I population; else by E.
    pub by_i: bool,
    /// Period of the rhythm, ms.
    pub period_ms: f64,
}

impl Cut {
    /// By the I population where it has a rhythm and fires enough, else by E; none without a rhythm.
    pub fn of(rhythm: &Rhythm, i_rate_hz: f64) -> Option<Self> {
        if !rhythm.is_rhythmic {
            return None;
        }
        let by_i = rhythm.i.is_rhythmic && i_rate_hz / rhythm.i.f_hz >= LEAST_I_SPIKES;
        let population = if by_i { &rhythm.i } else { &rhythm.e };
        Some(Self {
            by_i,
            period_ms: 1000.0 / population.f_hz,
        })
    }
}

/// Sums over the whole cycles of the trials so far.
#[derive(Clone, Debug)]
pub struct Cycles {
    dt_ms: f64,
    cut: Cut,
    trials: u64,
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
    pub fn new(dt_ms: f64, cells: [usize; 2], cut: Cut) -> Self {
        Self {
            dt_ms,
            cut,
            trials: 0,
            cycles: 0,
            steps: 0,
            cells,
            pairs: [[0; 3]; 2],
            spikes: [0; 2],
        }
    }

    /// Adds a trial.
    pub fn add(&mut self, e: &Spikes, i: &Spikes) {
        self.trials += 1;
        let cutting = if self.cut.by_i { i } else { e };
        let trace: Vec<f64> = cutting.trace().into_iter().map(f64::from).collect();
        let smooth = gaussian(&trace, SMOOTHING_MS / self.dt_ms);
        let apart = (self.cut.period_ms / 2.0 / self.dt_ms).max(1.0);
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

    /// Shares over all whole cycles; none where there is no whole cycle.
    pub fn participation(&self) -> Option<Participation> {
        if self.cycles == 0 {
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
            cut_by: if self.cut.by_i { "I" } else { "E" }.to_owned(),
            cycles: self.cycles,
            cycles_per_trial: cycles / self.trials as f64,
            period_ms: self.steps as f64 * self.dt_ms / cycles,
            e_share_percent: share_percent(0),
            i_share_percent: share_percent(1),
            e_spikes_per_cycle: self.spikes[0] as f64 / pairs(0),
            i_spikes_per_cycle: self.spikes[1] as f64 / pairs(1),
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

    fn by_i(period_ms: f64) -> Cut {
        Cut {
            by_i: true,
            period_ms,
        }
    }

    #[test]
    fn every_burst_between_the_first_and_the_last_is_a_whole_cycle() {
        let mut cycles = Cycles::new(0.1, [10, 4], by_i(20.0));
        // Cell 0 fires once a cycle, 1 twice, 2 four times; 3 to 9 never.
        let (e, i) = trial(&[0, 1, 1, 2, 2, 2, 2]);
        cycles.add(&e, &i);
        cycles.add(&e, &i);
        let found = cycles.participation().unwrap();
        assert_eq!((found.cycles, found.cycles_per_trial), (16, 8.0));
        assert!((found.period_ms - 20.0).abs() < 1e-9);
        assert_eq!(found.e_share_percent, [70.0, 10.0, 10.0, 10.0]);
        assert_eq!(found.i_share_percent, [0.0, 100.0, 0.0, 0.0]);
        assert_eq!(
            (found.e_spikes_per_cycle, found.i_spikes_per_cycle),
            (0.7, 1.0)
        );
        // With twice the period every second burst is swallowed, and the numbers show it.
        let mut wrong = Cycles::new(0.1, [10, 4], by_i(60.0));
        wrong.add(&e, &i);
        assert!(wrong.participation().unwrap().i_spikes_per_cycle > 1.5);
    }

    #[test]
    fn where_i_is_silent_the_volleys_of_e_cut() {
        let (e, i) = trial(&[0, 1, 2, 3, 3]);
        let cut = Cut {
            by_i: false,
            period_ms: 20.0,
        };
        let mut cycles = Cycles::new(0.1, [10, 4], cut);
        cycles.add(
            &e,
            &Spikes {
                at: Vec::new(),
                ..i
            },
        );
        let found = cycles.participation().unwrap();
        assert_eq!((found.cycles, &found.cut_by[..]), (8, "E"));
        assert_eq!(found.e_share_percent, [60.0, 30.0, 10.0, 0.0]);
    }

    #[test]
    fn what_cuts_is_i_where_it_fires_with_the_rhythm() {
        use crate::analysis::rhythm::PopulationRhythm;
        let population = |is_rhythmic, f_hz| PopulationRhythm {
            is_rhythmic,
            f_hz,
            ..PopulationRhythm::default()
        };
        let rhythm = |e, i| Rhythm {
            is_rhythmic: e,
            e: population(e, 40.0),
            i: population(i, 50.0),
            ..Rhythm::default()
        };
        assert_eq!(Cut::of(&rhythm(true, true), 25.0), Some(by_i(20.0)));
        // A few I cells, or none with a rhythm.
        for (i, rate_hz) in [(true, 24.0), (false, 80.0)] {
            let cut = Cut::of(&rhythm(true, i), rate_hz).unwrap();
            assert_eq!((cut.by_i, cut.period_ms), (false, 25.0));
        }
        assert_eq!(Cut::of(&rhythm(false, true), 80.0), None);
    }

    #[test]
    fn a_stray_spike_beside_a_burst_is_no_burst() {
        let (e, mut i) = trial(&[0]);
        i.at.push((340, 0));
        i.at.sort_unstable();
        let mut cycles = Cycles::new(0.1, [10, 4], by_i(20.0));
        cycles.add(&e, &i);
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
            let mut cycles = Cycles::new(0.1, [10, 4], by_i(20.0));
            cycles.add(&e, &first(spikes));
            assert!(cycles.participation().is_none(), "{spikes}");
        }
        let mut cycles = Cycles::new(0.1, [10, 4], by_i(20.0));
        cycles.add(&e, &first(12));
        assert_eq!(cycles.participation().unwrap().cycles, 1);
    }
}
