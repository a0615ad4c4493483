//! The random bytes of a handshake.

use rand::TryRngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::ZmtpError;

/// The random bytes of one handshake, wiped when dropped.
pub(crate) struct HandshakeRandom {
    /// The server's short-term secret key for the connection.
    pub(super) secret: Zeroizing<[u8; 32]>,
    /// The key that the cookie is sealed with.
    pub(super) cookie_key: Zeroizing<[u8; 32]>,
    /// The random part of the cookie's nonce.
    pub(super) cookie_nonce: [u8; 16],
    /// The random part of WELCOME's nonce.
    pub(super) welcome_nonce: [u8; 16],
}

impl HandshakeRandom {
    /// Gets random bytes from the operating system.
    ///
    /// # Errors
    ///
    /// [`ZmtpError::Random`] if there are none.
    pub(crate) fn new() -> Result<Self, ZmtpError> {
        let mut random = Self::fixed(0);
        let fields = [
            random.secret.as_mut_slice(),
            random.cookie_key.as_mut_slice(),
            &mut random.cookie_nonce,
            &mut random.welcome_nonce,
        ];
        fields
            .into_iter()
            .try_for_each(|field| OsRng.try_fill_bytes(field))
            .map_err(|_| ZmtpError::Random)?;
        Ok(random)
    }

    /// Sets every byte to `byte`.
    pub(crate) fn fixed(byte: u8) -> Self {
        Self {
            secret: Zeroizing::new([byte; 32]),
            cookie_key: Zeroizing::new([byte; 32]),
            cookie_nonce: [byte; 16],
            welcome_nonce: [byte; 16],
        }
    }
}
