//! Which job to send next: in order, but no more at once for a worker than it has slots, so that each runs where it
//! should, and no more at once over all than keeps the time-outs honest on a small machine. Pure.

use std::collections::BTreeMap;

/// Jobs that wait and run.
#[derive(Debug)]
pub(super) struct Schedule {
    waiting: Vec<(usize, String)>,
    running: BTreeMap<String, usize>,
    per_worker: usize,
    in_all: usize,
}

impl Schedule {
    /// Jobs 0, 1, … by the worker that each is for.
    pub(super) fn new(workers: impl IntoIterator<Item = String>, per_worker: usize, in_all: usize) -> Self {
        Self {
            waiting: workers.into_iter().enumerate().collect(),
            running: BTreeMap::new(),
            per_worker,
            in_all,
        }
    }

    /// The next job to send now, if any.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.running.values().sum::<usize>() >= self.in_all {
            return None;
        }
        let free = |worker: &String| self.running.get(worker).copied().unwrap_or_default() < self.per_worker;
        let at = self.waiting.iter().position(|(_, worker)| free(worker))?;
        let (job, worker) = self.waiting.remove(at);
        *self.running.entry(worker).or_default() += 1;
        Some(job)
    }

    /// A job for this worker has ended.
    pub(super) fn ended(&mut self, worker: &str) {
        if let Some(count) = self.running.get_mut(worker) {
            *count = count.saturating_sub(1);
        }
    }

    /// True once all have been sent and have ended.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.running.values().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::from_fn;

    #[test]
    fn a_worker_gets_no_more_than_its_slots_and_others_pass() {
        let workers = ["a", "a", "a", "b", "a", "b"].map(str::to_owned);
        let mut schedule = Schedule::new(workers, 2, 3);
        assert_eq!(from_fn(|| schedule.next()).collect::<Vec<_>>(), [0, 1, 3]);
        schedule.ended("b");
        assert_eq!(from_fn(|| schedule.next()).collect::<Vec<_>>(), [5]);
        schedule.ended("a");
        schedule.ended("a");
        assert_eq!(from_fn(|| schedule.next()).collect::<Vec<_>>(), [2, 4]);
        assert!(!schedule.is_done());
        ["a", "a", "b"].iter().for_each(|worker| schedule.ended(worker));
        assert!(schedule.is_done());
    }
}
