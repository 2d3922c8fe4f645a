//! How long a run will still take, from the measured seconds per batch.

/// Share of the newest batch in the running mean of the batch time: recent batches count, because
/// a network that spikes more takes longer, but one slow batch does not upset the estimate.
const NEWEST_SHARE: f64 = 0.1;

/// What a run has to do, and what of it is done when this session starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Epochs done before this session.
    pub epochs_done: u64,
    /// Batches in an epoch.
    pub batches_per_epoch: u64,
    /// Batches done in the epoch under way, before this session.
    pub batches_done: u64,
}

/// The estimate. Starts anew with each session, because the device may be another.
#[derive(Debug)]
pub struct TimeLeft {
    schedule: Schedule,
    epochs_done: u64,
    batches_done: u64,
    batches_measured: u64,
    batch_seconds: f64,
    eval_seconds: f64,
}

impl TimeLeft {
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            epochs_done: schedule.epochs_done,
            batches_done: schedule.batches_done,
            batches_measured: 0,
            batch_seconds: 0.0,
            eval_seconds: 0.0,
        }
    }

    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// Counts a batch of `epoch` (from 1), the `batches_done`th of it.
    pub fn batch(&mut self, epoch: u64, batches_done: u64, seconds: f64) {
        self.epochs_done = epoch.saturating_sub(1);
        self.batches_done = batches_done;
        // The first batch also pays for kernels and caches: it counts only until there is another.
        if self.batches_measured < 2 {
            self.batch_seconds = seconds;
        } else {
            self.batch_seconds += NEWEST_SHARE * (seconds - self.batch_seconds);
        }
        self.batches_measured += 1;
    }

    /// Counts the end of `epoch` (from 1; 0 is an evaluation before the first).
    pub fn epoch(&mut self, epoch: u64, eval_seconds: f64) {
        self.epochs_done = epoch;
        self.batches_done = 0;
        if eval_seconds.is_finite() {
            self.eval_seconds = eval_seconds;
        }
    }

    /// Seconds left; none before the first batch. Evaluations count once one was measured.
    pub fn seconds(&self) -> Option<f64> {
        if self.batches_measured == 0 {
            return None;
        }
        let epochs = self.schedule.epochs.saturating_sub(self.epochs_done) as f64;
        let batches =
            (epochs * self.schedule.batches_per_epoch as f64 - self.batches_done as f64).max(0.0);
        Some(batches * self.batch_seconds + epochs * self.eval_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_run_is_estimated_exactly() {
        let schedule = Schedule {
            epochs: 3,
            epochs_done: 0,
            batches_per_epoch: 4,
            batches_done: 0,
        };
        let mut left = TimeLeft::new(schedule);
        assert_eq!(left.seconds(), None);
        left.batch(1, 1, 50.0);
        left.batch(1, 2, 2.0);
        assert_eq!(
            left.seconds(),
            Some(20.0),
            "the slow first batch no longer counts"
        );
        left.batch(1, 3, 2.0);
        left.batch(1, 4, 2.0);
        left.epoch(1, 5.0);
        assert_eq!(left.seconds(), Some(8.0 * 2.0 + 2.0 * 5.0));
        left.epoch(3, 5.0);
        assert_eq!(left.seconds(), Some(0.0));
    }

    #[test]
    fn a_resumed_run_counts_only_what_is_left() {
        let schedule = Schedule {
            epochs: 10,
            epochs_done: 8,
            batches_per_epoch: 4,
            batches_done: 3,
        };
        let mut left = TimeLeft::new(schedule);
        left.batch(9, 4, 1.0);
        assert_eq!(left.seconds(), Some(4.0));
        // An estimate follows a lasting change, slowly.
        for _ in 0..60 {
            left.batch(10, 1, 3.0);
        }
        let seconds = left.seconds().unwrap();
        assert!((seconds - 9.0).abs() < 0.1, "{seconds}");
    }
}
