//! Rates of cells and of their population, and how many cells take part at all.

/// Spikes of one population, summed over trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    trials: u64,
    /// (trial, cell) pairs with a spike.
    active: u64,
    /// Spikes of each cell.
    spikes: Vec<u64>,
}

impl Rates {
    /// No trials yet of a population of `cells`.
    pub fn new(cells: usize) -> Self {
        Self {
            trials: 0,
            active: 0,
            spikes: vec![0; cells],
        }
    }

    /// Adds trials: `counts` is `[trial, cell]`.
    pub fn add(&mut self, counts: &[u32]) {
        for trial in counts.chunks_exact(self.spikes.len().max(1)) {
            self.trials += 1;
            for (total, &n) in self.spikes.iter_mut().zip(trial) {
                *total += u64::from(n);
                self.active += u64::from(n > 0);
            }
        }
    }

    /// Mean rate of each cell over trials of `duration_s`, Hz; NaN without trials.
    pub fn cell_rate_hz(&self, duration_s: f64) -> Vec<f64> {
        let seconds = self.trials as f64 * duration_s;
        self.spikes.iter().map(|&n| n as f64 / seconds).collect()
    }

    /// Mean rate of a cell, Hz; NaN without trials or cells.
    pub fn population_rate_hz(&self, duration_s: f64) -> f64 {
        let spikes: u64 = self.spikes.iter().sum();
        spikes as f64 / (self.pairs() * duration_s)
    }

    /// Cells with a spike in a trial, mean over trials, %.
    pub fn active_percent(&self) -> f64 {
        100.0 * self.active as f64 / self.pairs()
    }

    /// Cells without a spike in any trial, %; NaN without trials or cells.
    pub fn silent_percent(&self) -> f64 {
        let silent = self.spikes.iter().filter(|&&n| n == 0).count();
        100.0 * (silent as f64 * self.trials as f64) / self.pairs()
    }

    fn pairs(&self) -> f64 {
        self.trials as f64 * self.spikes.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_counts_give_known_rates() {
        let mut rates = Rates::new(4);
        rates.add(&[2, 0, 0, 0]);
        rates.add(&[1, 1, 0, 0]);
        assert_eq!(rates.cell_rate_hz(0.5), [3.0, 1.0, 0.0, 0.0]);
        assert_eq!(rates.population_rate_hz(0.5), 1.0);
        assert_eq!(rates.active_percent(), 37.5);
        assert_eq!(rates.silent_percent(), 50.0);
    }

    #[test]
    fn without_trials_there_are_no_rates() {
        let rates = Rates::new(2);
        assert!(rates.cell_rate_hz(0.2).iter().all(|x| x.is_nan()));
        assert!(rates.population_rate_hz(0.2).is_nan());
        assert!(rates.silent_percent().is_nan() && rates.active_percent().is_nan());
    }
}
