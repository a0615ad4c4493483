//! What a handshake needs of chance.

use rand::TryRngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::Error;

/// The random bytes of one handshake, wiped when dropped.
pub(crate) struct Random {
    /// The server's short-term secret key for the connection.
    pub(super) secret: Zeroizing<[u8; 32]>,
    /// The key that the cookie is made with.
    pub(super) cookie_key: Zeroizing<[u8; 32]>,
    /// Of the cookie's nonce.
    pub(super) cookie_nonce: [u8; 16],
    /// Of WELCOME's nonce.
    pub(super) welcome_nonce: [u8; 16],
}

impl Random {
    /// From the operating system.
    ///
    /// # Errors
    ///
    /// [`Error::Random`] if it has none.
    pub(crate) fn new() -> Result<Self, Error> {
        let mut random = Self::fixed(0);
        let fields = [
            random.secret.as_mut_slice(),
            random.cookie_key.as_mut_slice(),
            &mut random.cookie_nonce,
            &mut random.welcome_nonce,
        ];
        fields.into_iter().try_for_each(|field| OsRng.try_fill_bytes(field)).map_err(|_| Error::Random)?;
        Ok(random)
    }

    /// All bytes alike.
    pub(crate) fn fixed(byte: u8) -> Self {
        Self {
            secret: Zeroizing::new([byte; 32]),
            cookie_key: Zeroizing::new([byte; 32]),
            cookie_nonce: [byte; 16],
            welcome_nonce: [byte; 16],
        }
    }
}
