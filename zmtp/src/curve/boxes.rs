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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            hex.chars().map(|digit| digit.to_digit(16).unwrap().try_into().unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// From NaCl's own tests (`tests/box.c`).
    #[test]
    fn a_box_is_nacls() {
        let secret = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
        let text = bytes(
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c0123\
             3561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924\
             ca1c60902e52f0a089bc76897040e082f937763848645e0705",
        );
        let boxed = bytes(
            "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98\
             dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6b\
             b3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
        );
        let secret: [u8; 32] = secret.try_into().unwrap();
        let key = Key::agreed(&StaticSecret::from(secret), &public.try_into().unwrap()).unwrap();
        let mut made = Vec::new();
        key.seal(&nonce.try_into().unwrap(), &text, &mut made);
        assert_eq!(made, boxed);
    }

    #[test]
    fn keys_that_agree_with_all_are_refused() {
        let one = {
            let mut one = [0; 32];
            one[0] = 1;
            one
        };
        for theirs in [[0; 32], one] {
            assert_eq!(Key::agreed(&StaticSecret::from([9; 32]), &theirs).err(), Some(Error::Proof));
        }
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened_and_what_was_changed_is_not(
            text in prop::collection::vec(any::<u8>(), 0..200),
            change in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let (key, nonce) = (Key::new(&[3; 32]), [4; 24]);
            let mut boxed = Vec::new();
            key.seal(&nonce, &text, &mut boxed);
            prop_assert_eq!(boxed.len(), text.len() + TAG_BYTES);
            let opened = key.open(&nonce, &boxed);
            prop_assert_eq!(opened.as_ref().map(|text| text.as_slice()), Ok(text.as_slice()));
            let at = change.index(boxed.len());
            boxed[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&nonce, &boxed), Err(Error::Box));
            prop_assert_eq!(key.open(&nonce, &boxed[..at]), Err(Error::Box));
        }
    }
}
