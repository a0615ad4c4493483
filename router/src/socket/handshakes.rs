//! Deadlines of handshakes. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::dispatch::Peer;

/// Maximum time from a connection to the end of its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The deadlines of new connections, in order.
#[derive(Debug, Default)]
pub(super) struct Handshakes(VecDeque<(Instant, Peer)>);

impl Handshakes {
    pub(super) fn begin(&mut self, peer: Peer, now: Instant) {
        self.0.push_back((now + HANDSHAKE_TIMEOUT, peer));
    }

    /// Returns the time until the next deadline.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        self.0.front().map(|(until, _)| until.saturating_duration_since(now))
    }

    /// Removes the next connection whose deadline has passed. It may have completed its handshake, or be closed already.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Peer> {
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
    fn each_connection_has_its_own_deadline() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut handshakes = Handshakes::default();
        assert_eq!(handshakes.next(start), None);
        handshakes.begin(Peer(1), at(0));
        handshakes.begin(Peer(2), at(100));
        assert_eq!(handshakes.next(at(1_000)), Some(Duration::from_secs(4)));
        assert_eq!(handshakes.pop_expired(at(4_999)), None);
        assert_eq!(handshakes.pop_expired(at(5_000)), Some(Peer(1)));
        assert_eq!(handshakes.pop_expired(at(5_000)), None);
        assert_eq!(handshakes.pop_expired(at(9_000)), Some(Peer(2)));
    }
}
