//! Nonces: a prefix for each purpose, then a counter or random bytes.

/// A whole nonce.
pub(super) type Nonce = [u8; 24];
/// The prefix of a nonce with a counter.
pub(super) type Prefix = [u8; 16];

pub(super) const HELLO: &Prefix = b"CurveZMQHELLO---";
pub(super) const INITIATE: &Prefix = b"CurveZMQINITIATE";
pub(super) const READY: &Prefix = b"CurveZMQREADY---";
/// The prefix for a client's messages.
pub(super) const MESSAGE_C: &Prefix = b"CurveZMQMESSAGEC";
/// The prefix for a server's messages.
pub(super) const MESSAGE_S: &Prefix = b"CurveZMQMESSAGES";

pub(super) const WELCOME: &[u8; 8] = b"WELCOME-";
pub(super) const COOKIE: &[u8; 8] = b"COOKIE--";
pub(super) const VOUCH: &[u8; 8] = b"VOUCH---";

/// Makes a nonce with a counter, in network byte order.
pub(super) fn counted(prefix: &Prefix, counter: &[u8; 8]) -> Nonce {
    joined(prefix, counter)
}

/// Makes a nonce with random bytes.
pub(super) fn random(prefix: &[u8; 8], random: &[u8; 16]) -> Nonce {
    joined(prefix, random)
}

fn joined(prefix: &[u8], rest: &[u8]) -> Nonce {
    let mut nonce = Nonce::default();
    for (to, from) in nonce.iter_mut().zip(prefix.iter().chain(rest)) {
        *to = *from;
    }
    nonce
}
