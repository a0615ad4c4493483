//! Splits a client's message. The frames are the lines of the input.

use trackyard_protocol::frame::{MAX_BODY_BYTES, MAX_ROUTE_FRAME_BYTES, MAX_ROUTE_FRAMES, split};

/// The parts stay within their limits, and a valid request loses no frame.
pub fn run(bytes: &[u8]) {
    let frames: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let message = split(frames.iter().copied());
    assert!(message.route.len() <= MAX_ROUTE_FRAMES);
    assert!(message.route.iter().all(|frame| (1..=MAX_ROUTE_FRAME_BYTES).contains(&frame.len())));
    if let Ok(body) = message.request {
        assert!(body.len() <= MAX_BODY_BYTES);
        let again = [message.route.as_slice(), &[b"", body]].concat();
        assert_eq!(again, frames);
    }
}
