//! NaCl's boxes: X25519, XSalsa20 and Poly1305, from the current crates for each. The crate that combines them has no
//! release for these, and accepts public keys with which every secret key agrees on the same key.

use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use salsa20::cipher::consts::U10;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use salsa20::{Salsa20, hsalsa};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::nonce::{Nonce, Prefix};
use crate::ZmtpError;

/// Size of the tag at the start of a box, by which the box is longer than its text.
pub(super) const TAG_BYTES: usize = 16;

/// A secret key shared by both ends, with which boxes are sealed.
pub(crate) struct BoxKey(Zeroizing<[u8; 32]>);

impl BoxKey {
    /// Makes a key of secret bytes.
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Returns the key that both ends compute from their own secret key and the other's public key.
    ///
    /// # Errors
    ///
    /// [`ZmtpError::Proof`] for a public key of low order, with which every secret key agrees on the same key.
    pub(super) fn agreed(ours: &StaticSecret, theirs: &[u8; 32]) -> Result<Self, ZmtpError> {
        let shared = ours.diffie_hellman(&PublicKey::from(*theirs));
        if !shared.was_contributory() {
            return Err(ZmtpError::Proof);
        }
        Ok(Self::new(shared.as_bytes()).derive(&Prefix::default()))
    }

    /// Returns the key for all boxes whose nonces have this prefix.
    pub(super) fn prefixed(&self, prefix: &Prefix) -> PrefixedKey {
        PrefixedKey(self.derive(prefix))
    }

    fn derive(&self, input: &Prefix) -> Self {
        Self(Zeroizing::new(hsalsa::<U10>(&(*self.0).into(), &(*input).into()).into()))
    }

    /// Appends a box that contains `text`.
    pub(super) fn seal(&self, nonce: &Nonce, text: &[u8], output: &mut Vec<u8>) {
        let (prefix, rest) = split(nonce);
        self.prefixed(&prefix).seal(rest, &[text], output);
    }

    /// Opens a box and returns its text.
    ///
    /// # Errors
    ///
    /// [`ZmtpError::Box`] if it was not sealed with this key and nonce.
    pub(super) fn open(&self, nonce: &Nonce, boxed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ZmtpError> {
        let (prefix, rest) = split(nonce);
        let mut text = Zeroizing::new(Vec::with_capacity(boxed.len()));
        self.prefixed(&prefix).open(rest, boxed, &mut text)?;
        Ok(text)
    }
}

fn split(nonce: &Nonce) -> (Prefix, [u8; 8]) {
    let mut prefix = Prefix::default();
    let mut rest = [0; 8];
    let to = prefix.iter_mut().chain(&mut rest);
    to.zip(nonce).for_each(|(to, from)| *to = *from);
    (prefix, rest)
}

/// A key for boxes whose nonces have one prefix: the derivation from the prefix is done once.
pub(super) struct PrefixedKey(BoxKey);

impl PrefixedKey {
    /// Appends a box that contains the concatenation of `parts`.
    pub(super) fn seal(&self, rest: [u8; 8], parts: &[&[u8]], output: &mut Vec<u8>) {
        let start = output.len();
        output.extend_from_slice(&[0; TAG_BYTES]);
        for part in parts {
            output.extend_from_slice(part);
        }
        let Some((tag, text)) = output.get_mut(start..).and_then(|made| made.split_first_chunk_mut()) else {
            return;
        };
        let (mut cipher, mac) = self.start(rest);
        cipher.apply_keystream(text);
        *tag = authenticate(mac, text);
    }

    /// Opens a box and appends its text. Appends nothing if the box cannot be opened.
    ///
    /// # Errors
    ///
    /// [`ZmtpError::Box`] if it was not sealed with this key and nonce.
    pub(super) fn open(&self, rest: [u8; 8], boxed: &[u8], output: &mut Vec<u8>) -> Result<(), ZmtpError> {
        let (tag, sealed) = boxed.split_first_chunk::<TAG_BYTES>().ok_or(ZmtpError::Box)?;
        let (mut cipher, mac) = self.start(rest);
        if !bool::from(authenticate(mac, sealed).ct_eq(tag)) {
            return Err(ZmtpError::Box);
        }
        let start = output.len();
        output.extend_from_slice(sealed);
        cipher.apply_keystream(output.get_mut(start..).unwrap_or_default());
        Ok(())
    }

    /// Returns the cipher for a text and the MAC for its tag, whose key is the first 32 bytes of the key stream.
    fn start(&self, rest: [u8; 8]) -> (Salsa20, Poly1305) {
        let mut cipher = Salsa20::new(&(*self.0.0).into(), &rest.into());
        let mut key = Zeroizing::new([0; 32]);
        cipher.apply_keystream(key.as_mut_slice());
        (cipher, Poly1305::new(&(*key).into()))
    }
}

fn authenticate(mut mac: Poly1305, sealed: &[u8]) -> [u8; TAG_BYTES] {
    // Whole blocks are faster by `update` than by `compute_unpadded`, which handles only the rest.
    let (blocks, rest) = poly1305::Block::slice_as_chunks(sealed);
    mac.update(blocks);
    mac.compute_unpadded(rest).into()
}

#[cfg(test)]
mod tests;
