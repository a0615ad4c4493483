//! Which fault was felt when.

use std::time::Duration;

use super::{AFTERMATH, ECHO};
use crate::chaos::fault::{Fault, Kind};
use crate::chaos::ledger::{Ledger, Time, Trouble};

impl Ledger {
    /// The faults that were felt at some time between.
    pub(super) fn felt(&self, from: Time, to: Time) -> impl Iterator<Item = Fault> + '_ {
        self.between(from, to, AFTERMATH)
    }

    /// True if the worker of a seat was parted from its router between, or the router died.
    pub(super) fn parted(&self, seat: usize, from: Time, to: Time) -> bool {
        let concerns = |fault: &Fault| fault.seat().is_none_or(|of| of == seat);
        self.between(from, to, ECHO).any(|fault| fault.kind().parts() && concerns(&fault))
    }

    /// True if a worker may have ended by itself: it drained, or could not write.
    pub(in crate::chaos) fn may_end(&self, seat: usize, at: Time) -> bool {
        let ends = |kind| matches!(kind, Kind::WorkerDrained | Kind::DiskFull);
        self.felt(at, at).any(|fault| fault.seat() == Some(seat) && ends(fault.kind()))
    }

    fn between(&self, from: Time, to: Time, felt_for: Duration) -> impl Iterator<Item = Fault> + '_ {
        let at_that_time = move |trouble: &&Trouble| {
            trouble.from <= to && trouble.to.is_none_or(|end| from <= end + felt_for)
        };
        self.troubles.iter().filter(at_that_time).map(|trouble| trouble.fault)
    }
}
