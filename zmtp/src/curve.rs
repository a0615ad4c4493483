//! CURVE security ([RFC 26](https://rfc.zeromq.org/spec/26/)).

/// The server's long-term key pair.
pub struct Server {
    #[expect(dead_code, reason = "the skeleton")]
    public: [u8; 32],
}

impl Server {
    /// Of both keys' bytes, not of their text.
    pub const fn new(_secret: [u8; 32], public: [u8; 32]) -> Self {
        Self { public }
    }
}
