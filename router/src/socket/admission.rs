//! Admits connections to a port with a key. A peer proves its key in the handshake; this checks once for each connection
//! whether the key is allowed.

use std::net::IpAddr;

use trackyard_protocol::keys::PublicKey;

use super::PortKind;
use super::log_throttle::LogThrottle;

/// Returns whether the owner of a key may connect to a port.
pub type AdmitFn = Box<dyn Fn(PortKind, &PublicKey) -> bool + Send>;

/// Checks keys, and logs refusals.
pub(super) struct Admission {
    admits: AdmitFn,
    refusals: LogThrottle,
}

impl Admission {
    pub(super) fn new(admits: AdmitFn) -> Self {
        Self { admits, refusals: LogThrottle::default() }
    }

    /// Returns the key if its owner may connect.
    pub(super) fn check(&mut self, port: PortKind, from: IpAddr, key: [u8; 32]) -> Option<PublicKey> {
        let key = PublicKey::from_bytes(&key)?;
        if (self.admits)(port, &key) {
            return Some(key);
        }
        if self.refusals.should_log() {
            let port = <&str>::from(port);
            tracing::warn!(port, %from, %key, "refused a connection: this key is not allowed here");
        }
        None
    }
}
