//! Chooses the next job to send. Jobs are sent in order, but a worker gets at most as many at a time as it has slots, so
//! that each job runs on the expected worker, and the number of all running jobs is limited, so that a small machine
//! does not cause timeouts. Pure.

use std::collections::BTreeMap;

/// Waiting and running jobs.
#[derive(Debug)]
pub(super) struct Schedule {
    waiting: Vec<(usize, String)>,
    running: BTreeMap<String, usize>,
    max_per_worker: usize,
    max_running: usize,
}

impl Schedule {
    /// Creates a schedule of the jobs 0, 1, … with the worker of each.
    pub(super) fn new(
        workers: impl IntoIterator<Item = String>,
        max_per_worker: usize,
        max_running: usize,
    ) -> Self {
        Self {
            waiting: workers.into_iter().enumerate().collect(),
            running: BTreeMap::new(),
            max_per_worker,
            max_running,
        }
    }

    /// Returns the next job to send now, if any, and counts it as running.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.running.values().sum::<usize>() >= self.max_running {
            return None;
        }
        let index = self.waiting.iter().position(|(_, worker)| {
            self.running.get(worker).copied().unwrap_or_default() < self.max_per_worker
        })?;
        let (job, worker) = self.waiting.remove(index);
        *self.running.entry(worker).or_default() += 1;
        Some(job)
    }

    /// Counts a job of this worker as ended.
    pub(super) fn on_ended(&mut self, worker: &str) {
        if let Some(count) = self.running.get_mut(worker) {
            *count = count.saturating_sub(1);
        }
    }

    /// True once all jobs have been sent and have ended.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.running.values().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::from_fn;

    #[test]
    fn a_busy_worker_does_not_hold_up_others() {
        let workers = ["a", "a", "a", "b", "a", "b"].map(str::to_owned);
        let mut schedule = Schedule::new(workers, 2, 3);
        assert_eq!(from_fn(|| schedule.next()).collect::<Vec<_>>(), [0, 1, 3]);
        schedule.on_ended("b");
        assert_eq!(from_fn(|| schedule.next()).collect::<Vec<_>>(), [5]);
        schedule.on_ended("a");
        schedule.on_ended("a");
        assert_eq!(from_fn(|| schedule.next()).collect::<Vec<_>>(), [2, 4]);
        assert!(!schedule.is_done());
        ["a", "a", "b"].iter().for_each(|worker| schedule.on_ended(worker));
        assert!(schedule.is_done());
    }
}
