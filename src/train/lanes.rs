//! Runs side by side on one engine, the lanes: each run goes its own way in a thread of its own, as if it were alone;
//! what it asks of its engine waits for what all others ask, and then is computed together.
//!
//! Runs need not be equally far: requests are gathered as they come, and a run that ends, fails or was behind only changes
//! how many there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Computes requests of several lanes together.
pub trait Together: Send {
    /// What a lane asks for.
    type Request: Send;
    /// What it gets.
    type Answer: Send;

    /// Computes the requests of lanes, by their numbers; an answer for each, in their order.
    fn compute(&mut self, requests: Vec<(usize, Self::Request)>) -> Vec<Self::Answer>;
}

/// The thread that computed for all lanes ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the run that computed for all runs beside it ended early; run the study again to continue"
)]
pub struct Broken;

/// What the runs of a group share.
struct Shared<M, T: Together> {
    /// Runs that have neither come nor given up.
    expected: usize,
    /// What each run brings, in the order of its coming; empty once the engine is built.
    members: Vec<M>,
    /// The engine, or why there is none.
    engine: Option<Result<T, String>>,
    /// Runs that may still ask.
    live: usize,
    requests: Vec<(usize, T::Request)>,
    answers: BTreeMap<usize, T::Answer>,
    is_broken: bool,
}

/// Runs that are to share an engine.
pub struct Group<M, T: Together> {
    shared: Mutex<Shared<M, T>>,
    changed: Condvar,
}

