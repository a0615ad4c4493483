//! What a peer may send.

/// Bounds on what a peer sends, checked before the bytes have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a whole message: its frames' bodies, and nine more for each frame, which bounds their number.
    pub message_bytes: usize,
    /// Bytes of one frame's body.
    pub frame_bytes: usize,
}
