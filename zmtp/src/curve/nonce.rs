//! Nonces: a prefix that says what they are for, then a counter or something random.

/// A whole nonce.
pub(super) type Nonce = [u8; 24];
/// The prefix of a counter.
pub(super) type Prefix = [u8; 16];

pub(super) const HELLO: &Prefix = b"CurveZMQHELLO---";
pub(super) const INITIATE: &Prefix = b"CurveZMQINITIATE";
pub(super) const READY: &Prefix = b"CurveZMQREADY---";
/// Of a client's messages.
pub(super) const MESSAGE_C: &Prefix = b"CurveZMQMESSAGEC";
/// Of a server's messages.
pub(super) const MESSAGE_S: &Prefix = b"CurveZMQMESSAGES";

pub(super) const WELCOME: &[u8; 8] = b"WELCOME-";
pub(super) const COOKIE: &[u8; 8] = b"COOKIE--";
pub(super) const VOUCH: &[u8; 8] = b"VOUCH---";

/// With a counter, as it is sent.
pub(super) fn counted(prefix: &Prefix, counter: &[u8; 8]) -> Nonce {
    joined(prefix, counter)
}

/// With something random.
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
