//! Who may connect to a port with a key. A peer proves its key in the handshake; whether that key is allowed is asked
//! here, once for each connection.

use std::net::IpAddr;

use trackyard_protocol::keys::PublicKey;

use super::PortKind;
use super::quiet::Quiet;

/// Tells whether the owner of a key may connect to a port.
pub type Admits = Box<dyn Fn(PortKind, &PublicKey) -> bool + Send>;

/// Asks, and logs refusals.
pub(super) struct Admission {
    admits: Admits,
    refusals: Quiet,
}

impl Admission {
    pub(super) fn new(admits: Admits) -> Self {
        Self { admits, refusals: Quiet::default() }
    }

    /// The key, if its owner may connect.
    pub(super) fn of(&mut self, port: PortKind, from: IpAddr, key: [u8; 32]) -> Option<PublicKey> {
        let key = PublicKey::from_bytes(&key)?;
        if (self.admits)(port, &key) {
            return Some(key);
        }
        if self.refusals.may_tell() {
            let port = <&str>::from(port);
            tracing::warn!(port, %from, %key, "refused a connection: this key is not allowed here");
        }
        None
    }
}
