//! How many connections are open, in total and from one address, and whether one more is let in. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::dispatch::{Map, Peer};

/// Connections of one port.
#[derive(Debug)]
pub(super) struct Census {
    most: usize,
    open: Map<Peer, IpAddr>,
    by_address: HashMap<IpAddr, usize>,
}

impl Census {
    /// Lets in `most` connections, and half of them from one address, so that nobody can take them all.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Map::default(), by_address: HashMap::new() }
    }

    /// A connection was accepted; true if it may stay. One of the same number as an earlier one takes its place.
    pub(super) fn arrives(&mut self, peer: Peer, from: IpAddr) -> bool {
        self.leaves(peer);
        let from = from.to_canonical();
        let of_one = self.by_address.get(&from).copied().unwrap_or_default();
        let admitted = self.open.len() < self.most && of_one < self.most.div_ceil(2);
        if admitted {
            self.open.insert(peer, from);
            self.by_address.insert(from, of_one + 1);
        }
        admitted
    }

    /// A connection ended, whether it was let in or not.
    pub(super) fn leaves(&mut self, peer: Peer) {
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

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_address_gets_half_and_all_together_the_whole() {
        let mut census = Census::new(5);
        let admitted: Vec<bool> = (0..4).map(|peer| census.arrives(Peer(peer), address(1))).collect();
        assert_eq!(admitted, [true, true, true, false]);
        assert!(census.arrives(Peer(4), address(2)) && census.arrives(Peer(5), address(3)));
        assert!(!census.arrives(Peer(6), address(4)));
    }

    #[test]
    fn who_leaves_makes_room_and_who_was_refused_does_not() {
        let mut census = Census::new(2);
        assert!(census.arrives(Peer(1), address(1)));
        assert!(!census.arrives(Peer(2), address(1)));
        census.leaves(Peer(2));
        assert!(!census.arrives(Peer(2), address(1)));
        census.leaves(Peer(1));
        assert!(census.arrives(Peer(2), address(1)));
        assert_eq!((census.open.len(), census.by_address.len()), (1, 1));
    }

    #[test]
    fn a_number_that_comes_again_and_an_address_in_another_form_count_once() {
        let mut census = Census::new(4);
        assert!((0..9).all(|_| census.arrives(Peer(7), address(1))));
        assert!(census.arrives(Peer(8), "::ffff:10.0.0.1".parse().unwrap()));
        assert!(!census.arrives(Peer(9), address(1)));
    }
}
