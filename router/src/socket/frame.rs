//! One frame of a message; what was received is passed on without a copy.

/// One frame.
#[derive(Debug)]
pub struct Frame(pub(super) zmq::Message);

impl Frame {
    /// The address of the peer that sent the frame, as the transport knows it. The routing id, which libzmq put
    /// before the message, may have none.
    pub fn peer_address(&mut self) -> Option<&str> {
        self.0.gets("Peer-Address")
    }

    /// The key that the peer proved to have, as the gatekeeper named it.
    pub fn peer_key(&mut self) -> Option<&str> {
        self.0.gets("User-Id")
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Frame> for Vec<u8> {
    fn from(frame: Frame) -> Self {
        frame.0.to_vec()
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}
