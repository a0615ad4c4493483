//! The invariants that must hold after every event.

use std::collections::BTreeSet;

use trackyard_protocol::token::Token;

use super::{Harness, STORE_BYTES};

impl Harness {
    /// Checks the dispatcher's snapshot.
    pub(crate) fn check(&self) {
        let snapshot = self.dispatch.snapshot();
        let totals = snapshot.totals;
        assert_eq!(totals.waiters, self.waiting.len());
        assert!(totals.waiting <= totals.jobs && totals.stored_bytes <= STORE_BYTES);
        assert_eq!(totals.waiting, snapshot.queues.iter().map(|queue| queue.jobs).sum::<usize>());
        let names: BTreeSet<_> = snapshot.workers.iter().map(|worker| &worker.name).collect();
        assert_eq!(names.len(), snapshot.workers.len(), "two workers have the same name");
        let held: Vec<Token> =
            snapshot.workers.iter().flat_map(|worker| worker.jobs.iter().map(|job| job.token)).collect();
        assert_eq!(
            held.iter().collect::<BTreeSet<_>>().len(),
            held.len(),
            "two workers have the same attempt"
        );
        for worker in &snapshot.workers {
            let held = u32::try_from(worker.jobs.len()).unwrap_or(u32::MAX);
            assert!(worker.busy <= held, "more slots are filled than jobs are held");
        }
        assert!(self.dispatch.is_idle() == self.waiting.is_empty());
    }
}
