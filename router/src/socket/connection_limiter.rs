//! Limits the connections of a port, in total and from one address. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::dispatch::{IdMap, Peer};

/// Maximum number of connections of a port.
const MAX_CONNECTIONS: u64 = 10_000;
/// Minimum number of connections of a port, however few descriptors there are.
const MIN_CONNECTIONS: u64 = 16;
/// Number of descriptors that are kept for other things than connections.
const RESERVED_DESCRIPTORS: u64 = 256;
/// Number of ports, which share the descriptors.
const PORTS: u64 = 3;

/// Returns the maximum number of connections of a port. `descriptors` is the limit of the process, if there is one.
#[must_use]
pub fn max_connections(descriptors: Option<u64>) -> usize {
    let limit =
        descriptors.map_or(MAX_CONNECTIONS, |limit| limit.saturating_sub(RESERVED_DESCRIPTORS) / PORTS);
    usize::try_from(limit.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)).unwrap_or(usize::MAX)
}

/// The open connections of one port.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    max: usize,
    open: IdMap<Peer, IpAddr>,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionLimiter {
    /// Admits `max` connections, and half of them from one address, so that no single machine can take them all.
    pub(super) fn new(max: usize) -> Self {
        Self { max, open: IdMap::default(), by_address: HashMap::new() }
    }

    /// Returns true if a new connection may stay. It replaces an earlier one of the same number.
    pub(super) fn admit(&mut self, peer: Peer, from: IpAddr) -> bool {
        self.release(peer);
        let from = from.to_canonical();
        let from_address = self.by_address.get(&from).copied().unwrap_or_default();
        let admitted = self.open.len() < self.max && from_address < self.max.div_ceil(2);
        if admitted {
            self.open.insert(peer, from);
            self.by_address.insert(from, from_address + 1);
        }
        admitted
    }

    /// Releases a connection that has ended, whether it was admitted or not.
    pub(super) fn release(&mut self, peer: Peer) {
        let Some(from) = self.open.remove(&peer) else { return };
        if let Some(count) = self.by_address.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, 10_000)]
    #[case(Some(1 << 16), 10_000)]
    #[case(Some(4096), 1280)]
    #[case(Some(1024), 256)]
    #[case(Some(64), 16)]
    fn connections_fit_the_descriptors(#[case] descriptors: Option<u64>, #[case] max: usize) {
        assert_eq!(max_connections(descriptors), max);
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_address_gets_half_of_the_connections() {
        let mut limiter = ConnectionLimiter::new(5);
        let admitted: Vec<bool> = (0..4).map(|peer| limiter.admit(Peer(peer), address(1))).collect();
        assert_eq!(admitted, [true, true, true, false]);
        assert!(limiter.admit(Peer(4), address(2)) && limiter.admit(Peer(5), address(3)));
        assert!(!limiter.admit(Peer(6), address(4)));
    }

    #[test]
    fn released_connection_makes_room() {
        let mut limiter = ConnectionLimiter::new(2);
        assert!(limiter.admit(Peer(1), address(1)));
        assert!(!limiter.admit(Peer(2), address(1)));
        limiter.release(Peer(2));
        assert!(!limiter.admit(Peer(2), address(1)));
        limiter.release(Peer(1));
        assert!(limiter.admit(Peer(2), address(1)));
        assert_eq!((limiter.open.len(), limiter.by_address.len()), (1, 1));
    }

    #[test]
    fn repeated_number_counts_once() {
        let mut limiter = ConnectionLimiter::new(4);
        assert!((0..9).all(|_| limiter.admit(Peer(7), address(1))));
        assert!(limiter.admit(Peer(8), "::ffff:10.0.0.1".parse().unwrap()));
        assert!(!limiter.admit(Peer(9), address(1)));
    }
}
