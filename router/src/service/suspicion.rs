//! When workers are spoken to because some connection closed.
//!
//! libzmq tells of a closed connection a moment before it refuses to send by it: a heartbeat sent at once may still go
//! into a dead pipe, and the next one is due only a second later.

use std::time::Duration;

use crate::dispatch::Time;

/// How long after a close.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(100)];

/// What is still to be done about the last close.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    closed: Time,
    /// How many of the looks are still to come.
    left: usize,
}

impl Suspicion {
    /// A connection closed. The first look at this one is the later look at those before.
    pub(super) fn rouse(&mut self, now: Time) {
        *self = Self { closed: now, left: LOOKS.len() };
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Time> {
        let look = LOOKS.len().checked_sub(self.left).and_then(|index| LOOKS.get(index))?;
        Some(self.closed + *look)
    }

    /// True if a look is due now; then it is taken as done.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let due = self.next().is_some_and(|at| at <= now);
        self.left -= usize::from(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Duration::from_millis(1000 + millis)
    }

    #[test]
    fn nothing_is_due_while_no_connection_closed() {
        let mut suspicion = Suspicion::default();
        assert_eq!((suspicion.next(), suspicion.take(at(0))), (None, false));
    }

    #[test]
    fn a_close_is_looked_at_at_once_and_twice_more() {
        let mut suspicion = Suspicion::default();
        suspicion.rouse(at(0));
        let looks: Vec<u64> = (0..1000).filter(|millis| suspicion.take(at(*millis))).collect();
        assert_eq!(looks, [0, 20, 100]);
        assert_eq!(suspicion.next(), None);
    }

    #[test]
    fn another_close_begins_anew() {
        let mut suspicion = Suspicion::default();
        suspicion.rouse(at(0));
        assert!(suspicion.take(at(0)));
        suspicion.rouse(at(10));
        let looks: Vec<u64> = (10..1000).filter(|millis| suspicion.take(at(*millis))).collect();
        assert_eq!(looks, [10, 30, 110]);
    }
}
