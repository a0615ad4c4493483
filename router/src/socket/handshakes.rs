//! Connections that have not shaken hands yet, and until when they may. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::dispatch::Peer;

/// A peer that connects and says nothing holds a descriptor no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who has until when, in order.
#[derive(Debug, Default)]
pub(super) struct Handshakes(VecDeque<(Instant, Peer)>);

impl Handshakes {
    pub(super) fn begin(&mut self, peer: Peer, now: Instant) {
        self.0.push_back((now + PATIENCE, peer));
    }

    /// How long until the next one is late.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        self.0.front().map(|(until, _)| until.saturating_duration_since(now))
    }

    /// The next whose time is over; it may have shaken hands, or have left, meanwhile.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Peer> {
        let (until, peer) = *self.0.front()?;
        if until > now {
            return None;
        }
        self.0.pop_front();
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_time() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut handshakes = Handshakes::default();
        assert_eq!(handshakes.next(start), None);
        handshakes.begin(Peer(1), at(0));
        handshakes.begin(Peer(2), at(100));
        assert_eq!(handshakes.next(at(1_000)), Some(Duration::from_secs(4)));
        assert_eq!(handshakes.take_late(at(4_999)), None);
        assert_eq!(handshakes.take_late(at(5_000)), Some(Peer(1)));
        assert_eq!(handshakes.take_late(at(5_000)), None);
        assert_eq!(handshakes.take_late(at(9_000)), Some(Peer(2)));
    }
}
