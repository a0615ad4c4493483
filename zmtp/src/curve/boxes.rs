//! NaCl's boxes: X25519, XSalsa20 and Poly1305, of their current crates. The crate that puts them together has no
//! release for these, and takes the keys of which every secret makes the same box.

use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use salsa20::cipher::consts::U10;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use salsa20::{Salsa20, hsalsa};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::nonce::{Nonce, Prefix};
use crate::Error;

/// Bytes that a box is longer than what is in it: they come first.
pub(super) const TAG_BYTES: usize = 16;

/// A secret that both ends have, which boxes are made with.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Of bytes that are secret already.
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// What our secret and their public key make, and theirs and ours.
    ///
    /// # Errors
    ///
    /// [`Error::Proof`] for a public key with which everybody's secret makes the same.
    pub(super) fn agreed(ours: &StaticSecret, theirs: &[u8; 32]) -> Result<Self, Error> {
        let shared = ours.diffie_hellman(&PublicKey::from(*theirs));
        if !shared.was_contributory() {
            return Err(Error::Proof);
        }
        Ok(Self::new(shared.as_bytes()).with(&Prefix::default()))
    }

    /// The key for all boxes whose nonces begin so.
    pub(super) fn prefixed(&self, prefix: &Prefix) -> Prefixed {
        Prefixed(self.with(prefix))
    }

    fn with(&self, input: &Prefix) -> Self {
        Self(Zeroizing::new(hsalsa::<U10>(&(*self.0).into(), &(*input).into()).into()))
    }

    /// Appends a box with `text`.
    pub(super) fn seal(&self, nonce: &Nonce, text: &[u8], output: &mut Vec<u8>) {
        let (prefix, rest) = split(nonce);
        self.prefixed(&prefix).seal(rest, &[text], output);
    }

    /// What is in a box.
    ///
    /// # Errors
    ///
    /// [`Error::Box`] if it was not made with this key and nonce.
    pub(super) fn open(&self, nonce: &Nonce, boxed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (prefix, rest) = split(nonce);
        let mut text = Zeroizing::new(Vec::with_capacity(boxed.len()));
        self.prefixed(&prefix).open(rest, boxed, &mut text)?;
        Ok(text)
    }
}

fn split(nonce: &Nonce) -> (Prefix, [u8; 8]) {
    let (mut prefix, mut rest) = (Prefix::default(), [0; 8]);
    let to = prefix.iter_mut().chain(&mut rest);
    to.zip(nonce).for_each(|(to, from)| *to = *from);
    (prefix, rest)
}

/// A key for boxes of one kind: what depends on the nonce's prefix was done once.
pub(super) struct Prefixed(Key);

impl Prefixed {
    /// Appends a box with these parts, one after another.
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

    /// Appends what is in a box. If it cannot be opened nothing is.
    ///
    /// # Errors
    ///
    /// [`Error::Box`] if it was not made with this key and nonce.
    pub(super) fn open(&self, rest: [u8; 8], boxed: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        let (tag, sealed) = boxed.split_first_chunk::<TAG_BYTES>().ok_or(Error::Box)?;
        let (mut cipher, mac) = self.start(rest);
        if !bool::from(authenticate(mac, sealed).ct_eq(tag)) {
            return Err(Error::Box);
        }
        let start = output.len();
        output.extend_from_slice(sealed);
        cipher.apply_keystream(output.get_mut(start..).unwrap_or_default());
        Ok(())
    }

    /// The cipher for a text and the key for its tag, which is the cipher's first 32 bytes.
    fn start(&self, rest: [u8; 8]) -> (Salsa20, Poly1305) {
        let mut cipher = Salsa20::new(&(*self.0.0).into(), &rest.into());
        let mut key = Zeroizing::new([0; 32]);
        cipher.apply_keystream(key.as_mut_slice());
        (cipher, Poly1305::new(&(*key).into()))
    }
}

fn authenticate(mut mac: Poly1305, sealed: &[u8]) -> [u8; TAG_BYTES] {
    // Whole blocks are faster this way than by `compute_unpadded`, which ends with what is left of them.
    let (blocks, rest) = poly1305::Block::slice_as_chunks(sealed);
    mac.update(blocks);
    mac.compute_unpadded(rest).into()
}

#[cfg(test)]
mod tests;
