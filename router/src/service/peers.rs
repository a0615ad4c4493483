//! Workers' connections by number. libzmq gives each connection a routing id of five bytes, a zero and a number that
//! it never gives again; so the number names the connection, and nothing needs to be remembered.

use crate::dispatch::Peer;

/// The connection of a routing id; `None` for a name that the peer chose itself, which no worker does.
pub(super) fn peer_of(routing_id: &[u8]) -> Option<Peer> {
    let (0, number) = routing_id.split_first().map(|(zero, rest)| (*zero, rest))? else { return None };
    let number: [u8; 4] = number.try_into().ok()?;
    Some(Peer(u32::from_be_bytes(number).into()))
}

/// The routing id of a connection.
pub(super) fn routing_id(peer: Peer) -> [u8; 5] {
    let [.., a, b, c, d] = peer.0.to_be_bytes();
    [0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&[0, 1, 2, 3, 4], true)]
    #[case(&[0, 255, 255, 255, 255], true)]
    #[case(&[1, 1, 2, 3, 4], false)]
    #[case(&[0, 1, 2, 3], false)]
    #[case(b"worker-1", false)]
    #[case(&[], false)]
    fn routing_ids(#[case] id: &[u8], #[case] own: bool) {
        assert_eq!(peer_of(id).map(routing_id).as_ref().map(<[_; 5]>::as_slice), own.then_some(id));
    }
}
