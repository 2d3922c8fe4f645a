//! Worker threads that engines share, and their memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::group::GroupScratch;
use crate::rate_rnn::engine::EngineError;

/// Worker threads for batches of several groups of trials, and turns for threads that run a single group themselves: at
/// most as many at a time.
pub struct Workers<R> {
    pub(super) pool: rayon::ThreadPool,
    /// Scratch that no thread uses just now; shared, so that it stays in the processor's cache.
    scratch: Mutex<Vec<GroupScratch<R>>>,
    free: Mutex<usize>,
    changed: Condvar,
}

impl<R> Workers<R> {
    /// So many threads.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(threads: usize) -> Result<Self, EngineError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| EngineError::Threads(error.to_string()))?;
        Ok(Self {
            free: Mutex::new(pool.current_num_threads()),
            pool,
            scratch: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Waits for a turn, which ends when it is dropped.
    pub(super) fn turn(&self) -> Turn<'_, R> {
        let mut free = self.free();
        while *free == 0 {
            let waited = self.changed.wait(free);
            free = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Turn(self)
    }

    pub(super) fn scratch(&self) -> MutexGuard<'_, Vec<GroupScratch<R>>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to compute on the thread that has it.
pub(super) struct Turn<'a, R>(&'a Workers<R>);

impl<R> Drop for Turn<'_, R> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.changed.notify_one();
    }
}