impl<M, T: Together> Group<M, T> {
    /// A group of so many runs, each of which takes a ticket.
    pub fn new(runs: usize) -> Arc<Self> {
        Arc::new(Self {
            shared: Mutex::new(Shared {
                expected: runs,
                members: Vec::new(),
                engine: None,
                live: 0,
                requests: Vec::new(),
                answers: BTreeMap::new(),
                is_broken: false,
            }),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shared<M, T>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, shared: MutexGuard<'a, Shared<M, T>>) -> MutexGuard<'a, Shared<M, T>> {
        let waited = self.changed.wait(shared);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one run to join. Dropped unused, the others no longer wait for it.
pub struct Ticket<M, T: Together> {
    group: Arc<Group<M, T>>,
    is_used: bool,
}

impl<M, T: Together> Ticket<M, T> {
    /// Of a group that expects one more.
    pub fn of(group: &Arc<Group<M, T>>) -> Self {
        Self {
            group: group.clone(),
            is_used: false,
        }
    }

    /// Brings `member` and waits for all others; whoever sees them all builds the engine of what they brought.
    ///
    /// # Errors
    /// The engine could not be built.
    pub fn join(
        mut self,
        member: M,
        build: impl FnOnce(Vec<M>) -> Result<T, String>,
    ) -> Result<Lane<M, T>, String> {
        let group = self.group.clone();
        let mut shared = group.lock();
        self.is_used = true;
        let number = shared.members.len();
        shared.members.push(member);
        shared.expected -= 1;
        shared.live += 1;
        group.changed.notify_all();
        // It leaves the group where it fails.
        let lane = Lane {
            group: group.clone(),
            number,
        };
        while shared.expected > 0 {
            shared = group.wait(shared);
        }
        if shared.engine.is_none() {
            let members = std::mem::take(&mut shared.members);
            shared.engine = Some(build(members));
        }
        let failed = match &shared.engine {
            Some(Err(problem)) => Some(problem.clone()),
            _ => None,
        };
        drop(shared);
        match failed {
            Some(problem) => Err(problem),
            None => Ok(lane),
        }
    }
}

impl<M, T: Together> Drop for Ticket<M, T> {
    fn drop(&mut self) {
        if !self.is_used {
            self.group.lock().expected -= 1;
            self.group.changed.notify_all();
        }
    }
}

/// A run that has joined.
pub struct Lane<M, T: Together> {
    group: Arc<Group<M, T>>,
    /// Its number in the engine.
    pub number: usize,
}

impl<M, T: Together> Lane<M, T> {
    /// Asks the engine, together with all other runs.
    ///
    /// # Errors
    /// The thread that computed for all ended early.
    pub fn ask(&self, request: T::Request) -> Result<T::Answer, Broken> {
        let mut shared = self.group.lock();
        shared.requests.push((self.number, request));
        loop {
            if shared.is_broken {
                return Err(Broken);
            }
            if let Some(answer) = shared.answers.remove(&self.number) {
                return Ok(answer);
            }
            if shared.requests.len() == shared.live {
                // All others wait, and the engine is nobody's but this thread's.
                shared.is_broken = true;
                shared.compute();
                shared.is_broken = false;
                self.group.changed.notify_all();
            } else {
                shared = self.group.wait(shared);
            }
        }
    }
}

impl<M, T: Together> Shared<M, T> {
    fn compute(&mut self) {
        // In the order of the lanes, whoever came first.
        let mut requests = std::mem::take(&mut self.requests);
        requests.sort_by_key(|(lane, _)| *lane);
        let lanes: Vec<usize> = requests.iter().map(|(lane, _)| *lane).collect();
        if let Some(Ok(engine)) = &mut self.engine {
            self.answers
                .extend(lanes.into_iter().zip(engine.compute(requests)));
        }
    }
}

impl<M, T: Together> Drop for Lane<M, T> {
    fn drop(&mut self) {
        self.group.lock().live -= 1;
        // Those who wait may now be all.
        self.group.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds up what each lane brings, and tells how many asked at once.
    struct Sums(Vec<u64>);

    impl Together for Sums {
        type Request = u64;
        type Answer = (u64, usize);

        fn compute(&mut self, requests: Vec<(usize, u64)>) -> Vec<(u64, usize)> {
            let together = requests.len();
            assert!(requests.iter().all(|(_, x)| *x != 13), "an unlucky number");
            let answer = |(lane, x): (usize, u64)| {
                self.0[lane] += x;
                (self.0[lane], together)
            };
            requests.into_iter().map(answer).collect()
        }
    }

    type Tickets = Vec<Ticket<u64, Sums>>;

    fn tickets(runs: usize) -> Tickets {
        let group = Group::new(runs);
        (0..runs).map(|_| Ticket::of(&group)).collect()
    }

    #[test]
    fn runs_of_any_length_get_what_they_would_get_alone() {
        let lengths = [5, 1, 9, 3];
        let results: Vec<Vec<(u64, usize)>> = std::thread::scope(|scope| {
            let runs = tickets(5).into_iter().enumerate().map(|(run, ticket)| {
                scope.spawn(move || {
                    // The last never joins.
                    let Some(length) = lengths.get(run) else {
                        return Vec::new();
                    };
                    let lane = ticket
                        .join(100 * run as u64, |members| Ok(Sums(members)))
                        .unwrap();
                    (0..*length).map(|x| lane.ask(x).unwrap()).collect()
                })
            });
            let runs: Vec<_> = runs.collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for (run, length) in lengths.into_iter().enumerate() {
            let alone: Vec<u64> = (0..length)
                .scan(100 * run as u64, |sum, x| {
                    *sum += x;
                    Some(*sum)
                })
                .collect();
            let sums: Vec<u64> = results[run].iter().map(|(sum, _)| *sum).collect();
            assert_eq!(sums, alone);
            // All who are there ask together.
            for (number, (_, together)) in results[run].iter().enumerate() {
                assert_eq!(
                    *together,
                    lengths.iter().filter(|l| **l > number as u64).count()
                );
            }
        }
        assert!(results[4].is_empty());
    }

    #[test]
    fn an_engine_that_cannot_be_built_fails_every_run() {
        std::thread::scope(|scope| {
            let runs = tickets(3).into_iter().map(|ticket| {
                scope.spawn(|| ticket.join(0, |_| Err("no such device".into())).err())
            });
            let runs: Vec<_> = runs.collect();
            for run in runs {
                assert_eq!(run.join().unwrap().unwrap(), "no such device");
            }
        });
    }

    #[test]
    fn a_run_that_dies_while_it_computes_for_all_leaves_nobody_waiting() {
        std::thread::scope(|scope| {
            let runs = tickets(3).into_iter().map(|ticket| {
                scope.spawn(|| {
                    let lane = ticket.join(0, |members| Ok(Sums(members))).unwrap();
                    lane.ask(13)
                })
            });
            let runs: Vec<_> = runs.collect();
            let ended: Vec<_> = runs.into_iter().map(|run| run.join()).collect();
            assert_eq!(ended.iter().filter(|end| end.is_err()).count(), 1);
            let broken = ended.iter().flatten().filter(|end| **end == Err(Broken));
            assert_eq!(broken.count(), 2);
        });
    }
}
