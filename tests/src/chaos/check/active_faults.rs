//! Which faults were in effect when.

use std::time::Duration;

use super::{MAX_DISAGREEMENT, MAX_RECOVERY};
use crate::chaos::fault::{Fault, FaultKind};
use crate::chaos::history::{History, Time};

impl History {
    /// Returns the faults that had an effect at some time between `from` and `to`.
    pub(super) fn active_faults(&self, from: Time, to: Time) -> impl Iterator<Item = Fault> + '_ {
        self.between(from, to, MAX_RECOVERY)
    }

    /// Returns true if the node's worker was cut off from the router at some time between `from` and `to`.
    pub(super) fn was_disconnected(&self, node: usize, from: Time, to: Time) -> bool {
        self.between(from, to, MAX_DISAGREEMENT)
            .any(|fault| fault.kind().disconnects() && fault.node().is_none_or(|other| other == node))
    }

    /// Returns true if a fault explains that a worker ended by itself: it drained, or could not write.
    pub(in crate::chaos) fn may_exit(&self, node: usize, at: Time) -> bool {
        self.active_faults(at, at).any(|fault| {
            fault.node() == Some(node)
                && matches!(fault.kind(), FaultKind::WorkerDrained | FaultKind::DiskFull)
        })
    }

    /// Returns the faults that overlap the time between `from` and `to`, if each lasts `extra` longer than it did.
    fn between(&self, from: Time, to: Time, extra: Duration) -> impl Iterator<Item = Fault> + '_ {
        let overlapping = self
            .faults
            .iter()
            .filter(move |injected| injected.from <= to && injected.to.is_none_or(|end| from <= end + extra));
        overlapping.map(|injected| injected.fault)
    }
}
